"""Puts what is recorded of a store in the order in which it happened."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import zip_longest

from fleet.model.audit_words import change_words, told_by_run
from fleet.model.drift import Connection, Spell, StoreState
from fleet.model.history import AuditEntry
from fleet.model.night import PastFinding, Scan
from fleet.model.rollout import RolloutEvent
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
    """A store's history from a time on, oldest first.

    Nights on which nothing changed are no moments: the store's state is told when it changes. What
    a run changed is one moment, when it began to, unless it is little.

    Args:
        scans: that looked at the store and came to their end, oldest first.
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
    if event.kind == "verdict" and event.data.get("service"):
        words = f"{event.data['service']} {event.data.get('verdict', '')}: {words}"
    return Moment(event.at, MomentKind.ROLLOUT, "", words, event.rollout)


def _audited(entries: tuple[AuditEntry, ...]) -> Moment:
    first = min(entries, key=lambda entry: entry.at)
    words = f"{change_words(entries)} by {first.caller_arn.rpartition('/')[2]}"
    host = first.host if len(entries) == 1 else ""
    return Moment(first.at, MomentKind.CHANGED, host, words, first.run_id)


#: Hosts of a shop ping every five minutes, each at its own time; one line lost is not lost twice.
ALIKE = timedelta(minutes=10)


def outages_of(spells: Mapping[str, Sequence[Spell]], since: datetime) -> tuple[Outage, ...]:
    """Outages that went on after a time, the latest first.

    Where all hosts of a store of several were dark at once, that is told as the store's own outage:
    it is the shop's line or power, not a box. A host's own one is told beside it where it went on
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
    """Whether a host's outage is the shop's, but for the time between two pings."""
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
    """The times that every host's dark spells have in common."""
    common: list[Outage] | None = None
    for host, mine in spells.items():
        dark = [one for one in _outages_of_host(host, mine) if one.connection is Connection.DARK]
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
                found.append(Outage("", Connection.DARK, since, until, seen))
    return found
