"""Rules that ignore findings which are none, or for too long."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.catalogue import CATALOGUE
from fleet.inventory.decide.ignore_rules import expired, ignores, problems_of, rule_for
from fleet.model.drift_settings import Ignore
from tests.drift.decide.night_parts import DAY, TONIGHT, finding, ignore

NOW = datetime(2026, 11, 23, 3, 30, tzinfo=UTC)
SOURCE = "inventory/ignores.yaml:7"


def rule(*codes: str, until: datetime = NOW + timedelta(days=30)) -> Ignore:
    return Ignore(frozenset(codes), None, frozenset(), "", until, "why", SOURCE)


def said(rule: Ignore) -> list[str]:
    return [str(problem) for problem in problems_of([rule], CATALOGUE, NOW)]


def test_every_code_of_the_catalogue_may_be_ignored() -> None:
    assert said(rule(*CATALOGUE)) == []


@pytest.mark.parametrize(
    ("code", "hint"),
    [("SITE_DRAK", 'did you mean "SITE_DARK"?'), ("site_dark", 'did you mean "SITE_DARK"?')],
)
def test_a_code_that_is_none_names_the_nearest(code: str, hint: str) -> None:
    assert said(rule(code)) == [f'{SOURCE}: codes there is no finding "{code}" ({hint})']


def test_a_code_that_is_near_none_says_where_they_are_listed() -> None:
    assert said(rule("XYZXYZXYZ"))[0].endswith("(`fleet explain XYZXYZXYZ` lists those there are)")


def test_a_rule_holds_for_a_year_and_no_longer() -> None:
    assert said(rule(until=NOW + timedelta(days=366))) == []
    (problem,) = said(rule(until=NOW + timedelta(days=367)))
    assert "2027-11-25 is more than a year away (at most 2027-11-24;" in problem


def test_a_rule_that_holds_no_longer_is_no_mistake() -> None:
    assert said(rule(until=NOW - timedelta(days=400))) == []


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
