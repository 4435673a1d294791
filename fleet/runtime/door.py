"""The way from a process to AWS; opened where the work is done, on this machine or another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.aws.session import Shard
from fleet.model.clock import Clock
from fleet.model.inventory import Account


@dataclass(frozen=True, slots=True)
class Door:
    """What a shard job needs of the process that it runs in.

    Attributes:
        clock: the run's time.
        shard: an account and region at AWS.
        budget: the plain state of a shard's call budget, to travel with its lease.
        restore: sets the budget of a shard to such a state, unless it is empty.
    """

    clock: Clock
    shard: Callable[[Account, str], Shard]
    budget: Callable[[Account, str], Mapping[str, Any]]
    restore: Callable[[Account, str, Mapping[str, Any]], None]


#: Opens the door of the process that it is called in. For a Dask cluster it is a function that
#: can be imported there.
DoorOpener = Callable[[], Door]
