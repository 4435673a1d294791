"""Turns a database back to version 3, in which the evidence of changes was loose JSON."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

OBSERVED = {
    "reason": "reason",
    "hosts": "hosts",
    "hosts_read_at": "looked_at",
    "tasks": "tasks",
    "tasks_read_at": "deep_at",
    "task_definition": "runs",
    "deployment": "deployment",
    "cause": "cause",
    "settles_at": "settles_at",
}


def turn_back(file: Path) -> None:
    """Rewrite every change as version 3 had it; for changes that were sent at most once."""
    with closing(sqlite3.connect(file)) as opened, opened:
        rows = opened.execute("SELECT rowid, details, sent_at, ok_at FROM fleet_changes")
        for row, details, sent_at, ok_at in rows.fetchall():
            old = _loose(json.loads(details), _iso(sent_at), _iso(ok_at))
            opened.execute(
                "UPDATE fleet_changes SET details = ? WHERE rowid = ?", (json.dumps(old), row)
            )
        opened.execute("ALTER TABLE fleet_changes DROP COLUMN ok_at")
        opened.execute("ALTER TABLE fleet_rollouts DROP COLUMN darkness")
        opened.execute("ALTER TABLE fleet_changes RENAME COLUMN details TO evidence")
        opened.execute("UPDATE fleet_schema SET version = 3")


def _loose(new: dict[str, Any], sent_at: str | None, ok_at: str | None) -> dict[str, Any]:
    if not new:
        return {}
    old = {OBSERVED[name]: value for name, value in new["observed"].items() if name in OBSERVED}
    before = new.get("next_send", {}).get("deployment_before")
    return {
        **old,
        "try": sent_at,
        **({"ok_at": ok_at} if ok_at else {}),
        **({"before": before} if before else {}),
    }


def _iso(stored: str | None) -> str | None:
    return None if stored is None else f"{stored.replace(' ', 'T')}+00:00"
