"""Draws rollouts in short: the list of all, and the last words of a command that ran one."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.model.changes import Change, by_store
from fleet.model.history import RolloutSummary
from fleet.model.overview import Overview
from fleet.model.printable import many, some, who
from fleet.model.rollout import Phase
from fleet.model.services import revision
from fleet.model.spans import clock, exact_moment, span
from fleet.model.stop import Stop
from fleet.model.verdicts import WORST, Stage, Verdict
from fleet.rollout.view.lines import gate_view
from fleet.rollout.view.rollout import accepted_failures, next_view, tally
from fleet.rollout.view.stop import stop_view
from fleet.rollout.view.watched import watch_words
from fleet.terminal.screen import GAP, labelled, table

#: Failed stores that are shown with their reason.
FAILED_SHOWN = 5

#: What a phase means for what is sent from now on.
_MEANS = {
    Phase.RUNNING: "goes on when somebody ticks it",
    Phase.ROLLING_BACK: "goes on rolling back when somebody ticks it",
    Phase.PAUSED: "nothing further will be sent",
    Phase.HALTED: "nothing further will be sent",
    Phase.AWAITING: "the canary passed; nothing further is sent before `promote`",
    Phase.DONE: "every wave has passed",
    Phase.ABORTED: "nothing further will be sent, what was sent stays",
    Phase.REBUILT: "which stores were to get it is not known, so nothing counts as owed",
    Phase.ROLLED_BACK: "every store that was sent it is back at what it ran before",
}


def summary_view(overview: Overview, width: int, *, gate_was_told: bool = False) -> RenderableType:
    """Draw phase, counts, what runs where, failed and owed stores, and what to type next.

    Args:
        gate_was_told: whether the lines before it have the arithmetic of the gate already.
    """
    rollout = overview.rollout
    why = f" ({rollout.why})" if rollout.why else ""
    until = rollout.finished_at or overview.at
    took = span((until - rollout.started_at).total_seconds())
    parts: list[RenderableType] = stop_view(overview.stop, overview.at)
    stopped = rollout.phase in {Phase.HALTED, Phase.PAUSED}
    if overview.gate is not None and stopped and not gate_was_told:
        parts.append(gate_view(overview.gate, rollout.wave_name, width))
    parts += [
        labelled(
            clock(overview.at), f"{rollout.id} {rollout.phase.value}{why}: {_means(overview)}"
        ),
        labelled("stores", f"{tally(overview)} in {took}"),
    ]
    parts += [
        labelled(" " * GAP, f"{service}  {words}") for service, words in running(overview.changes)
    ]
    parts += _failed(overview)
    watched = watch_words(overview)
    if watched and rollout.phase is Phase.DONE:
        parts.append(labelled("watched", watched))
    stores = list(by_store(overview.owed))
    if stores:
        parts.append(labelled("owed", f"by {many(len(stores), 'store')}: {some(stores)}"))
    return Group(*parts, next_view(overview, width))


def running(changes: Iterable[Change]) -> Sequence[tuple[str, str]]:
    """Count per service how many stores run what, as far as is known.

    A dark store is unknown: ECS may still do there what it was told before its link went down.
    """
    changes = tuple(changes)
    is_wide = len({(c.account, c.region) for c in changes}) > 1
    found: dict[str, Counter[str]] = {}
    unknown: dict[str, list[Change]] = {}
    for change in changes:
        runs = _runs(change)
        if runs is not None and is_wide:
            # Each account and region counts revisions by itself.
            runs = f"{change.account}/{change.region} {runs}"
        if runs is None:
            unknown.setdefault(change.service, []).append(change)
            found.setdefault(change.service, Counter())
        else:
            found.setdefault(change.service, Counter())[runs] += 1
    rows = []
    for service in sorted(found):
        words = [
            f"{what}: {many(number, 'store')}" for what, number in found[service].most_common()
        ]
        lost = unknown.get(service, [])
        if lost:
            names = some([f"{c.store} (before: {revision(c.previous)})" for c in lost])
            words.append(f"not known: {names}")
        rows.append((service, " · ".join(words)))
    return rows


def _runs(change: Change) -> str | None:
    """Return what a service runs now; None where nobody can say."""
    if change.verdict is Verdict.DARK or change.stage.is_call_open:
        return None
    if change.verdict is Verdict.OK and change.stage is Stage.SENT:
        return revision(change.target)
    if not change.sends or change.stage in {Stage.UNDONE, Stage.PLANNED}:
        return revision(change.previous)
    seen = change.observed.task_definition
    if not seen:
        return None
    failing = change.verdict is Verdict.FAILED and seen == change.target
    return f"{revision(seen)}, failing" if failing else revision(seen)


def _means(overview: Overview) -> str:
    """Say what its phase means for what is sent from now on, and for what was sent."""
    rollout = overview.rollout
    if overview.tickers and rollout.phase in {Phase.RUNNING, Phase.ROLLING_BACK}:
        return "goes on"
    if rollout.phase is Phase.DONE:
        taken = accepted_failures(overview.changes)
        if taken:
            return f"every wave was sent, {many(len(taken), 'failure')} accepted"
    if rollout.phase is Phase.ROLLED_BACK:
        left = len(by_store(c for c in overview.changes if c.is_not_set_back))
        if left:
            return f"{many(left, 'store')} could not be set back"
    return _MEANS[rollout.phase]


def _failed(overview: Overview) -> list[RenderableType]:
    bad = [c for c in overview.changes if c.standing.needs_person and not c.owes]
    parts: list[RenderableType] = [
        labelled(c.standing.value, f"{c.store} {c.service}: {c.reason}", "red")
        for c in bad[:FAILED_SHOWN]
    ]
    if len(bad) > FAILED_SHOWN:
        more, status = len(bad) - FAILED_SHOWN, f"fleet rollout status {overview.rollout.id}"
        parts.append(Text(f"{' ' * 8}and {more} more: {status}"))
    return parts


def history_view(
    rollouts: Sequence[RolloutSummary], now: datetime, width: int, stop: Stop | None = None
) -> RenderableType:
    """Draw a row per rollout, in the order given, below a stop of every send."""
    stopped = stop_view(stop, now)
    if not rollouts:
        return Group(*stopped, Text("no rollout was started yet"))
    rows = table(
        ("ID", "BEGAN", "TOOK", "PHASE", "STORES", "BY", "WHAT"),
        [
            (
                r.id,
                exact_moment(r.started_at, now),
                span(((r.finished_at or now) - r.started_at).total_seconds()),
                r.phase.value,
                str(r.stores),
                who(r.caller),
                _what(r),
            )
            for r in rollouts
        ],
        width=width,
    )
    return Group(*stopped, rows)


def _what(rollout: RolloutSummary) -> str:
    counts = [f"{rollout.verdicts[v]} {v.value}" for v in WORST if rollout.verdicts.get(v)]
    services = f"services {', '.join(counts)}" if counts else ""
    return "; ".join(filter(None, (rollout.title, rollout.why or services)))


def what_goes_on(overviews: Sequence[Overview]) -> RenderableType:
    """Draw what every rollout sends once the stop is lifted."""
    running = [one for one in overviews if one.rollout.phase is Phase.RUNNING]
    others = [one for one in overviews if one.rollout.phase is not Phase.RUNNING]
    lines: list[RenderableType] = [labelled("goes on", _goes_on(one)) for one in running]
    if not running:
        lines.append(labelled("goes on", "no rollout"))
    for one in others:
        rollout = one.rollout
        words = f"{rollout.id} {rollout.spec.title} is {rollout.phase.value}"
        lines.append(labelled("as it is", words))
    return Group(*lines)


def _goes_on(overview: Overview) -> str:
    rollout = overview.rollout
    words = f"{rollout.id} {rollout.spec.title}, {rollout.wave_name}: {tally(overview)}"
    if overview.tickers or overview.controller:
        return words
    return f"{words}; nobody ticks it: fleet rollout resume {rollout.id}"
