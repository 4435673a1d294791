"""What a tick looks at, in which order and how much at most, and whose turn it is."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.model.changes import CONVOY, Change, Undo
from fleet.model.darkness import DarknessTest
from fleet.model.policy import Amount, Window
from fleet.model.rollout import Phase
from fleet.model.services import Deployment, ServiceState, StoreView, TaskState
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.store_choice import (
    LOOKS_OF_A_SEND,
    LOOKS_PER_TICK,
    SENDS_PER_TICK,
    StoreChoice,
    choose_stores,
    flight_room,
    is_quiet,
    is_watched,
    needs_s,
    waiting_for_windows,
)
from tests.rollout.decide import verdicts
from tests.rollout.decide.tick_states import (
    NEW,
    POLICY,
    SERVICE,
    after,
    opening,
    parked,
    place,
    planned,
    seconds,
    sent,
    state,
    undone,
)

ALL_AT_ONCE = replace(POLICY, concurrency=Amount(count=9999), convoy=9999)
AT_NIGHT = replace(ALL_AT_ONCE, window=Window.CLOSED)


def shops(number: int, wave: int = 0) -> list[Change]:
    return [planned(f"store-{n:04}", wave) for n in range(number)]


def looked_at(choice: StoreChoice) -> list[str]:
    return [look.store for look in choice.reads]


def choice_of(*rows: Change, **fields: Any) -> StoreChoice:
    return choose_stores(state(*rows, **{"policy": ALL_AT_ONCE, **fields}))


def test_stores_come_in_the_order_of_their_wave() -> None:
    assert choice_of(planned("store-002"), planned("store-001")).to_send == (
        "store-002",
        "store-001",
    )


def test_a_later_wave_has_to_wait() -> None:
    assert choice_of(planned("store-001"), planned("store-002", wave=1)).to_send == ("store-001",)


def test_whoever_is_sent_the_release_is_looked_at_first() -> None:
    choice = choice_of(sent("store-001", look_at=after(0)), planned("store-002"))
    assert looked_at(choice) == ["store-002", "store-001"]


def test_a_store_is_looked_at_once_with_all_its_services() -> None:
    (look,) = choice_of(sent(), sent(service="telemetry-arm64")).reads
    assert look.services == ("telemetry-arm64", SERVICE)
    assert not look.tasks


def test_the_longest_overdue_look_comes_first() -> None:
    rows = [sent("store-001", look_at=after(50)), sent("store-002", look_at=after(10))]
    assert looked_at(choice_of(*rows)) == ["store-002", "store-001"]


def test_what_may_have_been_sent_is_looked_at_before_all_that_was() -> None:
    cut_off = planned("store-002", stage=Stage.SENDING, look_at=None)
    assert looked_at(choice_of(sent("store-001", look_at=after(1)), cut_off, at=60)) == [
        "store-002",
        "store-001",
    ]


def test_a_look_that_is_not_due_is_not_taken() -> None:
    assert looked_at(choice_of(sent(look_at=after(61)), at=60)) == []
    assert looked_at(choice_of(sent(look_at=after(60)), at=60)) == ["store-042"]


def test_no_more_looks_are_taken_than_fit_a_tick() -> None:
    rows = [sent(f"store-{n:04}") for n in range(LOOKS_PER_TICK + 20)]
    assert len(choice_of(*rows).reads) == LOOKS_PER_TICK


def test_the_cap_on_looks_is_per_account_and_region() -> None:
    rows = [sent(f"store-{n:04}") for n in range(LOOKS_PER_TICK + 20)]
    places = {
        c.store: place(c.store, region=("eu-west-1", "eu-north-1")[n % 2])
        for n, c in enumerate(rows)
    }
    assert len(choice_of(*rows, places=places).reads) == len(rows)


def test_what_was_sent_is_looked_at_less_while_more_is_sent() -> None:
    rows = [sent(f"sent-{n:04}") for n in range(LOOKS_PER_TICK)]
    due = [s for s in looked_at(choice_of(*rows, *shops(SENDS_PER_TICK))) if s.startswith("sent")]
    assert len(due) == LOOKS_PER_TICK - (1 + LOOKS_OF_A_SEND) * SENDS_PER_TICK
    assert due


def test_no_more_stores_are_sent_to_than_fit_a_tick() -> None:
    assert len(choice_of(*shops(SENDS_PER_TICK + 20)).to_send) == SENDS_PER_TICK


def test_stores_in_flight_take_up_places() -> None:
    policy = replace(POLICY, concurrency=Amount(count=3))
    flying = [
        sent("store-101"),
        sent("store-102", Verdict.DARK),
        sent("store-103", Verdict.OK),
        planned("store-104", stage=Stage.SENDING),
    ]
    assert choice_of(*flying, planned("store-105"), policy=policy).to_send == ()
    assert choice_of(*flying[1:], planned("store-105"), policy=policy).to_send == ("store-105",)


def test_a_percentage_of_places_is_of_all_stores_that_the_rollout_changes() -> None:
    rows = [*shops(10), *(planned(f"store-1{n:03}", wave=1) for n in range(30))]
    assert flight_room(state(*rows, policy=POLICY)).places == 4


def test_two_services_of_a_store_take_one_place() -> None:
    policy = replace(POLICY, concurrency=Amount(count=2))
    rows = [sent("store-001"), sent("store-001", service="telemetry-arm64"), planned("store-002")]
    assert choice_of(*rows, policy=policy).to_send == ("store-002",)


@pytest.mark.parametrize("phase", [p for p in Phase if p is not Phase.RUNNING])
def test_only_a_running_rollout_has_somebody_next(phase: Phase) -> None:
    choice = choice_of(planned(), phase=phase)
    assert (choice.to_send, choice.waits_until) == ((), None)


def test_a_store_that_aws_refused_lately_is_put_off() -> None:
    assert choice_of(planned(look_at=after(61)), at=60).to_send == ()
    assert choice_of(planned(look_at=after(60)), at=60).to_send == ("store-042",)


def test_a_parked_store_is_not_next() -> None:
    assert choice_of(parked()).to_send == ()


def test_the_convoy_comes_after_the_wave_and_keeps_to_its_size() -> None:
    back = [planned(f"store-10{n}", wave=CONVOY) for n in range(4)]
    choice = choice_of(planned("store-001"), *back, policy=replace(ALL_AT_ONCE, convoy=2))
    assert choice.to_send == ("store-001", "store-100", "store-101")


def test_the_convoy_in_flight_counts_against_its_size() -> None:
    rows = [sent("store-100", wave=CONVOY), planned("store-101", wave=CONVOY)]
    assert choice_of(*rows, policy=replace(ALL_AT_ONCE, convoy=1)).to_send == ()


def test_an_open_shop_is_held_until_it_closes() -> None:
    places = {"store-042": place(hours=opening(-3600, 3600))}
    choice = choice_of(planned(), policy=AT_NIGHT, places=places)
    assert choice.to_send == ()
    assert seconds(choice.waits_until) == 3600
    assert choice.waits_for


def test_of_several_open_shops_the_first_to_close_is_waited_for() -> None:
    places = {
        "store-001": place("store-001", hours=opening(-3600, 7200)),
        "store-002": place("store-002", hours=opening(-3600, 3600)),
    }
    choice = choice_of(planned("store-001"), planned("store-002"), policy=AT_NIGHT, places=places)
    assert seconds(choice.waits_until) == 3600


def test_an_open_shop_holds_nobody_else_up() -> None:
    places = {
        "store-001": place("store-001", hours=opening(-3600, 3600)),
        "store-002": place("store-002", hours=opening(3600, 7200)),
    }
    choice = choice_of(planned("store-001"), planned("store-002"), policy=AT_NIGHT, places=places)
    assert choice.to_send == ("store-002",)


def test_those_that_wait_for_windows_are_named() -> None:
    places = {"store-042": place(hours=opening(-3600, 3600))}
    ((store, refused),) = waiting_for_windows(state(planned(), policy=AT_NIGHT, places=places))
    assert store == "store-042"
    assert not refused.allowed


def test_nobody_waits_for_windows_while_a_rollout_is_paused() -> None:
    places = {"store-042": place(hours=opening(-3600, 3600))}
    rows = state(planned(), policy=AT_NIGHT, places=places, phase=Phase.PAUSED)
    assert waiting_for_windows(rows) == []


def test_a_store_needs_the_time_of_its_slowest_pull() -> None:
    rows = state(
        planned(),
        planned(service="telemetry-arm64"),
        pull_s={f"store-042/{SERVICE}": 40.0, "store-042/telemetry-arm64": 90.0},
    )
    assert needs_s(rows, "store-042") == POLICY.finish_by_s + POLICY.settle_s + 90


WATCHED: list[tuple[Change, bool]] = [
    (planned(stage=Stage.SENDING), True),
    (sent(verdict=Verdict.WAITING), True),
    (sent(verdict=Verdict.DARK), True),
    (sent(verdict=Verdict.UNDELIVERED), True),
    (sent(verdict=Verdict.OK), True),
    (sent(verdict=Verdict.FAILED), False),
    (planned(), False),
    (planned(stage=Stage.UNDOING), False),
    (sent(stage=Stage.SKIPPED), False),
    (sent(verdict=Verdict.CHANGED_BY_HAND, stage=Stage.HELD), False),
    (parked(), True),
    (parked(wave=CONVOY), True),
    (parked(wave=1), False),
    (undone(undo=Undo(settled=False)), True),
    (undone(verdict=Verdict.OK, undo=Undo(settled=True)), False),
]


@pytest.mark.parametrize(("row", "watched"), WATCHED)
def test_what_may_still_tell_something_is_watched(row: Change, watched: bool) -> None:
    assert is_watched(state(row), row) is watched


def test_a_parked_store_is_asked_only_while_the_rollout_runs() -> None:
    assert not is_watched(state(parked(), phase=Phase.PAUSED), parked())


def test_a_store_that_was_set_back_and_owes_is_asked_whether_it_is_back() -> None:
    row = undone(undo=Undo(settled=True))
    assert is_watched(state(row), row)
    assert not is_watched(state(row, phase=Phase.HALTED), row)


def test_untouched_stores_are_surveyed_from_the_first_send_on() -> None:
    """Whatever the updated stores do: reading them only when one is dark would bias the test."""
    others = [planned(f"store-1{n:02}", wave=1) for n in range(3)]
    assert choose_stores(state(planned("store-001"), *others)).control == ()
    choice = choose_stores(state(sent("store-001"), *others))
    assert sorted(choice.control) == ["store-100", "store-101", "store-102"]


def test_a_survey_reads_only_the_container_instances() -> None:
    choice = choose_stores(state(sent("store-001"), planned("store-100", wave=1)))
    (read,) = [read for read in choice.reads if read.store == "store-100"]
    assert read.services == ()
    assert not read.tasks


def test_a_store_that_is_read_anyway_is_surveyed_by_that_read() -> None:
    choice = choose_stores(state(sent("store-001", Verdict.OK), planned("store-100")))
    (read,) = [read for read in choice.reads if read.store == "store-100"]
    assert read.services == (SERVICE,)


def test_surveys_take_at_most_a_quarter_of_the_reads_of_a_tick() -> None:
    others = [planned(f"store-1{n:02}", wave=1) for n in range(50)]
    assert len(choose_stores(state(sent("store-001"), *others)).control) == LOOKS_PER_TICK // 4


def test_nothing_is_chosen_while_the_darkness_test_holds() -> None:
    rows = planned("store-001"), planned("store-002")
    held = DarknessTest(holds="2 away", held_since=after(30))
    assert choose_stores(state(*rows)).to_send != ()
    assert choose_stores(state(*rows, darkness=held)).to_send == ()


def quiet(**said: Any) -> StoreView:
    """A store that runs what it was sent and has nothing to tell."""
    shown = verdicts.view({"at": 600, "service": {"state": "COMPLETED"}, "tasks": [{}]})
    service = shown.services[0] if shown.services else None
    assert service is not None
    newest = replace(service.deployments[0], updated_at=after(60))
    deployment: dict[str, Any] = said.pop("deployment", {})
    changed = replace(service, deployments=(replace(newest, **deployment),), **said)
    return replace(shown, services=(changed,))


def test_a_store_that_runs_what_it_was_sent_is_quiet() -> None:
    assert is_quiet(quiet(), {SERVICE: NEW})


def test_a_service_that_is_set_to_something_else_is_not_quiet() -> None:
    assert not is_quiet(quiet(), {SERVICE: verdicts.revision(12)})


def test_a_service_that_nothing_was_sent_to_is_quiet_whatever_it_runs() -> None:
    assert is_quiet(quiet(), {SERVICE: ""})
    assert is_quiet(quiet(), {})


@pytest.mark.parametrize(
    "deployment",
    [{"failed_tasks": 1}, {"rollout_state": "IN_PROGRESS"}, {"updated_at": None}],
)
def test_a_deployment_that_is_not_well_is_not_quiet(deployment: dict[str, Any]) -> None:
    assert not is_quiet(quiet(deployment=deployment), {})


def test_a_task_that_was_started_after_the_deployment_was_done_is_not_quiet() -> None:
    view = quiet(deployment={"updated_at": after(1)})
    assert not is_quiet(view, {})


def test_too_few_running_tasks_are_not_quiet() -> None:
    assert not is_quiet(replace(quiet(), tasks=()), {})


def test_two_deployments_at_once_are_not_quiet() -> None:
    view = quiet()
    service: ServiceState = (view.services or ())[0]
    newest: Deployment = service.deployments[0]
    both = replace(service, deployments=(newest, replace(newest, id="ecs-svc/0")))
    assert not is_quiet(replace(view, services=(both,)), {})


def test_tasks_of_another_service_do_not_count() -> None:
    view = quiet()
    other: TaskState = replace((view.tasks or ())[0], service="telemetry-arm64")
    assert not is_quiet(replace(view, tasks=(other,)), {})
