from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.ignoring import expired, ignores, rule_for
from tests.drift.decide.night_parts import DAY, TONIGHT, finding, ignore

ONE = finding("TWIN", "store-1", host="cam-1", subject="mi-0c9e")


def test_a_rule_without_conditions_ignores_everything() -> None:
    assert ignores(ignore(), ONE)


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ({"codes": frozenset({"TWIN", "GHOST"})}, True),
        ({"codes": frozenset({"GHOST"})}, False),
        ({"stores": frozenset({"store-1"})}, True),
        ({"stores": frozenset({"store-2"})}, False),
        ({"stores": frozenset()}, False),
        ({"hosts": frozenset({"cam-1"})}, True),
        ({"hosts": frozenset({"tel-1"})}, False),
        ({"subject": "mi-*"}, True),
        ({"subject": "mi-????"}, True),
        ({"subject": "MI-*"}, False),
        ({"subject": "mi"}, False),
    ],
)
def test_every_condition_has_to_fit(condition: dict[str, object], wanted: bool) -> None:
    assert ignores(ignore(**condition), ONE) is wanted


def test_a_rule_for_stores_leaves_what_is_of_no_store() -> None:
    assert not ignores(ignore(stores=frozenset({"store-1"})), finding("TIER", ""))
    assert ignores(ignore(), finding("TIER", ""))


def test_a_rule_ignores_nothing_from_its_end_on() -> None:
    rule = ignore(until=TONIGHT)
    assert rule_for(ONE, [rule], TONIGHT) is None
    assert rule_for(ONE, [rule], TONIGHT - timedelta(seconds=1)) is rule


def test_the_first_rule_that_holds_is_named() -> None:
    over, first, second = ignore(until=TONIGHT - DAY), ignore(source="a"), ignore(source="b")
    assert rule_for(ONE, [over, first, second], TONIGHT) is first


def test_rules_that_are_over_are_listed_with_the_last_first() -> None:
    older, newer = ignore(until=TONIGHT - DAY), ignore(until=TONIGHT)
    assert expired([older, ignore(), newer], TONIGHT) == (newer, older)


@given(hours=st.integers(-100, 100))
def test_a_rule_either_holds_or_is_expired(hours: int) -> None:
    rule = ignore(until=TONIGHT + timedelta(hours=hours))
    assert (rule_for(ONE, [rule], TONIGHT) is None) == (expired([rule], TONIGHT) == (rule,))
