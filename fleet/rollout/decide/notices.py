"""Decides which events of rollouts are told to which channels. A kind of event is one row."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from fleet.model.changes import Change
from fleet.model.drift_settings import Severity
from fleet.model.notices import Notice, NoticeKind
from fleet.model.notify import Channel, When
from fleet.model.printable import many, some
from fleet.model.rollout import EventKind, Phase, RolloutEvent

#: Events that are older are not told any more.
TOO_OLD = timedelta(days=1)
#: A release that is owed for longer is told once.
OWED_TOO_LONG = timedelta(days=1)


STARTED = NoticeKind("started", Severity.INFO, once="started")
OWED = NoticeKind("is owed for too long", Severity.LOW, once="owed")
#: By kind of event and, for a change of phase, the phase.
ROWS: Mapping[tuple[EventKind, str], NoticeKind] = {
    (EventKind.WAVE, ""): STARTED,
    (EventKind.PHASE, Phase.HALTED): NoticeKind("HALTED", Severity.HIGH),
    (EventKind.PHASE, Phase.PAUSED): NoticeKind("PAUSED", Severity.HIGH),
    (EventKind.PHASE, Phase.AWAITING): NoticeKind("asks for promote", Severity.HIGH),
    (EventKind.PHASE, Phase.ROLLING_BACK): NoticeKind("rolls back", Severity.HIGH),
    (EventKind.PHASE, Phase.ROLLED_BACK): NoticeKind("rolled back", Severity.INFO),
    (EventKind.PHASE, Phase.ABORTED): NoticeKind("aborted", Severity.MEDIUM),
    (EventKind.PHASE, Phase.DONE): NoticeKind("done", Severity.INFO),
    (EventKind.RECALL, ""): NoticeKind("RECALLED", Severity.HIGH),
}
KINDS = frozenset(kind for kind, _phase in ROWS)


def notices_of(events: Iterable[RolloutEvent]) -> Iterator[Notice]:
    """Yield what is to be told of events."""
    for event in events:
        phase = str(event.data.get("phase", "")) if event.kind is EventKind.PHASE else ""
        kind = ROWS.get((event.kind, phase))
        if kind is not None:
            yield Notice(event.rollout, kind.once or str(event.id), kind, event.at, event.text)


def owed_notices(owed: Iterable[tuple[str, Change]], now: datetime) -> Iterator[Notice]:
    """Yield what is to be told of rollouts that stores have owed for too long.

    Args:
        owed: ids of rollouts and changes, of those that are done.
    """
    late: dict[str, list[Change]] = {}
    for rollout, change in owed:
        if change.since is not None and now - change.since >= OWED_TOO_LONG:
            late.setdefault(rollout, []).append(change)
    for rollout, changes in late.items():
        stores = list(dict.fromkeys(change.store for change in changes))
        since = min(change.since for change in changes if change.since is not None)
        words = f"owed by {many(len(stores), 'store')} for over a day: {some(stores)}"
        yield Notice(rollout, OWED.once, OWED, since, words)


def is_told(channel: Channel, kind: NoticeKind) -> bool:
    """Return whether a channel wants to know: by its ``least``, and good news where always."""
    if kind.severity is Severity.INFO:
        return channel.when is When.ALWAYS
    return kind.severity.rank >= channel.least.rank


def untold(
    notices: Iterable[Notice], channels: Collection[Channel], sent: Collection[tuple[str, str, str]]
) -> Iterator[tuple[Channel, Notice]]:
    """Yield what each channel is still to be told, each thing once."""
    seen = set(sent)
    for notice in notices:
        for channel in channels:
            key = notice.rollout, channel.name, notice.key
            if key not in seen and is_told(channel, notice.kind):
                seen.add(key)
                yield channel, notice
