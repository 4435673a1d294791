from datetime import timedelta
from typing import Any

import pytest

from fleet.drift.decide.store_status import RecordedState, StoreReadings, store_status
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
    assert only_host(instances=Reading((), build.NOW)).health is Health.PARTIAL
