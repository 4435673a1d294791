"""Shows the inventory as text and JSON: stores, one store, one host, problems."""

from collections.abc import Sequence
from datetime import time
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.errors import Problem
from fleet.model.hours import Hours, OpenSpan
from fleet.model.inventory import Fleet, Host, Link, Source, Store
from fleet.model.printable import many, printable
from fleet.terminal.documents import Document, document
from fleet.terminal.screen import NARROW, table

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


#: Columns of the list, and the order in which they give way on a narrow terminal.
_COLUMNS = ("STORE", "NAME", "ACCOUNT/REGION", "TIME ZONE", "LIFECYCLE", "RING", "LINK", "HOSTS")
_FIRST_TO_GO = ("TIME ZONE", "RING", "ACCOUNT/REGION", "NAME", "LINK")


def store_line(store: Store, run_id: str = "") -> str:
    """Return ``store-042 Leeds · emea-prod/eu-west-1 · cluster store-042 · lte, metered``."""
    link = f"{store.link.kind}, metered" if store.link.metered else store.link.kind
    parts = [
        f"{store.id} {store.name}".strip(),
        f"{store.account.name}/{store.region}",
        f"cluster {store.cluster}",
        link,
    ]
    return " · ".join([*parts, f"run {run_id}"] if run_id else parts)


def fleet_view(fleet: Fleet, width: int) -> RenderableType:
    """Return a row per store and a line of totals, which names the columns that found no room."""
    rows = [_row(store) for store in fleet.stores]
    columns = list(_COLUMNS)
    left_out = []
    if width >= NARROW:
        for column in _FIRST_TO_GO:
            if _natural_width(columns, rows) <= width:
                break
            columns.remove(column)
            left_out.append(column.lower())
    cells = [[row[column] for column in columns] for row in rows]
    end = f" (no room for {', '.join(left_out)})" if left_out else ""
    return Group(table(columns, cells, width=width), Text(totals(fleet) + end))


def _row(store: Store) -> dict[str, str]:
    link = f"{store.link.kind}, metered" if store.link.metered else store.link.kind
    values = (
        store.id,
        store.name,
        f"{store.account.name}/{store.region}",
        store.time_zone,
        str(store.lifecycle),
        store.ring,
        link,
        hosts_words(store.hosts),
    )
    return dict(zip(_COLUMNS, map(printable, values), strict=True))


def _natural_width(columns: Sequence[str], rows: Sequence[dict[str, str]]) -> int:
    """Of all columns side by side; the last may wrap, but not below a readable width."""
    widths = [max([len(name), *(len(row[name]) for row in rows)]) for name in columns]
    return sum(widths[:-1]) + 2 * (len(columns) - 1) + min(widths[-1], 30)


def totals(fleet: Fleet) -> str:
    """Return ``14 stores (12 open, 1 paused, 1 planned), 27 hosts, 2 workloads``."""
    counts: dict[str, int] = {}
    for store in fleet.stores:
        counts[str(store.lifecycle)] = counts.get(str(store.lifecycle), 0) + 1
    lives = ", ".join(f"{count} {life}" for life, count in sorted(counts.items()))
    stores = many(len(fleet.stores), "store")
    hosts = many(sum(len(store.hosts) for store in fleet.stores), "host")
    workloads = many(len(fleet.workloads), "workload")
    return f"{stores} ({lives}), {hosts}, {workloads}" if lives else f"no stores, {workloads}"


def store_view(store: Store, width: int) -> RenderableType:
    """Everything the inventory says about a store, after inheritance."""
    hosts = [(h.name, h.hardware.name, h.address, str(h.source)) for h in store.hosts]
    return Group(
        Text(printable(store_line(store)), style="bold"),
        _facts(
            {
                "lifecycle": str(store.lifecycle),
                "ring": store.ring,
                "time zone": store.time_zone,
                "hours": hours_words(store.hours),
                "link": link_words(store.link),
                "labels": _pairs(store.labels),
                "weight": "" if store.weight is None else str(store.weight),
                "written": str(store.source),
            }
        ),
        table(("HOST", "HARDWARE", "ADDRESS", "WRITTEN"), hosts, width=width),
    )


def host_view(store: Store, host: Host) -> RenderableType:
    """Everything the inventory says about a host, after inheritance."""
    box = host.hardware
    return Group(
        Text(f"{host.id} of {printable(store_line(store))}", style="bold"),
        _facts(
            {
                "address": host.address,
                "login": f"{host.ssh.user}, port {host.ssh.port}",
                "identity": host.ssh.identity_file or "",
                "hardware": f"{box.name} ({box.architecture}, variant {box.variant})",
                "runtime": box.default_runtime or "",
                "accelerator": box.accelerator or "",
                "needs": f"{box.min_disk_free_gb:g} GB of disk, {box.min_memory_mb} MiB of memory",
                "devices": ", ".join(box.devices),
                "agent": _pairs(box.agent_settings),
                "attributes": _pairs(host.attributes),
                "written": str(host.source),
            }
        ),
    )


def hosts_words(hosts: Sequence[Host]) -> str:
    """Return ``cam-1 xavier-nx, tel-1 nuc``."""
    return ", ".join(f"{host.name} {host.hardware.name}" for host in hosts) or "none"


def link_words(link: Link) -> str:
    """Return ``lte, metered, 4.50 per GB, carrier EE``."""
    words = [link.kind]
    if link.metered:
        words.append("metered")
    if link.price_per_gb is not None:
        words.append(f"{link.price_per_gb} per GB")
    if link.carrier:
        words.append(f"carrier {link.carrier}")
    return printable(", ".join(words))


def hours_words(hours: Hours) -> str:
    """Return ``mon-fri 08:00-22:00, sat 09:00-20:00, sun closed``; equal days are joined."""
    runs: list[tuple[int, int, str]] = []
    for day in range(7):
        words = " ".join(map(_span_words, hours.get(day, ()))) or "closed"
        if runs and runs[-1][2] == words:
            runs[-1] = (runs[-1][0], day, words)
        else:
            runs.append((day, day, words))
    if len(runs) == 1:
        return runs[0][2] if runs[0][2] in {"24h", "closed"} else f"daily {runs[0][2]}"
    return ", ".join(
        f"{_DAYS[first] if first == last else f'{_DAYS[first]}-{_DAYS[last]}'} {words}"
        for first, last, words in runs
    )


def _span_words(span: OpenSpan) -> str:
    if span.opens == span.closes:
        return "24h"
    closes = "24:00" if span.closes == time(0) else f"{span.closes:%H:%M}"
    return f"{span.opens:%H:%M}-{closes}"


def _pairs(pairs: Any) -> str:
    return printable(", ".join(f"{name}={value}" for name, value in sorted(pairs.items())))


def _facts(facts: dict[str, str]) -> Text:
    pad = max(map(len, facts))
    lines = [f"  {name:<{pad}}  {printable(value)}" for name, value in facts.items() if value]
    return Text("\n".join(lines))


def fleet_document(fleet: Fleet) -> Document:
    """Return what ``inventory list --json`` prints."""
    return document(
        "inventory-list",
        {
            "fleet": fleet.name,
            "digest": fleet.digest,
            "stores": [_store(store) for store in fleet.stores],
        },
    )


def store_document(fleet: Fleet, store: Store) -> Document:
    """Return what ``inventory show STORE --json`` prints."""
    return document("inventory-store", {"fleet": fleet.name, "store": _store(store)})


def host_document(fleet: Fleet, host: Host) -> Document:
    """Return what ``inventory show STORE/HOST --json`` prints."""
    return document("inventory-host", {"fleet": fleet.name, "host": _host(host)})


def validation_document(problems: Sequence[Problem], notes: Sequence[str] = ()) -> Document:
    """Return what ``validate --json`` prints."""
    return document(
        "validate",
        {
            "valid": not problems,
            "problems": [
                {
                    "file": problem.file,
                    "line": problem.line,
                    "path": problem.path,
                    "message": problem.message,
                    "hint": problem.hint,
                }
                for problem in problems
            ],
            "notes": list(notes),
        },
    )


def _store(store: Store) -> dict[str, Any]:
    link = store.link
    return {
        "id": store.id,
        "name": store.name,
        "account": {"name": store.account.name, "account_id": store.account.account_id},
        "region": store.region,
        "cluster": store.cluster,
        "time_zone": store.time_zone,
        "hours": {
            _DAYS[day]: [f"{span.opens:%H:%M}-{span.closes:%H:%M}" for span in spans]
            for day, spans in sorted(store.hours.items())
        },
        "ring": store.ring,
        "lifecycle": str(store.lifecycle),
        "labels": dict(store.labels),
        "link": {
            "kind": link.kind,
            "metered": link.metered,
            "price_per_gb": None if link.price_per_gb is None else str(link.price_per_gb),
            "carrier": link.carrier,
        },
        "weight": None if store.weight is None else str(store.weight),
        "hosts": [_host(host) for host in store.hosts],
        "source": _source(store.source),
        "extras": dict(store.extras),
    }


def _host(host: Host) -> dict[str, Any]:
    box = host.hardware
    return {
        "id": host.id,
        "name": host.name,
        "address": host.address,
        "hardware": {
            "name": box.name,
            "architecture": str(box.architecture),
            "variant": box.variant,
            "default_runtime": box.default_runtime,
            "accelerator": box.accelerator,
        },
        "ssh": {"user": host.ssh.user, "port": host.ssh.port},
        "attributes": dict(host.attributes),
        "source": _source(host.source),
        "extras": dict(host.extras),
    }


def _source(source: Source) -> dict[str, Any]:
    return {"file": source.file, "line": source.line}
