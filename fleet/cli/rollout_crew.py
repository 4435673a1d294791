"""Who ticks a rollout from a command: in whose name, with which executor, and who listens."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from fleet.errors import AwsError
from fleet.model.rollout import RolloutEvent
from fleet.rollout.tick import TickContext
from fleet.runtime.aws_access import open_shard_access
from fleet.runtime.executor import open_executor
from fleet.runtime.lease import owner_name
from fleet.runtime.ledgers import check_caller
from fleet.runtime.wiring import Wiring


@contextmanager
def crew(
    wiring: Wiring,
    *,
    what: str,
    run_id: str,
    caller: str,
    tell: Callable[[RolloutEvent], None],
    warn: Callable[[str], None],
) -> Iterator[TickContext]:
    """A crew whose shard jobs run where ``FLEET_EXECUTOR`` says.

    Args:
        what: the command, as leases name it.

    Raises:
        UsageError: ``FLEET_EXECUTOR`` makes no sense.
        FleetError: the cluster does not answer.
    """
    with open_executor(os.environ.get("FLEET_EXECUTOR"), wiring.workers) as executor:
        yield TickContext(
            wiring=wiring,
            executor=executor,
            open_access=open_shard_access,
            owner=owner_name(what),
            run_id=run_id,
            caller=caller,
            tell=tell,
            warn=warn,
        )


def callers(wiring: Wiring, shards: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The ARNs that we are in these (account name, region) pairs; one call per account.

    An account that the inventory does not have any more is left out.

    Raises:
        CredentialsError: the credentials of one are missing, expired, or of another account.
        AwsError: AWS could not be asked.
    """
    one_each = dict(sorted(set(shards), reverse=True))
    known = wiring.fleet.accounts

    def ask(account: str) -> str:
        return check_caller(wiring.shard(known[account], one_each[account])).value.arn

    with ThreadPoolExecutor(wiring.workers) as pool:
        return tuple(pool.map(ask, sorted(account for account in one_each if account in known)))


def fleet_callers(wiring: Wiring, *, tell: Callable[[str], None]) -> tuple[str, ...]:
    """Who we are in the fleet's accounts. One that refuses us must not keep the others waiting.

    Args:
        tell: told of each account that does.

    Raises:
        AwsError: all of them do; what the last one said.
    """
    shards = dict(sorted((store.account.name, store.region) for store in wiring.fleet.stores))
    arns: list[str] = []
    refused: AwsError | None = None
    for account, region in sorted(shards.items()):
        try:
            arns += callers(wiring, [(account, region)])
        except AwsError as error:
            tell(f"{account}/{region}: {error}; what is to be done there waits")
            refused = error
    if refused is not None and not arns:
        raise refused
    return tuple(arns)
