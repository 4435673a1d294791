"""A run's row always ends, and says truly how."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from fleet.errors import AwsError, FleetError, UsageError
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.runtime.run_record import recorded
from fleet.runtime.wiring import Wiring
from tests import build


@dataclass
class Still:
    """A clock that stands."""

    def now(self) -> datetime:
        return build.NOW

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


def never(*_: object) -> None:
    raise AssertionError


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with open_records(None, tmp_path) as opened:
        yield opened


@pytest.fixture
def wiring(records: Records) -> Wiring:
    return Wiring(
        fleet=build.fleet(),
        clock=Still(),
        shard=never,  # type: ignore[arg-type] # nothing is asked of AWS here
        records=records,
        connect=never,  # type: ignore[arg-type] # nor of a host
        load_pins=never,  # type: ignore[arg-type] # nor of the inventory
        pin_machine=never,
        listen=never,
    )


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UsageError("not pinned"), "refused"),
        (AwsError("no answer"), "failed"),
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(1), "crashed"),
        (RuntimeError("a bug"), "crashed"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_whatever_is_raised_ends_the_row_and_goes_on(
    wiring: Wiring, records: Records, error: BaseException, outcome: str
) -> None:
    with (
        pytest.raises(type(error)),
        recorded(wiring, "register", callers=["arn:b", "arn:a", "arn:b"], tell=never),
    ):
        raise error

    [run] = records.runs()
    assert (run.outcome, run.finished_at, run.caller_arn) == (outcome, build.NOW, "arn:a, arn:b")


def test_the_first_to_end_a_run_says_how(wiring: Wiring, records: Records) -> None:
    with recorded(wiring, "register", callers=[], tell=never) as run:
        run.end("done")
        run.end("left")

    [row] = records.runs()
    assert row.outcome == "done"


def test_an_end_that_cannot_be_recorded_is_said_and_hides_nothing(
    wiring: Wiring, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise FleetError("the disk is full")

    monkeypatch.setattr(records, "finish_run", full)
    said: list[str] = []

    with recorded(wiring, "register", callers=[], tell=said.append) as run:
        run.end("done")

    assert said == [f"the end of run {run.id} could not be recorded: the disk is full"]
