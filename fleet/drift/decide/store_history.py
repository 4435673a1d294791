"""Tells the history of stores: events in order, outages, and the availability of hosts."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise, zip_longest

from fleet.model.audit_words import change_words, told_by_run
from fleet.model.drift import HostConnection, HostMemory, Spell, StoreState
from fleet.model.history import AuditEntry
from fleet.model.inventory import Host, Lifecycle, Store
from fleet.model.rollout import RolloutEvent
from fleet.model.scan_result import Availability, PastFinding, Scan
from fleet.model.store_story import Moment, MomentKind, Outage


def moments_of(  # noqa: PLR0917 - the sources of a history
    store: str,
    since: datetime,
    scans: Sequence[Scan],
    outages: Iterable[Outage],
    findings: Iterable[PastFinding],
    events: Iterable[RolloutEvent],
    audit: Iterable[AuditEntry],
) -> tuple[Moment, ...]:
    """Return a store's history from a time on, oldest first.

    The store's state is a moment when it changes. What a run changed is one moment, when it began,
    unless it is little.

    Args:
        scans: finished ones that scanned the store, oldest first.
    """
    found = [
        *_states(store, scans),
        *(moment for outage in outages for moment in _outage(outage)),
        *(moment for past in findings for moment in _finding(past)),
        *map(_event, events),
        *map(_audited, told_by_run(audit)),
    ]
    return tuple(
        sorted(
            (moment for moment in found if moment.at >= since),
            key=lambda one: (one.at, _ORDER[one.kind], one.host, one.words),
        )
    )


_ORDER = {kind: number for number, kind in enumerate(MomentKind)}


def _states(store: str, scans: Sequence[Scan]) -> Iterator[Moment]:
    before: StoreState | None = None
    for scan in scans:
        state = scan.states.get(store)
        if state is None or state is before:
            continue
        words = state.value if before is None else f"{state.value}, was {before.value}"
        yield Moment(scan.started_at, MomentKind.STATE, "", words, scan.id)
        before = state


def _outage(outage: Outage) -> Iterator[Moment]:
    of = "" if outage.host else "all hosts at once: "
    words = f"{of}{outage.connection.value}"
    yield Moment(outage.since, MomentKind.OUTAGE, outage.host, words)
    if outage.until is not None:
        yield Moment(
            outage.until, MomentKind.BACK, outage.host, f"{of}no longer {words[len(of) :]}"
        )


def _finding(past: PastFinding) -> Iterator[Moment]:
    finding = past.finding
    what = " ".join(filter(None, (finding.code, finding.subject)))
    words = f"{what} {finding.severity.value}: {finding.cause}"
    yield Moment(past.first_seen, MomentKind.FOUND, finding.host, words)
    if past.resolved_at is not None:
        yield Moment(past.resolved_at, MomentKind.RESOLVED, finding.host, what)


def _event(event: RolloutEvent) -> Moment:
    words = event.text
    if event.verdict is not None and event.service:
        words = f"{event.service} {event.verdict}: {words}"
    return Moment(event.at, MomentKind.ROLLOUT, "", words, event.rollout)


def _audited(entries: tuple[AuditEntry, ...]) -> Moment:
    first = min(entries, key=lambda entry: entry.at)
    words = f"{change_words(entries)} by {first.caller_arn.rpartition('/')[2]}"
    host = first.host if len(entries) == 1 else ""
    return Moment(first.at, MomentKind.CHANGED, host, words, first.run_id)


#: Hosts of a shop ping every five minutes, each at its own time; one line lost is not lost twice.
ALIKE = timedelta(minutes=10)


def outages_of(spells: Mapping[str, Sequence[Spell]], since: datetime) -> tuple[Outage, ...]:
    """Return the outages that lasted beyond a time, the latest first.

    Where all hosts of a store of several were dark at once, that is the store's own outage: its
    line or power, not a box. A host's outage is returned beside it where it went on
    for longer.

    Args:
        spells: by host name, oldest first each. A spell goes on until the next one begins, but not
            where that is of the same kind: the host was back between the two, unseen.
    """
    found = [outage for host, mine in spells.items() for outage in _outages_of_host(host, mine)]
    if len(spells) > 1:
        shop = _of_all(spells)
        found = [one for one in found if not any(_is_told_by(one, whole) for whole in shop)] + shop
    recent = [outage for outage in found if outage.until is None or outage.until > since]
    return tuple(sorted(recent, key=lambda one: (one.since, one.host), reverse=True))


def _is_told_by(one: Outage, shop: Outage) -> bool:
    """Tell whether a host's outage is the shop's, except for the time between two pings."""
    if one.connection is not shop.connection or (one.until is None) is not (shop.until is None):
        return False
    late = (one.until - shop.until) if one.until and shop.until else timedelta(0)
    return abs(one.since - shop.since) <= ALIKE and abs(late) <= ALIKE


def _outages_of_host(host: str, spells: Sequence[Spell]) -> list[Outage]:
    return [
        Outage(host, spell.connection, spell.since, _end(spell, then), spell.last_seen)
        for spell, then in zip_longest(spells, spells[1:])
        if spell.is_away
    ]


def _end(spell: Spell, then: Spell | None) -> datetime | None:
    if then is None:
        return None
    return spell.last_seen if then.connection is spell.connection else then.since


def _of_all(spells: Mapping[str, Sequence[Spell]]) -> list[Outage]:
    """Return the times that every host's dark spells have in common."""
    common: list[Outage] | None = None
    for host, mine in spells.items():
        dark = [
            one for one in _outages_of_host(host, mine) if one.connection is HostConnection.DARK
        ]
        dark = [replace(one, host="") for one in dark]
        common = dark if common is None else _both(common, dark)
    return common or []


def _both(left: Sequence[Outage], right: Sequence[Outage]) -> list[Outage]:
    found = []
    for one in left:
        for other in right:
            since = max(one.since, other.since)
            ends = [end for end in (one.until, other.until) if end is not None]
            until = min(ends, default=None)
            if until is None or since < until:
                seen = max(since, min(one.last_seen, other.last_seen))
                found.append(Outage("", HostConnection.DARK, since, until, seen))
    return found


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
    """Return the recorded spells of each host with the present one, where there are any."""
    found = {}
    for key in hosts:
        before = memory[key].spells if key in memory else ()
        spells = with_spell(before, connections[key]) if key in connections else before
        if spells:
            found[key] = spells
    return found


def with_spell(spells: tuple[Spell, ...], now: Spell) -> tuple[Spell, ...]:
    """Add a spell that was seen now: the last one goes on, or a new one begins.

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
    """Return the spells of the nights shown, of hosts that were not connected all the time."""
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
    """Return by market, hardware and link the share of hosts connected in each night.

    SSM and ECS both have to have a host for that. A host counts in a night when its store was
    verified and it is known how the host was connected; a group of which no host counts has None.
    Stores without a market are in no group of that kind.
    """
    tally: dict[_Group, list[list[int]]] = {}
    stores: dict[tuple[str, str], set[str]] = defaultdict(set)
    for store in scope:
        if store.lifecycle is not Lifecycle.OPEN:
            continue
        counted = [result.states.get(store.id) not in _NOT_KNOWN for result in nights]
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
    """Add one host to its group's (connected, known) in every night that it counts in."""
    ends = list(_with_ends(spells))
    place = -1
    for number, result in enumerate(nights):
        until = result.finished_at or result.started_at
        while place + 1 < len(ends) and ends[place + 1][0].since <= until:
            place += 1
        if place < 0 or not counted[number]:
            continue
        spell, end = ends[place]
        if end >= result.started_at and spell.connection is not HostConnection.POWERED_OFF:
            tally[number][0] += spell.connection is HostConnection.CONNECTED
            tally[number][1] += 1


def _with_ends(spells: tuple[Spell, ...]) -> Iterator[tuple[Spell, datetime]]:
    """Return each with its end: when the next began, or when the last one was last seen."""
    for spell, later in pairwise(spells):
        yield spell, max(spell.last_seen, later.since)
    if spells:
        yield spells[-1], spells[-1].last_seen
