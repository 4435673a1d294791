"""The way of one process to AWS: its clock, its shards, and the call budgets that go with them."""

import os
import threading

from fleet.aws.budget import Budgets
from fleet.aws.session import AwsAccess
from fleet.model.rates import call_share
from fleet.runtime.clock import clock_from_environment
from fleet.runtime.door import Door

_LOCK = threading.Lock()
_OPEN: dict[tuple[str, ...], Door] = {}
#: What a door depends on; another value of one of them opens another door.
_DEPENDS_ON = ("AWS_ENDPOINT_URL", "FLEET_CALL_SHARE", "FLEET_CLOCK")


def open_door() -> Door:
    """This process's door; the same one each time, so that its call budgets are one."""
    key = tuple(os.environ.get(name, "") for name in _DEPENDS_ON)
    with _LOCK:
        if key not in _OPEN:
            _OPEN[key] = _opened()
        return _OPEN[key]


def _opened() -> Door:
    clock = clock_from_environment()
    budgets = Budgets(clock, call_share(os.environ.get("FLEET_CALL_SHARE")))
    access = AwsAccess(clock, budgets=budgets.of)
    return Door(clock=clock, shard=access.shard, budget=budgets.state, restore=budgets.restore)
