"""Draws a rollout: what it does and why, its waves, and every store that needs a person."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fleet.model.changes import CONVOY, Change, by_store
from fleet.model.overview import Overview
from fleet.model.printable import many, who
from fleet.model.rollout import EventKind, Phase, Rollout, RolloutSpec, Verb
from fleet.model.spans import age, clock, exact_moment, local_time, span
from fleet.model.verdicts import Standing, worst
from fleet.model.weights import share_words, total_weight
from fleet.rollout.view.lines import gate_view
from fleet.rollout.view.next_steps import NextStep, next_steps
from fleet.rollout.view.stop import stop_view
from fleet.rollout.view.watched import age_words, read_at, watch_words
from fleet.terminal.screen import GAP, NARROW, labelled, needed_width, table

#: Most rows of a list of stores; the rest is counted, and all of them are in ``--json``.
MOST_ROWS = 12
#: Slow stores shown.
SLOWEST = 5
#: Seconds without a tick after which somebody should look; a tick takes seconds.
STALE_S = 120.0

#: Standings that always have a column.
_ALWAYS = (Standing.OK, Standing.FAILED, Standing.DARK, Standing.WAITING)
#: Standings that need no column: nothing was to be done, or is to be done yet.
_NEVER = (Standing.PLANNED, Standing.UNCHANGED)
#: All others, the worst first, have one when a store stands so.
_SOMETIMES = tuple(s for s in reversed(Standing) if s not in {*_ALWAYS, *_NEVER})


_PHASE_STYLES = {
    Phase.HALTED: "red",
    Phase.PAUSED: "yellow",
    Phase.AWAITING: "yellow",
    Phase.ROLLING_BACK: "yellow",
    Phase.DONE: "green",
}


def store_standings(changes: Iterable[Change]) -> Mapping[str, Standing]:
    """Return how each store stands."""
    return {
        store: worst(change.standing for change in mine)
        for store, mine in by_store(changes).items()
    }


@dataclass(frozen=True, slots=True)
class WaveCount:
    """Counts how the stores of a wave stand.

    Attributes:
        index: into the spec's waves, or ``CONVOY``.
        weight: the part of the weight of all stores, as ``18 %``; "" where all weigh the same.
        read_at: when its store was read that was read longest ago; None where none was.
    """

    index: int
    name: str
    stores: int
    count: Mapping[Standing, int]
    weight: str = ""
    read_at: datetime | None = None


def wave_counts(rollout: Rollout, changes: Sequence[Change]) -> tuple[WaveCount, ...]:
    """Return the waves in order, the convoy last; an empty convoy is left out."""
    rows: dict[int, dict[str, Standing]] = {index: {} for index in range(len(rollout.spec.waves))}
    read: dict[int, datetime] = {}
    for store, mine in by_store(changes).items():
        wave = max(change.wave for change in mine)
        rows.setdefault(wave, {})[store] = worst(change.standing for change in mine)
        seen_at = read_at(mine)
        if seen_at is not None:
            read[wave] = min(seen_at, read.get(wave, seen_at))
    ordered = sorted(rows, key=lambda index: (index == CONVOY, index))
    return tuple(
        WaveCount(
            index,
            rollout.spec.wave_name(index),
            len(rows[index]),
            Counter(rows[index].values()),
            weight_words(rollout.spec, rows[index]),
            read.get(index),
        )
        for index in ordered
    )


def weight_words(spec: RolloutSpec, stores: Iterable[str]) -> str:
    """Return the part of the weight of all stores that these have; "" where all weigh the same."""
    places = spec.places
    if len({place.weight for place in places.values()}) <= 1 and not spec.policy.limits_weight:
        return ""
    weighs = sum((places[store].weight for store in stores), Decimal(0))
    return share_words(weighs, total_weight(places))


def slowest(changes: Iterable[Change], now: datetime) -> tuple[tuple[Change, float], ...]:
    """Return what has been on its way for longest, with its seconds since it was sent."""
    waiting = [
        (change, (now - change.sent_at).total_seconds())
        for change in changes
        if change.sent_at is not None and change.standing in {Standing.WAITING, Standing.UNDOING}
    ]
    return tuple(sorted(waiting, key=lambda row: (-row[1], row[0].key)))


def status_view(overview: Overview, width: int) -> RenderableType:
    """Draw the whole rollout: state and freshness, then numbers, stores and commands."""
    parts: list[RenderableType] = [*stop_view(overview.stop, overview.at), *head(overview)]
    parts += [Text(""), waves_view(overview, width)]
    if overview.gate is not None and not overview.rollout.phase.has_ended:
        parts += [
            Text(""),
            gate_view(overview.gate, overview.rollout.wave_name, width),
        ]
    parts += _slowest(overview, width)
    parts += _stores(overview, width)
    parts += [_verb_line(verb, overview.at) for verb in overview.verbs if not verb.answer]
    parts += [
        labelled(
            "held", f"{h.store} {h.workload} by {h.rollout} ({who(h.by)}) since {clock(h.since)}"
        )
        for h in overview.held_by[:MOST_ROWS]
    ]
    if next_steps(overview):
        parts += [Text(""), next_view(overview, width)]
    return Group(*parts)


def head(overview: Overview) -> list[RenderableType]:
    """Draw what it does, why, and how fresh that is."""
    rollout = overview.rollout
    since = phase_since(overview)
    words = f"{rollout.phase.value.upper()} since {exact_moment(since, overview.at)}"
    title = f"{rollout.id} {rollout.spec.title} · {words} ({age(since, overview.at)})"
    style = f"bold {_PHASE_STYLES.get(rollout.phase, '')}".strip()
    facts = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    for label, text, colour in _facts(overview):
        facts.add_row(Text(label), Text(text), style=colour)
    return [Text(title, style=style), facts]


def _facts(overview: Overview) -> Iterable[tuple[str, str, str]]:
    rollout = overview.rollout
    if rollout.why:
        yield "why", rollout.why, ""
    for words in overview.waits:
        if words != rollout.why:
            yield "waits", words, ""
    window = overview.next_window
    if window is not None:
        place = rollout.spec.places.get(window.store)
        there = f", {local_time(window.at, place.time_zone)} there" if place else ""
        more = f" and {window.stores - 1} more" if window.stores > 1 else ""
        wait = span((window.at - overview.at).total_seconds())
        yield (
            "window",
            f"next {exact_moment(window.at, overview.at)}{there}, in {wait}: {window.store}{more}",
            "",
        )
    if rollout.spec.policy.limits_weight and rollout.finished_at is None:
        yield "weight", _weight_in_flight(overview), ""
    until = rollout.finished_at or overview.at
    took = span((until - rollout.started_at).total_seconds())
    spec = rollout.spec
    yield (
        "began",
        f"{exact_moment(rollout.started_at, overview.at)} by {who(rollout.caller)}, {took} "
        f"{'in all' if rollout.finished_at else 'so far'}; "
        f"{many(len(by_store(overview.changes)), 'store')}, policy {spec.policy.name}, "
        f"{spec.selection or 'all open stores'}",
        "",
    )
    if rollout.finished_at is None:
        yield _ticked(overview)
    watched = watch_words(overview)
    if watched:
        yield "watched", watched, ""


def _weight_in_flight(overview: Overview) -> str:
    """Return ``4.1 % in flight, limit 5%; a wave at most 20%``."""
    spec = overview.rollout.spec
    # A store of an earlier wave that was good has nothing left to apply.
    flying = {c.store for c in overview.changes if c.in_flight and not c.is_late}
    words = [f"{weight_words(spec, flying)} in flight"]
    if spec.policy.max_weight_in_flight is not None:
        words[0] += f", limit {spec.policy.max_weight_in_flight}"
    if spec.policy.max_weight_per_wave is not None:
        words.append(f"a wave at most {spec.policy.max_weight_per_wave}")
    return "; ".join(words)


def phase_since(overview: Overview) -> datetime:
    """Return when the rollout came into its phase, as far as the latest events reach back."""
    rollout = overview.rollout
    turns = [event.at for event in overview.events if event.kind is EventKind.PHASE]
    return turns[-1] if turns else rollout.finished_at or rollout.started_at


def _ticked(overview: Overview) -> tuple[str, str, str]:
    """Say who ticks it and how lately; one that nobody ticks looks as alive as any other."""
    last = overview.rollout.updated_at
    words = f"{age(last, overview.at)} (tick {overview.rollout.tick})" if last else "not yet"
    owners = list(dict.fromkeys(ticker.owner for ticker in overview.tickers))
    if not owners and overview.controller is not None:
        owners = [overview.controller.owner]  # between two ticks it holds no lease of the rollout
    if not owners and overview.rollout.phase.awaits_person:
        return "ticked", f"{words}; it rests until somebody says something", ""
    if not owners:
        return "ticked", f"{words}; NOBODY ticks it now", "yellow"
    stale = last is not None and (overview.at - last).total_seconds() > STALE_S
    return "ticked", f"{words} by {', '.join(owners)}", "yellow" if stale else ""


def waves_view(overview: Overview, width: int) -> RenderableType:
    """Draw a row per wave, without columns that are empty; a narrow screen gets words."""
    waves = wave_counts(overview.rollout, overview.changes)
    shown = [*_ALWAYS, *(s for s in _SOMETIMES if any(w.count.get(s) for w in waves))]
    weighted = any(w.weight for w in waves)
    rows = [
        (
            w.name,
            str(w.stores),
            *([w.weight] if weighted else []),
            *(str(w.count.get(s, 0)) for s in shown),
            wave_state(overview, w),
        )
        for w in waves
    ]
    weight = ("WEIGHT",) if weighted else ()
    columns = ("WAVE", "STORES", *weight, *(s.value.upper() for s in shown), "STATE")
    if needed_width(columns, rows) <= width:
        return table(columns, rows, width=width)
    return Group(
        *(
            labelled(
                w.name,
                f"{many(w.stores, 'store')}{f', {w.weight} of the weight' if w.weight else ''}: "
                f"{tally_words(w.count, has_ended=overview.rollout.phase.has_ended)} · "
                f"{wave_state(overview, w)}",
            )
            for w in waves
        )
    )


def wave_state(overview: Overview, wave: WaveCount) -> str:
    """Say what goes on with a wave, in a few words, and how old that is unless it is fresh."""
    return ", ".join(filter(None, (_wave_state(overview, wave), age_words(overview, wave.read_at))))


def _wave_state(overview: Overview, wave: WaveCount) -> str:
    rollout = overview.rollout
    if wave.index < 0:
        return "came back"
    if wave.index < rollout.wave:
        return _passed(overview, wave)
    if wave.index > rollout.wave:
        return "not sent" if rollout.phase.has_ended else "to come"
    if rollout.phase.has_ended:
        return rollout.phase.value
    if rollout.baking_since is not None and rollout.phase is Phase.RUNNING:
        left = rollout.spec.policy.bake_s - (overview.at - rollout.baking_since).total_seconds()
        return f"baking, {span(left)} left" if left > 0 else "baked"
    to_send = wave.count.get(Standing.PLANNED, 0)
    now = "now" if rollout.phase is Phase.RUNNING else rollout.phase.value
    return f"{now}, {to_send} to send" if to_send else now


def _passed(overview: Overview, wave: WaveCount) -> str:
    """Say how a wave ended; one whose failures a person accepted has not passed."""
    taken = accepted_failures(c for c in overview.changes if c.wave == wave.index)
    return f"not passed, {many(len(taken), 'failure')} accepted" if taken else "passed"


def accepted_failures(changes: Iterable[Change]) -> frozenset[str]:
    """Return the stores that have failed and whose failure a person accepted."""
    return frozenset(
        c.store for c in changes if c.failure_accepted and c.standing is Standing.FAILED
    )


def _slowest(overview: Overview, width: int) -> list[RenderableType]:
    slow = slowest(overview.changes, overview.at)[:SLOWEST]
    if not slow:
        return []
    rows = [
        (change.store, overview.rollout.spec.variant_of(change), span(seconds), change.reason)
        for change, seconds in slow
    ]
    return [Text(""), table(("SLOWEST", "VARIANT", "FOR", "WAITS FOR"), rows, width=width)]


def _stores(overview: Overview, width: int) -> list[RenderableType]:
    """List every store that is not simply well: the failed first, then those that owe it."""
    parts: list[RenderableType] = []
    owing = overview.owed
    bad = [c for c in overview.changes if c.standing.needs_person and not c.owes]
    bad.sort(key=lambda c: -c.standing.rank)
    if bad:
        parts += [Text(""), _changes_table(overview, bad, width), *_more(bad)]
    if owing:
        said = f"Owed by {many(len(by_store(owing)), 'store')}:"
        parts += [Text(""), Text(said), _changes_table(overview, owing, width), *_more(owing)]
    return parts


def _changes_table(overview: Overview, rows: Sequence[Change], width: int) -> RenderableType:
    shown = rows[:MOST_ROWS]
    return table(
        ("STORE", "SERVICE", "VERDICT", "SINCE", "WHY"),
        [
            (c.store, c.service, c.standing.value, age(c.since, overview.at), c.reason)
            for c in shown
        ],
        width=width,
        styles=[c.standing.style for c in shown],
    )


def _more(rows: Sequence[Change]) -> list[Text]:
    more = len(rows) - MOST_ROWS
    return [Text(f"and {more} more: --json has all of them")] if more > 0 else []


def _verb_line(verb: Verb, now: datetime) -> RenderableType:
    on = f" for {', '.join(verb.stores)}" if verb.stores else ""
    why = f" ({verb.why})" if verb.why else ""
    return labelled(
        "said", f"{verb.name.value}{on} by {who(verb.by)} {age(verb.at, now)}{why}: not obeyed yet"
    )


def next_view(overview: Overview, width: int) -> RenderableType:
    """Draw the commands that make sense now, each with what it is good for."""
    return steps_view(next_steps(overview), width)


def steps_view(steps: Sequence[NextStep], width: int) -> RenderableType:
    """Draw commands, each with what it is good for."""
    grid = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold")
    for number, step in enumerate(steps):
        label = "next" if number == 0 else ""
        if width < NARROW:
            grid.add_row(Text(label), Text(f"{step.command}\n  {step.what}"))
        else:
            grid.add_row(Text(label), Text(step.command.words), Text(step.what))
    return grid


def tally(overview: Overview) -> str:
    """Count stores by how they stand, as ``6 ok, 2 failed, 32 to send``."""
    count = Counter(store_standings(overview.changes).values())
    return tally_words(count, has_ended=overview.rollout.phase.has_ended)


def tally_words(count: Mapping[Standing, int], *, has_ended: bool) -> str:
    """Print counts of stores, as ``6 ok, 2 failed, 32 to send``.

    Args:
        has_ended: whether the rollout has.
    """
    order = (*_ALWAYS, *_SOMETIMES, *_NEVER)
    words = (f"{count[s]} {s.words(has_ended=has_ended)}" for s in order if count.get(s))
    return ", ".join(words) or "none"
