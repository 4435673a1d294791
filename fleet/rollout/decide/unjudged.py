"""Finds variants that no store has judged yet, as all of its stores in the wave are away."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from fleet.model.gate import Check, GateAnswer, Mark, Signal
from fleet.model.printable import many
from fleet.model.spans import span
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.tick_state import TickState, is_parked, is_sent

NAME = "unjudged"
_JUDGED = frozenset({Verdict.OK, Verdict.FAILED})


def unjudged(state: TickState) -> Mapping[str, int]:
    """Return the variants that the present wave has not judged, with the stores still to be sent.

    Those are variants whose stores in it are parked, that no store has judged in this rollout, and
    that further waves would be sent. What was skipped or is there already leaves nothing to judge.
    """
    wave, variant_of = state.rollout.wave, state.rollout.spec.variant_of
    here = {variant_of(c) for c in state.where(is_parked, wave=wave)}
    if not here:
        return {}
    here -= {variant_of(c) for c in state.where(is_sent) if c.verdict in _JUDGED}
    later = {
        (variant_of(c), c.store)
        for c in state.changes
        if c.wave > wave and c.stage is Stage.PLANNED and c.verdict is not Verdict.UNCHANGED
    }
    return Counter(variant for variant, _ in sorted(later) if variant in here)


def unjudged_row(state: TickState) -> Signal | None:
    """Return a row that holds a complete wave back while a variant is not judged; then asks."""
    rollout = state.rollout
    found = unjudged(state)
    if not found or is_answered(state):
        return None
    names = ", ".join(found)
    stores = many(sum(found.values()), "further store")
    words = f"no store has judged {names}: those of {rollout.wave_name} are parked"
    check = Check(NAME, names, "a verdict each", Mark.WAIT, f"{stores} would be sent it")
    if rollout.baking_since is None:
        return Signal(check, GateAnswer.WAIT, words)
    patience_s = rollout.spec.policy.patience_s
    began = max(rollout.baking_since, state.patience_from)
    asks_at = began + timedelta(seconds=patience_s)
    if state.now >= asks_at:
        reason = f"{words}; not back for {span(patience_s)}, and {stores} would be sent it"
        return Signal(check, GateAnswer.ASK, reason)
    return Signal(check, GateAnswer.WAIT, words, asks_at)


def is_answered(state: TickState) -> bool:
    """Return whether a person let the wave go on once it was complete, unjudged as it is."""
    since, answered = state.rollout.baking_since, state.rollout.answered_at
    return since is not None and answered is not None and answered >= since
