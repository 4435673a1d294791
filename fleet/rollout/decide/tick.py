"""Decides in a tick what follows from the verdicts: the gate, the phase and the next actions.

A tick goes ``verbs.obey`` (what people said), ``turns.choose_stores`` (what to look at), ``see``
(verdicts), ``settle`` (the gate, the phase, and the actions) and, when the actions were carried
out, ``note``. All of it is pure: rows in, rows out, and the time is an argument.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fleet.inventory.decide.calendar import window_at
from fleet.model.changes import CONVOY, Change
from fleet.model.gate import Answer, Gate, Sample
from fleet.model.plain import to_plain
from fleet.model.policy import AfterCanary, OnHalt, Policy
from fleet.model.printable import many
from fleet.model.rollout import Action, ActionKind, EventKind, Phase
from fleet.model.verdicts import WORST, Stage, Standing, Verdict
from fleet.rollout.decide.board import Board, accepted, is_parked, is_sent
from fleet.rollout.decide.darkness import Finding, darkness
from fleet.rollout.decide.freshness import hold_until_looked_at, restart_bake_after_gap
from fleet.rollout.decide.gate import count, evaluate
from fleet.rollout.decide.next_tick import next_tick, pulls_again_at, undo_at
from fleet.rollout.decide.sends import called_off
from fleet.rollout.decide.store_choice import (
    StoreChoice,
    is_next,
    max_in_flight,
    stores_in_flight,
    untouched,
)

#: A dark store is set back this long before its window ends, so that the call is in time.
BEFORE_CLOSING = timedelta(minutes=5)
#: Phases in which what was sent to a dark store must not be applied when it returns.
TAKES_BACK = frozenset({Phase.HALTED, Phase.ABORTED})
#: Likewise where nobody stays who would notice its window closing.
TAKES_BACK_UNWATCHED = frozenset({Phase.PAUSED, Phase.AWAITING})


@dataclass(frozen=True, slots=True)
class Settled:
    """What a tick decided.

    Attributes:
        actions: to be carried out after the rows that say so were recorded.
        gate: the wave's gate now; None when there is no wave to judge.
        wake_at: when the next tick has something to do; None when only a person can move it.
        why: what it waits for until then, for people; "" when there is something to do at once.
        untouched: how many untouched stores went dark, where they were looked at in this tick.
    """

    actions: tuple[Action, ...]
    gate: Gate | None
    wake_at: datetime | None
    why: str
    untouched: Sample | None = None


def begin(board: Board) -> None:
    """Begin the first wave of a rollout that has not had a tick yet."""
    rollout = board.rollout
    if rollout.wave_at is None and rollout.phase is Phase.RUNNING:
        board.rollout = replace(rollout, wave_at=board.now)
        _say_wave(board)


def settle(
    board: Board,
    choice: StoreChoice,
    seen: frozenset[str],
    history: Sample | None,
    *,
    unwatched: bool = False,
) -> Settled:
    """Decide what follows from the verdicts, and update changes and phase accordingly.

    Args:
        choice: what ``choose_stores`` said at the beginning of the tick.
        seen: stores that were looked at in this tick.
        history: how often untouched stores went dark before, for when there is no control group.
        unwatched: whether nobody ticks the rollout while it waits for a person.
    """
    control = _control_sample(board) if choice.control else None
    _try_pulls_again(board)
    _call_off(board)
    gate = _judge_wave(board, _darkness(board, control, history))
    _take_back(board, unwatched=unwatched)
    _roll_back(board)
    actions = [*_undo(board), *_send(board, choice, seen)]
    _finish(board, actions)
    wake_at, why = next_tick(board, choice, gate, acts=bool(actions))
    return Settled(tuple(actions), gate, wake_at, why, control)


def _policy(board: Board) -> Policy:
    return board.rollout.spec.policy


def _try_pulls_again(board: Board) -> None:
    """Send again what could not be pulled, while its own budget of tries lasts."""
    if board.rollout.phase is not Phase.RUNNING:
        return
    for change in board.changes:
        again = pulls_again_at(board, change)
        if again is not None and again <= board.now:
            board.move(change, stage=Stage.PLANNED, look_at=None)


def _call_off(board: Board) -> None:
    """Set changes that an aborted rollout was to send again to how their last try ended."""
    if board.rollout.phase is Phase.ABORTED:
        for change in board.changes:
            board.put(called_off(change))


def is_unsettled(board: Board, change: Change) -> bool:
    """Return whether a wave has to wait for this change before it is complete."""
    if change.stage is Stage.PLANNED:
        return not is_parked(change)
    if change.stage.is_call_open:
        return True
    if pulls_again_at(board, change) is not None:
        return True
    return change.stage is Stage.SENT and change.verdict is Verdict.WAITING


def _darkness(board: Board, control: Sample | None, history: Sample | None) -> Finding:
    sent = board.stores(c for c in (*board.current, *board.convoy) if is_sent(c))
    # Who was away before a person last said to go on was judged then, as in the control group.
    began = board.rollout.wave_at or board.rollout.started_at
    old = {c.store for c in board.changes if c.away_since is not None and c.away_since < began}
    sent = [s for s in sent if s not in old]
    dark = [s for s in sent if any(c.verdict is Verdict.DARK for c in board.of_store(s))]
    known = control or _control_sample(board)
    return darkness(Sample(len(dark), len(sent)), known, history, _policy(board))


def _control_sample(board: Board) -> Sample:
    """Count the untouched stores that were read since the wave began, and those that went dark."""
    began = board.rollout.wave_at or board.rollout.started_at
    looked: dict[str, bool] = {}
    for change in untouched(board):
        if change.looked_at is None or change.looked_at < began:
            continue
        if change.away_since is not None and change.away_since < began:
            continue
        patience = timedelta(seconds=_policy(board).dark_after_s)
        dark = change.away_since is not None and change.looked_at - change.away_since >= patience
        looked[change.store] = looked.get(change.store, False) or dark
    return Sample(sum(looked.values()), len(looked))


def _judge_wave(board: Board, finding: Finding) -> Gate | None:
    """Evaluate the gate of the wave (of the convoy after the last one) and act on its answer."""
    rollout = board.rollout
    if rollout.phase not in {Phase.RUNNING, Phase.AWAITING, Phase.PAUSED, Phase.HALTED}:
        return None
    convoy = list(board.convoy)
    returned = _ask(board, convoy, finding) if any(map(is_sent, convoy)) else None
    if rollout.wave >= len(rollout.spec.waves):
        gate = returned
    else:
        rows = list(board.current)
        _note_baking(board, complete=not any(is_unsettled(board, c) for c in rows))
        restart_bake_after_gap(board)
        gate = hold_until_looked_at(
            board, rows, _ask(board, rows, finding), board.rollout.spec.variant_of
        )
    if rollout.phase is not Phase.RUNNING or gate is None:
        return gate
    if returned is not None and returned.answer is Answer.HALT:
        gate = returned
    if gate.answer in {Answer.HALT, Answer.ASK}:
        _stop(board, gate)
    elif gate.answer is Answer.ADVANCE and board.rollout.baking_since is not None:
        _advance(board, gate)
    return gate


def gate_now(board: Board, history: Sample | None) -> Gate | None:
    """Return the present gate without changing anything; None when nothing was sent."""
    waves = len(board.rollout.spec.waves)
    rows = list(board.current if board.rollout.wave < waves else board.convoy)
    if not any(map(is_sent, rows)):
        return None
    return _ask(board, rows, _darkness(board, None, history))


def _note_baking(board: Board, *, complete: bool) -> None:
    since = board.rollout.baking_since
    if complete != (since is not None):
        board.rollout = replace(board.rollout, baking_since=board.now if complete else None)


def _ask(board: Board, rows: list[Change], finding: Finding) -> Gate:
    rollout = board.rollout
    return evaluate(
        count(rows, board.rollout.spec.variant_of),
        finding,
        rollout.spec.policy,
        wave_at=rollout.wave_at or rollout.started_at,
        complete_since=rollout.baking_since,
        now=board.now,
        accepted=accepted(rows, board.rollout.spec.variant_of),
        failures=[c for c in rows if c.verdict is Verdict.FAILED and is_sent(c)],
    )


def _stop(board: Board, gate: Gate) -> None:
    board.say(
        EventKind.GATE,
        f"gate {board.rollout.wave_name}: {gate.answer.value}: {gate.reason}",
        data=to_plain(gate),
    )
    if gate.answer is Answer.ASK:
        board.enter_phase(Phase.PAUSED, f"inconclusive, a person must decide: {gate.reason}")
        return
    if _policy(board).on_halt is OnHalt.ROLLBACK:
        board.enter_phase(Phase.ROLLING_BACK, f"halted, on_halt is rollback: {gate.reason}")
        return
    board.enter_phase(Phase.HALTED, gate.reason)


def _advance(board: Board, gate: Gate) -> None:
    rollout = board.rollout
    passed = board.rollout.wave_name
    is_canary = rollout.wave == 0 and rollout.spec.canary
    more = rollout.wave + 1 < len(rollout.spec.waves)
    asks = _policy(board).after_canary is AfterCanary.PROMOTE
    if is_canary and more and asks and not rollout.promoted:
        board.say(EventKind.GATE, f"gate {passed}: passed: {gate.reason}", data=to_plain(gate))
        board.enter_phase(Phase.AWAITING, "the canary passed; the policy wants `promote`")
        return
    board.say(EventKind.GATE, f"gate {passed}: advance: {gate.reason}", data=to_plain(gate))
    board.rollout = replace(
        rollout, wave=rollout.wave + 1, wave_at=board.now, baking_since=None, accepted={}
    )
    if more:
        _say_wave(board)


def _say_wave(board: Board) -> None:
    waves = board.rollout.spec.waves
    if board.rollout.wave < len(waves):
        stores = waves[board.rollout.wave].stores
        board.say(
            EventKind.WAVE,
            f"{board.rollout.wave_name} begins: {many(len(stores), 'store')}",
            data={"stores": len(stores)},
        )


def _take_back(board: Board, *, unwatched: bool) -> None:
    """Set back dark stores that would apply a halted release, or apply it in opening hours."""
    phases = TAKES_BACK | TAKES_BACK_UNWATCHED if unwatched else TAKES_BACK
    for change in board.changes:
        if not _may_apply_later(change):
            continue
        is_what = change.verdict.value
        if board.rollout.phase in phases:
            phase = board.rollout.phase.value
            why = f"{is_what} while the rollout is {phase}: ECS would apply it later"
        elif _is_closing(board, change):
            why = f"{is_what}, and its window closes: ECS would apply it in opening hours"
        elif _is_over(board):
            why = f"{is_what} at the end of the rollout: ECS would apply it while nobody looks"
        else:
            continue
        board.move(change, stage=Stage.UNDOING, reason=why, look_at=None)


def _may_apply_later(change: Change) -> bool:
    """Return whether ECS may still apply what was sent: the store is dark or still pulls."""
    if change.stage is not Stage.SENT or change.was_applied:
        return False
    if change.verdict is Verdict.UNDELIVERED:
        return change.observed.task_definition == change.target
    return change.verdict is Verdict.DARK


def _roll_back(board: Board) -> None:
    """Set back all that was sent, also what was found to have been sent later."""
    if board.rollout.phase is not Phase.ROLLING_BACK:
        return
    for change in board.changes:
        if change.sends and change.stage in {Stage.SENT, Stage.PLANNED}:
            board.move(change, stage=Stage.UNDOING, reason=board.rollout.why, look_at=None)


def _is_closing(board: Board, change: Change) -> bool:
    place = board.rollout.spec.places[change.store]
    window = window_at(place, _policy(board), board.now)
    return window is None or (window.ends is not None and window.ends - board.now <= BEFORE_CLOSING)


def _undo(board: Board) -> list[Action]:
    return [
        Action(ActionKind.UNDO, c.store, c.service, c.reason)
        for c in board.changes
        if c.stage is Stage.UNDOING and undo_at(board, c) == board.now
    ]


def _send(board: Board, choice: StoreChoice, seen: frozenset[str]) -> list[Action]:
    """Return the sends to the chosen stores that were read and whose hosts are connected."""
    if board.rollout.phase is not Phase.RUNNING:
        return []
    actions = []
    # What was seen in this tick may have put stores back into flight.
    room = max_in_flight(board) - len(stores_in_flight(board))
    for store in choice.to_send:
        if room <= 0:
            break
        rows = [c for c in board.of_store(store) if _is_sendable(board, c)]
        if store not in seen or not rows or any(c.away_since is not None for c in rows):
            continue
        room -= 1
        for change in rows:
            board.move(change, stage=Stage.SENDING)
            why = f"{board.rollout.spec.wave_name(change.wave)} of {board.rollout.id}"
            actions.append(Action(ActionKind.SEND, store, change.service, why))
    return actions


def _is_sendable(board: Board, change: Change) -> bool:
    in_turn = change.wave in {board.rollout.wave, CONVOY}
    return in_turn and is_next(board, change)


def _finish(board: Board, actions: list[Action]) -> None:
    rollout = board.rollout
    if actions or rollout.finished_at is not None:
        return
    # A call in doubt, or a shop that is set back once it has closed.
    if any(c.stage.is_call_open for c in board.changes):
        return
    if rollout.phase is Phase.ABORTED:
        # What was sent stays, and is watched until it is known what became of it.
        if not any(c.is_settling for c in board.changes):
            board.rollout = replace(rollout, finished_at=board.now)
    elif rollout.phase is Phase.ROLLING_BACK:
        if all(c.stage is not Stage.UNDONE or c.undo.settled for c in board.changes):
            board.enter_phase(Phase.ROLLED_BACK, rollout.why, finished_at=board.now)
    elif _is_over(board):
        board.enter_phase(Phase.DONE, _done_words(board), finished_at=board.now)
    elif rollout.phase in {Phase.DONE, Phase.ROLLED_BACK}:
        board.rollout = replace(rollout, finished_at=board.now)


def _is_over(board: Board) -> bool:
    """Return whether the last wave has passed and no returned store is under way."""
    rollout = board.rollout
    if rollout.phase is not Phase.RUNNING or rollout.wave < len(rollout.spec.waves):
        return False
    waits = rollout.owed_until is not None and board.now < rollout.owed_until
    if waits and any(change.owes for change in board.changes):
        return False
    return not any(is_unsettled(board, c) for c in board.convoy)


def _done_words(board: Board) -> str:
    counted = [
        (verdict.value, [c for c in board.changes if c.verdict is verdict])
        for verdict in (Verdict.OK, *(v for v in reversed(WORST) if v.traits.is_retryable))
    ]
    has_it = [c for c in board.changes if c.standing is Standing.DARK and not c.owes]
    counted += [("dark", has_it), ("owed", [c for c in board.changes if c.owes])]
    words = [f"{len(board.stores(rows))} {word}" for word, rows in counted if rows]
    return ", ".join(words) or "nothing to do"
