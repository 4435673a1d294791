"""The table of rules: what a scan saw, beside what is wanted and what is remembered -> findings.

Each pair of ledgers has its module. Their order matters only where one finding explains others: a
store without a cluster is told as that and as nothing else.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from fleet.drift.decide import (
    activations,
    capacity,
    connectivity,
    deep,
    digests,
    identity,
    quotas,
    registration,
    releases,
    returns,
    services,
    strangers,
    tags,
)
from fleet.drift.decide import agent_versions as versions
from fleet.drift.decide import host_codes as codes
from fleet.drift.decide.carriers import Carriers
from fleet.drift.decide.case import StoreCase
from fleet.drift.decide.join import Ledgers, case_of, hosts_by_id
from fleet.drift.decide.shard_case import ShardCase
from fleet.drift.decide.unread import unread_of
from fleet.model.drift import (
    Background,
    Finding,
    Reconciled,
    ShardSeen,
    StoreState,
    Unread,
)
from fleet.model.drift_settings import Severity
from fleet.model.inventory import Fleet, Lifecycle, Store
from fleet.model.wanted import Wanted

#: Rules about one store's services, tasks, room and hosts that were asked.
SERVICE_RULES: tuple[Callable[[StoreCase], list[Finding]], ...] = (
    services.of_services,
    releases.of_releases,
    digests.of_digests,
    capacity.of_capacity,
    deep.of_hosts,
)

_STATES = {
    Severity.INFO: StoreState.INFO,
    Severity.LOW: StoreState.LOW,
    Severity.MEDIUM: StoreState.MEDIUM,
    Severity.HIGH: StoreState.HIGH,
}


def reconcile(
    fleet: Fleet,
    shards: Sequence[ShardSeen],
    wanted: Mapping[str, Wanted],
    background: Background,
) -> Reconciled:
    """Everything that differs, in an order that does not depend on the order of what was read.

    Args:
        shards: what was read, an account and region each; their stores are the scope.
        wanted: by store id; stores in it that no shard has were not looked at.
    """
    stores = {store.id: store for store in fleet.stores}
    hosts = hosts_by_id(fleet)
    ledgers = [Ledgers(shard, hosts) for shard in sorted(shards, key=_place)]
    cases = {
        store_id: case_of(stores[store_id], wanted.get(store_id), one, background)
        for one in ledgers
        for store_id in sorted(one.shard.stores)
        if store_id in stores
    }
    by_shard = {_place(one.shard): one for one in ledgers}
    carriers = Carriers((case, connectivity.dark_since(case)) for case in cases.values())
    found: list[Finding] = []
    for case in cases.values():
        found += _of_store(case, by_shard[_place(case.shard)], carriers)
    found += identity.clones(cases, ledgers)
    found += carriers.findings(background)
    found += releases.of_idle(background)
    for one in ledgers:
        found += _of_shard(ShardCase(fleet, one, background))
    unread, touched = unread_of([one.shard for one in ledgers], cases, background)
    missing = [stores[id_] for id_ in sorted(wanted) if id_ in stores and id_ not in cases]
    return Reconciled(
        findings=tuple(sorted(found, key=_order)),
        unread=(*unread, *map(_not_looked_at, missing)),
        connections={
            (case.store.id, name): host.connection
            for case in cases.values()
            for name, host in case.hosts.items()
            if host.connection is not None
        },
        states={
            **_states(cases.values(), found, touched),
            **{store.id: _counted(store, StoreState.NOT_VERIFIED) for store in missing},
        },
        returned=tuple(
            back for case in cases.values() if (back := returns.returned(case)) is not None
        ),
    )


def _place(shard: ShardSeen) -> tuple[str, str]:
    return shard.account, shard.region


def _of_store(case: StoreCase, ledgers: Ledgers, carriers: Carriers) -> list[Finding]:
    missing = registration.cluster_missing(case)
    if missing is not None:
        return [missing]
    left = registration.still_registered(case)
    return [
        *([left] if left is not None else ()),
        *registration.of_hosts(case, ledgers),
        *connectivity.of_store(case, carriers),
        *identity.of_store(case),
        *strangers.of_store(case, ledgers),
        *tags.of_store(case),
        *versions.of_store(case),
        *(finding for rule in SERVICE_RULES for finding in rule(case)),
    ]


def _of_shard(case: ShardCase) -> list[Finding]:
    return [
        *activations.of_shard(case),
        *quotas.of_shard(case),
        *strangers.of_shard(case),
        *releases.of_revisions(case.fleet, case.shard, case.background),
    ]


def _order(finding: Finding) -> tuple[int, tuple[str, ...]]:
    return -finding.severity.rank, finding.listed_by


def _not_looked_at(store: Store) -> Unread:
    return Unread(
        store.account.name,
        store.region,
        store.id,
        "everything",
        "the store was not looked at",
        int(store.lifecycle is Lifecycle.OPEN),
        f"fleet drift {store.id}",
    )


def _states(
    cases: Iterable[StoreCase], found: Iterable[Finding], touched: frozenset[str]
) -> dict[str, StoreState]:
    """A word per store. That it is dark was read, even where other parts of it were not."""
    worst: dict[str, Severity] = {}
    dark: set[str] = set()
    for finding in found:
        before = worst.get(finding.store)
        if before is None or finding.severity.rank > before.rank:
            worst[finding.store] = finding.severity
        if finding.code == codes.SITE_DARK.code:
            dark.add(finding.store)
    states = {}
    for case in cases:
        id_ = case.store.id
        if id_ in dark:
            state = StoreState.DARK
        elif id_ in touched:
            state = StoreState.NOT_VERIFIED
        else:
            state = _STATES[worst[id_]] if id_ in worst else StoreState.OK
        states[id_] = _counted(case.store, state)
    return states


def _counted(store: Store, state: StoreState) -> StoreState:
    return state if store.lifecycle is Lifecycle.OPEN else StoreState.NOT_COUNTED
