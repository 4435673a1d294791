"""Access to AWS: one ``AwsAccess`` per run, one ``Shard`` per account and region."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fleet.aws.budget import Budget
from fleet.aws.calls import Attempt, CallCounter, CallSettings, Patience, Reply, Timeouts
from fleet.errors import AwsError
from fleet.model.aws_actions import Action
from fleet.model.clock import Clock
from fleet.model.inventory import Account

if TYPE_CHECKING:
    from fleet.aws.clients import Clients


class AwsAccess:
    """Opens shards and closes them again. Thread-safe.

    Credentials and ``AWS_ENDPOINT_URL`` come from where boto3 finds them; nothing is looked up
    before the first call of a shard.

    Args:
        clock: for waits, and for ages where AWS sends no ``Date``.
        budgets: gives the call budget of an account, by its twelve digits, and a region; without
            it calls are not held back. See ``Budgets.of``.
        on_call: told of every attempt; see ``CallCounter``.
        patience: how long a call is tried.
        timeouts: of every request.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        budgets: Callable[[str, str], Budget] | None = None,
        on_call: Callable[[Attempt], None] | None = None,
        patience: Patience | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._clock = clock
        self._budgets = budgets
        self._on_call = on_call
        self._patience = patience or Patience()
        self._timeouts = timeouts or Timeouts()
        self._shards: dict[tuple[Account, str], Shard] = {}
        self._lock = threading.Lock()

    def shard(self, account: Account, region: str) -> "Shard":
        """Return the account in the region; the same object for the same two."""
        with self._lock:
            found = self._shards.get((account, region))
            if found is None:
                counter = CallCounter()
                line = CallSettings(
                    account=account.name,
                    region=region,
                    clock=self._clock,
                    budget=self._budgets(account.account_id, region) if self._budgets else None,
                    on_call=_both(counter, self._on_call),
                    patience=self._patience,
                )
                found = Shard(account, region, line, self._timeouts, counter)
                self._shards[account, region] = found
            return found

    def close(self) -> None:
        """Close every connection; the shards are of no use afterwards."""
        with self._lock:
            shards, self._shards = list(self._shards.values()), {}
        for shard in shards:
            shard.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Shard:
    """One account in one region: where clusters, nodes and AWS's call limits are. Thread-safe.

    Attributes:
        account: of the inventory; its profile is used, and its role assumed from there.
        region: as in ``eu-west-1``.
        caller_arn: who we are there, once ``get_caller_identity`` has asked; "" before.
        counter: of the calls made through it.
    """

    def __init__(
        self,
        account: Account,
        region: str,
        line: CallSettings,
        timeouts: Timeouts,
        counter: CallCounter,
    ) -> None:
        self.account = account
        self.region = region
        self.counter = counter
        self.caller_arn = ""
        self._line = line
        self._timeouts = timeouts
        self._clients: Clients | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Shard({self.account.name}, {self.region})"

    @property
    def clock(self) -> Clock:
        """Return the clock of its waits and ages."""
        return self._line.clock

    def call(self, action: Action, **parameters: Any) -> Reply:
        """Send one action; see ``retries.send`` for what is repeated and what is raised."""
        return self._boto().call(action, parameters, lambda: self.caller_arn)

    def pages(self, action: Action, **parameters: Any) -> Iterator[Reply]:
        """Send one action for every page of its answer.

        Raises:
            AwsError: besides what ``call`` raises, AWS returns the same page again.
        """
        key = "NextToken" if action.service in {"ssm", "cloudwatch"} else "nextToken"
        seen: set[str] = set()
        token: str | None = None
        while True:
            more = {key: token} if token else {}
            reply = self.call(action, **parameters, **more)
            yield reply
            token = reply.body.get(key) or None
            if token is None:
                return
            if token in seen:
                raise AwsError(
                    f"{action.id}: AWS hands out the same page again", operation=action.id
                )
            seen.add(token)

    def oldest(self, times: Sequence[datetime]) -> datetime:
        """Return the time of the oldest part of an answer; now when there was nothing to ask."""
        return min(times) if times else self.clock.now()

    def download(self, url: str, size: int) -> bytes:
        """Read the first ``size`` bytes of a signed URL; see ``Clients.download``."""
        return self._boto().download(url, size)

    def close(self) -> None:
        """Close the connections of its clients."""
        with self._lock:
            clients, self._clients = self._clients, None
        if clients is not None:
            clients.close()

    def _boto(self) -> "Clients":
        with self._lock:
            if self._clients is None:
                # Here and nowhere else: boto3 takes a quarter of a second to import.
                from fleet.aws.clients import Clients

                self._clients = Clients(self.account, self.region, self._line, self._timeouts)
            return self._clients


def _both(
    counter: CallCounter, other: Callable[[Attempt], None] | None
) -> Callable[[Attempt], None]:
    def count(attempt: Attempt) -> None:
        counter(attempt)
        if other is not None:
            other(attempt)

    return count
