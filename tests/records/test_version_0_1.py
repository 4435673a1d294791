"""A database that fleet 0.1 wrote is read back through the records, row by row.

What is expected is what the rows say to a program that knows nothing of fleet. Evidence of changes
is compared where it is printed, in ``tests/cli/test_version_0_1.py``.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, NullPool, create_engine, func, make_url, select

from fleet.model.rollout import EventKind, Rollout, RolloutEvent, VerbName
from fleet.model.verdicts import Stage
from fleet.records.opening import open_records
from fleet.records.records import Records
from tests.version_0_1 import CASES, lay_out

Row = dict[str, Any]
Rows = Callable[[str], list[Row]]

#: Number of the rollout that was killed in its canary, with a store that was sent the release.
RUNNING = 9
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
#: Columns whose values are compared as they are, beside those that are JSON or times.
CHANGE = (
    *("store", "service", "account", "region", "cluster", "wave", "content", "previous"),
    *("desired_count", "previous_count", "stage", "verdict", "reason", "target", "sends"),
    "pulls_failed",
)
CHANGE_TIMES = ("since", "sent_at", "away_since", "looked_at", "look_at")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database as it was written; nobody opens it but to copy it."""
    made = tmp_path_factory.mktemp("version_0_1")
    lay_out(made)
    return made / ".fleet"


@pytest.fixture(scope="module")
def rows(folder: Path) -> Rows:
    """The rows of a table, in the order of its first columns."""
    written = written_rows(folder / "fleet.db")
    return lambda table: written[table]


def written_rows(file: Path) -> dict[str, list[Row]]:
    """The rows of every table of a file, in the order of their columns; times are aware."""
    engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        return {
            table.name: [
                {name: in_utc(value) for name, value in row.items()}
                for row in connection.execute(
                    select(table).order_by(*list(table.columns)[:3])
                ).mappings()
            ]
            for table in tables.sorted_tables
        }


def in_utc(value: Any) -> Any:
    """The value, in UTC when it is a time."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


@pytest.fixture(params=["sqlite", "postgresql"])
def old(
    request: pytest.FixtureRequest, folder: Path, rows: Rows, tmp_path: Path
) -> Iterator[Records]:
    """The database, opened by this version."""
    url = None
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgresql_url"))
        copy_to_server(rows, url)
    else:
        (tmp_path / "fleet.db").write_bytes((folder / "fleet.db").read_bytes())
    with open_records(url, tmp_path) as records:
        yield records


def copy_to_server(rows: Rows, url: str) -> None:
    """Make the tables of 0.1 on a server and put the rows of the file into them."""
    server_url = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(server_url, poolclass=NullPool)
    tables = MetaData()
    with engine.begin() as connection:
        connection.exec_driver_sql((CASES / "postgresql.sql").read_text())
        tables.reflect(connection)
        for table in tables.sorted_tables:
            found = rows(table.name)
            if found:
                connection.execute(table.insert(), found)
            if numbers := [row["id"] for row in found if isinstance(row.get("id"), int)]:
                sequence = func.pg_get_serial_sequence(table.name, "id")
                connection.execute(select(func.setval(sequence, max(numbers))))


def rollout_id(row: Row) -> str:
    return f"ro-{row.get('rollout', row.get('number'))}"


def test_every_run_and_what_it_changed_comes_back(old: Records, rows: Rows) -> None:
    runs = {run.id: run for run in old.runs(limit=1000)}

    assert set(runs) == {row["id"] for row in rows("fleet_runs")}
    for row in rows("fleet_runs"):
        run = runs[row["id"]]
        assert (run.kind, run.caller_arn, run.command, run.outcome) == (
            *(row["kind"], row["caller_arn"], row["command"]),
            row["outcome"],
        )
        assert (run.started_at, run.finished_at) == (
            row["started_at"],
            row["finished_at"],
        )
    audit = sorted(rows("fleet_audit"), key=lambda row: (row["run_id"], row["id"]))
    found = [entry for run in sorted(runs) for entry in old.audit_of(run)]
    assert [
        (e.run_id, e.at, e.caller_arn, e.action, e.store, e.host, e.why, e.detail) for e in found
    ] == [
        (
            *(row["run_id"], row["at"], row["caller_arn"], row["action"]),
            *(row["store"], row["host"], row["why"], json.loads(row["detail"])),
        )
        for row in audit
    ]


def test_every_rollout_comes_back(old: Records, rows: Rows) -> None:
    told = rows("fleet_rollouts")
    for row in told:
        rollout = old.rollouts.load(rollout_id(row))
        same = ("caller", "phase", "why", "wave", "promoted", "tick")
        assert {name: getattr(rollout, name) for name in same} == {n: row[n] for n in same}
        times = ("started_at", "wave_at", "baking_since", "owed_until", "updated_at", "finished_at")
        assert {n: getattr(rollout, n) for n in times} == {n: row[n] for n in times}
        assert rollout.accepted == json.loads(row["accepted"])
    newest = rollout_id(max(told, key=lambda row: row["number"]))
    assert old.rollouts.latest() == newest
    active = [rollout_id(row) for row in told if row["finished_at"] is None]
    assert list(old.rollouts.active()) == active
    assert [one.id for one in old.rollouts.under_way()] == active


def test_what_every_rollout_was_told_comes_back(old: Records, rows: Rows) -> None:
    for row in rows("fleet_rollout_specs"):
        rollout = old.rollouts.load(rollout_id(row))
        assert facts_of_spec(rollout) == facts_of_stored_spec(json.loads(row["spec"]))


def facts_of_spec(rollout: Rollout) -> Row:
    """What ticks use of a spec."""
    spec = rollout.spec
    return {
        "words": (spec.release, spec.title, spec.selection, spec.inventory, spec.override_freeze),
        "workloads": list(spec.workloads),
        "seed": (spec.seed, spec.canary),
        "policy": (spec.policy.name, spec.policy.settle_s, spec.policy.bake_s),
        "freezes": len(spec.freezes),
        "waves": [(wave.name, list(wave.stores)) for wave in spec.waves],
        "shapes": {name: (s.workload, s.variant) for name, s in spec.shapes.items()},
        "bodies": {address: d.body for address, d in spec.task_definitions.items()},
        "places": {
            store: (p.name, p.account_id, p.region, p.cluster, p.time_zone, p.link, p.carrier)
            for store, p in spec.places.items()
        },
        "hosts": {
            store: {service: list(names) for service, names in place.hosts.items()}
            for store, place in spec.places.items()
        },
        "pull_s": dict(spec.pull_s),
    }


def facts_of_stored_spec(spec: Row) -> Row:
    """The same of the JSON text that 0.1 kept."""
    words = ("release", "title", "selection", "inventory", "override_freeze")
    where = ("name", "account_id", "region", "cluster", "time_zone", "link", "carrier")
    return {
        "words": tuple(spec[name] for name in words),
        "workloads": spec["workloads"],
        "seed": (spec["seed"], spec["canary"]),
        "policy": tuple(spec["policy"][name] for name in ("name", "settle_s", "bake_s")),
        "freezes": len(spec["freezes"]),
        "waves": [(wave["name"], wave["stores"]) for wave in spec["waves"]],
        "shapes": {name: (s["workload"], s["variant"]) for name, s in spec["shapes"].items()},
        "bodies": {address: d["body"] for address, d in spec["task_definitions"].items()},
        "places": {
            store: tuple(place[name] for name in where) for store, place in spec["places"].items()
        },
        "hosts": {store: place["hosts"] for store, place in spec["places"].items()},
        "pull_s": spec["pull_s"],
    }


def test_every_change_comes_back(old: Records, rows: Rows) -> None:
    ids = [rollout_id(row) for row in rows("fleet_rollouts")]
    found = {(id_, change.key): change for id_ in ids for change in old.rollouts.changes(id_)}

    assert len(found) == len(rows("fleet_changes"))
    for row in rows("fleet_changes"):
        change = found[rollout_id(row), (row["store"], row["service"])]
        assert {name: getattr(change, name) for name in CHANGE} == {n: row[n] for n in CHANGE}
        times = {name: getattr(change, name) for name in CHANGE_TIMES}
        assert times == {name: row[name] for name in CHANGE_TIMES}


def test_every_line_of_the_story_comes_back(old: Records, rows: Rows) -> None:
    ids = [rollout_id(row) for row in rows("fleet_rollouts")]
    events = {event.id: event for id_ in ids for event in old.rollouts.events(id_)}
    verbs = {verb.id: verb for id_ in ids for verb in old.rollouts.verbs(id_)}

    for row in rows("fleet_rollout_events"):
        event = events.pop(row["id"])
        assert (event.rollout, event.at, event.kind, event.text, event.store, event.data) == (
            *(rollout_id(row), row["at"], row["kind"], row["text"], row["store"]),
            json.loads(row["data"]),
        )
    for row in rows("fleet_verbs"):
        verb = verbs.pop(row["id"])
        said = (verb.rollout, verb.name.value, list(verb.stores), verb.by, verb.at)
        assert said == (
            *(rollout_id(row), row["name"], json.loads(row["stores"]), row["by"]),
            row["at"],
        )
        assert (verb.why, verb.answer) == (row["why"], row["answer"])
    assert (events, verbs) == ({}, {})


def test_every_summary_comes_back(old: Records, rows: Rows) -> None:
    changes = rows("fleet_changes")
    summaries = {one.id: one for one in old.rollouts.history(limit=1000)}
    for row in rows("fleet_rollouts"):
        summary = summaries.pop(rollout_id(row))
        mine = [change for change in changes if change["rollout"] == row["number"]]
        verdicts = [change["verdict"] for change in mine]
        assert (summary.run, summary.title, summary.release, summary.caller, summary.why) == (
            *(row["run"], row["title"], row["release"], row["caller"]),
            row["why"],
        )
        assert (list(summary.workloads), summary.phase, summary.started_at) == (
            json.loads(row["workloads"]),
            row["phase"],
            row["started_at"],
        )
        assert summary.stores == len({change["store"] for change in mine})
        assert summary.verdicts == {verdict: verdicts.count(verdict) for verdict in set(verdicts)}
    assert summaries == {}


def test_holds_leases_and_task_definitions_come_back(old: Records, rows: Rows) -> None:
    assert [(h.store, h.workload, h.rollout, h.by, h.since) for h in old.rollouts.holds()] == [
        (row["store"], row["workload"], rollout_id(row), row["by"], row["since"])
        for row in rows("fleet_holds")
    ]
    for row in rows("fleet_leases"):
        assert old.leases.state(row["name"]) == json.loads(row["state"])
        lease = old.leases.take(row["name"], "the next one", 30.0)
        assert lease is not None
        assert lease.token == row["token"] + 1
    known = old.task_definitions.get(row["arn"] for row in rows("fleet_task_definitions"))
    for row in rows("fleet_task_definitions"):
        one = known[row["arn"]]
        assert (one.family, one.content, one.body) == (
            *(row["family"], row["content"]),
            json.loads(row["body"]),
        )
        found = old.task_definitions.find(row["account_id"], row["region"], row["content"])
        assert found is not None


def test_every_scan_and_finding_comes_back(old: Records, rows: Rows) -> None:
    scans = {scan.id: scan for scan in old.scans.since(LONG_AGO)}
    for row in rows("fleet_scans"):
        scan = scans.pop(row["id"])
        states: dict[str, list[str]] = {}
        for store, state in sorted(scan.states.items()):
            states.setdefault(state.value, []).append(store)
        assert states == json.loads(row["states"])
        assert (scan.selection, scan.started_at, scan.finished_at) == (
            *(row["selection"], row["started_at"]),
            row["finished_at"],
        )
        assert (scan.calls, scan.throttled, scan.complete) == (
            *(row["calls"], row["throttled"]),
            row["complete"],
        )
    assert scans == {}
    kept = rows("fleet_findings")
    stores = sorted({row["store"] for row in kept})
    found = [past for store in stores for past in old.scans.store_findings(store)]
    assert len(found) == len(kept)
    past = {(*one.finding.key, one.first_seen): one for one in found}
    for row in kept:
        where = (row["code"], row["account"], row["region"], row["store"], row["host"])
        one = past[*where, row["subject"], row["first_seen"]]
        assert one.last_seen == row["last_seen"]
        assert one.resolved_at == row["resolved_at"]
        assert facts_of_finding(one.finding) == facts_of_stored_finding(json.loads(row["finding"]))
    assert len(old.scans.open()) == len([row for row in kept if row["resolved_at"] is None])


def facts_of_finding(finding: Any) -> Row:
    """Everything of a finding that its key does not say."""
    return {
        "severity": finding.severity.value,
        "since": (finding.since, finding.since_known),
        "words": (finding.cause, finding.fix, finding.safe),
        "evidence": [(one.ledger, one.words, one.at) for one in finding.evidence],
        "data": dict(finding.data),
    }


def facts_of_stored_finding(finding: Row) -> Row:
    """The same of the JSON text that 0.1 kept."""

    def at(written: str | None) -> datetime | None:
        return None if written is None else datetime.fromisoformat(written)

    return {
        "severity": finding["severity"],
        "since": (at(finding["since"]), finding["since_known"]),
        "words": (finding["cause"], finding["fix"], finding["safe"]),
        "evidence": [(one["ledger"], one["words"], at(one["at"])) for one in finding["evidence"]],
        "data": finding["data"],
    }


def test_what_was_seen_of_every_host_comes_back(old: Records, rows: Rows) -> None:
    observations = rows("fleet_observations")
    newest = {(row["store"], row["host"], row["ledger"]): row for row in observations}
    stores = sorted({row["store"] for row in observations})

    found = old.latest(stores)

    assert {(one.store, one.host, one.ledger.value) for one in found} == set(newest)
    for one in found:
        row = newest[one.store, one.host, one.ledger.value]
        assert one.value == json.loads(row["value"])
        assert (one.first_seen, one.last_seen) == (
            row["first_seen"],
            row["last_seen"],
        )
    memory = old.scans.memory(stores, LONG_AGO)
    connections = [row for row in observations if row["ledger"] == "connection"]
    spells = {
        (*host, spell.connection.value, spell.since, spell.last_seen)
        for host, known in memory.items()
        for spell in known.spells
    }
    assert spells == {
        (
            *(row["store"], row["host"], json.loads(row["value"])["state"]),
            *(row["first_seen"], row["last_seen"]),
        )
        for row in connections
    }


def test_a_rollout_in_the_middle_goes_on(old: Records, rows: Rows) -> None:
    (running,) = [row for row in rows("fleet_rollouts") if row["number"] == RUNNING]
    rollout = old.rollouts.load(rollout_id(running))
    first, *_ = old.rollouts.changes(rollout.id)
    now = running["updated_at"]
    word = old.rollouts.say(rollout.id, VerbName.PAUSE, by=rollout.caller, at=now)
    lease = old.leases.take(f"rollout {rollout.id}", "the next one", 30.0)
    assert lease is not None
    moved = replace(first, stage=Stage.SENDING, reason="its turn has come")
    told = RolloutEvent(0, rollout.id, now, EventKind.WAIT, "goes on", first.store)

    old.rollouts.write_tick(
        lease, replace(rollout, tick=rollout.tick + 1), [moved], [told], {word.id: "obeyed"}
    )

    assert old.rollouts.load(rollout.id).tick == running["tick"] + 1
    assert moved in old.rollouts.changes(rollout.id)
    assert old.rollouts.events(rollout.id)[-1].text == "goes on"
    assert old.rollouts.verbs(rollout.id)[-1].answer == "obeyed"
