"""Asks AWS who the credentials of a run are, in each account that it touches."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from fleet.errors import AwsError
from fleet.runtime.ledgers import check_caller
from fleet.runtime.wiring import Wiring


def callers(wiring: Wiring, shards: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return our ARNs in these (account name, region) pairs, with one call per account.

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
    """Return our ARNs in the fleet's accounts. One that refuses us does not stop the others.

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
