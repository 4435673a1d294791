"""How hosts were connected over the nights: each one's spells, and shares of groups of stores."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from fleet.model.drift import Connection, HostMemory, Spell, StoreState
from fleet.model.inventory import Host, Lifecycle, Store
from fleet.model.night import Availability, Scan

#: The label of the inventory that says in which market a store is.
MARKET = "market"
#: States of a store whose hosts are not counted in a night: nobody knows, or nobody asks.
_NOT_KNOWN = frozenset({StoreState.NOT_VERIFIED, StoreState.NOT_COUNTED, None})

#: Store id and host name.
HostKey = tuple[str, str]
Spells = Mapping[HostKey, tuple[Spell, ...]]
#: Market, hardware and link of a host, by what ``Availability.kind`` calls them.
_Group = tuple[tuple[str, str], ...]


def spells_of(
    memory: Mapping[HostKey, HostMemory],
    connections: Mapping[HostKey, Spell],
    hosts: Collection[HostKey],
) -> Spells:
    """What is remembered of each host with what was seen now; hosts never seen are missing."""
    found = {}
    for key in hosts:
        before = memory[key].spells if key in memory else ()
        spells = with_spell(before, connections[key]) if key in connections else before
        if spells:
            found[key] = spells
    return found


def with_spell(spells: tuple[Spell, ...], now: Spell) -> tuple[Spell, ...]:
    """Spells, oldest first, with one that was seen now: the last of them goes on, or one begins.

    One that was seen before the last was, by a scan that was slower, changes nothing.
    """
    if not spells:
        return (now,)
    *before, last = spells
    if now.last_seen < last.last_seen:
        return spells
    if last.goes_on_as(now):
        return (*before, replace(last, last_seen=now.last_seen))
    return (*spells, replace(now, since=max(now.since, last.since)))


def unsteady_spells(spells: Spells, nights: Sequence[Scan]) -> Spells:
    """The spells in the nights' time of those hosts that were not connected all through them."""
    begin = nights[0].started_at
    shown = {}
    for key, known in spells.items():
        recent = tuple(spell for spell, end in _with_ends(known) if end >= begin)
        if any(spell.is_away for spell in recent):
            shown[key] = recent
    return shown


def availability_of(
    scope: Sequence[Store], nights: Sequence[Scan], spells: Spells
) -> tuple[Availability, ...]:
    """By market, hardware and link, the share of hosts that were connected in each night.

    SSM and ECS both have to have a host for that. A host counts in a night when its store was
    verified and it is known how the host was connected; a group of which no host counts has None.
    Stores without a market are in no group of that kind.
    """
    tally: dict[_Group, list[list[int]]] = {}
    stores: dict[tuple[str, str], set[str]] = defaultdict(set)
    for store in scope:
        if store.lifecycle is not Lifecycle.OPEN:
            continue
        counted = [night.states.get(store.id) not in _NOT_KNOWN for night in nights]
        for host in store.hosts:
            groups = _groups(store, host)
            for group in groups:
                stores[group].add(store.id)
            known = spells.get((store.id, host.name), ())
            _count(tally.setdefault(groups, [[0, 0] for _ in nights]), known, nights, counted)
    found = {group: [[0, 0] for _ in nights] for group in stores}
    for groups, nightly in tally.items():
        for group in groups:
            for total, (connected, of) in zip(found[group], nightly, strict=True):
                total[0] += connected
                total[1] += of
    return tuple(
        Availability(
            kind,
            name,
            len(stores[kind, name]),
            tuple(connected / of if of else None for connected, of in found[kind, name]),
        )
        for kind, name in sorted(found)
    )


def _groups(store: Store, host: Host) -> _Group:
    market = store.labels.get(MARKET)
    of_market = ((MARKET, market),) if market else ()
    return (*of_market, ("hardware", host.hardware.name), ("link", store.link.kind))


def _count(
    tally: list[list[int]],
    spells: tuple[Spell, ...],
    nights: Sequence[Scan],
    counted: Sequence[bool],
) -> None:
    """Add one host to its group's (connected, known) of every night that it counts in."""
    ends = list(_with_ends(spells))
    place = -1
    for number, night in enumerate(nights):
        until = night.finished_at or night.started_at
        while place + 1 < len(ends) and ends[place + 1][0].since <= until:
            place += 1
        if place < 0 or not counted[number]:
            continue
        spell, end = ends[place]
        if end >= night.started_at:
            tally[number][0] += spell.connection is Connection.CONNECTED
            tally[number][1] += 1


def _with_ends(spells: tuple[Spell, ...]) -> Iterator[tuple[Spell, datetime]]:
    """Each with its end: when the next began; of the last, only as far as it was seen."""
    for spell, later in pairwise(spells):
        yield spell, max(spell.last_seen, later.since)
    if spells:
        yield spells[-1], spells[-1].last_seen
