"""Finds what AWS refuses for a whole variant, in whichever store; that halts a rollout."""

from collections.abc import Iterator, Sequence

from fleet.model.changes import Change
from fleet.model.gate import Check, GateAnswer, Mark, Signal
from fleet.model.printable import many
from fleet.model.verdicts import Stage
from fleet.rollout.decide.tick_state import TickState, is_parked

CHECK = "AWS accepts"


def refused_alike(state: TickState, rows: Sequence[Change]) -> tuple[Signal, ...]:
    """Return a row of the gate for each variant that AWS does not have in any store.

    A task definition is refused at once for all. Where each service is refused by itself, as for a
    role that is missing, as many stores must say so as a gate needs verdicts, and none be accepted.

    Args:
        rows: of the wave, or of the convoy after the last one.
    """
    if not state.where(_is_turned_down):
        return ()
    variants = sorted({state.rollout.spec.variant_of(change) for change in rows})
    return tuple(signal for variant in variants for signal in _of_variant(state, variant, rows))


def _of_variant(state: TickState, variant: str, rows: Sequence[Change]) -> Iterator[Signal]:
    mine = [c for c in rows if state.rollout.spec.variant_of(c) == variant]
    rejected = [c for c in mine if c.next_send.rejected and not c.failure_accepted]
    if rejected:
        yield _signal(f"{variant}: {rejected[0].reason}", 0, 1, many(len(mine), "store"))
        return
    refused = [c for c in mine if is_refused(c) and not c.failure_accepted]
    possible = [c for c in mine if not is_parked(c) and not c.is_left_out]
    needed = min(state.rollout.spec.policy.min_sample, len(possible))
    if refused and len(refused) >= needed and not any(c.sends for c in mine):
        seen = f"{variant}: in {many(len(refused), 'store')} alike: {refused[0].reason}"
        yield _signal(seen, 0, len(refused), many(len(refused), "store"))


def _signal(reason: str, accepted: int, tried: int, detail: str) -> Signal:
    check = Check(CHECK, f"{accepted}/{tried}", "needed 1", Mark.UNDER, detail)
    return Signal(check, GateAnswer.HALT, reason)


def _is_turned_down(change: Change) -> bool:
    return change.next_send.rejected or is_refused(change)


def is_refused(change: Change) -> bool:
    """Return whether fleet has given up sending a change because AWS refused its call each time."""
    return change.stage is Stage.HELD and change.next_send.refusals > 0
