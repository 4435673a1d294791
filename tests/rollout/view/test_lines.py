"""Events and gates in words: on wide and narrow screens, in pipes, near and far shops."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from fleet.model.gate import GateAnswer
from fleet.model.plain import to_plain
from fleet.model.spans import exact_moment
from fleet.model.verdicts import Verdict
from fleet.rollout.view.lines import EventLines, gate_view
from tests import rollouts

NO_GATE: dict[str, object] = {"answer": "halt", "reason": "x", "checks": [], "again_at": None}
LINES = EventLines(rollouts.spec())


def drawn(view: RenderableType, width: int = 200) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(view)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def verdict(text: str, verdict: Verdict = Verdict.OK, **data: object) -> str:
    event = rollouts.event(
        "verdict", text, "store-001", verdict=verdict.value, service="vision-arm64", **data
    )
    return LINES.line(event)


def test_a_verdict_names_time_store_variant_verdict_and_progress() -> None:
    line = verdict("new task RUNNING 2m01s", done=1, of=8)

    assert line == "01:14:20Z store-001 arm64 ok      new task RUNNING 2m01s  (1/8)"


def test_a_verdict_said_by_the_text_too_is_said_once() -> None:
    assert verdict("failed: exit 1", Verdict.FAILED).count("failed") == 1


def test_an_event_of_no_store_is_its_time_and_text() -> None:
    assert LINES.line(rollouts.event("wave", "wave 1 started")) == "01:14:20Z wave 1 started"


def test_what_happened_in_a_shop_of_another_time_zone_says_its_own_time() -> None:
    spec = rollouts.spec()
    far = replace(spec.places["store-001"], time_zone="Asia/Singapore")
    lines = EventLines(replace(spec, places={**spec.places, "store-001": far}))

    line = lines.line(rollouts.event("sent", "vision-arm64:13", "store-001"))

    assert line == "01:14:20Z store-001 vision-arm64:13  [09:14 +08 there]"


def test_a_shop_on_utc_has_its_time_said_once() -> None:
    line = LINES.line(rollouts.event("sent", "vision-arm64:13", "store-001"))

    assert line == "01:14:20Z store-001 vision-arm64:13"


def test_a_store_that_the_rollout_does_not_know_breaks_nothing() -> None:
    line = LINES.line(rollouts.event("verdict", "x", "store-999", verdict="no such word"))

    assert line == "01:14:20Z store-999 x"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_screen_and_no_word_is_lost(width: int) -> None:
    text = "exit 1 x2 libnvinfer.so.8 cannot open, breaker restored vision-arm64:12 once more"
    event = rollouts.event(
        "verdict", text, "store-001", verdict="failed", service="vision-arm64", done=2, of=8
    )

    lines = drawn(LINES.view(event, width), width)

    assert max(map(len, lines)) <= width
    assert " ".join(" ".join(lines).split()).endswith(f"failed {text} (2/8)")


def test_a_gate_lines_up_what_it_saw_with_its_limits() -> None:
    lines = drawn(gate_view(rollouts.gate(), "canary", 200))

    assert lines[0] == "GATE canary  HALT"
    failures, success = lines[2], lines[3]
    assert " ".join(failures.split()) == "failures 2 budget 1 OVER min_sample 5 reached: 8"
    assert failures.index("OVER") == success.index("UNDER")
    assert lines[-1].strip() == "by variant  orin 6/6 ok · xavier 0/2 ok, 2 failed"


@pytest.mark.parametrize("width", [60, 80])
def test_a_gate_keeps_every_number_on_a_narrow_screen(width: int) -> None:
    text = " ".join(" ".join(drawn(gate_view(rollouts.gate(), "canary", width), width)).split())

    assert "6/8=75 % needed 95 % UNDER" in text
    assert "0/8 updated, 9/792 others" in text
    assert "not a" in text


def test_a_gate_event_is_shown_with_its_arithmetic() -> None:
    event = rollouts.event("gate", "gate canary: halt: too many", **to_plain(rollouts.gate()))

    lines = drawn(LINES.view(event, 200))

    assert lines[0] == "01:14:20Z gate canary: halt: too many"
    assert " ".join(lines[1].split()) == "failures 2 budget 1 OVER min_sample 5 reached: 8"


def test_a_gate_survives_the_way_through_an_event() -> None:
    gate = rollouts.gate(GateAnswer.ASK)

    assert rollouts.event("gate", "", **to_plain(gate)).gate == gate


@pytest.mark.parametrize(
    "data", [{}, {"answer": "never"}, {"answer": "halt"}, {**NO_GATE, "counts": 1}]
)
def test_what_is_no_gate_is_none(data: dict[str, Any]) -> None:
    assert rollouts.event("gate", "", **data).gate is None


def test_a_moment_of_another_day_carries_its_date() -> None:
    assert exact_moment(rollouts.NOW, rollouts.NOW) == "01:14:20Z"
    assert exact_moment(rollouts.NOW.replace(day=21), rollouts.NOW) == "21 Nov 01:14:20Z"
