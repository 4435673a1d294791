"""From words to a rollout: what is shown, asked and refused before anything is sent."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from fleet.cli import planning, rolling
from fleet.cli.plan_words import Chosen
from fleet.cli.planning import read_plan, show_plan
from fleet.cli.rolling import Asked, roll_out
from fleet.cli.rollout_options import Format
from fleet.errors import FleetError, Interrupted, Locked, UsageError
from fleet.model.plan import Kind, Plan
from fleet.model.rollout import Rollout
from fleet.rollout.plan import Request
from fleet.rollout.view.plan import plan_document
from fleet.runtime.wiring import open_wiring, records_from_environment
from tests import rollouts
from tests.rollout.decide import plans

INVENTORY = Path(__file__).resolve().parents[2] / "inventory"
STORES = [plans.shop(n) for n in range(1, 4)]
SHARD = (STORES[0].account.name, STORES[0].region)
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

    def go_along(_wiring: Any, id_: str, run: Any, _talk: Any, **words: Any) -> int:
        made.gone.append((id_, words))
        run.end("done")
        return 0

    monkeypatch.setattr(planning, "open_wiring", wired)
    monkeypatch.setattr(planning, "make_plan", make_plan)
    monkeypatch.setattr(rolling, "open_wiring", wired)
    monkeypatch.setattr(rolling, "callers", callers)
    monkeypatch.setattr(rolling, "go_along", go_along)
    return made


def words(**changes: Any) -> Chosen:
    value = Chosen(
        workloads=[],
        stores=[],
        where="",
        ring="",
        every=False,
        canary=False,
        policy="",
        seed=None,
        override_freeze="",
        overwrite=False,
        inventory=INVENTORY,
    )
    return replace(value, **changes)


def asked(**changes: Any) -> Asked:
    chosen = words(**changes.pop("chosen", {}))
    value = Asked(chosen=chosen, plan_file=None, detach=False, yes=True, json=False)
    return replace(value, **changes)


def started() -> list[Rollout]:
    with records_from_environment() as records:
        ids = [summary.id for summary in records.rollouts.history()]
        return [records.rollouts.load(id_) for id_ in ids]


def saved(plan: Plan, folder: Path) -> Path:
    path = folder / "plan.json"
    path.write_text(json.dumps(plan_document(plan)))
    return path


def test_a_plan_with_changes_ends_with_3(world: Desk, capsys: Said) -> None:
    assert show_plan(words(), Format.TEXT, None) == 3

    assert "3 of 3 stores change" in capsys.readouterr().out


def test_a_plan_without_changes_ends_with_0(world: Desk) -> None:
    world.plan = plans.plan(STORES, [plans.view(s, plans.service(plans.arn(42))) for s in STORES])
    world.plan = replace(world.plan, changes=())

    assert show_plan(words(), Format.TEXT, None) == 0


def test_a_plan_that_must_not_be_run_ends_with_1(world: Desk) -> None:
    world.plan = replace(world.plan, refusals=("no image for arm64",))

    assert show_plan(words(), Format.TEXT, None) == 1


def test_words_become_the_request(world: Desk) -> None:
    show_plan(
        words(workloads=["telemetry"], stores=["store-002"], policy="standard", seed=7),
        Format.TEXT,
        None,
    )

    [request] = world.requests
    assert [store.id for store in request.stores] == ["store-002"]
    assert (request.workloads, request.policy, request.seed) == (("telemetry",), "standard", 7)
    assert request.selection == "store-002"


@pytest.mark.parametrize("form", list(Format))
def test_a_plan_is_written_to_a_file_in_every_form(
    world: Desk, form: Format, tmp_path: Path, capsys: Said
) -> None:
    path = tmp_path / "plan"

    show_plan(words(), form, path)

    assert "store-001" in path.read_text()
    assert capsys.readouterr().out == ""


def test_a_plan_that_cannot_be_written_says_why(world: Desk, tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="No such file"):
        show_plan(words(), Format.JSON, tmp_path / "no" / "plan")


def test_a_plan_printed_as_json_can_be_read_back(world: Desk, tmp_path: Path, capsys: Said) -> None:
    show_plan(words(), Format.JSON, None)
    path = tmp_path / "plan.json"
    path.write_text(capsys.readouterr().out)

    assert read_plan(path) == world.plan


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "is no JSON"), ("[]", "is no plan"), ('{"kind": "x"}', "is no plan")],
)
def test_a_file_that_holds_no_plan_says_how_to_make_one(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)

    with pytest.raises(UsageError, match=said) as caught:
        read_plan(path)

    assert caught.value.hint == f"fleet plan --json > {path}"


def test_a_rollout_is_started_audited_and_gone_along_with(world: Desk) -> None:
    assert roll_out(asked()) == 0

    [rollout] = started()
    assert rollout.caller == rollouts.CALLER
    assert world.gone[0][0] == rollout.id
    assert world.shards == [{SHARD}]
    with records_from_environment() as records:
        [run] = records.runs()
        [entry] = records.audit_of(run.id)
    assert (entry.action, entry.detail["rollout"]) == ("start rollout", rollout.id)


def test_a_freeze_that_was_overridden_is_audited_with_its_reason(world: Desk) -> None:
    roll_out(asked(chosen={"override_freeze": "security fix"}))

    with records_from_environment() as records:
        [entry] = records.audit_of(records.runs()[0].id)
    assert entry.why == "in spite of freezes: security fix"
    assert started()[0].spec.override_freeze == "security fix"


def test_without_a_terminal_yes_is_wanted_and_nothing_is_started(world: Desk, capsys: Said) -> None:
    with pytest.raises(UsageError) as caught:
        roll_out(asked(yes=False))

    assert caught.value.hint == "add --yes"
    assert "3 of 3 stores change" in capsys.readouterr().err
    assert started() == []


@pytest.mark.parametrize("answer", [False, True])
def test_a_person_is_asked(world: Desk, answer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_words, **_options: answer)

    if answer:
        assert roll_out(asked(yes=False)) == 0
    else:
        with pytest.raises(Interrupted, match="nothing was sent"):
            roll_out(asked(yes=False))

    assert len(started()) == answer


def test_a_plan_that_must_not_be_run_is_shown_and_not_started(world: Desk, capsys: Said) -> None:
    world.plan = replace(world.plan, refusals=("no image for arm64",))

    assert roll_out(asked()) == 1

    said = capsys.readouterr()
    assert "no image for arm64" in said.out
    assert "nothing was sent" in said.err
    assert started() == []


def test_nothing_to_do_is_done(world: Desk, capsys: Said) -> None:
    world.plan = replace(world.plan, changes=())

    assert roll_out(asked()) == 0

    assert "nothing to roll out" in capsys.readouterr().err
    assert started() == []


def test_a_second_rollout_of_the_same_stores_is_locked_out(world: Desk) -> None:
    roll_out(asked())

    with pytest.raises(Locked) as caught:
        roll_out(asked())

    assert "ro-1" in str(caught.value)
    assert caught.value.exit_code == 5


def test_a_plan_that_goes_round_held_stores_is_not_rolled_out(world: Desk) -> None:
    roll_out(asked())
    first, *others = world.plan.changes
    left = [replace(change, kind=Kind.LEFT) for change in others]
    world.plan = replace(world.plan, changes=(first, *left))

    with pytest.raises(Locked, match="ro-1 holds store-002"):
        roll_out(asked())

    assert len(started()) == 1


def test_what_is_left_alone_for_other_reasons_locks_nobody_out(world: Desk) -> None:
    first, *others = world.plan.changes
    left = [replace(change, kind=Kind.LEFT) for change in others]
    world.plan = replace(world.plan, changes=(first, *left))

    assert roll_out(asked()) == 0


def test_detaching_wants_a_controller_that_lives(world: Desk) -> None:
    with pytest.raises(UsageError, match="no controller is alive") as caught:
        roll_out(asked(detach=True))

    assert "fleet controller" in str(caught.value.hint)
    assert world.requests == []


def test_a_detached_rollout_is_left_to_the_controller(world: Desk, capsys: Said) -> None:
    with records_from_environment() as records:
        assert records.leases.take("controller", "fleet controller", 60.0)

        assert roll_out(asked(detach=True)) == 0

    assert capsys.readouterr().out == "ro-1\n"
    assert world.gone == []


def test_a_saved_plan_is_run_while_the_world_is_the_same(world: Desk, tmp_path: Path) -> None:
    assert roll_out(asked(plan_file=saved(world.plan, tmp_path))) == 0

    [request] = world.requests
    assert {s.id for s in request.stores} == {s.id for s in STORES}
    assert (request.seed, request.policy) == (world.plan.seed, "standard")
    assert len(started()) == 1


def test_a_saved_plan_is_refused_when_the_world_has_moved(world: Desk, tmp_path: Path) -> None:
    path = saved(world.plan, tmp_path)
    views = [plans.view(s, plans.service(plans.arn(42))) for s in STORES]
    world.plan = plans.plan(STORES, views)

    with pytest.raises(UsageError, match="the world has moved") as caught:
        roll_out(asked(plan_file=path))

    assert "store-001" in str(caught.value)
    assert str(path) in str(caught.value.hint)
    assert started() == []


def test_a_saved_plan_takes_no_other_words(world: Desk, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no other words"):
        roll_out(asked(plan_file=saved(world.plan, tmp_path), chosen={"canary": True}))


def test_a_saved_plan_of_a_store_that_is_gone_is_refused(world: Desk, tmp_path: Path) -> None:
    path = saved(plans.plan([plans.shop(77)]), tmp_path)

    with pytest.raises(UsageError, match="store-077"):
        roll_out(asked(plan_file=path))
