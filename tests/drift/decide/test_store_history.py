"""A store's history: every source, in order, and no line for a night like the one before."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.store_history import (
    availability_of,
    moments_of,
    outages_of,
    spells_of,
    unsteady_spells,
    with_spell,
)
from fleet.model.drift import Finding, HostConnection, Spell, StoreState
from fleet.model.drift_settings import Severity
from fleet.model.history import AuditEntry
from fleet.model.inventory import Lifecycle, Store
from fleet.model.rollout import EventKind, RolloutEvent
from fleet.model.scan_result import PastFinding, Scan
from fleet.model.store_story import Moment, MomentKind, Outage
from tests import build
from tests.drift.decide.night_parts import (
    DAY,
    HOST,
    HOUR,
    LAST_NIGHT,
    TONIGHT,
    remembered,
)
from tests.drift.decide.night_parts import scan as scan_at
from tests.drift.decide.night_parts import spell as spell_of

NOW = datetime(2026, 11, 23, 3, 31, tzinfo=UTC)
CALLER = "arn:aws:sts::111122223333:assumed-role/fleet-operator/on-call"


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def scan(days: float, state: StoreState | None) -> Scan:
    states = {"store-042": state} if state else {"store-007": StoreState.OK}
    return Scan(f"drift-{days}", "", ago(days), ago(days), states)


def moments(**sources: Any) -> tuple[Moment, ...]:
    given = {
        "scans": (),
        "outages": (),
        "findings": (),
        "events": (),
        "audit": (),
        "since": ago(30),
        **sources,
    }
    return moments_of("store-042", **given)


def test_the_state_is_told_when_it_changes_and_with_what_it_was() -> None:
    states = [StoreState.OK, StoreState.OK, None, StoreState.DARK, StoreState.DARK, StoreState.OK]
    scans = [scan(9 - number, state) for number, state in enumerate(states)]

    found = moments(scans=scans)

    assert [one.words for one in found] == ["ok", "dark, was ok", "ok, was dark"]
    assert found[1].source == "drift-6"


def test_an_outage_is_two_moments_and_a_lasting_one_is_one() -> None:
    over = Outage("tel-1", HostConnection.DARK, ago(4), ago(3), ago(3.5))
    lasting = Outage("", HostConnection.DARK, ago(1), None, ago(0))

    found = moments(outages=(over, lasting))

    assert [(one.kind, one.host, one.words) for one in found] == [
        (MomentKind.OUTAGE, "tel-1", "dark"),
        (MomentKind.BACK, "tel-1", "no longer dark"),
        (MomentKind.OUTAGE, "", "all hosts at once: dark"),
    ]


def test_a_finding_is_told_when_it_came_and_when_it_went() -> None:
    finding = Finding(
        *("DISK_LOW", Severity.HIGH, "store-042", "tel-1", "", "emea", "eu-west-1", ago(5), True),
        cause="/ has 100 MB free.",
    )

    found = moments(findings=[PastFinding(finding, ago(5), ago(3), ago(2))])

    assert [one.words for one in found] == ["DISK_LOW high: / has 100 MB free.", "DISK_LOW"]
    assert [one.kind for one in found] == [MomentKind.FOUND, MomentKind.RESOLVED]


def test_rollouts_and_changes_name_where_they_are_known_from() -> None:
    event = RolloutEvent(
        1, "ro-118", ago(2), EventKind.SENT, "sent vision-arm64:13", "store-042", {}
    )
    entry = AuditEntry(
        "reg-7f3a", ago(1), CALLER, "ecs:PutAttributes", "store-042", "tel-1", "differs", {}
    )

    found = moments(events=[event], audit=[entry])

    assert [(one.source, one.words) for one in found] == [
        ("ro-118", "sent vision-arm64:13"),
        ("reg-7f3a", "ecs:PutAttributes (differs) by on-call"),
    ]


def test_a_verdict_names_its_service() -> None:
    data = {"service": "vision-arm64", "verdict": "ok"}
    event = RolloutEvent(
        1, "ro-118", ago(2), EventKind.VERDICT, "new task RUNNING", "store-042", data
    )

    assert moments(events=[event])[0].words == "vision-arm64 ok: new task RUNNING"


def test_what_a_run_changed_is_one_moment() -> None:
    def entry(host: str, action: str, days: float) -> AuditEntry:
        return AuditEntry("reg-7f3a", ago(days), CALLER, action, "store-042", host, "new", {})

    audit = [entry("cam-1", "host:Install", 1), entry("tel-1", "host:Install", 1.1)]
    audit += [entry("", "ecs:CreateCluster", 1.2)]

    [found] = moments(audit=audit)

    assert (found.at, found.host) == (ago(1.2), "")
    assert found.words == (
        "3 changes on cam-1 and tel-1: ecs:CreateCluster, 2 host:Install by on-call"
    )


def test_what_was_before_is_left_out_and_the_rest_is_in_order() -> None:
    scans = [scan(40, StoreState.OK), scan(2, StoreState.DARK)]
    outage = Outage("tel-1", HostConnection.DARK, ago(41), ago(1), ago(1))

    found = moments(scans=scans, outages=[outage])

    assert [one.words for one in found] == ["dark, was ok", "no longer dark"]


LONG_AGO = NOW - timedelta(days=30)


def at(hours: float) -> datetime:
    """So many hours before now."""
    return NOW - timedelta(hours=hours)


def spell(connection: HostConnection, since: float, seen: float = 0) -> Spell:
    return Spell(connection, at(since), at(seen))


def test_an_outage_ends_when_the_next_spell_begins() -> None:
    spells = [
        spell(HostConnection.CONNECTED, 100, 50),
        spell(HostConnection.DARK, 48, 20),
        spell(HostConnection.CONNECTED, 17),
    ]

    assert outages_of({"tel-1": spells}, LONG_AGO) == (
        Outage("tel-1", HostConnection.DARK, at(48), at(17), at(20)),
    )


def test_one_that_lasts_has_no_end_but_was_last_seen() -> None:
    [outage] = outages_of({"tel-1": [spell(HostConnection.ECS_DOWN, 5, 1)]}, LONG_AGO)

    assert (outage.until, outage.last_seen) == (None, at(1))


def test_a_host_that_was_back_unseen_is_not_called_away_in_between() -> None:
    spells = [spell(HostConnection.DARK, 90, 80), spell(HostConnection.DARK, 10)]

    later, earlier = outages_of({"tel-1": spells}, LONG_AGO)

    assert (later.since, later.until) == (at(10), None)
    assert (earlier.since, earlier.until) == (at(90), at(80))


def test_an_outage_that_was_over_before_is_left_out() -> None:
    spells = [spell(HostConnection.DARK, 90, 80), spell(HostConnection.CONNECTED, 70)]

    assert outages_of({"tel-1": spells}, at(60)) == ()


def test_a_shop_is_dark_while_all_its_hosts_are() -> None:
    hosts = {
        "cam-1": [spell(HostConnection.DARK, 48, 20), spell(HostConnection.CONNECTED, 17)],
        "tel-1": [spell(HostConnection.DARK, 40, 20), spell(HostConnection.CONNECTED, 19)],
    }

    [shop] = [one for one in outages_of(hosts, LONG_AGO) if not one.host]

    assert (shop.since, shop.until) == (at(40), at(19))


def test_a_shop_with_one_agent_down_is_not_dark() -> None:
    hosts = {"cam-1": [spell(HostConnection.ECS_DOWN, 9)], "tel-1": [spell(HostConnection.DARK, 9)]}

    assert {one.host for one in outages_of(hosts, LONG_AGO)} == {"cam-1", "tel-1"}


def test_hosts_that_went_with_their_shop_are_told_once() -> None:
    hosts = {
        "cam-1": [spell(HostConnection.DARK, 9)],
        "tel-1": [spell(HostConnection.DARK, 9.05)],
        "tel-2": [spell(HostConnection.DARK, 30)],
    }

    assert [one.host for one in outages_of(hosts, LONG_AGO)] == ["", "tel-2"]


def test_the_only_host_of_a_shop_is_told_once() -> None:
    assert len(outages_of({"tel-1": [spell(HostConnection.DARK, 9)]}, LONG_AGO)) == 1


def spells_from(kinds: Sequence[HostConnection], hours: Sequence[int]) -> list[Spell]:
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
        st.lists(st.sampled_from(list(HostConnection)), max_size=6),
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
                one.connection is HostConnection.DARK
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


UP, DARK = HostConnection.CONNECTED, HostConnection.DARK
BEFORE = LAST_NIGHT - DAY
NIGHTS = (scan_at(BEFORE), scan_at(LAST_NIGHT), scan_at(TONIGHT))


def shares(spells: tuple[Spell, ...], *nights: Scan, store: Store | None = None) -> list[object]:
    shop = store or build.store()
    found = availability_of([shop], nights or NIGHTS, {HOST: spells})
    (of_link,) = (one for one in found if one.kind == "link")
    return list(of_link.nights)


def test_a_spell_that_is_seen_again_goes_on() -> None:
    before = spell_of(DARK, BEFORE, LAST_NIGHT)
    assert with_spell((before,), spell_of(DARK, BEFORE)) == (spell_of(DARK, BEFORE),)


def test_another_connection_begins_a_spell() -> None:
    before, now = spell_of(UP, BEFORE, LAST_NIGHT), spell_of(DARK, TONIGHT - HOUR)
    assert with_spell((before,), now) == (before, now)


def test_a_second_outage_is_a_spell_of_its_own() -> None:
    before, now = (
        spell_of(DARK, BEFORE, LAST_NIGHT),
        spell_of(DARK, TONIGHT - HOUR),
    )
    assert with_spell((before,), now) == (before, now)


def test_that_a_host_is_still_connected_is_no_new_spell_whenever_it_is_said_to_begin() -> None:
    before, now = spell_of(UP, BEFORE, LAST_NIGHT), spell_of(UP, TONIGHT)
    assert with_spell((before,), now) == (spell_of(UP, BEFORE),)


def test_a_spell_never_begins_before_the_one_that_it_follows() -> None:
    before, now = spell_of(UP, LAST_NIGHT, LAST_NIGHT), spell_of(DARK, BEFORE)
    assert with_spell((before,), now)[1].since == LAST_NIGHT


def test_a_scan_that_was_slower_changes_nothing() -> None:
    before = spell_of(UP, BEFORE, TONIGHT)
    assert with_spell((before,), spell_of(DARK, BEFORE, LAST_NIGHT)) == (before,)


times = st.integers(0, 200).map(lambda hours: BEFORE - 7 * DAY + timedelta(hours=hours))
seen_spells = st.builds(
    lambda how, one, two: Spell(how, min(one, two), max(one, two)),
    st.sampled_from(HostConnection),
    times,
    times,
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
    memory = {
        HOST: remembered(spell_of(UP, BEFORE, LAST_NIGHT)),
        ("gone", "h"): remembered(),
    }
    now = {HOST: spell_of(DARK, TONIGHT - HOUR)}
    found = spells_of(memory, now, [HOST, ("store-042", "never")])
    assert found == {HOST: (spell_of(UP, BEFORE, LAST_NIGHT), spell_of(DARK, TONIGHT - HOUR))}


def test_a_host_that_was_connected_all_through_is_left_out() -> None:
    away = ("store-042", "cam-1")
    spells = {
        HOST: (spell_of(UP, BEFORE),),
        away: (spell_of(UP, BEFORE), spell_of(DARK, TONIGHT)),
    }
    assert list(unsteady_spells(spells, NIGHTS)) == [away]


def test_an_outage_before_the_nights_is_no_reason_to_show_a_host() -> None:
    old = spell_of(DARK, BEFORE - 2 * DAY, BEFORE - 2 * DAY)
    back = spell_of(UP, BEFORE - DAY)
    assert unsteady_spells({HOST: (old, back)}, NIGHTS) == {}


def test_an_outage_that_reaches_into_the_nights_is_shown() -> None:
    old = spell_of(DARK, BEFORE - 2 * DAY, BEFORE - 2 * DAY)
    back = spell_of(UP, LAST_NIGHT)
    assert unsteady_spells({HOST: (old, back)}, NIGHTS) == {HOST: (old, back)}


def test_a_host_counts_in_each_night_as_it_was_then() -> None:
    spells = (
        spell_of(UP, BEFORE - HOUR, BEFORE),
        spell_of(DARK, LAST_NIGHT - HOUR, LAST_NIGHT),
        spell_of(UP, LAST_NIGHT + HOUR),
    )
    assert shares(spells) == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    "how", [HostConnection.ECS_DOWN, HostConnection.SSM_DOWN, HostConnection.DARK]
)
def test_half_connected_is_not_connected(how: HostConnection) -> None:
    assert shares((spell_of(how, BEFORE),)) == [0.0, 0.0, 0.0]


def test_a_host_that_was_not_seen_any_more_is_not_called_connected() -> None:
    assert shares((spell_of(UP, BEFORE, LAST_NIGHT),)) == [1.0, 1.0, None]


def test_a_night_before_a_host_was_first_seen_says_nothing() -> None:
    assert shares((spell_of(UP, LAST_NIGHT),)) == [None, 1.0, 1.0]


def test_a_spell_that_began_while_the_scan_ran_is_of_its_night() -> None:
    assert shares((spell_of(UP, TONIGHT + timedelta(minutes=5)),))[-1] == 1.0


@pytest.mark.parametrize("state", [StoreState.NOT_VERIFIED, StoreState.NOT_COUNTED])
def test_a_night_in_which_the_store_was_not_verified_says_nothing(state: StoreState) -> None:
    nights = (
        scan_at(BEFORE),
        scan_at(LAST_NIGHT, state),
        scan_at(TONIGHT, states={}),
    )
    assert shares((spell_of(UP, BEFORE),), *nights) == [1.0, None, None]


def test_a_store_that_is_closed_counts_nowhere() -> None:
    closed = build.store(lifecycle=Lifecycle.CLOSED)
    assert availability_of([closed], NIGHTS, {HOST: (spell_of(UP, BEFORE),)}) == ()


def test_groups_are_markets_kinds_of_hardware_and_links() -> None:
    cam = build.host("cam-1", build.XAVIER)
    shop = build.store(build.host(), cam, labels={"market": "uk"})
    other = replace(shop, id="store-043", labels={})
    found = availability_of([shop, other], NIGHTS, {HOST: (spell_of(UP, BEFORE),)})
    assert [(one.kind, one.group, one.stores) for one in found] == [
        ("hardware", "nuc", 2),
        ("hardware", "xavier-nx", 2),
        ("link", "lte", 2),
        ("market", "uk", 1),
    ]
    assert [one.nights[-1] for one in found] == [1.0, None, 1.0, 1.0]


def test_a_share_is_of_hosts() -> None:
    shop = build.store(*(build.host(f"h-{n}") for n in range(4)))
    spells = {("store-042", f"h-{n}"): (spell_of(UP if n else DARK, BEFORE),) for n in range(3)}
    found = availability_of([shop], NIGHTS, spells)
    assert {one.nights[-1] for one in found} == {2 / 3}
