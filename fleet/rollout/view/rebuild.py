"""Draws what a rebuild of lost records found at AWS; what was not read comes first."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.model.changes import Change, by_store
from fleet.model.printable import many
from fleet.model.rollout import Phase, RebuiltRollout, owed
from fleet.model.services import revision
from fleet.model.spans import exact_moment, stamp
from fleet.rollout.view.documents import change_document
from fleet.rollout.view.rollout import MOST_ROWS
from fleet.terminal.documents import Document, document
from fleet.terminal.screen import labelled, table


def rebuilt_view(
    rollouts: Sequence[RebuiltRollout], unread: Mapping[str, str], now: datetime, width: int
) -> RenderableType:
    """Draw a row per rollout, then per service where it can be set back to."""
    parts: list[RenderableType] = [
        labelled("NOT READ", f"{store}: {why}; what it owes is not known", "yellow")
        for store, why in sorted(unread.items())
    ]
    if not rollouts:
        parts.append(Text("no service at AWS names a rollout: there is nothing to rebuild"))
        return Group(*parts)
    rows = [
        (
            one.id,
            "added" if one.added else "known",
            exact_moment(one.began, now),
            str(len(by_store(one.changes))),
            _owing(one.changes),
            one.spec.title,
        )
        for one in rollouts
    ]
    parts.append(table(("ID", "RECORDS", "BEGAN", "STORES", "OWED BY", "WHAT"), rows, width=width))
    sent = [(one.id, c) for one in rollouts for c in one.changes if not c.owes]
    if sent:
        parts += [Text(""), _ways_back(sent[:MOST_ROWS], width)]
    if len(sent) > MOST_ROWS:
        parts.append(Text(f"and {len(sent) - MOST_ROWS} more: --json has all of them"))
    added = sum(one.added for one in rollouts)
    parts.append(Text(f"\n{added} of {len(rollouts)} rollouts were added to the records"))
    parts.append(labelled("next", "fleet rollout history"))
    return Group(*parts)


def _ways_back(sent: Sequence[tuple[str, Change]], width: int) -> RenderableType:
    return table(
        ("ROLLOUT", "STORE", "SERVICE", "RAN BEFORE", "WAS SENT"),
        [(id_, c.store, c.service, revision(c.previous), revision(c.target)) for id_, c in sent],
        width=width,
    )


def _owing(changes: Sequence[Change]) -> str:
    stores = by_store(owed(changes, Phase.DONE))
    return f"{many(len(stores), 'store')}: {', '.join(list(stores)[:5])}" if stores else "nobody"


def rebuilt_document(rollouts: Sequence[RebuiltRollout], unread: Mapping[str, str]) -> Document:
    """Return the same as a versioned document."""
    return document(
        "state-rebuild",
        {
            "not_read": dict(sorted(unread.items())),
            "rollouts": [
                {
                    "id": one.id,
                    "added": one.added,
                    "began": stamp(one.began),
                    "title": one.spec.title,
                    "owed": list(by_store(owed(one.changes, Phase.DONE))),
                    "changes": [change_document(change) for change in one.changes],
                }
                for one in rollouts
            ],
        },
    )
