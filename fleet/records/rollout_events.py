"""Reads and writes the events and verbs of rollouts, and how many stores went dark per hour."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from fleet.model.gate import Sample
from fleet.model.rollout import RolloutEvent, Verb, VerbName
from fleet.records.database import Database
from fleet.records.rollout_rows import event_of, event_row, id_of, number_of, unknown, verb_of
from fleet.records.tables import CONNECTIVITY, EVENTS, ROLLOUTS, VERBS


class RolloutEventRecords:
    """Events, verbs and connectivity samples of rollouts.

    Event ids rise in commit order within a rollout: a reader that asks for the events after the
    last id that it has read misses none.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def say(
        self,
        rollout_id: str,
        name: VerbName,
        *,
        by: str,
        at: datetime,
        stores: Iterable[str] = (),
        why: str = "",
    ) -> Verb:
        """Record a verb for the next tick of a rollout.

        Args:
            by: ARN of the caller.
            stores: the stores that it applies to; none for all.

        Raises:
            UsageError: there is no such rollout.
        """
        number = number_of(rollout_id)
        row = {"name": name.value, "stores": tuple(stores), "by": by, "at": at, "why": why}
        with self._database.write() as connection:
            _lock(connection, number)
            said = insert(VERBS).values(**row, rollout=number, answer="").returning(*VERBS.c)
            return verb_of(connection.execute(said).mappings().one())

    def verbs(self, rollout_id: str, *, unobeyed_only: bool = False) -> tuple[Verb, ...]:
        """Return the verbs of a rollout in the order they were given."""
        query = select(VERBS).where(VERBS.c.rollout == number_of(rollout_id)).order_by(VERBS.c.id)
        if unobeyed_only:
            query = query.where(VERBS.c.answer == "")
        with self._database.read() as connection:
            return tuple(map(verb_of, connection.execute(query).mappings()))

    def events(
        self, rollout_id: str, *, after: int = 0, limit: int | None = None, store: str = ""
    ) -> tuple[RolloutEvent, ...]:
        """Return the events after an id, oldest first; those of one store if it is named."""
        query = select(EVENTS).where(EVENTS.c.rollout == number_of(rollout_id))
        query = query.where(EVENTS.c.id > after).order_by(EVENTS.c.id).limit(limit)
        if store:
            query = query.where(EVENTS.c.store == store)
        with self._database.read() as connection:
            return tuple(map(event_of, connection.execute(query).mappings()))

    def has_event(self, rollout_id: str, text: str, since: datetime) -> bool:
        """Return whether a rollout has told this since then."""
        mine = (EVENTS.c.rollout == number_of(rollout_id)) & (EVENTS.c.text == text)
        query = select(EVENTS.c.id).where(mine, EVENTS.c.at >= since).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def latest_events(
        self, rollout_id: str, *, limit: int, store: str = ""
    ) -> tuple[RolloutEvent, ...]:
        """Return the latest events, oldest first; those of one store if it is named."""
        query = select(EVENTS).where(EVENTS.c.rollout == number_of(rollout_id))
        query = query.order_by(EVENTS.c.id.desc()).limit(limit)
        if store:
            query = query.where(EVENTS.c.store == store)
        with self._database.read() as connection:
            return tuple(map(event_of, connection.execute(query).mappings()))[::-1]

    def note_connectivity(self, rollout_id: str, at: datetime, dark: int, of: int) -> None:
        """Record how many untouched stores went dark in the hour of ``at`` until now.

        One sample is kept per rollout and hour, the latest.

        Args:
            of: hours for which such stores were watched, all together.
        """
        hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        row = {"rollout": number_of(rollout_id), "hour": hour, "dark": dark, "stores": of}
        with self._database.write() as connection:
            kind = postgresql if connection.dialect.name == "postgresql" else sqlite
            connection.execute(
                kind.insert(CONNECTIVITY)
                .values(row)
                .on_conflict_do_update(
                    index_elements=["rollout", "hour"], set_={"dark": dark, "stores": of}
                )
            )

    def history_sample(self, since: datetime) -> Sample:
        """Return stores that went dark since then, of the store-hours watched; zero if none."""
        dark, stores = func.sum(CONNECTIVITY.c.dark), func.sum(CONNECTIVITY.c.stores)
        hour = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        query = select(dark, stores).where(CONNECTIVITY.c.hour >= hour)
        with self._database.read() as connection:
            row = connection.execute(query).one()
            return Sample(int(row[0] or 0), int(row[1] or 0))


def tell(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Insert events; the caller has locked the rollout's row, so that ids rise in commit order."""
    if rows:
        connection.execute(EVENTS.insert(), rows)


def answer(connection: Connection, number: int, answers: Mapping[int, str]) -> None:
    """Record the answers to verbs; an answer that exists is kept."""
    for verb, text in answers.items():
        mine = (VERBS.c.id == verb) & (VERBS.c.rollout == number) & (VERBS.c.answer == "")
        connection.execute(update(VERBS).where(mine).values(answer=text))


def event_rows(number: int, events: Iterable[RolloutEvent]) -> list[dict[str, Any]]:
    """Return the rows of events after checking that they can be stored.

    Raises:
        ValueError: one is of another rollout.
        TypeError: one holds a secret, or something that JSON has no word for.
    """
    rows = []
    for event in events:
        if event.rollout != id_of(number):
            raise ValueError(f"an event of {event.rollout} is none of {id_of(number)}")
        rows.append(event_row(number, event))
    return rows


def _lock(connection: Connection, number: int) -> None:
    """Lock the rollout's row until the transaction ends."""
    query = select(ROLLOUTS.c.number).where(ROLLOUTS.c.number == number).with_for_update()
    if connection.execute(query).first() is None:
        raise unknown(id_of(number))
