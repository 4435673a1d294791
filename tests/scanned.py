"""A small fleet in the records, as some nights of scans leave it, for whoever looks back."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.model.drift import Evidence, Finding, HostConnection, Spell, StoreState
from fleet.model.drift_settings import Severity
from fleet.model.inventory import Fleet
from fleet.model.scan_result import FindingChanges, PastFinding, Scan
from fleet.records.records import Records
from tests import build

#: When somebody looks, 20 minutes after the last scan.
NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
LAST = NOW - timedelta(minutes=29)
ENDED = NOW - timedelta(minutes=20)
NIGHT = timedelta(days=1)


def fleet() -> Fleet:
    """Two shops: 042 with two hosts, 077 with one."""
    hosts = build.host("cam-1", build.XAVIER), build.host("tel-1")
    other = build.host("tel-1", store="store-077")
    return build.fleet(
        build.store(*hosts),
        build.store(other, id="store-077", name="Lyon", cluster="store-077"),
    )


def finding(code: str = "DISK_LOW", **changes: Any) -> Finding:
    value = Finding(
        code=code,
        severity=Severity.HIGH,
        store="store-042",
        host="tel-1",
        subject="",
        account="emea-prod",
        region="eu-west-1",
        since=LAST - timedelta(hours=5),
        since_known=True,
        cause="/ has 100 MB free, 2048 MB is the floor.",
        evidence=(Evidence("host", "df / 100 MB free", ENDED),),
        fix="fleet doctor store-042",
    )
    return replace(value, **changes)


def write(
    records: Records,
    nights_ago: int = 0,
    *,
    states: dict[str, StoreState] | None = None,
    opened: Iterable[Finding] = (),
    resolved: Iterable[PastFinding] = (),
    spells: dict[str, Spell] | None = None,
    **changes: Any,
) -> Scan:
    """Record a scan.

    Args:
        spells: by host id; hosts of which it could not be certain are missing.
    """
    began = LAST - nights_ago * NIGHT
    at = began + (ENDED - LAST)
    every = {"store-042": StoreState.OK, "store-077": StoreState.OK}
    scan = Scan(f"drift-{nights_ago:04x}", "", began, at, every if states is None else states)
    scan = replace(scan, **changes)
    keyed = {(id_.split("/")[0], id_.split("/")[1]): one for id_, one in (spells or {}).items()}
    ids = {key: (f"mi-{key[1]}", f"arn:{key[1]}") for key in keyed}
    found = FindingChanges(at=at, opened=tuple(opened), resolved=tuple(resolved))
    records.scans.write(scan, found, keyed, ids, at)
    return scan


def connected(since: datetime = LAST - 40 * NIGHT, seen: datetime = ENDED) -> Spell:
    return Spell(HostConnection.CONNECTED, since, seen)


def dark(since: datetime = LAST - 2 * NIGHT, seen: datetime = ENDED) -> Spell:
    return Spell(HostConnection.DARK, since, seen)


def nights(records: Records) -> None:
    """Three nights: 042 is well, then goes dark, and is dark still; 077 is well throughout."""
    ids = ("store-042/cam-1", "store-042/tel-1", "store-077/tel-1")
    for back in (3, 2, 1, 0):
        seen = ENDED - back * NIGHT
        spells = dict.fromkeys(ids, connected(seen=seen))
        if back < 2:
            gone = dark(LAST - 1.5 * NIGHT, seen)
            spells |= {"store-042/cam-1": gone, "store-042/tel-1": gone}
        away = back < 2
        state = {"store-042": StoreState.DARK if away else StoreState.OK}
        site = finding("SITE_DARK", host="", since=LAST - 1.5 * NIGHT, cause="All hosts are away.")
        write(
            records,
            back,
            states={**state, "store-077": StoreState.OK},
            spells=spells,
            opened=[site] if back == 1 else [],
        )
