"""What a rollout makes of each word in each phase, and that saying it twice changes nothing."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.model.changes import CONVOY, Change
from fleet.model.printable import who
from fleet.model.rollout import Phase, VerbName
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.store_choice import choose_stores
from fleet.rollout.decide.tick import settle
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.verbs import obey
from tests.rollout.decide.tick_states import (
    SERVICE,
    after,
    parked,
    planned,
    said,
    seconds,
    sent,
    state,
    undone,
)

ENDED = frozenset(phase for phase in Phase if phase.has_ended)
#: What becomes of the phase; those that are not named stay as they are.
LEADS_TO: dict[VerbName, dict[Phase, Phase]] = {
    VerbName.PAUSE: dict.fromkeys((Phase.RUNNING, Phase.AWAITING), Phase.PAUSED),
    VerbName.RESUME: dict.fromkeys((Phase.PAUSED, Phase.HALTED, Phase.DONE), Phase.RUNNING),
    VerbName.PROMOTE: {Phase.AWAITING: Phase.RUNNING},
    VerbName.RETRY: dict.fromkeys(
        (Phase.PAUSED, Phase.HALTED, Phase.AWAITING, Phase.DONE), Phase.RUNNING
    ),
    VerbName.SKIP: {},
    VerbName.ABORT: {phase: Phase.ABORTED for phase in Phase if phase not in ENDED},
    VerbName.ROLLBACK: {p: Phase.ROLLING_BACK for p in Phase if p is not Phase.ROLLED_BACK},
}


def mixed(phase: Phase, **fields: Any) -> TickState:
    """A store of every kind: good, failed, parked, and one whose turn has not come."""
    ended = {"finished_at": after(30)} if phase in ENDED else {}
    return state(
        sent("store-001", Verdict.OK),
        sent("store-002", Verdict.FAILED),
        parked("store-003"),
        planned("store-004", wave=1),
        phase=phase,
        **{**ended, **fields},
    )


def tell(rows: TickState, name: VerbName, *stores: str, why: str = "") -> str:
    return obey(rows, [said(name, *stores, why=why)])[1]


@pytest.mark.parametrize("name", VerbName)
def test_a_word_leads_from_each_phase_to_the_one_it_is_meant_for(name: VerbName) -> None:
    after_it = {}
    for phase in Phase:
        rows = mixed(phase)
        tell(rows, name)
        after_it[phase] = rows.rollout.phase
    assert after_it == {phase: LEADS_TO[name].get(phase, phase) for phase in Phase}


@pytest.mark.parametrize("name", VerbName)
@pytest.mark.parametrize("stores", [(), ("store-002",)])
def test_saying_it_twice_is_the_same_as_once(name: VerbName, stores: tuple[str, ...]) -> None:
    for phase in Phase:
        rows = mixed(phase)
        tell(rows, name, *stores)
        once = rows.rollout, rows.changes
        tell(rows, name, *stores)
        assert (rows.rollout, rows.changes) == once, phase


@pytest.mark.parametrize("name", VerbName)
def test_every_word_is_answered_and_told_with_who_said_it(name: VerbName) -> None:
    for phase in Phase:
        rows = mixed(phase)
        answer = tell(rows, name)
        assert answer, phase
        assert rows.events[-1].kind == "verb"
        assert rows.events[-1].text == f"{name.value} by fleet-operator/on-call: {answer}"


@pytest.mark.parametrize("name", [n for n in VerbName if n is not VerbName.RETRY])
def test_a_rollout_that_was_rolled_back_is_moved_by_nothing(name: VerbName) -> None:
    rows = mixed(Phase.ROLLED_BACK)
    before = rows.rollout
    tell(rows, name, "store-001")
    assert rows.rollout == before
    assert rows.moved == ()


def test_words_are_obeyed_in_the_order_they_were_said() -> None:
    rows = mixed(Phase.RUNNING)
    answers = obey(rows, [said(VerbName.PAUSE, number=7), said(VerbName.RESUME, number=8)])
    assert list(answers) == [7, 8]
    assert rows.rollout.phase is Phase.RUNNING


def test_the_reason_of_a_phase_names_the_person_and_their_words() -> None:
    rows = mixed(Phase.RUNNING)
    tell(rows, VerbName.PAUSE, why="queues at the tills")
    assert rows.rollout.why == "paused by fleet-operator/on-call (queues at the tills)"


def test_a_name_without_a_path_is_told_whole() -> None:
    assert who("arn:aws:iam::111122223333:root") == "arn:aws:iam::111122223333:root"


def test_pausing_says_what_a_rollout_waits_for_already() -> None:
    assert tell(mixed(Phase.HALTED), VerbName.PAUSE) == "it is halted already"
    assert tell(mixed(Phase.ROLLING_BACK), VerbName.PAUSE) == "nothing to pause: it is rolling-back"


def test_resuming_a_halted_rollout_accepts_the_failures_of_its_wave() -> None:
    rows = mixed(Phase.HALTED)
    assert tell(rows, VerbName.RESUME) == "resumed, 1 failure accepted"
    assert rows.rollout.accepted == {"arm64": 1}


def test_resuming_a_paused_rollout_accepts_no_failures() -> None:
    rows = mixed(Phase.PAUSED)
    assert tell(rows, VerbName.RESUME) == "resumed"
    assert rows.rollout.accepted == {}


def test_a_failure_of_another_wave_is_not_accepted() -> None:
    rows = state(
        sent("store-001", Verdict.FAILED), planned("store-002", wave=1), phase=Phase.HALTED, wave=1
    )
    tell(rows, VerbName.RESUME)
    assert rows.rollout.accepted == {}


def test_patience_begins_anew_when_a_person_answers() -> None:
    rows = mixed(Phase.PAUSED)
    tell(rows, VerbName.RESUME)
    assert seconds(rows.rollout.wave_at) == 60


def test_a_dark_store_that_was_set_back_for_a_halt_joins_the_convoy_when_it_is_resumed() -> None:
    rows = state(undone("store-001"), phase=Phase.HALTED)
    tell(rows, VerbName.RESUME)
    assert rows.changes[0].wave == CONVOY


def test_resume_does_not_go_beyond_the_canary() -> None:
    answer = tell(mixed(Phase.AWAITING), VerbName.RESUME)
    assert answer == "it is awaiting-promote already; say promote to go beyond the canary"


def test_a_done_rollout_without_debts_stays_done() -> None:
    rows = state(sent(verdict=Verdict.OK), phase=Phase.DONE, finished_at=after(30))
    assert tell(rows, VerbName.RESUME) == "it is done and nothing is owed"
    assert rows.rollout.finished_at == after(30)


def test_a_done_rollout_waits_for_its_owed_stores_for_as_long_as_its_patience() -> None:
    rows = mixed(Phase.DONE)
    answer = tell(rows, VerbName.RESUME)
    assert answer == "1 owed store is sent the release when it is back, until 03:01Z"
    assert rows.rollout.finished_at is None
    assert seconds(rows.rollout.owed_until) == 60 + 3600


def test_owed_stores_are_asked_at_once_when_a_done_rollout_is_resumed() -> None:
    rows = state(parked(look_at=after(900)), phase=Phase.DONE, wave=2, finished_at=after(30))
    tell(rows, VerbName.RESUME)
    assert rows.changes[0].look_at is None


def undelivered() -> TickState:
    row = sent(verdict=Verdict.UNDELIVERED, since=after(-900), pulls_failed=4)
    return state(row, phase=Phase.DONE, wave=2, finished_at=after(30))


def test_resume_gives_a_store_that_could_not_pull_its_tries_anew() -> None:
    rows = undelivered()
    tell(rows, VerbName.RESUME)
    (row,) = rows.changes
    assert (row.stage, row.verdict, row.wave) == (Stage.PLANNED, Verdict.WAITING, CONVOY)
    assert row.pulls_failed == 0


def test_resume_for_other_stores_that_are_back_gives_it_none() -> None:
    rows = undelivered()
    tell(rows, VerbName.RESUME, "store-001")
    assert (rows.changes[0].stage, rows.changes[0].pulls_failed) == (Stage.SENT, 4)


def test_promote_before_the_canary_has_passed_is_remembered() -> None:
    rows = mixed(Phase.RUNNING)
    answer = tell(rows, VerbName.PROMOTE)
    assert answer == "it will go on when the canary has passed; now it is running"
    assert rows.rollout.promoted


def test_promote_means_nothing_to_a_rollout_without_a_canary() -> None:
    rows = mixed(Phase.RUNNING, canary=False)
    assert tell(rows, VerbName.PROMOTE) == "nothing waits for it"
    assert not rows.rollout.promoted


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.UNDELIVERED])
def test_retry_sends_again_what_did_not_arrive_or_failed(verdict: Verdict) -> None:
    rows = state(sent(verdict=verdict, pulls_failed=4, look_at=after(999)))
    assert tell(rows, VerbName.RETRY) == "1 store is sent the release again"
    (row,) = rows.changes
    assert (row.stage, row.verdict) == (Stage.PLANNED, Verdict.WAITING)
    assert (row.pulls_failed, row.look_at, row.sends) == (0, None, 1)


def test_retry_leaves_good_stores_alone() -> None:
    rows = mixed(Phase.RUNNING)
    tell(rows, VerbName.RETRY)
    assert [c.store for c in rows.moved] == ["store-002"]


def test_retry_of_stores_that_are_well_says_so_and_moves_nothing() -> None:
    rows = mixed(Phase.PAUSED)
    assert tell(rows, VerbName.RETRY, "store-001") == "none of these stores has failed"
    assert rows.rollout.phase is Phase.PAUSED


def test_what_a_hand_changed_is_overwritten_only_when_the_store_is_named() -> None:
    held = sent(verdict=Verdict.CHANGED_BY_HAND, stage=Stage.HELD)
    rows = state(held)
    assert tell(rows, VerbName.RETRY) == "no store has failed"
    tell(rows, VerbName.RETRY, "store-042")
    assert rows.changes[0].stage is Stage.PLANNED
    assert rows.changes[0].next_send.overwrite is True


def test_retry_of_a_failure_is_no_leave_to_overwrite_what_a_hand_does_meanwhile() -> None:
    rows = state(sent(verdict=Verdict.FAILED))
    tell(rows, VerbName.RETRY, "store-042")
    assert rows.changes[0].next_send.overwrite is False


def test_a_store_of_an_earlier_wave_is_tried_again_with_the_convoy() -> None:
    rows = mixed(Phase.RUNNING, wave=1)
    tell(rows, VerbName.RETRY)
    assert rows.change("store-002", "vision-arm64").wave == CONVOY


def test_a_wave_in_which_something_is_tried_again_bakes_anew() -> None:
    rows = mixed(Phase.RUNNING, baking_since=after(40))
    tell(rows, VerbName.RETRY)
    assert rows.rollout.baking_since is None


def test_retry_takes_a_finished_rollout_up_again() -> None:
    rows = mixed(Phase.DONE)
    tell(rows, VerbName.RETRY)
    assert rows.rollout.finished_at is None


def test_a_skipped_store_is_not_tried_again() -> None:
    rows = state(sent(verdict=Verdict.FAILED, stage=Stage.SKIPPED))
    assert tell(rows, VerbName.RETRY, "store-042") == "none of these stores has failed"


def test_skip_needs_stores() -> None:
    rows = mixed(Phase.RUNNING)
    assert tell(rows, VerbName.SKIP) == "name the stores to skip"
    assert rows.moved == ()


@pytest.mark.parametrize(
    ("row", "words"), [(sent(), "what was sent stays"), (planned(), "nothing was sent")]
)
def test_skip_says_what_becomes_of_the_store(row: Any, words: str) -> None:
    rows = state(row)
    assert tell(rows, VerbName.SKIP, "store-042") == "1 store is left out"
    assert rows.changes[0].stage is Stage.SKIPPED
    assert words in rows.changes[0].reason


def test_a_store_that_is_not_in_the_rollout_cannot_be_skipped() -> None:
    rows = mixed(Phase.RUNNING)
    assert tell(rows, VerbName.SKIP, "store-999") == "none of these stores is in it"


def test_abort_leaves_what_was_sent() -> None:
    rows = mixed(Phase.RUNNING)
    tell(rows, VerbName.ABORT)
    assert rows.moved == ()


def test_rollback_sets_back_what_was_sent_and_nothing_else() -> None:
    rows = mixed(Phase.RUNNING)
    assert tell(rows, VerbName.ROLLBACK) == "2 stores go back to what each ran before"
    assert [(c.store, c.stage) for c in rows.moved] == [
        ("store-001", Stage.UNDOING),
        ("store-002", Stage.UNDOING),
    ]


def test_rollback_of_one_store_leaves_the_rollout_running() -> None:
    rows = mixed(Phase.RUNNING)
    tell(rows, VerbName.ROLLBACK, "store-001")
    assert [c.store for c in rows.moved] == ["store-001"]
    assert rows.rollout.phase is Phase.RUNNING


def test_rollback_of_one_store_of_a_finished_rollout_takes_it_up_until_that_is_done() -> None:
    rows = mixed(Phase.DONE)
    tell(rows, VerbName.ROLLBACK, "store-001")
    assert (rows.rollout.phase, rows.rollout.finished_at) == (Phase.DONE, None)


def test_a_skipped_store_that_was_sent_goes_back_too() -> None:
    rows = state(sent(verdict=Verdict.OK, stage=Stage.SKIPPED))
    tell(rows, VerbName.ROLLBACK)
    assert rows.changes[0].stage is Stage.UNDOING


def test_what_a_hand_changed_is_not_rolled_back() -> None:
    rows = state(sent(verdict=Verdict.CHANGED_BY_HAND, stage=Stage.HELD))
    assert tell(rows, VerbName.ROLLBACK) == "nothing was sent"
    assert rows.changes[0].stage is Stage.HELD


def test_what_was_set_back_already_is_not_set_back_again() -> None:
    rows = state(undone())
    assert tell(rows, VerbName.ROLLBACK) == "nothing was sent"
    assert rows.changes[0].stage is Stage.UNDONE


# what a person has accepted is of some stores, and is no room for others


def after_resume(*rows: Change, again: str = "") -> TickState:
    """A halted rollout that goes on with its failures, of which one may be tried again."""
    halted = state(*rows, *good_to_come(), phase=Phase.HALTED)
    tell(halted, VerbName.RESUME)
    if again:
        tell(halted, VerbName.RETRY, *again.split())
    for change in halted.changes:
        if "store-101" <= change.store <= "store-105":
            halted.move(change, verdict=Verdict.FAILED, since=after(55))
    settle(halted, choose_stores(halted), frozenset())
    return halted


def good_to_come() -> list[Change]:
    return [sent(f"store-{number}", look_at=after(900)) for number in range(101, 120)]


def bad(*numbers: int, **fields: Any) -> list[Change]:
    return [sent(f"store-00{n}", Verdict.FAILED, since=after(10), **fields) for n in numbers]


def test_accepted_failures_of_the_convoy_are_no_room_for_the_wave() -> None:
    assert after_resume(*bad(1, 2, 3, 4, 5, wave=CONVOY)).rollout.phase is Phase.HALTED


def test_accepted_failures_that_are_tried_again_are_no_room_for_others() -> None:
    rows = after_resume(*bad(1, 2, 3, 4, 5), again=" ".join(f"store-00{n}" for n in range(1, 6)))
    assert rows.rollout.phase is Phase.HALTED


def test_accepted_failures_stay_accepted_for_as_long_as_they_stand() -> None:
    rows = state(*bad(1, 2, 3, 4, 5, wave=CONVOY), *good_to_come(), phase=Phase.HALTED)
    tell(rows, VerbName.RESUME)
    rows.rollout = replace(rows.rollout, accepted={})
    settle(rows, choose_stores(rows), frozenset())
    assert rows.rollout.phase is Phase.RUNNING


@pytest.mark.parametrize("phase", [Phase.HALTED, Phase.PAUSED])
def test_a_named_retry_sends_to_that_store_only_and_the_rollout_stays_as_it_is(
    phase: Phase,
) -> None:
    rows = state(
        sent("store-001", Verdict.FAILED),
        sent("store-002", Verdict.FAILED),
        planned("store-003"),
        planned("store-004", wave=1),
        phase=phase,
    )

    answer = tell(rows, VerbName.RETRY, "store-001")
    done = settle(rows, choose_stores(rows), frozenset({"store-001", "store-003"}))

    assert answer == f"1 store is sent the release again; the rollout stays {phase.value}"
    assert [action.store for action in done.actions] == ["store-001"]
    assert rows.rollout.phase is phase
    assert not rows.change("store-002", SERVICE).failure_accepted


def test_a_pause_takes_back_a_retry_of_a_halted_rollout_that_was_not_sent_yet() -> None:
    rows = state(sent("store-001", Verdict.FAILED), phase=Phase.HALTED)
    tell(rows, VerbName.RETRY, "store-001")

    tell(rows, VerbName.PAUSE)

    assert rows.change("store-001", SERVICE).stage is Stage.SENT
    assert rows.change("store-001", SERVICE).verdict is Verdict.FAILED
    assert choose_stores(rows).to_send == ()


@pytest.mark.parametrize("retries", [1, 2])
def test_a_retry_that_is_called_off_leaves_the_store_as_its_last_try_ended(retries: int) -> None:
    last = sent("store-002", Verdict.UNDELIVERED, pulls_failed=4, reason="no space left")
    rows = state(sent("store-001", Verdict.OK), last, phase=Phase.PAUSED)

    for _ in range(retries):
        tell(rows, VerbName.RETRY, "store-002")
    tell(rows, VerbName.PAUSE)

    now = rows.change("store-002", SERVICE)
    assert (now.stage, now.verdict, now.reason) == (last.stage, last.verdict, last.reason)
    assert now.pulls_failed == 4
