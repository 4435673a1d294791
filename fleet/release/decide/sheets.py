"""What would be sent for one store, to be looked at before anything is."""

from collections.abc import Sequence
from dataclasses import replace

from fleet.model.desired import Release, Rendering, ServiceSheet
from fleet.model.images import images_of
from fleet.model.inventory import Fleet, Lifecycle, Store
from fleet.release.decide.desired import service_input, update_input
from fleet.release.decide.task_body import log_groups

#: Stands for the number of a revision that does not exist yet.
REVISION = "REVISION"


def fleet_of_one(fleet: Fleet, store: Store, workloads: Sequence[str]) -> Fleet:
    """The fleet as if it were one open store and some workloads (all when none is named)."""
    kept = tuple(one for one in fleet.workloads if not workloads or one.name in workloads)
    return replace(fleet, stores=(replace(store, lifecycle=Lifecycle.OPEN),), workloads=kept)


def renderings_for(
    fleet: Fleet, store: Store, renderings: Sequence[Rendering]
) -> tuple[Rendering, ...]:
    """The renderings that a store has hosts for."""
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


def sheets(fleet: Fleet, release: Release, store: Store) -> tuple[ServiceSheet, ...]:
    """A sheet per service of a store."""
    hardware = {host.name: host.hardware.name for host in store.hosts}
    made = []
    for service in release.services:
        if service.store != store.id:
            continue
        shape = release.shapes[service.service]
        definition = release.task_definitions[service.content]
        pinned = set(images_of(definition.body))
        words = {
            "cluster": store.cluster,
            "task_definition": f"{definition.family}:{REVISION}",
        }
        count = len(service.hosts)
        made.append(
            ServiceSheet(
                shape=shape,
                definition=definition,
                create=service_input(shape, **words, desired_count=count),
                update=update_input(shape, **words, desired_count=count),
                log_groups=log_groups(definition.body, fleet.log_retention_days),
                hosts=tuple((name, hardware[name]) for name in service.hosts),
                images=tuple(one for one in release.images.values() if one.pinned in pinned),
            )
        )
    return tuple(made)
