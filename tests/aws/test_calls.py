import json
import logging
import re
import traceback
from datetime import UTC, datetime
from typing import Any

import pytest

from fleet.aws.activations import create_activation, delete_activation
from fleet.aws.budget import Budget, Wait
from fleet.aws.calls import Attempt, CallCounter, Patience, Timeouts
from fleet.aws.clusters import describe_clusters
from fleet.errors import AccessDenied, AwsError, AwsUnreachable, CredentialsError, Throttled
from fleet.model.rates import Rate
from fleet.model.secret import Secret
from tests.aws.canned import DATE, Answer, Canned, fault, html, reply, reset
from tests.aws.conftest import HandClock, Open

CODE = "hunter2hunter2hunter2"
NONE = reply({"clusters": [], "failures": []})
MADE = reply({"ActivationId": "6f1e1ab9-2d1c-4c3d-9f0a-0b6f6a6d2a11", "ActivationCode": CODE})
THROTTLE = fault("ThrottlingException", "Rate exceeded")
PASSING = [
    pytest.param(THROTTLE, id="throttle"),
    pytest.param(fault("TooManyUpdates"), id="too many updates"),
    pytest.param(fault("ServerException", status=500), id="500"),
    pytest.param(fault("ServiceUnavailable", status=503), id="503"),
    pytest.param(html(500), id="html 500"),
    pytest.param(html(502), id="html 502"),
    pytest.param(reset, id="reset"),
    pytest.param(reply(b'{"clusters": [', length=1000), id="cut off"),
]


def activate(open_shard: Open, **options: Any) -> Secret:
    _, code = create_activation(
        open_shard(**options),
        role="ecsAnywhereRole",
        name="store-042/cam-1",
        expires_in_s=3600,
        tags={},
        now=datetime(2026, 11, 22, tzinfo=UTC),
    )
    return code


@pytest.mark.parametrize("failure", PASSING)
def test_a_read_outlives_a_passing_failure(
    canned: Canned, open_shard: Open, failure: Answer
) -> None:
    canned.answers = [failure, failure, NONE]
    assert describe_clusters(open_shard(), ["store-042"]).value == {}
    assert len(canned.asked) == 3


@pytest.mark.parametrize("failure", PASSING)
def test_an_idempotent_write_outlives_a_passing_failure(
    canned: Canned, open_shard: Open, failure: Answer
) -> None:
    canned.answers = [failure, reply({})]
    assert delete_activation(open_shard(), "a-1")


@pytest.mark.parametrize(
    "failure", [THROTTLE, fault("TooManyUpdates")], ids=["throttle", "too many updates"]
)
def test_an_activation_is_asked_for_again_when_it_was_refused(
    canned: Canned, open_shard: Open, failure: Answer
) -> None:
    canned.answers = [failure, MADE]
    assert activate(open_shard).reveal() == CODE


@pytest.mark.parametrize("failure", PASSING[2:])
def test_an_activation_is_never_asked_for_again_when_the_outcome_is_unknown(
    canned: Canned, open_shard: Open, failure: Answer
) -> None:
    canned.answers = [failure, MADE]
    with pytest.raises(AwsUnreachable, match="whether AWS acted is unknown") as raised:
        activate(open_shard)
    assert len(canned.asked) == 1
    assert "run the same command" in str(raised.value.hint)


def test_an_activation_that_hangs_is_not_asked_for_again(canned: Canned, open_shard: Open) -> None:
    canned.answers = [canned.hang]
    with pytest.raises(AwsUnreachable, match="no answer in time; whether AWS acted is unknown"):
        activate(open_shard, timeouts=Timeouts(read_s=0.1))
    assert len(canned.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        reply({}),
        reply({"ActivationId": "a-1"}),
        reply({"ActivationId": 7, "ActivationCode": CODE}),
        reply(f'{{"ActivationCode": "{CODE}'.encode()),
        reply(f"<code>{CODE}</code>".encode()),
    ],
)
def test_an_answer_without_an_activation_is_an_unknown_outcome_and_shows_no_code(
    canned: Canned, open_shard: Open, answer: Answer
) -> None:
    canned.answers = [answer]
    with pytest.raises(AwsUnreachable, match="whether AWS") as raised:
        activate(open_shard)
    shown = "".join(traceback.format_exception(raised.value)) + str(raised.value.hint)
    assert CODE not in shown


def test_the_code_is_in_no_log_however_much_is_logged(
    canned: Canned, open_shard: Open, caplog: pytest.LogCaptureFixture
) -> None:
    canned.answers = [MADE]
    logging.getLogger("botocore").setLevel(logging.NOTSET)
    caplog.set_level(logging.DEBUG)
    assert activate(open_shard).reveal() == CODE
    assert "urllib3" in caplog.text
    assert CODE not in caplog.text


def test_a_connection_that_never_came_to_be_is_tried_again_even_for_an_activation(
    monkeypatch: pytest.MonkeyPatch, credentials: None, clock: HandClock, open_shard: Open
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    counter = CallCounter()
    with pytest.raises(AwsUnreachable, match=r"no connection to AWS .*after 3 attempts") as raised:
        activate(open_shard, patience=Patience(attempts=3), on_call=counter)
    assert counter.attempts == {"ssm:CreateActivation": 3}
    assert "nothing was sent" in str(raised.value.hint)


def test_a_throttle_that_does_not_end_is_named_with_the_attempts(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [THROTTLE]
    with pytest.raises(Throttled, match=r"ecs:DescribeClusters .*Rate exceeded.* 6 attempts"):
        describe_clusters(open_shard(), ["store-042"])
    assert len(canned.asked) == 6


def test_an_outage_that_does_not_end_is_unreachable(canned: Canned, open_shard: Open) -> None:
    canned.answers = [html(503)]
    with pytest.raises(AwsUnreachable, match="HTTP 503, after 6 attempts") as raised:
        describe_clusters(open_shard(), ["store-042"])
    assert raised.value.operation == "ecs:DescribeClusters"


def test_no_attempt_begins_after_the_total_time(
    canned: Canned, clock: HandClock, open_shard: Open
) -> None:
    canned.answers = [THROTTLE]
    patience = Patience(attempts=1000, total_s=30.0)
    began = clock.now()
    with pytest.raises(Throttled):
        describe_clusters(open_shard(patience=patience), ["store-042"])
    assert (clock.now() - began).total_seconds() <= 30.0
    assert len(canned.asked) > 1


def test_waits_between_attempts_are_random_and_grow_to_a_limit(
    canned: Canned, clock: HandClock, open_shard: Open
) -> None:
    canned.answers = [THROTTLE]
    patience = Patience(attempts=9, total_s=1e9, first_wait_s=1.0, longest_wait_s=8.0)
    with pytest.raises(Throttled):
        describe_clusters(open_shard(patience=patience), ["store-042"])
    limits = [1, 2, 4, 8, 8, 8, 8, 8]
    assert all(0 <= wait <= most for wait, most in zip(clock.slept, limits, strict=True))
    assert len(set(clock.slept)) > 1


class Ledger(Budget):
    """A budget that makes every call wait, and remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.reserved: list[str] = []
        self.slowed: list[str] = []

    def reserve(self, rate: Rate, now: datetime) -> Wait:
        self.reserved.append(rate.group)
        return Wait(50.0, "the limit says so")

    def throttled(self, rate: Rate, now: datetime) -> None:
        self.slowed.append(rate.group)


def test_every_attempt_comes_out_of_the_budget(canned: Canned, open_shard: Open) -> None:
    budget = Ledger()
    canned.answers = [html(500), NONE]
    describe_clusters(open_shard(budgets=lambda _account, _region: budget), ["store-042"])
    assert budget.reserved == ["ecs cluster read"] * 2


def test_the_budget_is_told_of_throttles_only(canned: Canned, open_shard: Open) -> None:
    budget = Ledger()
    canned.answers = [html(500), THROTTLE, NONE]
    describe_clusters(open_shard(budgets=lambda _account, _region: budget), ["store-042"])
    assert budget.slowed == ["ecs cluster read"]


def test_a_call_is_sent_after_the_wait_that_the_budget_asks_for(
    canned: Canned, clock: HandClock, open_shard: Open
) -> None:
    canned.answers = [NONE]
    describe_clusters(open_shard(budgets=lambda _account, _region: Ledger()), ["store-042"])
    assert clock.slept == [50.0]


def test_standing_in_line_for_the_budget_costs_no_patience(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [THROTTLE, NONE]
    shard = open_shard(budgets=lambda _account, _region: Ledger(), patience=Patience(total_s=10.0))
    assert describe_clusters(shard, ["store-042"]).value == {}


def test_the_hook_sees_every_attempt_and_what_became_of_it(
    canned: Canned, open_shard: Open
) -> None:
    seen: list[Attempt] = []
    canned.answers = [THROTTLE, html(500), NONE]
    describe_clusters(open_shard(on_call=seen.append), ["store-042"])
    assert [(a.action, a.number, a.failure, a.code) for a in seen] == [
        ("ecs:DescribeClusters", 1, "throttled", "ThrottlingException"),
        ("ecs:DescribeClusters", 2, "unknown outcome", "500"),
        ("ecs:DescribeClusters", 3, None, ""),
    ]


def test_the_hook_is_told_why_a_call_waited(canned: Canned, open_shard: Open) -> None:
    seen: list[Attempt] = []
    canned.answers = [NONE]
    shard = open_shard(on_call=seen.append, budgets=lambda _account, _region: Ledger())
    describe_clusters(shard, ["store-042"])
    assert (seen[0].waited_s, seen[0].why) == (50.0, "the limit says so")


def test_the_counter_counts_calls_and_throttles_per_action(
    canned: Canned, open_shard: Open
) -> None:
    counter = CallCounter()
    canned.answers = [THROTTLE, NONE]
    describe_clusters(open_shard(on_call=counter), ["store-042"])
    assert counter.attempts == {"ecs:DescribeClusters": 2}
    assert counter.throttles == {"ecs:DescribeClusters": 1}


def test_counts_travel_as_plain_values_and_add_up(canned: Canned, open_shard: Open) -> None:
    there, here = CallCounter(), CallCounter()
    canned.answers = [THROTTLE, NONE]
    describe_clusters(open_shard(on_call=there), ["store-042"])
    for _ in range(2):
        here.add(json.loads(json.dumps(there.state())))
    assert here.state() == {
        "attempts": {"ecs:DescribeClusters": 4},
        "throttles": {"ecs:DescribeClusters": 2},
    }


def test_a_reading_has_the_time_that_aws_says(canned: Canned, open_shard: Open) -> None:
    canned.answers = [NONE]
    reading = describe_clusters(open_shard(), ["store-042"])
    assert DATE == "Sun, 22 Nov 2026 12:00:00 GMT"
    assert reading.at == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_a_reading_without_a_time_has_that_of_the_clock(
    canned: Canned, clock: HandClock, open_shard: Open, date: str | None
) -> None:
    canned.answers = [reply({"clusters": []}, date=date)]
    assert describe_clusters(open_shard(), ["store-042"]).at == clock.now()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"text"',
        b"<html>",
        b"{}",
        b'{"clusters": 5}',
        b'{"clusters": {"a": 1}}',
        b'{"clusters": [5]}',
        b'{"clusters": [{}]}',
        b'{"clusters": [{"clusterName": "x", "clusterArn": "y"}]}',
        b'{"clusters": [{"clusterName": "x", "clusterArn": "y", "status": "ACTIVE",'
        b' "registeredContainerInstancesCount": "many"}]}',
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error_not_a_finding(
    canned: Canned, open_shard: Open, body: bytes
) -> None:
    canned.answers = [reply(body)]
    with pytest.raises(AwsError, match="ecs:DescribeClusters"):
        describe_clusters(open_shard(), ["store-042"])


def test_a_refusal_is_not_tried_again_and_names_code_and_request(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [fault("InvalidParameterException", "Identifier was unexpected")]
    with pytest.raises(AwsError, match="Identifier was unexpected") as raised:
        describe_clusters(open_shard(), ["store-042"])
    assert (raised.value.code, raised.value.request_id) == (
        "InvalidParameterException",
        "request-1",
    )
    assert len(canned.asked) == 1


def test_what_aws_says_cannot_write_to_the_terminal(canned: Canned, open_shard: Open) -> None:
    canned.answers = [fault("ClientException", "\x1b[2J\x1b]0;owned\x07 gone\n\nhint: rm -rf")]
    with pytest.raises(AwsError) as raised:
        describe_clusters(open_shard(), ["store-042"])
    assert not re.search(r"[\x00-\x1f\x7f]", str(raised.value))


def test_a_missing_permission_is_named_with_who_lacks_it(canned: Canned, open_shard: Open) -> None:
    said = (
        "User: arn:aws:sts::111122223333:assumed-role/ops/ann is not authorized to perform: "
        "iam:PassRole on resource: arn:aws:iam::111122223333:role/ecsAnywhereRole"
    )
    canned.answers = [fault("AccessDeniedException", said)]
    with pytest.raises(AccessDenied, match="not allowed: iam:PassRole, which ssm:Create") as raised:
        activate(open_shard)
    assert raised.value.hint == (
        "allow iam:PassRole in the policy of arn:aws:sts::111122223333:assumed-role/ops/ann "
        "(account emea-prod)"
    )


def test_a_missing_permission_without_words_names_what_was_sent(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [fault("AccessDeniedException", "no")]
    with pytest.raises(AccessDenied, match="not allowed: ecs:DescribeClusters, in emea-prod"):
        describe_clusters(open_shard(), ["store-042"])


@pytest.mark.parametrize(
    "code", ["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"]
)
def test_credentials_that_are_not_taken_end_it_at_once(
    canned: Canned, open_shard: Open, code: str
) -> None:
    canned.answers = [fault(code, "The security token included in the request is whatever")]
    with pytest.raises(CredentialsError, match=code) as raised:
        describe_clusters(open_shard(), ["store-042"])
    assert raised.value.exit_code == 2
    assert raised.value.hint
    assert len(canned.asked) == 1


def test_a_request_that_is_too_old_points_at_the_clock(canned: Canned, open_shard: Open) -> None:
    canned.answers = [fault("InvalidSignatureException", "Signature expired: 2026 is now earlier")]
    with pytest.raises(CredentialsError) as raised:
        describe_clusters(open_shard(), ["store-042"])
    assert "clock" in str(raised.value.hint)


def test_values_that_botocore_refuses_are_not_shown(canned: Canned, open_shard: Open) -> None:
    with pytest.raises(AwsError, match="nothing was sent") as raised:
        delete_activation(open_shard(), 4711)  # type: ignore[arg-type]
    assert "4711" not in str(raised.value)
    assert canned.asked == []
