"""One store explained: with its evidence, made safe for a terminal."""

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from fleet.model.changes import HostContact, ObservedChange
from fleet.model.restarts import Restarts
from fleet.model.verdicts import Verdict
from fleet.rollout.view.store import evidence_lines, store_view
from tests import rollouts


def shown(width: int = 120, **changes: Any) -> str:
    change = rollouts.change("store-002", Verdict.FAILED, **changes)
    overview = rollouts.overview(changes=(change,))
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(
        store_view(overview, "store-002", (rollouts.event("sent", "x", "store-002"),), width)
    )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_it_says_what_ran_what_was_sent_and_when_there_too() -> None:
    text = shown()

    assert "before  vision-arm64:12, 1 task" in text
    assert "wanted  vision-arm64:13, 1 task" in text
    assert "sent    01:02:10Z (12m10s ago, 01:02 GMT there)" in text


def test_evidence_is_shown_in_lines() -> None:
    evidence = {"deployment": {"breaker": "TRIGGERED"}, "stopped_tasks": [{"exit_code": 1}]}

    lines = list(evidence_lines(evidence))

    assert lines == ["deployment:", "  breaker: TRIGGERED", "stopped tasks:", "  exit code 1"]


def test_what_a_host_said_cannot_move_the_terminal() -> None:
    text = shown(observed=ObservedChange(cause="\x1b[2Jgone", reason="\x1b]0;title\x07"))

    assert "\x1b" not in text
    assert "\x07" not in text


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (
            Restarts(4, rollouts.NOW - timedelta(minutes=8), 139, "ssh", rollouts.NOW),
            "restarted 4 times in 8m, last exit 139; by ssh, 0s ago",
        ),
        (Restarts(problem="cam-1: no route"), "restarts not seen: cam-1: no route"),
    ],
    ids=["seen", "not seen"],
)
def test_it_says_what_is_known_of_restarts(known: Restarts, words: str) -> None:
    assert f"restarts  {words}" in shown(observed=ObservedChange(restarts=known))


def test_long_evidence_is_cut_and_counted() -> None:
    hosts = {f"cam-{number}": HostContact(connected=True) for number in range(50)}

    text = shown(observed=ObservedChange(hosts=hosts))

    assert re.search(r"and \d\d more lines", text)


def test_a_failed_store_can_be_tried_again() -> None:
    assert "fleet rollout retry ro-118 --store store-002" in shown()


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    assert max(map(len, shown(width).splitlines())) <= width
