"""A state folder with rollouts in it, for the commands that look at them and talk to them."""

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fleet.model.changes import Change
from fleet.model.rollout import Phase, Rollout, RolloutEvent
from fleet.runtime.wiring import records_from_environment
from tests import rollouts

#: Of the rollouts here, by the machine's own clock, which the commands use.
BEGAN = datetime.now(UTC)


def begin(changes: Iterable[Change] | None = None, **parts: Any) -> Rollout:
    """Start a rollout in the records that the environment names, and move it on by one tick."""
    rows = rollouts.changes() if changes is None else tuple(changes)
    events: tuple[RolloutEvent, ...] = parts.pop("events", ())
    with records_from_environment() as records:
        begun = records.rollouts.start(
            rollouts.spec(), rows, (), caller=rollouts.CALLER, at=BEGAN, run="run-1"
        )
        ticked = replace(begun, **{"tick": 1, "updated_at": BEGAN, **parts})
        if ticked.phase in {Phase.DONE, Phase.ABORTED, Phase.ROLLED_BACK}:
            ticked = replace(ticked, finished_at=BEGAN)
        lease = records.leases.take(f"rollout {begun.id}", "a test", 60.0)
        assert lease is not None
        told = [replace(event, rollout=begun.id) for event in events]
        records.rollouts.write_tick(lease, ticked, (), told)
        records.leases.release(lease)
    return ticked


def environment(folder: object) -> dict[str, str]:
    """Of a command of its own that looks into the same records."""
    return {**os.environ, "FLEET_STATE": str(folder)}
