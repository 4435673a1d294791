"""Services beside the inventory: there, ours, set right, at work; and what is let be."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet.drift.decide.service_case import DEADLINE_S, deadlines
from fleet.drift.decide.services import of_services
from fleet.drift.decide.store_case import HostCase
from fleet.model.desired import Scheduling
from fleet.model.drift import HostConnection, HostMemory, Spell
from fleet.model.drift_settings import Severity
from fleet.model.inventory import Lifecycle
from fleet.model.observed import NotRead, Reading
from fleet.model.policy import Policy
from fleet.model.services import ServiceState
from fleet.model.wanted import Owed
from fleet.release.decide.sent_settings import sent_tag
from fleet.release.decide.service_input import service_settings
from tests import build
from tests.drift.decide import shop
from tests.drift.decide.shop import ago, case, deployment, host, only, service
from tests.rollout.decide import plans

OWED = {shop.SERVICE: Owed("ro-118", shop.SERVICE, plans.NEW.content, "parked", ago(hours=26))}
PROGRESS: Any = {"rollout_state": "IN_PROGRESS", "created_at": ago(hours=9), "updated_at": None}
TROUBLE = (
    (ago(minutes=5), "(service x) was unable to place a task"),
    (
        ago(hours=2),
        "(service x) has started 1 tasks: (task a).",
    ),
)


def codes(*services: ServiceState, **changes: Any) -> list[str]:
    return [one.code for one in of_services(case(*services, **changes))]


def test_a_service_as_it_should_be_is_no_finding() -> None:
    assert of_services(case()) == []


def test_what_was_not_read_gives_no_finding() -> None:
    assert of_services(case(seen={"services": shop.NOT_READ})) == []


def test_a_service_that_is_not_there_is_missing() -> None:
    found = only(of_services(case(seen={"services": Reading((), shop.NOW)})))
    assert found.code == "SERVICE_MISSING"
    assert found.cause == (
        "the cluster has no service telemetry-amd64, so nothing of telemetry runs on tel-1"
    )
    assert found.fix == "fleet rollout telemetry --store store-042"
    assert found.subject == "telemetry-amd64"


@pytest.mark.parametrize(
    "changes",
    [
        {"hosts": [host(instances=())]},
        {"want": {"owed": OWED}},
        {"want": {"rolling": {shop.SERVICE: "ro-119"}}},
        {"store": {"lifecycle": Lifecycle.PAUSED}},
    ],
    ids=["no host registered", "owed", "a rollout is at work", "the store is paused"],
)
def test_a_service_that_is_not_there_is_let_be(changes: dict[str, Any]) -> None:
    assert codes(**{"seen": {"services": Reading((), shop.NOW)}, **changes}) == []


def test_a_deleted_service_that_is_wanted_is_draining_and_nothing_more() -> None:
    found = only(of_services(case(service(status="DRAINING", desired=0, deployments=()))))
    assert found.code == "SERVICE_DRAINING"
    assert "still has 1 task" in found.cause


def test_an_unwanted_service_of_fleet_is_told_with_the_command_that_deletes_it() -> None:
    old = service(name="vision-amd64", arn="arn/vision")
    found = only(of_services(case(service(), old)))
    assert (found.code, found.severity) == ("SERVICE_UNMANAGED", Severity.LOW)
    assert found.fix == (
        "aws ecs delete-service --cluster store-042 --service vision-amd64 --force "
        "--region eu-west-1 --profile emea-prod"
    )


def test_an_unwanted_service_without_tags_is_fleets_if_its_revision_is() -> None:
    old = service(shop.OLD, name="vision-amd64", tags={})
    assert only(of_services(case(service(), old))).severity is Severity.LOW


def test_a_service_of_somebody_else_is_only_told() -> None:
    other = service(shop.HAND, name="till", tags={})
    found = only(of_services(case(service(), other)))
    assert (found.code, found.severity, found.fix) == ("SERVICE_UNMANAGED", Severity.INFO, "")


def test_a_service_of_another_fleet_is_not_ours_whatever_it_runs() -> None:
    other = service(name="till", tags={"fleet:fleet": "apac"})
    found = only(of_services(case(service(), other)))
    assert found.severity is Severity.INFO
    assert "of fleet apac" in found.cause


def test_an_unwanted_service_that_drains_is_on_its_way_out() -> None:
    assert codes(service(), service(name="vision-amd64", status="DRAINING")) == []


def test_nothing_is_unwanted_while_nobody_knows_what_is_wanted() -> None:
    unread = NotRead("templates: no such variable")
    assert codes(service(), want={"services": ()}, release=unread) == []


def test_what_a_closed_store_still_has_is_told_once_its_hosts_are_gone() -> None:
    closed: Any = {"store": {"lifecycle": Lifecycle.CLOSED}, "want": {"services": ()}}
    found = only(of_services(case(service(), hosts=[host(instances=())], **closed)))
    assert found.code == "SERVICE_UNMANAGED"
    assert "the store is closed" in found.cause
    # Until then that its hosts are still registered says it all.
    assert codes(service(), **closed) == []


def test_a_wanted_name_of_somebody_elses_making_is_told_with_how_to_take_it_over() -> None:
    found = only(of_services(case(service(shop.HAND, tags={}))))
    assert (found.code, found.severity) == ("SERVICE_UNMANAGED", Severity.MEDIUM)
    assert "tag-resource" in found.fix
    assert "key=fleet:fleet,value=emea" in found.fix


def test_whose_an_untagged_service_is_stays_open_while_its_revision_was_not_read() -> None:
    assert codes(service(plans.arn(99), tags={})) == []


def test_lost_tags_are_put_back_where_the_revision_is_fleets() -> None:
    found = only(of_services(case(service(tags={}))))
    assert (found.code, found.safe) == ("SERVICE_UNTAGGED", True)
    assert found.data["tags"] == {
        "fleet:fleet": "emea",
        "fleet:store": "store-042",
        "fleet:workload": "telemetry",
        "fleet:content": plans.NEW.content,
    }


def test_one_lost_tag_is_named_alone() -> None:
    tags = {key: value for key, value in shop.TAGS.items() if key != "fleet:store"}
    found = only(of_services(case(service(tags=tags))))
    assert found.cause.endswith("lacks 1 tag: fleet:store")


def test_a_breaker_that_was_switched_off_is_a_setting_that_differs() -> None:
    configuration = {
        **shop.SETTINGS["deploymentConfiguration"],
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
    }
    settings = {**shop.SETTINGS, "deploymentConfiguration": configuration}
    found = only(of_services(case(service(settings=settings))))
    assert (found.code, found.severity) == ("SERVICE_SETTINGS", Severity.LOW)
    assert found.cause.startswith("circuit breaker of telemetry-amd64 is not")
    assert found.fix == "fleet plan telemetry --store store-042 --overwrite"


def sent_with(breaker_count: int, sent: int | None) -> ServiceState:
    """A service with such a breaker, and what fleet's tag says of it."""
    settings = {
        **service_settings(replace(plans.SHAPE, breaker_count=breaker_count)),
        "launchType": "EXTERNAL",
    }
    tag = {} if sent is None else {"fleet:sent": f"ro-7.0 failures={sent}"}
    return service(settings=settings, tags={**shop.TAGS, **tag})


def test_what_the_policy_of_a_rollout_sent_is_expected() -> None:
    assert codes(sent_with(2, sent=2)) == []


@pytest.mark.parametrize(
    ("there", "sent", "words"),
    [
        (2, 1, "breaker count 2, set by somebody; fleet sent 1 with ro-7"),
        (2, 3, "breaker count 2, set by somebody; fleet sent 3 with ro-7"),
        (2, None, "breaker count 2, expected 1"),
    ],
)
def test_a_breaker_that_no_rollout_sent_is_told_in_words(
    there: int, sent: int | None, words: str
) -> None:
    found = only(of_services(case(sent_with(there, sent))))
    assert (found.code, found.evidence[0].words) == ("SERVICE_SETTINGS", words)
    assert found.evidence[-1].words == "breaker count 1"
    by_hand = "set by somebody" in words
    assert found.fix.startswith("fleet plan" if by_hand else "fleet rollout")


def test_a_placement_that_was_sent_and_is_not_committed_any_more_is_told() -> None:
    settings = {**shop.SETTINGS, "placementConstraints": []}
    tag = sent_tag({"placementConstraints": []}, "ro-7.0")
    seen = service(settings=settings, tags={**shop.TAGS, "fleet:sent": tag})
    found = only(of_services(case(seen)))
    assert found.evidence[0].words == (
        "placement none, expected distinctInstance (fleet sent none with ro-7)"
    )
    assert found.fix == "fleet rollout telemetry --store store-042"


def test_what_ecs_fills_in_is_no_difference() -> None:
    configuration = {
        **shop.SETTINGS["deploymentConfiguration"],
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    }
    settings = {**shop.SETTINGS, "deploymentConfiguration": configuration, "placementStrategy": []}
    assert codes(service(settings=settings)) == []


def test_a_launch_type_cannot_be_changed_so_the_service_is_made_anew() -> None:
    found = only(of_services(case(service(settings={**shop.SETTINGS, "launchType": "EC2"}))))
    assert (found.code, found.severity) == ("SERVICE_SETTINGS", Severity.MEDIUM)
    assert found.fix.startswith("aws ecs delete-service")


def test_another_scheduling_is_told_and_its_count_is_not() -> None:
    found = only(of_services(case(service(scheduling="DAEMON", desired=3))))
    assert found.code == "SERVICE_SETTINGS"
    assert "schedulingStrategy" in found.cause


@pytest.mark.parametrize(
    ("desired", "severity"), [(0, Severity.HIGH), (1, Severity.MEDIUM), (3, Severity.MEDIUM)]
)
def test_a_count_that_is_not_that_of_the_hosts_is_told(desired: int, severity: Severity) -> None:
    hosts = [host("tel-1"), host("tel-2")]
    found = only(of_services(case(service(desired=desired, running=desired), hosts=hosts)))
    assert (found.code, found.severity) == ("SERVICE_COUNT", severity)
    assert found.data["count"] == 2


def test_a_host_that_is_not_registered_is_not_told_as_a_count() -> None:
    hosts = [host("tel-1"), host("tel-2", instances=(), connection=None)]
    assert codes(service(desired=2, running=2), hosts=hosts) == []


def test_a_daemon_has_no_count() -> None:
    wanted = plans.release([build.store()])
    shape = replace(plans.SHAPE, scheduling=Scheduling.DAEMON)
    release = replace(wanted, shapes={shop.SERVICE: shape})
    assert codes(service(scheduling="DAEMON", desired=7), release=release) == []


def test_no_count_is_concluded_from_instances_that_were_not_read() -> None:
    hosts = [host(instances=(), connection=None)]
    assert codes(service(desired=1), hosts=hosts, seen={"instances": shop.NOT_READ}) == []


def test_a_deployment_that_ecs_gave_up_is_told_with_ecs_own_words() -> None:
    given_up = deployment(
        rollout_state="FAILED", rollout_reason="tasks failed to start.", running=0
    )
    found = only(of_services(case(service(deployments=(given_up,), running=0))))
    assert (found.code, found.severity) == ("DEPLOYMENT_FAILED", Severity.HIGH)
    assert "tasks failed to start" in found.evidence[0].words
    assert found.fix == "fleet rollout status ro-118 --store store-042"


def test_no_rollout_is_proposed_of_what_a_service_is_set_to_already() -> None:
    given_up = deployment(rollout_state="FAILED", running=0)
    tags = {key: value for key, value in shop.TAGS.items() if key != "fleet:rollout"}

    found = only(of_services(case(service(deployments=(given_up,), running=0, tags=tags))))

    assert found.fix.startswith("aws ecs describe-tasks ")
    assert [command.sends for command in found.commands] == [False]


def test_a_tag_that_somebody_wrote_is_no_command() -> None:
    given_up = deployment(rollout_state="FAILED", running=0)
    tags = {**shop.TAGS, "fleet:rollout": "ro-1; reboot"}
    found = only(of_services(case(service(deployments=(given_up,), running=0, tags=tags))))
    assert found.fix == "fleet rollout status 'ro-1; reboot' --store store-042"


def test_what_the_breaker_restored_is_told_with_who_sent_it() -> None:
    words = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/0."
    restored = deployment(shop.OLD, rollout_reason=words, created_at=ago(hours=2))
    found = only(of_services(case(service(shop.OLD, deployments=(restored,)))))
    assert (found.code, found.severity) == ("DEPLOYMENT_FAILED", Severity.MEDIUM)
    assert found.cause.startswith("ro-118 sent telemetry-amd64 what is committed and it failed")
    assert (found.since, found.since_known) == (ago(hours=2), True)


def test_a_deployment_in_progress_beyond_the_deadline_is_stuck() -> None:
    stuck = deployment(**PROGRESS, running=0, failed_tasks=3)
    found = only(of_services(case(service(deployments=(stuck,), running=0))))
    assert (found.code, found.since) == ("DEPLOYMENT_STUCK", ago(hours=9))
    assert "for 9h (deadline 30m): 0 of 1 tasks run, 3 tasks failed" in found.cause


@pytest.mark.parametrize(
    "changes",
    [
        {"hosts": [shop.dark()]},
        {"hosts": [host(connection=None)]},
        {"hosts": [shop.back(connection=shop.spell(minutes=20))]},
        {"deadlines": {"telemetry": 36_000.0}},
        {"want": {"rolling": {shop.SERVICE: "ro-119"}}},
    ],
    ids=["dark", "not certain", "just back", "within its policy", "a rollout is at work"],
)
def test_a_deployment_in_progress_is_let_be(changes: dict[str, Any]) -> None:
    stuck = deployment(**PROGRESS, running=0)
    assert codes(service(deployments=(stuck,), running=0), **changes) == []


def test_a_deployment_that_has_just_moved_is_not_stuck() -> None:
    moved = deployment(**{**PROGRESS, "updated_at": ago(minutes=3)})
    assert codes(service(deployments=(moved,))) == []


def test_more_tasks_than_hosts_are_a_wrong_count_and_not_stuck_as_well() -> None:
    assert codes(service(desired=2, deployments=(deployment(**PROGRESS),))) == ["SERVICE_COUNT"]


def test_too_few_tasks_on_connected_hosts_are_told_since_ecs_began_to_say_so() -> None:
    found = only(of_services(case(service(running=0, events=TROUBLE))))
    assert (found.code, found.since) == ("TASKS_SHORT", ago(hours=2))
    assert "unable to place" in found.evidence[1].words


@pytest.mark.parametrize(
    "events",
    [
        (),
        ((ago(hours=1), "(service x) has reached a steady state."), *TROUBLE),
        ((ago(minutes=4), "(service x) has started 1 tasks: (task a)."),),
    ],
    ids=["ecs says nothing", "ecs is content", "it has just begun"],
)
def test_a_task_that_is_away_for_a_moment_is_no_finding(events: Any) -> None:
    assert codes(service(running=0, events=events)) == []


def test_no_task_is_missed_on_a_host_that_is_away() -> None:
    assert codes(service(running=0, events=TROUBLE), hosts=[shop.dark()]) == []


def test_a_task_may_be_counted_on_the_dark_host_so_one_is_enough_for_the_other() -> None:
    hosts = [host("tel-1"), shop.dark("tel-2")]
    assert codes(service(desired=2, running=1, events=TROUBLE), hosts=hosts) == []
    assert codes(service(desired=2, running=0, events=TROUBLE), hosts=hosts) == ["TASKS_SHORT"]


def test_an_instance_that_drains_takes_no_task() -> None:
    draining = host(instances=(plans.instance(status="DRAINING"),))
    assert codes(service(running=0, events=TROUBLE), hosts=[draining]) == []


def test_a_host_that_flapped_has_to_be_back_for_as_long_as_the_deadline() -> None:
    gone = Spell(HostConnection.ECS_DOWN, ago(hours=4), ago(minutes=30))
    flapped = host(connection=shop.spell(minutes=25), memory=HostMemory((gone,)))
    assert codes(service(running=0, events=TROUBLE), hosts=[flapped]) == []


def test_of_tasks_that_start_again_and_again_it_is_asked_why_they_end() -> None:
    again = ((ago(minutes=2), "(service x) has started 1 tasks: (task a)."), *TROUBLE)
    found = only(of_services(case(service(running=0, events=again))))
    assert "describe-tasks" in found.fix
    assert "--desired-status STOPPED" in found.fix


def test_a_host_that_has_just_registered_anew_gets_as_long_as_the_deadline() -> None:
    anew = host(instances=(plans.instance(registered_at=ago(minutes=5)),))
    assert codes(service(running=0, events=TROUBLE), hosts=[anew]) == []


def test_a_task_that_does_not_fit_is_told_as_that_alone() -> None:
    small = host(instances=(plans.instance(registered={"CPU": 4096, "MEMORY": 128}),))
    assert codes(service(running=0, events=TROUBLE), hosts=[small]) == []


def test_deadlines_are_those_of_the_workloads_policies() -> None:
    slow = plans.fleet([build.store()], policies={"standard": Policy("standard", deadline_s=7200)})
    assert deadlines(slow) == {"telemetry": 7200}
    assert timedelta(minutes=30).total_seconds() == DEADLINE_S


def test_what_is_owed_brings_its_settings_and_count_along() -> None:
    odd = service(desired=0, running=0, settings={**shop.SETTINGS, "propagateTags": "NONE"})
    assert codes(odd, want={"owed": OWED}) == []
    assert sorted(codes(odd)) == ["SERVICE_COUNT", "SERVICE_SETTINGS"]


def test_a_service_whose_hosts_are_not_registered_is_not_stuck() -> None:
    gone = [host(instances=(), connection=None)]
    assert codes(service(deployments=(deployment(**PROGRESS),)), hosts=gone) == []


def test_a_deployment_waits_for_a_host_that_is_away() -> None:
    hosts = [host("tel-1"), shop.dark("tel-2")]
    waiting = service(desired=2, running=2, deployments=(deployment(**PROGRESS),))
    assert codes(waiting, hosts=hosts) == []


def test_a_deployment_whose_tasks_all_run_and_that_does_not_end_is_stuck() -> None:
    assert codes(service(deployments=(deployment(**PROGRESS),))) == ["DEPLOYMENT_STUCK"]


def test_a_wrong_count_does_not_hide_that_no_task_starts() -> None:
    stuck = service(desired=2, running=0, deployments=(deployment(**PROGRESS, running=0),))
    assert codes(stuck) == ["SERVICE_COUNT", "DEPLOYMENT_STUCK"]


def test_a_deployment_was_given_up_when_it_was_last_updated() -> None:
    given_up = deployment(
        rollout_state="FAILED", created_at=ago(hours=3), updated_at=ago(hours=2), running=0
    )
    assert only(of_services(case(service(deployments=(given_up,))))).since == ago(hours=2)


def test_the_breakers_old_words_do_not_excuse_what_a_hand_did_since() -> None:
    words = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/0."
    by_hand = deployment(shop.HAND, rollout_reason=words)
    assert codes(service(shop.HAND, deployments=(by_hand,))) == []


def been_away(name: str, minutes: float) -> HostCase:
    """Was dark days ago and is connected since."""
    gone = Spell(HostConnection.DARK, ago(days=9), ago(days=8))
    here = shop.spell(minutes=minutes)
    return host(name, connection=here, memory=HostMemory((gone, here)))


def test_the_last_host_to_come_back_is_waited_for() -> None:
    hosts = [been_away("tel-1", 300), been_away("tel-2", 29)]
    late = [been_away("tel-1", 300), been_away("tel-2", 30)]
    stuck = service(desired=2, running=2, deployments=(deployment(**PROGRESS),))
    assert codes(stuck, hosts=hosts) == []
    assert codes(stuck, hosts=late) == ["DEPLOYMENT_STUCK"]


def test_a_host_that_was_never_away_was_there_before_anybody_looked() -> None:
    young = host(connection=shop.spell(seconds=1))
    assert codes(service(deployments=(deployment(**PROGRESS),)), hosts=[young]) == [
        "DEPLOYMENT_STUCK"
    ]
