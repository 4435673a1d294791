from datetime import UTC, datetime
from typing import Any

import pytest

from fleet.aws.calls import CallCounter
from fleet.aws.session import AwsAccess, Shard
from fleet.aws.store_view import read_store
from fleet.errors import AwsError, AwsUnreachable, CredentialsError, Throttled
from fleet.model.services import StoreView
from tests.aws import bodies
from tests.aws.canned import Answer, Canned, fault, reply, reset
from tests.aws.conftest import ACCOUNT, REGION, Open, SandboxTime
from tests.sandbox.control_plane.rig import Rig
from tests.sandbox.control_plane.works import STORE, Shops


def view(shard: Shard, *names: str, **more: Any) -> StoreView:
    return read_store(shard, STORE, STORE, services=list(names) or None, **more)


EXPIRED = fault("ExpiredTokenException", "The security token included in the request is expired")


def test_a_shallow_view_costs_two_calls_and_leaves_unread_what_it_did_not_ask(
    rig: Rig, shops: Shops, sandbox_time: SandboxTime
) -> None:
    shops.host()
    shops.create()
    counter = CallCounter()
    with AwsAccess(sandbox_time, on_call=counter) as access:
        seen = view(access.shard(ACCOUNT, REGION), "vision")
    assert counter.attempts == {"ecs:DescribeClusters": 1, "ecs:DescribeServices": 1}
    assert seen.services is not None
    assert [service.name for service in seen.services] == ["vision"]
    assert (seen.instances, seen.tasks, seen.deployments, seen.problem) == (None, None, None, "")


def test_a_store_without_a_cluster_has_nothing_and_no_problem(shard: Shard) -> None:
    seen = read_store(shard, STORE, "nowhere", services=["vision"])
    assert (seen.cluster, seen.services, seen.problem) == (None, (), "")
    assert (seen.instances, seen.tasks, seen.deployments) == (None, None, None)


def test_a_view_is_as_old_as_its_oldest_part(canned: Canned, open_shard: Open) -> None:
    first, second = "Sun, 22 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 12:05:00 GMT"
    canned.answers = [
        reply({"clusters": [bodies.CLUSTER]}, date=second),
        reply({"services": []}, date=first),
    ]
    assert view(open_shard(), "a").at == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "InvalidParameterException", "ServerException"]
)
def test_what_aws_refuses_of_one_store_is_its_problem(
    canned: Canned, open_shard: Open, code: str
) -> None:
    status = 500 if code == "ServerException" else 400
    canned.answers = [reply({"clusters": [bodies.CLUSTER]}), fault(code, "no", status)]
    seen = view(open_shard(), "vision")
    assert "ecs:DescribeServices" in seen.problem
    assert (seen.services, seen.tasks) == (None, None)
    assert seen.at == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_a_half_answer_is_a_problem_and_no_finding(canned: Canned, open_shard: Open) -> None:
    canned.answers = [
        reply({"clusters": [bodies.CLUSTER]}),
        reply({"services": [], "failures": [{"arn": "arn:a", "reason": "ACCESS_DENIED"}]}),
    ]
    seen = view(open_shard(), "vision")
    assert "ACCESS_DENIED" in seen.problem
    assert seen.services is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (EXPIRED, CredentialsError),
        (fault("ThrottlingException", "Rate exceeded"), Throttled),
        (reset, AwsUnreachable),
    ],
    ids=["expired", "throttled", "no answer"],
)
def test_what_concerns_the_whole_account_is_raised(
    canned: Canned, open_shard: Open, answer: Answer, kind: type[AwsError]
) -> None:
    canned.answers = [reply({"clusters": [bodies.CLUSTER]}), answer]
    with pytest.raises(kind):
        view(open_shard(), "vision")


def test_expired_credentials_end_it_at_once(canned: Canned, open_shard: Open) -> None:
    canned.answers = [EXPIRED]
    with pytest.raises(CredentialsError, match="expired"):
        view(open_shard(), "vision")
    assert len(canned.asked) == 1
