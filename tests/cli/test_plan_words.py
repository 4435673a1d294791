"""The words of a plan: all open stores without any; the nearest word for a wrong one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.cli.plan_words import Chosen, check_workloads, stores_of
from fleet.errors import UsageError
from fleet.inventory.loader import load_fleet
from fleet.model.inventory import Fleet, Lifecycle

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return load_fleet(ROOT / "inventory")


def chosen(**words: Any) -> Chosen:
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
        inventory=Path("inventory"),
    )
    return replace(value, **words)


def test_without_words_all_open_stores_are_meant(fleet: Fleet) -> None:
    stores = stores_of(fleet, chosen(), tell=lambda _line: None)

    assert {s.lifecycle for s in stores} == {Lifecycle.OPEN}
    assert len(stores) == sum(s.lifecycle is Lifecycle.OPEN for s in fleet.stores)
    assert chosen().selection == "--all"


def test_words_choose_stores_and_are_kept_as_typed(fleet: Fleet) -> None:
    words = chosen(where="market=uk")

    stores = stores_of(fleet, words, tell=lambda _line: None)

    assert {s.labels["market"] for s in stores} == {"uk"}
    assert words.selection == "--where market=uk"


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
    [{"workloads": ["vision"]}, {"where": "x=y"}, {"canary": True}, {"seed": 0}, {"policy": "p"}],
)
def test_what_says_what_is_rolled_out_is_known(words: dict[str, Any]) -> None:
    assert chosen(**words).says_what
    assert not chosen(override_freeze="because", overwrite=True).says_what
