"""The present arithmetic of a rollout, for those who look at it."""

from fleet.model.verdicts import Verdict
from fleet.rollout.decide.tick import gate_now
from fleet.rollout.decide.tick_state import TickState
from tests import rollouts


def test_before_anything_was_sent_there_is_no_arithmetic_to_show() -> None:
    rows = [rollouts.planned("store-011", wave=0)]

    assert gate_now(TickState(rollouts.rollout(wave=0), rows, rollouts.NOW)) is None


def test_what_was_sent_is_shown_beside_what_is_still_to_be_sent() -> None:
    rows = [
        rollouts.change("store-011", Verdict.OK),
        rollouts.planned("store-042", wave=0),
    ]

    gate = gate_now(TickState(rollouts.rollout(wave=0), rows, rollouts.NOW))

    assert gate is not None
    assert gate.counts["arm64"].ok == 1
