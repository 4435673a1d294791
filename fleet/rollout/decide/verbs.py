"""Obeys what people tell a rollout; the same verb twice has the effect of one."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from fleet.model.changes import CONVOY, Change, Undo
from fleet.model.printable import many, some, who
from fleet.model.rollout import EventKind, Phase, Verb, VerbName
from fleet.model.spans import moment
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.refusals import is_refused
from fleet.rollout.decide.surveys import begin_anew
from fleet.rollout.decide.tick_state import (
    TickState,
    accepted,
    called_off,
    is_failed,
    to_be_sent_again,
)
from fleet.rollout.decide.unjudged import is_answered, unjudged


def obey(state: TickState, verbs: Iterable[Verb]) -> dict[int, str]:
    """Obey verbs in their order; returns the answer to each by its id."""
    answers = {}
    for verb in verbs:
        answers[verb.id] = answer = _DO[verb.name](state, verb)
        state.say(
            EventKind.VERB, f"{verb.name.value} by {who(verb.by)}: {answer}", data={"id": verb.id}
        )
    return answers


def _because(verb: Verb, done: str) -> str:
    said = f" ({verb.why})" if verb.why else ""
    return f"{done} by {who(verb.by)}{said}"


def _pause(state: TickState, verb: Verb) -> str:
    phase = state.rollout.phase
    if phase.has_ended or phase is Phase.ROLLING_BACK:
        return f"nothing to pause: it is {phase.value}"
    if phase in {Phase.PAUSED, Phase.HALTED}:
        for change in [c for c in state.changes if c.next_send.by_itself]:
            state.put(
                called_off(replace(change, next_send=replace(change.next_send, by_itself=False)))
            )
        return f"it is {phase.value} already"
    state.enter_phase(Phase.PAUSED, _because(verb, "paused"))
    return "paused; what was sent is still watched, nothing more is sent"


def _resume(state: TickState, verb: Verb) -> str:
    phase = state.rollout.phase
    if phase in {Phase.RUNNING, Phase.AWAITING, Phase.ROLLING_BACK}:
        word = "; say promote to go beyond the canary" if phase is Phase.AWAITING else ""
        return f"it is {phase.value} already{word}"
    if phase in {Phase.ABORTED, Phase.ROLLED_BACK, Phase.REBUILT}:
        return f"it is {phase.value}: start a new rollout"
    if phase is Phase.DONE:
        owed = [c for c in state.changes if c.owes]
        if not owed:
            return "it is done and nothing is owed"
        for change in owed:
            _owe_again(state, change, verb)
        patience = state.in_seconds(state.rollout.spec.policy.patience_s)
        why = _because(verb, "resumed for owed stores")
        state.enter_phase(
            Phase.RUNNING, why, finished_at=None, owed_until=patience, wave_at=state.now
        )
        count = len(state.stores(owed))
        until = moment(patience, state.now)
        if count == 1:
            return f"1 owed store is sent the release when it is back, until {until}"
        return f"{count} owed stores are sent the release when they are back, until {until}"
    waived = "" if is_answered(state) else ", ".join(unjudged(state))
    if phase is Phase.HALTED:
        for change in to_accept(state):
            state.move(change, failure_accepted=True)
        for change in state.changes:
            _readmit(state, change)
    begin_anew(state)
    taken = accepted(_judged(state), state.rollout.spec.variant_of)
    lost = state.stores(c for c in state.changes if c.is_late and not is_failed(c))
    signals = state.rollout.signals.unanswered(state.rollout.answered_at)
    # The time after which a person is asked begins anew with the answer.
    state.enter_phase(
        Phase.RUNNING,
        _because(verb, "resumed"),
        accepted=taken,
        wave_at=state.now,
        answered_at=state.now,
    )
    count = sum(taken.values())
    said = (
        many(count, "failure") if count else "",
        f"{many(len(lost), 'store')} lost after the wave had passed" if lost else "",
        f"{waived} unjudged" if waived else "",
        some(signals),
    )
    words = ", ".join(filter(None, said))
    return f"resumed, {words} accepted" if words else "resumed"


def _judged(state: TickState) -> list[Change]:
    """Return the changes that a gate judges now: the wave, the convoy, and late verdicts."""
    return [*state.current, *state.convoy, *(c for c in state.changes if c.is_late)]


def accepted_by_resume(state: TickState) -> str:
    """Say what a person accepts who resumes it now, as ``2 failures in arm64``; "" for nothing."""
    rollout, said = state.rollout, []
    if rollout.phase is Phase.HALTED:
        new = {
            (rollout.spec.variant_of(c), c.store)
            for c in to_accept(state)
            if not c.failure_accepted
        }
        counts = sorted(Counter(variant for variant, _ in new).items())
        said += [f"{many(number, 'failure')} in {variant}" for variant, number in counts]
    lost = state.stores(c for c in state.changes if c.is_late and not is_failed(c))
    if lost:
        said.append(f"{many(len(lost), 'store')} lost after the wave had passed")
    waived = "" if is_answered(state) else ", ".join(unjudged(state))
    return ", ".join([*said, *([f"{waived} unjudged"] if waived else [])])


def sent_after_resume(state: TickState) -> str:
    """Say which stores are sent the release first when it goes on; "" when none is left."""
    rollout = state.rollout
    for index in range(rollout.wave, len(rollout.spec.waves)):
        rows = [c for c in state.changes if c.wave == index and c.stage is Stage.PLANNED]
        stores = state.stores(c for c in rows if c.verdict is not Verdict.UNCHANGED)
        if stores:
            more = "more " if index == rollout.wave else ""
            return f"{rollout.spec.wave_name(index)}: {many(len(stores), f'{more}store')}"
    return ""


def to_accept(state: TickState) -> list[Change]:
    """Return the failures that a person accepts who resumes a halted rollout."""
    judged = [c for c in _judged(state) if is_failed(c)]
    # What AWS refuses for all stores alike would halt each later wave again.
    refused = [c for c in state.changes if is_refused(c) or c.next_send.rejected]
    return list({c.key: c for c in (*judged, *refused)}.values())


def _owe_again(state: TickState, change: Change, verb: Verb) -> None:
    """Have an owed store read, or sent again with new tries if it could not pull the image.

    Not where the word is about other stores that are back: every try may be paid for.
    """
    if change.verdict is not Verdict.UNDELIVERED or verb.stores:
        state.move(change, look_at=None)
        return
    state.move(
        change,
        stage=Stage.PLANNED,
        verdict=Verdict.WAITING,
        reason=_because(verb, "to be sent again: resumed"),
        wave=CONVOY,
        pulls_failed=0,
        look_at=None,
        next_send=to_be_sent_again(change),
    )


def _readmit(state: TickState, change: Change) -> None:
    """Let a dark store that was set back for the halt get the release when it is back."""
    if change.stage is Stage.UNDONE and change.verdict is Verdict.DARK:
        state.move(change, wave=CONVOY)


def _promote(state: TickState, verb: Verb) -> str:
    rollout = state.rollout
    if rollout.phase is Phase.AWAITING:
        state.rollout = replace(rollout, promoted=True)
        state.enter_phase(Phase.RUNNING, _because(verb, "promoted"))
        return "promoted: the next wave begins"
    if rollout.phase.has_ended:
        return f"it is {rollout.phase.value}"
    if rollout.promoted or not rollout.spec.canary:
        return "nothing waits for it"
    state.rollout = replace(rollout, promoted=True)
    return f"it will go on when the canary has passed; now it is {rollout.phase.value}"


def _chosen(state: TickState, verb: Verb) -> list[Change]:
    if not verb.stores:
        return list(state.changes)
    return [c for store in verb.stores for c in state.of_store(store)]


def _retry(state: TickState, verb: Verb) -> str:
    if state.rollout.phase.forgives:
        return f"it is {state.rollout.phase.value}: start a new rollout"
    again = [c for c in _chosen(state, verb) if c.may_retry(named=bool(verb.stores))]
    if not again:
        return "no store has failed" if not verb.stores else "none of these stores has failed"
    stays = bool(verb.stores) and state.rollout.phase.awaits_person
    for change in again:
        # A later wave may have begun; what is sent again is judged with the convoy then.
        wave = change.wave if change.wave == state.rollout.wave else CONVOY
        state.move(
            change,
            stage=Stage.PLANNED,
            verdict=Verdict.WAITING,
            reason=_because(verb, "to be sent again: retry"),
            wave=wave,
            pulls_failed=0,
            look_at=None,
            next_send=replace(
                to_be_sent_again(change),
                overwrite=change.verdict is Verdict.CHANGED_BY_HAND,
                refusals=0,
                is_tried=False,
                rejected=False,
                by_itself=stays,
            ),
            failure_accepted=False,
        )
    count = len(state.stores(again))
    told = f"{many(count, 'store')} {'is' if count == 1 else 'are'} sent the release again"
    if stays:
        return f"{told}; the rollout stays {state.rollout.phase.value}"
    state.enter_phase(
        Phase.RUNNING,
        _because(verb, "retried"),
        baking_since=None,
        wave_at=state.now,
        finished_at=None,
    )
    return told


def _skip(state: TickState, verb: Verb) -> str:
    if not verb.stores:
        return "name the stores to skip"
    if state.rollout.phase.has_ended:
        return f"it is {state.rollout.phase.value}"
    chosen = [c for c in _chosen(state, verb) if c.stage is not Stage.SKIPPED]
    for change in chosen:
        kept = "what was sent stays" if change.sends else "nothing was sent"
        state.move(change, stage=Stage.SKIPPED, reason=_because(verb, f"skipped, {kept},"))
    left = state.stores(chosen)
    be = "is" if len(left) == 1 else "are"
    return f"{many(len(left), 'store')} {be} left out" if left else "none of these stores is in it"


def _abort(state: TickState, verb: Verb) -> str:
    if state.rollout.phase.has_ended:
        return f"it is {state.rollout.phase.value} already"
    state.enter_phase(Phase.ABORTED, _because(verb, "aborted"))
    return "aborted; what was sent stays, dark stores are set back"


def _rollback(state: TickState, verb: Verb) -> str:
    left = any(c.is_not_set_back for c in _chosen(state, verb))
    if state.rollout.phase is Phase.ROLLED_BACK and not left:
        return "it is rolled back already"
    for change in _chosen(state, verb):
        state.put(called_off(change))
    moved = {Stage.SENT, Stage.SENDING, Stage.SKIPPED}
    chosen = [
        c for c in _chosen(state, verb) if c.sends and (c.stage in moved or c.is_not_set_back)
    ]
    for change in chosen:
        # A named store stays back, even when it was dark and would owe the release.
        stays_back = change.undo.stays_back or bool(verb.stores)
        state.move(
            change,
            stage=Stage.UNDOING,
            reason=_because(verb, "rollback"),
            look_at=None,
            undo=Undo(stays_back=stays_back),
        )
    if not verb.stores:
        state.enter_phase(Phase.ROLLING_BACK, _because(verb, "rolled back"), finished_at=None)
    elif state.rollout.finished_at is not None:
        # Only these stores are set back; afterwards the rollout is as finished as before.
        state.rollout = replace(state.rollout, finished_at=None)
    stores = state.stores(chosen)
    go = "goes" if len(stores) == 1 else "go"
    return (
        f"{many(len(stores), 'store')} {go} back to what each ran before"
        if stores
        else "nothing was sent"
    )


_DO: Mapping[VerbName, Callable[[TickState, Verb], str]] = {
    VerbName.PAUSE: _pause,
    VerbName.RESUME: _resume,
    VerbName.PROMOTE: _promote,
    VerbName.RETRY: _retry,
    VerbName.SKIP: _skip,
    VerbName.ABORT: _abort,
    VerbName.ROLLBACK: _rollback,
}
