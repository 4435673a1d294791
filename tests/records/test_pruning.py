from datetime import UTC, datetime, timedelta

import pytest

from fleet.model.drift import HostConnection, Spell
from fleet.model.scan_result import FindingChanges, PastFinding
from fleet.records import scans as pruning
from fleet.records.records import Records
from tests.scans import DAY, HOST, NIGHT, finding, scan, write

#: What does not depend on the kind of database.
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
#: Rows older than this go.
KEPT_SINCE = NIGHT + 10 * DAY
LATER = NIGHT + 20 * DAY


def observe(records: Records, state: str, at: datetime, ledger: str = "ssm") -> None:
    records.observe(*HOST, ledger, {"state": state}, at=at)


def states(records: Records) -> list[str]:
    with records._database.read() as connection:
        rows = connection.exec_driver_sql("SELECT value FROM fleet_observations ORDER BY id")
        return [str(value) for (value,) in rows]


def test_observations_that_others_followed_go_once_they_are_old(records: Records) -> None:
    for number, at in enumerate((NIGHT, NIGHT + DAY, LATER)):
        observe(records, str(number), at)
    assert records.scans.prune(KEPT_SINCE) == 2
    assert states(records) == ['{"state":"2"}']


@sqlite_only
def test_the_latest_observation_of_each_host_and_ledger_stays_however_old(
    records: Records,
) -> None:
    for ledger in ("ssm", "ecs"):
        observe(records, "old", NIGHT, ledger)
    records.observe("store-042", "tel-1", "ssm", {"state": "old"}, at=NIGHT)
    assert records.scans.prune(LATER) == 0
    assert len(states(records)) == 3


@sqlite_only
def test_spells_go_like_other_observations(records: Records) -> None:
    for number, how in enumerate((HostConnection.DARK, HostConnection.CONNECTED)):
        at = NIGHT + number * DAY
        write(records, spells={HOST: Spell(how, at, at)}, at=at)
    assert records.scans.prune(KEPT_SINCE) == 1 + 1  # the first scan, too
    (spell,) = records.scans.memory(["store-042"], NIGHT - DAY)[HOST].spells
    assert spell.connection is HostConnection.CONNECTED


def test_findings_that_were_resolved_go_and_those_that_are_open_never_do(
    records: Records,
) -> None:
    gone, recent, open_ = (finding(subject=name) for name in ("gone", "recent", "open"))
    write(records, FindingChanges(NIGHT, opened=(gone, recent, open_)))
    for one, at in ((gone, NIGHT + DAY), (recent, LATER)):
        row = PastFinding(one, NIGHT, NIGHT)
        write(records, FindingChanges(at, resolved=(row,)), at=at)
    records.scans.prune(KEPT_SINCE)
    kept = {past.finding.subject for past in records.scans.store_findings("store-042")}
    assert kept == {"recent", "open"}


def test_scans_go_but_never_the_newest_nor_the_newest_of_the_whole_fleet(
    records: Records,
) -> None:
    whole = scan(NIGHT + DAY)
    killed = scan(NIGHT + 2 * DAY, finished_at=None)
    some = scan(NIGHT + 3 * DAY, selection="--where market=uk")
    newest = scan(NIGHT + 4 * DAY, selection="--where market=de")
    for one in (scan(), whole, killed, some, newest):
        records.scans.begin(one)
    assert records.scans.prune(LATER) == 3
    assert records.scans.since(NIGHT) == (whole, newest)


def test_an_empty_database_has_nothing_to_lose(records: Records) -> None:
    assert records.scans.prune(LATER) == 0


@sqlite_only
def test_more_rows_than_one_batch_go_in_several(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 3)
    for number in range(11):
        observe(records, str(number), NIGHT + number * timedelta(minutes=1))
    assert records.scans.prune(datetime(2027, 1, 1, tzinfo=UTC)) == 10
    assert states(records) == ['{"state":"10"}']
