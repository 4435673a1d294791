from itertools import pairwise

import pytest

from fleet.sandbox.agents.outbox import NoCredentials
from fleet.sandbox.agents.session import AwsFault, LinkDown
from tests.sandbox.agents.acs_rig import AcsRig, task, task_arn

SERVER = AwsFault("ServerException", "no", 500)
THROTTLED = AwsFault("ThrottlingException", "Rate exceeded")


@pytest.mark.parametrize("error", [LinkDown("cut"), SERVER, THROTTLED])
def test_an_event_is_sent_again_with_waits_that_grow_to_five_minutes(
    acs: AcsRig, error: Exception
) -> None:
    acs.aws.failures = [error] * 30
    acs.run(task("t1"), seconds=7200)
    assert acs.statuses("t1") == ["RUNNING"]
    waits = [
        float(line.split("next try in ")[1].split()[0])
        for line in acs.log().splitlines()
        if "not sent" in line
    ]
    assert waits[0] <= 0.1
    assert max(waits) == 300
    assert all(before <= after for before, after in pairwise(waits[1:]))


@pytest.mark.parametrize(
    "error", [AwsFault("ExpiredTokenException", "expired"), NoCredentials("no credentials found")]
)
def test_other_refusals_are_asked_again_within_half_a_minute(acs: AcsRig, error: Exception) -> None:
    acs.aws.failures = [error] * 20
    acs.run(task("t1"), seconds=20 * 30 + 60)
    assert acs.statuses("t1") == ["RUNNING"]


def test_an_event_that_aws_finds_invalid_is_dropped_and_the_next_one_sent(acs: AcsRig) -> None:
    acs.aws.failures = [AwsFault("InvalidParameterException", "unknown task")]
    acs.run(task("t1"))
    acs.stop("t1")
    acs.clock.advance(5)
    assert acs.statuses("t1") == ["STOPPED"]
    assert "dropped: InvalidParameterException" in acs.log()


def test_events_of_a_task_keep_their_order_through_an_outage(acs: AcsRig) -> None:
    acs.images.tell({"vision:2": {"run": "crash", "after_s": 60}})
    acs.aws.failures = [LinkDown("cut")] * 14
    acs.run(task("t1", {"name": "app", "image": "vision:2"}), seconds=3600)
    assert acs.statuses("t1") == ["RUNNING", "STOPPED"]


def test_a_task_that_aws_refuses_does_not_hold_up_another(acs: AcsRig) -> None:
    acs.aws.deaf_to.add(task_arn("t1"))
    acs.run(task("t1"), task("t2"))
    assert (acs.statuses("t1"), acs.statuses("t2")) == ([], ["RUNNING"])
