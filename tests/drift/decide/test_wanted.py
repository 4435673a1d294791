"""What each store should be, from the release and from what rollouts say."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fleet.drift.decide.wanted import idle, wanted_of
from fleet.model.desired import DesiredService, Release
from fleet.model.history import ActiveRollout
from fleet.model.observed import NotRead
from fleet.model.rollout import Hold, Phase
from fleet.model.verdicts import Stage, Verdict
from tests import build, rollouts
from tests.drift.decide.night_parts import DAY, HOUR, TONIGHT
from tests.shops import SHAPE

STORE = build.store(id="store-001", cluster="store-001")
OTHER = build.store(id="store-002", cluster="store-002")
SERVICE = DesiredService("store-001", SHAPE.name, "new", ("cam-1",))
RELEASE = Release("r", "i", (SERVICE,), {SHAPE.name: SHAPE}, {})
NOW = build.NOW


def test_a_store_wants_the_services_of_the_release() -> None:
    found = wanted_of([STORE, OTHER], RELEASE, [], [], NOW)
    assert (found["store-001"].services, found["store-002"].services) == ((SERVICE,), ())


def test_without_a_release_no_service_is_known_and_debts_still_are() -> None:
    change = replace(rollouts.change("store-001", Verdict.PARKED), since=NOW)
    found = wanted_of([STORE], NotRead("no image"), [("ro-1", change)], [], NOW)["store-001"]
    assert found.services == ()
    assert (found.owed[change.service].rollout, found.owed[change.service].words) == (
        "ro-1",
        "parked",
    )


def test_of_two_rollouts_the_later_one_is_owed() -> None:
    change = rollouts.change("store-001", Verdict.PARKED)
    owed = [("ro-1", change), ("ro-2", replace(change, content="newer"))]
    found = wanted_of([STORE], RELEASE, owed, [], NOW)["store-001"].owed[change.service]
    assert (found.rollout, found.content) == ("ro-2", "newer")


def test_a_dark_store_that_was_set_back_is_told_so() -> None:
    change = replace(rollouts.change("store-001", Verdict.DARK), stage=Stage.UNDONE)
    found = wanted_of([STORE], RELEASE, [("ro-1", change)], [], NOW)["store-001"]
    assert found.owed[change.service].words == "dark, set back"


def test_a_debt_without_a_time_of_its_own_is_as_old_as_this_scan() -> None:
    change = replace(
        rollouts.change("store-001", Verdict.PARKED), since=None, looked_at=None, sent_at=None
    )
    found = wanted_of([STORE], RELEASE, [("ro-1", change)], [], NOW)["store-001"]
    assert found.owed[change.service].since == NOW


def test_a_store_that_an_active_rollout_holds_is_in_work() -> None:
    holds = [
        Hold("store-001", "vision", "ro-2", "me", NOW - timedelta(hours=1)),
        Hold("store-001", "telemetry", "ro-3", "me", NOW),
    ]
    found = wanted_of([STORE, OTHER], RELEASE, [], holds, NOW)
    assert found["store-001"].rolling == {SHAPE.name: "ro-2"}
    assert found["store-002"].rolling == {}


def test_what_a_rollout_that_stands_still_holds_is_stalled_and_not_in_work() -> None:
    holds = [Hold("store-001", "vision", "ro-2", "me", NOW)]
    found = wanted_of([STORE], RELEASE, [], holds, NOW, idle={"ro-2"})["store-001"]
    assert (found.rolling, found.stalled) == ({}, {SHAPE.name: "ro-2"})


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
