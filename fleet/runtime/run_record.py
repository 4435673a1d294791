"""The row of a run in the records: it begins when somebody is known, and it always ends."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fleet.errors import FleetError, UsageError
from fleet.runtime.wiring import command_line

if TYPE_CHECKING:
    from fleet.runtime.outfit import Wiring


class RunRecord:
    """A run's row. Its end is written once; whoever comes first says how it was.

    Attributes:
        id: of the run, as ``reg-7f3a``.
    """

    def __init__(self, wiring: "Wiring", run_id: str, tell: Callable[[str], None]) -> None:
        self.id = run_id
        self._wiring = wiring
        self._tell = tell
        self._ended = threading.Event()

    def end(self, outcome: str) -> None:
        """Write down how the run ended, in one word, if that was not done yet.

        Never raises: what was done to hosts is done, and its report matters more than this row.
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
    """A run from its first line to its last; whatever is raised inside ends its row too.

    A row ends as ``refused`` when the words or files given were wrong, ``failed`` when something
    else that people can meet stopped it, ``interrupted``, or ``crashed`` by a bug.

    Raises:
        RecordsError: the run could not be recorded, so it did not begin.
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
