"""Draws a rollout as one picture of the size of the screen, to be redrawn in place.

What matters most keeps its lines when the screen is low: state, waves, gate, trouble, the latest
events; slow stores and budgets give way. A wide screen shows two columns.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from fleet.model.overview import Overview
from fleet.model.printable import many
from fleet.model.rollout import Phase
from fleet.model.spans import age, clock, local_time, span
from fleet.model.verdicts import Standing
from fleet.rollout.view.lines import EventLines, gate_view
from fleet.rollout.view.next_steps import next_steps
from fleet.rollout.view.rollout import (
    WaveCount,
    phase_since,
    slowest,
    tally_words,
    wave_counts,
    wave_state,
)
from fleet.rollout.view.stop import stop_view

#: From this many columns on there are two columns.
WIDE = 140
#: Columns between them.
GUTTER = 3
#: From this many lines on sections are set apart by blank lines.
HIGH = 34
#: Narrowest and widest bar.
BAR_CELLS = (10, 60)
#: Most lines that slow stores take.
SLOWEST = 8
#: Most budgets shown; but for the first, only those used to so much of their rate.
BUDGETS = 3
BUSY = 0.01

_Line = list[Segment]
_Drawn = Callable[[RenderableType, int], list[_Line]]

#: What a bar is made of, in its order: standings, a character each for screens of every kind.
_BAR = (
    ((Standing.OK, Standing.UNCHANGED), "█", "#", "green"),
    (tuple(s for s in Standing if s.needs_person), "x", "x", "red"),
    ((Standing.DARK, Standing.PARKED), "?", "?", "yellow"),
    ((Standing.UNDONE, Standing.UNDOING, Standing.SKIPPED), "←", "<", "magenta"),
    ((Standing.WAITING,), "▒", "=", "cyan"),
    ((Standing.PLANNED,), "░", ".", "dim"),
)

_PHASE_STYLES = {
    Phase.RUNNING: "bold",
    Phase.HALTED: "bold red",
    Phase.DONE: "bold green",
}


@dataclass(frozen=True, slots=True)
class _PictureSection:
    """Holds some lines of the picture.

    Attributes:
        rank: who is served first while lines are few; 0 comes first.
        least: lines that it gets before any other section gets more than its own least.
        newest: whether its last lines are kept when it is cut, and not its first ones.
    """

    lines: Sequence[_Line]
    rank: int
    least: int
    newest: bool = False


class RolloutPicture:
    """Draws one overview; rich asks for it with the size that the screen has at that moment.

    Args:
        note: a last line, as what Ctrl-C does; "" for none.
    """

    def __init__(self, overview: Overview, note: str = "") -> None:
        self._overview = overview
        self._note = note
        self._story = EventLines(overview.rollout.spec)
        self._waves = wave_counts(overview.rollout, overview.changes)
        self._drawn: tuple[tuple[int, int], list[_Line]] | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield as many lines as the screen has, none wider."""
        size = (options.max_width, options.height or options.size.height)
        if self._drawn is None or self._drawn[0] != size:
            self._drawn = (size, self._picture(console, options, *size))
        for line in self._drawn[1]:
            yield from line
            yield Segment.line()

    def _picture(
        self, console: Console, options: ConsoleOptions, width: int, height: int
    ) -> list[_Line]:
        def drawn(view: RenderableType, columns: int) -> list[_Line]:
            return console.render_lines(
                view, options.update(width=columns, height=None), pad=True, new_lines=False
            )

        ascii_only = options.ascii_only
        top = drawn(Group(*self._head()), width)
        bottom = drawn(Text(self._footer(), no_wrap=True, overflow="ellipsis"), width)
        room = max(1, height - len(top) - len(bottom))
        apart = height >= HIGH
        if width < WIDE:
            sections = [
                *self._state(drawn, width, ascii_only=ascii_only),
                *self._stores(drawn, width),
            ]
            sections.append(_PictureSection(drawn(self._events(), width), 2, 3, newest=True))
            body = _stacked(sections, room, width, apart=apart)
        else:
            left = (width - GUTTER) // 2
            right = width - GUTTER - left
            body = _side_by_side(
                _stacked(self._state(drawn, left, ascii_only=ascii_only), room, left, apart=apart),
                _stacked(
                    [
                        *self._stores(drawn, right),
                        _PictureSection(drawn(self._events(), right), 2, 3, newest=True),
                    ],
                    room,
                    right,
                    apart=apart,
                ),
                room,
            )
        blank = [[Segment(" " * width)]] * max(0, room - len(body))
        return [*top, *body, *blank, *bottom][:height]

    def _head(self) -> Iterable[RenderableType]:
        overview = self._overview
        rollout = overview.rollout
        yield from stop_view(overview.stop, overview.at)
        since = span((overview.at - phase_since(overview)).total_seconds())
        style = _PHASE_STYLES.get(rollout.phase, "bold yellow")
        yield Text(
            f"{clock(overview.at)}  {rollout.id} {rollout.spec.title}  "
            f"{rollout.phase.value.upper()} for {since}",
            style=style,
            no_wrap=True,
            overflow="ellipsis",
        )
        told = overview.gate.reason if overview.gate and not rollout.phase.has_ended else ""
        words = [w for w in (rollout.why, *overview.waits) if w != told]
        window = overview.next_window
        if window is not None:
            place = rollout.spec.places.get(window.store)
            there = f" ({local_time(window.at, place.time_zone)} there)" if place else ""
            words.append(
                f"next window {clock(window.at)}{there}, in "
                f"{span((window.at - overview.at).total_seconds())}: {window.store}"
            )
        said = "; ".join(dict.fromkeys(filter(None, words)))
        if said:
            yield Text(said, overflow="fold")

    def _footer(self) -> str:
        overview = self._overview
        last = overview.rollout.updated_at
        ticked = f"ticked {age(last, overview.at)}" if last else "not ticked yet"
        holders = overview.tickers or tuple(filter(None, (overview.controller,)))
        owners = ", ".join(dict.fromkeys(holder.owner for holder in holders))
        if overview.rollout.finished_at is None:
            rests = ", rests" if overview.rollout.phase.awaits_person else ", NOBODY ticks it"
            ticked += f" by {owners}" if owners else rests
        steps = next_steps(overview)
        hint = self._note or (steps[0].command.words if steps else "")
        return "  ".join(filter(None, (ticked, hint)))

    def _state(self, drawn: _Drawn, width: int, *, ascii_only: bool) -> list[_PictureSection]:
        overview = self._overview
        waves = drawn(Group(*self._bars(width, ascii_only=ascii_only)), width)
        sections = [_PictureSection(waves, 0, len(waves))]
        if overview.gate is not None and not overview.rollout.phase.has_ended:
            name = overview.rollout.wave_name
            gate = drawn(gate_view(overview.gate, name, width, terse=True), width)
            sections.append(_PictureSection(gate, 1, min(6, len(gate))))
        if overview.budgets:
            sections.append(_PictureSection(drawn(Group(*self._budgets()), width), 5, 1))
        return sections

    def _bars(self, width: int, *, ascii_only: bool) -> Iterable[RenderableType]:
        names = max(len(wave.name) for wave in self._waves)
        ended = self._overview.rollout.phase.has_ended
        words = [
            f" {tally_words(wave.count, has_ended=ended)} · {self._wave(wave)}"
            for wave in self._waves
        ]
        least, most = BAR_CELLS
        cells = max(least, min(most, width - names - 1 - max(map(len, words))))
        for wave, text in zip(self._waves, words, strict=True):
            line = Text(f"{wave.name:{names}} ", no_wrap=True, overflow="ellipsis")
            line.append_text(_bar(wave, cells, ascii_only=ascii_only))
            line.append(text)
            yield line

    def _wave(self, wave: WaveCount) -> str:
        return f"{many(wave.stores, 'store')}, {wave_state(self._overview, wave)}"

    def _budgets(self) -> Iterable[RenderableType]:
        first, *others = self._overview.budgets
        busy = [use for use in others if use.share >= BUSY or use.waiting]
        for use in (first, *busy[: BUDGETS - 1]):
            waiting = f", {use.waiting} calls wait" if use.waiting else ""
            yield Text(
                f"budget  {use.account}/{use.region} {use.group} {use.share:.0%} of its rate"
                f"{waiting}",
                no_wrap=True,
                overflow="ellipsis",
            )

    def _stores(self, drawn: _Drawn, width: int) -> list[_PictureSection]:
        overview = self._overview
        bad = [c for c in overview.changes if c.standing.rank >= Standing.DARK.rank]
        bad.sort(key=lambda c: -c.standing.rank)
        trouble: list[RenderableType] = [
            _one_line(f"{c.store} {c.standing.value}: {c.reason}", c.standing.style) for c in bad
        ]
        slow: list[RenderableType] = [
            _one_line(
                f"{c.store} {overview.rollout.spec.variant_of(c)} for {span(seconds)}: {c.reason}"
            )
            for c, seconds in slowest(overview.changes, overview.at)[:SLOWEST]
        ]
        sections = []
        if trouble:
            sections.append(_PictureSection(drawn(Group(*trouble), width), 3, 2))
        if slow:
            sections.append(_PictureSection(drawn(Group(*slow), width), 4, 2))
        return sections

    def _events(self) -> RenderableType:
        return Group(*(_one_line(self._story.line(event)) for event in self._overview.events))


def _one_line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _bar(wave: WaveCount, cells: int, *, ascii_only: bool) -> Text:
    """Return the stores as a bar, with at least one cell for each standing that occurs."""
    bar = Text()
    numbers = [sum(wave.count.get(s, 0) for s in standings) for standings, *_ in _BAR]
    for (_, mark, plain, style), width in zip(_BAR, _shares(numbers, cells), strict=True):
        bar.append((plain if ascii_only else mark) * width, style=style)
    return bar


def _shares(numbers: Sequence[int], cells: int) -> list[int]:
    """Return ``cells`` in proportion to numbers, with at least one for each that is not 0."""
    whole = sum(numbers)
    if whole == 0:
        return [0 for _ in numbers]
    exact = [cells * n / whole for n in numbers]
    shares = [max(1, int(share)) if share else 0 for share in exact]
    while (missing := cells - sum(shares)) != 0:
        lacks = [share - given for share, given in zip(exact, shares, strict=True)]
        chosen = lacks.index(max(lacks)) if missing > 0 else shares.index(max(shares))
        shares[chosen] += 1 if missing > 0 else -1
    return shares


def _stacked(
    sections: Sequence[_PictureSection], room: int, width: int, *, apart: bool
) -> list[_Line]:
    """Return sections below each other, cut to the room there is."""
    gaps = max(0, len(sections) - 1) if apart else 0
    left = room - gaps
    given = [0 for _ in sections]
    ranked = sorted(range(len(sections)), key=lambda number: sections[number].rank)
    for enough in (False, True):
        for number in ranked:
            section = sections[number]
            wanted = len(section.lines) if enough else min(section.least, len(section.lines))
            more = min(wanted - given[number], max(0, left))
            given[number] += more
            left -= more
    lines: list[_Line] = []
    for number, (section, count) in enumerate(zip(sections, given, strict=True)):
        if number and apart:
            lines.append([Segment(" " * width)])
        lines += (
            section.lines[len(section.lines) - count :]
            if section.newest
            else (section.lines[:count])
        )
    return lines[:room]


def _side_by_side(left: list[_Line], right: list[_Line], room: int) -> list[_Line]:
    if not left or not right:
        return left or right
    blanks = [[Segment(" " * sum(s.cell_length for s in side[0]))] for side in (left, right)]
    rows = []
    for number in range(min(room, max(len(left), len(right)))):
        one = left[number] if number < len(left) else blanks[0]
        two = right[number] if number < len(right) else blanks[1]
        rows.append([*one, Segment(" " * GUTTER), *two])
    return rows
