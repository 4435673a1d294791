"""Scans and findings as records keep them, where only what matters to the test is said."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.model.drift import Evidence, Finding, HostConnection, Spell, StoreState
from fleet.model.drift_settings import Severity
from fleet.model.scan_result import FindingChanges, Scan
from fleet.records.records import Records

NIGHT = datetime(2026, 11, 22, 3, 31, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
NEXT = NIGHT + DAY
HOST = ("store-042", "cam-1")
IDS = ("mi-0c9e4f1ab2d37785e", "arn:container-instance/store-042/aaaa")


def scan(at: datetime = NIGHT, **changes: Any) -> Scan:
    states = {"store-042": StoreState.DARK, "store-043": StoreState.OK}
    value = Scan(f"drift-{at:%d%H}", "", at, at + timedelta(minutes=9), states, 2410, 3)
    return replace(value, **changes)


def finding(code: str = "TWIN", store: str = "store-042", **changes: Any) -> Finding:
    value = Finding(
        code,
        Severity.MEDIUM,
        store,
        "cam-1",
        "mi-1",
        "emea-prod",
        "eu-west-1",
        NIGHT,
        since_known=True,
        cause="two container instances · «quoted»",
        evidence=(Evidence("ECS", "agentConnected false", NIGHT), Evidence("inventory", "one")),
        fix="fleet drift --fix store-042",
        safe=True,
        data={"arns": ["a", "b"], "count": 2},
    )
    return replace(value, **changes)


def write(
    records: Records,
    changes: FindingChanges | None = None,
    spells: dict[tuple[str, str], Spell] | None = None,
    ids: dict[tuple[str, str], tuple[str, str]] | None = None,
    at: datetime = NIGHT,
) -> None:
    some = changes or FindingChanges(at)
    records.scans.write(scan(at), some, spells or {}, ids or {}, at)


def opened(records: Records, *findings: Finding, at: datetime = NIGHT) -> None:
    write(records, FindingChanges(at, opened=findings), at=at)


def spelled(how: HostConnection, since: datetime, last: datetime) -> dict[tuple[str, str], Spell]:
    return {HOST: Spell(how, since, last)}
