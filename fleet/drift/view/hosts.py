"""Shows hosts as scans last saw them: a line each, with the age of what it says."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.model.drift import HostConnection
from fleet.model.drift_settings import Severity
from fleet.model.printable import many, printable, some
from fleet.model.scan_result import Scan
from fleet.model.spans import age, moment, span, stamp
from fleet.model.store_story import HostNow, HostsNow
from fleet.terminal.documents import Document, document, fields_of
from fleet.terminal.screen import labelled, table

#: Most hosts on a terminal; ``--json`` has all.
SHOWN = 500
#: What to type when no scan was recorded yet.
SCAN = "fleet drift"

_STYLES = {
    HostConnection.CONNECTED: "green",
    HostConnection.DARK: "red",
    HostConnection.POWERED_OFF: "",
}


def hosts_view(seen: HostsNow, width: int) -> RenderableType:
    """Show what no scan knows first, then a line per host."""
    if seen.scan is None:
        return labelled("NO SCAN", f"none is recorded yet, so nothing is known: {SCAN}", "yellow")
    parts: list[RenderableType] = [Text(scan_line(seen.scan, seen.at))]
    if seen.unscanned:
        names = some(seen.unscanned)
        words = f"{many(len(seen.unscanned), 'store')} in no recorded scan: {names}"
        parts.append(labelled("NOT SCANNED", f"{words}. {SCAN} {seen.unscanned[0]}", "yellow"))
    shown = seen.hosts[:SHOWN]
    if shown:
        columns = ("HOST", "CONNECTION", "SINCE", "SEEN", "NODE", "ECS/SSM AGENT", "FINDINGS")
        rows = [_row(host, seen.at) for host in shown]
        parts.append(table(columns, rows, width=width, styles=[_style(host) for host in shown]))
    if len(seen.hosts) > SHOWN:
        parts.append(Text(f"and {len(seen.hosts) - SHOWN:,} more: choose stores, or --json"))
    parts.append(Text(_totals(seen.hosts)))
    parts.append(labelled("now", "fleet status STORE asks SSM and ECS"))
    return Group(*parts)


def scan_line(scan: Scan, now: datetime) -> str:
    """Return from which scan, of what, and how old that is."""
    of = scan.selection or "the whole fleet"
    ended = scan.finished_at or scan.started_at
    partly = "" if scan.complete else ", INCOMPLETE"
    return f"from the records: {scan.id} of {of}, read {age(ended, now)}{partly}"


def connection_words(host: HostNow) -> str:
    """Return ``dark``, or ``dark (not verified)`` where the store's last scan could not tell."""
    if host.connection is None:
        return "not known"
    return host.connection.value if host.verified else f"{host.connection.value} (not verified)"


def agents_words(host: HostNow) -> str:
    """Return the versions of its ECS and SSM agents; ``?`` for one that is not known."""
    versions = host.versions
    return f"{printable(versions.ecs_agent) or '?'} / {printable(versions.ssm_agent) or '?'}"


def findings_words(host: HostNow) -> str:
    """Return the codes of the open findings, the gravest first."""
    gravest = sorted(host.findings, key=lambda past: -past.finding.severity.rank)
    return ", ".join(dict.fromkeys(past.finding.code for past in gravest)) or "-"


def _row(host: HostNow, now: datetime) -> tuple[str, ...]:
    since = f"{moment(host.since, now)} ({_span(host.since, now)})" if host.since else "-"
    node = host.managed_instance_id or "-"
    return (
        host.host.id,
        connection_words(host),
        since,
        age(host.seen_at, now),
        node,
        agents_words(host),
        findings_words(host),
    )


def _span(since: datetime, now: datetime) -> str:
    return span((now - since).total_seconds())


def _style(host: HostNow) -> str:
    if host.connection is None or not host.verified:
        return "yellow"
    heavy = any(past.finding.severity is Severity.HIGH for past in host.findings)
    return "red" if heavy else _STYLES.get(host.connection, "yellow")


def _totals(hosts: Sequence[HostNow]) -> str:
    count = Counter(connection_words(host) for host in hosts)
    words = ", ".join(f"{number:,} {word}" for word, number in sorted(count.items()))
    return f"{many(len(hosts), 'host')}: {words or 'none'}"


def hosts_document(seen: HostsNow) -> Document:
    """Return the hosts as a document."""
    return document(
        "hosts",
        {
            "at": stamp(seen.at),
            "scan": scan_document(seen.scan) if seen.scan else None,
            "stores_not_scanned": list(seen.unscanned),
            "hosts": [host_document(host) for host in seen.hosts],
        },
    )


def scan_document(scan: Scan) -> dict[str, Any]:
    """Return a scan without what it found."""
    return fields_of(scan, "id", "selection", "started_at", "finished_at", "complete")


def host_document(host: HostNow) -> dict[str, Any]:
    """Return one host."""
    ids = ("managed_instance_id", "container_instance_arn")
    found = [past.finding for past in host.findings]
    return {
        "store": host.host.store,
        "host": host.host.name,
        "hardware": host.host.hardware.name,
        **fields_of(host, "connection", "verified", "since", "seen_at", *ids, "versions"),
        "findings": [fields_of(one, "code", "severity", "host", "subject") for one in found],
    }
