"""The list of rollouts."""

import io

from rich.console import Console

from fleet.model.history import RolloutSummary
from fleet.model.rollout import Phase
from fleet.rollout.view.history import history_view
from tests import rollouts


def drawn(*rows: RolloutSummary, width: int = 120) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(
        history_view(rows, rollouts.NOW, width)
    )
    return out.getvalue()


def test_each_rollout_says_when_how_long_how_it_ended_and_why() -> None:
    text = drawn(rollouts.summary(phase=Phase.HALTED, why="over budget"))

    for word in ("ro-118", "01:02:10Z", "12m10s", "halted", "on-call", "over budget"):
        assert word in text


def test_no_rollout_yet_is_said() -> None:
    assert drawn() == "no rollout was started yet\n"


def test_one_that_gives_no_reason_counts_its_services() -> None:
    assert "services 6 ok, 32 waiting, 2 failed" in drawn(rollouts.summary(), width=200)
