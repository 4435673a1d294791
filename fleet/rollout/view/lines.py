"""Prints a rollout's events line by line, and the arithmetic of its gates."""

from collections.abc import Iterable, Mapping, Sequence
from zoneinfo import ZoneInfo

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fleet.model.gate import Check, Count, Gate, GateAnswer, Mark
from fleet.model.rollout import EventKind, RolloutEvent, RolloutSpec
from fleet.model.spans import clock, local_time
from fleet.model.verdicts import WORST, Verdict
from fleet.terminal.screen import GAP, NARROW, labelled

#: Widest store id that events are still lined up behind.
STORE_CELLS = 24

#: The longest verdict among those that come often; a longer one shifts its own line only.
VERDICT_CELLS = 7

#: Columns that the detail of a check needs beside its numbers to be readable.
DETAIL_CELLS = 16

#: The check, or the line in its place, that tells variants apart.
BY_VARIANT = "by variant"

_ANSWER_STYLES = {GateAnswer.ADVANCE: "green", GateAnswer.HALT: "red", GateAnswer.ASK: "yellow"}

_MARK_STYLES = {Mark.UNDER: "red", Mark.OVER: "red", Mark.UNCLEAR: "yellow", Mark.WAIT: "yellow"}


class EventLines:
    """Puts events into words, in the same columns throughout a rollout."""

    def __init__(self, spec: RolloutSpec) -> None:
        self._spec = spec
        widest = max(map(cell_len, spec.places), default=0)
        self._store_cells = min(widest, STORE_CELLS)
        variants = [cell_len(shape.variant) for shape in spec.shapes.values()]
        self._variant_cells = max(variants, default=0)

    def line(self, event: RolloutEvent) -> str:
        """Print one line, for pipes and logs; a gate's arithmetic is left to ``view``."""
        head = " ".join(filter(None, (clock(event.at), *self._head(event))))
        return f"{head} {self._text(event)}".rstrip()

    def view(self, event: RolloutEvent, width: int) -> RenderableType:
        """Draw the same wrapped behind its time, and a gate with its arithmetic below."""
        if (gate := event.gate) is not None:
            style = f"bold {_ANSWER_STYLES.get(gate.answer, '')}".strip()
            return Group(_behind(clock(event.at), event.text, style), *_arithmetic(gate, width))
        head = " ".join(self._head(event))
        style = (event.verdict or Verdict.WAITING).traits.standing.style
        if not head or width < NARROW:
            text = f"{' '.join(head.split())} {self._text(event)}".strip()
            return _behind(clock(event.at), text, style)
        return _behind(f"{clock(event.at)} {head}", self._text(event), style)

    def _head(self, event: RolloutEvent) -> tuple[str, ...]:
        if not event.store:
            return ()
        store = _padded(event.store, self._store_cells)
        verdict = event.verdict
        if verdict is None:
            return (store,)
        shape = self._spec.shapes.get(event.service)
        variant = _padded(shape.variant, self._variant_cells) if shape else ""
        return (store, variant, _padded(str(verdict), VERDICT_CELLS))

    def _text(self, event: RolloutEvent) -> str:
        parts = [event.text]
        verdict = event.verdict
        if verdict is not None:
            # The verdict is in a column of its own in front.
            parts = [event.text.removeprefix(f"{verdict}: ")]
        place = self._spec.places.get(event.store)
        noticed = event.kind is EventKind.SENT or verdict in {
            Verdict.FAILED,
            Verdict.CHANGED_BY_HAND,
        }
        if place is not None and noticed:
            there = event.at.astimezone(ZoneInfo(place.time_zone))
            if there.utcoffset():
                parts.append(f"[{local_time(event.at, place.time_zone)} there]")
        if event.judged is not None:
            parts.append("({}/{})".format(*event.judged))
        return "  ".join(filter(None, parts))


def _behind(label: str, text: str, style: str = "") -> RenderableType:
    """Draw text that wraps behind its label, one blank apart as in a log."""
    line = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    line.add_column(no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(Text(label), Text(text), style=style)
    return line


def _padded(text: str, cells: int) -> str:
    return text if cell_len(text) >= cells else set_cell_size(text, cells)


def gate_view(gate: Gate, wave: str, width: int, *, terse: bool = False) -> RenderableType:
    """Draw the answer, every check beside its limit, and the counts by variant.

    Args:
        terse: one line each: details that do not fit are cut, for where lines are few.
    """
    style = f"bold {_ANSWER_STYLES.get(gate.answer, '')}".strip()
    head = Text(f"{f'GATE {wave}'.strip()}  {gate.answer.name}", style=style)
    if terse:
        head.append(f"  {gate.reason}", style="not bold")
        head.no_wrap, head.overflow = True, "ellipsis"
        return Group(head, *_arithmetic(gate, width, terse=True))
    return Group(head, Padding(Text(gate.reason), (0, 0, 0, GAP)), *_arithmetic(gate, width))


def _arithmetic(gate: Gate, width: int, *, terse: bool = False) -> list[RenderableType]:
    rows: list[RenderableType] = []
    if gate.checks:
        rows.append(_checks(gate.checks, width, terse=terse))
    if gate.counts and not any(check.name == BY_VARIANT for check in gate.checks):
        rows.append(labelled(BY_VARIANT, variants_words(gate.counts)))
    return [Padding(row, (0, 0, 0, GAP)) for row in rows]


def _checks(checks: Sequence[Check], width: int, *, terse: bool) -> RenderableType:
    """Align details beside the numbers where they fit, else put each below its check."""
    rows = [(c.name, c.seen, c.needed, str(c.mark)) for c in checks]
    cells = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    beside = sum(cells) + GAP * len(cells) + DETAIL_CELLS <= width
    parts: list[RenderableType] = []
    for check, row in zip(checks, rows, strict=True):
        style = _MARK_STYLES.get(check.mark, "")
        grid = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
        for index, wanted in enumerate(cells):
            numbers = index in {1, 2}
            grid.add_column(width=None if numbers and not beside else wanted, overflow="fold")
        if beside:
            rest = max(1, width - GAP - sum(cells) - GAP * len(cells))
            grid.add_column(width=rest, overflow="ellipsis" if terse else "fold", no_wrap=terse)
            grid.add_row(*map(Text, (*row, check.detail)), style=style)
            parts.append(grid)
            continue
        grid.add_row(*map(Text, row), style=style)
        parts.append(grid)
        if check.detail and not terse:
            parts.append(Padding(Text(check.detail, style=style), (0, 0, 0, cells[0] + GAP)))
    return Group(*parts)


def variants_words(counts: Mapping[str, Count]) -> str:
    """Print counts as ``orin 6/6 ok · xavier 0/2 ok, 2 failed``."""
    return " · ".join(
        ", ".join([f"{variant} {count.ok}/{count.sent} ok", *_others(count)])
        for variant, count in counts.items()
    )


def _others(count: Count) -> Iterable[str]:
    """Print the counts of verdicts besides ok, the worst first."""
    for verdict in reversed(WORST[WORST.index(Verdict.OK) + 1 :]):
        if count.of(verdict):
            yield f"{count.of(verdict)} {verdict.traits.standing.value}"
