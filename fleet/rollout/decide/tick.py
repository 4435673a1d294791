"""Decides in a tick what follows from the verdicts: the gate, the phase and the next actions.

A tick calls ``obey`` (what people said), ``choose_stores`` (what to read), ``observe`` (verdicts),
``compare`` (the darkness test), ``settle`` (the gate, the phase and the actions) and, when the
actions were carried out, ``apply_results``. All of them are pure, and the time is an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fleet.inventory.decide.calendar import window_at
from fleet.inventory.decide.power import PlannedOff
from fleet.model.changes import CONVOY, Change
from fleet.model.gate import Gate, GateAnswer, Signal
from fleet.model.plain import to_plain
from fleet.model.policy import AfterCanary, OnHalt, Policy
from fleet.model.printable import many
from fleet.model.rollout import ActionKind, EventKind, Phase, RolloutAction
from fleet.model.spans import moment
from fleet.model.verdicts import WORST, Stage, Standing, Verdict
from fleet.rollout.decide.call_results import leave_not_set_back
from fleet.rollout.decide.darkness import DarknessResult
from fleet.rollout.decide.freshness import hold_until_read, restart_bake_after_gap
from fleet.rollout.decide.gate import count, evaluate, with_signals
from fleet.rollout.decide.late_verdicts import late_verdicts, recall
from fleet.rollout.decide.next_tick import next_tick, pulls_again_at, undo_at
from fleet.rollout.decide.patience import ask_when_stuck, latest_step, settles_within
from fleet.rollout.decide.refusals import refused_alike
from fleet.rollout.decide.restarts import restart_signal
from fleet.rollout.decide.signals import signals
from fleet.rollout.decide.store_choice import (
    StoreChoice,
    flight_room,
    is_next,
    sends_now,
)
from fleet.rollout.decide.surveys import darkness_now, note_result, surveyed_at_send
from fleet.rollout.decide.switched_off import applies_in_window, switched_off
from fleet.rollout.decide.tick_state import (
    TickState,
    accepted,
    called_off,
    is_call_open,
    is_failed,
    is_not_applied,
    is_parked,
    is_sent,
    is_undelivered,
    is_unsent,
)
from fleet.rollout.decide.unjudged import unjudged_row
from fleet.rollout.decide.watch import is_watched_after

#: A dark store is set back this long before its window ends, so that the call is in time.
BEFORE_CLOSING = timedelta(minutes=5)
#: Phases in which what was sent to a dark store must not be applied when it returns.
TAKES_BACK = frozenset({Phase.HALTED, Phase.ABORTED})
#: Likewise where nobody stays who would notice its window closing.
TAKES_BACK_UNWATCHED = frozenset({Phase.PAUSED, Phase.AWAITING})


@dataclass(frozen=True, slots=True)
class Settled:
    """Holds what a tick decided.

    Attributes:
        actions: to be carried out after the rows that say so were recorded.
        gate: the wave's gate now; None when there is no wave to judge.
        wake_at: when the next tick has something to do; None when only a person can move it.
        why: what it waits for until then, for people; "" when there is something to do at once.
    """

    actions: tuple[RolloutAction, ...]
    gate: Gate | None
    wake_at: datetime | None
    why: str


def begin(state: TickState) -> None:
    """Begin the first wave of a rollout that has not had a tick yet."""
    rollout = state.rollout
    if rollout.wave_at is None and rollout.phase is Phase.RUNNING:
        state.rollout = replace(rollout, wave_at=state.now)
        _say_wave(state)


def settle(
    state: TickState,
    choice: StoreChoice,
    seen: frozenset[str],
    *,
    unwatched: bool = False,
) -> Settled:
    """Decide what follows from the verdicts, and update changes and phase accordingly.

    Args:
        choice: what ``choose_stores`` said at the beginning of the tick.
        seen: stores that were read in this tick.
        unwatched: whether nobody ticks the rollout while it waits for a person.
    """
    _try_pulls_again(state)
    _call_off(state)
    found = darkness_now(state)
    note_result(state, found)
    gate = _judge_wave(state, found, seen.intersection(choice.to_send))
    _recall(state, found)
    _take_back(state, unwatched=unwatched)
    _roll_back(state)
    _give_up_doubt(state)
    actions = [*_undo(state), *_send(state, choice, seen)]
    _finish(state, actions)
    wake_at, why = next_tick(state, choice, gate, acts=bool(actions))
    return Settled(tuple(actions), gate, wake_at, why)


def _policy(state: TickState) -> Policy:
    return state.rollout.spec.policy


def _try_pulls_again(state: TickState) -> None:
    """Send again what could not be pulled, while its own budget of tries lasts."""
    if state.rollout.phase is not Phase.RUNNING or state.stop is not None:
        return
    for change in state.where(is_undelivered):
        again = pulls_again_at(state, change)
        if again is not None and again <= state.now:
            state.move(change, stage=Stage.PLANNED, look_at=None)


def _call_off(state: TickState) -> None:
    """Set changes that an aborted rollout was to send again to how their last try ended."""
    if state.rollout.phase is Phase.ABORTED:
        for change in state.changes:
            state.put(called_off(change))


def unsettled(state: TickState, wave: int) -> list[Change]:
    """Return the changes of a wave for which ``is_unsettled`` holds."""
    return [c for c in state.where(_may_be_unsettled, wave=wave) if is_unsettled(state, c)]


def _may_be_unsettled(change: Change) -> bool:
    if change.stage is not Stage.SENT:
        return change.stage.is_call_open or is_unsent(change)
    return change.verdict is Verdict.WAITING or change.verdict is Verdict.UNDELIVERED


def is_unsettled(state: TickState, change: Change) -> bool:
    """Return whether a wave has to wait for this change before it is complete."""
    if change.stage is Stage.PLANNED:
        return not is_parked(change)
    if change.stage.is_call_open:
        return True
    if pulls_again_at(state, change) is not None:
        return True
    return change.stage is Stage.SENT and change.verdict is Verdict.WAITING


def _judge_wave(state: TickState, finding: DarknessResult, to_send: frozenset[str]) -> Gate | None:
    """Evaluate the gate of the wave (of the convoy after the last one) and act on its answer."""
    rollout = state.rollout
    if rollout.phase not in {Phase.RUNNING, Phase.AWAITING, Phase.PAUSED, Phase.HALTED}:
        return None
    convoy = state.convoy
    returned = _ask(state, convoy, finding) if any(map(is_sent, convoy)) else None
    rows, open_rows = convoy, unsettled(state, CONVOY)
    if rollout.wave >= len(rollout.spec.waves):
        rows_beside = _signals(state)
        gate = with_signals(returned, rows_beside) if returned else _by_signals(rows_beside)
    else:
        rows, open_rows = state.current, unsettled(state, rollout.wave)
        _note_baking(state, complete=not open_rows)
        gate = _ask(state, rows, finding, _signals(state))
        restart_bake_after_gap(state, gate)
        gate = hold_until_read(state, rows, gate, state.rollout.spec.variant_of)
    if rollout.phase is Phase.RUNNING:
        gate = ask_when_stuck(state, rows, open_rows, gate, to_send)
    if rollout.phase is not Phase.RUNNING or gate is None:
        return gate
    if returned is not None and returned.answer is GateAnswer.HALT:
        gate = returned
    gate = _wait_while_stopped(state, gate)
    if gate.answer in {GateAnswer.HALT, GateAnswer.ASK}:
        _stop(state, gate)
    elif gate.answer is GateAnswer.ADVANCE and state.rollout.baking_since is not None:
        _advance(state, gate)
    return gate


def _recall(state: TickState, finding: DarknessResult) -> None:
    """Report once that a rollout which is done would not have passed by what is known now."""
    rollout = state.rollout
    if not is_watched_after(state):
        return
    words = recall(state, finding) or _halting_words(signals(state))
    if not words or words == rollout.recalled:
        return
    if not rollout.recalled:
        undo = f"fleet rollout rollback {rollout.id}"
        state.say(EventKind.RECALL, f"recalled: {words}; to take it back: {undo}")
    state.rollout = replace(rollout, recalled=words, why=f"recalled: {words}")


def _halting_words(rows: Sequence[Signal]) -> str:
    """Return why the first row that would halt a rollout does; "" where none would."""
    return next((row.reason for row in rows if row.answer is GateAnswer.HALT), "")


def _wait_while_stopped(state: TickState, gate: Gate) -> Gate:
    """Wait instead of asking while every send is stopped: a person is at it, and will lift that."""
    if state.stop is None or gate.answer is not GateAnswer.ASK:
        return gate
    return replace(gate, answer=GateAnswer.WAIT, reason=state.stop.words, again_at=None)


def gate_now(state: TickState) -> Gate | None:
    """Return the present gate without changing anything; None when nothing was sent or read."""
    goes_on = state.rollout.wave < len(state.rollout.spec.waves)
    rows = state.current if goes_on else state.convoy
    has_read = goes_on and state.rollout.signals.tried_at is not None
    if not has_read and not any(is_sent(c) or c.stage is Stage.HELD for c in rows):
        return None
    return _ask(state, rows, darkness_now(state), _signals(state))


def _note_baking(state: TickState, *, complete: bool) -> None:
    since = state.rollout.baking_since
    if complete != (since is not None):
        state.rollout = replace(state.rollout, baking_since=state.now if complete else None)


def _ask(
    state: TickState,
    rows: list[Change],
    finding: DarknessResult,
    beside: Sequence[Signal] = (),
) -> Gate:
    rollout = state.rollout
    refused = refused_alike(state, rows)
    failures = state.where(is_failed, wave=rows[0].wave) if rows else []
    gate = evaluate(
        count(rows, state.rollout.spec.variant_of),
        finding,
        rollout.spec.policy,
        wave_at=state.patience_from,
        complete_since=rollout.baking_since,
        now=state.now,
        accepted=accepted(failures, state.rollout.spec.variant_of),
        failures=failures,
    )
    gate = with_signals(gate, [*beside, *refused, restart_signal(state, rows)])
    # The words of AWS say more than the failures that follow from them.
    return replace(gate, reason=refused[0].reason) if refused else gate


def _signals(state: TickState) -> tuple[Signal, ...]:
    """Return the rows of the gate that are not counted by variant."""
    found = (late_verdicts(state), unjudged_row(state), *signals(state))
    return tuple(signal for signal in found if signal is not None)


def _by_signals(rows: Sequence[Signal]) -> Gate | None:
    """Return the gate of a rollout without a wave to judge; None while nothing holds it."""
    gate = with_signals(Gate(GateAnswer.ADVANCE, "", (), {}), rows)
    return None if gate.answer is GateAnswer.ADVANCE else gate


def _stop(state: TickState, gate: Gate) -> None:
    state.say(
        EventKind.GATE,
        f"gate {state.rollout.wave_name}: {gate.answer.value}: {gate.reason}",
        data=to_plain(gate),
    )
    if gate.answer is GateAnswer.ASK:
        state.enter_phase(Phase.PAUSED, f"inconclusive, a person must decide: {gate.reason}")
        return
    if _policy(state).on_halt is OnHalt.ROLLBACK:
        state.enter_phase(Phase.ROLLING_BACK, f"halted, on_halt is rollback: {gate.reason}")
        return
    state.enter_phase(Phase.HALTED, gate.reason)


def _advance(state: TickState, gate: Gate) -> None:
    rollout = state.rollout
    passed = state.rollout.wave_name
    is_canary = rollout.wave == 0 and rollout.spec.canary
    more = rollout.wave + 1 < len(rollout.spec.waves)
    taken = sum(accepted(state.current, rollout.spec.variant_of).values())
    why = f"{gate.reason}; {many(taken, 'failure')} accepted by a person" if taken else gate.reason
    asks = _policy(state).after_canary is AfterCanary.PROMOTE
    if is_canary and more and asks and not rollout.promoted:
        state.say(EventKind.GATE, f"gate {passed}: passed: {why}", data=to_plain(gate))
        state.enter_phase(Phase.AWAITING, "the canary passed; the policy wants `promote`")
        return
    state.say(EventKind.GATE, f"gate {passed}: advance: {why}", data=to_plain(gate))
    state.rollout = replace(
        rollout, wave=rollout.wave + 1, wave_at=state.now, baking_since=None, accepted={}
    )
    if more:
        _say_wave(state)


def _say_wave(state: TickState) -> None:
    waves = state.rollout.spec.waves
    if state.rollout.wave < len(waves):
        stores = waves[state.rollout.wave].stores
        state.say(
            EventKind.WAVE,
            f"{state.rollout.wave_name} begins: {many(len(stores), 'store')}",
            data={"stores": len(stores)},
        )


def _take_back(state: TickState, *, unwatched: bool) -> None:
    """Set back dark stores that would apply a halted release, or apply it in opening hours."""
    phases = TAKES_BACK | TAKES_BACK_UNWATCHED if unwatched else TAKES_BACK
    for change in state.where(is_not_applied):
        off = switched_off(state, change)
        if not _may_apply_later(change, off):
            continue
        is_what = "switched off" if off else change.verdict.value
        if state.rollout.phase in phases:
            phase = state.rollout.phase.value
            why = f"{is_what} while the rollout is {phase}: ECS would apply it later"
        elif off and applies_in_window(state, change, off):
            continue
        elif _is_closing(state, change):
            why = f"{is_what}, and its window closes: ECS would apply it in opening hours"
        elif _is_over(state):
            why = f"{is_what} at the end of the rollout: ECS would apply it while nobody looks"
        else:
            continue
        state.move(change, stage=Stage.UNDOING, reason=why, look_at=None)


def _may_apply_later(change: Change, off: PlannedOff | None) -> bool:
    """Return whether ECS may still apply what was sent and never was: it is away or still pulls."""
    if change.verdict is Verdict.UNDELIVERED:
        return change.observed.task_definition == change.target
    return change.verdict is Verdict.DARK or (off is not None and change.verdict is Verdict.WAITING)


def _roll_back(state: TickState) -> None:
    """Set back all that was sent, also what was found to have been sent later."""
    if state.rollout.phase is not Phase.ROLLING_BACK:
        return
    for change in state.changes:
        if change.sends and change.stage in {Stage.SENT, Stage.PLANNED}:
            state.move(change, stage=Stage.UNDOING, reason=state.rollout.why, look_at=None)


def _give_up_doubt(state: TickState) -> None:
    """Leave calls to a person of which nobody can tell, in a rollout that only waits for those."""
    if state.rollout.phase not in {Phase.ABORTED, Phase.ROLLING_BACK}:
        return
    patience = timedelta(seconds=_policy(state).patience_s)
    for change in state.where(is_call_open):
        if change.stage is not Stage.SENDING:
            continue
        since = change.undo.since or state.now
        if state.now - since >= patience:
            leave_not_set_back(state, change, "whether it was sent could not be read")
        else:
            state.move(change, undo=replace(change.undo, since=since))


def _is_closing(state: TickState, change: Change) -> bool:
    place = state.rollout.spec.places[change.store]
    window = window_at(place, _policy(state), state.now)
    return window is None or (window.ends is not None and window.ends - state.now <= BEFORE_CLOSING)


def _undo(state: TickState) -> list[RolloutAction]:
    """Return the stores to set back now; one that cannot be for too long is left to a person."""
    actions = []
    patience = timedelta(seconds=_policy(state).patience_s)
    for change in state.where(is_call_open):
        if change.stage is not Stage.UNDOING or undo_at(state, change) != state.now:
            continue
        since = change.undo.since or state.now
        if state.now - since >= patience:
            leave_not_set_back(state, change, f"it was tried since {moment(since)}")
            continue
        state.move(change, undo=replace(change.undo, since=since))
        actions.append(RolloutAction(ActionKind.UNDO, change.store, change.service, change.reason))
    return actions


def _send(state: TickState, choice: StoreChoice, seen: frozenset[str]) -> list[RolloutAction]:
    """Return the sends to the chosen stores that were read and whose hosts are connected."""
    if not sends_now(state):
        return []
    actions = []
    # What was read in this tick may have put stores back into flight.
    room = flight_room(state)
    for store in choice.to_send:
        if room.is_full:
            break
        rows = [c for c in state.of_store(store) if _is_sendable(state, c)]
        if store not in seen or not rows or any(c.away_since is not None for c in rows):
            continue
        if not room.has_room_for(store):
            continue
        room.take(store)
        for change in rows:
            observed = change.observed
            if not change.sends:
                observed = replace(observed, survey=surveyed_at_send(change, state.now))
            next_send = replace(change.next_send, is_tried=True)
            state.move(change, stage=Stage.SENDING, observed=observed, next_send=next_send)
            why = f"{state.rollout.spec.wave_name(change.wave)} of {state.rollout.id}"
            actions.append(RolloutAction(ActionKind.SEND, store, change.service, why))
    return actions


def _is_sendable(state: TickState, change: Change) -> bool:
    in_turn = change.wave in {state.rollout.wave, CONVOY}
    return in_turn and is_next(state, change)


def _finish(state: TickState, actions: list[RolloutAction]) -> None:
    rollout = state.rollout
    if actions or rollout.finished_at is not None:
        return
    # A call is in doubt, or a store is set back only once it has closed.
    if state.where(is_call_open):
        return
    if rollout.phase is Phase.ABORTED:
        # What was sent stays, and is watched until it is known what became of it, or until its
        # store had all the time to say so.
        settling = [c for c in state.changes if c.is_settling]
        latest = latest_step(state, settling) + settles_within(state, settling)
        if not settling or state.now >= latest:
            state.rollout = replace(rollout, finished_at=state.now)
    elif rollout.phase is Phase.ROLLING_BACK:
        if all(c.stage is not Stage.UNDONE or c.undo.settled for c in state.changes):
            left = state.stores(c for c in state.changes if c.is_not_set_back)
            why = f"{rollout.why}; {many(len(left), 'store')} not set back" if left else rollout.why
            state.enter_phase(Phase.ROLLED_BACK, why, finished_at=state.now)
    elif _is_over(state):
        state.enter_phase(Phase.DONE, done_words(state), finished_at=state.now)
    elif rollout.phase in {Phase.DONE, Phase.ROLLED_BACK, Phase.REBUILT}:
        state.rollout = replace(rollout, finished_at=state.now)


def _is_over(state: TickState) -> bool:
    """Return whether the last wave has passed and no returned store is under way."""
    rollout = state.rollout
    if rollout.phase is not Phase.RUNNING or rollout.wave < len(rollout.spec.waves):
        return False
    waits = rollout.owed_until is not None and state.now < rollout.owed_until
    if waits and any(change.owes for change in state.changes):
        return False
    return not unsettled(state, CONVOY)


def done_words(state: TickState) -> str:
    """Say how the stores of a rollout stand that is done; later words of people change that."""

    def stands_so(change: Change, verdict: Verdict) -> bool:
        owes = change.owes and change.verdict is verdict
        return owes or change.standing is verdict.traits.standing

    counted = [
        (verdict.value, [c for c in state.changes if stands_so(c, verdict)])
        for verdict in (Verdict.OK, *(v for v in reversed(WORST) if v.traits.is_retryable))
    ]
    has_it = [c for c in state.changes if c.standing is Standing.DARK and not c.owes]
    counted += [("dark", has_it), ("owed", [c for c in state.changes if c.owes])]
    words = [f"{len(state.stores(rows))} {word}" for word, rows in counted if rows]
    return ", ".join(words) or "nothing to do"
