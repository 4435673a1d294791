"""The terminal: its width, whether it is one, and tables that fit."""

import errno
import io
import re
from collections.abc import Sequence
from typing import TextIO, cast

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

#: Below this many columns a list does not choose among its columns any more: it becomes blocks.
NARROW = 72

#: Columns that the last cell of a row, which is the one that wraps, needs to be readable.
LAST_COLUMN = 24

GAP = 2

#: Width used when the output is no terminal: nothing is cut or wrapped in a file or a pipe.
UNWRAPPED = 1000


_TRAILING = re.compile(r" +$", re.MULTILINE)


def console_for(stream: TextIO) -> Console:
    """Return a console on a stream; colour and width only where there is a terminal.

    NO_COLOR and TERM=dumb are honoured by rich itself. Writing to a reader that went away raises
    BrokenPipeError.
    """
    if stream.isatty():
        return _Console(file=stream, highlight=False, markup=False, emoji=False)
    return _Console(
        file=cast("TextIO", _Trimmed(stream)),
        highlight=False,
        markup=False,
        emoji=False,
        width=UNWRAPPED,
        no_color=True,
        force_terminal=False,  # FORCE_COLOR is about colour; a pipe is none the more a terminal
    )


class _Console(Console):
    """Leaves it to the caller what a closed pipe means; rich itself would end the process."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, "the reader of this output went away")


class _Trimmed(io.TextIOBase):
    """Passes text on without the blanks with which tables fill their last column."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(_TRAILING.sub("", text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int,
    styles: Sequence[str] | None = None,
) -> RenderableType:
    """Rows under headings, or labelled blocks where they do not fit side by side; never cut.

    Every column but the last is as wide as its widest cell; the last one wraps in what is left.

    Args:
        width: columns of the terminal.
        styles: a rich style per row; colour repeats what words say and is never alone.
    """
    if needed_width(columns, rows) > width:
        return _blocks(columns, rows, styles)
    grid = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        last = index == len(columns) - 1
        grid.add_column(name, overflow="fold", no_wrap=not last, ratio=1 if last else None)
    for index, row in enumerate(rows):
        grid.add_row(*map(Text, row), style=styles[index] if styles else None)
    return grid


def first_rows(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int,
    most: int,
    styles: Sequence[str] | None = None,
) -> list[RenderableType]:
    """Return a table of the first rows, and a line that counts the others; nothing without rows."""
    if not rows:
        return []
    parts = [table(columns, rows[:most], width=width, styles=styles)]
    left = len(rows) - most
    return [*parts, Text(f"and {left:,} more: --json has all")] if left > 0 else parts


def labelled(label: str, text: str, style: str = "") -> RenderableType:
    """Return a label and its text, which wraps beside the label and not below it."""
    line = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    line.add_column(no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(Text(label), Text(text), style=style)
    return line


def needed_width(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Columns of a terminal that a table needs, with the last column wrapped as far as it goes."""
    *before, last = (max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True))
    return sum(before) + GAP * len(before) + min(last, LAST_COLUMN)


def _blocks(
    columns: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] | None
) -> Group:
    """Return a block of labelled lines per row, its values wrapped beside their labels."""
    pad = max(map(cell_len, columns)) + GAP
    parts: list[RenderableType] = []
    for index, (head, *rest) in enumerate(rows):
        style = styles[index] if styles else ""
        lines = Table(box=None, padding=0, pad_edge=False, show_header=False, style=style)
        lines.add_column(width=pad, no_wrap=True)
        lines.add_column(overflow="fold")
        for name, value in zip(columns[1:], rest, strict=True):
            if value:
                lines.add_row(Text(name.lower()), Text(value))
        parts += [Text(head, style=f"bold {style}".strip()), Padding(lines, (0, 0, 0, GAP))]
    return Group(*parts)
