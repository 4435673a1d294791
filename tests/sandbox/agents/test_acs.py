import pytest

from tests.sandbox.agents.acs_rig import ARN, CLUSTER_ARN, AcsRig, task, task_arn


def listed(*names: str, desired: str = "RUNNING") -> list[dict[str, str]]:
    return [
        {"taskArn": task_arn(n), "taskClusterArn": CLUSTER_ARN, "desiredStatus": desired}
        for n in names
    ]


def asked(acs: AcsRig) -> list[list[str]]:
    return [
        [each["taskArn"] for each in message["stopCandidates"]]
        for kind, message in acs.aws.heard
        if kind == "TaskStopVerificationMessage"
    ]


def test_a_manifest_with_all_tasks_is_only_acknowledged(acs: AcsRig) -> None:
    acs.run(task("t1"))
    message_id = acs.say("TaskManifestMessage", timeline=5, tasks=listed("t1"))
    assert message_id in acs.acknowledged()
    assert asked(acs) == []


def test_a_manifest_that_lacks_a_task_makes_it_a_stop_candidate_and_stops_nothing(
    acs: AcsRig,
) -> None:
    acs.run(task("t1"), task("t2"))
    acs.say("TaskManifestMessage", timeline=5, tasks=listed("t1"))
    acs.clock.advance(60)
    assert asked(acs) == [[task_arn("t2")]]
    assert len(acs.running()) == 2


def test_a_task_listed_as_stopped_is_a_candidate_too(acs: AcsRig) -> None:
    acs.run(task("t1"))
    acs.say("TaskManifestMessage", timeline=5, tasks=listed("t1", desired="STOPPED"))
    assert asked(acs) == [[task_arn("t1")]]


def test_verified_candidates_are_stopped(acs: AcsRig) -> None:
    acs.run(task("t1"), task("t2"))
    message_id = acs.say("TaskManifestMessage", timeline=5, tasks=[])
    acs.say("TaskStopVerificationAck", messageId=message_id, stopTasks=listed("t2"))
    acs.clock.advance(10)
    assert acs.statuses("t1") == ["RUNNING"]
    assert acs.statuses("t2") == ["RUNNING", "STOPPED"]


def test_a_verification_counts_once_and_for_what_was_asked_only(acs: AcsRig) -> None:
    acs.run(task("t1"), task("t2"))
    message_id = acs.say("TaskManifestMessage", timeline=5, tasks=listed("t1"))
    acs.say("TaskStopVerificationAck", messageId=message_id, stopTasks=listed("t1"))
    acs.say("TaskStopVerificationAck", messageId=message_id, stopTasks=listed("t2"))
    acs.clock.advance(10)
    assert len(acs.running()) == 2


@pytest.mark.parametrize("timeline", [4, 5])
def test_a_manifest_that_is_not_newer_is_discarded_without_a_word(
    acs: AcsRig, timeline: int
) -> None:
    acs.run(task("t1"))
    acs.say("TaskManifestMessage", timeline=5, tasks=listed("t1"))
    said = len(acs.aws.heard)
    acs.say("TaskManifestMessage", timeline=timeline, tasks=[])
    assert len(acs.aws.heard) == said


def test_a_payloads_number_counts_against_later_manifests_and_never_against_payloads(
    acs: AcsRig,
) -> None:
    acs.say("PayloadMessage", seqNum=9, tasks=[task("t1")])
    said = len(acs.aws.heard)
    acs.say("TaskManifestMessage", timeline=9, tasks=[])
    assert len(acs.aws.heard) == said
    assert acs.say("PayloadMessage", seqNum=2, tasks=[task("t2")]) in acs.acknowledged()


def test_the_number_of_a_manifest_is_kept_over_a_restart(acs: AcsRig) -> None:
    acs.say("TaskManifestMessage", timeline=5, tasks=[])
    acs.again()
    said = len(acs.aws.heard)
    acs.say("TaskManifestMessage", timeline=5, tasks=[])
    assert len(acs.aws.heard) == said


@pytest.mark.parametrize("name", ["messageId", "clusterArn", "containerInstanceArn"])
def test_a_payload_without_its_heading_is_dropped_without_an_answer(acs: AcsRig, name: str) -> None:
    acs.say("PayloadMessage", **{name: ""}, tasks=[task("t1")])
    acs.clock.advance(60)
    assert acs.aws.heard == []
    assert acs.running() == []
    assert f"a payload without {name} was dropped" in acs.log()


def test_an_unknown_message_is_logged_and_ignored(acs: AcsRig) -> None:
    acs.say("PerformUpdateMessage")
    assert acs.aws.heard == []
    assert "PerformUpdateMessage is not known" in acs.log()


def test_a_heartbeat_is_answered_within_the_delivery(acs: AcsRig) -> None:
    assert acs.aws.deliver is not None
    acs.aws.deliver("HeartbeatMessage", {"messageId": "h1", "healthy": True})
    assert acs.aws.heard == [("HeartbeatAckRequest", {"messageId": "h1"})]


def test_an_acknowledgement_names_cluster_and_instance(acs: AcsRig) -> None:
    acs.run(task("t1"))
    assert acs.aws.heard[0] == (
        "AckRequest",
        {"cluster": "store-042", "containerInstance": ARN, "messageId": "m0"},
    )
