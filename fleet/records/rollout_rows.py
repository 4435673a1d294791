"""Converts rows of rollouts, changes, events, verbs and holds to values and back."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import Connection, func, select

from fleet.errors import RecordsError, UsageError
from fleet.model.changes import Change, NextSend, ObservedChange, Undo
from fleet.model.darkness import DarknessTest
from fleet.model.history import ActiveRollout, RolloutSummary
from fleet.model.plain import from_plain, to_plain
from fleet.model.rollout import (
    EventKind,
    Hold,
    Phase,
    Rollout,
    RolloutEvent,
    RolloutSpec,
    Verb,
    VerbName,
)
from fleet.model.signals import SignalReadings
from fleet.model.verdicts import Stage, Verdict
from fleet.records.column_types import canonical
from fleet.records.tables import CHANGES, EVENTS, HOLDS, ROLLOUTS

PREFIX = "ro-"
#: The most that an INTEGER column takes.
LARGEST = 2**31 - 1
MOVING = tuple(
    field.name for field in fields(Rollout) if field.name in ROLLOUTS.c and field.name != "caller"
)
CHANGE_FIELDS = tuple(field.name for field in fields(Change) if field.name in CHANGES.c)
EVENT_FIELDS = tuple(field.name for field in fields(RolloutEvent) if field.name != "id")
CHANGE_COLUMNS = (*(CHANGES.c[name] for name in CHANGE_FIELDS), CHANGES.c.details)


def number_of(rollout_id: str) -> int:
    """Return the number in ``ro-118``.

    Raises:
        UsageError: it is no id of a rollout.
    """
    digits = rollout_id.removeprefix(PREFIX)
    if digits == rollout_id or not (digits.isascii() and digits.isdigit()):
        raise UsageError(
            f"{rollout_id!r} is no id of a rollout; they are like {PREFIX}118",
            hint="fleet rollout history",
        )
    number = int(digits)
    if not 0 < number <= LARGEST:
        raise unknown(rollout_id)
    return number


def id_of(number: int) -> str:
    """Return the id that people read and type."""
    return f"{PREFIX}{number}"


def unknown(rollout_id: str) -> UsageError:
    """No rollout has this id."""
    return UsageError(
        f"there is no rollout {rollout_id} in this database", hint="fleet rollout history"
    )


@dataclass(frozen=True, slots=True)
class _Details:
    """The fields of a change that share the column ``details``; a default is left out of it."""

    observed: ObservedChange = field(default_factory=ObservedChange)
    next_send: NextSend = field(default_factory=NextSend)
    undo: Undo = field(default_factory=Undo)
    failure_accepted: bool = False
    is_late: bool = False


_DETAIL_DEFAULTS = {field.name: getattr(_Details(), field.name) for field in fields(_Details)}


def _details(change: Change) -> dict[str, Any]:
    return {
        name: to_plain(value)
        for name, default in _DETAIL_DEFAULTS.items()
        if (value := getattr(change, name)) != default
    }


def _fields_of(column: Mapping[str, Any]) -> Mapping[str, Any]:
    if not column:
        return _DETAIL_DEFAULTS
    try:
        details = from_plain(_Details, column)
    except ValueError as error:
        raise RecordsError(
            f"a change was recorded in another shape than this fleet reads: {error}",
            hint="use the version of fleet that wrote it",
        ) from error
    return {name: getattr(details, name) for name in _DETAIL_DEFAULTS}


def rollout_row(rollout: Rollout) -> dict[str, Any]:
    """Return the columns of the moving part."""
    return {name: getattr(rollout, name) for name in MOVING} | {
        "phase": rollout.phase.value,
        "darkness": to_plain(rollout.darkness),
        "signals": to_plain(rollout.signals),
    }


def rollout_of(row: Mapping[Any, Any], spec: RolloutSpec) -> Rollout:
    """Return a rollout from its row and what it was told.

    Raises:
        RecordsError: its darkness test has another shape than this fleet reads.
    """
    moving = {name: row[name] for name in MOVING} | {
        "phase": Phase(row["phase"]),
        "darkness": _darkness_of(row["darkness"]),
        "signals": _signals_of(row["signals"]),
    }
    return Rollout(id=id_of(row["number"]), spec=spec, caller=row["caller"], **moving)


def _darkness_of(column: Mapping[str, Any] | None) -> DarknessTest:
    """Return a rollout's darkness test; older versions of fleet recorded none."""
    try:
        return from_plain(DarknessTest, column or {})
    except ValueError as error:
        raise RecordsError(
            f"a rollout was recorded in another shape than this fleet reads: {error}",
            hint="use the version of fleet that wrote it",
        ) from error


def _signals_of(column: Mapping[str, Any]) -> SignalReadings:
    """Return the readings of a column; none of those that another fleet wrote otherwise.

    They are read anew within minutes, so they are no reason to refuse a rollout.
    """
    try:
        return from_plain(SignalReadings, column)
    except ValueError:
        return SignalReadings()


def change_row(change: Change) -> dict[str, Any]:
    """Return the columns of a change but for its rollout and workload.

    Raises:
        TypeError: it holds a secret, or something that JSON has no word for.
    """
    return {name: getattr(change, name) for name in CHANGE_FIELDS} | {
        "stage": change.stage.value,
        "verdict": change.verdict.value,
        "details": _details(change),
    }


def change_of(row: Iterable[Any]) -> Change:
    """Return a change from ``CHANGE_COLUMNS``.

    Raises:
        RecordsError: its details have another shape than this fleet reads.
    """
    *columns, details = row
    values = dict(zip(CHANGE_FIELDS, columns, strict=True))
    values["stage"], values["verdict"] = Stage(values["stage"]), Verdict(values["verdict"])
    return Change(**values, **_fields_of(details))


def event_row(number: int, event: RolloutEvent) -> dict[str, Any]:
    """Return the columns of an event but for its own number.

    Raises:
        TypeError: its data hold a secret, or something that JSON has no word for.
    """
    canonical(event.data)
    return {name: getattr(event, name) for name in EVENT_FIELDS} | {
        "rollout": number,
        "kind": event.kind.value,
    }


def event_of(row: Mapping[Any, Any]) -> RolloutEvent:
    """Return an event from its row."""
    kind = EventKind(row["kind"])
    return RolloutEvent(**{**row, "rollout": id_of(row["rollout"]), "kind": kind})


def verb_of(row: Mapping[Any, Any]) -> Verb:
    """Return a verb from its row."""
    return Verb(**{**row, "rollout": id_of(row["rollout"]), "name": VerbName(row["name"])})


def hold_of(row: Mapping[Any, Any]) -> Hold:
    """Return a hold from its row."""
    return Hold(**{**row, "rollout": id_of(row["rollout"])})


def spec_text(spec: RolloutSpec) -> str:
    """Canonical JSON: equal specs are equal texts.

    Raises:
        TypeError: it holds a secret, or something that JSON has no word for.
        ValueError: it holds a number that is none.
    """
    return json.dumps(
        to_plain(spec), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def spec_from(text: str) -> RolloutSpec:
    """Return the spec of a text.

    Raises:
        RecordsError: it is not one, or one of another version of fleet.
    """
    try:
        return from_plain(RolloutSpec, json.loads(text))
    except ValueError as error:
        raise RecordsError(
            f"the rollout was recorded in another shape than this fleet reads: {error}",
            hint="use the version of fleet that started it",
        ) from error


def active_of(connection: Connection, row: Mapping[Any, Any]) -> ActiveRollout:
    """Return a rollout that is not finished, from its row."""
    turned = select(func.max(EVENTS.c.at)).where(
        EVENTS.c.rollout == row["number"], EVENTS.c.kind == "phase"
    )
    held = select(func.count(HOLDS.c.store.distinct())).where(HOLDS.c.rollout == row["number"])
    return ActiveRollout(
        id=id_of(row["number"]),
        phase=Phase(row["phase"]),
        workloads=changed_workloads(connection, row["number"]) or row["workloads"],
        stores=connection.scalar(held) or 0,
        why=row["why"],
        phase_at=connection.scalar(turned) or row["started_at"],
        moved_at=row["updated_at"] or row["started_at"],
    )


def changed_workloads(connection: Connection, number: int) -> tuple[str, ...]:
    """Return the workloads that a rollout changes somewhere, in name order."""
    names = select(CHANGES.c.workload).where(CHANGES.c.rollout == number).distinct()
    return tuple(connection.scalars(names.order_by(CHANGES.c.workload)))


def summary_of(connection: Connection, row: Mapping[Any, Any]) -> RolloutSummary:
    """Return a line of the history, from a rollout's row."""
    mine = CHANGES.c.rollout == row["number"]
    verdicts = select(CHANGES.c.verdict, func.count()).where(mine).group_by(CHANGES.c.verdict)
    stores = select(func.count(CHANGES.c.store.distinct())).where(mine)
    return RolloutSummary(
        id=id_of(row["number"]),
        phase=Phase(row["phase"]),
        stores=connection.scalar(stores) or 0,
        changed=changed_workloads(connection, row["number"]),
        verdicts={Verdict(word): count for word, count in connection.execute(verdicts)},
        **{name: row[name] for name in _SUMMARY},
    )


_SUMMARY = ("run", "title", "release", "workloads", "caller", "started_at", "finished_at", "why")
