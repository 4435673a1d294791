from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.availability import availability_of, spells_of, unsteady_spells, with_spell
from fleet.model.drift import Connection, Spell, StoreState
from fleet.model.inventory import Lifecycle, Store
from fleet.model.night import Scan
from tests import build
from tests.drift.decide.night_parts import (
    DAY,
    HOST,
    HOUR,
    LAST_NIGHT,
    TONIGHT,
    remembered,
    scan,
    spell,
)

UP, DARK = Connection.CONNECTED, Connection.DARK
BEFORE = LAST_NIGHT - DAY
NIGHTS = (scan(BEFORE), scan(LAST_NIGHT), scan(TONIGHT))


def shares(spells: tuple[Spell, ...], *nights: Scan, store: Store | None = None) -> list[object]:
    shop = store or build.store()
    found = availability_of([shop], nights or NIGHTS, {HOST: spells})
    (of_link,) = (one for one in found if one.kind == "link")
    return list(of_link.nights)


def test_a_spell_that_is_seen_again_goes_on() -> None:
    before = spell(DARK, BEFORE, LAST_NIGHT)
    assert with_spell((before,), spell(DARK, BEFORE)) == (spell(DARK, BEFORE),)


def test_another_connection_begins_a_spell() -> None:
    before, now = spell(UP, BEFORE, LAST_NIGHT), spell(DARK, TONIGHT - HOUR)
    assert with_spell((before,), now) == (before, now)


def test_a_second_outage_is_a_spell_of_its_own() -> None:
    before, now = spell(DARK, BEFORE, LAST_NIGHT), spell(DARK, TONIGHT - HOUR)
    assert with_spell((before,), now) == (before, now)


def test_that_a_host_is_still_connected_is_no_new_spell_whenever_it_is_said_to_begin() -> None:
    before, now = spell(UP, BEFORE, LAST_NIGHT), spell(UP, TONIGHT)
    assert with_spell((before,), now) == (spell(UP, BEFORE),)


def test_a_spell_never_begins_before_the_one_that_it_follows() -> None:
    before, now = spell(UP, LAST_NIGHT, LAST_NIGHT), spell(DARK, BEFORE)
    assert with_spell((before,), now)[1].since == LAST_NIGHT


def test_a_scan_that_was_slower_changes_nothing() -> None:
    before = spell(UP, BEFORE, TONIGHT)
    assert with_spell((before,), spell(DARK, BEFORE, LAST_NIGHT)) == (before,)


moments = st.integers(0, 200).map(lambda hours: BEFORE - 7 * DAY + timedelta(hours=hours))
seen_spells = st.builds(
    lambda how, one, two: Spell(how, min(one, two), max(one, two)),
    st.sampled_from(Connection),
    moments,
    moments,
)


@given(st.lists(seen_spells, min_size=1, max_size=8))
def test_spells_stay_in_order_and_seeing_the_last_again_changes_nothing(
    seen: list[Spell],
) -> None:
    spells: tuple[Spell, ...] = ()
    for one in seen:
        spells = with_spell(spells, one)
    assert [one.since for one in spells] == sorted(one.since for one in spells)
    assert [one.last_seen for one in spells] == sorted(one.last_seen for one in spells)
    assert with_spell(spells, spells[-1]) == spells


def test_what_was_remembered_and_what_is_seen_now_are_one_story() -> None:
    memory = {HOST: remembered(spell(UP, BEFORE, LAST_NIGHT)), ("gone", "h"): remembered()}
    now = {HOST: spell(DARK, TONIGHT - HOUR)}
    found = spells_of(memory, now, [HOST, ("store-042", "never")])
    assert found == {HOST: (spell(UP, BEFORE, LAST_NIGHT), spell(DARK, TONIGHT - HOUR))}


def test_a_host_that_was_connected_all_through_is_left_out() -> None:
    away = ("store-042", "cam-1")
    spells = {HOST: (spell(UP, BEFORE),), away: (spell(UP, BEFORE), spell(DARK, TONIGHT))}
    assert list(unsteady_spells(spells, NIGHTS)) == [away]


def test_an_outage_before_the_nights_is_no_reason_to_show_a_host() -> None:
    old = spell(DARK, BEFORE - 2 * DAY, BEFORE - 2 * DAY)
    back = spell(UP, BEFORE - DAY)
    assert unsteady_spells({HOST: (old, back)}, NIGHTS) == {}


def test_an_outage_that_reaches_into_the_nights_is_shown() -> None:
    old = spell(DARK, BEFORE - 2 * DAY, BEFORE - 2 * DAY)
    back = spell(UP, LAST_NIGHT)
    assert unsteady_spells({HOST: (old, back)}, NIGHTS) == {HOST: (old, back)}


def test_a_host_counts_in_each_night_as_it_was_then() -> None:
    spells = (
        spell(UP, BEFORE - HOUR, BEFORE),
        spell(DARK, LAST_NIGHT - HOUR, LAST_NIGHT),
        spell(UP, LAST_NIGHT + HOUR),
    )
    assert shares(spells) == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("how", [Connection.ECS_DOWN, Connection.SSM_DOWN, Connection.DARK])
def test_half_connected_is_not_connected(how: Connection) -> None:
    assert shares((spell(how, BEFORE),)) == [0.0, 0.0, 0.0]


def test_a_host_that_was_not_seen_any_more_is_not_called_connected() -> None:
    assert shares((spell(UP, BEFORE, LAST_NIGHT),)) == [1.0, 1.0, None]


def test_a_night_before_a_host_was_first_seen_says_nothing() -> None:
    assert shares((spell(UP, LAST_NIGHT),)) == [None, 1.0, 1.0]


def test_a_spell_that_began_while_the_scan_ran_is_of_its_night() -> None:
    assert shares((spell(UP, TONIGHT + timedelta(minutes=5)),))[-1] == 1.0


@pytest.mark.parametrize("state", [StoreState.NOT_VERIFIED, StoreState.NOT_COUNTED])
def test_a_night_in_which_the_store_was_not_verified_says_nothing(state: StoreState) -> None:
    nights = (scan(BEFORE), scan(LAST_NIGHT, state), scan(TONIGHT, states={}))
    assert shares((spell(UP, BEFORE),), *nights) == [1.0, None, None]


def test_a_store_that_is_closed_counts_nowhere() -> None:
    closed = build.store(lifecycle=Lifecycle.CLOSED)
    assert availability_of([closed], NIGHTS, {HOST: (spell(UP, BEFORE),)}) == ()


def test_groups_are_markets_kinds_of_hardware_and_links() -> None:
    cam = build.host("cam-1", build.XAVIER)
    shop = build.store(build.host(), cam, labels={"market": "uk"})
    other = replace(shop, id="store-043", labels={})
    found = availability_of([shop, other], NIGHTS, {HOST: (spell(UP, BEFORE),)})
    assert [(one.kind, one.group, one.stores) for one in found] == [
        ("hardware", "nuc", 2),
        ("hardware", "xavier-nx", 2),
        ("link", "lte", 2),
        ("market", "uk", 1),
    ]
    assert [one.nights[-1] for one in found] == [1.0, None, 1.0, 1.0]


def test_a_share_is_of_hosts() -> None:
    shop = build.store(*(build.host(f"h-{n}") for n in range(4)))
    spells = {("store-042", f"h-{n}"): (spell(UP if n else DARK, BEFORE),) for n in range(3)}
    found = availability_of([shop], NIGHTS, spells)
    assert {one.nights[-1] for one in found} == {2 / 3}
