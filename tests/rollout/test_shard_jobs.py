"""What a tick does at one account and region: in which order, and what becomes of it."""

import pickle
from dataclasses import replace
from datetime import timedelta
from typing import Any

from fleet.model.desired import LogGroup
from fleet.model.rollout import ActionKind
from fleet.model.signals import MetricQuery, SignalsRead, SignalsSeen
from fleet.release.decide.service_input import service_input, service_settings
from fleet.rollout.decide.service_calls import CallOutcome, ServiceWrite
from fleet.rollout.decide.store_choice import StoreRead
from fleet.rollout.shard_jobs import ShardResult, run_shard_job
from tests.shops import NEW, SERVICE, SHAPE, STORES, Shops

WRITES = ("TagResource", "UpdateService", "CreateService", "DeleteService")
STORE = STORES[0]


def run(shops: Shops, *writes: ServiceWrite, **fields: Any) -> ShardResult:
    return run_shard_job(shops.open_access, shops.job(*writes, **fields))


def outcome(result: ShardResult) -> CallOutcome:
    (written,) = result.written
    return written.outcome


def sent(shops: Shops) -> str:
    """The shop is sent the new release; returns its ARN."""
    result = run(shops, shops.write())
    assert outcome(result) is CallOutcome.DONE
    shops.asked.clear()
    return result.registered[NEW.content]


def back(shops: Shops, target: str, **fields: Any) -> ServiceWrite:
    return shops.write(ActionKind.UNDO, target=target, **fields)


def test_a_service_is_read_then_tagged_then_updated(shops: Shops) -> None:
    result = run(shops, shops.write())
    assert shops.actions("DescribeServices", *WRITES) == [
        "DescribeServices",
        "TagResource",
        "UpdateService",
    ]
    assert outcome(result) is CallOutcome.DONE
    assert shops.runs() == result.registered[NEW.content] == result.written[0].target


def test_the_tags_say_what_was_sent_and_what_ran_before(shops: Shops) -> None:
    sent(shops)
    tags = shops.tags()
    assert tags["fleet:rollout"] == "ro-1"
    assert tags["fleet:content"] == NEW.content
    assert tags["fleet:previous"] == shops.old


def test_no_deployment_is_forced(shops: Shops) -> None:
    run(shops, shops.write())
    (body,) = [body for action, body in shops.asked if action == "UpdateService"]
    assert not body.get("forceNewDeployment")


def test_a_job_that_runs_twice_updates_once(shops: Shops) -> None:
    job = shops.job(shops.write())
    run_shard_job(shops.open_access, job)
    shops.pass_by(60)
    again = run_shard_job(shops.open_access, job)
    assert outcome(again) is CallOutcome.DONE
    assert again.written[0].at < shops.now() - timedelta(seconds=50)
    assert shops.actions("UpdateService", "RegisterTaskDefinition") == [
        "RegisterTaskDefinition",
        "UpdateService",
    ]
    assert shops.tags()["fleet:previous"] == shops.old


def test_what_another_rollout_sent_already_is_not_ours(shops: Shops) -> None:
    run(shops, shops.write())
    other = {**shops.write().tags, "fleet:rollout": "ro-2"}
    assert outcome(run(shops, shops.write(tags=other))) is CallOutcome.ALREADY


def test_one_content_is_registered_once_for_all_stores(shops: Shops) -> None:
    result = run(shops, *(shops.write(store=store) for store in STORES))
    assert shops.actions("RegisterTaskDefinition") == ["RegisterTaskDefinition"]
    assert {one.target for one in result.written} == {result.registered[NEW.content]}
    assert [one.store for one in result.written] == list(STORES)


def test_a_content_that_is_known_is_not_looked_for(shops: Shops) -> None:
    arn = sent(shops)
    run(shops, shops.write(store=STORES[1]), known={NEW.content: arn})
    assert shops.actions("RegisterTaskDefinition", "ListTaskDefinitions") == []
    assert shops.runs(STORES[1]) == arn


def test_a_content_that_is_registered_already_is_found(shops: Shops) -> None:
    arn = sent(shops)
    result = run(shops, shops.write(store=STORES[1]))
    assert shops.actions("RegisterTaskDefinition") == []
    assert result.registered == {NEW.content: arn}


def test_setting_back_registers_nothing(shops: Shops) -> None:
    target = sent(shops)
    result = run(shops, back(shops, target), definitions={})
    assert outcome(result) is CallOutcome.DONE
    assert shops.actions("RegisterTaskDefinition") == []


def test_settings_that_differ_are_adjusted_without_another_revision(shops: Shops) -> None:
    target = sent(shops)
    patient = service_settings(replace(SHAPE, breaker_count=2))
    result = run(shops, shops.write(settings=patient))
    assert outcome(result) is CallOutcome.DONE
    breaker = shops.service()["deploymentConfiguration"]["deploymentCircuitBreaker"]
    assert breaker["thresholdConfiguration"]["value"] == 2
    assert shops.runs() == target
    assert shops.tags()["fleet:previous"] == shops.old


def test_a_count_that_differs_is_adjusted(shops: Shops) -> None:
    sent(shops)
    assert outcome(run(shops, shops.write(count=0))) is CallOutcome.DONE
    assert shops.service()["desiredCount"] == 0


def test_what_a_hand_set_is_left_as_it_is(shops: Shops) -> None:
    by_hand = shops.set_by_hand()
    shops.asked.clear()
    result = run(shops, shops.write())
    assert outcome(result) is CallOutcome.BY_HAND
    assert result.written[0].runs == by_hand
    assert shops.actions(*WRITES) == []


def test_what_a_hand_set_is_overwritten_when_a_person_asked_for_it(shops: Shops) -> None:
    by_hand = shops.set_by_hand()
    assert outcome(run(shops, shops.write(overwrite=True))) is CallOutcome.DONE
    assert shops.tags()["fleet:previous"] == by_hand


def test_a_service_that_is_gone_is_not_made_again_unasked(shops: Shops) -> None:
    shops.call("DeleteService", cluster=STORE, service=SERVICE, force=True)
    shops.pass_by(60)
    assert outcome(run(shops, shops.write())) is CallOutcome.GONE
    assert "CreateService" not in shops.actions()


def fresh(shops: Shops, store: str = STORE) -> ServiceWrite:
    """A write to a shop that has no such service."""
    request = service_input(SHAPE, cluster=store, task_definition="", desired_count=1)
    name = "vision-new"
    return shops.write(
        store=store, service=name, previous="", request={**request, "serviceName": name}
    )


def test_a_service_that_was_never_there_is_made_with_its_tags(shops: Shops) -> None:
    result = run(shops, fresh(shops))
    assert outcome(result) is CallOutcome.DONE
    (body,) = [body for action, body in shops.asked if action == "CreateService"]
    assert body["taskDefinition"] == result.registered[NEW.content]
    assert {"key": "fleet:rollout", "value": "ro-1"} in body["tags"]
    assert body["launchType"] == "EXTERNAL"


def test_a_service_that_was_made_is_not_made_twice(shops: Shops) -> None:
    run(shops, fresh(shops))
    assert outcome(run(shops, fresh(shops))) is CallOutcome.DONE
    assert shops.actions("CreateService") == ["CreateService"]


def test_a_reply_that_was_lost_after_the_call_is_asked_for_again(shops: Shops) -> None:
    shops.fail("UpdateService", "ConnectionReset", when="after")
    assert outcome(run(shops, shops.write())) is CallOutcome.DONE
    assert len(shops.service()["deployments"]) <= 2
    assert shops.runs() != shops.old


def test_no_answer_at_all_is_lost(shops: Shops) -> None:
    shops.fail("UpdateService", "ConnectionReset", count=9)
    result = run(shops, shops.write())
    assert outcome(result) is CallOutcome.LOST
    assert result.trouble == ""


def test_a_refusal_says_what_aws_said_and_holds_nobody_else_up(shops: Shops) -> None:
    shops.fail("TagResource", "InvalidParameterException")
    result = run(shops, shops.write(), shops.write(store=STORES[1]))
    assert sorted(one.outcome for one in result.written) == [CallOutcome.DONE, CallOutcome.REFUSED]
    refused = next(one for one in result.written if one.outcome is CallOutcome.REFUSED)
    assert "this fault was asked for" in refused.words


def test_a_call_that_was_cut_off_after_its_tags_is_made_by_the_next_job(shops: Shops) -> None:
    shops.fail("UpdateService", "ConnectionReset", count=9)
    run(shops, shops.write())
    assert shops.tags()["fleet:content"] == NEW.content
    shops.chain.plane.faults.clear()
    assert outcome(run(shops, shops.write())) is CallOutcome.DONE
    assert shops.tags()["fleet:previous"] == shops.old


def test_expired_credentials_are_the_trouble_of_the_whole_account(shops: Shops) -> None:
    shops.fail("DescribeServices", "ExpiredTokenException", count=99)
    result = run(shops, *(shops.write(store=store) for store in STORES))
    assert "expired" in result.trouble.lower()
    assert result.hint
    assert result.written == ()


def test_what_was_done_before_the_credentials_expired_is_told(shops: Shops) -> None:
    job = shops.job(shops.write())
    done = run_shard_job(shops.open_access, job)
    shops.fail("UpdateService", "ExpiredTokenException", count=99)
    result = run(shops, shops.write(), shops.write(store=STORES[1]), known=done.registered)
    assert [(one.store, one.outcome) for one in result.written] == [(STORE, CallOutcome.DONE)]
    assert result.trouble


def test_a_call_that_nobody_may_make_is_trouble_and_not_the_fault_of_a_store(shops: Shops) -> None:
    shops.fail("UpdateService", "AccessDeniedException", count=99)
    result = run(shops, shops.write())
    assert result.written == ()
    assert "UpdateService" in result.trouble


def test_nothing_is_sent_when_the_release_cannot_be_registered(shops: Shops) -> None:
    shops.fail("RegisterTaskDefinition", "ClientException", count=9)
    result = run(shops, shops.write())
    [written] = result.written
    assert written.outcome is CallOutcome.REJECTED
    assert "RegisterTaskDefinition" in written.words
    assert result.trouble == ""
    assert shops.actions(*WRITES) == []


def test_a_log_group_is_made_before_the_release_is_registered(shops: Shops) -> None:
    shops.fail("CreateLogGroup", "AccessDeniedException", count=9)
    result = run(shops, shops.write(), log_groups=(LogGroup("/fleet/unseen", 30),))
    assert "CreateLogGroup" in result.trouble
    assert "RegisterTaskDefinition" not in shops.actions()


def test_a_store_goes_back_to_what_it_ran(shops: Shops) -> None:
    target = sent(shops)
    assert outcome(run(shops, back(shops, target))) is CallOutcome.DONE
    assert shops.runs() == shops.old


def test_going_back_twice_is_once(shops: Shops) -> None:
    target = sent(shops)
    run(shops, back(shops, target))
    shops.asked.clear()
    assert outcome(run(shops, back(shops, target))) is CallOutcome.ALREADY
    assert shops.actions(*WRITES) == []


def test_what_a_hand_set_meanwhile_is_not_set_back(shops: Shops) -> None:
    target = sent(shops)
    shops.set_by_hand()
    assert outcome(run(shops, back(shops, target))) is CallOutcome.BY_HAND


def test_a_service_that_is_gone_cannot_be_set_back(shops: Shops) -> None:
    target = sent(shops)
    shops.call("DeleteService", cluster=STORE, service=SERVICE, force=True)
    shops.pass_by(60)
    assert outcome(run(shops, back(shops, target))) is CallOutcome.GONE


def test_a_service_that_the_rollout_made_is_deleted_again(shops: Shops) -> None:
    target = run(shops, fresh(shops)).registered[NEW.content]
    undo = replace(fresh(shops), kind=ActionKind.UNDO, target=target)
    assert outcome(run(shops, undo)) is CallOutcome.DONE
    assert "DeleteService" in shops.actions()


def test_a_service_that_somebody_changed_is_not_deleted(shops: Shops) -> None:
    target = sent(shops)
    shops.set_by_hand()
    assert outcome(run(shops, back(shops, target, previous=""))) is CallOutcome.BY_HAND
    assert "DeleteService" not in shops.actions()


def test_a_look_reads_services_and_hosts_and_nothing_else(shops: Shops) -> None:
    instance = shops.chain.hosts[f"{STORE}/cam-1"]
    result = run(shops, reads=(StoreRead(STORE, STORE, (SERVICE,)),))
    view = result.views[STORE]
    assert [s.name for s in view.services or ()] == [SERVICE]
    assert [i.agent_connected for i in view.instances or ()] == [True]
    assert (view.tasks, view.deployments) == (None, None)
    assert instance.ecs_agent.connected
    assert not {"ListTasks", "DescribeTasks"} & set(shops.actions())


def test_a_host_whose_link_is_cut_is_seen_to_be_away(shops: Shops) -> None:
    shops.chain.cut(STORE)
    shops.pass_by(300)
    view = run(shops, reads=(StoreRead(STORE, STORE, (SERVICE,)),)).views[STORE]
    assert [i.agent_connected for i in view.instances or ()] == [False]


def test_a_quiet_store_is_not_asked_for_what_has_stopped(shops: Shops) -> None:
    shops.pass_by(120)
    view = run(shops, reads=(StoreRead(STORE, STORE, (SERVICE,), tasks=True),)).views[STORE]
    assert len(view.tasks or ()) == 1
    assert view.deployments == {}


def test_records_of_deployments_are_read_where_they_are_asked_for(shops: Shops) -> None:
    read = StoreRead(STORE, STORE, (SERVICE,), tasks=True, records=True)
    view = run(shops, reads=(read,)).views[STORE]
    assert [r.task_definition for r in (view.deployments or {})[SERVICE]] == [shops.old]


def test_a_store_that_cannot_be_read_is_a_problem_of_its_own(shops: Shops) -> None:
    shops.fail("DescribeServices", "InvalidParameterException")
    reads = tuple(StoreRead(store, store, (SERVICE,)) for store in STORES)
    result = run(shops, reads=reads)
    problems = [view.problem for view in result.views.values() if view.problem]
    assert len(problems) == 1
    assert len(result.views) == len(STORES)
    assert result.trouble == ""


def test_a_service_that_does_not_exist_is_not_in_the_view(shops: Shops) -> None:
    view = run(shops, reads=(StoreRead(STORE, STORE, ("kiosk-arm64",)),)).views[STORE]
    assert (view.services, view.problem) == ((), "")


def test_reads_come_before_writes(shops: Shops) -> None:
    run(shops, shops.write(), reads=(StoreRead(STORES[1], STORES[1], (SERVICE,)),))
    first = next(body for action, body in shops.asked if action == "DescribeServices")
    assert first["cluster"] == STORES[1]


def test_jobs_and_results_are_plain_values(shops: Shops) -> None:
    job = shops.job(shops.write(), reads=(StoreRead(STORE, STORE, (SERVICE,)),))
    result = run_shard_job(shops.open_access, job)
    assert pickle.loads(pickle.dumps(job)) == job  # noqa: S301 - our own
    assert pickle.loads(pickle.dumps(result)) == result  # noqa: S301 - our own


def test_a_job_without_anything_to_do_asks_nothing(shops: Shops) -> None:
    result = run(shops)
    assert shops.asked == []
    assert (result.views, result.written, result.trouble) == ({}, (), "")


def test_a_survey_asks_only_whether_the_hosts_are_connected(shops: Shops) -> None:
    asked = run(shops, reads=(StoreRead(STORE, STORE, ()),)).views[STORE]
    assert asked.instances
    assert asked.services is None
    assert shops.actions("DescribeServices") == []


def test_a_store_that_cannot_be_surveyed_is_no_problem_of_its_turn(shops: Shops) -> None:
    shops.fail("DescribeContainerInstances", "InvalidParameterException")
    view = run(shops, reads=(StoreRead(STORE, STORE, ()),)).views[STORE]
    assert (view.problem, view.services, view.instances) == ("", None, None)


def test_alarms_that_may_not_be_read_are_said_and_stop_nothing_else(shops: Shops) -> None:
    shops.chain.plane.faults.add("monitoring", "DescribeAlarms", "AccessDenied", 403)

    result = run(
        shops,
        reads=(StoreRead(STORE, STORE, (SERVICE,)),),
        signals=SignalsRead(("errors",)),
    )

    assert (result.trouble, list(result.views)) == ("", [STORE])
    assert "cloudwatch:DescribeAlarms" in result.signals.alarms_unread
    assert result.signals.metrics_unread == ""


def test_alarms_and_metrics_are_read_for_a_job(shops: Shops) -> None:
    at = shops.now().replace(minute=0, second=0)
    query = MetricQuery("k", "Shops", "Errors", (("Store", "s"),), "Sum", 300, at)

    result = run(shops, signals=SignalsRead(("none",), (query,)))

    assert result.signals == SignalsSeen()


def test_a_series_that_cannot_be_read_says_why(shops: Shops) -> None:
    query = MetricQuery("k", "Shops", "Errors", (("Store", "s"),), "Maximum", 60, shops.now())
    ends = shops.now() + timedelta(minutes=5)
    asked = SignalsRead(series=(query,), series_end=ends)

    assert run(shops, signals=asked).signals == SignalsSeen()
    shops.chain.plane.faults.add("monitoring", "GetMetricData", "AccessDenied", 403)
    assert "cloudwatch:GetMetricData" in run(shops, signals=asked).signals.series_unread
