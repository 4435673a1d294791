"""Reports wanted tasks that do not fit their hosts, alone or together, or clash over a port.

It compares what is committed with what each host has registered, before anything is sent.
ECS places a task by the task's own cpu and memory, or the sum over its containers; of a container's
memory and its reservation the reservation (ECS developer guide, task definition parameters).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.drift.decide import service_codes as codes
from fleet.drift.decide.finding_kinds import FindingKind
from fleet.drift.decide.service_case import ServiceCase
from fleet.drift.decide.store_case import HostCase, StoreCase
from fleet.model.commands import Command
from fleet.model.drift import Evidence, Finding
from fleet.model.normal_form import units_of
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
    cpu = units_of(body.get("cpu"), "vcpu") or sum(c.get("cpu") or 0 for c in containers)
    memory = units_of(body.get("memory"), "gb") or sum(
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


@dataclass(frozen=True, slots=True)
class Misfit:
    """Services that cannot all be placed on a host as they are wanted.

    Attributes:
        kind: of the finding that reports it.
        subject: the finding's.
        wanted: what they ask for, in words.
        data: exact values for JSON.
    """

    kind: FindingKind
    services: tuple[str, ...]
    subject: str
    cause: str
    wanted: str
    data: Mapping[str, Any]


def of_capacity(case: StoreCase) -> list[Finding]:
    """Report what can never be placed in one store, where instances and release were read."""
    if not isinstance(case.seen.instances, Reading) or not case.is_open:
        return []
    demands = _demands(case)
    return [
        _finding(case, host, misfit)
        for host in case.hosts.values()
        for misfit in _misfits(case, host, demands)
    ]


def blocked(one: ServiceCase) -> bool:
    """Tell whether a wanted service lacks room or a port on one of its hosts."""
    demands = _demands(one.case)
    return any(
        one.name in misfit.services
        for host in one.hosts
        for misfit in _misfits(one.case, host, demands)
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


def _misfits(case: StoreCase, host: HostCase, of_store: Mapping[str, Demand]) -> Iterator[Misfit]:
    if host.instance is None:
        return
    name = host.host.name
    demands = {
        one.service: of_store[one.service]
        for one in case.wanted.services
        if name in one.hosts and one.service in of_store
    }
    yield from _clashes(name, demands)
    offers = {key: size for key, size in host.instance.registered.items() if key in _UNITS}
    fitting = dict(demands)
    for resource, offered in offers.items():
        for service, demand in demands.items():
            asked, unit = demand.room[resource], _UNITS[resource]
            if asked <= offered:
                continue
            fitting.pop(service, None)
            yield Misfit(
                codes.TASK_NEVER_FITS,
                (service,),
                f"{service}/{resource.lower()}",
                f"a task of {service} asks for {asked} {unit} and {name} has registered {offered}: "
                "ECS can never place it there",
                f"{service} asks for {asked} {unit}",
                {"resource": resource, "asked": asked, "offered": offered},
            )
    for resource, offered in offers.items():
        asked = sum(demand.room[resource] for demand in fitting.values())
        if asked <= offered:
            continue
        parts = " and ".join(f"{service} {one.room[resource]}" for service, one in fitting.items())
        yield Misfit(
            codes.CAPACITY_SHORT,
            tuple(fitting),
            resource.lower(),
            f"the tasks of {name} ask for {asked} {_UNITS[resource]} together ({parts}) and it has "
            f"registered {offered}: one of them cannot be placed",
            parts,
            {"resource": resource, "asked": asked, "offered": offered},
        )


def _clashes(name: str, demands: Mapping[str, Demand]) -> Iterator[Misfit]:
    users: dict[str, list[str]] = {}
    for service, demand in demands.items():
        for port in demand.ports:
            users.setdefault(port, []).append(service)
    for port, services in sorted(users.items()):
        if len(services) > 1:
            both = " and ".join(services)
            cause = f"{both} want port {port} of {name}: ECS can place only one of them"
            wanted = f"port {port} in {both}"
            yield Misfit(codes.PORT_CLASH, tuple(services), port, cause, wanted, {"port": port})


def _finding(case: StoreCase, host: HostCase, misfit: Misfit) -> Finding:
    registered = host.instance.registered if host.instance else {}
    words = ", ".join(f"{name} {size}" for name, size in registered.items())
    release = case.background.release
    shapes = {} if isinstance(release, NotRead) else release.shapes
    named = (shapes[name].workload if name in shapes else name for name in misfit.services)
    workloads = " ".join(dict.fromkeys(named))
    return case.found(
        misfit.kind,
        misfit.cause,
        Evidence("ECS", f"registered {words}", case.instances_at),
        Evidence("inventory", misfit.wanted),
        host=host.host.name,
        subject=misfit.subject,
        fix=Command(f"fleet render {case.store.id} {workloads}", sends=False),
        data={**misfit.data, "services": misfit.services},
    )
