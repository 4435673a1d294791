"""Inputs of CreateService and UpdateService, and a preview of what is sent for one store."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fleet.model.desired import Release, Rendering, Scheduling, ServicePreview, ServiceShape
from fleet.model.identity import VARIANT_ATTRIBUTE
from fleet.model.images import images_of
from fleet.model.inventory import Architecture, Fleet, Lifecycle, Store, Workload
from fleet.release.decide.task_body import log_groups

#: Stands for the number of a revision that does not exist yet.
REVISION = "REVISION"


def placement(
    workload: Workload, variant: str, architecture: Architecture
) -> tuple[Mapping[str, Any], ...]:
    """Return ``placementConstraints`` that place tasks on the workload's hosts of a variant only.

    Each store is a cluster, so conditions on stores need no constraint. The agent's own attribute
    for the architecture is used too: a wrong ``fleet.variant`` would end as "exec format error".
    ``distinctInstance`` is for REPLICA; DAEMON has one task per host anyway.
    """
    wanted: list[tuple[str, Sequence[str]]] = [
        ("ecs.cpu-architecture", (architecture.ecs,)),
        (VARIANT_ATTRIBUTE, (variant,)),
    ]
    wanted += [
        (f"fleet.{key}", workload.where[key])
        for key in ("hardware", "accelerator")
        if key in workload.where
    ]
    members = tuple(
        {"type": "memberOf", "expression": _expression(name, values)} for name, values in wanted
    )
    return members if workload.daemon else ({"type": "distinctInstance"}, *members)


def _expression(attribute: str, values: Sequence[str]) -> str:
    """Return an expression of the cluster query language, with quotes where a value needs them."""
    words = [word if _is_word(word) else f"'{word}'" for word in sorted(values)]
    if len(words) == 1:
        return f"attribute:{attribute} == {words[0]}"
    return f"attribute:{attribute} in [{', '.join(words)}]"


def _is_word(text: str) -> bool:
    return all(letter.isalnum() or letter in "._-" for letter in text)


def service_settings(shape: ServiceShape) -> dict[str, Any]:
    """Return the input that CreateService and UpdateService share; it is compared with ECS's.

    A host has no ports and memory for two tasks, so the old task stops before the new one starts
    (maximum 100, minimum 0). The circuit breaker counts failed tasks (COUNT) and restores the last
    completed deployment. Rebalancing between availability zones is meaningless for a shop, and AWS
    turns it on for new services.
    """
    return {
        "deploymentConfiguration": {
            "maximumPercent": 100,
            "minimumHealthyPercent": 0,
            "deploymentCircuitBreaker": {
                "enable": True,
                "rollback": True,
                "thresholdConfiguration": {"type": "COUNT", "value": shape.breaker_count},
            },
        },
        "placementConstraints": [dict(one) for one in shape.placement],
        "availabilityZoneRebalancing": "DISABLED",
        "enableECSManagedTags": True,
        "propagateTags": "SERVICE",
    }


def update_input(
    shape: ServiceShape, *, cluster: str, task_definition: str, desired_count: int
) -> dict[str, Any]:
    """Return the input of UpdateService; it never forces a deployment."""
    made: dict[str, Any] = {
        "cluster": cluster,
        "service": shape.name,
        "taskDefinition": task_definition,
        **service_settings(shape),
    }
    if shape.scheduling is Scheduling.REPLICA:
        made["desiredCount"] = desired_count
    return made


def service_input(
    shape: ServiceShape, *, cluster: str, task_definition: str, desired_count: int
) -> dict[str, Any]:
    """Return the input of CreateService, without tags and client token.

    The launch type is always set, so that a cluster's default capacity provider does not apply.

    Args:
        cluster: name of the store's cluster.
        task_definition: ARN, or FAMILY:REVISION.
        desired_count: one task per registered host that matches; DAEMON has none.
    """
    made: dict[str, Any] = {
        "cluster": cluster,
        "serviceName": shape.name,
        "taskDefinition": task_definition,
        "launchType": "EXTERNAL",
        "schedulingStrategy": shape.scheduling.value,
        **service_settings(shape),
    }
    if shape.scheduling is Scheduling.REPLICA:
        made["desiredCount"] = desired_count
    return made


def fleet_of_one(fleet: Fleet, store: Store, workloads: Sequence[str]) -> Fleet:
    """Return a fleet of one open store and some workloads (all when none is named)."""
    kept = tuple(one for one in fleet.workloads if not workloads or one.name in workloads)
    return replace(fleet, stores=(replace(store, lifecycle=Lifecycle.OPEN),), workloads=kept)


def renderings_for(
    fleet: Fleet, store: Store, renderings: Sequence[Rendering]
) -> tuple[Rendering, ...]:
    """Return the renderings that a store has hosts for."""
    workloads = {one.name: one for one in fleet.workloads}
    return tuple(
        one
        for one in renderings
        if workloads[one.workload].wants(store)
        and any(
            host.hardware.variant == one.variant and workloads[one.workload].fits(host.hardware)
            for host in store.hosts
        )
    )


def service_previews(fleet: Fleet, release: Release, store: Store) -> tuple[ServicePreview, ...]:
    """Return what a rollout would send for each service of a store."""
    hardware = {host.name: host.hardware.name for host in store.hosts}
    previews = []
    for service in release.services:
        if service.store != store.id:
            continue
        shape = release.shapes[service.service]
        definition = release.task_definitions[service.content]
        pinned = set(images_of(definition.body))
        revision = f"{definition.family}:{REVISION}"
        sent = {"cluster": store.cluster, "task_definition": revision}
        count = len(service.hosts)
        previews.append(
            ServicePreview(
                shape=shape,
                definition=definition,
                create=service_input(shape, **sent, desired_count=count),
                update=update_input(shape, **sent, desired_count=count),
                log_groups=log_groups(definition.body, fleet.log_retention_days),
                hosts=tuple((name, hardware[name]) for name in service.hosts),
                images=tuple(one for one in release.images.values() if one.pinned in pinned),
            )
        )
    return tuple(previews)
