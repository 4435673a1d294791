"""When a rollout stands still."""

from datetime import timedelta

import pytest

from fleet.drift.decide.idle import idle
from fleet.model.history import ActiveRollout
from fleet.model.rollout import Phase
from tests.drift.decide.night_parts import DAY, HOUR, TONIGHT


def rollout(phase: Phase, *, phase_ago: timedelta, moved_ago: timedelta) -> ActiveRollout:
    since, moved = TONIGHT - phase_ago, TONIGHT - moved_ago
    return ActiveRollout("ro-118", phase, ("vision",), 800, "why", since, moved)


@pytest.mark.parametrize("phase", [Phase.PAUSED, Phase.HALTED, Phase.AWAITING])
def test_one_that_waits_for_a_person_stands_still_however_often_it_is_ticked(phase: Phase) -> None:
    one = rollout(phase, phase_ago=2 * DAY, moved_ago=timedelta(0))
    (found,) = idle([one], TONIGHT, DAY.total_seconds())
    assert (found.rollout.id, found.since, found.waits) == ("ro-118", one.phase_at, True)


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.ROLLING_BACK])
def test_one_that_nobody_ticks_stands_still_since_its_last_tick(phase: Phase) -> None:
    one = rollout(phase, phase_ago=3 * DAY, moved_ago=2 * DAY)
    (found,) = idle([one], TONIGHT, DAY.total_seconds())
    assert (found.since, found.waits) == (one.moved_at, False)


@pytest.mark.parametrize(
    "one",
    [
        rollout(Phase.RUNNING, phase_ago=9 * DAY, moved_ago=HOUR),
        rollout(Phase.HALTED, phase_ago=23 * HOUR, moved_ago=HOUR),
    ],
)
def test_one_that_moves_or_has_just_stopped_does_not(one: ActiveRollout) -> None:
    assert idle([one], TONIGHT, DAY.total_seconds()) == ()
