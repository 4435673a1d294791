"""Decides where a task can run: constraints, free resources, and a connected agent."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fleet.sandbox.control_plane import cluster_query
from fleet.sandbox.control_plane.call import Context
from fleet.sandbox.control_plane.entities import (
    ContainerInstanceEntity,
    ServiceEntity,
    TaskDefinitionEntity,
)
from fleet.sandbox.control_plane.world import RegionState

_parse = lru_cache(512)(cluster_query.parse)
NO_INSTANCES = "Reason: No Container Instances were found in your cluster."


@dataclass(frozen=True, slots=True)
class TaskDemand:
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


def demand_of(content: Mapping[str, Any]) -> TaskDemand:
    """Return what tasks of a definition take; of a memory and its reservation the reservation."""
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
    return TaskDemand(
        cpu or sum(container.get("cpu", 0) for container in containers),
        memory or sum(c.get("memoryReservation") or c.get("memory") or 0 for c in containers),
        tuple(ports["tcp"]),
        tuple(ports["udp"]),
    )


def remaining(state: RegionState, instance: ContainerInstanceEntity) -> list[dict[str, Any]]:
    """Return ``remainingResources``: what was registered less what tasks take, and ports in use."""
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


def matches(instance: ContainerInstanceEntity, constraints: Iterable[Mapping[str, Any]]) -> bool:
    """Say whether an instance is a member of every group that is asked for (``memberOf``)."""
    subject = cluster_query.QuerySubject(
        agent_connected=True,
        attributes=instance.attributes,
        ec2_instance_id=instance.managed_instance_id,
    )
    return all(
        _parse(constraint["expression"])(subject)
        for constraint in constraints
        if constraint["type"] == "memberOf"
    )


def constraints_of(
    service: ServiceEntity, definition: TaskDefinitionEntity
) -> list[Mapping[str, Any]]:
    """Return those of the service and those of the task definition; all have to hold."""
    return [*service.placement_constraints, *definition.content["placementConstraints"]]


def obstacle_on(
    context: Context,
    instance: ContainerInstanceEntity,
    service: ServiceEntity,
    definition: TaskDefinitionEntity,
) -> Obstacle | None:
    """Return why an ACTIVE instance cannot take a task now, or None if it can."""
    constraints = constraints_of(service, definition)
    if not matches(instance, constraints):
        return _MEMBER
    tasks = context.state.tasks_on.get(instance.id, {}).values()
    if any(c["type"] == "distinctInstance" for c in constraints) and any(
        # By desired status: a task that is on its way out is no reason (constraints' guide).
        task.service == service.key and task.desired_status == "RUNNING"
        for task in tasks
    ):
        return _DISTINCT
    return room_on(context, instance, definition)


def room_on(
    context: Context, instance: ContainerInstanceEntity, definition: TaskDefinitionEntity
) -> Obstacle | None:
    """Return why an instance has no room for a task, or no agent to start it; None if it has."""
    demand = demand_of(definition.content)
    left = {resource["name"]: resource for resource in remaining(context.state, instance)}
    if _whole(left, "CPU") < demand.cpu:
        return _CPU
    if _whole(left, "MEMORY") < demand.memory:
        return _MEMORY
    if _taken(left, "PORTS", demand.ports) or _taken(left, "PORTS_UDP", demand.udp_ports):
        return _PORT
    if not context.world.channels.connected(instance.arn, context.now):
        return _AGENT
    return None


def place(
    context: Context, service: ServiceEntity, definition: TaskDefinitionEntity
) -> ContainerInstanceEntity | str:
    """Return the instance for one more task, or why there is none as the service event says it.

    The instance with the fewest tasks of the service is taken, and of several the one with the
    lowest id.
    """
    closest: tuple[int, str] = (-1, NO_INSTANCES)
    fitting = []
    for instance in context.state.instances_of.get(service.cluster, {}).values():
        if instance.status != "ACTIVE":
            continue
        obstacle = obstacle_on(context, instance, service, definition)
        if obstacle is None:
            fitting.append(instance)
        elif obstacle.rank > closest[0]:
            text = f"The closest matching (container-instance {instance.id}) {obstacle.text}"
            closest = (obstacle.rank, text)
    if not fitting:
        return closest[1]
    tasks = context.state.live_tasks_of.get(service.key, {}).values()
    load = Counter(task.instance for task in tasks)
    return min(fitting, key=lambda instance: (load[instance.id], instance.id))


def _whole(resources: Mapping[str, Mapping[str, Any]], name: str) -> int:
    value: int = resources.get(name, {}).get("integerValue", 0)
    return value


def _taken(resources: Mapping[str, Mapping[str, Any]], name: str, ports: Sequence[int]) -> bool:
    used = set(resources.get(name, {}).get("stringSetValue", ()))
    return any(str(port) in used for port in ports)


def _size(text: str | None, unit: str) -> int:
    """Read ``"512"`` or ``"0.5 vCPU"``, as the task level of a definition gives CPU and memory."""
    if not text:
        return 0
    number = text.lower().replace(" ", "").removesuffix(unit)
    whole = number != text.lower().replace(" ", "")
    return int(float(number) * 1024) if whole else int(number)
