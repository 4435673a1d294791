"""Puts what is recorded of a store in the order in which it happened."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from fleet.model.audit_words import change_words, told_by_run
from fleet.model.drift import StoreState
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
