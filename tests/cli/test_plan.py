"""`fleet plan`: its request, its forms and its exit codes."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import typer

from fleet.cli import plan as command
from fleet.cli.options import PlanFormat
from fleet.cli.plan import plan
from fleet.errors import FleetError
from fleet.model.plan import Plan
from fleet.rollout.plan import Request
from fleet.rollout.plan_request import read_plan
from fleet.runtime.wiring import open_wiring
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

    monkeypatch.setattr("fleet.rollout.plan_request.make_plan", make_plan)
    monkeypatch.setattr(command, "open_wiring", wired)
    return made


def show_plan(form: PlanFormat = PlanFormat.TEXT, out: Path | None = None, **words: Any) -> int:
    """The exit code of `fleet plan`."""
    with pytest.raises(typer.Exit) as ended:
        plan(form=form, out=out, inventory=INVENTORY, **words)
    return ended.value.exit_code


def test_a_plan_with_changes_ends_with_3(world: Desk, capsys: Said) -> None:
    assert show_plan() == 3

    assert "3 of 3 stores change" in capsys.readouterr().out


def test_a_plan_without_changes_ends_with_0(world: Desk) -> None:
    world.plan = plans.plan(STORES, [plans.view(s, plans.service(plans.arn(42))) for s in STORES])
    world.plan = replace(world.plan, changes=())

    assert show_plan() == 0


def test_a_plan_that_must_not_be_run_ends_with_1(world: Desk) -> None:
    world.plan = replace(world.plan, refusals=("no image for arm64",))

    assert show_plan() == 1


def test_words_become_the_request(world: Desk) -> None:
    show_plan(workloads=["telemetry"], store=["store-002"], policy="standard", seed=7)

    [request] = world.requests
    assert [store.id for store in request.stores] == ["store-002"]
    assert (request.workloads, request.policy, request.seed) == (("telemetry",), "standard", 7)
    assert request.selection == "store-002"


@pytest.mark.parametrize("form", list(PlanFormat))
def test_a_plan_is_written_to_a_file_in_every_form(
    world: Desk, form: PlanFormat, tmp_path: Path, capsys: Said
) -> None:
    path = tmp_path / "plan"

    show_plan(form, path)

    assert "store-001" in path.read_text()
    assert capsys.readouterr().out == ""


def test_a_plan_that_cannot_be_written_says_why(world: Desk, tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="No such file"):
        plan(form=PlanFormat.JSON, out=tmp_path / "no" / "plan", inventory=INVENTORY)


def test_a_plan_printed_as_json_can_be_read_back(world: Desk, tmp_path: Path, capsys: Said) -> None:
    show_plan(PlanFormat.JSON)
    path = tmp_path / "plan.json"
    path.write_text(capsys.readouterr().out)

    assert read_plan(path) == world.plan
