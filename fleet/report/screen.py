"""The terminal: how wide it is, whether it is one, and tables that stay readable in both cases."""

import io
import re
from collections.abc import Sequence
from typing import TextIO, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Below this many columns a table becomes one block of labelled lines per row.
NARROW = 72

#: Width used when the output is no terminal: nothing is cut or wrapped in a file or a pipe.
UNWRAPPED = 1000


_TRAILING = re.compile(r" +$", re.MULTILINE)


def console_for(stream: TextIO) -> Console:
    """A console on a stream; colour and width only where there is a terminal.

    NO_COLOR and TERM=dumb are honoured by rich itself.
    """
    if stream.isatty():
        return Console(file=stream, highlight=False, markup=False, emoji=False)
    return Console(
        file=cast("TextIO", _Trimmed(stream)),
        highlight=False,
        markup=False,
        emoji=False,
        width=UNWRAPPED,
        no_color=True,
    )


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
) -> Table | Text:
    """Rows under headings, or labelled blocks where the terminal is narrow.

    Args:
        styles: a rich style per row; colour repeats what words say and is never alone.
    """
    if width < NARROW:
        return _blocks(columns, rows)
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        last = index == len(columns) - 1
        grid.add_column(name, overflow="fold", no_wrap=not last, ratio=1 if last else None)
    for index, row in enumerate(rows):
        grid.add_row(*map(Text, row), style=styles[index] if styles else None)
    return grid


def _blocks(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Text:
    pad = max(map(len, columns), default=0)
    blocks = []
    for row in rows:
        head, *rest = row
        lines = [head]
        lines += [
            f"  {name.lower():<{pad}}  {value}"
            for name, value in zip(columns[1:], rest, strict=True)
            if value
        ]
        blocks.append("\n".join(lines))
    return Text("\n".join(blocks))
