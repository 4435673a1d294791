from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest

from fleet.drift.decide.store_status import RecordedState, StoreReadings, store_status
from fleet.model.hours import OpenSpan, Powered
from fleet.model.inventory import Lifecycle
from fleet.model.observed import NotRead, Ping, Reading
from fleet.model.status import Freshness, Health, HostStatus
from tests import build


def readings(**changes: Any) -> StoreReadings:
    world = build.ledgers()
    given: dict[str, Any] = {
        "store": build.store(),
        "cluster": Reading(world.cluster, build.NOW),
        "instances": Reading(world.container_instances, build.NOW),
        "nodes": Reading(world.managed_instances, build.NOW),
        "now": build.NOW,
    }
    return StoreReadings(**{**given, **changes})


def only_host(**changes: Any) -> HostStatus:
    (status,) = store_status(readings(**changes)).hosts
    return status


@pytest.mark.parametrize(
    ("ping", "connected", "health"),
    [
        (Ping.ONLINE, True, Health.HEALTHY),
        (Ping.ONLINE, False, Health.ECS_DOWN),
        (Ping.CONNECTION_LOST, True, Health.SSM_DOWN),
        (Ping.CONNECTION_LOST, False, Health.DARK),
    ],
)
def test_every_cell_of_the_two_by_two_has_its_meaning_and_remedy(
    ping: Ping, connected: bool, health: Health
) -> None:
    status = only_host(
        nodes=Reading((build.node(ping=ping),), build.NOW),
        instances=Reading((build.instance(agent_connected=connected),), build.NOW),
    )

    assert status.health is health
    assert bool(status.fix) == (health is not Health.HEALTHY)


def test_a_command_that_is_proposed_says_whether_it_sends() -> None:
    absent = only_host(nodes=Reading((), build.NOW), instances=Reading((), build.NOW))
    twins = only_host(
        instances=Reading((build.instance(), build.instance(arn="another")), build.NOW)
    )

    assert [(c.words, c.sends) for c in absent.commands] == [(absent.fix, True)]
    assert [(c.words, c.sends) for c in twins.commands] == [("fleet drift store-042", False)]


@pytest.mark.parametrize("ledger", ["nodes", "instances"])
def test_nothing_is_healthy_for_lack_of_data(ledger: str) -> None:
    status = store_status(readings(**{ledger: NotRead("AccessDenied")}))

    assert status.hosts[0].health is Health.UNKNOWN
    assert any("AccessDenied" in why for why in status.unread)


def test_an_unread_ledger_falls_back_to_what_was_recorded_with_its_age() -> None:
    then = build.NOW - timedelta(hours=3)

    status = only_host(
        nodes=NotRead("AccessDenied"),
        recorded={("store-042/tel-1", "ssm"): RecordedState("Online", then)},
    )

    assert status.ssm.freshness is Freshness.RECORDED
    assert status.ssm.as_of == then
    assert status.ssm.why_not == "AccessDenied"


def test_the_age_of_ssm_is_that_of_the_last_ping_not_of_the_reading() -> None:
    ping = build.NOW - timedelta(minutes=4)

    assert only_host(nodes=Reading((build.node(last_ping_at=ping),), build.NOW)).ssm.as_of == ping


def test_an_online_node_whose_ping_is_stale_counts_as_lost() -> None:
    old = build.node(last_ping_at=build.NOW - timedelta(minutes=12))

    status = only_host(
        nodes=Reading((old,), build.NOW),
        instances=Reading((build.instance(agent_connected=False),), build.NOW),
    )

    assert status.health is Health.DARK


def test_an_overdue_ping_is_not_called_an_answer() -> None:
    old = build.node(last_ping_at=build.NOW - timedelta(minutes=9))

    status = only_host(
        nodes=Reading((old,), build.NOW),
        instances=Reading((build.instance(agent_connected=False),), build.NOW),
    )

    assert status.health is Health.ECS_DOWN
    assert "9m ago is overdue" in status.reason


def test_a_draining_instance_is_not_healthy() -> None:
    status = only_host(instances=Reading((build.instance(status="DRAINING"),), build.NOW))

    assert status.health is Health.DRAINING


def test_an_open_store_without_records_is_told_how_to_register() -> None:
    status = only_host(nodes=Reading((), build.NOW), instances=Reading((), build.NOW))

    assert status.health is Health.ABSENT
    assert status.fix == "fleet register store-042 --host tel-1"


def test_a_planned_store_is_not_nagged_about() -> None:
    status = only_host(
        store=build.store(lifecycle=Lifecycle.PLANNED),
        nodes=Reading((), build.NOW),
        instances=Reading((), build.NOW),
    )

    assert status.fix == ""


def test_twins_are_told() -> None:
    both = (build.instance(), build.instance(arn="other", agent_connected=False))

    assert only_host(instances=Reading(both, build.NOW)).health is Health.TWINS


def test_a_node_without_a_container_instance_is_partial() -> None:
    status = only_host(instances=Reading((), build.NOW))

    assert status.health is Health.PARTIAL
    # Register refuses it when its container instance is gone; its plan says what to do then.
    assert [(c.words, c.sends) for c in status.commands] == [
        ("fleet register store-042 --host tel-1 --plan", False)
    ]


def switched_off(heard: timedelta, opens: time = time(7), **changes: Any) -> HostStatus:
    """A host that has no power from 22:00 on, at 02:00."""
    hours = dict.fromkeys(range(7), (OpenSpan(opens, time(22)),))
    box = replace(build.host(), powered=Powered.OPENING_HOURS)
    node = build.node(last_ping_at=build.NOW - heard, ping=Ping.CONNECTION_LOST)
    return only_host(
        store=build.store(box, hours=hours),
        nodes=Reading((replace(node, **changes),), build.NOW),
        instances=Reading((build.instance(agent_connected=False),), build.NOW),
    )


def test_a_host_that_is_switched_off_is_told_with_the_hours_of_its_store() -> None:
    status = switched_off(timedelta(hours=4, minutes=2))

    assert status.health is Health.POWERED_OFF
    assert status.reason == "powered off since 22:00 (planned), back at 07:00"
    assert status.fix == ""


def test_a_host_that_was_lost_before_closing_is_dark() -> None:
    assert switched_off(timedelta(hours=4, minutes=15)).health is Health.DARK
    assert switched_off(timedelta(hours=4, minutes=14)).health is Health.POWERED_OFF


@pytest.mark.parametrize(
    ("opens", "health"),
    [(time(1, 46), Health.POWERED_OFF), (time(1, 45), Health.DARK), (time(1), Health.DARK)],
)
def test_a_host_that_does_not_come_back_is_dark_the_hold_time_after_opening(
    opens: time, health: Health
) -> None:
    status = switched_off(timedelta(hours=4, minutes=2), opens)

    assert status.health is health
    if health is Health.POWERED_OFF:
        assert status.reason == "its store opened 14m ago; it counts as dark 15m after that"


def test_a_host_that_pings_after_closing_has_power_and_its_ecs_agent_is_down() -> None:
    assert switched_off(timedelta(minutes=3), ping=Ping.ONLINE).health is Health.ECS_DOWN
