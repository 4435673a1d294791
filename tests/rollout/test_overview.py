"""How a rollout stands is told from the records alone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.aws.budget import Budget
from fleet.errors import UsageError
from fleet.model.changes import Change
from fleet.model.overview import Overview
from fleet.model.policy import Window
from fleet.model.rates import ECS_SERVICE_MODIFY
from fleet.model.rollout import EventKind, Phase, RolloutEvent, RolloutSpec, VerbName
from fleet.model.verdicts import Verdict
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.rollout.controller import CONTROLLER
from fleet.rollout.overview import EVENTS, exit_code_of, overview
from fleet.rollout.tick import rollout_lease, shard_lease
from fleet.runtime.lease import held
from tests import rollouts
from tests.rollout.decide.tick_states import POLICY, after, opening, planned, rollout, sent

NOW = after(60)
CALLER = rollouts.CALLER


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with open_records(None, tmp_path) as opened:
        yield opened


def begin(records: Records, *rows: Change, **fields: Any) -> None:
    """A rollout with these rows, as some tick left it."""
    made = rollout(*rows, **fields)
    spec: RolloutSpec = made.spec
    holds = [(store, "vision") for store in spec.places]
    run = records.start_run("rollout", caller_arn=CALLER, command="", at=after(0))
    began = records.rollouts.start(spec, rows, holds, caller=CALLER, at=after(0), run=run)
    ticked(records, replace(made, id=began.id, caller=began.caller))


def ticked(records: Records, made: Any, *events: RolloutEvent) -> None:
    lease = records.leases.take("rollout ro-1", "me", 30.0)
    assert lease is not None
    records.rollouts.write_tick(lease, made, (), events)
    assert records.leases.release(lease)


def shown(records: Records) -> Overview:
    return overview(records, "ro-1", NOW)


def test_an_unknown_rollout_is_said_to_be_unknown(records: Records) -> None:
    with pytest.raises(UsageError, match="ro-7"):
        overview(records, "ro-7", NOW)


def test_the_present_arithmetic_of_the_gate_is_shown(records: Records) -> None:
    begin(records, sent("store-001", Verdict.OK), sent("store-002"))
    gate = shown(records).gate
    assert gate is not None
    assert (gate.counts["arm64"].ok, gate.counts["arm64"].waiting) == (1, 1)


def test_looking_moves_nothing(records: Records) -> None:
    begin(records, sent("store-001", Verdict.OK), planned("store-002", wave=1))
    before = records.rollouts.load("ro-1"), records.rollouts.changes("ro-1")
    shown(records)
    assert (records.rollouts.load("ro-1"), records.rollouts.changes("ro-1")) == before


def test_whoever_ticks_it_now_is_named(records: Records) -> None:
    begin(records, sent())
    assert shown(records).tickers == ()
    with held(records, [rollout_lease("ro-1")], "fleet rollout on laptop"):
        (ticker,) = shown(records).tickers
    assert ticker.owner == "fleet rollout on laptop"


def test_a_controller_that_lives_is_named(records: Records) -> None:
    begin(records, sent())
    assert shown(records).controller is None
    with held(records, [CONTROLLER], "fleet controller on server"):
        controller = shown(records).controller
    assert controller is not None
    assert controller.owner == "fleet controller on server"


def test_the_use_of_call_budgets_is_that_which_was_left_with_the_lease(records: Records) -> None:
    begin(records, sent())
    spent = Budget()
    spent.reserve(ECS_SERVICE_MODIFY, NOW)
    name = shard_lease("111122223333", "eu-west-1")
    with held(records, [name], "me") as own:
        own.keep(name, spent.state())
    uses = shown(records).budgets
    assert {(use.account, use.region) for use in uses} == {("emea-prod", "eu-west-1")}
    assert [use.share for use in uses] == sorted((use.share for use in uses), reverse=True)


def test_the_next_window_and_those_that_wait_for_it_are_shown(records: Records) -> None:
    rows = [planned("store-001"), planned("store-002")]
    hours = {"store-001": opening(-3600, 7200), "store-002": opening(-3600, 3600)}
    begin(
        records,
        *rows,
        policy=replace(POLICY, window=Window.CLOSED),
        places={s: rollouts.place(s, hours=h) for s, h in hours.items()},
    )
    window = shown(records).next_window
    assert window is not None
    assert (window.at, window.store, window.stores) == (after(3600), "store-002", 2)


def test_what_it_waits_for_is_said(records: Records) -> None:
    begin(records, sent(look_at=after(75)))
    assert shown(records).waits == ("waiting for 1 of 1 verdict",)


def test_why_it_does_not_run_is_what_it_waits_for(records: Records) -> None:
    begin(records, sent(verdict=Verdict.OK), phase=Phase.PAUSED, why="paused by me")
    assert shown(records).waits == ("paused by me",)


def test_a_finished_rollout_waits_for_nothing(records: Records) -> None:
    begin(records, sent(verdict=Verdict.OK), phase=Phase.DONE, why="1 ok", finished_at=after(50))
    assert shown(records).waits == ()


def test_the_end_of_the_story_is_shown_and_what_was_said(records: Records) -> None:
    begin(records, sent())
    lines = [
        RolloutEvent(0, "ro-1", after(0) + timedelta(seconds=n), EventKind.WAIT, f"line {n}")
        for n in range(EVENTS + 5)
    ]
    ticked(records, records.rollouts.load("ro-1"), *lines)
    records.rollouts.say("ro-1", VerbName.PAUSE, by=CALLER, at=after(59))
    told = shown(records)
    assert [event.text for event in told.events] == [f"line {n}" for n in range(5, EVENTS + 5)]
    assert [verb.name for verb in told.verbs] == [VerbName.PAUSE]


def test_another_rollout_that_holds_one_of_its_stores_is_named(records: Records) -> None:
    begin(records, sent(verdict=Verdict.OK), phase=Phase.DONE, finished_at=after(50))
    run = records.start_run("rollout", caller_arn=CALLER, command="", at=after(0))
    spec = rollout(sent()).spec
    holds = [("store-042", "vision"), ("store-042", "telemetry"), ("store-777", "vision")]
    records.rollouts.start(spec, [planned()], holds, caller=CALLER, at=NOW, run=run)
    assert [(h.rollout, h.store, h.workload) for h in shown(records).held_by] == [
        ("ro-2", "store-042", "vision")
    ]


@pytest.mark.parametrize(
    ("phase", "verdict", "code"),
    [
        (Phase.HALTED, Verdict.OK, 0),
        (Phase.HALTED, Verdict.FAILED, 4),
        (Phase.RUNNING, Verdict.OK, 4),
    ],
)
def test_a_word_about_a_store_ends_as_that_store_does_while_the_rollout_rests(
    phase: Phase, verdict: Verdict, code: int
) -> None:
    changes = (rollouts.change("store-001", verdict), rollouts.change("store-002", Verdict.FAILED))

    assert exit_code_of(["store-001"], rollouts.overview(phase=phase, changes=changes), 4) == code
