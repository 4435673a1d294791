"""Reads and writes what scans record of hosts, in bulk: connection spells and ids.

Both are observations like others: a row for a stretch of time in which nothing changed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, Text, bindparam, func, select, type_coerce, update

from fleet.errors import RecordsError
from fleet.model.drift import HostConnection as HowConnected
from fleet.model.drift import HostMemory, Spell, Versions
from fleet.model.history import Ledger
from fleet.records.column_types import canonical
from fleet.records.tables import OBSERVATIONS

#: Bound values per statement that every SQLite allows, and stores held in memory at a time.
STORES_PER_QUERY = 500

#: Store id and host name.
HostKey = tuple[str, str]

_COLUMNS = OBSERVATIONS.c
_VALUE = type_coerce(_COLUMNS.value, Text).label("value")
_WORDS = {how: canonical({"state": how.value}) for how in HowConnected}
_HOW = {words: how for how, words in _WORDS.items()}
_NO_VERSIONS = Versions()
_NOTED = (Ledger.CONNECTION.value, Ledger.INSTANCE.value)
#: Names of ``Versions`` in a row, in its order.
_RUNS = ("ecs_agent", "ssm_agent", "docker")
_AGAIN = (
    update(OBSERVATIONS)
    .where(_COLUMNS.id == bindparam("_id"))
    .values(last_seen=bindparam("_last_seen"))
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a scan saw of one host in one ledger; ``spell`` for CONNECTION only."""

    host: str
    ledger: str
    value: Mapping[str, str]
    first_seen: datetime
    last_seen: datetime
    spell: Spell | None = None


def note(
    connection: Connection,
    spells: Mapping[HostKey, Spell],
    ids: Mapping[HostKey, tuple[str, str]],
    at: datetime,
    versions: Mapping[HostKey, Versions],
) -> None:
    """Write down how hosts are connected and under which ids, in the caller's transaction.

    What is as it was has its last time moved on; a change begins a new row. What is older than
    the latest row, from a scan that was slower, changes nothing.

    Args:
        ids: of a host its ``mi-`` id and the ARN of its container instance.
        at: when those were seen.
        versions: what runs there; kept with the ids, so that an upgrade begins a new row.
    """
    of_store = defaultdict(list)
    for (store, host), spell in spells.items():
        how = {"state": spell.connection.value}
        seen = _Seen(host, _NOTED[0], how, spell.since, spell.last_seen, spell)
        of_store[store].append(seen)
    for (store, host), (managed_instance, arn) in ids.items():
        runs = asdict(versions.get((store, host), _NO_VERSIONS))
        known_as = {"mi": managed_instance, "arn": arn, **{k: v for k, v in runs.items() if v}}
        of_store[store].append(_Seen(host, _NOTED[1], known_as, at, at))
    for some in _chunks(of_store):
        known = _latest(connection, some)
        again: list[dict[str, Any]] = []
        fresh: list[dict[str, Any]] = []
        for store in some:
            for seen in of_store[store]:
                row = known.get((store, seen.host, seen.ledger))
                if row is None or row.last_seen <= seen.last_seen:
                    _sort(store, seen, row, again, fresh)
        if again:
            connection.execute(_AGAIN, again)
        if fresh:
            connection.execute(OBSERVATIONS.insert(), fresh)


def memory(
    connection: Connection, store_ids: Iterable[str], since: datetime
) -> Mapping[HostKey, HostMemory]:
    """Return what is recorded of the hosts of these stores; hosts of which nothing is are missing.

    Args:
        since: spells that ended before it are left out; the last of each host never is.
    """
    found: dict[HostKey, HostMemory] = {}
    for some in _chunks(store_ids):
        found |= _memory_of(connection, some, since)
    return found


def _sort(
    store: str,
    seen: _Seen,
    row: Row[Any] | None,
    again: list[dict[str, Any]],
    fresh: list[dict[str, Any]],
) -> None:
    """Put what was seen to the rows that go on, or to those that begin."""
    if row is not None and _goes_on(row, seen):
        again.append({"_id": row.id, "_last_seen": seen.last_seen})
        return
    # A row never begins before the one that it follows.
    begins = seen.first_seen if row is None else max(seen.first_seen, row.first_seen)
    fresh.append(
        {
            "store": store,
            "host": seen.host,
            "ledger": seen.ledger,
            "value": seen.value,
            "first_seen": begins,
            "last_seen": seen.last_seen,
        }
    )


def _goes_on(row: Row[Any], seen: _Seen) -> bool:
    if seen.spell is None:
        return bool(row.value == canonical(seen.value))
    return _spell(row.value, row.first_seen, row.last_seen).goes_on_as(seen.spell)


def _latest(
    connection: Connection, stores: tuple[str, ...]
) -> Mapping[tuple[str, str, str], Row[Any]]:
    """Return the latest row of every host of these stores and of each of the two ledgers."""
    newest = (
        select(func.max(_COLUMNS.id))
        .where(_COLUMNS.store.in_(stores), _COLUMNS.ledger.in_(_NOTED))
        .group_by(_COLUMNS.store, _COLUMNS.host, _COLUMNS.ledger)
    )
    key = _COLUMNS.store, _COLUMNS.host, _COLUMNS.ledger
    query = select(*key, _COLUMNS.id, _VALUE, _COLUMNS.first_seen, _COLUMNS.last_seen)
    rows = connection.execute(query.where(_COLUMNS.id.in_(newest)))
    return {(row.store, row.host, row.ledger): row for row in rows}


def _memory_of(
    connection: Connection, stores: tuple[str, ...], since: datetime
) -> Mapping[HostKey, HostMemory]:
    on_host = (_COLUMNS.ledger == Ledger.HOST.value) & _VALUE.contains('"machine_id"')
    query = (
        select(*(_COLUMNS[name] for name in ("store", "host", "ledger")), _COLUMNS.value)
        .add_columns(_COLUMNS.first_seen, _COLUMNS.last_seen)
        .where(_COLUMNS.store.in_(stores), _COLUMNS.ledger.in_(_NOTED) | on_host)
        .order_by(_COLUMNS.id)
    )
    spells: dict[HostKey, list[Spell]] = defaultdict(list)
    ids: dict[HostKey, tuple[str, str]] = {}
    machines: dict[HostKey, str] = {}
    runs: dict[HostKey, Versions] = {}
    for store, host, ledger, value, first_seen, last_seen in connection.execute(query):
        key = store, host
        if ledger == Ledger.INSTANCE.value:
            ids[key] = str(value.get("mi", "")), str(value.get("arn", ""))
            runs[key] = _versions(*(str(value.get(name, "")) for name in _RUNS))
        elif ledger == Ledger.HOST.value:
            machines[key] = str(value.get("machine_id", ""))
        else:
            known = spells[key]
            # The one before went on until this one began.
            if known and first_seen < since:
                known.pop()
            known.append(_spell(canonical(value), first_seen, last_seen))
    return {
        key: HostMemory(
            tuple(spells.get(key, ())),
            *ids.get(key, ("", "")),
            machines.get(key, ""),
            runs.get(key, _NO_VERSIONS),
        )
        for key in {**spells, **ids, **machines}
    }


@cache
def _versions(ecs_agent: str, ssm_agent: str, docker: str) -> Versions:
    """Return one value for the many hosts that run the same."""
    return Versions(ecs_agent, ssm_agent, docker)


def _spell(words: str, first_seen: datetime, last_seen: datetime) -> Spell:
    how = _HOW.get(words)
    if how is None:
        raise RecordsError(
            "a connection was recorded in another shape than this fleet reads",
            hint="use the version of fleet that wrote it, or a newer one",
        )
    return Spell(how, first_seen, last_seen)


def _chunks(stores: Iterable[str]) -> Iterator[tuple[str, ...]]:
    rest = iter(dict.fromkeys(stores))
    while some := tuple(islice(rest, STORES_PER_QUERY)):
        yield some
