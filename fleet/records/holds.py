"""Holds: which rollout may change which store and workload. Runs in the caller's transaction."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, select

from fleet.errors import Locked
from fleet.model.rollout import Hold
from fleet.records.rollout_rows import hold_of
from fleet.records.tables import HOLDS

#: Stores named in a message; the rest are counted.
NAMED = 3

#: A store's id and a workload's name.
Held = tuple[str, str]


def hold(
    connection: Connection, number: int, wanted: Iterable[Held], *, by: str, since: datetime
) -> None:
    """Insert the holds of a rollout, all or none; holds that it already has are kept.

    Raises:
        Locked: another rollout holds some of them; says which, who and since when.
    """
    free = dict.fromkeys(wanted)
    if not free:
        return
    held = connection.execute(select(HOLDS)).mappings()
    in_the_way = []
    for row in held:
        if (row["store"], row["workload"]) not in free:
            continue
        if row["rollout"] == number:
            del free[row["store"], row["workload"]]
        else:
            in_the_way.append(hold_of(row))
    if in_the_way:
        raise _locked(in_the_way)
    rows = [
        {"store": store, "workload": workload, "rollout": number, "by": by, "since": since}
        for store, workload in free
    ]
    if rows:
        connection.execute(HOLDS.insert(), rows)


def check_free(connection: Connection, wanted: Iterable[Held]) -> None:
    """Check that no rollout holds any of these.

    Raises:
        Locked: says which, who and since when.
    """
    asked = set(wanted)
    found = [held for held in holds(connection) if (held.store, held.workload) in asked]
    if found:
        raise _locked(found)


def let_go(connection: Connection, number: int) -> None:
    """Delete all holds of a rollout."""
    connection.execute(delete(HOLDS).where(HOLDS.c.rollout == number))


def holds(connection: Connection) -> tuple[Hold, ...]:
    """Return all of them, in store and workload order."""
    rows = connection.execute(select(HOLDS)).mappings()
    return tuple(sorted(map(hold_of, rows), key=lambda held: (held.store, held.workload)))


def _locked(found: Collection[Hold]) -> Locked:
    first, *_ = by_age = sorted(found, key=lambda held: (held.since, held.store, held.workload))
    of_first = [held for held in by_age if held.rollout == first.rollout]
    names = [f"{held.store} ({held.workload})" for held in of_first[:NAMED]]
    more = len(of_first) - len(names)
    what = ", ".join(names) + (f" and {more} more" if more else "")
    since = first.since.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
    others = sorted(
        {held.rollout for held in found} - {first.rollout}, key=lambda name: (len(name), name)
    )
    also = f"; {', '.join(others)} hold{'s' if len(others) == 1 else ''} others" if others else ""
    return Locked(
        f"{first.rollout} holds {what} since {since}, started by {first.by}{also}; "
        "nothing was touched",
        hint=f"fleet rollout status {first.rollout}",
    )
