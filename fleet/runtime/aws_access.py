"""The access of one process to AWS: its clock, its shards, and the call budgets of the shards."""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.aws.budget import Budgets
from fleet.aws.session import AwsAccess, Shard
from fleet.model.clock import Clock
from fleet.model.inventory import Account
from fleet.model.rates import call_share
from fleet.runtime.clock import clock_from_environment


@dataclass(frozen=True, slots=True)
class ShardAccess:
    """What a shard job needs of the process that it runs in.

    Attributes:
        clock: the run's clock.
        shard: returns the clients of an account and region.
        budget: returns the plain state of a shard's call budget, which is kept with its lease.
        restore: sets the budget of a shard to such a state; an empty state changes nothing.
    """

    clock: Clock
    shard: Callable[[Account, str], Shard]
    budget: Callable[[Account, str], Mapping[str, Any]]
    restore: Callable[[Account, str, Mapping[str, Any]], None]


#: Opens the access of the process that calls it. A Dask worker must be able to import it.
OpenShardAccess = Callable[[], ShardAccess]

_LOCK = threading.Lock()
_OPEN: dict[tuple[str, ...], ShardAccess] = {}
#: The environment variables that an access depends on; each set of values has its own.
_DEPENDS_ON = ("AWS_ENDPOINT_URL", "FLEET_CALL_SHARE", "FLEET_CLOCK")


def open_shard_access() -> ShardAccess:
    """Return the access of this process; always the same one, so that call budgets are shared."""
    key = tuple(os.environ.get(name, "") for name in _DEPENDS_ON)
    with _LOCK:
        if key not in _OPEN:
            _OPEN[key] = _opened()
        return _OPEN[key]


def _opened() -> ShardAccess:
    clock = clock_from_environment()
    budgets = Budgets(clock, call_share(os.environ.get("FLEET_CALL_SHARE")))
    access = AwsAccess(clock, budgets=budgets.of)
    return ShardAccess(
        clock=clock, shard=access.shard, budget=budgets.state, restore=budgets.restore
    )
