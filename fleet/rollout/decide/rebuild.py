"""Rebuilds rollouts from the tags of services, for when the database is lost.

Every service that fleet changed says which rollout did it, what it was told to run and what it ran
before. That is enough to set it back. To which stores a rollout was to go, and whether it came to
its end, AWS does not know, so nothing is said to be owed: ``fleet plan`` shows what is missing.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from fleet.model.changes import Change
from fleet.model.desired import Release, TaskDefinition
from fleet.model.identity import TAG_CONTENT, TAG_PREVIOUS, TAG_ROLLOUT
from fleet.model.inventory import Fleet, Store
from fleet.model.policy import Policy
from fleet.model.rollout import RebuiltRollout, RolloutSpec, WavePlan
from fleet.model.services import ServiceState, StoreView
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.plan import place_of


def rebuild(
    fleet: Fleet,
    release: Release,
    views: Mapping[str, StoreView],
    contents: Mapping[str, str],
    now: datetime,
) -> tuple[RebuiltRollout, ...]:
    """Return the rollouts that services name, oldest first, with those services only.

    Args:
        release: of the committed inventory.
        contents: content address by ARN of what runs; "" for a revision that is none of fleet's.
    """
    stores = {store.id: store for store in fleet.stores}
    named: dict[str, list[Change]] = {}
    began: dict[str, datetime] = {}
    for store_id, view in sorted(views.items()):
        for service in view.services or ():
            rollout = service.tags.get(TAG_ROLLOUT, "")
            if not _number(rollout) or service.name not in release.shapes:
                continue
            change = _of_tags(stores[store_id], service, contents, now)
            named.setdefault(rollout, []).append(change)
            at = _changed_at(service) or now
            began[rollout] = min(at, began.get(rollout, at))
    return tuple(
        RebuiltRollout(id_, _spec(fleet, release, stores, changes), began[id_], tuple(changes))
        for id_, changes in sorted(named.items(), key=lambda item: _number(item[0]))
    )


def _number(rollout: str) -> int:
    digits = rollout.removeprefix("ro-")
    return int(digits) if digits.isascii() and digits.isdigit() and digits != rollout else 0


def _of_tags(
    store: Store, service: ServiceState, contents: Mapping[str, str], now: datetime
) -> Change:
    content, previous = service.tags.get(TAG_CONTENT, ""), service.tags.get(TAG_PREVIOUS, "")
    runs = service.task_definition
    there = contents.get(runs) == content
    newest = service.deployments[0] if service.deployments else None
    complete = newest is not None and newest.rollout_state == "COMPLETED"
    if not there:
        verdict, reason = Verdict.FAILED, "runs another revision than it was told to"
    elif complete:
        verdict, reason = Verdict.OK, "ECS says that its deployment is complete"
    else:
        verdict, reason = Verdict.DARK, "its deployment is not complete"
    return Change(
        store=store.id,
        service=service.name,
        account=store.account.name,
        region=store.region,
        cluster=store.cluster,
        wave=0,
        content=content,
        previous=previous,
        desired_count=service.desired,
        previous_count=service.desired,
        stage=Stage.SENT if there else Stage.UNDONE,
        verdict=verdict,
        reason=f"rebuilt from AWS: {reason}",
        since=now,
        sent_at=_changed_at(service),
        target=runs if there else "",
        sends=1,
    )


def _changed_at(service: ServiceState) -> datetime | None:
    return service.deployments[0].created_at if service.deployments else service.created_at


def _spec(
    fleet: Fleet, release: Release, stores: Mapping[str, Store], changes: Iterable[Change]
) -> RolloutSpec:
    rows = list(changes)
    hosts = {(s.store, s.service): s.hosts for s in release.services}
    ids = sorted({c.store for c in rows})
    names = sorted({c.service for c in rows})
    workloads = tuple(sorted({release.shapes[name].workload for name in names}))
    policies = {w.name: w.policy for w in fleet.workloads}
    policy = fleet.policies.get(policies.get(workloads[0], "standard"), Policy("standard"))
    return RolloutSpec(
        release=release.id,
        title=", ".join(workloads),
        workloads=workloads,
        selection="rebuilt from AWS",
        inventory=fleet.digest,
        policy=policy,
        waves=(WavePlan("all", tuple(sorted({c.store for c in rows if c.wave == 0}))),),
        shapes={name: release.shapes[name] for name in names},
        task_definitions=_definitions(release, rows),
        places={
            id_: place_of(
                stores[id_],
                {c.service: hosts.get(c.key, ()) for c in rows if c.store == id_},
            )
            for id_ in ids
        },
        freezes=fleet.freezes,
    )


def _definitions(release: Release, rows: Iterable[Change]) -> dict[str, TaskDefinition]:
    """Return the known task definitions; undoing does not need the body of an older release."""
    known = release.task_definitions
    return {
        c.content: known.get(c.content) or TaskDefinition(c.service, c.content, {"family": ""})
        for c in rows
    }
