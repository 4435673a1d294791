"""Rules that ignore findings which are none, or for too long."""

from datetime import UTC, datetime, timedelta

import pytest

from fleet.drift.decide.catalogue import CATALOGUE
from fleet.inventory.decide.ignore_rules import problems_of
from fleet.model.drift_settings import Ignore

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
