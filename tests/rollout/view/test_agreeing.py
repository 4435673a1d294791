"""Screens do not contradict themselves: what is said twice is derived from the same changes."""

import io

from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Step
from rich.console import Console

from fleet.model.overview import Overview
from fleet.model.verdicts import Standing
from fleet.rollout.decide.tick import done_words
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.view.rollout import status_view, store_standings, wave_counts, wave_state
from fleet.rollout.view.summary import summary_view
from tests.rollout.decide.rollout_world import World
from tests.rollout.decide.test_tick_properties import stories

a_few = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Step.explicit, Step.reuse, Step.generate],
)


def drawn(overview: Overview) -> str:
    out = io.StringIO()
    console = Console(file=out, width=200, markup=False, highlight=False)
    console.print(status_view(overview, 200))
    console.print(summary_view(overview, 200))
    return out.getvalue()


@a_few
@given(stories())
def test_no_screen_says_owed_and_nothing_left_to_apply(world: World) -> None:
    overview = Overview(world.rollout, world.now, world.changes)

    assert not [c for c in overview.owed if "nothing is left to apply" in c.reason]
    assert ("Owed by" in drawn(overview)) is bool(overview.owed)


@a_few
@given(stories())
def test_the_words_of_a_rollout_that_is_done_count_stores_as_its_tally_does(world: World) -> None:
    state = TickState(world.rollout, world.changes, world.now)
    standings = list(store_standings(world.changes).values())

    words = done_words(state).split(", ")

    for standing in (Standing.OK, Standing.FAILED):
        number = standings.count(standing)
        assert (f"{number} {standing.value}" in words) is (number > 0)


@a_few
@given(stories())
def test_a_wave_with_an_accepted_failure_never_reads_as_passed(world: World) -> None:
    overview = Overview(world.rollout, world.now, world.changes)

    for wave in wave_counts(world.rollout, world.changes):
        taken = [c for c in world.changes if c.wave == wave.index and c.failure_accepted]
        if any(c.standing is Standing.FAILED for c in taken):
            assert wave_state(overview, wave) != "passed"
