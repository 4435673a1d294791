"""A release that a rollout has sent and that was halted, taken back or recalled."""

from dataclasses import replace

import pytest

from fleet.model.history import RejectedRelease
from fleet.model.rollout import Phase
from fleet.model.verdicts import Verdict
from fleet.records.records import Records
from tests import rollouts

CONTENT = "c" * 64


def sent(records: Records, phase: Phase, *, recalled: str = "", sends: int = 1) -> str:
    """A rollout of one store that failed there, and how it stands."""
    bad = rollouts.change("store-001", Verdict.FAILED, sends=sends)
    begun = records.rollouts.start(
        rollouts.spec(), [bad], (), caller=rollouts.CALLER, at=rollouts.BEGAN, run="run-1"
    )
    ended = rollouts.NOW if phase.has_ended else None
    moved = replace(begun, phase=phase, why="why", tick=1, finished_at=ended, recalled=recalled)
    lease = records.leases.take(f"rollout {begun.id}", "a test", 60.0)
    assert lease is not None
    records.rollouts.write_tick(lease, moved)
    records.leases.release(lease)
    return begun.id


@pytest.mark.parametrize(
    "phase", [Phase.HALTED, Phase.ABORTED, Phase.ROLLING_BACK, Phase.ROLLED_BACK]
)
def test_what_was_halted_or_taken_back_is_known_by_its_content(
    records: Records, phase: Phase
) -> None:
    id_ = sent(records, phase)

    assert records.rollouts.rejected([CONTENT]) == {
        CONTENT: RejectedRelease(id_, phase, "why", failed=1)
    }
    assert records.rollouts.rejected(["d" * 64]) == {}


def test_a_recalled_release_is_rejected_and_a_done_one_is_not(records: Records) -> None:
    sent(records, Phase.DONE)
    assert records.rollouts.rejected([CONTENT]) == {}

    id_ = sent(records, Phase.DONE, recalled="3 failures")

    assert records.rollouts.rejected([CONTENT])[CONTENT].rollout == id_


def test_what_was_sent_well_since_is_not_rejected(records: Records) -> None:
    sent(records, Phase.ABORTED)
    sent(records, Phase.DONE)

    assert records.rollouts.rejected([CONTENT]) == {}


def test_what_was_only_planned_was_not_rejected(records: Records) -> None:
    sent(records, Phase.ABORTED, sends=0)

    assert records.rollouts.rejected([CONTENT]) == {}


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (Phase.HALTED, "ro-2 has sent the same and is halted, 3 services failed: over budget"),
        (Phase.ABORTED, "ro-2 has sent the same and was aborted, 3 services failed: over budget"),
        (Phase.DONE, "ro-2 has sent the same and was recalled, 3 services failed: over budget"),
    ],
)
def test_it_is_said_which_rollout_and_what_became_of_it(phase: Phase, words: str) -> None:
    assert RejectedRelease("ro-2", phase, "over budget", 3).words == words
