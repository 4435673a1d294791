"""Puts together who carries out the ticks of rollouts, in whose name, and where."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fleet.cli.door import open_door
from fleet.engine.executor import open_executor
from fleet.engine.lease import owner_name
from fleet.engine.ticking import Crew
from fleet.engine.wiring import Wiring
from fleet.model.rollout import RolloutEvent


@contextmanager
def open_crew(
    wiring: Wiring,
    what: str,
    *,
    run_id: str,
    caller: str,
    tell: Callable[[RolloutEvent], None],
    warn: Callable[[str], None],
) -> Iterator[Crew]:
    """A crew for as long as the block lasts; shard jobs run where ``FLEET_EXECUTOR`` says.

    Args:
        what: names the process in leases, as ``fleet rollout``.
        run_id: of the run that the audit names.
        caller: ARN that the audit names.

    Raises:
        UsageError: FLEET_EXECUTOR cannot be used.
    """
    with open_executor(os.environ.get("FLEET_EXECUTOR"), wiring.workers) as executor:
        yield Crew(
            wiring=wiring,
            executor=executor,
            opener=open_door,
            owner=owner_name(what),
            run_id=run_id,
            caller=caller,
            tell=tell,
            warn=warn,
        )
