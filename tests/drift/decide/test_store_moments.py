"""A store's history: every source, in order, and no line for a night like the one before."""

from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.drift.decide.store_moments import moments_of
from fleet.model.drift import Connection, Finding, StoreState
from fleet.model.drift_settings import Severity
from fleet.model.history import AuditEntry
from fleet.model.night import PastFinding, Scan
from fleet.model.rollout import RolloutEvent
from fleet.model.store_story import Moment, MomentKind, Outage

NOW = datetime(2026, 11, 23, 3, 31, tzinfo=UTC)
CALLER = "arn:aws:sts::111122223333:assumed-role/fleet-operator/on-call"


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def scan(days: float, state: StoreState | None) -> Scan:
    states = {"store-042": state} if state else {"store-007": StoreState.OK}
    return Scan(f"drift-{days}", "", ago(days), ago(days), states)


def moments(**sources: Any) -> tuple[Moment, ...]:
    given = {
        "scans": (),
        "outages": (),
        "findings": (),
        "events": (),
        "audit": (),
        "since": ago(30),
        **sources,
    }
    return moments_of("store-042", **given)


def test_the_state_is_told_when_it_changes_and_with_what_it_was() -> None:
    states = [StoreState.OK, StoreState.OK, None, StoreState.DARK, StoreState.DARK, StoreState.OK]
    scans = [scan(9 - number, state) for number, state in enumerate(states)]

    found = moments(scans=scans)

    assert [one.words for one in found] == ["ok", "dark, was ok", "ok, was dark"]
    assert found[1].source == "drift-6"


def test_an_outage_is_two_moments_and_a_lasting_one_is_one() -> None:
    over = Outage("tel-1", Connection.DARK, ago(4), ago(3), ago(3.5))
    lasting = Outage("", Connection.DARK, ago(1), None, ago(0))

    found = moments(outages=(over, lasting))

    assert [(one.kind, one.host, one.words) for one in found] == [
        (MomentKind.OUTAGE, "tel-1", "dark"),
        (MomentKind.BACK, "tel-1", "no longer dark"),
        (MomentKind.OUTAGE, "", "all hosts at once: dark"),
    ]


def test_a_finding_is_told_when_it_came_and_when_it_went() -> None:
    finding = Finding(
        *("DISK_LOW", Severity.HIGH, "store-042", "tel-1", "", "emea", "eu-west-1", ago(5), True),
        cause="/ has 100 MB free.",
    )

    found = moments(findings=[PastFinding(finding, ago(5), ago(3), ago(2))])

    assert [one.words for one in found] == ["DISK_LOW high: / has 100 MB free.", "DISK_LOW"]
    assert [one.kind for one in found] == [MomentKind.FOUND, MomentKind.RESOLVED]


def test_rollouts_and_changes_name_where_they_are_known_from() -> None:
    event = RolloutEvent(1, "ro-118", ago(2), "sent", "sent vision-arm64:13", "store-042", {})
    entry = AuditEntry(
        "reg-7f3a", ago(1), CALLER, "ecs:PutAttributes", "store-042", "tel-1", "differs", {}
    )

    found = moments(events=[event], audit=[entry])

    assert [(one.source, one.words) for one in found] == [
        ("ro-118", "sent vision-arm64:13"),
        ("reg-7f3a", "ecs:PutAttributes (differs) by on-call"),
    ]


def test_a_verdict_names_its_service() -> None:
    data = {"service": "vision-arm64", "verdict": "ok"}
    event = RolloutEvent(1, "ro-118", ago(2), "verdict", "new task RUNNING", "store-042", data)

    assert moments(events=[event])[0].words == "vision-arm64 ok: new task RUNNING"


def test_what_a_run_changed_is_one_moment() -> None:
    def entry(host: str, action: str, days: float) -> AuditEntry:
        return AuditEntry("reg-7f3a", ago(days), CALLER, action, "store-042", host, "new", {})

    audit = [entry("cam-1", "host:Install", 1), entry("tel-1", "host:Install", 1.1)]
    audit += [entry("", "ecs:CreateCluster", 1.2)]

    [found] = moments(audit=audit)

    assert (found.at, found.host) == (ago(1.2), "")
    assert found.words == (
        "3 changes on cam-1 and tel-1: ecs:CreateCluster, 2 host:Install by on-call"
    )


def test_what_was_before_is_left_out_and_the_rest_is_in_order() -> None:
    scans = [scan(40, StoreState.OK), scan(2, StoreState.DARK)]
    outage = Outage("tel-1", Connection.DARK, ago(41), ago(1), ago(1))

    found = moments(scans=scans, outages=[outage])

    assert [one.words for one in found] == ["dark, was ok", "no longer dark"]
