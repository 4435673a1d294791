"""What a store that was away did meanwhile, as far as ECS remembers."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.drift.decide.returned_stores import outage, returned
from fleet.model.drift import HostConnection, HostMemory, Probe, Returned, Spell
from fleet.model.inventory import Lifecycle
from fleet.model.observed import NotRead, Reading
from fleet.model.services import TaskState
from fleet.model.wanted import Owed
from tests.drift.decide import shop
from tests.drift.decide.shop import ago, back, case, container, dark, host, task

BACK = ago(minutes=40)


def story(*tasks: TaskState, **changes: Any) -> Returned:
    seen = {"tasks": Reading(tasks, shop.NOW), **changes.pop("seen", {})}
    told = returned(case(**{"hosts": [back()], "seen": seen, **changes}))
    assert told is not None
    return told


def lost(**changes: Any) -> TaskState:
    value = task(
        "t0",
        last_status="STOPPED",
        desired_status="STOPPED",
        stopped_at=ago(hours=20),
        stop_code="EssentialContainerExited",
        stopped_reason="Essential container in task exited",
        containers=(container(status="STOPPED", exit_code=137),),
    )
    return replace(value, **changes)


def again(**changes: Any) -> TaskState:
    return task("t1", **{"started_at": ago(minutes=38), **changes})


def test_a_task_that_ran_all_the_time_ran_on() -> None:
    told = story(task())
    assert told.words == "telemetry-amd64 ran on without a break"
    assert (told.dark_since, told.back_at, told.owes) == (ago(hours=31, minutes=40), BACK, "")


def test_a_task_that_ended_is_told_with_its_exit_code_and_when_it_began_again() -> None:
    assert story(lost(), again()).words == (
        "telemetry-amd64 lost: exit 137 while away, started again 01:22Z"
    )


def test_a_task_that_is_still_down_is_told() -> None:
    assert story(lost()).words.endswith("exit 137 while away, and does not run again")


def test_a_task_that_the_scheduler_stopped_was_replaced() -> None:
    stopped = lost(stop_code="ServiceSchedulerInitiated", containers=())
    assert "lost: 1 task stopped by its service, started" in story(stopped, again()).words


def test_two_losses_are_counted() -> None:
    twice = lost(), replace(lost(), arn="arn/t00")
    assert "lost 2 times: exit 137 x2 while away" in story(*twice, again()).words


def test_what_ended_before_the_store_went_away_is_no_loss_of_it() -> None:
    assert "ran on" in story(lost(stopped_at=ago(days=2)), task()).words


def test_what_ecs_has_forgotten_is_said_to_be_forgotten() -> None:
    gone = Spell(HostConnection.DARK, ago(hours=31), ago(hours=24))
    hosts = [back(connection=shop.spell(seconds=10), memory=HostMemory((gone,)))]
    told = story(again(started_at=ago(hours=2)), hosts=hosts)
    assert told.words == (
        "telemetry-amd64 started again 00:00Z; "
        "ECS has forgotten tasks that stopped more than an hour ago"
    )
    assert "forgotten" not in story(again()).words


def test_a_store_that_may_have_been_back_before_is_said_to_be() -> None:
    long_ago = Spell(HostConnection.DARK, ago(hours=31), ago(hours=24))
    hosts = [back(connection=shop.spell(seconds=10), memory=HostMemory((long_ago,)))]

    assert story(task(), hosts=hosts).at_most
    assert not story(task()).at_most


def test_a_service_that_was_made_meanwhile_has_started_for_the_first_time() -> None:
    made = Reading((shop.service(created_at=ago(minutes=39)),), shop.NOW)

    assert story(again(), seen={"services": made}).words == (
        "telemetry-amd64 started for the first time 01:22Z"
    )


def test_a_service_without_any_task_does_not_run() -> None:
    assert story().words.endswith("telemetry-amd64 does not run")


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        (None, "what its tasks did was not asked"),
        (NotRead("Throttled"), "what its tasks did could not be read (Throttled)"),
    ],
)
def test_tasks_that_were_not_read_are_said_not_to_be(tasks: Any, words: str) -> None:
    assert story(seen={"tasks": tasks}).words == words


@pytest.mark.parametrize(
    ("booted", "words"),
    [(ago(days=9), "no reboot"), (ago(hours=5), "tel-1 rebooted 21:00Z")],
)
def test_a_host_that_was_asked_says_whether_it_rebooted(booted: Any, words: str) -> None:
    answer = Reading(Probe((), 1, 1, None, 0.0, booted), shop.NOW)
    assert story(task(), seen={"probes": {"tel-1": answer}}).words.endswith(f"; {words}")


def test_hosts_that_all_stayed_up_are_one_word() -> None:
    hosts = [back("cam-1"), back("tel-1")]
    answer = Reading(Probe((), 1, 1, None, 0.0, ago(days=9)), shop.NOW)
    seen = {"tasks": Reading((task(),), shop.NOW)}
    everybody = returned(
        case(hosts=hosts, seen={**seen, "probes": dict.fromkeys(["cam-1", "tel-1"], answer)})
    )
    one = returned(case(hosts=hosts, seen={**seen, "probes": {"tel-1": answer}}))
    assert everybody is not None
    assert one is not None
    assert everybody.words.endswith("; no reboot")
    assert one.words.endswith("; no reboot of tel-1")


def test_services_with_the_same_story_are_told_together() -> None:
    other = task("t2", service="vision-arm64")
    assert story(task(), other).words == ("telemetry-amd64 and vision-arm64 ran on without a break")


def test_what_it_still_owes_is_told() -> None:
    owed = {shop.SERVICE: Owed("ro-118", shop.SERVICE, "c", "parked", ago(days=1))}
    assert story(task(), want={"owed": owed}).owes == "telemetry-amd64 of ro-118 (parked)"


def test_tasks_of_other_instances_are_not_its_own() -> None:
    assert "does not run" in story(task(host="ghost")).words


@pytest.mark.parametrize(
    "changes",
    [
        {"hosts": [host()]},
        {"hosts": [dark()]},
        {"hosts": [back("tel-1"), dark("tel-2")]},
        {"hosts": [back("tel-1"), host("tel-2")]},
        {"hosts": [back(connection=None)]},
        {"store": {"lifecycle": Lifecycle.CLOSED}},
    ],
    ids=["never away", "away", "one is away", "one never was", "not certain", "closed"],
)
def test_a_store_that_was_not_away_as_a_whole_or_is_not_back_has_not_returned(
    changes: dict[str, Any],
) -> None:
    assert returned(case(**{"hosts": [back()], **changes})) is None


def test_a_store_is_back_with_its_last_host_and_went_with_its_first() -> None:
    first = Spell(HostConnection.DARK, ago(hours=30), ago(minutes=50))
    second = Spell(HostConnection.DARK, ago(hours=28), ago(minutes=45))
    hosts = [
        back("tel-1", memory=HostMemory((first,)), connection=shop.spell(minutes=30)),
        back("tel-2", memory=HostMemory((second,)), connection=shop.spell(minutes=20)),
    ]
    told = story(task(), hosts=hosts)
    assert (told.dark_since, told.back_at) == (ago(hours=30), ago(minutes=20))


def test_a_loss_whose_time_ecs_does_not_tell_is_one_of_the_absence() -> None:
    assert "lost: exit 137 while away" in story(lost(stopped_at=None), again()).words


def test_one_of_two_tasks_that_is_lost_leaves_the_other() -> None:
    assert story(lost(), task()).words.endswith("exit 137 while away, the others ran on")


def test_a_task_that_a_person_stopped_is_told_as_that() -> None:
    by_hand = lost(stop_code="UserInitiated", containers=())
    by_ecs = replace(by_hand, stop_code="ServiceSchedulerInitiated", arn="arn/t00")
    assert "2 tasks stopped by somebody" in story(by_hand, by_ecs, again()).words


def test_the_latest_start_is_told() -> None:
    twice = again(started_at=ago(hours=3)), replace(again(), arn="arn/t2")
    assert "started again 01:22Z" in story(*twice).words


def test_a_host_that_could_not_be_asked_does_not_say_whether_it_rebooted() -> None:
    told = story(task(), seen={"probes": {"tel-1": NotRead("no answer")}})
    assert told.words.endswith("ran on without a break")


def came_back(connected_since: float, dark_seen: float) -> HostMemory:
    """Hours ago: since when it is connected, and when it was last seen dark."""
    return HostMemory(
        (
            Spell(HostConnection.DARK, ago(hours=31), ago(hours=dark_seen)),
            Spell(HostConnection.CONNECTED, ago(hours=connected_since), ago(hours=0.5)),
        )
    )


@pytest.mark.parametrize(
    ("connected_since", "dark_seen", "told", "is_news"),
    [
        (2, 24, 24, True),  # dark in the last night, seen back by somebody since
        (20, 48, 24, True),  # not read in the last night
        (25, 48, 24, False),  # back in the last night already, which told it
        (2, 24, None, False),  # a scan of the store alone: the one before it told it
    ],
)
def test_a_return_that_only_a_scan_of_the_store_has_seen_is_news_to_the_night(
    connected_since: float, dark_seen: float, told: float | None, is_news: bool
) -> None:
    last_full_scan_at = None if told is None else ago(hours=told)
    found = outage(came_back(connected_since, dark_seen), last_full_scan_at)
    assert (found is not None) is is_news


def test_a_host_that_only_lost_an_agent_was_not_dark() -> None:
    spells = (
        Spell(HostConnection.ECS_DOWN, ago(hours=31), ago(hours=20)),
        Spell(HostConnection.CONNECTED, ago(hours=2), ago(hours=1)),
    )
    assert outage(HostMemory(spells), ago(hours=24)) is None
    assert outage(HostMemory(), ago(hours=24)) is None


def test_a_return_that_was_seen_in_between_is_told_with_its_times() -> None:
    memory = came_back(2, 24)
    here = replace(back(), memory=memory, connection=memory.spells[-1])
    told = returned(
        case(
            hosts=[here],
            seen={"tasks": Reading((task(),), shop.NOW)},
            last_full_scan_at=ago(hours=24),
        )
    )
    assert told is not None
    assert (told.dark_since, told.back_at) == (ago(hours=31), ago(hours=2))
