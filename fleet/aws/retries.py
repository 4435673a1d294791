"""Makes one AWS call, from the wait for the budget to the last attempt.

botocore makes one attempt at a time; tenacity repeats it.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_exception
from tenacity.wait import wait_random_exponential

from fleet.aws.budget import Wait
from fleet.aws.calls import Attempt, CallSettings, Failure, Reply
from fleet.aws.faults import CallContext, Fault, fault_of
from fleet.errors import AwsError
from fleet.model.aws_actions import Action


class _Failed(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault.error))
        self.fault = fault


def send(
    line: CallSettings,
    action: Action,
    describe: Callable[[], CallContext],
    request: Callable[[], Any],
) -> Reply:
    """Wait for the budget, send, and repeat what may be repeated.

    Args:
        describe: returns who calls and where, for messages about a failure.
        request: sends the request once through botocore and returns the parsed reply.

    Raises:
        CredentialsError, AccessDenied, AwsError: AWS refused; not repeated.
        Throttled: still throttled after every attempt.
        AwsUnreachable: no usable answer after every attempt, or after the first one when the
            action must not be sent twice; its outcome is unknown then.
    """
    call = _Call(line, action, describe, request)
    retrying = Retrying(
        sleep=line.clock.sleep,
        stop=call.is_over,
        wait=wait_random_exponential(
            multiplier=line.patience.first_wait_s, max=line.patience.longest_wait_s
        ),
        retry=retry_if_exception(
            lambda error: isinstance(error, _Failed) and error.fault.may_repeat(action)
        ),
        reraise=True,
    )
    try:
        body = retrying(call.attempt)
    except _Failed as failed:
        raise _with_attempts(failed.fault, call.number) from None
    return Reply(body, _date(body) or line.clock.now())


class _Call:
    """One call and its attempts so far."""

    def __init__(
        self,
        line: CallSettings,
        action: Action,
        describe: Callable[[], CallContext],
        request: Callable[[], Any],
    ) -> None:
        self.line = line
        self.action = action
        self.describe = describe
        self.request = request
        self.number = 0
        self.deadline: datetime | None = None

    def is_over(self, state: RetryCallState) -> bool:
        """Say whether the next attempt would be one too many, or begin too late."""
        wakes = self.line.clock.now() + timedelta(seconds=state.upcoming_sleep)
        late = self.deadline is not None and wakes > self.deadline
        return late or self.number >= self.line.patience.attempts

    def attempt(self) -> Any:
        """Wait for the budget, then send once; raises ``_Failed`` with what went wrong."""
        self.number += 1
        wait = self._reserve()
        if self.deadline is None:
            # The wait for the budget does not count: AWS is not slow then.
            self.deadline = self.line.clock.now() + timedelta(seconds=self.line.patience.total_s)
        try:
            body = self.request()
        except Exception as error:
            fault = fault_of(error, self.action, self.describe())
            if fault is None:
                raise
            if fault.kind is Failure.THROTTLED and self.line.budget is not None:
                self.line.budget.throttled(self.action.rate, self.line.clock.now())
            self._report(wait, fault)
            # Without its cause: botocore's exceptions hold whole replies.
            raise _Failed(fault) from None
        self._report(wait, None)
        return body

    def _reserve(self) -> Wait:
        if self.line.budget is None:
            return Wait(0.0)
        wait = self.line.budget.reserve(self.action.rate, self.line.clock.now())
        if wait.seconds > 0:
            self.line.clock.sleep(wait.seconds)
        return wait

    def _report(self, wait: Wait, fault: Fault | None) -> None:
        if self.line.on_call is None:
            return
        self.line.on_call(
            Attempt(
                account=self.line.account,
                region=self.line.region,
                action=self.action.id,
                number=self.number,
                failure=fault.kind if fault else None,
                code=fault.error.code if fault else "",
                waited_s=wait.seconds,
                why=wait.why,
            )
        )


def _with_attempts(fault: Fault, attempts: int) -> AwsError:
    """Return the error of the last attempt, with the number of attempts in its message."""
    error = fault.error
    if attempts > 1:
        error.args = (f"{error.args[0]}, after {attempts} attempts",)
    return error


def _date(body: Any) -> datetime | None:
    headers = body.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        return None
