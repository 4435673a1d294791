"""A dark shop alone, or its carrier: numbers beside each other, and caution."""

from typing import Any

from fleet.model.drift import Finding
from tests.drift.decide.world import world

RED = {"kind": "lte", "carrier": "red"}


def town(dark: int, of: int, others: int, others_dark: int = 0, **more: Any) -> list[Finding]:
    """Stores of carrier red, of which the first ones are dark, and others of carrier blue."""
    blue = {
        f"store-{100 + n}": {
            "only": {"tel-1": {"dark": "-3h"} if n < others_dark else {}},
            "link": {"carrier": "blue"},
        }
        for n in range(others)
    }
    red = {"count": of, "dark": dark, "since": "-3h", "link": RED, **more}
    return list(world({"stores": blue, "more": red}).reconciled().findings)


def carriers(found: list[Finding]) -> list[str]:
    return [one.subject for one in found if one.code == "CARRIER_DARK"]


def test_most_stores_of_a_carrier_dark_at_once_are_its_outage() -> None:
    assert carriers(town(6, 8, 20)) == ["red"]


def test_fewer_than_half_of_its_stores_are_not() -> None:
    assert carriers(town(6, 13, 40)) == []


def test_three_stores_are_too_few_to_blame_a_carrier() -> None:
    assert carriers(town(3, 3, 40)) == []


def test_where_most_others_are_dark_too_it_is_no_carrier_s() -> None:
    assert carriers(town(6, 8, 20, others_dark=12)) == []


def test_without_others_to_compare_with_nothing_is_said() -> None:
    assert carriers(town(6, 8, 2)) == []


def test_stores_that_went_on_different_days_are_no_outage_of_the_carrier() -> None:
    apart = {
        f"store-{200 + n}": {"only": {"tel-1": {"dark": f"-{2 + n}d"}}, "link": RED}
        for n in range(6)
    }
    lit = {f"store-{100 + n}": {"link": {"carrier": "blue"}} for n in range(20)}
    assert carriers(list(world({"stores": {**apart, **lit}}).reconciled().findings)) == []


def test_stores_of_unknown_state_may_be_connected() -> None:
    late = {
        f"store-{200 + n}": {"only": {"tel-1": {"dark": "-12m"}}, "link": RED} for n in range(6)
    }
    lit = {f"store-{100 + n}": {"link": {"carrier": "blue"}} for n in range(20)}
    told = {
        "stores": {**late, **lit},
        "more": {"count": 5, "dark": 5, "since": "-3h", "link": RED},
    }
    assert carriers(list(world(told).reconciled().findings)) == []


def test_an_outage_is_asked_of_the_carrier_and_a_single_store_of_the_shop() -> None:
    whole = [one.fix for one in town(6, 8, 20) if one.store == "store-501"]
    alone = [one.fix for one in town(1, 8, 20) if one.store == "store-501"]
    assert whole == ["ask red; then fleet status store-501"]
    assert alone == ["check power and router at Shop 501; then fleet status store-501"]


def test_a_carrier_of_two_words_is_one_word_of_the_command() -> None:
    (fix,) = [
        one.fix
        for one in town(6, 8, 20, link={"kind": "lte", "carrier": "big red"})
        if one.code == "CARRIER_DARK"
    ]
    assert fix == "ask big red; then fleet status --where 'link.carrier=big red'"


def test_a_store_beside_others_that_are_dark_says_how_many() -> None:
    (cause,) = [one.cause for one in town(2, 8, 20) if one.store == "store-501"]
    assert cause == "its only host; 1 of 7 other stores on its carrier is dark too"
