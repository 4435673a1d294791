import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from fleet.terminal.screen import console_for, labelled, needed_width, table

COLUMNS = ("HOST", "HEALTH", "WHY")
ROWS = [
    ("cam-1", "healthy", "a reason that is long enough to be folded somewhere"),
    ("t", "x", "y"),
]
WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=40)


def shown(view: RenderableType, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, no_color=True, highlight=False).print(view)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_pipe_gets_whole_lines_without_colour_or_trailing_blanks() -> None:
    stream = io.StringIO()
    console = console_for(stream)

    console.print(table(COLUMNS, ROWS, width=console.width, styles=["red", ""]))

    assert stream.getvalue() == (
        "HOST   HEALTH   WHY\n"
        "cam-1  healthy  a reason that is long enough to be folded somewhere\n"
        "t      x        y\n"
    )


def test_a_pipe_is_no_terminal_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert not console_for(io.StringIO()).is_terminal


def test_a_terminal_too_narrow_for_the_columns_gets_a_block_per_row() -> None:
    needed = needed_width(COLUMNS, ROWS)

    assert shown(table(COLUMNS, ROWS, width=needed - 1), needed - 1) == [
        "cam-1",
        "  health  healthy",
        "  why     a reason that is long enough",
        "          to be folded somewhere",
        "t",
        "  health  x",
        "  why     y",
    ]


def test_with_just_enough_room_only_the_last_column_wraps() -> None:
    needed = needed_width(COLUMNS, ROWS)

    head, first, *_ = shown(table(COLUMNS, ROWS, width=needed), needed)

    assert head == "HOST   HEALTH   WHY"
    assert first.startswith("cam-1  healthy  a reason")


@given(
    width=st.integers(44, 160),
    rows=st.lists(st.tuples(*[WORDS] * 5), min_size=1, max_size=4),
)
def test_nothing_is_ever_cut(width: int, rows: list[tuple[str, ...]]) -> None:
    lines = shown(table(("A", "B", "C", "D", "E"), rows, width=width), width)

    whole = "".join("".join(lines).split())
    for row in rows:
        for cell in row[:-1]:
            assert cell in whole
    assert sum(map(len, lines)) >= sum(len(cell) for row in rows for cell in row)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)


def test_wide_characters_count_as_the_columns_they_take() -> None:
    assert needed_width(("A", "B"), [("東京", "x")]) == 4 + 2 + 1


def test_text_of_a_host_is_no_markup() -> None:
    [_, line] = shown(table(("A",), [("[bold]x[/bold] :smile:",)], width=80), 80)

    assert line == "[bold]x[/bold] :smile:"


def test_a_reader_that_went_away_is_the_callers_to_judge() -> None:
    class Closed(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        console_for(Closed()).print("x")


def test_text_wraps_beside_its_label() -> None:
    assert shown(labelled("    fix", "free some space on the disk"), 24) == [
        "    fix  free some space",
        "         on the disk",
    ]
