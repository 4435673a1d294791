"""Judges what has become of earlier waves since they passed, as one row of the present gate.

Late failures count against the failure budget of all earlier stores, and against what each wave
needed to pass. An earlier wave of which too few stores can be judged any more would not have
passed either: nothing more is sent until enough are back, and after a while a person is asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.model.changes import Change
from fleet.model.gate import Check, Count, GateAnswer, Mark, Signal
from fleet.model.printable import many, percent
from fleet.model.spans import span
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.darkness import DarknessResult, Excess
from fleet.rollout.decide.gate import Tally, count
from fleet.rollout.decide.tick_state import TickState, accepted, is_sent
from fleet.rollout.decide.watch import earlier_changes, is_earlier, watch_period_s

NAME = "earlier waves"


@dataclass(frozen=True, slots=True)
class LostWave:
    """An earlier wave of which too few stores can be judged now.

    Attributes:
        known: stores that are good and connected, or have failed.
        of: stores that were sent the release, without losses that a person has accepted.
        since: when the first of its stores was lost.
    """

    name: str
    known: int
    of: int
    since: datetime


def late_verdicts(state: TickState) -> Signal | None:
    """Return the row of the earlier waves; None while there are none."""
    rows = earlier_changes(state)
    if not rows:
        return None
    policy = state.rollout.spec.policy
    counts = count(rows, state.rollout.spec.variant_of)
    late = _late_failures(state, rows)
    budgets = {name: policy.max_failures.of(one.sent) for name, one in counts.items()}
    seen = _seen(counts, late)
    needed = f"budget {budgets[max(late, key=late.__getitem__)] if late else sum(budgets.values())}"
    bad = _over_budget(late, budgets) or _would_not_pass(state, rows)
    if bad:
        check = Check(NAME, seen, needed, Mark.OVER, bad)
        return Signal(check, GateAnswer.HALT, f"{NAME}: {bad}")
    lost = lost_wave(state)
    if lost is not None:
        return _hold(state, lost, seen, needed)
    return Signal(Check(NAME, seen, needed, Mark.OK, f"read every {span(watch_period_s(state))}"))


def lost_wave(state: TickState) -> LostWave | None:
    """Return the first earlier wave that would not pass for lack of coverage; None for none.

    What was lost before a person let the rollout go on is accepted.
    """
    return state.once(_lost_wave)


def _lost_wave(state: TickState) -> LostWave | None:
    troubled = [c for c in state.where(is_troubled) if is_earlier(state, c)]
    for index in sorted({c.wave for c in troubled}):
        mine = [c for c in troubled if c.wave == index]
        rows = state.where(is_sent, wave=index)
        if _is_surely_enough(state, rows, [*mine, *state.where(_has_no_verdict, wave=index)]):
            continue
        lost = _lost(state, state.rollout.spec.wave_name(index), rows, mine)
        if lost is not None:
            return lost
    return None


def _is_surely_enough(state: TickState, rows: Sequence[Change], doubtful: Iterable[Change]) -> bool:
    """Return whether a wave would pass even if none of the doubtful stores could be judged.

    Mostly a few of thousands are away, so that nothing has to be counted by verdict.
    """
    stores = {c.store for c in rows}
    known = len(stores) - len(stores.intersection(c.store for c in doubtful))
    return known >= state.rollout.spec.policy.coverage * len(stores)


def _has_no_verdict(change: Change) -> bool:
    """Return whether a gate may count a change that was sent neither as ok nor as failed."""
    return change.stage is Stage.UNDONE or change.verdict not in {Verdict.OK, Verdict.FAILED}


def _lost(
    state: TickState, name: str, rows: Sequence[Change], troubled: Sequence[Change]
) -> LostWave | None:
    """Return what too few of these stores can be judged; None where it is enough.

    Args:
        troubled: those of the rows that are so; nothing else can be lost.
    """
    gone = [since for c in troubled if (since := _lost_since(c)) is not None]
    if not gone:
        return None
    taken = {c.key for c in troubled if _is_accepted_loss(state, c)}
    left = [c for c in rows if c.key not in taken] if taken else rows
    counted = count(left, lambda _: "").get("", Count())
    lost = (c for c in troubled if c.key not in taken)
    away = state.stores(c for c in lost if _is_good(c) and c.away_since is not None)
    known = counted.ok + counted.failed - len(away)
    if known >= state.rollout.spec.policy.coverage * counted.sent:
        return None
    return LostWave(name, known, counted.sent, min(gone))


def recall(state: TickState, finding: DarknessResult) -> str:
    """Return why a rollout that is done would not be by what its stores are now; "" if it would."""
    row = late_verdicts(state)
    if row is not None and row.answer is GateAnswer.HALT:
        return row.check.detail
    rows = earlier_changes(state)
    if finding.excess is Excess.YES:
        return f"{finding.seen} dark: {finding.words}"
    lost = _lost(state, "the release", rows, [c for c in rows if is_troubled(c)])
    return "" if lost is None else _coverage_words(state, lost)


def is_troubled(change: Change) -> bool:
    """Return whether a change is away or has got a late verdict: of earlier ones mostly none."""
    return change.is_late or change.away_since is not None


def _is_good(change: Change) -> bool:
    return change.stage is Stage.SENT and change.verdict is Verdict.OK


def _lost_since(change: Change) -> datetime | None:
    """Return since when an earlier store can be judged no more; None while it can."""
    if _is_good(change):
        return change.away_since
    lost = change.is_late and change.verdict is not Verdict.FAILED
    return (change.away_since or change.since) if lost else None


def _is_accepted_loss(state: TickState, change: Change) -> bool:
    since, answered = _lost_since(change), state.rollout.answered_at
    return since is not None and answered is not None and since < answered


def _late_failures(state: TickState, rows: Iterable[Change]) -> dict[str, int]:
    """Count by variant the stores that failed after their wave had passed, unless accepted."""
    late = {
        (state.rollout.spec.variant_of(c), c.store)
        for c in rows
        if c.is_late and c.verdict is Verdict.FAILED and not c.failure_accepted
    }
    found: dict[str, int] = {}
    for variant, _ in sorted(late):
        found[variant] = found.get(variant, 0) + 1
    return found


def _over_budget(late: Mapping[str, int], budgets: Mapping[str, int]) -> str:
    for variant, number in late.items():
        if number > budgets[variant]:
            return f"{many(number, 'late failure')} of {variant}, budget {budgets[variant]}"
    return ""


def _would_not_pass(state: TickState, rows: Sequence[Change]) -> str:
    """Return the wave whose success a late failure has brought below its limit, or ""."""
    policy = state.rollout.spec.policy
    variant_of = state.rollout.spec.variant_of
    late = {(c.wave, variant_of(c)) for c in rows if c.is_late and c.verdict is Verdict.FAILED}
    for wave, variant in sorted(late):
        mine = [c for c in rows if c.wave == wave and variant_of(c) == variant]
        counted = count(mine, variant_of)[variant]
        tally = Tally(counted, policy, accepted(mine, variant_of).get(variant, 0))
        if tally.failed and tally.has_sample and not tally.has_success:
            ratio = f"success {tally.success_words()}, needed {percent(policy.success)}"
            return f"{state.rollout.spec.wave_name(wave)} would not pass now: {variant} {ratio}"
    return ""


def _hold(state: TickState, lost: LostWave, seen: str, needed: str) -> Signal:
    policy = state.rollout.spec.policy
    words = _coverage_words(state, lost)
    check = Check(NAME, seen, needed, Mark.UNDER, words)
    began = max(lost.since, state.rollout.answered_at or lost.since)
    asks_at = began + timedelta(seconds=policy.patience_s)
    if state.now >= asks_at:
        reason = f"{NAME}: {words}; not back for {span(policy.patience_s)}"
        return Signal(check, GateAnswer.ASK, reason)
    return Signal(check, GateAnswer.WAIT, f"{NAME}: {words}; nothing is sent meanwhile", asks_at)


def _coverage_words(state: TickState, lost: LostWave) -> str:
    share = percent(lost.known / lost.of)
    needed = percent(state.rollout.spec.policy.coverage)
    return f"{lost.name} has lost its coverage: {lost.known}/{lost.of}={share}, needed {needed}"


def _seen(counts: Mapping[str, Count], late: Mapping[str, int]) -> str:
    """Print what earlier stores are now, as ``12/15 ok, 1 failed late, 2 dark``."""
    sent = sum(one.sent for one in counts.values())
    ok = sum(one.ok for one in counts.values())
    dark = sum(one.dark for one in counts.values())
    by_hand = sum(one.by_hand for one in counts.values())
    others = ((sum(late.values()), "failed late"), (dark, "dark"), (by_hand, "by hand"))
    return ", ".join([f"{ok}/{sent} ok", *(f"{n} {word}" for n, word in others if n)])
