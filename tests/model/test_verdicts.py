"""The rows of verdicts, and what changes and screens derive from them."""

from dataclasses import fields, replace

import pytest

from fleet.model.gate import Count
from fleet.model.rollout import Phase, owed
from fleet.model.verdicts import WORST, Stage, Standing, Verdict, worst
from tests import rollouts
from tests.rollouts import NOW


def test_every_verdict_has_a_gate_column_of_its_own() -> None:
    columns = [verdict.traits.gate_column for verdict in Verdict]

    assert sorted([*columns, "sent"]) == sorted(field.name for field in fields(Count))


def test_verdicts_rank_from_unchanged_to_failed() -> None:
    assert [verdict.value for verdict in WORST] == [
        *("unchanged", "ok", "parked", "waiting"),
        *("dark", "undelivered", "changed-by-hand", "failed"),
    ]


def test_a_store_stands_as_the_worst_of_its_services() -> None:
    assert worst([Standing.OK, Standing.DARK, Standing.WAITING]) is Standing.DARK


@pytest.mark.parametrize(
    ("verdict", "stages"),
    [
        (Verdict.PARKED, {Stage.PLANNED}),
        (Verdict.DARK, {Stage.SENT, Stage.UNDONE}),
        (Verdict.UNDELIVERED, {Stage.PLANNED, Stage.SENT, Stage.UNDONE}),
        (Verdict.WAITING, set()),
        (Verdict.OK, set()),
        (Verdict.FAILED, set()),
        (Verdict.CHANGED_BY_HAND, set()),
        (Verdict.UNCHANGED, set()),
    ],
)
def test_a_store_owes_what_was_not_delivered(verdict: Verdict, stages: set[Stage]) -> None:
    owing = {s for s in Stage if rollouts.change("store-001", verdict, stage=s).owes}

    assert owing == stages


def test_a_dark_store_that_was_ok_owes_nothing_until_it_is_set_back() -> None:
    dark = rollouts.change("store-001", Verdict.DARK, ok_at=NOW)

    assert not dark.owes
    assert replace(dark, stage=Stage.UNDONE).owes


def test_a_store_whose_image_is_gone_owes_the_release_although_it_was_ok() -> None:
    assert rollouts.change("store-001", Verdict.UNDELIVERED, ok_at=NOW).owes


def test_a_release_that_was_taken_back_is_owed_by_nobody() -> None:
    dark = rollouts.change("store-001", Verdict.DARK)

    forgiving = {phase for phase in Phase if not owed([dark], phase)}

    # Of a rebuilt rollout nobody knows which stores it was meant for.
    withdrawn = {Phase.ABORTED, Phase.ROLLING_BACK, Phase.ROLLED_BACK}
    assert forgiving == {*withdrawn, Phase.REBUILT}


@pytest.mark.parametrize(
    ("verdict", "stage", "named", "again"),
    [
        (Verdict.FAILED, Stage.SENT, False, True),
        (Verdict.UNDELIVERED, Stage.HELD, False, True),
        (Verdict.CHANGED_BY_HAND, Stage.HELD, False, False),
        (Verdict.CHANGED_BY_HAND, Stage.HELD, True, True),
        (Verdict.FAILED, Stage.UNDONE, False, False),
        (Verdict.FAILED, Stage.UNDONE, True, True),
        (Verdict.FAILED, Stage.UNDOING, True, False),
        (Verdict.FAILED, Stage.SKIPPED, True, False),
        (Verdict.DARK, Stage.SENT, True, False),
    ],
)
def test_only_a_named_store_is_sent_again_what_somebody_changed_or_set_back(
    verdict: Verdict, stage: Stage, *, named: bool, again: bool
) -> None:
    assert rollouts.change("store-001", verdict, stage=stage).may_retry(named=named) is again


@pytest.mark.parametrize(
    ("verdict", "stage", "stands"),
    [
        (Verdict.OK, Stage.SENT, "ok"),
        (Verdict.WAITING, Stage.SENT, "waiting"),
        (Verdict.WAITING, Stage.SENDING, "waiting"),
        (Verdict.WAITING, Stage.PLANNED, "to send"),
        (Verdict.PARKED, Stage.PLANNED, "parked"),
        (Verdict.FAILED, Stage.UNDONE, "rolled back"),
        (Verdict.FAILED, Stage.SKIPPED, "skipped"),
        (Verdict.OK, Stage.SKIPPED, "skipped"),
        (Verdict.UNCHANGED, Stage.SKIPPED, "unchanged"),
        (Verdict.DARK, Stage.UNDONE, "rolled back"),
        (Verdict.FAILED, Stage.UNDOING, "rolling back"),
        (Verdict.CHANGED_BY_HAND, Stage.HELD, "by hand"),
        (Verdict.UNDELIVERED, Stage.HELD, "undelivered"),
        (Verdict.DARK, Stage.SENT, "dark"),
    ],
)
def test_a_change_stands_by_its_verdict_unless_its_stage_says_more(
    verdict: Verdict, stage: Stage, stands: str
) -> None:
    assert rollouts.change("store-001", verdict, stage=stage).standing.value == stands


def test_what_was_to_be_sent_is_not_sent_once_the_rollout_has_ended() -> None:
    assert Standing.PLANNED.words(has_ended=False) == "to send"
    assert Standing.PLANNED.words(has_ended=True) == "not sent"
    assert all(s.words(has_ended=True) == s.value for s in Standing if s is not Standing.PLANNED)
