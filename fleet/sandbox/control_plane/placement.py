"""Where a task can run: constraints, room on the instance, and whether its agent is there."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fleet.sandbox.control_plane import cluster_query
from fleet.sandbox.control_plane.channels import Channels
from fleet.sandbox.control_plane.region_state import ContainerInstance, RegionState
from fleet.sandbox.control_plane.workloads import Service, TaskDefinition

_parse = lru_cache(512)(cluster_query.parse)
NO_INSTANCES = "Reason: No Container Instances were found in your cluster."


@dataclass(frozen=True, slots=True)
class Demand:
    """What a task takes of its instance: CPU units, MiB, ports of the host."""

    cpu: int
    memory: int
    ports: tuple[int, ...]
    udp_ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why an instance cannot take a task.

    Attributes:
        rank: how many other hurdles were taken; the closest instance has the highest.
        text: in the words of the service event.
        reason: of a failure of StartTask ("API failure reasons" of the developer guide).
    """

    rank: int
    text: str
    reason: str = ""


_MEMBER = Obstacle(0, 'encountered error "MemberOf placement constraint unsatisfied."')
_DISTINCT = Obstacle(1, 'encountered error "DistinctInstance placement constraint unsatisfied."')
_CPU = Obstacle(2, "has insufficient CPU units available.", "RESOURCE:CPU")
_MEMORY = Obstacle(3, "has insufficient memory available.", "RESOURCE:MEMORY")
_PORT = Obstacle(4, "is already using a port required by your task.", "RESOURCE:PORTS")
_AGENT = Obstacle(5, 'encountered error "AGENT".', "AGENT")


def demand_of(content: Mapping[str, Any]) -> Demand:
    """What tasks of a definition take; of a memory and its reservation the reservation."""
    containers = content["containerDefinitions"]
    cpu = _size(content.get("cpu"), "vcpu")
    memory = _size(content.get("memory"), "gb")
    host = content.get("networkMode") == "host"
    ports: dict[str, list[int]] = {"tcp": [], "udp": []}
    for container in containers:
        for mapping in container.get("portMappings", ()):
            port = mapping.get("hostPort") or (mapping.get("containerPort", 0) if host else 0)
            if port:
                ports[mapping.get("protocol") or "tcp"].append(port)
    return Demand(
        cpu or sum(container.get("cpu", 0) for container in containers),
        memory or sum(c.get("memoryReservation") or c.get("memory") or 0 for c in containers),
        tuple(ports["tcp"]),
        tuple(ports["udp"]),
    )


def remaining(state: RegionState, instance: ContainerInstance) -> list[dict[str, Any]]:
    """``remainingResources``: what was registered without what tasks take; ports are those used."""
    tasks = state.tasks_on.get(instance.id, {}).values()
    if not tasks:
        return instance.resources
    taken = {
        "CPU": sum(task.cpu for task in tasks),
        "MEMORY": sum(task.memory for task in tasks),
    }
    used = {
        "PORTS": [port for task in tasks for port in task.ports],
        "PORTS_UDP": [port for task in tasks for port in task.udp_ports],
    }
    left = []
    for resource in instance.resources:
        name = resource["name"]
        if name in taken:
            rest = resource["integerValue"] - taken[name]
            left.append({**resource, "integerValue": rest})
        elif name in used:
            ports = [*resource.get("stringSetValue", ()), *map(str, used[name])]
            left.append({**resource, "stringSetValue": ports})
        else:
            left.append(resource)
    return left


def matches(
    state: RegionState, instance: ContainerInstance, constraints: Iterable[Mapping[str, Any]]
) -> bool:
    """Whether an instance is a member of every group that is asked for (``memberOf``)."""
    subject = None
    for constraint in constraints:
        if constraint["type"] != "memberOf":
            continue
        if subject is None:
            subject = cluster_query.Subject(
                agent_connected=True,
                agent_version=instance.agent_version,
                attributes=instance.attributes,
                ec2_instance_id=instance.managed_instance_id,
                registered_at=instance.registered_at,
                running_tasks=len(state.tasks_on.get(instance.id, {})),
            )
        if not _parse(constraint["expression"])(subject):
            return False
    return True


def constraints_of(service: Service, definition: TaskDefinition) -> list[Mapping[str, Any]]:
    """Those of the service and those of the task definition; all have to hold."""
    return [*service.placement_constraints, *definition.content["placementConstraints"]]


def obstacle_on(
    state: RegionState,
    channels: Channels,
    instance: ContainerInstance,
    wanted: tuple[Service, TaskDefinition],
    now: float,
) -> Obstacle | None:
    """Why an ACTIVE instance cannot take a task now, or None if it can."""
    service, definition = wanted
    constraints = constraints_of(service, definition)
    if not matches(state, instance, constraints):
        return _MEMBER
    tasks = state.tasks_on.get(instance.id, {}).values()
    if any(c["type"] == "distinctInstance" for c in constraints) and any(
        # By desired status: a task that is on its way out is no reason (constraints' guide).
        task.service == service.key and task.desired_status == "RUNNING"
        for task in tasks
    ):
        return _DISTINCT
    return room_on(state, channels, instance, definition, now)


def room_on(
    state: RegionState,
    channels: Channels,
    instance: ContainerInstance,
    definition: TaskDefinition,
    now: float,
) -> Obstacle | None:
    """Why an instance has no room for a task, or nobody who would start it; None if it has."""
    demand = demand_of(definition.content)
    left = {resource["name"]: resource for resource in remaining(state, instance)}
    if _whole(left, "CPU") < demand.cpu:
        return _CPU
    if _whole(left, "MEMORY") < demand.memory:
        return _MEMORY
    if _taken(left, "PORTS", demand.ports) or _taken(left, "PORTS_UDP", demand.udp_ports):
        return _PORT
    if not channels.connected(instance.arn, now):
        return _AGENT
    return None


def place(
    state: RegionState, channels: Channels, service: Service, definition: TaskDefinition, now: float
) -> ContainerInstance | str:
    """The instance for one more task, or why there is none in the words of the service event."""
    closest: tuple[int, str] = (-1, NO_INSTANCES)
    fitting = []
    for instance in state.instances_of.get(service.cluster, {}).values():
        if instance.status != "ACTIVE":
            continue
        obstacle = obstacle_on(state, channels, instance, (service, definition), now)
        if obstacle is None:
            fitting.append(instance)
        elif obstacle.rank > closest[0]:
            text = f"The closest matching (container-instance {instance.id}) {obstacle.text}"
            closest = (obstacle.rank, text)
    if not fitting:
        return closest[1]
    return min(fitting, key=lambda instance: (*_preference(state, service, instance), instance.id))


def _preference(
    state: RegionState, service: Service, instance: ContainerInstance
) -> tuple[float | str, ...]:
    """Smaller is better: one figure for each strategy, then the number of the service's tasks."""
    order: list[float | str] = []
    for strategy in service.placement_strategy:
        field = strategy.get("field", "")
        match strategy["type"]:
            case "random":
                text = f"{service.key}:{len(service.events)}:{instance.id}"
                order.append(hashlib.sha256(text.encode()).hexdigest())
            case "binpack":
                left = {part["name"]: part for part in remaining(state, instance)}
                order.append(float(_whole(left, field.upper())))
            case _:
                order.append(float(_spread(state, service, instance, field)))
    return *order, float(_spread(state, service, instance, "instanceId"))


def _spread(state: RegionState, service: Service, instance: ContainerInstance, field: str) -> int:
    tasks = state.live_tasks_of.get(service.key, {}).values()
    name = field.removeprefix("attribute:")
    if field in {"instanceId", "host"}:
        return sum(task.instance == instance.id for task in tasks)
    value = instance.attributes.get(name)
    return sum(state.instances[task.instance].attributes.get(name) == value for task in tasks)


def _whole(resources: Mapping[str, Mapping[str, Any]], name: str) -> int:
    value: int = resources.get(name, {}).get("integerValue", 0)
    return value


def _taken(resources: Mapping[str, Mapping[str, Any]], name: str, ports: Sequence[int]) -> bool:
    used = set(resources.get(name, {}).get("stringSetValue", ()))
    return any(str(port) in used for port in ports)


def _size(text: str | None, unit: str) -> int:
    """``"512"`` or ``"0.5 vCPU"``, as the task level of a definition gives CPU and memory."""
    if not text:
        return 0
    number = text.lower().replace(" ", "").removesuffix(unit)
    whole = number != text.lower().replace(" ", "")
    return int(float(number) * 1024) if whole else int(number)
