import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from fleet.aws.interning import Interner
from fleet.aws.session import AwsAccess, Shard
from fleet.aws.tasks import read_tasks, scan_tasks
from tests.aws import bodies
from tests.aws.canned import Canned, reply
from tests.aws.conftest import ACCOUNT, REGION, Open, SandboxTime
from tests.sandbox.control_plane.works import STORE, Shops, configuration


@pytest.fixture
def interner() -> Interner:
    return Interner()


@pytest.fixture
def asked(sandbox_time: SandboxTime) -> Iterator[Shard]:
    """A shard of its own, whose calls are counted from nothing."""
    with AwsAccess(sandbox_time) as access:
        yield access.shard(ACCOUNT, REGION)


def calls(shard: Shard) -> dict[str, int]:
    """Calls by name, without those that looked at the cluster first."""
    return {
        action.partition(":")[2]: count
        for action, count in shard.counter.attempts.items()
        if action != "ecs:DescribeClusters"
    }


def test_tasks_that_run_cost_two_calls_and_stopped_ones_one_more(
    asked: Shard, shops: Shops, interner: Interner
) -> None:
    shops.host()
    shops.create("vision")
    shops.settle()
    (running,) = scan_tasks(asked, STORE, stopped=False, interner=interner).value
    assert running.last_status == "RUNNING"
    assert calls(asked) == {"ListTasks": 1, "DescribeTasks": 1}
    scan_tasks(asked, STORE, stopped=True, interner=interner)
    assert calls(asked) == {"ListTasks": 3, "DescribeTasks": 2}


def test_tasks_are_read_with_what_became_of_their_containers(shard: Shard, shops: Shops) -> None:
    shops.fate["vision:2"] = "crash"
    worker = shops.host()
    shops.create(deploymentConfiguration=configuration(count=1))
    shops.settle()
    shops.update(taskDefinition=shops.definition("vision:2"))
    shops.settle()
    seen = read_tasks(shard, STORE, "vision").value
    ages = [task.created_at.timestamp() for task in seen if task.created_at]
    assert ages == sorted(ages, reverse=True)
    failed = next(task for task in seen if task.stop_code == "EssentialContainerExited")
    assert (failed.last_status, failed.desired_status) == ("STOPPED", "STOPPED")
    assert [(one.name, one.exit_code) for one in failed.containers] == [("app", 1)]
    assert failed.started_at is not None
    assert failed.stopped_at is not None
    alive = next(task for task in seen if task.last_status == "RUNNING")
    assert (alive.service, alive.container_instance_arn) == ("vision", worker.host.arn)
    assert alive.containers[0].image_digest == "sha256:1"
    assert alive.containers[0].exit_code is None


def test_tasks_of_one_service_are_told_from_those_of_another(shard: Shard, shops: Shops) -> None:
    shops.host()
    shops.create("vision")
    shops.create("telemetry")
    shops.settle()
    assert {t.service for t in read_tasks(shard, STORE, None).value} == {"vision", "telemetry"}
    assert {t.service for t in read_tasks(shard, STORE, "vision").value} == {"vision"}


def test_more_tasks_than_a_call_takes_are_all_read(canned: Canned, open_shard: Open) -> None:
    running = [f"arn:r{n}" for n in range(100)]
    stopped = [f"arn:s{n}" for n in range(30)]
    canned.answers = [
        reply({"taskArns": running, "nextToken": "t"}),
        reply({"taskArns": ["arn:r100"]}),
        # One that was told to stop between the two listings is in both.
        reply({"taskArns": ["arn:r100", *stopped]}),
        reply({"tasks": []}),
    ]
    read_tasks(open_shard(), STORE, None)
    sent = [json.loads(body) for body in canned.bodies]
    assert [one.get("desiredStatus") for one in sent[:3]] == ["RUNNING", "RUNNING", "STOPPED"]
    assert [len(one["tasks"]) for one in sent[3:]] == [100, 31]


def test_a_task_that_no_service_started_belongs_to_none(canned: Canned, open_shard: Open) -> None:
    lone = bodies.task(group="family:vision")
    canned.answers = [
        reply({"taskArns": ["arn"]}),
        reply({"taskArns": []}),
        reply({"tasks": [lone], "failures": [{"arn": "arn:gone", "reason": "MISSING"}]}),
    ]
    (seen,) = read_tasks(open_shard(), STORE, None).value
    assert seen.service == ""


def test_what_a_container_says_cannot_write_to_the_terminal(
    canned: Canned, open_shard: Open
) -> None:
    container = {"name": "app", "lastStatus": "STOPPED", "reason": "\x1b[2Jgone\r\n"}
    canned.answers = [
        reply({"taskArns": ["arn"]}),
        reply({"taskArns": []}),
        reply({"tasks": [bodies.task(stoppedReason="\x1b]0;x\x07", containers=[container])]}),
    ]
    (seen,) = read_tasks(open_shard(), STORE, None).value
    assert (seen.stopped_reason, seen.containers[0].reason) == ("]0;x", "[2Jgone")


def test_a_task_tells_since_when_it_is_to_stop(canned: Canned, open_shard: Open) -> None:
    both = [bodies.task(stoppingAt=1_790_000_000.5), bodies.task()]
    canned.answers = [
        reply({"taskArns": ["arn"]}),
        reply({"taskArns": []}),
        reply({"tasks": both}),
    ]
    seen = read_tasks(open_shard(), STORE, None).value
    since = datetime.fromtimestamp(1_790_000_000.5, UTC)
    assert {task.stopping_at for task in seen} == {since, None}
