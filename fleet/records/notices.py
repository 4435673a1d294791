"""What channels were notified of about rollouts, and the events that they are notified of."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from fleet.model.rollout import EventKind, RolloutEvent
from fleet.records.database import Database
from fleet.records.rollout_rows import event_of, id_of, number_of
from fleet.records.tables import EVENTS, NOTICES, ROLLOUTS

#: (rollout, channel, key)
Sent = tuple[str, str, str]


class NoticeRecords:
    """The notices of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def events(self, kinds: Collection[EventKind], since: datetime) -> tuple[RolloutEvent, ...]:
        """Return the events of these kinds since then, oldest first."""
        lately = select(ROLLOUTS.c.number).where(ROLLOUTS.c.updated_at >= since)
        query = select(EVENTS).where(EVENTS.c.rollout.in_(lately), EVENTS.c.at >= since)
        query = query.where(EVENTS.c.kind.in_([kind.value for kind in kinds]))
        query = query.order_by(EVENTS.c.id)
        with self._database.read() as connection:
            return tuple(map(event_of, connection.execute(query).mappings()))

    def sent(self, rollout_ids: Collection[str]) -> frozenset[Sent]:
        """Return of which keys channels were notified, for these rollouts."""
        numbers = [number_of(id_) for id_ in rollout_ids]
        columns = (NOTICES.c.rollout, NOTICES.c.channel, NOTICES.c.key)
        query = select(*columns).where(NOTICES.c.rollout.in_(numbers))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return frozenset((id_of(row.rollout), row.channel, row.key) for row in rows)

    def note(self, rollout_id: str, channel: str, key: str, at: datetime) -> None:
        """Record that a channel was notified; once is enough."""
        row = {"rollout": number_of(rollout_id), "channel": channel, "key": key, "at": at}
        with self._database.write() as connection:
            kind = postgresql if connection.dialect.name == "postgresql" else sqlite
            insert = kind.insert(NOTICES).values(row)
            connection.execute(insert.on_conflict_do_nothing())
