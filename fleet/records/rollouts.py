"""Rollouts as they are recorded: begun in one transaction, moved on by ticks, held and owed."""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, or_, select, update

from fleet.errors import RecordsError
from fleet.model.changes import Change
from fleet.model.history import ActiveRollout, Lease, RejectedRelease, RolloutSummary
from fleet.model.rollout import Hold, Phase, Rollout, RolloutEvent, RolloutSpec
from fleet.model.verdicts import Stage, Verdict
from fleet.records.database import Database
from fleet.records.holds import Held, check_free, hold, holds, let_go
from fleet.records.leases import fence
from fleet.records.rejected_releases import rejected
from fleet.records.rollout_events import RolloutEventRecords, answer, event_rows, tell
from fleet.records.rollout_rows import (
    CHANGE_COLUMNS,
    active_of,
    change_of,
    change_row,
    id_of,
    number_of,
    rollout_of,
    rollout_row,
    spec_from,
    spec_text,
    summary_of,
    unknown,
)
from fleet.records.tables import CHANGES, HOLDS, ROLLOUTS, SPECS

#: Specs kept at hand; one of 10,000 stores takes tens of MB.
SPECS_AT_HAND = 4
#: Bound values per statement that every SQLite allows.
STORES_PER_QUERY = 500


class RolloutRecords(RolloutEventRecords):
    """The rollouts of one database. Only a tick under a valid lease moves one on."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._specs: OrderedDict[int, RolloutSpec] = OrderedDict()
        self._guard = threading.Lock()

    def start(
        self,
        spec: RolloutSpec,
        changes: Iterable[Change],
        holds: Iterable[Held],
        *,
        caller: str,
        at: datetime,
        run: str,
    ) -> Rollout:
        """Begin a rollout, with everything it may touch held for it; all of it or nothing.

        What done rollouts are still owed by these stores and workloads is this one's from now on.

        Args:
            holds: (store id, workload name) that no other rollout may touch until it is finished.
            caller: ARN of who starts it.
            run: id of the run that does.

        Raises:
            Locked: another rollout holds some of them.
            TypeError: something in it holds a secret, or cannot be kept.
        """
        text, rows, held = spec_text(spec), _change_rows(spec, changes), set(holds)
        with self._database.write() as connection:
            self._database.take_turns(connection, "rollouts")
            number = (connection.scalar(select(func.max(ROLLOUTS.c.number))) or 0) + 1
            rollout = Rollout(id_of(number), spec, caller, at)
            _insert(connection, rollout, text, rows, run)
            hold(connection, number, sorted(held), by=caller, since=at)
            _supersede(connection, number, held)
        return rollout

    def rebuild(
        self,
        rollout_id: str,
        spec: RolloutSpec,
        changes: Iterable[Change],
        *,
        caller: str,
        started_at: datetime,
        at: datetime,
    ) -> bool:
        """Insert a rollout that was reconstructed from AWS's tags; it holds and owes nothing.

        Returns:
            Whether it was missing; one that is known stays as it is.
        """
        number = number_of(rollout_id)
        text, rows = spec_text(spec), _change_rows(spec, changes)
        why = "rebuilt from AWS: whether more stores were planned is not known"
        rollout = Rollout(
            rollout_id,
            spec,
            caller,
            started_at,
            Phase.REBUILT,
            why,
            wave=len(spec.waves),
            updated_at=at,
            finished_at=at,
        )
        with self._database.write() as connection:
            self._database.take_turns(connection, "rollouts")
            known = select(ROLLOUTS.c.number).where(ROLLOUTS.c.number == number)
            if connection.execute(known).first() is not None:
                return False
            _insert(connection, rollout, text, rows, run="")
        return True

    def load(self, rollout_id: str) -> Rollout:
        """Return a rollout as it is now.

        Raises:
            UsageError: there is no such rollout.
            RecordsError: another version of fleet started it, in a shape that this one cannot read.
        """
        number = number_of(rollout_id)
        with self._database.read() as connection:
            query = select(ROLLOUTS).where(ROLLOUTS.c.number == number)
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                raise unknown(rollout_id)
            return rollout_of(row, self._spec(connection, number))

    def changes(self, rollout_id: str) -> tuple[Change, ...]:
        """Return its changes as they are now, in store and service order."""
        mine = CHANGES.c.rollout == number_of(rollout_id)
        with self._database.read() as connection:
            return tuple(sorted(_changes(connection, mine), key=lambda change: change.key))

    def active(self) -> tuple[str, ...]:
        """Ids of the rollouts that are not finished, oldest first."""
        query = select(ROLLOUTS.c.number).where(ROLLOUTS.c.finished_at.is_(None))
        with self._database.read() as connection:
            return tuple(map(id_of, connection.scalars(query.order_by(ROLLOUTS.c.number))))

    def done_since(self, at: datetime) -> dict[str, datetime]:
        """Return when rollouts were done, by id, of those that were at this time or later.

        One that was rebuilt from AWS has had no tick, and is left out.
        """
        done = (ROLLOUTS.c.phase == Phase.DONE.value) & (ROLLOUTS.c.finished_at >= at)
        query = select(ROLLOUTS.c.number, ROLLOUTS.c.finished_at).where(done, ROLLOUTS.c.tick > 0)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(ROLLOUTS.c.number)).all()
        return {id_of(number): finished_at for number, finished_at in rows}

    def sent_after(self, rollout_id: str) -> frozenset[tuple[str, str]]:
        """Return store and service of what rollouts that are newer than this one have sent."""
        newer = (CHANGES.c.rollout > number_of(rollout_id)) & (CHANGES.c.sends > 0)
        query = select(CHANGES.c.store, CHANGES.c.service).where(newer)
        with self._database.read() as connection:
            return frozenset((store, name) for store, name in connection.execute(query))

    def under_way(self) -> tuple[ActiveRollout, ...]:
        """Return the rollouts that are not finished, oldest first, and when each last moved."""
        query = select(ROLLOUTS).where(ROLLOUTS.c.finished_at.is_(None))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(ROLLOUTS.c.number)).mappings().all()
            return tuple(active_of(connection, row) for row in rows)

    def latest(self) -> str | None:
        """Id of the rollout that was started last."""
        with self._database.read() as connection:
            number = connection.scalar(select(func.max(ROLLOUTS.c.number)))
            return None if number is None else id_of(number)

    def history(self, limit: int = 20) -> tuple[RolloutSummary, ...]:
        """Return the latest rollouts, newest first."""
        newest = select(ROLLOUTS).order_by(ROLLOUTS.c.number.desc()).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(newest).mappings().all()
            return tuple(summary_of(connection, row) for row in rows)

    def write_tick(
        self,
        lease: Lease,
        rollout: Rollout,
        changes: Collection[Change] = (),
        events: Iterable[RolloutEvent] = (),
        verbs_obeyed: Mapping[int, str] | None = None,
    ) -> None:
        """Keep what a tick found and did, if the lease it worked under is still its own.

        A rollout that is finished by it lets its holds go in the same transaction. One that was
        finished and goes on holds again what it has yet to settle; one that begins to roll back
        holds all it ever touched; and what is about to be sent or undone is held in any case.

        Args:
            changes: those that moved.
            verbs_obeyed: what was made of verbs, by their ids.

        Raises:
            LeaseLost: somebody else works on it; nothing was kept.
            Locked: another rollout holds a store and workload that this one has let go of; nothing
                was kept.
            UsageError: there is no such rollout.
            RecordsError: one of the changes is none of its own.
            TypeError: something in it holds a secret, or cannot be kept.
        """
        number = number_of(rollout.id)
        moved = [_moved(change) for change in changes]
        told = event_rows(number, events)
        with self._database.write() as connection:
            fence(connection, lease)
            mine = ROLLOUTS.c.number == number
            # Its row first: whoever writes events of it or verbs to it waits there.
            before = select(ROLLOUTS.c.finished_at, ROLLOUTS.c.phase).where(mine)
            found = connection.execute(before.with_for_update()).one_or_none()
            if found is None:
                raise unknown(rollout.id)
            connection.execute(update(ROLLOUTS).where(mine).values(rollout_row(rollout)))
            self._move(connection, number, moved)
            tell(connection, told)
            answer(connection, number, verbs_obeyed or {})
            if rollout.finished_at is not None:
                let_go(connection, number)
                return
            back = rollout.phase is Phase.ROLLING_BACK and found.phase != Phase.ROLLING_BACK.value
            if back or found.finished_at is not None:
                which = _TOUCHED if back else _UNSETTLED
                self._hold(connection, number, rollout, which)
            sending = sorted({change.store for change in changes if change.stage in _SENDING})
            for begin in range(0, len(sending), STORES_PER_QUERY):
                some = CHANGES.c.store.in_(sending[begin : begin + STORES_PER_QUERY])
                self._hold(connection, number, rollout, some & CHANGES.c.stage.in_(_SENDING))

    def supersede(self, pairs: Iterable[Held], *, by: str) -> int:
        """Skip what finished rollouts before ``by`` are still owed by these (store, workload).

        Args:
            by: id of the newer rollout that takes them over.

        Returns:
            How many changes were skipped.
        """
        with self._database.write() as connection:
            return _supersede(connection, number_of(by), set(pairs))

    def owed(self) -> tuple[tuple[str, Change], ...]:
        """Return what done rollouts are still owed, with their ids, oldest first.

        These are changes of stores that were dark at their turn, were dark and set back or still
        are, or could not pull the image.
        """
        query = _owed(select(CHANGES.c.rollout, *CHANGE_COLUMNS))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found = sorted(((row[0], change_of(row[1:])) for row in rows), key=_by_rollout)
        return tuple((id_of(number), change) for number, change in found)

    def rejected(self, contents: Collection[str]) -> Mapping[str, RejectedRelease]:
        """Return which of these contents were sent last by a rollout that was rejected."""
        with self._database.read() as connection:
            return rejected(connection, contents)

    def holds(self) -> tuple[Hold, ...]:
        """Return who holds what now, in store and workload order."""
        with self._database.read() as connection:
            return holds(connection)

    def check_free(self, wanted: Iterable[Held]) -> None:
        """See that nobody holds any of these stores and workloads.

        Raises:
            Locked: a rollout does; says which, who and since when.
        """
        with self._database.read() as connection:
            check_free(connection, wanted)

    def _spec(self, connection: Connection, number: int) -> RolloutSpec:
        """Return what the rollout was told; it never changes, so it is read once."""
        with self._guard:
            spec = self._specs.get(number)
            if spec is None:
                query = select(SPECS.c.spec).where(SPECS.c.rollout == number)
                spec = spec_from(connection.scalar(query) or "")
                self._specs[number] = spec
                if len(self._specs) > SPECS_AT_HAND:
                    self._specs.popitem(last=False)
            return spec

    def _move(self, connection: Connection, number: int, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        done = connection.execute(_UPDATE, [row | {"_rollout": number} for row in rows])
        if done.rowcount != len(rows):
            raise RecordsError(
                f"{len(rows) - done.rowcount} of {len(rows)} changes are none of {id_of(number)}"
            )

    def _hold(
        self,
        connection: Connection,
        number: int,
        rollout: Rollout,
        which: ColumnElement[bool],
    ) -> None:
        query = select(CHANGES.c.store, CHANGES.c.workload).where(CHANGES.c.rollout == number)
        missing = query.where(which).outerjoin(
            HOLDS,
            (HOLDS.c.store == CHANGES.c.store)
            & (HOLDS.c.workload == CHANGES.c.workload)
            & (HOLDS.c.rollout == number),
        )
        rows = connection.execute(missing.where(HOLDS.c.rollout.is_(None))).all()
        if rows:
            self._database.take_turns(connection, "rollouts")
            wanted = [(row.store, row.workload) for row in rows]
            since = rollout.updated_at or rollout.started_at
            hold(connection, number, wanted, by=rollout.caller, since=since)


_SENDING = (Stage.SENDING, Stage.UNDOING)
_TOUCHED = CHANGES.c.stage.not_in([Stage.SKIPPED.value, Stage.HELD.value])
_UNSETTLED = _TOUCHED & CHANGES.c.verdict.in_(
    [verdict.value for verdict in Verdict if not verdict.traits.is_settled]
)

_UPDATE = update(CHANGES).where(
    CHANGES.c.rollout == bindparam("_rollout"),
    CHANGES.c.store == bindparam("_store"),
    CHANGES.c.service == bindparam("_service"),
)


def _moved(change: Change) -> dict[str, Any]:
    row = change_row(change)
    return row | {"_store": row.pop("store"), "_service": row.pop("service")}


def _change_rows(spec: RolloutSpec, changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [
        change_row(change) | {"workload": spec.shapes[change.service].workload}
        for change in changes
    ]


def _insert(
    connection: Connection, rollout: Rollout, text: str, rows: list[dict[str, Any]], run: str
) -> None:
    number, spec = number_of(rollout.id), rollout.spec
    words = {"title": spec.title, "release": spec.release, "workloads": spec.workloads}
    fixed = {"number": number, "run": run, "caller": rollout.caller, **words}
    connection.execute(ROLLOUTS.insert().values(rollout_row(rollout) | fixed))
    connection.execute(SPECS.insert().values(rollout=number, spec=text))
    if rows:
        connection.execute(CHANGES.insert(), [row | {"rollout": number} for row in rows])


def _changes(connection: Connection, which: ColumnElement[bool]) -> Iterable[Change]:
    return map(change_of, connection.execute(select(*CHANGE_COLUMNS).where(which)).all())


def _owes() -> ColumnElement[bool]:
    """Say ``Change.owes`` in SQL, from the same rows."""
    return or_(
        *(
            (CHANGES.c.verdict == verdict.value)
            & (
                CHANGES.c.stage.in_(verdict.traits.owes)
                | (CHANGES.c.stage.in_(verdict.traits.owes_until_ok) & CHANGES.c.ok_at.is_(None))
            )
            for verdict in Verdict
        )
    )


def _owed(query: Any) -> Any:
    """Narrow a query to what rollouts that are done are still owed."""
    done = (ROLLOUTS.c.phase == Phase.DONE.value) & ROLLOUTS.c.finished_at.is_not(None)
    return query.join_from(CHANGES, ROLLOUTS).where(done, _owes())


def _supersede(connection: Connection, number: int, taken: Collection[Held]) -> int:
    """Skip what rollouts before this one are owed by these; returns how many changes."""
    columns = (CHANGES.c.rollout, CHANGES.c.store, CHANGES.c.service, CHANGES.c.workload)
    query = _owed(select(*columns)).where(CHANGES.c.rollout < number)
    rows = [
        {"_rollout": row.rollout, "_store": row.store, "_service": row.service}
        for row in connection.execute(query)
        if (row.store, row.workload) in taken
    ]
    if rows:
        reason = f"superseded by {id_of(number)}"
        connection.execute(_UPDATE.values(stage=Stage.SKIPPED.value, reason=reason), rows)
    return len(rows)


def _by_rollout(found: tuple[int, Change]) -> tuple[int, tuple[str, str]]:
    return found[0], found[1].key
