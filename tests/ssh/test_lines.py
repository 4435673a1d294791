from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fleet.model.secret import Secret
from fleet.ssh.lines import LONGEST_LINE, LONGEST_SHOWN, LineCutter, shown


def cut(*chunks: bytes) -> list[str]:
    cutter = LineCutter()
    return [line for chunk in chunks for line in cutter.feed(chunk)] + list(cutter.end())


def test_a_line_may_come_in_pieces() -> None:
    assert cut(b"on", b"e\ntw", b"o\n") == ["one", "two"]


def test_a_letter_may_come_in_pieces() -> None:
    assert cut(b"Z\xc3", b"\xbcrich\n") == ["Zürich"]


def test_a_last_line_needs_no_line_break() -> None:
    assert cut(b"one\ntwo") == ["one", "two"]


def test_a_progress_bar_is_many_lines() -> None:
    assert cut(b"10%\r20%\r\ndone\n") == ["10%", "20%", "done"]


def test_bytes_that_are_no_text_are_marked() -> None:
    assert cut(b"a\xff\n") == ["a\N{REPLACEMENT CHARACTER}"]


def test_an_endless_line_is_held_only_in_part() -> None:
    cutter = LineCutter()
    for _ in range(100):
        assert list(cutter.feed(b"x" * 10_000)) == []
        assert len(cutter._held) <= LONGEST_LINE

    assert list(cutter.feed(b"\nnext\n")) == ["x" * LONGEST_LINE, "next"]


@given(st.binary(), st.lists(st.integers(0, 100)))
def test_how_the_bytes_are_chunked_does_not_matter(data: bytes, places: list[int]) -> None:
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    chunks = [data[a:b] for a, b in pairwise(edges)]

    assert cut(*chunks) == cut(data)


def test_a_secret_broken_by_control_characters_is_found() -> None:
    assert shown("a s\x1becr\x00et b", Secret("secret")) == "a <secret> b"


@given(st.integers(0, LONGEST_SHOWN + 20))
def test_no_half_of_a_secret_is_left_where_a_line_is_cut(before: int) -> None:
    line = shown("x" * before + "0123456789", Secret("0123456789"))

    assert "0" not in line
    assert len(line) <= LONGEST_SHOWN
