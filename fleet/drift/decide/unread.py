"""What could not be read, in as few lines as say it exactly, and what is not verified for it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from fleet.drift.decide.case import StoreCase
from fleet.drift.decide.deep import too_old
from fleet.model.drift import Background, Connection, ShardSeen, Unread
from fleet.model.inventory import Lifecycle
from fleet.model.observed import NotRead

#: What to type to find out why.
DOCTOR = "fleet doctor"
_SHARD = (
    ("clusters", "ECS clusters", True),
    ("nodes", "SSM nodes", True),
    ("tagged", "SSM tags of nodes", True),
    ("activations", "SSM activations", False),
    ("tier", "SSM tier", False),
    ("cluster_count", "number of ECS clusters", False),
)


def unread_of(
    shards: Sequence[ShardSeen], cases: Mapping[str, StoreCase], background: Background
) -> tuple[tuple[Unread, ...], frozenset[str]]:
    """What was not read, and the ids of the open stores that are not verified because of it."""
    found: list[Unread] = []
    touched: set[str] = set()
    if isinstance(background.release, NotRead):
        ids = {store for store, case in cases.items() if _counts(case)}
        touched |= ids
        why = background.release.why
        found.append(Unread("", "", "", "committed release", why, len(ids), "fleet validate"))
    for shard in shards:
        mine = [cases[store] for store in shard.stores if store in cases]
        found += _of_shard(shard, mine, touched)
        found += _of_stores(shard, mine, touched)
    return tuple(found), frozenset(touched)


def _counts(case: StoreCase) -> bool:
    return case.store.lifecycle is Lifecycle.OPEN


def _of_shard(shard: ShardSeen, cases: Sequence[StoreCase], touched: set[str]) -> list[Unread]:
    """The parts that all stores share; those with one and the same reason are one line."""
    parts: dict[str, list[str]] = defaultdict(list)
    needed: set[str] = set()
    for name, words, is_needed in _SHARD:
        part = getattr(shard, name)
        if isinstance(part, NotRead):
            parts[part.why].append(words)
            if is_needed:
                needed.add(part.why)
    ids = {case.store.id for case in cases if _counts(case)}
    if needed:
        touched |= ids
    return [
        Unread(
            shard.account,
            shard.region,
            "",
            ", ".join(words),
            why,
            len(ids) if why in needed else 0,
            DOCTOR,
        )
        for why, words in parts.items()
    ]


def _of_stores(shard: ShardSeen, cases: Sequence[StoreCase], touched: set[str]) -> list[Unread]:
    """The parts of single stores; one line for all of them where none was read, and alike."""
    # Without its clusters no store is read, for the same reason, which is told once.
    told = shard.clusters.why if isinstance(shard.clusters, NotRead) else None
    lines: dict[tuple[str, str], list[StoreCase]] = defaultdict(list)
    for case in cases:
        parts: dict[str, list[str]] = defaultdict(list)
        for words, why in _parts(case):
            if why != told:
                parts[why].append(words)
        for why, many in parts.items():
            lines[", ".join(many), why].append(case)
        if parts and _counts(case):
            touched.add(case.store.id)
    found = []
    for (words, why), those in lines.items():
        if len(those) > 1 and len(those) == len(cases):
            count = sum(map(_counts, those))
            found.append(Unread(shard.account, shard.region, "", words, why, count, DOCTOR))
            continue
        found += [
            Unread(shard.account, shard.region, c.store.id, words, why, int(_counts(c)), DOCTOR)
            for c in those
        ]
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
        # A host that is away cannot be asked; that it is away is told as itself.
        if host is None or _is_away(host.connection):
            continue
        if isinstance(probe, NotRead):
            found.append((f"host {name}", probe.why))
        elif too_old(probe, seen.tasks):
            words = "its store's tasks were read too long before it was asked to be compared"
            found.append((f"containers of host {name}", words))
    return found


def _is_away(spell: object) -> bool:
    return getattr(spell, "connection", Connection.CONNECTED) is not Connection.CONNECTED
