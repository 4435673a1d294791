"""A plan becomes a rollout: everything that ticks need is written down, all of it or nothing."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import Locked, UsageError
from fleet.model.inventory import Store
from fleet.model.plan import Kind, Plan
from fleet.model.rollout import Hold, Phase, Rollout
from fleet.model.verdicts import Stage, Verdict
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.rollout.start import start
from fleet.runtime.wiring import Wiring
from tests import rollouts
from tests.rollout.decide import plans

CALLER = rollouts.CALLER
SHOPS = [plans.shop(41), plans.shop(42), plans.shop(43)]


class Fixed:
    """It is always now."""

    def now(self) -> datetime:
        return plans.NOW

    def sleep(self, seconds: float) -> None:
        pytest.fail("nothing waits here")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with open_records(None, tmp_path) as opened:
        yield opened


def begin(records: Records, plan: Plan, shops: list[Store] | None = None, **more: Any) -> Rollout:
    wiring = Wiring(
        fleet=plans.fleet(shops or SHOPS),
        clock=Fixed(),
        shard=lambda _account, _region: pytest.fail("AWS is not asked"),
        records=records,
        connect=lambda _host, _accepted: pytest.fail("no host is asked"),
        load_pins=lambda: pytest.fail("no pins are read"),
        pin_machine=lambda _host, _machine: None,
        listen=lambda _event: None,
    )
    run = records.start_run("rollout", caller_arn=CALLER, command="", at=plans.NOW)
    return start(wiring, plan, caller=CALLER, run_id=run, **more)


def test_a_rollout_begins_running_without_a_wave_or_a_tick(records: Records) -> None:
    made = begin(records, plans.plan(SHOPS))
    assert (made.id, made.phase, made.wave, made.wave_at) == ("ro-1", Phase.RUNNING, 0, None)
    assert (made.started_at, made.caller) == (plans.NOW, CALLER)
    assert records.rollouts.load("ro-1") == made


def test_there_is_a_row_for_each_planned_change(records: Records) -> None:
    begin(records, plans.plan(SHOPS))
    rows = records.rollouts.changes("ro-1")
    assert [row.store for row in rows] == [shop.id for shop in SHOPS]
    for row in rows:
        assert (row.stage, row.verdict, row.sends) == (Stage.PLANNED, Verdict.WAITING, 0)
        assert (row.content, row.previous) == (plans.NEW.content, plans.arn(41))
        assert (row.desired_count, row.previous_count) == (1, 1)


def test_each_row_has_the_wave_of_its_store(records: Records) -> None:
    plan = plans.plan(SHOPS, canary=True)
    begin(records, plan)
    for row in records.rollouts.changes("ro-1"):
        assert row.store in plan.waves[row.wave].stores


def test_a_store_that_is_dark_when_it_is_planned_owes_from_the_beginning(records: Records) -> None:
    plan = plans.plan(SHOPS, [plans.dark(SHOPS[0]), *map(plans.view, SHOPS[1:])])
    begin(records, plan)
    first, *others = records.rollouts.changes("ro-1")
    assert (first.stage, first.verdict) == (Stage.PLANNED, Verdict.PARKED)
    assert {row.verdict for row in others} == {Verdict.WAITING}
    assert first.store in plan.waves[first.wave].stores


def test_what_is_left_alone_gets_no_row(records: Records) -> None:
    there = plans.view(SHOPS[0], plans.service(plans.arn(42)))
    begin(records, plans.plan(SHOPS, [there, *map(plans.view, SHOPS[1:])]))
    assert SHOPS[0].id not in {row.store for row in records.rollouts.changes("ro-1")}


def test_the_spec_has_all_that_a_tick_needs_without_an_inventory(records: Records) -> None:
    plan = plans.plan(SHOPS)
    spec = begin(records, plan).spec
    assert (spec.release, spec.policy, spec.waves) == (plan.release.id, plan.policy, plan.waves)
    assert spec.task_definitions == {plans.NEW.content: plans.NEW}
    assert spec.shapes == {plans.SERVICE: plans.SHAPE}
    for shop in SHOPS:
        place = spec.places[shop.id]
        assert place.hosts == {plans.SERVICE: ("tel-1",)}
        assert (place.account_id, place.cluster) == (shop.account.account_id, shop.cluster)
        assert spec.pull_s[f"{shop.id}/{plans.SERVICE}"] > 0


def test_the_reason_for_passing_over_a_freeze_is_kept(records: Records) -> None:
    assert begin(records, plans.plan(SHOPS), override_freeze="recall").spec.override_freeze == (
        "recall"
    )


def test_it_holds_every_store_and_workload_that_it_may_touch(records: Records) -> None:
    begin(records, plans.plan(SHOPS))
    assert records.rollouts.holds() == tuple(
        Hold(shop.id, "telemetry", "ro-1", CALLER, plans.NOW) for shop in SHOPS
    )


def test_a_second_rollout_over_one_of_its_stores_is_locked_and_leaves_nothing(
    records: Records,
) -> None:
    begin(records, plans.plan(SHOPS[:2]))
    with pytest.raises(Locked, match="ro-1"):
        begin(records, plans.plan(SHOPS[1:]))
    assert records.rollouts.latest() == "ro-1"
    assert {hold.store for hold in records.rollouts.holds()} == {s.id for s in SHOPS[:2]}


def test_a_plan_that_is_refused_starts_nothing(records: Records) -> None:
    plan = replace(plans.plan(SHOPS), refusals=("vision holds no arm64",))
    with pytest.raises(UsageError, match="the plan cannot be run: vision holds no arm64"):
        begin(records, plan)
    assert records.rollouts.latest() is None


def test_a_plan_without_changes_starts_nothing(records: Records) -> None:
    there = [plans.view(shop, plans.service(plans.arn(42))) for shop in SHOPS]
    plan = plans.plan(SHOPS, there)
    assert {change.kind for change in plan.changes} == {Kind.UNCHANGED}
    with pytest.raises(UsageError, match="there is nothing to roll out"):
        begin(records, plan)
    assert records.rollouts.latest() is None


def test_what_an_older_rollout_is_owed_is_owed_to_the_newer_one(records: Records) -> None:
    begin(records, plans.plan(SHOPS[:1], [plans.dark(SHOPS[0])]))
    lease = records.leases.take("rollout ro-1", "me", 30.0)
    assert lease is not None
    ended = replace(records.rollouts.load("ro-1"), phase=Phase.DONE, finished_at=plans.NOW)
    records.rollouts.write_tick(lease, ended)
    assert [owed for owed, _ in records.rollouts.owed()] == ["ro-1"]
    begin(records, plans.plan(SHOPS[:1]))
    (older,) = records.rollouts.changes("ro-1")
    assert older.stage is Stage.SKIPPED
    assert records.rollouts.owed() == ()
