"""States that were just written are at hand until somebody else writes, and only as written."""

from dataclasses import replace

from fleet.model.verdicts import Stage
from fleet.rollout.states_at_hand import MOST, StatesAtHand
from tests.rollout.decide.tick_states import after, sent, state


def test_a_state_is_at_hand_until_somebody_else_writes() -> None:
    written, at_hand = state(sent(), tick=7), StatesAtHand()
    at_hand.keep(written)
    found = at_hand.find(written.rollout, after(90), None)
    assert found is not None
    assert (found.changes, found.moved, found.now) == (written.changes, (), after(90))
    assert at_hand.find(replace(written.rollout, tick=8), after(90), None) is None
    assert at_hand.find(replace(written.rollout, id="ro-9"), after(90), None) is None


def test_what_was_not_written_is_not_kept() -> None:
    written, at_hand = state(sent(), tick=7), StatesAtHand()
    at_hand.keep(written)
    written.move(written.changes[0], stage=Stage.SKIPPED)
    for _ in range(2):
        found = at_hand.find(written.rollout, after(90), None)
        assert found is not None
        assert found.changes[0].stage is Stage.SENT
        found.move(found.changes[0], stage=Stage.UNDOING)


def test_the_changes_of_a_done_rollout_are_always_read() -> None:
    written, at_hand = state(sent(), tick=7), StatesAtHand()
    at_hand.keep(written)
    done = replace(written.rollout, finished_at=after(80))
    assert at_hand.find(done, after(90), None) is None
    at_hand.keep(written.again(done, after(80), None))
    assert at_hand.find(written.rollout, after(90), None) is None


def test_only_the_latest_few_are_kept() -> None:
    at_hand, rows = StatesAtHand(), state(sent(), tick=7)
    rollouts = [replace(rows.rollout, id=f"ro-{number}") for number in range(MOST + 1)]
    for rollout in rollouts:
        at_hand.keep(rows.again(rollout, after(80), None))
    found = [at_hand.find(rollout, after(90), None) is not None for rollout in rollouts]
    assert found == [False, *[True] * MOST]
