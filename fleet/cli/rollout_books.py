"""Which rollout is meant, and how it stands; needs the records only, no inventory and no AWS."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fleet.errors import FleetError, Interrupted, UsageError
from fleet.model.clock import Clock
from fleet.model.overview import Overview
from fleet.model.rollout import Phase, VerbName
from fleet.runtime.clock import clock_from_environment
from fleet.runtime.wiring import records_from_environment

if TYPE_CHECKING:
    from fleet.records.records import Records

#: Exit code of a rollout that waits for ``promote``.
AWAITS = 3
#: Exit code of one that a gate halted, or that is paused.
HALTED = 4


@contextmanager
def books() -> Iterator[tuple["Records", Clock]]:
    """The records and the run's clock."""
    clock = clock_from_environment()
    with records_from_environment() as records:
        yield records, clock


def which(records: "Records", given: str | None) -> str:
    """Id of the rollout that is meant: as given, else the active one, else the latest.

    Raises:
        UsageError: there is none, or several are active and none was named.
    """
    if given:
        return f"ro-{given}" if given.isascii() and given.isdigit() else given
    active = records.rollouts.active()
    if len(active) > 1:
        raise UsageError(
            f"{len(active)} rollouts are active: {', '.join(active)}",
            hint="name the one that is meant",
        )
    id_ = active[0] if active else records.rollouts.latest()
    if id_ is None:
        raise UsageError("no rollout was started yet", hint="fleet rollout --canary")
    return id_


def look(records: "Records", clock: Clock, rollout_id: str) -> Overview:
    """How a rollout stands now."""
    from fleet.rollout.overview import overview

    return overview(records, rollout_id, clock.now())


def rests(overview: Overview) -> bool:
    """Whether nothing goes on by itself: it has ended, or a person is wanted."""
    if overview.rollout.finished_at is not None:
        return True
    return overview.rollout.phase in {Phase.PAUSED, Phase.HALTED, Phase.AWAITING}


def exit_code(overview: Overview, *, said: VerbName | None = None) -> int:
    """What a command that went along with a rollout ends with.

    Args:
        said: the verb of the command: a rollout that was set back because somebody wanted it has
            not failed.
    """
    match overview.rollout.phase:
        case Phase.DONE:
            return 0
        case Phase.AWAITING:
            return AWAITS
        case Phase.HALTED | Phase.PAUSED:
            return HALTED
        case Phase.ABORTED:
            return 0 if said is VerbName.ABORT else FleetError.exit_code
        case Phase.ROLLED_BACK:
            return 0 if said is VerbName.ROLLBACK else FleetError.exit_code
        case Phase.RUNNING | Phase.ROLLING_BACK:
            return Interrupted.exit_code
