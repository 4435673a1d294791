"""The records of rollouts made anew from AWS: the example fleet against the sandbox."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.aws.session import AwsAccess
from fleet.model.inventory import Lifecycle
from fleet.model.rollout import Phase
from fleet.model.verdicts import Stage
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.rollout.rebuild import rebuild_records
from fleet.runtime.wiring import Wiring
from fleet.sandbox.control_plane.engine import access_key_for
from fleet.sandbox.server import SandboxServer
from tests.rollout.test_plan import Clock, World, shops
from tests.sandbox.control_plane.rig import EMEA, Rig
from tests.shops import CALLER


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with open_records(None, tmp_path) as opened:
        yield opened


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, records: Records) -> Iterator[World]:
    """The first of two shops runs what ``ro-1`` has sent it; the records have been lost."""
    rig = Rig()
    server = SandboxServer(rig.plane)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key_for(EMEA))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    clock = Clock(rig)
    with AwsAccess(clock) as access:
        wiring = Wiring(
            fleet=shops(),
            clock=clock,
            shard=access.shard,
            records=records,
            connect=lambda _host, _accepted: pytest.fail("rebuilding needs no SSH"),
            load_pins=lambda: pytest.fail("rebuilding needs no pins"),
            pin_machine=lambda _host, _machine: None,
            listen=lambda _event: None,
            stop=threading.Event(),
        )
        made = World(rig, wiring, [])
        made.join(made.fleet.stores[0])
        made.carry_out(made.plan())
        yield made
    server.stop()
    rig.close()


def test_a_lost_rollout_is_inserted_with_its_changes_and_is_not_called_done(
    world: World,
) -> None:
    restored = rebuild_records(world.wiring, caller=CALLER)
    assert [(one.id, one.added) for one in restored.rollouts] == [("ro-1", True)]
    rollout = world.wiring.records.rollouts.load("ro-1")
    assert rollout.phase is Phase.REBUILT
    assert rollout.why == "rebuilt from AWS: whether more stores were planned is not known"
    rows = world.wiring.records.rollouts.changes("ro-1")
    assert {row.store for row in rows} == {world.fleet.stores[0].id}
    assert {row.stage for row in rows} == {Stage.SENT}
    assert restored.unread == {}


def test_rebuilding_twice_adds_nothing(world: World) -> None:
    rebuild_records(world.wiring, caller=CALLER)
    before = world.wiring.records.rollouts.load("ro-1")
    [known] = rebuild_records(world.wiring, caller=CALLER).rollouts
    assert not known.added
    assert world.wiring.records.rollouts.load("ro-1") == before


def test_rebuilding_changes_nothing_at_aws(world: World) -> None:
    asked: list[str] = []
    perform = world.rig.plane.perform

    def noted(service: str, action: str, *body: Any, **more: Any) -> Any:
        asked.append(action)
        return perform(service, action, *body, **more)

    setattr(world.rig.plane, "perform", noted)  # noqa: B010 - mypy takes no assignment to a method
    rebuild_records(world.wiring, caller=CALLER)
    assert "DescribeServices" in asked
    assert {a for a in asked if not a.startswith(("Describe", "List", "Get"))} == set()


def test_a_rebuilt_rollout_holds_and_owes_nothing(world: World) -> None:
    world.join(world.fleet.stores[1])
    rebuild_records(world.wiring, caller=CALLER)
    rollouts = world.wiring.records.rollouts
    assert (rollouts.owed(), rollouts.holds(), rollouts.active()) == ((), (), ())
    assert {row.store for row in rollouts.changes("ro-1")} == {world.fleet.stores[0].id}


def test_a_store_that_is_not_open_is_not_asked(world: World) -> None:
    first, second = world.fleet.stores
    closed = replace(world.fleet, stores=(replace(first, lifecycle=Lifecycle.PAUSED), second))
    wiring = replace(world.wiring, fleet=closed)
    assert rebuild_records(wiring, caller=CALLER).rollouts == ()


def test_a_store_that_could_not_be_read_is_named(world: World) -> None:
    world.join(world.fleet.stores[1])
    world.rig.plane.faults.add("ecs", "DescribeServices", "InvalidParameterException", 400)
    restored = rebuild_records(world.wiring, caller=CALLER)
    assert len(restored.unread) == 1
    assert "this fault was asked for" in next(iter(restored.unread.values()))
