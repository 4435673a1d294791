"""One AWS call from asking the budget to the last attempt: botocore tries once, tenacity again."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_exception
from tenacity.wait import wait_random_exponential

from fleet.aws.budget import Budget, Wait
from fleet.aws.faults import Caller, Fault, Kind, fault_of
from fleet.errors import AwsError
from fleet.model.aws_actions import Action
from fleet.model.clock import Clock


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that was made; what the ``on_call`` hook is given.

    Attributes:
        action: as in ``ecs:PutAttributes``.
        number: 1 for the first attempt of a call.
        failure: None when AWS did as asked, else what the failure says about the call:
            ``throttled``, ``not sent``, ``unknown outcome`` or ``refused``.
        code: AWS's error code, or "".
        waited_s: how long the call budget made it wait, in seconds of the handed clock.
        why: which limit it waited for; "" when it did not wait.
    """

    account: str
    region: str
    action: str
    number: int
    failure: str | None
    code: str
    waited_s: float
    why: str


class CallCounter:
    """Counts attempts and throttles per action; give it as ``on_call``. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempts: Counter[str] = Counter()
        self._throttles: Counter[str] = Counter()

    def __call__(self, attempt: Attempt) -> None:
        """Count one attempt."""
        with self._lock:
            self._attempts[attempt.action] += 1
            if attempt.failure == Kind.THROTTLED:
                self._throttles[attempt.action] += 1

    def state(self) -> dict[str, dict[str, int]]:
        """Both counts as plain values, to be sent from where the calls were made."""
        return {"attempts": self.attempts, "throttles": self.throttles}

    def add(self, state: Mapping[str, Mapping[str, int]]) -> None:
        """Count also what another counter's ``state`` says."""
        with self._lock:
            self._attempts.update(state["attempts"])
            self._throttles.update(state["throttles"])

    @property
    def attempts(self) -> dict[str, int]:
        """Requests made, by action."""
        with self._lock:
            return dict(self._attempts)

    @property
    def throttles(self) -> dict[str, int]:
        """Requests that AWS throttled, by action."""
        with self._lock:
            return dict(self._throttles)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call is tried.

    Attributes:
        attempts: most requests for one call.
        total_s: after this many seconds of the handed clock no further attempt begins.
        first_wait_s: upper end of the first random wait; doubles with each attempt.
        longest_wait_s: upper end of any wait.
    """

    attempts: int = 6
    total_s: float = 90.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What AWS answered.

    Attributes:
        body: the parsed reply.
        at: AWS's own time of it, from the ``Date`` header, aware UTC.
    """

    body: Mapping[str, Any]
    at: datetime


class _Failed(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault.error))
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Line:
    """What the calls of one account and region have in common."""

    account: str
    region: str
    clock: Clock
    budget: Budget | None
    on_call: Callable[[Attempt], None] | None
    patience: Patience


def send(
    line: Line, action: Action, describe: Callable[[], Caller], request: Callable[[], Any]
) -> Reply:
    """Make one call: wait for the budget, send, and repeat what may be repeated.

    Args:
        describe: who calls and where, for messages; asked when something failed.
        request: sends the request through botocore and returns its parsed reply.

    Raises:
        CredentialsError, AccessDenied, AwsError: AWS refused; not repeated.
        Throttled: still throttled after every attempt.
        AwsUnreachable: no usable answer after every attempt, or after the first one when the
            action must not be sent twice; its outcome is unknown then.
    """
    call = _Call(line, action, describe, request)
    retrying = Retrying(
        sleep=line.clock.sleep,
        stop=call.worn_out,
        wait=wait_random_exponential(
            multiplier=line.patience.first_wait_s, max=line.patience.longest_wait_s
        ),
        retry=retry_if_exception(
            lambda error: isinstance(error, _Failed) and error.fault.repeatable(action)
        ),
        reraise=True,
    )
    try:
        body = retrying(call.attempt)
    except _Failed as failed:
        raise _told(failed.fault, call.number) from None
    return Reply(body, _date(body) or line.clock.now())


class _Call:
    """One call and its attempts so far."""

    def __init__(
        self,
        line: Line,
        action: Action,
        describe: Callable[[], Caller],
        request: Callable[[], Any],
    ) -> None:
        self.line = line
        self.action = action
        self.describe = describe
        self.request = request
        self.number = 0
        self.deadline: datetime | None = None

    def worn_out(self, state: RetryCallState) -> bool:
        """Whether the next attempt would be one too many, or begin too late."""
        wakes = self.line.clock.now() + timedelta(seconds=state.upcoming_sleep)
        late = self.deadline is not None and wakes > self.deadline
        return late or self.number >= self.line.patience.attempts

    def attempt(self) -> Any:
        """Wait for the budget, then send once; raises ``_Failed`` with what went wrong."""
        self.number += 1
        wait = self._reserve()
        if self.deadline is None:
            # Standing in line for the budget is no fault of AWS and costs no patience.
            self.deadline = self.line.clock.now() + timedelta(seconds=self.line.patience.total_s)
        try:
            body = self.request()
        except Exception as error:
            fault = fault_of(error, self.action, self.describe())
            if fault is None:
                raise
            if fault.kind is Kind.THROTTLED and self.line.budget is not None:
                self.line.budget.throttled(self.action.rate, self.line.clock.now())
            self._tell(wait, fault)
            # Cut off from the error itself: botocore's exceptions carry whole replies.
            raise _Failed(fault) from None
        self._tell(wait, None)
        return body

    def _reserve(self) -> Wait:
        if self.line.budget is None:
            return Wait(0.0)
        wait = self.line.budget.reserve(self.action.rate, self.line.clock.now())
        if wait.seconds > 0:
            self.line.clock.sleep(wait.seconds)
        return wait

    def _tell(self, wait: Wait, fault: Fault | None) -> None:
        if self.line.on_call is None:
            return
        self.line.on_call(
            Attempt(
                account=self.line.account,
                region=self.line.region,
                action=self.action.id,
                number=self.number,
                failure=fault.kind.value if fault else None,
                code=fault.error.code if fault else "",
                waited_s=wait.seconds,
                why=wait.why,
            )
        )


def _told(fault: Fault, attempts: int) -> AwsError:
    """The error of the last attempt, saying how many there were."""
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
