"""Which call a write comes to, by what the service was read to be."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.model.changes import Change, NextSend
from fleet.model.desired import Scheduling
from fleet.model.identity import TAG_ROLLOUT
from fleet.model.rollout import ActionKind, RolloutAction
from fleet.model.services import Deployment, ServiceState
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.call_results import (
    FIRST_LOOK_S,
    REFUSALS,
    REFUSED_WAIT_S,
    apply_results,
)
from fleet.rollout.decide.service_calls import (
    CallChoice,
    CallOutcome,
    CallResult,
    Create,
    Delete,
    ServiceWrite,
    Update,
    choose_call,
    service_write,
)
from fleet.rollout.decide.tick_state import TickState
from tests import rollouts
from tests.rollout.decide.tick_states import (
    NEW,
    OLD,
    OTHER,
    SERVICE,
    after,
    planned,
    rollout,
    seconds,
    sent,
    state,
)

SETTINGS = {"propagateTags": "SERVICE"}
SENT = "ro-118.0 count=1 propagate=SERVICE"
SENDING = planned(stage=Stage.SENDING)
UNDOING = sent(verdict=Verdict.FAILED, stage=Stage.UNDOING, reason="rollback by me")


def write(kind: ActionKind, row: Change, **fields: Any) -> ServiceWrite:
    action = RolloutAction(kind, row.store, row.service, "because")
    made = service_write(action, row, rollout(row).spec, fleet="emea", rollout="ro-118")
    return replace(made, **{"settings": SETTINGS, **fields})


def service(runs: str, **fields: Any) -> ServiceState:
    newest = Deployment("ecs-svc/1", "PRIMARY", runs, 1, 0, 1, 0, "COMPLETED", created_at=after(5))
    value = ServiceState(
        cluster="store-042",
        name=SERVICE,
        arn="arn:service",
        status="ACTIVE",
        scheduling="REPLICA",
        task_definition=runs,
        desired=1,
        running=1,
        pending=0,
        deployments=(newest,),
        settings=SETTINGS,
    )
    return replace(value, **fields)


def send(seen: ServiceState | None, row: Change | None = None, **fields: Any) -> CallChoice:
    row = row or planned(previous=OLD)
    return choose_call(write(ActionKind.SEND, row, **fields), seen, NEW)


def undo(seen: ServiceState | None, **fields: Any) -> CallChoice:
    row = sent(previous=OLD, target=NEW)
    return choose_call(write(ActionKind.UNDO, row, **fields), seen, NEW)


def test_a_service_that_runs_what_it_ran_before_is_updated() -> None:
    seen = service(OLD)
    assert send(seen) == CallChoice(Update(seen, NEW, OLD, sent=SENT), CallOutcome.DONE)


def test_a_service_that_is_not_there_is_made_where_there_was_none() -> None:
    assert send(None, previous="") == CallChoice(Create(SENT), CallOutcome.DONE)


def test_a_service_that_is_gone_is_made_only_where_a_person_said_so() -> None:
    assert send(None) == CallChoice(None, CallOutcome.GONE, "there is no such service any more")
    assert send(None, overwrite=True).call == Create(SENT)


def test_what_a_hand_set_is_left_alone_where_no_person_said_so() -> None:
    seen = service(OTHER)
    assert send(seen) == CallChoice(None, CallOutcome.BY_HAND, runs=OTHER)
    assert send(seen, overwrite=True).call == Update(seen, NEW, OTHER, sent=SENT)


def test_what_runs_already_is_not_sent() -> None:
    assert send(service(NEW)) == CallChoice(None, CallOutcome.ALREADY)


def test_what_this_job_sent_before_its_worker_was_lost_is_done_since_then() -> None:
    seen = service(NEW, tags={TAG_ROLLOUT: "ro-118"})
    assert send(seen) == CallChoice(None, CallOutcome.DONE, at=after(5))
    assert send(seen, target=NEW).outcome is CallOutcome.ALREADY


LAST = {"fleet:sent": "ro-7.0 count=2 propagate=off"}


def test_a_count_and_a_setting_that_fleet_sent_are_adjusted() -> None:
    seen = service(NEW, desired=2, settings={"propagateTags": "NONE"}, tags=LAST)
    both = "ro-118.0 count=1/2 propagate=SERVICE/off"
    assert send(seen).call == Update(seen, NEW, OLD, SETTINGS, count=1, sent=both)


@pytest.mark.parametrize(("desired", "outcome"), [(0, "by-hand"), (1, "done"), (2, "done")])
def test_a_count_that_was_set_since_the_plan_is_left_with_all_of_the_service(
    desired: int, outcome: str
) -> None:
    seen = service(OLD, desired=desired, tags=LAST)
    found = send(seen, count_before=2)
    assert found.outcome.value == outcome
    if outcome == "by-hand":
        assert found.call is None
        assert found.reason == "desired count 0, set by somebody; fleet sent 2 with ro-7"
        assert send(seen, overwrites_settings=True).outcome is CallOutcome.DONE


def test_a_setting_that_somebody_set_is_left_and_the_release_is_sent() -> None:
    seen = service(OLD, settings={"propagateTags": "TASK_DEFINITION"}, tags=LAST)
    found = send(seen, count_before=1)
    kept = "ro-118.0 count=1/2 propagate=off"
    assert found.call == Update(seen, NEW, OLD, sent=kept)
    assert found.reason == (
        "propagated tags TASK_DEFINITION, set by somebody; fleet sent off with ro-7: left alone"
    )
    asked = send(seen, overwrites_settings=True)
    assert asked.reason == ""
    assert isinstance(asked.call, Update)
    assert asked.call.settings == SETTINGS


@pytest.mark.parametrize(("desired", "outcome"), [(2, "by-hand"), (3, "done"), (4, "by-hand")])
def test_a_count_that_is_kept_is_never_sent(desired: int, outcome: str) -> None:
    row = planned(previous=OLD, desired_count=3, previous_count=3)
    found = send(service(OLD, desired=desired, tags=LAST), row, keeps_count=True)
    assert found.outcome.value == outcome
    if isinstance(found.call, Update):
        assert found.call.count is None


def test_what_was_set_back_beside_a_count_that_somebody_set_is_done() -> None:
    assert undo(service(OLD, desired=3, tags=LAST), count=1).outcome is CallOutcome.ALREADY


@pytest.mark.parametrize(("keeps_count", "sent"), [(True, "2"), (False, "3/2")])
def test_a_count_that_is_kept_is_not_taken_for_fleets(keeps_count: bool, sent: str) -> None:
    row = planned(previous=OLD, desired_count=3, previous_count=3)
    found = send(service(OLD, desired=3, tags=LAST), row, keeps_count=keeps_count)
    assert isinstance(found.call, Update)
    assert f" count={sent} " in found.call.sent


def test_a_run_that_was_cut_off_between_tag_and_call_is_no_hand() -> None:
    tags = {"fleet:sent": "ro-118.0 count=1/2 propagate=SERVICE/off"}
    seen = service(OLD, desired=2, settings={"propagateTags": "NONE"}, tags=tags)
    found = send(seen)
    assert found.outcome is CallOutcome.DONE
    assert isinstance(found.call, Update)
    assert (found.call.count, found.call.settings) == (1, SETTINGS)
    later = planned(previous=OLD, sends=1)
    assert send(seen, later).outcome is CallOutcome.BY_HAND


@pytest.mark.parametrize(("desired", "count"), [(0, None), (1, None), (2, 1), (3, None)])
def test_a_count_that_somebody_set_since_the_send_stays_when_it_is_set_back(
    desired: int, count: int | None
) -> None:
    seen = service(NEW, desired=desired, tags=LAST)
    call = undo(seen, count=1).call
    assert isinstance(call, Update)
    assert (call.task_definition, call.count) == (OLD, count)
    asked = undo(seen, count=1, overwrites_settings=True).call
    assert isinstance(asked, Update)
    assert asked.count == (None if desired == 1 else 1)


def test_what_is_set_back_keeps_what_fleet_sent_but_for_the_count() -> None:
    seen = service(NEW, desired=2, tags=LAST)
    found = undo(seen, count=1)
    assert found.call == Update(seen, OLD, OLD, count=1, sent="ro-118.1 count=1/2 propagate=off")
    untagged = replace(seen, tags={})
    row = sent(previous=OLD, target=NEW, desired_count=2, previous_count=1)
    made = write(ActionKind.UNDO, row)
    assert choose_call(made, untagged, NEW).call == Update(untagged, OLD, OLD, count=1)


def test_the_count_of_a_daemon_is_no_matter() -> None:
    row = planned(previous=OLD)
    daemon = replace(rollouts.shape(), scheduling=Scheduling.DAEMON)
    spec = replace(rollout(row).spec, shapes={SERVICE: daemon})
    action = RolloutAction(ActionKind.SEND, row.store, SERVICE, "because")
    made = service_write(action, row, spec, fleet="emea", rollout="ro-118")
    assert made.count is None
    seen = service(NEW, desired=9)
    assert choose_call(replace(made, settings=SETTINGS), seen, NEW).outcome is CallOutcome.ALREADY


def test_a_new_service_whose_first_deployment_failed_is_deleted() -> None:
    failed = replace(service(NEW).deployments[0], rollout_state="FAILED")
    seen = service(NEW, deployments=(failed,))
    why = "its first deployment failed, so it is made anew"
    assert send(seen, previous="") == CallChoice(Delete(), CallOutcome.REMOVED, why)
    assert send(seen).outcome is CallOutcome.ALREADY


def test_a_service_that_was_sent_it_goes_back() -> None:
    seen = service(NEW)
    assert undo(seen) == CallChoice(Update(seen, OLD, OLD), CallOutcome.DONE)


def test_a_service_that_is_back_already_is_left_alone() -> None:
    assert undo(service(OLD)) == CallChoice(None, CallOutcome.ALREADY)


def test_a_service_that_is_gone_or_was_changed_by_hand_is_not_set_back() -> None:
    assert undo(None).outcome is CallOutcome.GONE
    assert undo(service(OTHER)) == CallChoice(None, CallOutcome.BY_HAND, runs=OTHER)
    assert undo(service(OTHER), previous="").outcome is CallOutcome.BY_HAND


def test_a_service_that_the_rollout_made_is_deleted_again() -> None:
    why = "removed: there was no such service before"
    assert undo(service(NEW), previous="") == CallChoice(Delete(), CallOutcome.DONE, why)
    assert undo(None, previous="") == CallChoice(None, CallOutcome.ALREADY)


def test_a_write_names_its_intent_and_carries_what_a_person_said() -> None:
    made = write(ActionKind.SEND, planned(sends=2, next_send=NextSend(overwrite=True)))
    assert (made.token, made.overwrite) == ("ro-118/store-042/vision-arm64/2", True)
    assert made.tags == {
        "fleet:fleet": "emea",
        "fleet:store": "store-042",
        "fleet:workload": "vision",
        "fleet:rollout": "ro-118",
        "fleet:content": "c" * 64,
    }


def noted(
    row: Change, outcome: CallOutcome, words: str = "", runs: str = ""
) -> tuple[Change, TickState]:
    kind = ActionKind.UNDO if row.stage is Stage.UNDOING else ActionKind.SEND
    rows = state(row)
    apply_results(
        rows, [CallResult(kind, "store-042", SERVICE, outcome, after(59), NEW, words, runs)]
    )
    return rows.changes[0], rows


def test_what_was_accepted_is_sent_at_the_time_of_aws() -> None:
    row, rows = noted(SENDING, CallOutcome.DONE)
    assert (row.stage, row.verdict, row.target, row.sends) == (
        Stage.SENT,
        Verdict.WAITING,
        NEW,
        1,
    )
    assert row.sent_at == after(59)
    assert seconds(row.look_at) == 60 + FIRST_LOOK_S
    assert [e.text for e in rows.events] == [f"{SERVICE} sent"]


def test_what_is_sent_again_counts_and_says_so() -> None:
    row, rows = noted(planned(stage=Stage.SENDING, sends=1), CallOutcome.DONE)
    assert row.sends == 2
    assert [e.text for e in rows.events] == [f"{SERVICE} sent again"]


def test_a_store_that_runs_it_already_has_nothing_to_do() -> None:
    row, _ = noted(SENDING, CallOutcome.ALREADY)
    assert (row.stage, row.verdict, row.sends) == (Stage.SKIPPED, Verdict.UNCHANGED, 0)


def test_what_this_rollout_sent_before_and_still_runs_is_judged_anew() -> None:
    row, _ = noted(planned(stage=Stage.SENDING, sends=1), CallOutcome.ALREADY)
    assert (row.stage, row.verdict) == (Stage.SENT, Verdict.WAITING)


def test_a_lost_reply_leaves_the_row_for_the_next_look() -> None:
    row, rows = noted(SENDING, CallOutcome.LOST, "timed out")
    assert row == replace(SENDING, reason="no answer: timed out")
    assert [e.kind for e in rows.events] == ["problem"]


def test_a_call_without_an_outcome_leaves_the_row_for_the_next_look() -> None:
    rows = state(SENDING)
    apply_results(rows, [])
    assert rows.moved == ()


def test_a_service_that_was_deleted_to_be_made_anew_stays_in_doubt() -> None:
    row, rows = noted(SENDING, CallOutcome.REMOVED, "its first deployment failed")
    assert row == SENDING
    assert [e.text for e in rows.events] == [f"{SERVICE} was deleted: its first deployment failed"]


def test_a_refused_call_is_put_off() -> None:
    row, _ = noted(SENDING, CallOutcome.REFUSED, "ServerException")
    assert (row.stage, row.verdict) == (Stage.PLANNED, Verdict.WAITING)
    assert seconds(row.look_at) == 60 + REFUSED_WAIT_S
    assert row.reason == "AWS refused: ServerException"


def test_what_aws_refuses_again_and_again_is_held_for_a_person() -> None:
    row = SENDING
    for _ in range(REFUSALS - 1):
        row, _ = noted(row, CallOutcome.REFUSED, "no")
        assert row.stage is Stage.PLANNED
        row = planned(stage=Stage.SENDING, next_send=row.next_send)
    row, _ = noted(row, CallOutcome.REFUSED, "no")
    assert (row.stage, row.verdict) == (Stage.HELD, Verdict.UNDELIVERED)
    assert row.reason == f"AWS refused it {REFUSALS} times: no"


@pytest.mark.parametrize("row", [SENDING, UNDOING])
def test_what_a_hand_changed_is_left_alone(row: Change) -> None:
    moved, rows = noted(row, CallOutcome.BY_HAND, runs=OTHER)
    assert (moved.stage, moved.verdict) == (Stage.HELD, Verdict.CHANGED_BY_HAND)
    assert "it runs vision-arm64:14, which is neither the plan's nor ours" in moved.reason
    assert rows.events[0].data == {"verdict": "changed-by-hand"}


@pytest.mark.parametrize("row", [SENDING, UNDOING])
def test_a_service_that_is_gone_was_changed_by_hand(row: Change) -> None:
    moved, _ = noted(row, CallOutcome.GONE, "there is no such service any more")
    assert moved.verdict is Verdict.CHANGED_BY_HAND
    assert moved.reason == "changed by hand: there is no such service any more; left alone"


@pytest.mark.parametrize("outcome", [CallOutcome.DONE, CallOutcome.ALREADY])
def test_what_was_set_back_keeps_its_verdict_and_why(outcome: CallOutcome) -> None:
    row, _ = noted(UNDOING, outcome)
    assert (row.stage, row.verdict) == (Stage.UNDONE, Verdict.FAILED)
    assert row.reason == "back to vision-arm64:12: rollback by me"
    assert row.undo.settled is False


def test_a_service_that_the_rollout_made_is_removed_again() -> None:
    row, _ = noted(sent(stage=Stage.UNDOING, previous=""), CallOutcome.DONE)
    assert row.reason.startswith("removed again")


@pytest.mark.parametrize(
    ("outcome", "wait_s"), [(CallOutcome.REFUSED, REFUSED_WAIT_S), (CallOutcome.LOST, FIRST_LOOK_S)]
)
def test_what_could_not_be_set_back_is_tried_again_after_a_while(
    outcome: CallOutcome, wait_s: float
) -> None:
    row, rows = noted(UNDOING, outcome, "no")
    assert row.stage is Stage.UNDOING
    assert seconds(row.look_at) == 60 + wait_s
    assert [e.text for e in rows.events] == [f"{SERVICE} is not set back yet: no"]
