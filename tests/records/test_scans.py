import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fleet.errors import RecordsError
from fleet.model.drift import HostConnection, HostMemory, Spell, Versions
from fleet.model.drift_settings import Severity
from fleet.model.history import Ledger
from fleet.model.scan_result import FindingChanges, PastFinding
from fleet.model.secret import Secret
from fleet.records import database
from fleet.records.opening import open_records
from fleet.records.records import Records
from tests.scans import DAY, HOST, IDS, NEXT, NIGHT, finding, opened, scan, spelled, write

#: What does not depend on the kind of database.
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def remembered(records: Records, since: datetime = NIGHT - DAY) -> HostMemory:
    return records.scans.memory(["store-042"], since)[HOST]


def test_a_scan_comes_back_as_it_was(records: Records) -> None:
    write(records)
    assert records.scans.since(NIGHT) == (scan(),)


@sqlite_only
def test_a_scan_that_begins_is_there_and_not_finished(records: Records) -> None:
    begun = scan(finished_at=None, states={}, calls=0)
    records.scans.begin(begun)
    assert records.scans.since(NIGHT) == (begun,)


def test_a_scan_that_began_and_is_written_is_one(records: Records) -> None:
    records.scans.begin(scan(finished_at=None, states={}))
    write(records)
    assert records.scans.since(NIGHT) == (scan(),)


@sqlite_only
def test_scans_come_oldest_first_and_none_from_before(records: Records) -> None:
    for at in (NEXT, NIGHT, NIGHT - DAY):
        write(records, at=at)
    assert [one.started_at for one in records.scans.since(NIGHT)] == [NIGHT, NEXT]


def test_a_finding_comes_back_as_it_was(records: Records) -> None:
    opened(records, finding())
    assert records.scans.open() == (PastFinding(finding(), NIGHT, NIGHT),)


def test_a_finding_that_is_kept_has_its_first_time_and_its_last_words(records: Records) -> None:
    opened(records, finding())
    now = finding(severity=Severity.HIGH, cause="three by now")
    kept = FindingChanges(NEXT, kept=((PastFinding(finding(), NIGHT, NIGHT), now),))
    write(records, kept, at=NEXT)
    assert records.scans.open() == (PastFinding(now, NIGHT, NEXT),)


def test_a_finding_that_is_resolved_is_open_no_more_and_kept(records: Records) -> None:
    opened(records, finding())
    row = PastFinding(finding(), NIGHT, NIGHT)
    write(records, FindingChanges(NEXT, resolved=(row,)), at=NEXT)
    assert records.scans.open() == ()
    assert records.scans.store_findings("store-042") == (replace(row, resolved_at=NEXT),)


@sqlite_only
def test_a_finding_that_is_not_verified_stays_as_it_is(records: Records) -> None:
    opened(records, finding())
    row = PastFinding(finding(), NIGHT, NIGHT)
    write(records, FindingChanges(NEXT, not_verified=(row,)), at=NEXT)
    assert records.scans.open() == (row,)


def test_a_finding_that_begins_again_is_a_row_of_its_own(records: Records) -> None:
    opened(records, finding())
    row = PastFinding(finding(), NIGHT, NIGHT)
    write(records, FindingChanges(NEXT, resolved=(row,)), at=NEXT)
    opened(records, finding(), at=NEXT + DAY)
    first_seen = [past.first_seen for past in records.scans.store_findings("store-042")]
    assert first_seen == [NEXT + DAY, NIGHT]


def test_how_often_each_began_is_counted(records: Records) -> None:
    opened(records, finding(), finding(subject="mi-2"))
    row = PastFinding(finding(), NIGHT, NIGHT)
    write(records, FindingChanges(NEXT, resolved=(row,)), at=NEXT)
    opened(records, finding(), at=NEXT + DAY)
    assert records.scans.began_since(NIGHT) == {
        finding().key: 2,
        finding(subject="mi-2").key: 1,
    }
    assert records.scans.began_since(NEXT) == {finding().key: 1}


def test_two_scans_that_find_the_same_at_once_make_one_row(records: Records) -> None:
    opened(records, finding(), at=NEXT)
    opened(records, finding(cause="seen by the slower one"), at=NIGHT)
    (row,) = records.scans.open()
    assert (row.finding.cause, row.last_seen) == (finding().cause, NEXT)


def test_a_slower_scan_does_not_resolve_what_a_later_one_has_seen(records: Records) -> None:
    opened(records, finding(), at=NEXT)
    row = PastFinding(finding(), NIGHT, NIGHT)
    write(records, FindingChanges(NIGHT, resolved=(row,)), at=NIGHT)
    assert len(records.scans.open()) == 1


def test_only_findings_of_the_stores_asked_for_come_back_and_those_of_no_store(
    records: Records,
) -> None:
    opened(records, finding(), finding(store="store-043"), finding("SSM_TIER", ""))
    found = {past.finding.store for past in records.scans.open(["store-043"])}
    assert found == {"store-043", ""}
    assert len(records.scans.open()) == 3
    assert [row.finding.store for row in records.scans.store_findings("store-043")] == ["store-043"]


@sqlite_only
def test_a_secret_in_a_finding_is_refused_and_nothing_is_kept(
    records: Records, tmp_path: Path
) -> None:
    bad = finding(data={"code": Secret("hunter2hunter2hunter2")})
    with pytest.raises(TypeError):
        opened(records, finding(), bad)
    assert (records.scans.open(), records.scans.since(NIGHT)) == ((), ())
    assert b"hunter2" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_host_that_is_as_it_was_has_one_spell(records: Records) -> None:
    write(records, spells=spelled(HostConnection.CONNECTED, NIGHT, NIGHT))
    write(records, spells=spelled(HostConnection.CONNECTED, NIGHT, NEXT), at=NEXT)
    assert remembered(records).spells == (Spell(HostConnection.CONNECTED, NIGHT, NEXT),)


@sqlite_only
def test_another_connection_begins_a_spell_when_it_is_said_to_have_begun(
    records: Records,
) -> None:
    write(records, spells=spelled(HostConnection.CONNECTED, NIGHT, NIGHT))
    went = NEXT - timedelta(hours=5)
    write(records, spells=spelled(HostConnection.DARK, went, NEXT), at=NEXT)
    assert remembered(records).spells == (
        Spell(HostConnection.CONNECTED, NIGHT, NIGHT),
        Spell(HostConnection.DARK, went, NEXT),
    )


@sqlite_only
def test_a_second_outage_is_a_spell_of_its_own(records: Records) -> None:
    write(records, spells=spelled(HostConnection.DARK, NIGHT, NIGHT))
    again = NEXT - timedelta(hours=1)
    write(records, spells=spelled(HostConnection.DARK, again, NEXT), at=NEXT)
    assert [spell.since for spell in remembered(records).spells] == [NIGHT, again]


@sqlite_only
def test_a_spell_never_begins_before_the_one_that_it_follows(records: Records) -> None:
    write(records, spells=spelled(HostConnection.CONNECTED, NIGHT, NIGHT))
    write(records, spells=spelled(HostConnection.DARK, NIGHT - DAY, NEXT), at=NEXT)
    assert [spell.since for spell in remembered(records).spells] == [NIGHT, NIGHT]


@sqlite_only
def test_a_slower_scan_does_not_open_again_what_a_later_one_found_gone(records: Records) -> None:
    opened(records, finding())
    row = PastFinding(finding(), NIGHT, NIGHT)
    write(records, FindingChanges(NEXT, resolved=(row,)), at=NEXT)
    between = NIGHT + DAY / 2
    kept = FindingChanges(between, opened=(finding("HOST_DARK"),), kept=((row, finding()),))
    write(records, kept, at=between)
    assert [past.finding.code for past in records.scans.open()] == ["HOST_DARK"]


def test_a_slower_scan_takes_no_spell_back(records: Records) -> None:
    write(records, spells=spelled(HostConnection.CONNECTED, NIGHT, NEXT), at=NEXT)
    write(records, spells=spelled(HostConnection.DARK, NIGHT, NIGHT))
    assert remembered(records).spells == (Spell(HostConnection.CONNECTED, NIGHT, NEXT),)


def test_the_ids_of_a_host_are_those_of_the_last_scan_that_saw_one(records: Records) -> None:
    write(records, ids={HOST: ("mi-old", "arn-old")})
    write(records, ids={HOST: IDS}, at=NEXT)
    write(records, at=NEXT + DAY)
    memory = remembered(records)
    assert (memory.managed_instance_id, memory.container_instance_arn) == IDS


def test_a_machine_id_is_that_of_the_last_visit_that_saw_one(records: Records) -> None:
    for value in ({"machine_id": "old"}, {"machine_id": "ab12"}, {"state": "all active"}):
        records.observe(*HOST, "host", value, at=NIGHT)
    assert remembered(records) == HostMemory(machine_id="ab12")


@sqlite_only
def test_what_other_commands_saw_of_a_host_is_no_spell_of_a_scan(records: Records) -> None:
    records.observe(*HOST, "ssm", {"state": "ConnectionLost"}, at=NIGHT)
    assert records.scans.memory(["store-042"], NIGHT) == {}


@sqlite_only
def test_spells_that_were_over_before_are_left_out_but_never_the_last(records: Records) -> None:
    outage = NIGHT + timedelta(hours=1)
    write(records, spells=spelled(HostConnection.CONNECTED, NIGHT, NIGHT))
    write(records, spells=spelled(HostConnection.DARK, outage, outage), at=outage)
    write(records, spells=spelled(HostConnection.CONNECTED, NEXT, NEXT), at=NEXT)

    def hows(since: datetime) -> list[str]:
        return [spell.connection.value for spell in remembered(records, since).spells]

    assert hows(NIGHT) == ["connected", "dark", "connected"]
    assert hows(outage) == ["connected", "dark", "connected"]
    assert hows(NEXT) == ["dark", "connected"]
    assert hows(NEXT + 30 * DAY) == ["connected"]


def test_hosts_of_many_stores_are_remembered_each_with_its_own(records: Records) -> None:
    hosts = [(f"store-{n}", "h") for n in range(510)]
    spells = {key: Spell(HostConnection.CONNECTED, NIGHT, NIGHT) for key in hosts}
    ids = {key: (f"mi-{key[0]}", "arn") for key in hosts}
    write(records, spells=spells, ids=ids)
    write(records, spells=spells, ids=ids)
    memory = records.scans.memory([store for store, _host in hosts[:505]], NIGHT)
    assert len(memory) == 505
    assert memory["store-7", "h"] == HostMemory((spells["store-7", "h"],), "mi-store-7", "arn")
    assert len(records.latest(["store-7"])) == 2


def test_a_database_that_is_locked_keeps_nothing_of_a_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    with open_records(None, tmp_path) as records:
        with closing(sqlite3.connect(tmp_path / "fleet.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(RecordsError, match="locked"):
                opened(records, finding())
            assert records.scans.open() == ()
        opened(records, finding())
        assert len(records.scans.open()) == 1


def test_a_disk_that_fills_up_keeps_nothing_of_a_scan(tmp_path: Path) -> None:
    with open_records(None, tmp_path) as records:
        with records._database.write() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 20}")
        many = [finding(subject=f"mi-{n}", cause="x" * 900) for n in range(500)]
        with pytest.raises(RecordsError, match="full") as raised:
            opened(records, *many)
        assert "free some space" in str(raised.value.hint)
        assert (records.scans.open(), records.scans.since(NIGHT)) == ((), ())


@sqlite_only
@pytest.mark.parametrize(
    "spoil",
    [
        'UPDATE fleet_findings SET finding = \'{"code":"TWIN"}\'',
        'UPDATE fleet_scans SET states = \'{"purple":["store-1"]}\'',
        'UPDATE fleet_observations SET value = \'{"state":"purple"}\'',
    ],
)
def test_what_another_version_wrote_is_said_to_be_so(records: Records, spoil: str) -> None:
    spells = spelled(HostConnection.DARK, NIGHT, NIGHT)
    write(records, FindingChanges(NIGHT, opened=(finding(),)), spells)
    with records._database.write() as connection:
        connection.exec_driver_sql(spoil.replace("%", "%%"))
    with pytest.raises(RecordsError, match="another shape") as raised:
        (records.scans.open(), records.scans.since(NIGHT), remembered(records))
    assert "version of fleet" in str(raised.value.hint)


def test_what_runs_on_a_host_is_remembered_with_its_ids(records: Records) -> None:
    runs = Versions("1.105.1", "3.3", "24.0.7")
    records.scans.write(
        scan(), FindingChanges(NIGHT), {}, {HOST: IDS}, NIGHT, versions={HOST: runs}
    )
    assert remembered(records).versions == runs


def test_an_upgrade_begins_a_new_row_and_keeps_the_old_one(records: Records) -> None:
    for at, agent in ((NIGHT, "1.100.0"), (NEXT, "1.105.1")):
        runs = {HOST: Versions(ecs_agent=agent)}
        records.scans.write(scan(), FindingChanges(at), {}, {HOST: IDS}, at, versions=runs)
    assert remembered(records).versions == Versions(ecs_agent="1.105.1")
    [last] = [one for one in records.latest(["store-042"]) if one.ledger is Ledger.INSTANCE]
    assert last.first_seen == NEXT
