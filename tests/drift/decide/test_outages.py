"""Outages from spells: what lasted how long, and when a whole shop was gone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.outages import outages_of
from fleet.model.drift import Connection, Spell
from fleet.model.store_story import Outage

NOW = datetime(2026, 11, 23, 3, 31, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=30)


def at(hours: float) -> datetime:
    """So many hours before now."""
    return NOW - timedelta(hours=hours)


def spell(connection: Connection, since: float, seen: float = 0) -> Spell:
    return Spell(connection, at(since), at(seen))


def test_an_outage_ends_when_the_next_spell_begins() -> None:
    spells = [
        spell(Connection.CONNECTED, 100, 50),
        spell(Connection.DARK, 48, 20),
        spell(Connection.CONNECTED, 17),
    ]

    assert outages_of({"tel-1": spells}, LONG_AGO) == (
        Outage("tel-1", Connection.DARK, at(48), at(17), at(20)),
    )


def test_one_that_lasts_has_no_end_but_was_last_seen() -> None:
    [outage] = outages_of({"tel-1": [spell(Connection.ECS_DOWN, 5, 1)]}, LONG_AGO)

    assert (outage.until, outage.last_seen) == (None, at(1))


def test_a_host_that_was_back_unseen_is_not_called_away_in_between() -> None:
    spells = [spell(Connection.DARK, 90, 80), spell(Connection.DARK, 10)]

    later, earlier = outages_of({"tel-1": spells}, LONG_AGO)

    assert (later.since, later.until) == (at(10), None)
    assert (earlier.since, earlier.until) == (at(90), at(80))


def test_an_outage_that_was_over_before_is_left_out() -> None:
    spells = [spell(Connection.DARK, 90, 80), spell(Connection.CONNECTED, 70)]

    assert outages_of({"tel-1": spells}, at(60)) == ()


def test_a_shop_is_dark_while_all_its_hosts_are() -> None:
    hosts = {
        "cam-1": [spell(Connection.DARK, 48, 20), spell(Connection.CONNECTED, 17)],
        "tel-1": [spell(Connection.DARK, 40, 20), spell(Connection.CONNECTED, 19)],
    }

    [shop] = [one for one in outages_of(hosts, LONG_AGO) if not one.host]

    assert (shop.since, shop.until) == (at(40), at(19))


def test_a_shop_with_one_agent_down_is_not_dark() -> None:
    hosts = {"cam-1": [spell(Connection.ECS_DOWN, 9)], "tel-1": [spell(Connection.DARK, 9)]}

    assert {one.host for one in outages_of(hosts, LONG_AGO)} == {"cam-1", "tel-1"}


def test_hosts_that_went_with_their_shop_are_told_once() -> None:
    hosts = {
        "cam-1": [spell(Connection.DARK, 9)],
        "tel-1": [spell(Connection.DARK, 9.05)],
        "tel-2": [spell(Connection.DARK, 30)],
    }

    assert [one.host for one in outages_of(hosts, LONG_AGO)] == ["", "tel-2"]


def test_the_only_host_of_a_shop_is_told_once() -> None:
    assert len(outages_of({"tel-1": [spell(Connection.DARK, 9)]}, LONG_AGO)) == 1


def spells_from(kinds: Sequence[Connection], hours: Sequence[int]) -> list[Spell]:
    begins = sorted({float(hour) for hour in hours}, reverse=True)
    found = []
    for index, (kind, since) in enumerate(zip(kinds, begins, strict=False)):
        then = begins[index + 1] if index + 1 < len(begins) else 0.0
        found.append(spell(kind, since, (since + then) / 2))
    return found


HOSTS = st.dictionaries(
    st.sampled_from(["cam-1", "cam-2", "tel-1"]),
    st.builds(
        spells_from,
        st.lists(st.sampled_from(list(Connection)), max_size=6),
        st.lists(st.integers(1, 500), max_size=6),
    ),
    min_size=1,
)


@given(HOSTS)
def test_a_shop_is_dark_only_when_every_host_is(hosts: dict[str, list[Spell]]) -> None:
    found = outages_of(hosts, LONG_AGO)

    for shop in (one for one in found if not one.host):
        for host, spells in hosts.items():
            mine = outages_of({host: spells}, LONG_AGO)
            assert any(
                one.connection is Connection.DARK
                and one.since <= shop.since
                and (one.until is None or (shop.until is not None and shop.until <= one.until))
                for one in mine
            )


@given(HOSTS)
def test_the_latest_comes_first_and_none_ends_before_it_begins(
    hosts: dict[str, list[Spell]],
) -> None:
    found = outages_of(hosts, LONG_AGO)

    assert [one.since for one in found] == sorted((one.since for one in found), reverse=True)
    assert all(one.until is None or one.since <= one.until for one in found)
