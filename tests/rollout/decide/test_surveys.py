"""Who is compared in the darkness test, and what counts as going dark."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.model.changes import CONVOY, Change, ObservedChange
from fleet.model.darkness import DarknessTest, Presence, Survey
from fleet.model.gate import Sample
from fleet.model.rollout import Phase, VerbName
from fleet.model.verdicts import Verdict
from fleet.rollout.decide.control_sample import CONTROL_SAMPLE, control_sample, kinds_of, surveys
from fleet.rollout.decide.darkness import RATIOS, Excess, log_e_value, most_expected
from fleet.rollout.decide.surveys import compare, darkness_now, hour_sample, surveyed_at_send
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.verbs import obey
from tests.rollout.decide.tick_states import (
    POLICY,
    after,
    away,
    opening,
    parked,
    place,
    planned,
    said,
    sent,
    state,
    undone,
    view,
)

#: Seconds between two surveys of a store.
EVERY = POLICY.dark_after_s


def found(presence: Presence = Presence.HERE, at: float = 0, **fields: Any) -> ObservedChange:
    return ObservedChange(survey=Survey(after(at), presence, **{"looks": 5, **fields}))


def updated(number: int = 1, **fields: Any) -> Change:
    return sent(f"store-{number:03}", Verdict.OK, **{"observed": found(), **fields})


def others(of: int, **fields: Any) -> list[Change]:
    return [planned(f"store-9{n:02}", wave=1, observed=found(**fields)) for n in range(of)]


def survey(rows: TickState, *gone: str, here: tuple[str, ...] = ()) -> None:
    """One tick that reads these stores."""
    at = (rows.now - after(0)).total_seconds()
    views = {store: away(store, at) for store in gone} | {store: view(store, at) for store in here}
    compare(rows, views)


def of(rows: TickState, store: str = "store-001") -> Survey:
    return rows.of_store(store)[0].observed.survey


# what counts as going dark


@pytest.mark.parametrize(
    ("passed", "presence"),
    [(EVERY - 1, Presence.HERE), (EVERY, Presence.AWAY), (EVERY + 1, Presence.AWAY)],
)
@pytest.mark.parametrize("row", [updated(1), planned("store-001", wave=1, observed=found())])
def test_a_read_is_a_survey_when_enough_time_has_passed_in_either_group(
    row: Change, passed: float, presence: Presence
) -> None:
    rows = state(row, updated(2), at=passed)
    survey(rows, "store-001")
    assert of(rows).presence is presence


def test_a_store_goes_dark_when_two_surveys_in_a_row_find_it_away() -> None:
    rows = state(updated(observed=found(Presence.AWAY)), *others(20), at=EVERY)
    survey(rows, "store-001")
    assert (of(rows).presence, of(rows).counted) == (Presence.DARK, True)
    assert rows.rollout.darkness.updated_dark == 1
    assert log_e_value(rows.rollout.darkness.log_ratios) > 0


@pytest.mark.parametrize("row", [updated(), planned("store-001", wave=1, observed=found())])
def test_a_store_that_does_not_go_dark_is_not_counted(row: Change) -> None:
    rows = state(row, updated(2), *others(20), at=EVERY)
    survey(rows, here=("store-001",))
    assert not of(rows).counted


@pytest.mark.parametrize(
    ("presence", "excess"), [(Presence.HERE, Excess.NO), (Presence.AWAY, Excess.SUSPECTED)]
)
def test_stores_that_their_last_survey_found_away_may_be_an_excess(
    presence: Presence, excess: Excess
) -> None:
    rows = [updated(n, observed=found(presence)) for n in range(1, 9)]
    assert darkness_now(state(*rows, *others(40), at=EVERY)).excess is excess


def test_a_store_that_is_back_at_its_next_survey_has_flapped() -> None:
    rows = state(updated(observed=found(Presence.AWAY)), *others(20), at=EVERY)
    survey(rows, here=("store-001",))
    assert of(rows).presence is Presence.HERE
    assert rows.rollout.darkness.updated_dark == 0


def test_a_store_that_was_never_surveyed_here_does_not_go_dark() -> None:
    rows = state(updated(observed=ObservedChange()), *others(20), at=EVERY)
    survey(rows, "store-001")
    assert of(rows).presence is Presence.DARK
    assert rows.rollout.darkness.updated_dark == 0


def test_an_updated_store_counts_once() -> None:
    again = updated(observed=found(Presence.AWAY, counted=True))
    rows = state(again, *others(20), at=EVERY)
    survey(rows, "store-001")
    assert rows.rollout.darkness.log_ratios == ()


def test_a_store_that_counted_could_not_go_dark_again() -> None:
    """So that an untouched store that goes dark then says nothing for the release."""
    other = planned("store-500", wave=1, observed=found(Presence.AWAY))
    for counted, compared_with in ((False, 21), (True, 0)):
        rows = state(updated(observed=found(counted=counted)), other, *others(20), at=EVERY)
        survey(rows, "store-500")
        assert rows.rollout.darkness.control == compared_with
    dark = updated(observed=found(Presence.DARK))
    rows = state(dark, *others(20), at=EVERY)
    compare(rows, {})
    assert rows.rollout.darkness.control == 0


@pytest.mark.parametrize(("looks", "new"), [(0, 0), (1, 1), (2, 0)])
def test_an_untouched_store_is_one_of_the_others_from_its_second_survey(
    looks: int, new: int
) -> None:
    row = planned("store-500", wave=1, observed=found(looks=looks))
    rows = state(updated(), row, at=EVERY)
    survey(rows, here=("store-500",))
    assert of(rows, "store-500").looks == looks + 1
    assert rows.rollout.darkness.others_of == new


def test_a_store_that_is_sent_the_release_is_here() -> None:
    change = planned("store-500", looked_at=after(7))
    assert surveyed_at_send(change, after(9)) == Survey(after(7), Presence.HERE, 1)
    unread = replace(change, looked_at=None)
    assert surveyed_at_send(unread, after(9)) == Survey(after(9), Presence.HERE, 1)


def test_an_untouched_store_counts_every_time_and_is_shown_once() -> None:
    again = planned("store-500", wave=1, observed=found(Presence.AWAY, counted=True))
    rows = state(updated(), again, *others(20), at=EVERY)
    survey(rows, "store-500")
    assert rows.rollout.darkness.others_dark == 0
    assert log_e_value(rows.rollout.darkness.log_ratios) < 0


def test_an_outage_over_both_groups_at_once_is_no_evidence() -> None:
    both = [updated(n, observed=found(Presence.AWAY)) for n in range(1, 5)]
    dark = others(20, presence=Presence.AWAY)
    rows = state(*both, *dark, at=EVERY)
    survey(rows, *(c.store for c in (*both, *dark)))
    assert log_e_value(rows.rollout.darkness.log_ratios) == pytest.approx(0.0)
    assert darkness_now(rows).excess is Excess.NO


def test_stores_that_only_the_release_takes_are_an_excess() -> None:
    gone = [updated(n, observed=found(Presence.AWAY)) for n in range(1, 5)]
    rows = state(*gone, *others(40), at=EVERY)
    survey(rows, *(c.store for c in gone))
    told = darkness_now(rows)
    assert told.excess is Excess.YES
    assert told.seen.startswith("4/4 updated, 0/")


# who is compared


def compared(*rows: Change, at: float = EVERY, **fields: Any) -> int:
    """How many untouched stores one updated store can be compared with."""
    tick = state(updated(), *rows, at=at, **fields)
    compare(tick, {})
    return tick.rollout.darkness.control


def test_untouched_stores_of_the_present_wave_are_compared_until_they_are_sent_to() -> None:
    assert compared(planned("store-500", observed=found())) == 1


@pytest.mark.parametrize(
    "row",
    [
        parked("store-500", wave=1, observed=found()),
        planned("store-500", wave=CONVOY, observed=found()),
        planned("store-500", wave=1, observed=found(Presence.DARK)),
        planned("store-500", wave=1),
    ],
)
def test_stores_that_were_away_at_their_turn_or_are_not_known_are_not_compared(
    row: Change,
) -> None:
    assert compared(row) == 0


@pytest.mark.parametrize(("looks", "control"), [(1, 0), (2, 1)])
def test_an_untouched_store_is_compared_once_it_could_have_been_found_dark(
    looks: int, control: int
) -> None:
    assert compared(planned("store-500", wave=1, observed=found(looks=looks))) == control


@pytest.mark.parametrize(("passed", "control"), [(3 * EVERY, 1), (3 * EVERY + 1, 0)])
def test_an_untouched_store_that_was_not_surveyed_lately_is_not_compared(
    passed: float, control: int
) -> None:
    assert compared(planned("store-500", wave=1, observed=found()), at=passed) == control


def test_stores_sent_in_earlier_waves_count_too() -> None:
    early = updated(observed=found(Presence.AWAY))
    rows = state(early, updated(2, wave=1), *others(20), at=EVERY, wave=1)
    survey(rows, "store-001")
    assert rows.rollout.darkness.updated_dark == 1


def test_a_store_of_the_convoy_does_not_count() -> None:
    back = updated(observed=found(Presence.AWAY), wave=CONVOY)
    rows = state(back, updated(2), *others(20), at=EVERY)
    survey(rows, "store-001")
    assert rows.rollout.darkness.updated_dark == 0


def test_a_store_that_was_away_before_the_rollout_does_not_count() -> None:
    long_gone = updated(observed=found(Presence.AWAY), away_since=after(0))
    rows = state(long_gone, *others(20), at=EVERY)
    survey(rows, "store-001")
    assert rows.rollout.darkness.updated_dark == 0
    since_then = updated(observed=found(Presence.AWAY), away_since=after(1))
    rows = state(since_then, *others(20), at=EVERY)
    survey(rows, "store-001")
    assert rows.rollout.darkness.updated_dark == 1


def test_stores_are_compared_within_their_carrier_link_and_time_zone() -> None:
    places = {f"a{n}": place(f"a{n}", carrier="o2", link="lte") for n in range(4)}
    places |= {f"b{n}": place(f"b{n}", carrier="ee", link="lte") for n in range(4)}
    far = {f"c{n}": place(f"c{n}", carrier="ee", time_zone="Asia/Tokyo") for n in range(3)}
    kinds = kinds_of({**places, **far}, 4)
    assert kinds["a0"] == "o2/lte/Europe/London"
    assert kinds["b0"] == "ee/lte/Europe/London"
    assert {kinds[store] for store in far} == {""}, "three are too few for a kind of their own"
    assert len(set(kinds_of({**places, **far}, 3).values())) == 3


def test_small_kinds_of_one_carrier_and_link_are_compared_together() -> None:
    zones = ("Europe/London", "Europe/Paris")
    places = {
        f"{zone}{n}": place(f"{zone}{n}", carrier="o2", link="lte", time_zone=zone)
        for zone in zones
        for n in range(2)
    }
    assert set(kinds_of(places, 4).values()) == {"o2/lte"}


# the sample


def sampled(seed: int = 1, of: int = 300, **fields: Any) -> list[str]:
    rows = [planned(f"store-1{n:03}", wave=1) for n in range(of)]
    return control_sample(state(updated(), *rows, seed=seed, **fields))


def test_the_sample_is_drawn_by_the_seed() -> None:
    assert len(sampled()) == CONTROL_SAMPLE
    assert sampled() == sampled()
    assert set(sampled()) != set(sampled(seed=2))


def test_nobody_is_sampled_before_the_first_send_or_while_it_does_not_run() -> None:
    assert control_sample(state(*(planned(f"store-{n}", wave=1) for n in range(30)))) == []
    assert sampled(phase=Phase.PAUSED) == []


def test_the_sample_is_surveyed_on_a_schedule_whatever_happens_to_updated_stores() -> None:
    for at, due in ((EVERY - 1, []), (EVERY, ["store-900"]), (EVERY + 1, ["store-900"])):
        assert list(surveys(state(updated(), *others(1), at=at)).due) == due


# history, a restart, and people


def alone(*gone: str, history: Sample | None, at: float = EVERY) -> TickState:
    """Two updated stores that were away at their last survey, and nobody to compare with."""
    rows = state(*(updated(n, observed=found(Presence.AWAY)) for n in (1, 2)), at=at)
    compare(rows, {store: away(store, at) for store in gone}, history)
    return rows


HISTORY = Sample(1, 5000)


def survey_alone(rows: TickState, here: tuple[str, ...]) -> None:
    at = (rows.now - after(0)).total_seconds()
    compare(rows, {store: view(store, at) for store in here}, HISTORY)


def test_history_is_the_control_group_where_there_is_none() -> None:
    test = alone("store-001", history=Sample(1, 5000)).rollout.darkness
    assert test.history == Sample(1, 5000)
    assert log_e_value(test.log_ratios) > 0


def test_against_history_an_outage_that_stores_share_counts_as_one() -> None:
    one = alone("store-001", history=Sample(1, 5000)).rollout.darkness
    two = alone("store-001", "store-002", history=Sample(1, 5000)).rollout.darkness
    assert two.updated_dark == 2
    assert log_e_value(two.log_ratios) == pytest.approx(log_e_value(one.log_ratios), abs=0.01)


def test_history_is_kept_as_it_was_when_it_was_first_needed() -> None:
    rows = alone(history=Sample(1, 5000))
    compare(rows, {}, Sample(9, 9000))
    assert rows.rollout.darkness.history == Sample(1, 5000)


#: Stores that make a kind of their own.
KIND = 2 * POLICY.min_control


def of_two_kinds(*rows: Change, **fields: Any) -> TickState:
    """The first store has a carrier of its own, with enough stores for a kind."""
    ee = [updated(n) for n in range(1, KIND + 1)]
    o2 = {row.store: place(row.store, carrier="o2") for row in rows}
    places = {row.store: place(row.store, carrier="ee") for row in ee} | o2
    return state(*ee, *rows, at=EVERY, places=places, **fields)


def test_history_is_asked_for_the_one_kind_that_has_no_control_group() -> None:
    more = [updated(50), *others(KIND)]
    rows = of_two_kinds(*more)
    compare(rows, {}, Sample(1, 5000))
    assert rows.rollout.darkness.history == Sample(1, 5000)


@pytest.mark.parametrize(("hours", "kept"), [(-1, False), (0, True), (1, True)])
def test_history_is_used_from_min_control_store_hours_on(hours: int, *, kept: bool) -> None:
    history = Sample(0, POLICY.min_control + hours)
    assert (alone(history=history).rollout.darkness.history is not None) is kept


def test_time_in_which_no_store_goes_dark_speaks_against_an_excess() -> None:
    rows = state(updated(1), updated(2), at=2 * EVERY)
    survey_alone(rows, here=("store-001", "store-002"))
    hours = 2 * 2 * EVERY / 3600
    expected = most_expected(HISTORY, POLICY.alpha) * hours
    assert rows.rollout.darkness.log_ratios == pytest.approx(
        [-(ratio - 1) * expected for ratio in RATIOS]
    )


def test_stores_of_two_kinds_that_may_be_dark_are_suspected_by_history_alone() -> None:
    gone = [updated(n, observed=found(Presence.AWAY), away_since=after(9)) for n in (1, 50)]
    rows = of_two_kinds(gone[1], darkness=DarknessTest(history=HISTORY))
    rows.put(gone[0])
    assert darkness_now(rows).excess is Excess.SUSPECTED


def test_history_is_not_asked_while_there_is_a_control_group() -> None:
    rows = state(updated(), *others(20), at=EVERY)
    compare(rows, {}, Sample(1, 5000))
    assert rows.rollout.darkness.history is None


def test_a_dark_store_that_was_compared_does_not_become_unclear_when_the_others_are_sent() -> None:
    dark = sent("store-001", Verdict.DARK, away_since=after(9), observed=found(Presence.DARK))
    heard = replace(dark, observed=found(Presence.DARK, counted=True))
    assert darkness_now(state(dark)).excess is Excess.UNCLEAR
    assert darkness_now(state(heard)).excess is Excess.NO


def test_a_dark_store_that_was_set_back_stays_unclear() -> None:
    """Otherwise the release would go to another store each time one is set back."""
    dark = undone("store-001", away_since=after(9), observed=found(Presence.DARK))
    assert darkness_now(state(dark)).excess is Excess.UNCLEAR


def test_resuming_lets_the_stores_be_that_are_dark_and_begins_the_test_anew() -> None:
    dark = sent("store-001", Verdict.DARK, away_since=after(9), observed=found(Presence.DARK))
    seen = DarknessTest(log_ratios=(9.0,) * 5, updated_dark=1)
    rows = state(dark, phase=Phase.HALTED, darkness=seen)
    obey(rows, [said(VerbName.RESUME)])
    assert rows.rollout.darkness == DarknessTest(updated_dark=1)
    assert darkness_now(rows).excess is Excess.NO


def test_resuming_after_a_pause_forgets_nothing_that_was_seen() -> None:
    seen = DarknessTest(log_ratios=(1.0,) * 5, updated_dark=1)
    rows = state(updated(), *others(20), phase=Phase.PAUSED, darkness=seen)
    obey(rows, [said(VerbName.RESUME)])
    assert rows.rollout.darkness == seen


def test_untouched_stores_that_go_dark_are_recorded_by_the_hour() -> None:
    rows = state(updated(), *others(24, presence=Presence.AWAY), at=EVERY)
    survey(rows, "store-900", here=tuple(f"store-9{n:02}" for n in range(1, 24)))
    assert hour_sample(rows.rollout.darkness) == Sample(1, 2)
    assert hour_sample(DarknessTest()) is None


def test_a_tick_without_surveys_leaves_the_recorded_hour_as_it_is() -> None:
    known = DarknessTest(hour=after(-7200), hour_dark=1, hour_s=9000.0)
    rows = state(updated(), *others(3), at=EVERY, darkness=known)
    compare(rows, {})
    assert hour_sample(rows.rollout.darkness) == hour_sample(known)


# stores that are switched off while they are closed


def closing(*rows: Change, at: float, opens: float = 40000, **fields: Any) -> TickState:
    """The first store is switched off at second 250, until it opens."""
    off = place("store-001", hours=opening(opens, 250), off_when_closed=("cam-1",))
    places = {row.store: place(row.store) for row in rows} | {"store-001": off}
    return state(*rows, at=at, places=places, **fields)


def test_a_store_that_is_switched_off_is_not_surveyed() -> None:
    rows = closing(updated(1), updated(2), at=EVERY)
    survey(rows, "store-001", "store-002")
    assert of(rows).presence is Presence.HERE
    assert of(rows).looks == 5
    assert of(rows, "store-002").presence is Presence.AWAY


def test_a_store_that_does_not_come_back_at_opening_is_surveyed_from_then_on() -> None:
    for opens, presence in ((EVERY + 1, Presence.HERE), (EVERY, Presence.AWAY)):
        gone = updated(1, away_since=after(251))
        rows = closing(gone, updated(2), at=EVERY, opens=opens)
        survey(rows, "store-001")
        assert of(rows).presence is presence


@pytest.mark.parametrize(("hosts", "holds"), [((), True), (("cam-1",), False)])
def test_stores_that_are_switched_off_together_hold_no_sends(
    hosts: tuple[str, ...], *, holds: bool
) -> None:
    gone = [updated(n, away_since=after(251), observed=found(at=200)) for n in range(1, 13)]
    rows = [*gone, *others(40, at=200)]
    where = {"hours": opening(40000, 250), "off_when_closed": hosts}
    places = {row.store: place(row.store, **where) for row in rows}
    assert darkness_now(state(*rows, at=EVERY, places=places)).holds is holds
