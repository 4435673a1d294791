import re
from dataclasses import replace

import pytest

from fleet.drift.view.page.document import page_of
from fleet.drift.view.report import report_of
from fleet.model.scan_result import Availability
from tests.drift.view.page.parsed import Page
from tests.nights import NOW, clean_night, night


@pytest.mark.parametrize(
    "name", ["<b>x</b>", "$\\frac{1}{2}$", "東京 店", "مرحبا", "{{ 1 }}", "-->"]
)
def test_a_name_is_only_text_whatever_it_says(name: str) -> None:
    made = clean_night(3, 2)
    stores = tuple(replace(store, name=name) for store in made.stores)
    groups = (Availability("link", name, 3, (1.0, 1.0)),)

    page = Page(page_of(report_of(replace(made, stores=stores, availability=groups), NOW)))

    names = [text for tag, text in page.texts if tag == "th"]
    assert f"store-00001 {name}" in names
    assert f"{name} · 3" in names


def test_a_picture_is_named_by_its_caption() -> None:
    page = Page(page_of(report_of(night(20), NOW)))

    pictures = [attrs for _, attrs in page.elements if attrs.get("role") == "img"]

    assert [attrs["aria-labelledby"] for attrs in pictures] == [
        "nights-caption",
        "away-caption",
        "hardware-caption",
        "link-caption",
        "market-caption",
    ]


def test_a_fifth_of_the_nights_has_a_date_the_last_one_always() -> None:
    page = page_of(report_of(clean_night(1, 7), NOW))

    heads = re.findall(
        r"<td[^>]*>(?:<span>([^<]*)</span>)?</td>", page[page.index("<tr><th></th>") :]
    )

    assert heads[:7] == ["", "18 Nov", "", "", "", "", "23 Nov"]


def test_a_night_that_was_not_verified_has_a_question_mark() -> None:
    groups = (Availability("market", "uk", 3, (1.0, None, 0.9876)),)

    page = page_of(report_of(replace(clean_night(3, 3), availability=groups), NOW))

    assert (
        '<td class="share" style="--share:1.0"></td><td class="unknown">?</td>'
        '<td class="share" style="--share:0.9876"></td>'
    ) in page
