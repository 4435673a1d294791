"""Where no answer can come, nobody goes on asking."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from fleet.errors import AccessDenied, AwsError, AwsUnreachable, CredentialsError, Throttled
from fleet.model.observed import NotRead, Reading
from fleet.runtime.circuit_breaker import FAILURES_TO_OPEN, CircuitBreaker

AT = datetime(2026, 11, 23, tzinfo=UTC)


class Answers:
    """Counts how often it is asked."""

    def __init__(self, error: AwsError | None = None) -> None:
        self.error = error
        self.asked = 0

    def __call__(self) -> Reading[int]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Reading(1, AT)


@pytest.fixture
def breaker() -> CircuitBreaker:
    return CircuitBreaker()


def test_an_answer_is_passed_on(breaker: CircuitBreaker) -> None:
    assert breaker.read("services", "ecs", Answers()) == Reading(1, AT)


def test_a_failure_is_said_and_not_raised(breaker: CircuitBreaker) -> None:
    assert breaker.read("services", "ecs", Answers(AwsError("no"))) == NotRead("no")


def test_without_credentials_nothing_more_is_asked(breaker: CircuitBreaker) -> None:
    breaker.read("services", "ecs", Answers(CredentialsError("expired")))
    rest = Answers()
    assert breaker.read("nodes", "ssm", rest) == NotRead("expired")
    assert rest.asked == 0


@pytest.mark.parametrize("kind", [AccessDenied, Throttled])
def test_what_is_refused_again_and_again_is_given_up_alone(
    breaker: CircuitBreaker, kind: Callable[[str], AwsError]
) -> None:
    refused = Answers(kind("no"))
    for _ in range(FAILURES_TO_OPEN + 5):
        assert breaker.read("services", "ecs", refused) == NotRead("no")
    assert refused.asked == FAILURES_TO_OPEN
    assert isinstance(breaker.read("container instances", "ecs", Answers()), Reading)


def test_a_service_that_does_not_answer_is_given_up_as_a_whole(breaker: CircuitBreaker) -> None:
    away = Answers(AwsUnreachable("no answer"))
    for part in ("services", "container instances", "services"):
        breaker.read(part, "ecs", away)
    assert breaker.read("tasks", "ecs", Answers()) == NotRead("no answer")
    assert isinstance(breaker.read("nodes", "ssm", Answers()), Reading)


def test_an_answer_in_between_begins_the_count_anew(breaker: CircuitBreaker) -> None:
    denied, given = Answers(AccessDenied("no")), Answers()
    for _ in range(3):
        for _ in range(FAILURES_TO_OPEN - 1):
            breaker.read("services", "ecs", denied)
        assert isinstance(breaker.read("services", "ecs", given), Reading)


def test_what_is_wrong_with_one_store_stops_nobody(breaker: CircuitBreaker) -> None:
    wrong = Answers(AwsError("makes no sense"))
    for _ in range(FAILURES_TO_OPEN + 5):
        breaker.read("services", "ecs", wrong)
    assert wrong.asked == FAILURES_TO_OPEN + 5
