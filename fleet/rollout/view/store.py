"""Draws one store in a rollout: what was sent, what is known, and what that rests on."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fleet.model.changes import Change
from fleet.model.overview import Overview
from fleet.model.printable import printable
from fleet.model.rollout import Place, RolloutEvent
from fleet.model.services import revision
from fleet.model.spans import age, clock, exact_moment, local_time
from fleet.rollout.view.documents import evidence_document
from fleet.rollout.view.lines import EventLines
from fleet.rollout.view.next_steps import store_steps
from fleet.rollout.view.rollout import steps_view
from fleet.rollout.view.stop import stop_view
from fleet.terminal.screen import GAP

#: Most lines that evidence of one service may take; ``--json`` has all of it.
EVIDENCE_LINES = 40

#: Values that say nothing.
_NOTHING: tuple[Any, ...] = (None, "", [], (), {}, False)


def store_view(
    overview: Overview, store: str, events: Sequence[RolloutEvent], width: int
) -> RenderableType:
    """Draw everything that a rollout knows of one of its stores.

    Args:
        events: of this store, oldest first.
    """
    rollout = overview.rollout
    mine = [change for change in overview.changes if change.store == store]
    parts: list[RenderableType] = [
        *stop_view(overview.stop, overview.at),
        Text(_place_line(store, rollout.spec.places.get(store), overview.at), style="bold"),
        Text(f"in {rollout.id} {rollout.spec.title} · {rollout.phase.value}"),
    ]
    for change in mine:
        parts += [Text(""), *_change_lines(overview, change)]
    lines = EventLines(rollout.spec)
    if events:
        parts += [Text(""), *(lines.view(event, width) for event in events)]
    return Group(*parts, Text(""), steps_view(store_steps(overview, store), width))


def _place_line(store: str, place: Place | None, now: datetime) -> str:
    if place is None:
        return store
    link = f"{place.link}, metered" if place.metered else place.link
    parts = [
        f"{store} {place.name}".strip(),
        f"{place.account}/{place.region}",
        f"cluster {place.cluster}",
        f"{link} {place.carrier}".strip(),
        f"{clock(now)} is {local_time(now, place.time_zone)} there",
    ]
    return " · ".join(parts)


def _change_lines(overview: Overview, change: Change) -> Iterable[RenderableType]:
    rollout, now = overview.rollout, overview.at
    place = rollout.spec.places.get(change.store)
    stand = change.standing
    at = change.since
    since = f", {exact_moment(at, now)} ({age(at, now)})" if at else ""
    yield Text(
        f"{change.service}: {stand.words(has_ended=rollout.phase.has_ended)}{since}",
        style=f"bold {stand.style}".strip(),
    )
    facts = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    rows = [
        ("why", change.reason or "nothing was sent yet"),
        ("wave", rollout.spec.wave_name(change.wave)),
        ("before", f"{revision(change.previous)}, {_tasks(change.previous_count)}"),
        ("wanted", _wanted(change)),
        ("sent", _sent(change, place, now)),
        ("stage", change.stage.value),
        ("read", f"AWS, {age(change.looked_at, now)}" if change.looked_at else "not yet"),
    ]
    restarts = change.observed.restarts
    if restarts.read_at is not None:
        by = f"by {restarts.source}, {age(restarts.read_at, now)}"
        rows.append(("restarts", f"{restarts.words}; {by}"))
    elif restarts.problem:
        rows.append(("restarts", restarts.words))
    if change.away_since is not None:
        away = f"{exact_moment(change.away_since, now)} ({age(change.away_since, now)})"
        rows.append(("away", f"its hosts are disconnected since {away}"))
    if change.pulls_failed:
        allowed = rollout.spec.policy.pulls
        rows.append(("pulls", f"{change.pulls_failed} failed, {allowed} are tried again"))
    for label, text in rows:
        facts.add_row(Text(label), Text(text))
    yield facts
    said = {key: v for key, v in evidence_document(change).items() if v != change.reason}
    lines = list(evidence_lines(said))
    for line in lines[:EVIDENCE_LINES]:
        yield Padding(Text(line), (0, 0, 0, GAP))
    if len(lines) > EVIDENCE_LINES:
        yield Text(f"  and {len(lines) - EVIDENCE_LINES} more lines: --json has all of them")


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count} tasks"


def _wanted(change: Change) -> str:
    what = revision(change.target) if change.target else f"content {change.content[:12]}"
    return f"{what}, {_tasks(change.desired_count)}"


def _sent(change: Change, place: Place | None, now: datetime) -> str:
    if not change.sends:
        return "nothing"
    if change.sent_at is None:
        return f"{change.sends} times, AWS's answer is not known"
    there = f", {local_time(change.sent_at, place.time_zone)} there" if place else ""
    times = "" if change.sends == 1 else f", {change.sends} times in all"
    return f"{exact_moment(change.sent_at, now)} ({age(change.sent_at, now)}{there}){times}"


def evidence_lines(evidence: Mapping[str, Any], indent: str = "") -> Iterable[str]:
    """Print what a verdict rests on, a line per fact, with what hosts said made printable."""
    for key in sorted(evidence):
        value = evidence[key]
        if value in _NOTHING:
            continue
        name = f"{indent}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield f"{name}:"
            yield from evidence_lines(value, f"{indent}  ")
        elif isinstance(value, list | tuple):
            yield f"{name}:"
            yield from _item_lines(value, f"{indent}  ")
        else:
            yield f"{name}: {printable(str(value))}"


def _item_lines(values: Iterable[Any], indent: str) -> Iterable[str]:
    for value in values:
        if isinstance(value, Mapping):
            words = (f"{k.replace('_', ' ')} {v}" for k, v in value.items() if v not in _NOTHING)
            yield f"{indent}{printable(', '.join(words))}"
        else:
            yield f"{indent}{printable(str(value))}"
