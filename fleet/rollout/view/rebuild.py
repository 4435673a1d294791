"""Draws what a rebuild of lost records found at AWS; what was not read comes first."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.model.changes import Change, by_store
from fleet.model.printable import many, some
from fleet.model.rollout import Phase, RebuiltRollout, owed
from fleet.model.services import revision
from fleet.model.spans import exact_moment, stamp
from fleet.rollout.view.documents import change_document
from fleet.rollout.view.rollout import MOST_ROWS
from fleet.terminal.documents import Document, document
from fleet.terminal.screen import labelled, table

#: What no service at AWS says.
NOT_KNOWN = (
    "AWS does not know whether more stores were planned, or whether a rollout came to its end: "
    "nothing counts as owed"
)


def rebuilt_view(
    rollouts: Sequence[RebuiltRollout], unread: Mapping[str, str], now: datetime, width: int
) -> RenderableType:
    """Draw a row per rollout, then per service where it can be set back to."""
    parts: list[RenderableType] = [
        labelled("NOT READ", f"{store}: {why}; what it carries is not known", "yellow")
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
            _names(carriers(one)),
            _names(sorted(by_store(one.changes).keys() - set(carriers(one)))),
            one.spec.title,
        )
        for one in rollouts
    ]
    heads = ("ID", "RECORDS", "BEGAN", "CARRIED BY", "SENT, RUN OTHERS", "WHAT")
    parts.append(table(heads, rows, width=width))
    parts.append(labelled("not known", NOT_KNOWN, "yellow"))
    sent = [(one.id, c) for one in rollouts for c in one.changes]
    parts += [Text(""), _ways_back(sent[:MOST_ROWS], width)]
    if len(sent) > MOST_ROWS:
        parts.append(Text(f"and {len(sent) - MOST_ROWS} more: --json has all of them"))
    added = sum(one.added for one in rollouts)
    parts.append(Text(f"\n{added} of {len(rollouts)} rollouts were added to the records"))
    parts.append(labelled("next", "fleet plan  shows which stores do not run what is committed"))
    return Group(*parts)


def _ways_back(sent: Sequence[tuple[str, Change]], width: int) -> RenderableType:
    return table(
        ("ROLLOUT", "STORE", "SERVICE", "RAN BEFORE", "WAS SENT"),
        [(id_, c.store, c.service, revision(c.previous), revision(c.target)) for id_, c in sent],
        width=width,
    )


def carriers(one: RebuiltRollout) -> list[str]:
    """Return the stores all of whose services run what the rollout has sent them."""
    rows = by_store(one.changes).items()
    return [store for store, mine in rows if all(change.target for change in mine)]


def _names(stores: Sequence[str]) -> str:
    return f"{many(len(stores), 'store')}: {some(stores)}" if stores else "none"


def rebuilt_document(rollouts: Sequence[RebuiltRollout], unread: Mapping[str, str]) -> Document:
    """Return the same as a versioned document."""
    return document(
        "state-rebuild",
        {
            "not_read": dict(sorted(unread.items())),
            "not_known": NOT_KNOWN,
            "rollouts": [
                {
                    "id": one.id,
                    "added": one.added,
                    "began": stamp(one.began),
                    "title": one.spec.title,
                    "owed": list(by_store(owed(one.changes, Phase.REBUILT))),
                    "carried_by": carriers(one),
                    "changes": [change_document(change) for change in one.changes],
                }
                for one in rollouts
            ],
        },
    )
