import pytest

from fleet.sandbox.agents.session import AwsFault, LinkDown
from tests.sandbox.agents.acs_rig import BAD, GOOD, AcsRig, container, task, task_arn


def test_a_payload_becomes_a_running_task_that_aws_is_told_of(acs: AcsRig) -> None:
    message_id = acs.payload(task("t1"))
    assert acs.acknowledged() == [message_id]
    assert acs.statuses("t1") == []
    acs.clock.advance(60)
    assert acs.statuses("t1") == ["RUNNING"]
    (told,) = acs.last("t1")["containers"]
    assert told["containerName"] == "app"
    assert told["status"] == "RUNNING"
    assert len(told["runtimeId"]) == 64
    assert told["imageDigest"].startswith("sha256:")
    assert "exitCode" not in told


def test_the_pull_takes_the_time_of_the_link(acs: AcsRig) -> None:
    acs.images.tell({GOOD: {"size_mb": 300}})
    acs.run(task("t1"))
    # 80 Mbit/s are 10 MB/s.
    body = acs.last("t1")
    assert body["pullStoppedAt"] - body["pullStartedAt"] == pytest.approx(30, abs=0.1)
    assert body["cluster"] == "store-042"


def test_a_container_is_named_as_ecs_names_it(acs: AcsRig) -> None:
    acs.run(task("t1"))
    (found,) = acs.host.containers.all()
    assert found.name.startswith("ecs-vision-7-app-")
    assert found.labels["com.amazonaws.ecs.task-arn"] == task_arn("t1")
    assert found.labels["com.amazonaws.ecs.container-name"] == "app"


def test_a_repeated_payload_changes_nothing(acs: AcsRig) -> None:
    acs.run(task("t1"))
    acs.run(task("t1"))
    assert acs.statuses("t1") == ["RUNNING"]
    assert len(acs.host.containers.all()) == 1
    assert len(acs.acknowledged()) == 2


def test_a_stop_is_executed_and_told_with_the_exit_code(acs: AcsRig) -> None:
    acs.run(task("t1"))
    acs.stop("t1")
    acs.clock.advance(5)
    assert acs.statuses("t1") == ["RUNNING", "STOPPED"]
    assert acs.last("t1")["containers"][0]["exitCode"] == 0
    assert acs.last("t1")["executionStoppedAt"] == pytest.approx(acs.clock.now(), abs=5)


def test_a_container_that_ignores_sigterm_is_killed_after_the_stop_timeout(acs: AcsRig) -> None:
    acs.images.tell({GOOD: {"stop_s": 600}})
    acs.run(task("t1"))
    acs.stop("t1")
    acs.clock.advance(29)
    assert acs.statuses("t1") == ["RUNNING"]
    acs.clock.advance(2)
    assert acs.last("t1")["containers"][0]["exitCode"] == 137


def test_a_containers_own_stop_timeout_counts(acs: AcsRig) -> None:
    acs.images.tell({GOOD: {"stop_s": 600}})
    acs.run(task("t1", container(stopTimeout=5)))
    acs.stop("t1")
    acs.clock.advance(6)
    assert acs.statuses("t1") == ["RUNNING", "STOPPED"]


def test_a_second_stop_does_not_give_it_more_time(acs: AcsRig) -> None:
    acs.images.tell({GOOD: {"stop_s": 600}})
    acs.run(task("t1"))
    acs.stop("t1")
    acs.clock.advance(20)
    acs.stop("t1")
    acs.clock.advance(11)
    assert acs.statuses("t1") == ["RUNNING", "STOPPED"]


def test_a_stop_during_the_pull_ends_the_pull(acs: AcsRig) -> None:
    acs.payload(task("t1"))
    acs.clock.advance(2)
    acs.stop("t1")
    acs.clock.advance(60)
    assert acs.statuses("t1") == ["STOPPED"]
    assert acs.host.containers.images.all() == {}


def test_a_stop_of_an_unknown_task_is_told_as_done(acs: AcsRig) -> None:
    acs.stop("t9")
    assert acs.statuses("t9") == ["STOPPED"]


def test_a_crash_of_an_essential_container_ends_the_task(acs: AcsRig) -> None:
    acs.images.tell({BAD: {"run": "crash", "exit_code": 3, "after_s": 5}})
    acs.run(task("t1", container(BAD), container(GOOD, "sidecar")), seconds=120)
    assert acs.statuses("t1") == ["RUNNING", "STOPPED"]
    codes = {c["containerName"]: c["exitCode"] for c in acs.last("t1")["containers"]}
    assert codes == {"app": 3, "sidecar": 0}
    assert acs.running() == []


def test_a_sidecars_end_is_told_a_little_later_and_the_task_runs_on(acs: AcsRig) -> None:
    acs.images.tell({BAD: {"run": "crash", "exit_code": 0, "after_s": 10}})
    acs.run(task("t1", container(GOOD), container(BAD, "init", essential=False)), seconds=120)
    assert acs.statuses("t1") == ["RUNNING", "RUNNING"]
    states = {c["containerName"]: c["status"] for c in acs.last("t1")["containers"]}
    assert states == {"app": "RUNNING", "init": "STOPPED"}
    assert acs.running() == [GOOD]


def test_an_image_that_cannot_be_pulled_ends_the_task_before_it_ran(acs: AcsRig) -> None:
    acs.images.tell({BAD: {"pull": "missing"}})
    acs.run(task("t1", container(BAD), container(GOOD, "other")))
    assert acs.statuses("t1") == ["STOPPED"]
    told = {c["containerName"]: c for c in acs.last("t1")["containers"]}
    assert told["app"]["reason"].startswith("CannotPullImageManifestError: ")
    assert "exitCode" not in told["other"]
    assert acs.host.containers.all() == []


def test_a_host_port_that_is_taken_keeps_a_task_from_starting(acs: AcsRig) -> None:
    port = [{"containerPort": 80, "hostPort": 8080, "protocol": "tcp"}]
    acs.run(task("t1", container(portMappings=port)))
    acs.run(task("t2", container(portMappings=port)))
    assert acs.last("t1")["containers"][0]["networkBindings"][0]["hostPort"] == 8080
    assert acs.statuses("t2") == ["STOPPED"]
    assert "port is already allocated" in acs.last("t2")["containers"][0]["reason"]


def test_a_restart_policy_brings_a_container_back_without_aws(acs: AcsRig) -> None:
    acs.images.tell({BAD: {"run": "crash", "after_s": 90}})
    policy = {"enabled": True, "restartAttemptPeriod": 60}
    acs.run(task("t1", container(BAD, restartPolicy=policy)))
    acs.host.set_conditions({"cut_by": ["store"]})
    acs.clock.advance(300)
    assert acs.running() == [BAD]
    assert acs.statuses("t1") == ["RUNNING"]


@pytest.mark.parametrize(
    "policy",
    [
        {"enabled": True, "restartAttemptPeriod": 120},
        {"enabled": True, "restartAttemptPeriod": 60, "ignoredExitCodes": [1]},
        {"enabled": False},
    ],
)
def test_a_restart_policy_that_does_not_apply_lets_the_task_end(
    acs: AcsRig, policy: dict[str, object]
) -> None:
    acs.images.tell({BAD: {"run": "crash", "after_s": 90}})
    acs.run(task("t1", container(BAD, restartPolicy=policy)), seconds=200)
    assert acs.statuses("t1") == ["RUNNING", "STOPPED"]


def test_a_task_that_cannot_be_parsed_is_told_stopped_and_the_payload_not_acknowledged(
    acs: AcsRig,
) -> None:
    acs.run(task("bad", {"image": "x"}), task("t1"))
    assert acs.acknowledged() == []
    assert acs.last("bad")["reason"].startswith("UnrecogniedTaskError: ")
    assert "containers" not in acs.last("bad")
    assert acs.statuses("t1") == ["RUNNING"]


def test_a_crash_during_an_outage_is_told_after_it(acs: AcsRig) -> None:
    acs.images.tell({BAD: {"run": "crash", "after_s": 100}})
    acs.run(task("t1", container(BAD)))
    acs.host.set_conditions({"cut_by": ["store"]})
    acs.clock.advance(3600)
    assert acs.statuses("t1") == ["RUNNING"]
    assert acs.running() == []
    acs.host.set_conditions({"cut_by": []})
    acs.clock.advance(301)
    assert acs.statuses("t1") == ["RUNNING", "STOPPED"]


def test_an_agent_that_restarts_keeps_its_containers_and_repeats_nothing(acs: AcsRig) -> None:
    acs.run(task("t1"))
    before = acs.host.containers.all()[0]
    acs.host.ecs_agent.stop()
    acs.host.ecs_agent.start()
    acs.clock.advance(60)
    assert acs.host.containers.all() == [before]
    assert acs.statuses("t1") == ["RUNNING"]


def test_a_crash_without_an_agent_is_told_by_the_next_one(acs: AcsRig) -> None:
    acs.images.tell({BAD: {"run": "crash", "after_s": 100, "exit_code": 9}})
    acs.run(task("t1", container(BAD)))
    acs.host.ecs_agent.stop()
    acs.clock.advance(200)
    assert acs.statuses("t1") == ["RUNNING"]
    acs.host.ecs_agent.start()
    acs.clock.advance(10)
    assert acs.last("t1")["containers"][0]["exitCode"] == 9


def test_what_was_not_told_when_the_agent_ended_is_told_by_the_next_one(acs: AcsRig) -> None:
    acs.payload(task("t1"))
    acs.aws.failures = [LinkDown("cut")] * 1000
    acs.clock.advance(60)
    acs.host.ecs_agent.stop()
    acs.aws.failures = []
    acs.host.ecs_agent.start()
    acs.clock.advance(10)
    assert acs.statuses("t1") == ["RUNNING"]


def test_a_pull_that_an_agents_end_broke_off_begins_anew(acs: AcsRig) -> None:
    acs.payload(task("t1"))
    acs.clock.advance(2)
    acs.host.ecs_agent.stop()
    acs.clock.advance(60)
    assert acs.host.containers.images.all() == {}
    acs.host.ecs_agent.start()
    acs.clock.advance(60)
    assert acs.statuses("t1") == ["RUNNING"]


def test_after_a_reboot_containers_are_down_and_that_is_told(acs: AcsRig) -> None:
    acs.run(task("t1"))
    acs.host.reboot()
    assert acs.running() == []
    acs.clock.advance(30)
    assert acs.statuses("t1") == ["RUNNING", "STOPPED"]


def test_after_a_reboot_without_a_link_nothing_comes_back(acs: AcsRig) -> None:
    policy = {"enabled": True, "restartAttemptPeriod": 60}
    acs.run(task("t1", container(restartPolicy=policy)), seconds=400)
    acs.host.set_conditions({"cut_by": ["store"]})
    acs.host.reboot()
    acs.clock.advance(7200)
    assert acs.running() == []
    assert acs.statuses("t1") == ["RUNNING"]


def test_tasks_are_as_they_were_after_the_sandbox_came_back(acs: AcsRig) -> None:
    acs.images.tell({BAD: {"run": "crash", "after_s": 100}})
    acs.run(task("t1"), task("t2", container(BAD)))
    acs.again()
    assert acs.running() == [GOOD, BAD]
    acs.clock.advance(100)
    assert acs.running() == [GOOD]
    assert acs.statuses("t2") == ["RUNNING", "STOPPED"]


def test_stopped_tasks_and_their_containers_are_removed_after_hours(acs: AcsRig) -> None:
    acs.run(task("t1"))
    acs.stop("t1")
    acs.clock.advance(3 * 3600 - 60)
    assert len(acs.host.containers.all()) == 1
    acs.clock.advance(120)
    assert acs.host.containers.all() == []
    assert acs.host.ecs_agent.tasks.tasks() == []


def test_a_task_that_aws_does_not_know_to_have_stopped_is_not_forgotten(acs: AcsRig) -> None:
    acs.run(task("t1"))
    acs.stop("t1")
    acs.aws.failures = [AwsFault("ServerException", "no", 500)] * 2000
    acs.clock.advance(6 * 3600)
    assert len(acs.host.ecs_agent.tasks.tasks()) == 1


def test_a_running_task_leaves_nothing_to_do(acs: AcsRig) -> None:
    before = len(acs.schedule)
    acs.run(task("t1"), task("t2"))
    assert len(acs.schedule) == before


def test_without_its_state_the_agent_knows_no_tasks_and_orphans_run_on(acs: AcsRig) -> None:
    acs.run(task("t1"))
    acs.host.ecs_agent.stop()
    del acs.memory["/var/lib/ecs/data/agent.db"]
    acs.host.ecs_agent.start()
    acs.clock.advance(60)
    assert acs.host.ecs_agent.tasks.tasks() == []
    assert acs.running() == [GOOD]


def test_saved_tasks_that_cannot_be_read_are_orphans_and_do_not_stop_the_agent(
    acs: AcsRig,
) -> None:
    acs.run(task("t1"))
    acs.host.ecs_agent.stop()
    name = "/var/lib/ecs/data/agent.db"
    acs.memory[name] = acs.memory[name].replace('"parts"', '"pieces"')
    acs.host.ecs_agent.start()
    acs.clock.advance(5)
    assert acs.host.ecs_agent.connected
    assert acs.running() == [GOOD]
    assert "orphans" in acs.log()
