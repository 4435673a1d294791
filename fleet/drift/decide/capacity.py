"""Reports wanted tasks that do not fit their hosts, alone or together, or clash over a port.

It compares what is committed with what each host has registered, before anything is sent.
ECS places a task by the task's own cpu and memory, or the sum over its containers; of a container's
memory and its reservation the reservation (ECS developer guide, task definition parameters).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.drift.decide import service_codes as codes
from fleet.drift.decide.finding_kinds import FindingKind
from fleet.drift.decide.service_case import ServiceCase
from fleet.drift.decide.store_case import HostCase, StoreCase
from fleet.model.commands import Command
from fleet.model.drift import Evidence, Finding
from fleet.model.observed import NotRead, Reading

_UNITS = {"CPU": "CPU units", "MEMORY": "MiB"}


@dataclass(frozen=True, slots=True)
class Demand:
    """What a task needs of its host.

    Attributes:
        room: ``{"CPU": 512, "MEMORY": 2048}``: units of 1/1024 core, MiB.
        ports: fixed ones of the host, as ``1883/tcp``.
    """

    room: Mapping[str, int]
    ports: frozenset[str]


def demand_of(body: Mapping[str, Any]) -> Demand:
    """Return what a task needs; the body is the input of RegisterTaskDefinition."""
    containers = body.get("containerDefinitions", ())
    cpu = _size(body.get("cpu"), "vcpu") or sum(c.get("cpu") or 0 for c in containers)
    memory = _size(body.get("memory"), "gb") or sum(
        c.get("memoryReservation") or c.get("memory") or 0 for c in containers
    )
    host = body.get("networkMode") == "host"
    mappings = [mapping for c in containers for mapping in c.get("portMappings") or ()]
    ports = frozenset(
        f"{port}/{mapping.get('protocol') or 'tcp'}"
        for mapping in mappings
        if (port := mapping.get("hostPort") or (mapping.get("containerPort") if host else 0))
    )
    return Demand({"CPU": cpu, "MEMORY": memory}, ports)


def _size(text: Any, unit: str) -> int:
    """Parse ``"512"``, ``"0.5 vCPU"`` or ``"2 GB"`` of a task as a whole; 0 for anything else."""
    words = str(text or "").lower().replace(" ", "")
    number = words.removesuffix(unit)
    try:
        return round(float(number) * 1024) if number != words else int(number)
    except ValueError:
        return 0


def of_capacity(case: StoreCase) -> list[Finding]:
    """Report what can never be placed in one store, where instances and release were read."""
    if not isinstance(case.seen.instances, Reading) or not case.is_open:
        return []
    demands = _demands(case)
    return [finding for host in case.hosts.values() for finding in _of_host(case, host, demands)]


def blocked(one: ServiceCase) -> bool:
    """Tell whether a wanted service lacks room or a port on one of its hosts."""
    demands = _demands(one.case)
    return any(
        one.name in finding.data["services"]
        for host in one.hosts
        for finding in _of_host(one.case, host, demands)
    )


def _demands(case: StoreCase) -> dict[str, Demand]:
    """Return demands by service, without those that the release does not hold."""
    release = case.background.release
    if isinstance(release, NotRead):
        return {}
    known = release.task_definitions
    return {
        one.service: demand_of(known[one.content].body)
        for one in case.wanted.services
        if one.content in known
    }


def _of_host(case: StoreCase, host: HostCase, demands: Mapping[str, Demand]) -> Iterator[Finding]:
    if host.instance is None:
        return
    name = host.host.name
    mine = {
        one.service: demands[one.service]
        for one in case.wanted.services
        if name in one.hosts and one.service in demands
    }
    yield from _clashes(case, name, mine)
    fitting = dict(mine)
    for resource, offered in host.instance.registered.items():
        if resource not in _UNITS:
            continue
        for service, demand in mine.items():
            if demand.room[resource] > offered:
                fitting.pop(service, None)
                yield _never(case, host, service, resource, demand.room[resource])
    for resource, offered in host.instance.registered.items():
        if resource in _UNITS and sum(d.room[resource] for d in fitting.values()) > offered:
            yield _together(case, host, resource, fitting)


def _never(case: StoreCase, host: HostCase, service: str, resource: str, asked: int) -> Finding:
    unit, name = _UNITS[resource], host.host.name
    offered = _offered(host, resource)
    return _finding(
        case,
        codes.TASK_NEVER_FITS,
        host,
        subject=f"{service}/{resource.lower()}",
        cause=f"a task of {service} asks for {asked} {unit} and {name} has registered {offered}: "
        "ECS can never place it there",
        services=(service,),
        data={"resource": resource, "asked": asked, "offered": offered},
        wanted=f"{service} asks for {asked} {unit}",
    )


def _together(
    case: StoreCase, host: HostCase, resource: str, demands: Mapping[str, Demand]
) -> Finding:
    unit, name = _UNITS[resource], host.host.name
    offered, asked = _offered(host, resource), sum(d.room[resource] for d in demands.values())
    parts = " and ".join(f"{service} {d.room[resource]}" for service, d in demands.items())
    return _finding(
        case,
        codes.CAPACITY_SHORT,
        host,
        subject=resource.lower(),
        cause=f"the tasks of {name} ask for {asked} {unit} together ({parts}) and it has "
        f"registered {offered}: one of them cannot be placed",
        services=tuple(demands),
        data={"resource": resource, "asked": asked, "offered": offered},
        wanted=parts,
    )


def _clashes(case: StoreCase, name: str, demands: Mapping[str, Demand]) -> Iterator[Finding]:
    users: dict[str, list[str]] = {}
    for service, demand in demands.items():
        for port in demand.ports:
            users.setdefault(port, []).append(service)
    for port, services in sorted(users.items()):
        if len(services) > 1:
            yield _finding(
                case,
                codes.PORT_CLASH,
                case.hosts[name],
                subject=port,
                cause=f"{' and '.join(services)} want port {port} of {name}: ECS can place only "
                "one of them",
                services=tuple(services),
                data={"port": port},
                wanted=f"port {port} in {' and '.join(services)}",
            )


def _finding(
    case: StoreCase,
    kind: FindingKind,
    host: HostCase,
    *,
    subject: str,
    cause: str,
    services: tuple[str, ...],
    data: Mapping[str, Any],
    wanted: str,
) -> Finding:
    registered = host.instance.registered if host.instance else {}
    words = ", ".join(f"{name} {size}" for name, size in registered.items())
    return case.found(
        kind,
        cause,
        Evidence("ECS", f"registered {words}", case.instances_at),
        Evidence("inventory", wanted),
        host=host.host.name,
        subject=subject,
        fix=Command(
            f"fleet render {case.store.id} {' '.join(_workloads(case, services))}", sends=False
        ),
        data={**data, "services": services},
    )


def _workloads(case: StoreCase, services: Iterable[str]) -> list[str]:
    release = case.background.release
    shapes = {} if isinstance(release, NotRead) else release.shapes
    named = (shapes[name].workload if name in shapes else name for name in services)
    return list(dict.fromkeys(named))


def _offered(host: HostCase, resource: str) -> int:
    return host.instance.registered[resource] if host.instance else 0
