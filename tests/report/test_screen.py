import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleet.report.screen import NARROW, console_for, table

ROWS = [
    ("cam-1", "healthy", "a reason that is long enough to be folded somewhere"),
    ("t", "x", "y"),
]


def test_a_pipe_gets_whole_lines_without_colour_or_trailing_blanks() -> None:
    stream = io.StringIO()
    console = console_for(stream)

    console.print(table(("HOST", "HEALTH", "WHY"), ROWS, width=console.width, styles=["red", ""]))

    assert stream.getvalue() == (
        "HOST   HEALTH   WHY\n"
        "cam-1  healthy  a reason that is long enough to be folded somewhere\n"
        "t      x        y\n"
    )


def test_a_narrow_terminal_gets_a_block_per_row() -> None:
    view = table(("HOST", "HEALTH", "WHY"), ROWS, width=NARROW - 1)

    assert isinstance(view, Text)
    assert view.plain.splitlines()[:3] == [
        "cam-1",
        "  health  healthy",
        "  why     a reason that is long enough to be folded somewhere",
    ]


def test_text_of_a_host_is_no_markup() -> None:
    stream = io.StringIO()
    view = table(("A",), [("[bold]x[/bold] :smile:",)], width=NARROW)
    assert isinstance(view, Table)

    Console(file=stream, width=80).print(view)

    assert "[bold]x[/bold] :smile:" in stream.getvalue()
