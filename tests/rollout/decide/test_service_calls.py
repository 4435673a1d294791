"""Which call a write comes to, by what the service was read to be."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.model.changes import Change, NextSend
from fleet.model.desired import Scheduling
from fleet.model.identity import TAG_ROLLOUT
from fleet.model.rollout import Action, ActionKind
from fleet.model.services import Deployment, ServiceState
from fleet.rollout.decide.service_calls import (
    Choice,
    Create,
    Delete,
    Outcome,
    ServiceWrite,
    Update,
    choose_call,
    service_write,
)
from tests import rollouts
from tests.rollout.decide.boards import NEW, OLD, OTHER, SERVICE, after, planned, rollout, sent

SETTINGS = {"enableExecuteCommand": False}


def write(kind: ActionKind, row: Change, **fields: Any) -> ServiceWrite:
    action = Action(kind, row.store, row.service, "because")
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


def send(seen: ServiceState | None, row: Change | None = None, **fields: Any) -> Choice:
    row = row or planned(previous=OLD)
    return choose_call(write(ActionKind.SEND, row, **fields), seen, NEW)


def undo(seen: ServiceState | None, **fields: Any) -> Choice:
    row = sent(previous=OLD, target=NEW)
    return choose_call(write(ActionKind.UNDO, row, **fields), seen, NEW)


def test_a_service_that_runs_what_it_ran_before_is_updated() -> None:
    seen = service(OLD)
    assert send(seen) == Choice(Update(seen, NEW, OLD, SETTINGS), Outcome.DONE)


def test_a_service_that_is_not_there_is_made_where_there_was_none() -> None:
    assert send(None, previous="") == Choice(Create(), Outcome.DONE)


def test_a_service_that_is_gone_is_made_only_where_a_person_said_so() -> None:
    assert send(None) == Choice(None, Outcome.GONE, "there is no such service any more")
    assert send(None, overwrite=True).call == Create()


def test_what_a_hand_set_is_left_alone_where_no_person_said_so() -> None:
    seen = service(OTHER)
    assert send(seen) == Choice(None, Outcome.BY_HAND, runs=OTHER)
    assert send(seen, overwrite=True).call == Update(seen, NEW, OTHER, SETTINGS)


def test_what_runs_already_is_not_sent() -> None:
    assert send(service(NEW)) == Choice(None, Outcome.ALREADY)


def test_what_this_job_sent_before_its_worker_was_lost_is_done_since_then() -> None:
    seen = service(NEW, tags={TAG_ROLLOUT: "ro-118"})
    assert send(seen) == Choice(None, Outcome.DONE, at=after(5))
    assert send(seen, target=NEW).outcome is Outcome.ALREADY


@pytest.mark.parametrize(
    "differs",
    [{"desired": 0}, {"settings": {"enableExecuteCommand": True}}],
    ids=["count", "setting"],
)
def test_another_count_or_setting_is_adjusted(differs: dict[str, Any]) -> None:
    seen = service(NEW, **differs)
    assert send(seen).call == Update(seen, NEW, OLD, SETTINGS)


def test_the_count_of_a_daemon_is_no_matter() -> None:
    row = planned(previous=OLD)
    daemon = replace(rollouts.shape(), scheduling=Scheduling.DAEMON)
    spec = replace(rollout(row).spec, shapes={SERVICE: daemon})
    action = Action(ActionKind.SEND, row.store, SERVICE, "because")
    made = service_write(action, row, spec, fleet="emea", rollout="ro-118")
    assert made.count is None
    seen = service(NEW, desired=9)
    assert choose_call(replace(made, settings=SETTINGS), seen, NEW).outcome is Outcome.ALREADY


def test_a_new_service_whose_first_deployment_failed_is_deleted() -> None:
    failed = replace(service(NEW).deployments[0], rollout_state="FAILED")
    seen = service(NEW, deployments=(failed,))
    why = "its first deployment failed, so it is made anew"
    assert send(seen, previous="") == Choice(Delete(), Outcome.REMOVED, why)
    assert send(seen).outcome is Outcome.ALREADY


def test_a_service_that_was_sent_it_goes_back() -> None:
    seen = service(NEW)
    assert undo(seen) == Choice(Update(seen, OLD, OLD), Outcome.DONE)


def test_a_service_that_is_back_already_is_left_alone() -> None:
    assert undo(service(OLD)) == Choice(None, Outcome.ALREADY)


def test_a_service_that_is_gone_or_was_changed_by_hand_is_not_set_back() -> None:
    assert undo(None).outcome is Outcome.GONE
    assert undo(service(OTHER)) == Choice(None, Outcome.BY_HAND, runs=OTHER)
    assert undo(service(OTHER), previous="").outcome is Outcome.BY_HAND


def test_a_service_that_the_rollout_made_is_deleted_again() -> None:
    why = "removed: there was no such service before"
    assert undo(service(NEW), previous="") == Choice(Delete(), Outcome.DONE, why)
    assert undo(None, previous="") == Choice(None, Outcome.ALREADY)


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
