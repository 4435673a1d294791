"""The way of one process to AWS: its clock, its shards, and the call budgets that go with them."""

import os
import threading
from collections.abc import Mapping
from typing import Any

from fleet.aws.session import AwsAccess
from fleet.model.buckets import ShardBudget, call_share
from fleet.model.budget import Budget
from fleet.model.inventory import Account
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
    share = call_share(os.environ.get("FLEET_CALL_SHARE"))
    budgets: dict[tuple[str, str], ShardBudget] = {}

    def budget(account_id: str, region: str) -> Budget:
        return budgets.setdefault((account_id, region), ShardBudget(share=share))

    def state(account: Account, region: str) -> Mapping[str, Any]:
        own = budgets.get((account.account_id, region))
        return own.state() if own is not None else {}

    def restore(account: Account, region: str, told: Mapping[str, Any]) -> None:
        own = budgets.setdefault((account.account_id, region), ShardBudget(share=share))
        if told:
            own.restore(told, clock.now())

    access = AwsAccess(clock, budgets=budget)
    return Door(clock=clock, shard=access.shard, budget=state, restore=restore)
