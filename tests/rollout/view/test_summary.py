"""The last words: what runs where, said of a dark store only as far as it is known."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from fleet.model.changes import ObservedChange, Undo
from fleet.model.history import RolloutSummary
from fleet.model.overview import Overview
from fleet.model.rollout import Phase
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.view.summary import history_view, running, summary_view
from tests import rollouts


def drawn(overview: Overview, width: int = 120, *, gate_was_told: bool = False) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(
        summary_view(overview, width, gate_was_told=gate_was_told)
    )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_it_says_what_runs_where() -> None:
    [(service, words)] = running(rollouts.changes())

    assert service == "vision-arm64"
    assert words == "vision-arm64:12: 32 stores · vision-arm64:13: 8 stores"


def test_what_a_dark_store_runs_is_not_known() -> None:
    [(_, words)] = running([rollouts.change("store-004", Verdict.DARK)])

    assert words == "not known: store-004 (before: vision-arm64:12)"


def test_a_store_that_was_set_back_runs_what_it_ran() -> None:
    change = rollouts.change("store-004", Verdict.FAILED, stage=Stage.UNDONE)

    assert running([change]) == [("vision-arm64", "vision-arm64:12: 1 store")]


def test_what_a_failed_store_runs_is_what_was_seen_there() -> None:
    change = rollouts.change(
        "store-004", Verdict.FAILED, observed=ObservedChange(task_definition=rollouts.OLD)
    )

    assert running([change]) == [("vision-arm64", "vision-arm64:12: 1 store")]
    assert "not known" in running([replace(change, observed=ObservedChange())])[0][1]


def test_a_halt_shows_the_gate_the_failed_the_owed_and_what_to_type() -> None:
    changes = rollouts.changes(store_002=Verdict.FAILED, store_004=Verdict.DARK)
    overview = rollouts.overview(
        phase=Phase.HALTED, why="over budget", changes=changes, gate=rollouts.gate()
    )

    text = drawn(overview)

    assert "GATE canary  HALT" in text
    assert "ro-118 halted (over budget): nothing further will be sent" in text
    assert "failed  store-002 vision-arm64: because" in text
    assert "owed  by 1 store: store-004" in text
    assert "fleet rollout rollback ro-118" in text


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("width", [60, 80])
def test_every_phase_has_last_words_that_fit(phase: Phase, width: int) -> None:
    text = drawn(rollouts.overview(phase=phase), width)

    assert f"ro-118 {phase.value}" in text
    assert max(map(len, text.splitlines())) <= width


def test_a_failed_store_that_nothing_was_restored_in_is_failing() -> None:
    change = rollouts.change(
        "store-004", Verdict.FAILED, observed=ObservedChange(task_definition=rollouts.NEW)
    )

    assert running([change]) == [("vision-arm64", "vision-arm64:13, failing: 1 store")]


@pytest.mark.parametrize("phase", [Phase.ABORTED, Phase.ROLLED_BACK])
def test_a_release_that_was_taken_back_is_owed_by_nobody(phase: Phase) -> None:
    changes = rollouts.changes(store_004=Verdict.DARK)

    assert "owed" not in drawn(rollouts.overview(phase=phase, changes=changes))


def listed(*rows: RolloutSummary, width: int = 120) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(
        history_view(rows, rollouts.NOW, width)
    )
    return out.getvalue()


def test_each_rollout_says_when_how_long_how_it_ended_and_why() -> None:
    text = listed(rollouts.summary(phase=Phase.HALTED, why="over budget"))

    for word in ("ro-118", "01:02:10Z", "12m10s", "halted", "on-call", "over budget"):
        assert word in text


def test_no_rollout_yet_is_said() -> None:
    assert listed() == "no rollout was started yet\n"


def test_one_that_gives_no_reason_counts_its_services() -> None:
    assert "services 6 ok, 32 waiting, 2 failed" in listed(rollouts.summary(), width=200)


def test_revisions_of_two_regions_are_not_added_up() -> None:
    here = rollouts.change("store-001", Verdict.OK)
    there = rollouts.change("store-002", Verdict.OK, region="us-east-1")

    [(_, words)] = running([here, there])

    assert words == (
        "emea-prod/eu-west-1 vision-arm64:13: 1 store · "
        "emea-prod/us-east-1 vision-arm64:13: 1 store"
    )


def test_a_gate_that_was_told_is_not_told_again() -> None:
    overview = rollouts.overview(phase=Phase.HALTED, gate=rollouts.gate())

    assert "GATE" in drawn(overview)
    assert "GATE" not in drawn(overview, gate_was_told=True)


def test_what_an_aborted_rollout_had_planned_is_not_to_be_sent() -> None:
    changes = (rollouts.change("store-001", Verdict.OK), rollouts.planned("store-090"))

    text = drawn(rollouts.overview(phase=Phase.ABORTED, changes=changes))

    assert "1 not sent" in text
    assert "to send" not in text


def test_a_done_rollout_with_an_accepted_failure_did_not_pass_every_wave() -> None:
    failed = rollouts.change("store-002", Verdict.FAILED, failure_accepted=True)

    text = drawn(rollouts.overview(phase=Phase.DONE, changes=(failed,)))

    assert "every wave was sent, 1 failure accepted" in text
    assert "has passed" not in text


def test_a_rollback_that_left_a_store_does_not_say_that_every_store_is_back() -> None:
    left = rollouts.change("store-002", stage=Stage.HELD, undo=Undo(since=rollouts.NOW))

    text = drawn(rollouts.overview(phase=Phase.ROLLED_BACK, changes=(left,)))

    assert "1 store could not be set back" in text
    assert "every store" not in text


def test_more_failed_stores_are_looked_up_in_this_rollout() -> None:
    changes = tuple(rollouts.change(f"store-{n:03}", Verdict.FAILED) for n in range(7))

    text = drawn(rollouts.overview(phase=Phase.HALTED, changes=changes))

    assert "and 2 more: fleet rollout status ro-118" in text
