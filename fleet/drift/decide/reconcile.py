"""Applies every rule to what a scan read, and says what was not read.

The order of the rules matters only where one finding explains others: of a store without a cluster,
nothing else is reported.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from fleet.drift.decide import (
    account,
    capacity,
    declared,
    disconnected,
    leftovers,
    probed_hosts,
    recalls,
    registration,
    releases,
    returned_stores,
    services,
    tasks,
)
from fleet.drift.decide import host_codes as codes
from fleet.drift.decide.disconnected import Carriers
from fleet.drift.decide.store_case import Ledgers, ShardCase, StoreCase, case_of, hosts_by_id
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
from fleet.model.observed import NotRead
from fleet.model.wanted import Wanted

#: Rules about one store by itself.
STORE_RULES = (
    registration.still_registered,
    declared.of_store,
    declared.old_versions,
    services.of_services,
    releases.of_releases,
    tasks.of_digests,
    capacity.of_capacity,
    probed_hosts.of_hosts,
)
#: Rules about an account and region.
SHARD_RULES = (
    account.of_activations,
    account.of_tier,
    account.of_clusters,
    account.of_revisions,
    leftovers.foreign_nodes,
)
#: The command that tells why something cannot be read.
DOCTOR = "fleet doctor"
#: Parts of a shard: attribute, words, and whether stores are not verified without it.
_SHARD_PARTS = (
    ("clusters", "ECS clusters", True),
    ("nodes", "SSM nodes", True),
    ("tagged", "SSM tags of nodes", True),
    ("activations", "SSM activations", False),
    ("tier", "SSM tier", False),
    ("cluster_count", "number of ECS clusters", False),
)


def reconcile(
    fleet: Fleet,
    shards: Sequence[ShardSeen],
    wanted: Mapping[str, Wanted],
    background: Background,
) -> Reconciled:
    """Return everything that differs, in an order that does not depend on the order of reading.

    Args:
        shards: what was read, an account and region each; their stores are the scope.
        wanted: by store id; stores in it that no shard has were not read at all.
    """
    stores = {store.id: store for store in fleet.stores}
    hosts = hosts_by_id(fleet)
    all_ledgers = [Ledgers(shard, hosts) for shard in sorted(shards, key=_place)]
    cases: dict[str, StoreCase] = {}
    ledgers_of: dict[str, Ledgers] = {}
    for ledgers in all_ledgers:
        for id_ in sorted(ledgers.shard.stores.keys() & stores.keys()):
            cases[id_] = case_of(stores[id_], wanted.get(id_), ledgers, background)
            ledgers_of[id_] = ledgers
    carriers = Carriers((case, disconnected.dark_since(case)) for case in cases.values())
    found: list[Finding] = []
    for id_, case in cases.items():
        found += _of_store(case, ledgers_of[id_], carriers)
    found += leftovers.clones(cases, all_ledgers)
    found += carriers.findings(background)
    found += releases.of_stop(background)
    found += releases.of_waiting(background)
    found += releases.of_idle(background)
    for ledgers in all_ledgers:
        shard_case = ShardCase(fleet, ledgers, background)
        found += [finding for rule in SHARD_RULES for finding in rule(shard_case)]
    unread, touched = unread_of([one.shard for one in all_ledgers], cases, background)
    found += recalls.of_recalled(found, fleet, background, cases.keys(), touched)
    missing = [stores[id_] for id_ in sorted(wanted) if id_ in stores and id_ not in cases]
    return Reconciled(
        findings=tuple(sorted(found, key=_order)),
        unread=(*unread, *map(_not_scanned, missing)),
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
            back for case in cases.values() if (back := returned_stores.returned(case)) is not None
        ),
    )


def _place(shard: ShardSeen) -> tuple[str, str]:
    return shard.account, shard.region


def _of_store(case: StoreCase, ledgers: Ledgers, carriers: Carriers) -> list[Finding]:
    missing = registration.cluster_missing(case)
    if missing is not None:
        return [missing]
    return [
        *registration.of_hosts(case, ledgers),
        *disconnected.of_store(case, carriers),
        *leftovers.of_store(case, ledgers),
        *(finding for rule in STORE_RULES for finding in rule(case)),
    ]


def _order(finding: Finding) -> tuple[int, tuple[str, ...]]:
    return -finding.severity.rank, finding.listed_by


def _states(
    cases: Iterable[StoreCase], found: Iterable[Finding], touched: frozenset[str]
) -> dict[str, StoreState]:
    """Return a word per store. That it is dark was read, even if other parts of it were not."""
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
            state = StoreState(worst[id_].value) if id_ in worst else StoreState.OK
        states[id_] = _counted(case.store, state)
    return states


def _counted(store: Store, state: StoreState) -> StoreState:
    return state if store.lifecycle is Lifecycle.OPEN else StoreState.NOT_COUNTED


def _not_scanned(store: Store) -> Unread:
    return Unread(
        store.account.name,
        store.region,
        store.id,
        "everything",
        "the store was not looked at",
        int(store.lifecycle is Lifecycle.OPEN),
        f"fleet drift {store.id}",
    )


def unread_of(
    shards: Sequence[ShardSeen], cases: Mapping[str, StoreCase], background: Background
) -> tuple[tuple[Unread, ...], frozenset[str]]:
    """Return what was not read, and the ids of the open stores that are not verified without it."""
    found: list[Unread] = []
    touched: set[str] = set()
    if isinstance(background.release, NotRead):
        ids = {store for store, case in cases.items() if case.is_open}
        touched |= ids
        why = background.release.why
        found.append(Unread("", "", "", "committed release", why, len(ids), "fleet validate"))
    for shard in shards:
        mine = [cases[store] for store in shard.stores if store in cases]
        found += _unread_of_shard(shard, mine, touched)
        found += _unread_of_stores(shard, mine, touched)
    return tuple(found), frozenset(touched)


def _unread_of_shard(
    shard: ShardSeen, cases: Sequence[StoreCase], touched: set[str]
) -> list[Unread]:
    """Return the parts that all stores share; those with the same reason are one line."""
    parts: dict[str, list[str]] = defaultdict(list)
    needed: set[str] = set()
    for name, words, is_needed in _SHARD_PARTS:
        part = getattr(shard, name)
        if isinstance(part, NotRead):
            parts[part.why].append(words)
            if is_needed:
                needed.add(part.why)
    ids = {case.store.id for case in cases if case.is_open}
    if needed:
        touched |= ids
    return [
        Unread(*_place(shard), "", ", ".join(words), why, len(ids) * (why in needed), DOCTOR)
        for why, words in parts.items()
    ]


def _unread_of_stores(
    shard: ShardSeen, cases: Sequence[StoreCase], touched: set[str]
) -> list[Unread]:
    """Return the parts of single stores; one line for all where none was read, and alike."""
    # Without its clusters no store is read, for the same reason, which is reported once.
    told = shard.clusters.why if isinstance(shard.clusters, NotRead) else None
    lines: dict[tuple[str, str], list[StoreCase]] = defaultdict(list)
    for case in cases:
        parts: dict[str, list[str]] = defaultdict(list)
        for words, why in _parts(case):
            if why != told:
                parts[why].append(words)
        for why, many in parts.items():
            lines[", ".join(many), why].append(case)
        if parts and case.is_open:
            touched.add(case.store.id)
    found = []
    for (words, why), those in lines.items():
        if len(those) > 1 and len(those) == len(cases):
            rows = [("", sum(case.is_open for case in those))]
        else:
            rows = [(case.store.id, int(case.is_open)) for case in those]
        found += [Unread(*_place(shard), store, words, why, count, DOCTOR) for store, count in rows]
    return found


def _parts(case: StoreCase) -> list[tuple[str, str]]:
    seen = case.seen
    found = [
        (words, part.why)
        for words, part in (
            ("ECS container instances", seen.instances),
            ("ECS services", seen.services),
            ("ECS tasks", seen.tasks),
            ("second look at ECS agents that are away", seen.again),
        )
        if isinstance(part, NotRead)
    ]
    for name, probe in sorted(seen.probes.items()):
        host = case.hosts.get(name)
        # A host that is disconnected cannot be asked, and is reported as that.
        if host is None or host.is_switched_off:
            continue
        if host.connection is not None and host.connection.is_away:
            continue
        if isinstance(probe, NotRead):
            found.append((f"host {name}", probe.why))
        elif probed_hosts.too_old(probe, seen.tasks):
            words = "its store's tasks were read too long before it was asked to be compared"
            found.append((f"containers of host {name}", words))
    return found
