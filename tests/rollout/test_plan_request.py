"""The words of a plan: all open stores without any; the nearest word for a wrong one."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fleet.errors import UsageError
from fleet.inventory.decide.selection import Choice
from fleet.inventory.loader import load_fleet
from fleet.model.inventory import Fleet, Lifecycle, Store
from fleet.model.plan import Plan
from fleet.rollout import plan_request
from fleet.rollout.plan_request import (
    PlanRequest,
    check_workloads,
    only_plan_file,
    plan_again,
    plan_for,
    plan_from_document,
    read_plan,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return load_fleet(ROOT / "inventory")


def planned(
    fleet: Fleet, request: PlanRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[tuple[Store, ...], str]:
    """The stores that a request plans, and the selection as it could be typed again."""
    seen: list[Any] = []
    monkeypatch.setattr(plan_request, "make_plan", lambda _wiring, made: seen.append(made))
    wiring: Any = SimpleNamespace(fleet=fleet)
    plan_for(wiring, request, tell=lambda _line: None)
    [made] = seen
    return made.stores, made.selection


def test_without_words_all_open_stores_are_meant(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores, selection = planned(fleet, PlanRequest(), monkeypatch)

    assert {s.lifecycle for s in stores} == {Lifecycle.OPEN}
    assert len(stores) == sum(s.lifecycle is Lifecycle.OPEN for s in fleet.stores)
    assert selection == "--all"


def test_words_choose_stores_and_are_kept_as_typed(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = PlanRequest(choice=Choice(where="market=uk"))

    stores, selection = planned(fleet, request, monkeypatch)

    assert {s.labels["market"] for s in stores} == {"uk"}
    assert selection == "--where market=uk"


def test_a_workload_that_is_there_is_taken(fleet: Fleet) -> None:
    check_workloads(fleet, ["vision"])


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("visoin", "did you mean vision?"),
        ("promotee", "did you mean promote?"),
        ("qqqqq", "workloads: telemetry, vision"),
        ("status", "it comes first: fleet rollout status"),
    ],
)
def test_a_word_that_is_none_names_the_nearest(fleet: Fleet, word: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_workloads(fleet, ["vision", word])

    assert caught.value.hint == hint


def test_an_inventory_without_workloads_says_where_one_is_written(fleet: Fleet) -> None:
    with pytest.raises(UsageError) as caught:
        check_workloads(replace(fleet, workloads=()), [])

    assert "inventory/workloads" in str(caught.value.hint)


@pytest.mark.parametrize(
    "words",
    [
        {"workloads": ("vision",)},
        {"choice": Choice(where="x=y")},
        {"canary": True},
        {"seed": 0},
        {"policy": "p"},
    ],
)
def test_what_says_what_is_rolled_out_is_known(words: dict[str, Any]) -> None:
    assert PlanRequest(**words).chooses
    assert not PlanRequest(override_freeze="because", overwrite=True).chooses


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

    assert caught.value.hint is not None
    assert "fleet plan --json --out new-plan.json" in caught.value.hint
    assert str(path) not in caught.value.hint, "it may be any file"


def test_a_plan_is_proposed_for_a_file_that_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("new-plan.json").write_text("mine")

    with pytest.raises(UsageError) as caught:
        read_plan(Path("new-plan.json"))

    assert str(caught.value.hint).endswith("fleet plan --json --out new-plan1.json")


def a_plan() -> Plan:
    old = ROOT / "tests/cases/version_0_1/plan.json"
    plan = plan_from_document(json.loads(old.read_text(encoding="utf-8")))
    return replace(plan, workloads=("vision",), canary=True, seed=7)


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        ("--all", "--all"),
        ("store-1 store-2", "--store store-1 --store store-2"),
        ("store-1 --where 'market in (uk, de)'", "--store store-1 --where 'market in (uk, de)'"),
        ("--where market=uk --ring canary", "--where market=uk --ring canary"),
    ],
)
def test_a_plan_is_made_again_for_the_same_stores(selection: str, words: str) -> None:
    saved = replace(a_plan(), selection=selection)

    assert plan_again(saved, Path("a plan.json")) == (
        f"plan again: fleet plan vision {words} --policy standard --seed 7 --canary "
        "--json --out 'a plan.json'"
    )


def test_a_store_that_is_gone_is_left_out_and_never_makes_it_all_stores() -> None:
    saved = replace(a_plan(), selection="store-1 store-2")

    assert "--store store-1 --policy" in plan_again(saved, Path("p"), gone=["store-2"])
    assert "fleet plan" not in plan_again(saved, Path("p"), gone=["store-1", "store-2"])


def test_a_plan_file_is_proposed_as_it_is_typed() -> None:
    request = PlanRequest(workloads=("vision",), plan_file=Path("my plan.json"))

    with pytest.raises(UsageError) as caught:
        only_plan_file(request, "fleet rollout")

    assert caught.value.hint == "fleet rollout --plan-file 'my plan.json'"
