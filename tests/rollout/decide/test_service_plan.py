"""Since when a host is away, by what was recorded of it."""

from datetime import timedelta

import pytest

from fleet.model.history import Ledger, Observation
from fleet.rollout.decide.service_plan import away_of
from tests.rollout.decide.plans import HOUR, NOW


def seen(state: str, *, ago: timedelta = HOUR, ledger: Ledger = Ledger.ECS) -> Observation:
    return Observation("store-042", "tel-1", ledger, {"state": state}, NOW - 2 * HOUR, NOW - ago)


def test_a_host_is_away_since_it_was_first_seen_so() -> None:
    assert away_of([seen("ACTIVE, not connected")], NOW, 300) == {"store-042/tel-1": NOW - 2 * HOUR}


def test_a_host_that_was_just_seen_connected_is_away_for_less_than_that() -> None:
    lately = timedelta(seconds=100)
    found = away_of([seen("ACTIVE, connected", ago=lately)], NOW, 300)
    assert found == {"store-042/tel-1": NOW - lately}


def test_of_a_host_that_was_connected_long_ago_nobody_knows() -> None:
    assert away_of([seen("ACTIVE, connected")], NOW, 300) == {}


@pytest.mark.parametrize("state", ["absent", "", "DRAINING"])
def test_other_states_say_nothing(state: str) -> None:
    assert away_of([seen(state, ago=timedelta(0))], NOW, 300) == {}


def test_only_ecs_is_asked() -> None:
    assert away_of([seen("ACTIVE, not connected", ledger=Ledger.SSM)], NOW, 300) == {}
