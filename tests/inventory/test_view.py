from dataclasses import replace
from decimal import Decimal
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fleet.inventory.hours import parse_hours
from fleet.inventory.view import fleet_view, hours_words, link_words, totals
from fleet.model.inventory import Account, Fleet, Link
from tests.build import host, store


def fleet(name: str = "Leeds Briggate") -> Fleet:
    shop = replace(store(host("tel-1"), host("tel-2")), name=name)
    return Fleet("shops", "inventory", {"emea-prod": Account("emea-prod", "1" * 12)}, {}, (shop,))


def printed(width: int, name: str = "Leeds Briggate") -> str:
    stream = StringIO()
    Console(file=stream, width=width, color_system=None).print(fleet_view(fleet(name), width))
    return stream.getvalue()


@pytest.mark.parametrize("width", [40, 60, 72, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, printed(width).splitlines())) <= width


@pytest.mark.parametrize("width", [40, 72, 80, 200])
def test_id_life_and_hosts_are_there_at_any_width(width: int) -> None:
    text = " ".join(printed(width).split())

    assert all(word in text for word in ("store-042", "open", "tel-1 nuc, tel-2 nuc"))


def test_columns_that_find_no_room_are_named() -> None:
    assert "no room for time zone" in printed(80)
    assert "no room" not in printed(200)


def test_names_cannot_write_to_the_terminal() -> None:
    assert "\x1b" not in printed(200, "\x1b[2J[bold]Leeds[/bold]")
    assert "[bold]Leeds[/bold]" in printed(200, "\x1b[2J[bold]Leeds[/bold]")


def test_totals_count_stores_by_life() -> None:
    assert totals(fleet()) == "1 store (1 open), 2 hosts, 0 workloads"
    assert totals(replace(fleet(), stores=())) == "no stores, 0 workloads"


def test_a_link_is_said_in_words() -> None:
    link = Link("lte", metered=True, price_per_gb=Decimal("4.50"), carrier="ee")

    assert link_words(link) == "lte, metered, 4.50 per GB, carrier ee"
    assert link_words(Link()) == "fibre"


@pytest.mark.parametrize(
    "words",
    [
        "mon-fri 08:00-22:00, sat 09:00-13:00 15:00-20:00, sun closed",
        "daily 10:00-22:00",
        "24h",
        "closed",
        "mon-thu 06:00-23:00, fri-sat 18:00-02:00, sun 03:00-06:00",
    ],
)
def test_hours_are_said_as_they_may_be_written(words: str) -> None:
    assert hours_words(parse_hours(words.replace(", ", "; "))) == words


DAY = st.sampled_from(["closed", "24h", "08:00-20:00", "09:00-12:00 14:00-24:00", "20:00-02:00"])


@given(st.lists(DAY, min_size=7, max_size=7))
def test_hours_that_are_said_mean_what_was_meant(days: list[str]) -> None:
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    written = "; ".join(f"{name} {spans}" for name, spans in zip(names, days, strict=True))
    if "20:00-02:00" in days and "24h" in days:
        return
    hours = parse_hours(written)

    assert parse_hours(hours_words(hours).replace(", ", "; ")) == hours
