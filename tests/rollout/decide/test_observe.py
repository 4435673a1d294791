"""What a tick makes of what it saw: cut-off calls, shops that park, return, and settle."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.model.changes import CONVOY, Change, NextSend, Undo
from fleet.model.rollout import Phase
from fleet.model.services import StoreView
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.observe import observe
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.watch import watch_schedule
from tests.rollout.decide.tick_states import (
    CONTENT,
    NEW,
    OLD,
    POLICY,
    after,
    away,
    parked,
    planned,
    seconds,
    sent,
    state,
    undone,
    view,
)

SENDING = planned(stage=Stage.SENDING)
STORE = "store-042"
TAGGED = {"fleet:rollout": "ro-118", "fleet:content": CONTENT}


def seen(row: Change, what: StoreView, **fields: Any) -> tuple[Change, TickState]:
    rows = state(row, **fields)
    observe(rows, {STORE: what})
    return rows.changes[0], rows


def running(rev: int, **service: Any) -> StoreView:
    return view(service={"rev": rev, **service})


def test_a_cut_off_call_that_set_only_the_tags_is_made_again() -> None:
    row, _ = seen(SENDING, running(12, tags=TAGGED))
    assert (row.stage, row.sends) == (Stage.PLANNED, 0)


def test_a_cut_off_call_that_went_out_was_sent() -> None:
    row, _ = seen(SENDING, running(13, tags=TAGGED, deployed=55))
    assert (row.stage, row.verdict, row.target, row.sends) == (
        Stage.SENT,
        Verdict.WAITING,
        NEW,
        1,
    )


def test_a_cut_off_call_went_out_when_ecs_began_its_deployment() -> None:
    row, _ = seen(SENDING, running(13, tags=TAGGED, deployed=55))
    assert row.sent_at == after(55)


def test_a_cut_off_call_whose_service_has_no_deployment_counts_from_the_look() -> None:
    what = running(13, tags=TAGGED)
    (service,) = what.services or ()
    row, _ = seen(SENDING, replace(what, services=(replace(service, deployments=()),)))
    assert row.sent_at == after(60)


def test_a_cut_off_call_to_a_service_without_tags_is_made_again() -> None:
    row, _ = seen(SENDING, running(13, tags={}))
    assert row.stage is Stage.PLANNED


def test_a_cut_off_call_to_a_service_that_is_gone_is_made_again() -> None:
    row, _ = seen(SENDING, view(service="absent"))
    assert row.stage is Stage.PLANNED


def test_a_cut_off_creation_that_went_out_was_sent() -> None:
    new = planned(stage=Stage.SENDING, previous="", previous_count=0)
    row, _ = seen(new, running(13, tags=TAGGED))
    assert row.stage is Stage.SENT


def test_a_cut_off_call_stays_in_doubt_while_the_store_cannot_be_read() -> None:
    row, _ = seen(SENDING, view(problem="no answer"))
    assert row.stage is Stage.SENDING
    assert seconds(row.look_at) == 60 + 15


def test_a_call_that_was_cut_off_counts_as_a_try() -> None:
    again = planned(stage=Stage.SENDING, sends=1)
    row, _ = seen(again, running(13, tags=TAGGED))
    assert row.sends == 2


def restored(before: str, **said: Any) -> Change:
    """A cut-off call to a service that runs what it ran before, in deployment ``ecs-svc/1``."""
    what = view(view="deep", service={"rev": 12, "tags": TAGGED}, tasks=[], **said)
    return seen(planned(stage=Stage.SENDING, next_send=NextSend(deployment_before=before)), what)[0]


def test_a_cut_off_call_that_ecs_has_taken_back_meanwhile_was_sent() -> None:
    undid = {"status": "ROLLBACK_SUCCESSFUL", "breaker": "TRIGGERED"}
    row = restored("ecs-svc/0", records=[{"rev": 12, "created": 40}, {"rev": 13, **undid}])
    assert (row.stage, row.target, row.sends) == (Stage.SENT, NEW, 1)
    assert row.verdict is Verdict.FAILED


def test_a_service_that_is_in_the_deployment_of_before_was_not_told() -> None:
    assert restored("ecs-svc/1", records=[{"rev": 13}]).stage is Stage.PLANNED


def test_a_service_of_which_ecs_knows_no_other_revision_was_not_told() -> None:
    assert restored("ecs-svc/0", records=[{"rev": 12}]).stage is Stage.PLANNED


def test_a_service_that_is_going_away_was_not_told() -> None:
    row, _ = seen(SENDING, running(13, tags=TAGGED, status="DRAINING"))
    assert row.stage is Stage.PLANNED


def test_what_a_store_ran_before_the_call_is_noted() -> None:
    row, _ = seen(planned(), view())
    assert row.next_send.deployment_before == "ecs-svc/1"


def dark(row: Change) -> Change:
    """A row whose host has been away for longer than any flap."""
    return replace(row, away_since=after(-900))


def test_a_store_that_is_dark_at_its_turn_is_parked_and_told_once() -> None:
    row, rows = seen(dark(planned()), away())
    assert row.verdict is Verdict.PARKED
    assert [e.data["verdict"] for e in rows.events] == ["parked"]
    again, quiet = seen(row, away(at=61), at=61)
    assert again.verdict is Verdict.PARKED
    assert quiet.events == []


def test_a_store_that_is_dark_before_its_turn_is_not_parked() -> None:
    row, _ = seen(dark(planned(wave=1)), away())
    assert row.verdict is Verdict.WAITING
    assert row.away_since is not None


def test_a_store_that_is_away_for_a_moment_is_asked_again_soon() -> None:
    row, _ = seen(planned(), away())
    assert row.verdict is Verdict.WAITING
    assert row.away_since == after(60)
    assert seconds(row.look_at) == 60 + 60


def test_a_store_that_was_away_for_a_moment_and_is_there_may_be_sent_to() -> None:
    row, _ = seen(planned(away_since=after(20), look_at=after(60)), view())
    assert (row.away_since, row.look_at, row.wave) == (None, None, 0)


def test_a_parked_store_that_is_back_joins_the_convoy() -> None:
    row, rows = seen(parked(), view())
    assert (row.verdict, row.wave, row.look_at) == (Verdict.WAITING, CONVOY, None)
    assert [e.text for e in rows.events] == ["is back and joins the convoy"]


def test_an_owed_store_of_a_later_wave_stays_parked_until_its_turn() -> None:
    row, _ = seen(parked(wave=1), view())
    assert (row.verdict, row.wave) == (Verdict.PARKED, 1)


def test_a_row_that_waits_keeps_the_words_of_its_plan() -> None:
    row, _ = seen(planned(reason="1.8.3 -> 1.9.0"), view())
    assert row.reason == "1.8.3 -> 1.9.0"


def test_a_store_that_could_not_be_read_stays_parked() -> None:
    row, _ = seen(parked(), view(problem="no answer"))
    assert row.verdict is Verdict.PARKED


def test_a_new_verdict_is_told_with_how_many_are_in() -> None:
    rows = state(dark(sent()), sent("store-001", Verdict.OK), sent("store-002"))
    observe(rows, {STORE: away(service={"rev": 13})})
    (event,) = rows.events
    assert event.data["verdict"] == "dark"
    assert (event.data["done"], event.data["of"]) == (2, 3)


def test_a_failure_after_it_was_good_is_told_as_late() -> None:
    good = sent(verdict=Verdict.OK)
    restored = view(
        view="deep",
        service={"rev": 12, "deployed": 50, "tags": TAGGED},
        tasks=[],
        records=[{"status": "ROLLBACK_SUCCESSFUL", "breaker": "TRIGGERED", "why": "crashed"}],
    )
    row, rows = seen(good, restored)
    assert row.verdict is Verdict.FAILED
    assert rows.events[0].data["late"] is True


def test_the_same_verdict_is_not_told_again() -> None:
    _, rows = seen(dark(sent(verdict=Verdict.DARK)), away())
    assert rows.events == []


def test_what_needs_tasks_to_be_concluded_is_asked_for_and_left_as_it_is() -> None:
    rows = state(sent())
    what = view(at=300, service={"rev": 13, "deployed": 0, "state": "COMPLETED"})
    assert observe(rows, {STORE: what}) == (STORE,)
    assert rows.moved == ()


def test_a_store_that_was_read_with_tasks_is_not_asked_for_again() -> None:
    rows = state(sent(), at=300)
    what = view(at=300, view="deep", service={"rev": 13, "state": "COMPLETED"})
    assert observe(rows, {STORE: what}) == ()
    assert rows.changes[0].verdict is Verdict.OK


def test_what_was_skipped_or_held_is_not_judged() -> None:
    rows = state(
        sent(stage=Stage.SKIPPED),
        sent(service="telemetry-arm64", stage=Stage.HELD),
    )
    observe(rows, {STORE: away()})
    assert rows.moved == ()


def test_a_store_that_runs_what_it_ran_before_has_settled() -> None:
    row, _ = seen(undone(verdict=Verdict.FAILED), running(12))
    assert row.undo.settled is True
    assert seconds(row.look_at) == 60 + 120


def test_a_store_whose_deployment_goes_on_has_not_settled() -> None:
    row, _ = seen(undone(verdict=Verdict.FAILED), running(12, state="IN_PROGRESS"))
    assert row.undo.settled is False
    assert seconds(row.look_at) == 60 + 30


def test_a_service_that_was_removed_again_has_settled_when_it_is_gone() -> None:
    made = undone(verdict=Verdict.FAILED, previous="")
    assert seen(made, view(service="absent"))[0].undo.settled is True
    assert seen(made, running(13, status="INACTIVE"))[0].undo.settled is True
    assert seen(made, running(13, status="DRAINING"))[0].undo.settled is False


def test_a_service_that_has_vanished_has_not_settled() -> None:
    row, _ = seen(undone(verdict=Verdict.FAILED, previous=OLD), view(service="absent"))
    assert row.undo.settled is False


def test_nobody_waits_for_a_dark_store_to_settle() -> None:
    row, _ = seen(undone(), away(service={"rev": 12, "state": "IN_PROGRESS"}))
    assert row.undo.settled is True


def test_a_store_that_could_not_be_read_is_asked_again() -> None:
    row, _ = seen(undone(undo=Undo(settled=False)), view(problem="no answer"))
    assert row.undo.settled is False
    assert seconds(row.look_at) == 60 + 30


def test_a_dark_store_that_was_set_back_and_returns_joins_the_convoy() -> None:
    row, rows = seen(undone(), view())
    assert (row.stage, row.verdict, row.wave) == (Stage.PLANNED, Verdict.WAITING, CONVOY)
    assert row.look_at is None
    assert [e.text for e in rows.events] == ["is back and joins the convoy"]


def test_it_joins_no_convoy_while_the_rollout_does_not_run() -> None:
    row, _ = seen(undone(), view(), phase=Phase.HALTED)
    assert (row.stage, row.verdict) == (Stage.UNDONE, Verdict.DARK)


def test_a_failed_store_that_was_set_back_joins_no_convoy() -> None:
    row, _ = seen(undone(verdict=Verdict.FAILED), view())
    assert row.stage is Stage.UNDONE


def test_a_store_whose_hosts_were_not_read_is_not_taken_for_back() -> None:
    row, _ = seen(undone(), view(view="services"))
    assert row.stage is Stage.UNDONE


def test_a_view_of_a_store_without_changes_moves_nothing() -> None:
    rows = state(sent())
    assert observe(rows, {"store-999": view("store-999")}) == ()
    assert rows.moved == ()


# stores that cannot be read at their turn, and those that come back when their wave has passed

UNREAD = view(problem="no answer")


def test_a_store_that_cannot_be_read_at_its_turn_leaves_its_place_for_a_while() -> None:
    row, rows = seen(planned(), UNREAD)
    assert seconds(row.look_at) == 60 + 60
    assert row.reason.startswith("its turn is put off: not read: no answer")
    assert [e.kind for e in rows.events] == ["problem"]


def test_it_is_said_once_of_a_store_that_it_cannot_be_read() -> None:
    first, _ = seen(planned(), UNREAD)
    _, rows = seen(first, UNREAD)
    assert rows.events == []


def test_a_store_that_can_be_read_again_says_nothing_old() -> None:
    first, _ = seen(planned(), UNREAD)
    assert first.next_send.postponed
    row, _ = seen(first, view())
    assert (row.reason, row.look_at) == ("can be read again", None)
    assert not row.next_send.postponed


def test_a_store_that_is_parked_when_it_can_be_read_again_is_not_put_off_any_more() -> None:
    first, _ = seen(dark(planned()), UNREAD)
    row, _ = seen(first, away())
    assert (row.verdict, row.next_send.postponed) == (Verdict.PARKED, False)


@pytest.mark.parametrize(("problem", "moved"), [("", False), ("no answer", True)])
def test_a_store_that_was_read_for_its_hosts_alone_is_left_as_it_is(
    problem: str, *, moved: bool
) -> None:
    row, rows = seen(planned(), replace(view(), services=None, problem=problem))
    assert bool(rows.moved) is moved
    assert row.next_send.postponed is moved


@pytest.mark.parametrize("wave", [0, 1])
def test_a_good_store_whose_wave_has_passed_is_looked_at_in_its_slot(wave: int) -> None:
    good = sent(verdict=Verdict.OK, ok_at=after(130))
    here = view(at=300, view="deep", service={"rev": 13})
    row, rows = seen(good, here, at=300, wave=wave)
    slot = watch_schedule(rows).next_look(STORE, rows.now)
    assert (row.verdict, row.look_at) == (Verdict.OK, slot if wave else after(300 + 120))
    gone, _ = seen(good, away(at=300, service={"rev": 13}), at=300, wave=wave)
    assert (gone.verdict, gone.look_at) == (Verdict.OK, after(300 + 60))


@pytest.mark.parametrize(("wave", "late"), [(0, False), (1, True)])
def test_trouble_of_a_good_store_is_late_once_its_wave_has_passed(wave: int, *, late: bool) -> None:
    good = sent(verdict=Verdict.OK, ok_at=after(130))
    begins_anew = view(view="deep", service={"rev": 13}, tasks=[{"started": 50}])
    row, _ = seen(good, begins_anew, wave=wave)
    assert (row.verdict, row.is_late) == (Verdict.WAITING, late)
    again, _ = seen(row, begins_anew, wave=wave)
    assert again.is_late is late
    here = view(at=300, view="deep", service={"rev": 13})
    assert seen(row, here, at=300, wave=wave)[0].is_late is False


def test_a_dark_store_that_is_back_when_its_wave_has_passed_is_judged_with_the_convoy() -> None:
    starts = running(13, running=0, state="IN_PROGRESS")
    row, _ = seen(sent(verdict=Verdict.DARK, away_since=after(-900)), starts, wave=1)
    assert (row.verdict, row.wave) == (Verdict.WAITING, CONVOY)


def test_a_dark_store_that_is_back_in_its_own_wave_stays_in_it() -> None:
    starts = running(13, running=0, state="IN_PROGRESS")
    row, _ = seen(sent(verdict=Verdict.DARK, away_since=after(-900)), starts)
    assert (row.verdict, row.wave) == (Verdict.WAITING, 0)


def test_a_store_that_was_good_before_it_went_dark_needs_no_second_judgement() -> None:
    row, _ = seen(
        sent(verdict=Verdict.DARK, away_since=after(-900), ok_at=after(30)),
        running(13, running=0, state="IN_PROGRESS"),
        wave=1,
    )
    assert (row.verdict, row.wave) == (Verdict.WAITING, 0)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (
            {"state": "FAILED"},
            "set back, but what ran before fails too: ECS gave its deployment up",
        ),
        (
            {"state": "IN_PROGRESS", "deployed": -1800},
            "set back, but what ran before has not come up in 30m",
        ),
    ],
)
def test_no_rollback_waits_for_ever_for_what_ran_before(what: dict[str, Any], said: str) -> None:
    back = undone(verdict=Verdict.FAILED, undo=Undo(settled=False), previous=OLD)
    row, rows = seen(back, running(12, **what), phase=Phase.ROLLING_BACK)
    assert (row.undo.settled, row.reason) == (True, said)
    assert [event.text for event in rows.events] == [said]


#: Seconds that a rollback waits for a store.
ALL_TIME = POLICY.deadline_s + POLICY.patience_s


@pytest.mark.parametrize(("at", "over"), [(-1, False), (0, True), (1, True)])
@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"problem": "no answer"}, "set back, but it could not be read since: no answer"),
        ({"service": {"rev": 13}}, "set back, but its service runs vision-arm64:13"),
        ({"service": "absent"}, "set back, but its service is gone"),
    ],
)
def test_a_rollback_gives_a_store_up_when_all_its_time_is_over(
    what: dict[str, Any], why: str, at: float, *, over: bool
) -> None:
    back = undone(
        verdict=Verdict.FAILED,
        reason="set back",
        previous=OLD,
        undo=Undo(settled=False, since=after(0)),
    )
    now = ALL_TIME + at
    row, _ = seen(back, view(at=now, **what), at=now, phase=Phase.ROLLING_BACK)
    assert (row.undo.settled, row.reason) == (over, why if over else "set back")
    never = replace(back, undo=Undo(settled=False))
    assert seen(never, view(at=now, **what), at=now)[0].undo.settled is False


def test_a_store_that_is_being_set_back_is_waited_for() -> None:
    back = undone(verdict=Verdict.FAILED, undo=Undo(settled=False), previous=OLD)
    starts = running(12, state="IN_PROGRESS", deployed=0)
    row, _ = seen(back, starts, phase=Phase.ROLLING_BACK)
    assert row.undo.settled is False
