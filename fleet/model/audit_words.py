"""Describes in one line what a run changed."""

from collections import Counter
from collections.abc import Iterable

from fleet.model.history import AuditEntry
from fleet.model.printable import listed

#: Changes of one run that are still told one by one.
FEW = 2


def told_by_run(audit: Iterable[AuditEntry]) -> list[tuple[AuditEntry, ...]]:
    """Changes as they are told: a few of a run one by one, more of them together.

    The order of ``audit`` is kept; a run stands where its first entry stood.
    """
    runs: dict[str, list[AuditEntry]] = {}
    for entry in audit:
        runs.setdefault(entry.run_id, []).append(entry)
    found: list[tuple[AuditEntry, ...]] = []
    for entries in runs.values():
        found += [(entry,) for entry in entries] if len(entries) <= FEW else [tuple(entries)]
    return found


def change_words(entries: tuple[AuditEntry, ...]) -> str:
    """Return ``send service vision-arm64 (ro-118: done)`` or ``5 changes: 2 host:Install, ...``."""
    if len(entries) == 1:
        [entry] = entries
        of = entry.detail.get("service", "")
        return f"{entry.action}{f' {of}' if of else ''} ({entry.why})"
    count = Counter(entry.action for entry in sorted(entries, key=lambda entry: entry.at))
    parts = [f"{number} {action}" if number > 1 else action for action, number in count.items()]
    hosts = sorted({entry.host for entry in entries if entry.host})
    where = f" on {listed(hosts)}" if hosts else ""
    return f"{len(entries)} changes{where}: {', '.join(parts)}"
