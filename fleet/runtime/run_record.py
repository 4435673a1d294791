"""The database row of a run: started once the caller is known, and always given an outcome."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fleet.errors import FleetError, UsageError
from fleet.runtime.wiring import command_line

if TYPE_CHECKING:
    from fleet.runtime.wiring import Wiring


class RunRecord:
    """The row of one run. Its outcome is written once; the first writer wins.

    Attributes:
        id: of the run, as ``reg-7f3a``.
    """

    def __init__(self, wiring: "Wiring", run_id: str, tell: Callable[[str], None]) -> None:
        self.id = run_id
        self._wiring = wiring
        self._tell = tell
        self._ended = threading.Event()

    def end(self, outcome: str) -> None:
        """Write the outcome of the run, one word, unless it was written before.

        Never raises: the hosts were changed already, and the report about them matters more.
        """
        if self._ended.is_set():
            return
        self._ended.set()
        try:
            self._wiring.records.finish_run(self.id, outcome=outcome, at=self._wiring.clock.now())
        except FleetError as error:
            self._tell(f"the end of run {self.id} could not be recorded: {error}")


@contextmanager
def recorded(
    wiring: "Wiring", kind: str, *, callers: Iterable[str], tell: Callable[[str], None]
) -> Iterator[RunRecord]:
    """Record a run for as long as the block lasts.

    An exception in the block sets the outcome: ``refused`` for a usage error, ``failed`` for any
    other ``FleetError``, ``interrupted``, or ``crashed`` for a bug.

    Raises:
        RecordsError: the run could not be recorded, so the block was not entered.
    """
    run_id = wiring.records.start_run(
        kind,
        caller_arn=", ".join(sorted(set(callers))),
        command=command_line(),
        at=wiring.clock.now(),
    )
    run = RunRecord(wiring, run_id, tell)
    try:
        yield run
    except UsageError:
        run.end("refused")
        raise
    except FleetError:
        run.end("failed")
        raise
    except KeyboardInterrupt:
        run.end("interrupted")
        raise
    except BaseException:
        run.end("crashed")
        raise
