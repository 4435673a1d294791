"""Small values of nights for tests, where only what matters to the test is said."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.model.drift import (
    Background,
    Finding,
    HostConnection,
    HostMemory,
    Reconciled,
    Spell,
    StoreState,
    Unread,
)
from fleet.model.drift_settings import DriftSettings, Ignore, Severity
from fleet.model.inventory import Fleet, Store
from fleet.model.observed import NotRead
from fleet.model.scan_result import FindingChanges, PastFinding, Scan
from tests import build

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
#: The time of tonight's scan, and of the one before.
TONIGHT = datetime(2026, 11, 23, 3, 31, tzinfo=UTC)
LAST_NIGHT = TONIGHT - DAY
HOST = ("store-042", "tel-1")


def finding(code: str = "HOST_DARK", store: str = "store-042", **changes: Any) -> Finding:
    value = Finding(
        code=code,
        severity=Severity.MEDIUM,
        store=store,
        host="",
        subject="",
        account="emea-prod",
        region="eu-west-1",
        since=LAST_NIGHT,
        since_known=False,
        cause="for the test",
    )
    return replace(value, **changes)


def past(one: Finding | None = None, seen: datetime = LAST_NIGHT, **changes: Any) -> PastFinding:
    return replace(PastFinding(one or finding(), seen, seen), **changes)


def unread(store: str = "", **changes: Any) -> Unread:
    value = Unread("emea-prod", "eu-west-1", store, "ECS services", "AccessDenied")
    return replace(value, **changes)


def scan(at: datetime = TONIGHT, state: StoreState = StoreState.OK, **changes: Any) -> Scan:
    states = {"store-042": state}
    name = f"drift-{at:%d%H}"
    return replace(Scan(name, "", at, at + timedelta(minutes=9), states), **changes)


def ignore(**changes: Any) -> Ignore:
    value = Ignore(frozenset(), None, frozenset(), "", TONIGHT + DAY, "we know", "ignores.yaml:1")
    return replace(value, **changes)


def spell(how: HostConnection, since: datetime, last_seen: datetime = TONIGHT) -> Spell:
    return Spell(how, since, last_seen)


def fleet(*stores: Store, **changes: Any) -> Fleet:
    return replace(build.fleet(*stores), **changes)


def background(**changes: Any) -> Background:
    value = Background("emea", TONIGHT, DriftSettings(), NotRead("templates are broken"))
    return replace(value, **changes)


def remembered(*spells: Spell) -> HostMemory:
    return HostMemory(tuple(spells))


def night(
    *findings: Finding,
    changes: FindingChanges | None = None,
    inventory: Fleet | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Arguments of ``night_of`` for a fleet of one store on which these were found."""
    whole = inventory or fleet()
    tonight = more.pop("scan", scan())
    seen = Reconciled(findings, (), more.pop("connections", {}), tonight.states)
    return {
        "fleet": whole,
        "scope": whole.stores,
        "scan": tonight,
        "caller": "arn:me",
        "reconciled": more.pop("reconciled", seen),
        "changes": changes or FindingChanges(TONIGHT, opened=findings),
        "background": background(),
        "shards": (),
        "wanted": {},
        **more,
    }
