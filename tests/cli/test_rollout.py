"""From words to a rollout: what is shown, asked and refused before anything is sent."""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from fleet.cli import rollout
from fleet.cli.main import app
from fleet.cli.rollout import roll_out
from fleet.errors import Interrupted, Locked, UsageError
from fleet.model.plan import Kind, Plan
from fleet.model.rollout import Rollout
from fleet.rollout.plan import Request
from fleet.rollout.plan_request import VERBS, PlanRequest, plan_document
from fleet.runtime.wiring import open_wiring, records_from_environment
from tests import rollouts
from tests.rollout.decide import plans

INVENTORY = Path(__file__).resolve().parents[2] / "inventory"
STORES = [plans.shop(n) for n in range(1, 4)]
SHARD = (STORES[0].account.name, STORES[0].region)
RUNNER = CliRunner()
Said = pytest.CaptureFixture[str]


@dataclass
class Desk:
    """What was asked for, what is planned, and which rollouts were gone along with."""

    plan: Plan
    requests: list[Request] = field(default_factory=list)
    shards: list[Any] = field(default_factory=list)
    gone: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def world(desk: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Three shops that run an old revision; AWS and the ticks are not there."""
    made = Desk(plans.plan(STORES))

    def wired(inventory: Path, **options: Any) -> Any:
        fleet = plans.fleet(STORES, policies={"standard": plans.STANDARD})
        return replace(open_wiring(inventory, **options), fleet=fleet)

    def make_plan(_wiring: Any, request: Request) -> Plan:
        made.requests.append(request)
        return made.plan

    def callers(_wiring: Any, shards: Any) -> tuple[str, ...]:
        made.shards.append(shards)
        return (rollouts.CALLER,)

    def advance(_wiring: Any, id_: str, run: Any, _talk: Any, **words: Any) -> int:
        made.gone.append((id_, words))
        run.end("done")
        return 0

    monkeypatch.setattr("fleet.rollout.plan_request.make_plan", make_plan)
    monkeypatch.setattr(rollout, "open_wiring", wired)
    monkeypatch.setattr(rollout, "callers", callers)
    monkeypatch.setattr(rollout, "advance", advance)
    return made


def roll(*, yes: bool = True, detach: bool = False, as_json: bool = False, **request: Any) -> int:
    return roll_out(PlanRequest(**request), INVENTORY, detach=detach, yes=yes, as_json=as_json)


def started() -> list[Rollout]:
    with records_from_environment() as records:
        ids = [summary.id for summary in records.rollouts.history()]
        return [records.rollouts.load(id_) for id_ in ids]


def saved(plan: Plan, folder: Path) -> Path:
    path = folder / "plan.json"
    path.write_text(json.dumps(plan_document(plan)))
    return path


def test_a_rollout_is_started_audited_and_gone_along_with(world: Desk) -> None:
    assert roll() == 0

    [rollout] = started()
    assert rollout.caller == rollouts.CALLER
    assert world.gone[0][0] == rollout.id
    assert world.shards == [{SHARD}]
    with records_from_environment() as records:
        [run] = records.runs()
        [entry] = records.audit_of(run.id)
    assert (entry.action, entry.detail["rollout"]) == ("start rollout", rollout.id)


def test_a_freeze_that_was_overridden_is_audited_with_its_reason(world: Desk) -> None:
    roll(override_freeze="security fix")

    with records_from_environment() as records:
        [entry] = records.audit_of(records.runs()[0].id)
    assert entry.why == "in spite of freezes: security fix"
    assert started()[0].spec.override_freeze == "security fix"


def test_without_a_terminal_yes_is_wanted_and_nothing_is_started(world: Desk, capsys: Said) -> None:
    with pytest.raises(UsageError) as caught:
        roll(yes=False)

    assert caught.value.hint == "add --yes"
    assert "3 of 3 stores change" in capsys.readouterr().err
    assert started() == []


@pytest.mark.parametrize("answer", [False, True])
def test_a_person_is_asked(world: Desk, answer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_words, **_options: answer)

    if answer:
        assert roll(yes=False) == 0
    else:
        with pytest.raises(Interrupted, match="nothing was sent"):
            roll(yes=False)

    assert len(started()) == answer


def test_a_plan_that_must_not_be_run_is_shown_and_not_started(world: Desk, capsys: Said) -> None:
    world.plan = replace(world.plan, refusals=("no image for arm64",))

    assert roll() == 1

    said = capsys.readouterr()
    assert "no image for arm64" in said.out
    assert "nothing was sent" in said.err
    assert started() == []


def test_nothing_to_do_is_done(world: Desk, capsys: Said) -> None:
    world.plan = replace(world.plan, changes=())

    assert roll() == 0

    assert "nothing to roll out" in capsys.readouterr().err
    assert started() == []


def test_a_second_rollout_of_the_same_stores_is_locked_out(world: Desk) -> None:
    roll()

    with pytest.raises(Locked) as caught:
        roll()

    assert "ro-1" in str(caught.value)
    assert caught.value.exit_code == 5


def test_a_plan_that_goes_round_held_stores_is_not_rolled_out(world: Desk) -> None:
    roll()
    first, *others = world.plan.changes
    left = [replace(change, kind=Kind.LEFT) for change in others]
    world.plan = replace(world.plan, changes=(first, *left))

    with pytest.raises(Locked, match="ro-1 holds store-002"):
        roll()

    assert len(started()) == 1


def test_what_is_left_alone_for_other_reasons_locks_nobody_out(world: Desk) -> None:
    first, *others = world.plan.changes
    left = [replace(change, kind=Kind.LEFT) for change in others]
    world.plan = replace(world.plan, changes=(first, *left))

    assert roll() == 0


def test_detaching_wants_a_controller_that_lives(world: Desk) -> None:
    with pytest.raises(UsageError, match="no controller is alive") as caught:
        roll(detach=True)

    assert "fleet controller" in str(caught.value.hint)
    assert world.requests == []


def test_a_detached_rollout_is_left_to_the_controller(world: Desk, capsys: Said) -> None:
    with records_from_environment() as records:
        assert records.leases.take("controller", "fleet controller", 60.0)

        assert roll(detach=True) == 0

    assert capsys.readouterr().out == "ro-1\n"
    assert world.gone == []


def test_a_saved_plan_is_run_while_the_world_is_the_same(world: Desk, tmp_path: Path) -> None:
    assert roll(plan_file=saved(world.plan, tmp_path)) == 0

    [request] = world.requests
    assert {s.id for s in request.stores} == {s.id for s in STORES}
    assert (request.seed, request.policy) == (world.plan.seed, "standard")
    assert len(started()) == 1


def test_a_saved_plan_is_refused_when_the_world_has_moved(world: Desk, tmp_path: Path) -> None:
    path = saved(world.plan, tmp_path)
    views = [plans.view(s, plans.service(plans.arn(42))) for s in STORES]
    world.plan = plans.plan(STORES, views)

    with pytest.raises(UsageError, match="the world has moved") as caught:
        roll(plan_file=path)

    assert "store-001" in str(caught.value)
    assert str(path) in str(caught.value.hint)
    assert started() == []


def test_a_saved_plan_takes_no_other_words(world: Desk, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no other words"):
        roll(plan_file=saved(world.plan, tmp_path), canary=True)


def test_a_saved_plan_of_a_store_that_is_gone_is_refused(world: Desk, tmp_path: Path) -> None:
    path = saved(plans.plan([plans.shop(77)]), tmp_path)

    with pytest.raises(UsageError, match="store-077"):
        roll(plan_file=path)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[PlanRequest]:
    """What `fleet rollout` was asked for."""
    requests: list[PlanRequest] = []

    def roll_out(request: PlanRequest, _inventory: Path, **_options: bool) -> int:
        requests.append(request)
        return 0

    monkeypatch.setattr(rollout, "roll_out", roll_out)
    return requests


@pytest.mark.parametrize(
    ("words", "workloads", "canary"),
    [
        ([], [], None),
        (["--canary"], [], True),
        (["vision"], ["vision"], None),
        (["vision", "telemetry", "--canary"], ["vision", "telemetry"], True),
        (["--canary", "vision"], ["vision"], True),
        (["vision", "--no-canary"], ["vision"], False),
        (["start", "vision"], ["vision"], None),
        (["start", "start"], ["start"], None),
    ],
)
def test_words_that_are_no_verb_are_workloads(
    asked: list[PlanRequest], words: list[str], workloads: list[str], canary: bool | None
) -> None:
    ran = RUNNER.invoke(app, ["rollout", *words])

    assert ran.exit_code == 0, ran.output
    assert (list(asked[0].workloads), asked[0].canary) == (workloads, canary)


def test_a_verb_is_itself(asked: list[PlanRequest], desk: Path) -> None:
    ran = RUNNER.invoke(app, ["rollout", "watch", "ro-7"])

    assert "ro-7" in str(ran.exception)
    assert asked == []


def test_the_verbs_are_the_commands_of_the_group() -> None:
    assert tuple(get_command(rollout.app).commands) == VERBS  # type: ignore[attr-defined]  # a group


def test_help_shows_both_forms_and_every_verb() -> None:
    text = RUNNER.invoke(app, ["rollout", "--help"]).output

    assert "rollout [WORKLOAD...] [OPTIONS]" in text
    assert "rollout VERB [ID] [OPTIONS]" in text
    assert "--canary" in text
    for verb in ("status", "watch", "wait", "pause", "resume", "promote", "retry", "skip"):
        assert re.search(rf"^  {verb} ", text, re.MULTILINE)


def test_help_behind_a_workload_is_that_of_the_form_without_a_verb() -> None:
    text = RUNNER.invoke(app, ["rollout", "vision", "--help"]).output

    assert "Shows the plan, asks" in text
