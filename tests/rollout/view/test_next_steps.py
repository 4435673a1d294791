"""What is advised in each phase."""

from dataclasses import replace

import pytest

from fleet.model.overview import Ticker
from fleet.model.rollout import Phase
from fleet.model.stop import Stop
from fleet.model.verdicts import Verdict
from fleet.rollout.view.next_steps import next_steps
from tests import rollouts

BAD = rollouts.changes(store_002=Verdict.FAILED, store_003=Verdict.DARK)


@pytest.mark.parametrize(
    ("phase", "first"),
    [
        (Phase.RUNNING, "fleet rollout resume ro-118"),
        (Phase.AWAITING, "fleet rollout promote ro-118"),
        (Phase.PAUSED, "fleet rollout status ro-118 --store store-002"),
        (Phase.HALTED, "fleet rollout status ro-118 --store store-002"),
        (Phase.DONE, "fleet rollout status ro-118 --store store-002"),
        (Phase.ABORTED, "fleet rollout status ro-118 --store store-002"),
        (Phase.ROLLED_BACK, "fleet rollout status ro-118 --store store-002"),
    ],
)
def test_each_phase_says_what_to_type_first(phase: Phase, first: str) -> None:
    assert next_steps(rollouts.overview(phase=phase, changes=BAD))[0].command.words == first


def test_one_that_is_ticked_is_only_watched() -> None:
    ticker = Ticker("x", "somebody", rollouts.NOW)

    steps = next_steps(rollouts.overview(tickers=(ticker,)))

    assert [step.command.words for step in steps] == ["fleet rollout watch ro-118"]


def test_a_halt_offers_to_go_back_before_it_offers_to_go_on() -> None:
    commands = [
        s.command.words.split()[2] for s in next_steps(rollouts.overview(phase=Phase.HALTED))
    ]

    assert commands == ["rollback", "resume"]


def test_nothing_is_rolled_back_where_nothing_was_sent() -> None:
    changes = (rollouts.planned("store-009"),)

    steps = next_steps(rollouts.overview(phase=Phase.HALTED, changes=changes))

    assert [s.command.words.split()[2] for s in steps] == ["resume"]


def test_a_finished_rollout_offers_to_wait_for_those_that_owe_it() -> None:
    steps = next_steps(rollouts.overview(phase=Phase.DONE, changes=BAD))

    assert steps[-1].what == "wait for 1 store to be back: the release is owed there"


def test_a_finished_rollout_without_debts_offers_nothing() -> None:
    assert next_steps(rollouts.overview(phase=Phase.DONE)) == ()


@pytest.mark.parametrize("verdict", [Verdict.UNDELIVERED, Verdict.CHANGED_BY_HAND])
def test_a_pause_over_a_store_that_says_nothing_offers_to_try_it_again_or_leave_it_out(
    verdict: Verdict,
) -> None:
    overview = rollouts.overview(phase=Phase.PAUSED, changes=rollouts.changes(store_002=verdict))

    commands = [step.command.words for step in next_steps(overview)]

    assert commands[:2] == [
        "fleet rollout retry ro-118 --store store-002",
        "fleet rollout skip ro-118 --store store-002",
    ]


def test_a_recalled_rollout_says_so_before_it_is_sent_to_more_stores() -> None:
    overview = rollouts.overview(phase=Phase.DONE, changes=BAD, recalled="3 failures, budget 1")

    steps = {step.command.words.split()[2]: step for step in next_steps(overview)}

    assert next_steps(overview)[0].command.words == "fleet rollout rollback ro-118"
    for verb in ("resume", "retry"):
        assert steps[verb].command.accepts == "that it was recalled"
        assert steps[verb].what.startswith("accept that it was recalled, ")


@pytest.mark.parametrize(
    ("phase", "left"),
    [
        (Phase.HALTED, ["status", "rollback"]),
        (Phase.PAUSED, ["status", "abort"]),
        (Phase.AWAITING, ["rollback"]),
        (Phase.DONE, ["status"]),
    ],
)
def test_while_every_send_is_stopped_that_is_lifted_first(phase: Phase, left: list[str]) -> None:
    stop = Stop(rollouts.NOW, "anna", "it loses receipts")

    lift, *others = next_steps(rollouts.overview(phase=phase, changes=BAD, stop=stop))

    assert (lift.command.words, lift.command.sends) == ("fleet start", True)
    assert [step.command.words.split()[2] for step in others] == left


def test_a_stop_that_was_lifted_changes_nothing() -> None:
    lifted = Stop(rollouts.NOW, "anna", "it lost receipts", lifted_at=rollouts.NOW)
    overview = rollouts.overview(phase=Phase.HALTED, changes=BAD)

    assert next_steps(replace(overview, stop=lifted)) == next_steps(overview)
