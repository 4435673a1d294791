import json
from typing import Any

import pytest

from fleet.aws.budget import Budget
from fleet.aws.calls import CallCounter, Timeouts
from fleet.aws.services import create_service, delete_service, describe_services, update_service
from fleet.aws.session import AwsAccess, Shard
from fleet.aws.tags import tag_resource
from fleet.errors import AccessDenied, AwsError, AwsUnreachable, CredentialsError, Throttled
from fleet.model.rates import ECS_SERVICE_MODIFY
from fleet.model.services import ServiceState
from tests.aws import bodies
from tests.aws.canned import Answer, Canned, fault, html, reply, reset
from tests.aws.conftest import ACCOUNT, REGION, Open, SandboxTime
from tests.sandbox.control_plane.rig import Rig
from tests.sandbox.control_plane.works import STORE, Shops, configuration

TAGS = {"fleet:rollout": "ro-118", "fleet:content": "c0ffee"}
TOKEN = "ro-118/store-042/vision"
LOST = [("ConnectionReset", 500), ("ServerException", 500)]
PASSING = [
    fault("ThrottlingException", "Rate exceeded"),
    fault("ServerException", status=503),
    html(502),
    reset,
    reply(b'{"service": {', length=1000),
]


def request(shops: Shops, **more: Any) -> dict[str, Any]:
    return {
        "cluster": STORE,
        "serviceName": "vision",
        "taskDefinition": shops.definition(),
        "launchType": "EXTERNAL",
        "desiredCount": 1,
        "deploymentConfiguration": configuration(count=1),
        **more,
    }


def seen(shard: Shard) -> ServiceState:
    (found,) = describe_services(shard, STORE, ["vision"]).value
    return found


@pytest.fixture
def running(shard: Shard, shops: Shops) -> ServiceState:
    """A service that runs its first revision."""
    shops.host()
    create_service(shard, request(shops), {}, token=TOKEN)
    shops.settle()
    return seen(shard)


def test_a_service_is_made_with_its_tags(shard: Shard, shops: Shops) -> None:
    shops.host()
    made = create_service(shard, request(shops), TAGS, token=TOKEN)
    shops.settle()
    assert (made.value.name, made.value.cluster, made.value.status) == ("vision", STORE, "ACTIVE")
    assert (seen(shard).tags, seen(shard).running) == (TAGS, 1)


@pytest.mark.parametrize(("code", "status"), LOST)
def test_a_service_is_made_once_when_the_answer_was_lost(
    shard: Shard, shops: Shops, code: str, status: int
) -> None:
    shops.host()
    shops.rig.plane.faults.add("ecs", "CreateService", code, status, when="after")
    made = create_service(shard, request(shops), TAGS, token=TOKEN)
    assert made.value.arn == seen(shard).arn
    assert len(seen(shard).deployments) == 1


def test_equal_intents_have_equal_tokens_and_others_others(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [reply({"service": bodies.service()})]
    shard = open_shard()
    for token in (TOKEN, TOKEN, "ro-119/store-042/vision"):
        create_service(shard, {"cluster": STORE, "serviceName": "a"}, {}, token=token)
    first, again, other = (json.loads(body)["clientToken"] for body in canned.bodies)
    assert first == again != other
    assert len(first) <= 36


def test_a_service_of_that_name_that_is_another_is_an_error(
    shard: Shard, shops: Shops, running: ServiceState
) -> None:
    with pytest.raises(AwsError, match="not idempotent") as raised:
        create_service(shard, request(shops, desiredCount=3), {}, token="other")
    assert raised.value.code == "InvalidParameterException"


def test_an_update_starts_one_deployment_and_tags_the_service(
    shard: Shard, shops: Shops, running: ServiceState
) -> None:
    new = shops.definition("vision:2")
    tags = {**TAGS, "fleet:previous": running.task_definition}
    told = update_service(shard, running, task_definition=new, tags=tags)
    assert told.value.task_definition == new
    assert [one.status for one in told.value.deployments] == ["PRIMARY", "ACTIVE"]
    assert told.at.timestamp() == shops.rig.clock.now()
    shops.settle()
    assert (seen(shard).tags, seen(shard).running) == (tags, 1)


@pytest.mark.parametrize(("code", "status"), LOST)
def test_an_update_whose_answer_was_lost_starts_no_second_deployment(
    shard: Shard, shops: Shops, running: ServiceState, code: str, status: int
) -> None:
    shops.rig.plane.faults.add("ecs", "UpdateService", code, status, when="after")
    new = shops.definition("vision:2")
    update_service(shard, running, task_definition=new, tags=TAGS)
    shops.settle()
    assert [record["status"] for record in shops.records()] == ["SUCCESSFUL", "SUCCESSFUL"]


def test_the_same_update_again_changes_nothing(
    shard: Shard, shops: Shops, running: ServiceState
) -> None:
    new = shops.definition("vision:2")
    for _ in range(3):
        update_service(
            shard,
            running,
            task_definition=new,
            tags=TAGS,
            desired_count=1,
            settings={"deploymentConfiguration": configuration(count=1)},
        )
    shops.settle()
    assert len(shops.records()) == 2


def test_the_tags_say_what_ran_before_even_if_the_update_never_came(
    shard: Shard, shops: Shops, running: ServiceState
) -> None:
    shops.rig.plane.faults.add("ecs", "UpdateService", "ClientException", 400)
    tags = {"fleet:previous": running.task_definition}
    with pytest.raises(AwsError):
        update_service(shard, running, task_definition="vision:1", tags=tags)
    assert (seen(shard).tags, seen(shard).task_definition) == (tags, running.task_definition)


def test_nothing_is_updated_when_the_tags_could_not_be_set(
    shard: Shard, shops: Shops, running: ServiceState
) -> None:
    new = shops.definition("vision:2")
    shops.rig.plane.faults.add("ecs", "TagResource", "AccessDeniedException", 400)
    with pytest.raises(AccessDenied, match="ecs:TagResource"):
        update_service(shard, running, task_definition=new, tags=TAGS)
    assert seen(shard).task_definition == running.task_definition


def test_a_count_is_set_only_when_it_is_given(canned: Canned, open_shard: Open) -> None:
    canned.answers = [reply({"service": bodies.service()})]
    shard = open_shard()
    service = ServiceState(STORE, "vision", "arn", "ACTIVE", "", "DAEMON", 0, 0, 0)
    update_service(shard, service, task_definition="t", tags={})
    update_service(shard, service, task_definition="t", tags={}, desired_count=0)
    assert [json.loads(body).get("desiredCount", "unsaid") for body in canned.bodies] == [
        "unsaid",
        0,
    ]
    assert not any(b"forceNewDeployment" in body for body in canned.bodies)


def test_a_forced_deployment_is_refused_before_anything_is_sent(
    canned: Canned, open_shard: Open
) -> None:
    service = ServiceState(STORE, "vision", "arn", "ACTIVE", "", "REPLICA", 1, 1, 0)
    force = {"forceNewDeployment": True}
    with pytest.raises(ValueError, match="forces no deployments"):
        update_service(open_shard(), service, task_definition="t", tags=TAGS, settings=force)
    assert canned.asked == []


def test_settings_cannot_send_the_update_to_another_service(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [reply({"service": bodies.service()})]
    service = ServiceState(STORE, "vision", "arn", "ACTIVE", "", "REPLICA", 1, 1, 0)
    elsewhere = {"cluster": "other", "service": "other", "taskDefinition": "other"}
    update_service(open_shard(), service, task_definition="t", tags={}, settings=elsewhere)
    (sent,) = map(json.loads, canned.bodies)
    assert (sent["cluster"], sent["service"], sent["taskDefinition"]) == (STORE, "vision", "t")


def test_a_service_that_was_deleted_meanwhile_says_so(
    shard: Shard, shops: Shops, running: ServiceState
) -> None:
    new = shops.definition("vision:2")
    assert delete_service(shard, STORE, "vision", force=True)
    shops.settle()
    with pytest.raises(AwsError) as raised:
        update_service(shard, running, task_definition=new, tags={})
    assert raised.value.code in {"ServiceNotActiveException", "ServiceNotFoundException"}


def test_deleting_what_is_not_there_is_no_error(shard: Shard, shops: Shops) -> None:
    shops.host()
    assert not delete_service(shard, STORE, "nothing", force=True)
    assert not delete_service(shard, "nowhere", "nothing", force=True)


def test_a_deletion_whose_answer_was_lost_is_asked_for_again(
    shard: Shard, shops: Shops, running: ServiceState
) -> None:
    shops.rig.plane.faults.add("ecs", "DeleteService", "ConnectionReset", when="after")
    delete_service(shard, STORE, "vision", force=True)
    shops.settle()
    assert seen(shard).status == "INACTIVE"


def test_a_service_that_wants_tasks_is_not_deleted_without_force(
    shard: Shard, shops: Shops, running: ServiceState
) -> None:
    with pytest.raises(AwsError, match="InvalidParameterException"):
        delete_service(shard, STORE, "vision", force=False)
    assert seen(shard).status == "ACTIVE"


def test_tags_are_set_beside_the_ones_that_are_there(shard: Shard, running: ServiceState) -> None:
    tag_resource(shard, running.arn, {"a": "1", "b": "2"})
    tag_resource(shard, running.arn, {"b": "3"})
    tag_resource(shard, running.arn, {})
    assert seen(shard).tags == {"a": "1", "b": "3"}


@pytest.mark.parametrize("answer", [reply({"service": {}}), reply({"service": 5})])
def test_an_answer_that_makes_no_sense_is_an_error(
    canned: Canned, open_shard: Open, answer: Answer
) -> None:
    canned.answers = [answer]
    with pytest.raises(AwsError, match="ecs:CreateService"):
        create_service(open_shard(), {"cluster": STORE, "serviceName": "a"}, {}, token=TOKEN)


def test_every_change_outlives_passing_failures(canned: Canned, open_shard: Open) -> None:
    done = reply({"service": bodies.service()})
    shard = open_shard()
    service = ServiceState(STORE, "vision", "arn", "ACTIVE", "", "REPLICA", 1, 1, 0)
    canned.answers = [*PASSING, done]
    create_service(shard, {"cluster": STORE, "serviceName": "a"}, {}, token=TOKEN)
    canned.answers = [*PASSING, done]
    update_service(shard, service, task_definition="t", tags={})
    canned.answers = [*PASSING, done]
    assert delete_service(shard, STORE, "a", force=True)
    assert len(canned.asked) == 3 * (len(PASSING) + 1)


def test_an_update_that_hangs_is_asked_for_again(canned: Canned, open_shard: Open) -> None:
    canned.answers = [canned.hang, reply({"service": bodies.service()})]
    service = ServiceState(STORE, "vision", "arn", "ACTIVE", "", "REPLICA", 1, 1, 0)
    update_service(open_shard(timeouts=Timeouts(read_s=0.1)), service, task_definition="t", tags={})
    assert len(canned.asked) == 2


@pytest.mark.parametrize(
    ("answer", "kind", "calls"),
    [
        (fault("ExpiredTokenException"), CredentialsError, 1),
        (fault("AccessDeniedException"), AccessDenied, 1),
        (fault("ThrottlingException"), Throttled, 6),
        (reset, AwsUnreachable, 6),
    ],
    ids=["expired", "denied", "throttled", "lost"],
)
def test_a_change_that_cannot_be_made_says_why(
    canned: Canned, open_shard: Open, answer: Answer, kind: type[AwsError], calls: int
) -> None:
    canned.answers = [answer]
    service = ServiceState(STORE, "vision", "arn", "ACTIVE", "", "REPLICA", 1, 1, 0)
    with pytest.raises(kind, match="ecs:UpdateService"):
        update_service(open_shard(), service, task_definition="t", tags={})
    assert len(canned.asked) == calls


def test_an_update_costs_one_call_of_the_slow_bucket(
    rig: Rig, shops: Shops, sandbox_time: SandboxTime
) -> None:
    shops.host()
    shops.create("vision")
    counter = CallCounter()
    with AwsAccess(sandbox_time, on_call=counter) as access:
        shard = access.shard(ACCOUNT, REGION)
        update_service(shard, seen(shard), task_definition="vision:1", tags=TAGS)
    assert counter.attempts["ecs:UpdateService"] == 1
    assert sum(counter.attempts.values()) == 3


def test_at_full_share_nothing_is_throttled_and_the_slow_bucket_is_used_up(
    rig: Rig, shops: Shops, sandbox_time: SandboxTime
) -> None:
    rig.ecs("CreateCluster", clusterName=STORE)
    shops.create("vision", desiredCount=0)
    revisions = [shops.definition(f"vision:{number}") for number in range(2)]
    rig.plane.throttling = True
    counter, budget = CallCounter(), Budget(share=1.0)
    with AwsAccess(sandbox_time, on_call=counter, budgets=lambda *_: budget) as access:
        shard = access.shard(ACCOUNT, REGION)
        service = seen(shard)
        began = sandbox_time.now()
        for number in range(60):
            wanted = revisions[number % 2]
            update_service(shard, service, task_definition=wanted, tags=TAGS)
    took = (sandbox_time.now() - began).total_seconds()
    assert counter.throttles == {}
    assert 60 / took >= 0.9 * ECS_SERVICE_MODIFY.refill
    sandbox_time.sleep(1)
    assert budget.used(sandbox_time.now())["ecs service modify"].calls == 60
