"""The evidence of changes as version 3 wrote it, which was loose JSON, and what is read of it."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from fleet.errors import RecordsError
from fleet.model.changes import (
    Change,
    HostContact,
    NextSend,
    ObservedChange,
    PastTry,
    TaskSummary,
    Undo,
)
from fleet.model.verdicts import Stage, Verdict
from fleet.records.opening import open_records
from fleet.records.tables import CHANGES
from tests import rollouts

FOLDER = Path(__file__).parent


def at(minute: int, second: int, hour: int = 1) -> datetime:
    return datetime(2026, 11, 21, hour, minute, second, tzinfo=UTC)


CAM_1 = HostContact(connected=True, tried_s=31.5)
CAM_2 = HostContact(connected=False, away_since=at(59, 0, hour=0))

#: Of the try that ``rollouts.change`` is of.
LOOSE = {
    "try": rollouts.BEGAN.isoformat(),
    "hosts": {"cam-1": {"connected": True, "away_since": None, "tried_s": 31.5}},
    "ok_at": "2026-11-21T01:01:40+00:00",
}


@pytest.fixture
def migrated(tmp_path: Path) -> Mapping[str, Change]:
    """The changes of a database of version 3, by store."""
    with closing(sqlite3.connect(tmp_path / "fleet.db")) as old:
        for version in (2, 3):
            old.executescript((FOLDER / f"schema_{version}.sql").read_text())
    with open_records(None, tmp_path) as records:
        return {change.store: change for change in records.rollouts.changes("ro-118")}


def test_what_looks_had_found_is_read_back(migrated: Mapping[str, Change]) -> None:
    change = migrated["store-001"]
    task = TaskSummary(
        id="7f3a",
        host="cam-1",
        status="STOPPED",
        health="UNKNOWN",
        started_at=at(1, 10),
        stopped_at=at(1, 20),
        stop_code="EssentialContainerExited",
        exit_codes=(1,),
        reason="no camera",
    )
    assert change.observed == ObservedChange(
        reason="2 failures",
        hosts={"cam-1": CAM_1, "cam-2": CAM_2},
        hosts_read_at=at(2, 0),
        tasks=(task,),
        tasks_read_at=at(1, 50),
        task_definition="arn:vision:13",
        deployment="ecs-svc/1",
        cause="exit 1",
        pull_counted=True,
        restored="arn:vision:12",
    )
    assert (change.ok_at, change.failure_accepted) == (at(1, 40), True)
    assert (change.next_send, change.undo) == (NextSend(), Undo())


def test_what_was_noted_for_the_next_send_is_read_back(migrated: Mapping[str, Change]) -> None:
    assert migrated["store-002"].next_send == NextSend(
        last_try=PastTry(Stage.SENT, Verdict.FAILED, "exit 1"),
        overwrite=True,
        refusals=2,
        postponed=True,
        was_set_back=True,
        deployment_before="ecs-svc/0",
    )
    assert migrated["store-002"].undo == Undo(settled=True, stays_back=True)


def test_of_an_earlier_try_only_the_absences_are_kept(migrated: Mapping[str, Change]) -> None:
    change = migrated["store-003"]
    assert change.observed == ObservedChange(
        hosts={"cam-1": HostContact(connected=True), "cam-2": CAM_2}
    )
    assert (change.ok_at, change.next_send) == (None, NextSend())


def test_a_change_that_was_set_back_is_still_waited_for(migrated: Mapping[str, Change]) -> None:
    assert migrated["store-004"].undo == Undo(settled=False)


def test_a_change_without_evidence_has_none(migrated: Mapping[str, Change]) -> None:
    change = migrated["store-005"]
    assert (change.observed, change.next_send) == (ObservedChange(), NextSend())
    assert (change.undo, change.ok_at) == (Undo(), None)


def test_a_server_is_migrated_as_well(postgresql_url: str, tmp_path: Path) -> None:
    with open_records(postgresql_url, tmp_path) as records:
        records.rollouts.start(
            rollouts.spec(), [rollouts.change("s")], (), caller="arn:me", at=at(0, 0), run=""
        )
        with records._database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE fleet_changes DROP COLUMN ok_at")
            connection.execute(update(CHANGES).values(details=LOOSE))
            connection.exec_driver_sql("ALTER TABLE fleet_changes RENAME details TO evidence")
            connection.exec_driver_sql("UPDATE fleet_schema SET version = 3")
    with open_records(postgresql_url, tmp_path) as records:
        (change,) = records.rollouts.changes("ro-1")
    assert (change.ok_at, change.observed.hosts) == (at(1, 40), {"cam-1": CAM_1})


def test_evidence_of_another_shape_is_refused(tmp_path: Path) -> None:
    with open_records(None, tmp_path) as records:
        records.rollouts.start(
            rollouts.spec(), [rollouts.change("s")], (), caller="arn:me", at=at(0, 0), run=""
        )
        with records._database.write() as connection:
            connection.exec_driver_sql("UPDATE fleet_changes SET details = '{\"try\": null}'")
        with pytest.raises(RecordsError, match="another shape"):
            records.rollouts.changes("ro-1")
