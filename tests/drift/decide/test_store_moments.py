"""A store's history: every source, in order, and no line for a night like the one before."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.store_moments import moments_of, outages_of
from fleet.model.drift import Connection, Finding, Spell, StoreState
from fleet.model.drift_settings import Severity
from fleet.model.history import AuditEntry
from fleet.model.night import PastFinding, Scan
from fleet.model.rollout import RolloutEvent
from fleet.model.store_story import Moment, MomentKind, Outage

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
    over = Outage("tel-1", Connection.DARK, ago(4), ago(3), ago(3.5))
    lasting = Outage("", Connection.DARK, ago(1), None, ago(0))

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
    event = RolloutEvent(1, "ro-118", ago(2), "sent", "sent vision-arm64:13", "store-042", {})
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
    event = RolloutEvent(1, "ro-118", ago(2), "verdict", "new task RUNNING", "store-042", data)

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
    outage = Outage("tel-1", Connection.DARK, ago(41), ago(1), ago(1))

    found = moments(scans=scans, outages=[outage])

    assert [one.words for one in found] == ["dark, was ok", "no longer dark"]


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
