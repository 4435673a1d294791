"""The picture of a rollout: exactly as large as the screen, what matters most on every size."""

import io
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from fleet.model.overview import BudgetUse, NextWindow, Overview, Ticker
from fleet.model.rollout import Phase
from fleet.model.verdicts import Verdict
from fleet.rollout.view.live import RolloutPicture, _shares
from tests import rollouts
from tests.rollouts import NOW


def busy() -> Overview:
    events = tuple(
        rollouts.event(
            "verdict",
            "new task RUNNING 2m01s, healthy, agent seen 9s ago",
            f"store-{n:03}",
            verdict="ok",
            service="vision-arm64",
            done=n,
            of=8,
        )
        for n in range(1, 31)
    )
    return rollouts.overview(
        changes=rollouts.changes(store_002=Verdict.FAILED, store_005=Verdict.WAITING),
        gate=rollouts.gate(),
        phase=Phase.HALTED,
        why="2 failures are over the budget of 1",
        tickers=(Ticker("x", "fleet controller on ops-1", NOW),),
        next_window=NextWindow(NOW + timedelta(hours=3), "store-009", 4),
        budgets=(BudgetUse("emea-prod", "eu-west-1", "ecs service modify", 0.42, 12),),
        events=events,
    )


def drawn(overview: Overview, width: int, height: int, note: str = "Ctrl-C leaves") -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, markup=False, highlight=False)
    console.print(RolloutPicture(overview, note), end="")
    return out.getvalue().splitlines()


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (60, 16), (40, 10), (20, 4), (300, 100)])
def test_it_is_exactly_as_large_as_the_screen(size: tuple[int, int]) -> None:
    width, height = size

    lines = drawn(busy(), width, height)

    assert len(lines) == height
    assert {cell_len(line) for line in lines} == {width}


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_it_says_what_a_wall_has_to_say(size: tuple[int, int]) -> None:
    text = "\n".join(drawn(busy(), *size))

    for words in (
        "ro-118 vision 1.8.3 -> 1.9.0  HALTED",
        "2 failures are over the budget",
        "next window 04:14:20Z (04:14 GMT there)",
        "canary",
        "6 ok, 1 failed, 1 waiting",
        "GATE canary  HALT",
        "6/8=75 %",
        "store-002 failed: because",
        "store-005 arm64 for 12m10s",
        "ecs service modify 42% of its rate, 12 calls wait",
        "ticked 4s ago by fleet controller on ops-1",
        "store-030",
    ):
        assert words in text


def test_a_low_screen_keeps_waves_gate_trouble_and_the_latest_lines() -> None:
    text = "\n".join(drawn(busy(), 60, 16))

    for words in ("canary", "GATE canary", "store-002 failed", "store-030"):
        assert words in text
    assert "budget  " not in text


def test_two_columns_are_set_side_by_side() -> None:
    lines = drawn(busy(), 200, 40)

    assert any("canary" in line and "store-002 failed" in line for line in lines)


def test_what_cannot_be_read_is_said_in_the_last_line() -> None:
    lines = drawn(busy(), 80, 24, note="NOT READ since 01:14:20Z: locked")

    assert "NOT READ since 01:14:20Z" in lines[-1]


def test_a_finished_rollout_has_no_gate_any_more() -> None:
    text = "\n".join(drawn(replace(busy(), rollout=rollouts.rollout(phase=Phase.DONE)), 80, 24))

    assert "GATE" not in text


@given(st.lists(st.integers(0, 5000), min_size=6, max_size=6), st.integers(10, 60))
def test_a_bar_is_full_and_shows_whoever_is_there_at_all(numbers: list[int], cells: int) -> None:
    shares = _shares(numbers, cells)

    assert [bool(share) for share in shares] == [bool(number) for number in numbers]
    assert sum(shares) == (cells if any(numbers) else 0)


def test_ten_thousand_stores_are_drawn_well_within_a_second() -> None:
    changes = tuple(rollouts.change(f"store-{n:05}", Verdict.OK) for n in range(10_000))
    overview = rollouts.overview(changes=changes)

    began = time.process_time()
    drawn(overview, 200, 60)

    assert time.process_time() - began < 1.0
