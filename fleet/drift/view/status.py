"""Shows the status of stores: what could not be read first, then every store with its ages."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.inventory.view import store_line
from fleet.model.spans import age, stamp
from fleet.model.status import Freshness, Health, HostStatus, LedgerView, StoreStatus
from fleet.register.view.checks import fix_lines
from fleet.terminal.documents import Document, document, fields_of
from fleet.terminal.screen import labelled, table

_STYLES = {
    Health.HEALTHY: "green",
    Health.ABSENT: "",
    Health.POWERED_OFF: "",
    Health.UNKNOWN: "yellow",
}


def status_view(stores: Sequence[StoreStatus], now: datetime, width: int) -> RenderableType:
    """Show what could not be read, then a table per store."""
    parts: list[RenderableType] = [
        labelled("NOT READ", f"{s.store.id}: {why}", "yellow") for s in stores for why in s.unread
    ]
    for status in stores:
        parts.append(Text(store_line(status.store), style="bold"))
        cluster = status.cluster
        seen = f"cluster {cluster.state}, read {age(cluster.as_of, now)}"
        parts.append(Text(f"{status.store.lifecycle} · {seen} · inventory {status.store.source}"))
        parts.append(
            table(
                ("HOST", "HEALTH", "SSM", "ECS", "ON HOST", "WHY"),
                [_row(h, now) for h in status.hosts],
                width=width,
                styles=[_STYLES.get(h.health, "red") for h in status.hosts],
            )
        )
        parts.extend(line for h in status.hosts for line in fix_lines(h.fix, h.host.name))
    parts.append(Text(_totals(stores)))
    return Group(*parts)


def _row(host: HostStatus, now: datetime) -> tuple[str, ...]:
    return (
        host.host.name,
        str(host.health),
        _ledger(host.ssm, now),
        _ledger(host.ecs, now),
        _ledger(host.on_host, now),
        host.reason,
    )


def _ledger(view: LedgerView, now: datetime) -> str:
    words = f"{view.state}, {age(view.as_of, now)}" if view.as_of else view.state
    return f"{words} (recorded)" if view.freshness is Freshness.RECORDED else words


def _totals(stores: Sequence[StoreStatus]) -> str:
    counts: dict[str, int] = {}
    for host in (h for s in stores for h in s.hosts):
        counts[str(host.health)] = counts.get(str(host.health), 0) + 1
    words = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return f"{len(stores)} store{'' if len(stores) == 1 else 's'}: {words or 'no hosts'}"


def status_document(stores: Sequence[StoreStatus], now: datetime) -> Document:
    """Return the status as a document; every ledger carries its own time."""
    return document(
        "status",
        {
            "at": stamp(now),
            "stores": [
                {
                    "store": s.store.id,
                    "lifecycle": str(s.store.lifecycle),
                    "not_read": list(s.unread),
                    "cluster": {"name": s.store.cluster, **_view_document(s.cluster)},
                    "hosts": [
                        {
                            "host": h.host.name,
                            "health": str(h.health),
                            "reason": h.reason,
                            "fix": h.fix,
                            **fields_of(h, "commands"),
                            "managed_instance_id": h.managed_instance_id,
                            "container_instance_arn": h.container_instance_arn,
                            "ledgers": {
                                "inventory": {
                                    "state": h.host.hardware.name,
                                    "source": str(h.host.source),
                                },
                                "ssm": _view_document(h.ssm),
                                "ecs": _view_document(h.ecs),
                                "host": _view_document(h.on_host),
                            },
                        }
                        for h in s.hosts
                    ],
                }
                for s in stores
            ],
        },
    )


def _view_document(view: LedgerView) -> dict[str, Any]:
    return {
        "state": view.state,
        "as_of": stamp(view.as_of),
        "freshness": str(view.freshness),
        "why_not": view.why_not,
    }
