import re
from html.parser import HTMLParser

import pytest

from fleet.drift.view.pictures import (
    Bar,
    Curve,
    Frame,
    Row,
    curves_picture,
    nights_picture,
    timelines_picture,
)
from fleet.model.drift import Connection
from tests.nights import HOSTILE

FRAME = Frame(400, 100, "small", "caption")


class Texts(HTMLParser):
    def __init__(self, picture: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(picture)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts += [data.strip()] if data.strip() else []


def nights(*names: str) -> str:
    cells = [("ok", ""), ("high", "H"), ("", "")]
    return nights_picture(FRAME, ["", "", "23 Nov"], [Row(name, cells) for name in names])


def fills(picture: str) -> list[str]:
    return re.findall(r"fill: ([^;\"]+)", picture)


def test_a_picture_takes_all_its_colours_from_the_page() -> None:
    curve = curves_picture(FRAME, [""], [Curve("uk", [0.9], "90 %")], 0.5)

    assert {"var(--ok)", "var(--high)", "var(--on-high)"} <= set(fills(nights("a")))
    assert not re.search(r"(fill|stroke): #", nights("a") + curve)


def test_a_picture_is_named_by_its_caption_and_shares_no_id_with_another() -> None:
    other = nights_picture(Frame(400, 100, "other", "caption"), [""], [Row("a", [("high", "H")])])

    assert 'role="img" aria-labelledby="caption"' in other
    ids = set(re.findall(r' id="([^"]*)"', other))
    assert ids.isdisjoint(re.findall(r' id="([^"]*)"', nights("a")))


def test_names_and_dates_are_text() -> None:
    assert Texts(nights("store-001", "store-002")).texts[-3:] == [
        "23 Nov",
        "store-001",
        "store-002",
    ]


@pytest.mark.parametrize(
    "name", ["<b>x</b>", "$\\frac{1}{2}$", "東京 店", "مرحبا", "#a0b0ff", "-->"]
)
def test_a_name_is_only_text_whatever_it_says(name: str) -> None:
    seen = Texts(nights(name))

    assert seen.texts[-1] == name
    assert "b" not in seen.tags


def test_a_long_hostile_name_is_cut_and_brings_no_element() -> None:
    seen = Texts(nights(HOSTILE))

    assert seen.texts[-1].endswith("…")
    assert set(seen.tags) <= {"svg", "g", "path", "use", "defs", "text", "clippath", "rect"}


def test_the_same_picture_has_the_same_bytes() -> None:
    assert nights("store-001") == nights("store-001")


def test_a_letter_is_drawn_once_and_used_wherever_it_stands() -> None:
    rows = [Row(str(n), [("high", "H")] * 30) for n in range(20)]

    picture = nights_picture(FRAME, [""] * 30, rows)

    assert picture.count("<use ") == 600
    assert len(picture) < 600 * 150


def test_what_is_away_differs_in_height_and_not_in_colour_alone() -> None:
    def tall(connection: Connection) -> tuple[float, float]:
        drawn = timelines_picture(FRAME, [], [("a", [Bar(0.1, 0.5, connection)])])
        path = re.search(r'd="M ([^"]*)"', drawn)
        assert path is not None
        ys = [float(y) for y in re.findall(r"[\d.]+ ([\d.]+)", path[1])]
        return min(ys), max(ys)

    assert len({tall(connection) for connection in Connection}) == len(Connection)


def test_a_short_outage_is_wide_enough_to_be_seen() -> None:
    drawn = timelines_picture(FRAME, [], [("a", [Bar(0.5, 0.5001, Connection.DARK)])])

    assert re.search(r"M 250 [\d.]+ L 252 ", drawn)


def test_a_night_that_is_not_known_breaks_the_curve_and_is_marked() -> None:
    gone = Curve("uk", [1.0, 1.0, None, 1.0, 1.0], "100.0 %")
    whole = Curve("uk", [1.0] * 5, "100.0 %")

    with_gap, without = (curves_picture(FRAME, [""] * 5, [c], 0.9) for c in (gone, whole))

    assert with_gap.count("<use ") == 1
    assert without.count("<use ") == 0


def test_a_known_night_between_two_that_are_not_is_a_point() -> None:
    lone = Curve("uk", [None, 1.0, None], "?")

    assert curves_picture(FRAME, [""] * 3, [lone], 0.9).count("<use ") == 3
