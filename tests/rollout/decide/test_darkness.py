"""The darkness test: its arithmetic, its limits, and what it says."""

import itertools
import math
import random
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.darkness import DarknessTest
from fleet.model.gate import Sample
from fleet.model.policy import Policy
from fleet.rollout.decide.darkness import (
    RATIOS,
    DarknessResult,
    Draw,
    Excess,
    judge_darkness,
    log_e_value,
    log_ratio,
    most_expected,
    p_bound,
    with_draws,
    with_history,
)

POLICY = Policy("standard")


@st.composite
def draws(draw: st.DrawFn, most: int = 30) -> Draw:
    updated, others = draw(st.integers(1, most)), draw(st.integers(1, most))
    return Draw(
        Sample(draw(st.integers(0, updated)), updated), Sample(draw(st.integers(0, others)), others)
    )


def by_enumeration(drawn: Draw, ratio: int) -> Fraction:
    """How much better a hazard ratio explains a draw, with every way to draw it counted."""
    dark = drawn.updated.dark + drawn.others.dark
    ways = {
        k: math.comb(drawn.updated.of, k) * math.comb(drawn.others.of, dark - k)
        for k in range(dark + 1)
    }
    weights = {k: ways[k] * ratio**k for k in ways}
    k = drawn.updated.dark
    return Fraction(weights[k], sum(weights.values())) / Fraction(ways[k], sum(ways.values()))


@given(draws(), st.sampled_from(RATIOS))
def test_a_draw_is_weighed_as_by_counting_every_way_to_draw_it(drawn: Draw, ratio: float) -> None:
    if drawn.updated.dark + drawn.others.dark:
        expected = float(by_enumeration(drawn, int(ratio)))
        assert math.exp(log_ratio(drawn, ratio)) == pytest.approx(expected, rel=1e-9)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.sampled_from(RATIOS))
def test_by_chance_alone_a_draw_is_worth_one_on_average(
    updated: int, others: int, dark: int, ratio: float
) -> None:
    """That makes the product of all draws an e-value, whenever one stops."""
    dark = min(dark, updated + others)
    total = 0.0
    for k in range(max(0, dark - others), min(dark, updated) + 1):
        ways = (
            math.comb(updated, k) * math.comb(others, dark - k) / math.comb(updated + others, dark)
        )
        drawn = Draw(Sample(k, updated), Sample(dark - k, others))
        total += ways * math.exp(log_ratio(drawn, ratio))
    assert total == pytest.approx(1.0, rel=1e-9)


@given(draws(), st.sampled_from(RATIOS))
def test_more_dark_updated_stores_are_never_less_suspicious(drawn: Draw, ratio: float) -> None:
    dark = drawn.updated.dark + drawn.others.dark
    least, most = max(0, dark - drawn.others.of), min(dark, drawn.updated.of)
    worth = [
        log_ratio(Draw(Sample(k, drawn.updated.of), Sample(dark - k, drawn.others.of)), ratio)
        for k in range(least, most + 1)
    ]
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(worth))


def test_stores_that_nobody_can_be_compared_with_say_nothing() -> None:
    assert log_ratio(Draw(Sample(3, 3), Sample(0, 0)), 8.0) == 0.0


def test_an_outage_over_updated_and_untouched_stores_alike_speaks_for_chance() -> None:
    alike = with_draws((), [Draw(Sample(3, 8), Sample(75, 200))])
    assert log_e_value(alike) < 0


def after_draws(*dark: int, updated: int, others: int) -> DarknessTest:
    """Updated stores that went dark in these draws, and no others."""
    left = updated
    ratios: tuple[float, ...] = ()
    for number in dark:
        ratios = with_draws(ratios, [Draw(Sample(number, left), Sample(0, others))])
        left -= number
    return DarknessTest(log_ratios=ratios, updated_dark=sum(dark), others_of=others, control=others)


def told(
    test: DarknessTest, *, policy: Policy = POLICY, updated: int = 8, **said: DarknessTest | int
) -> DarknessResult:
    given_: dict[str, DarknessTest | int] = {"away": 0, "unheard": 0, "if_confirmed": test, **said}
    return judge_darkness(test, policy, updated=updated, **given_)  # type: ignore[arg-type]


def test_one_dark_store_of_one_sent_against_twenty_others_is_no_excess() -> None:
    found = told(after_draws(1, updated=1, others=20), updated=1)
    assert found.excess is Excess.NO
    assert found.p is not None
    assert found.p > 0.14


def test_one_dark_store_never_halts_however_many_others_there_are() -> None:
    assert told(after_draws(1, updated=1, others=100_000), updated=1).excess is Excess.NO


def test_two_dark_stores_of_eight_against_quiet_neighbours_are_an_excess() -> None:
    found = told(after_draws(1, 1, updated=8, others=200))
    assert found.excess is Excess.YES
    assert found.seen == "2/8 updated, 0/200 others"
    assert "at all looks together, alpha 0.05 per rollout" in found.words


def test_a_bound_at_alpha_halts_and_one_just_above_does_not() -> None:
    test = DarknessTest(log_ratios=(math.log(20.0),) * len(RATIOS))
    at = p_bound(test, POLICY)
    assert told(test, policy=replace(POLICY, alpha=at)).excess is Excess.YES
    assert told(test, policy=replace(POLICY, alpha=math.nextafter(at, 1))).excess is Excess.YES
    assert told(test, policy=replace(POLICY, alpha=math.nextafter(at, 0))).excess is Excess.NO


def test_a_bound_at_alpha_that_may_come_is_suspected_and_one_just_above_is_not() -> None:
    then = DarknessTest(log_ratios=(math.log(20.0),) * len(RATIOS))
    at = p_bound(then, POLICY)
    limits = ((at, Excess.SUSPECTED), (math.nextafter(at, 0), Excess.NO))
    for alpha, excess in limits:
        policy = replace(POLICY, alpha=alpha)
        assert told(DarknessTest(), policy=policy, away=1, if_confirmed=then).excess is excess


def test_the_part_of_alpha_that_history_takes_is_added() -> None:
    test = DarknessTest(log_ratios=(math.log(40.0),) * len(RATIOS))
    assert p_bound(test, POLICY) == pytest.approx(0.025)
    assert p_bound(replace(test, history=Sample(1, 500)), POLICY) == pytest.approx(0.03)


def test_evidence_for_fewer_dark_stores_is_a_bound_of_one_however_much_it_is() -> None:
    test = DarknessTest(log_ratios=(-1000.0,) * len(RATIOS))
    assert p_bound(test, POLICY) == 1.0
    assert p_bound(replace(test, log_ratios=(0.0,) * len(RATIOS)), POLICY) == 1.0


def test_stores_that_are_away_are_suspected_when_they_would_be_an_excess() -> None:
    now, then = after_draws(1, updated=8, others=200), after_draws(1, 1, updated=8, others=200)
    assert told(now, away=1, if_confirmed=then).excess is Excess.SUSPECTED
    assert told(now, away=1, if_confirmed=now).excess is Excess.NO
    assert told(now, away=0, if_confirmed=then).excess is Excess.NO


def test_a_dark_store_without_others_and_history_is_unclear() -> None:
    found = told(DarknessTest(control=19), away=1, unheard=1)
    assert found.excess is Excess.UNCLEAR
    assert found.holds
    assert "19 stores to compare with, 20 needed, and no history" in found.words


def test_what_history_lets_expect_is_its_exact_upper_limit() -> None:
    """By the quantiles of chi-square that tables give for 0.5 %."""
    assert most_expected(Sample(0, 100), 0.05) == pytest.approx(5.29832 / 100, rel=1e-5)
    assert most_expected(Sample(3, 1000), 0.05) == pytest.approx(10.97748 / 1000, rel=1e-5)


def test_dark_stores_that_history_does_not_explain_are_evidence() -> None:
    quiet = with_history((), dark=0, expected=0.5)
    assert log_e_value(quiet) < 0
    assert log_e_value(with_history((), dark=2, expected=0.02)) > math.log(20)


@pytest.mark.parametrize("rate", [0.002, 0.02])
def test_history_alone_halts_at_most_alpha_of_harmless_rollouts(rate: float) -> None:
    """Stores that go dark as often as on record, asked after every hour of 200 stores."""
    chance, halts, runs = random.Random(1), 0, 400
    for _ in range(runs):
        history = Sample(poisson(chance, rate * 2000), 2000)
        expected = most_expected(history, POLICY.alpha) * 200
        test = DarknessTest(history=history)
        for _hour in range(12):
            dark = poisson(chance, rate * 200)
            ratios = with_history(test.log_ratios, dark=dark, expected=expected)
            test = replace(test, log_ratios=ratios)
            if p_bound(test, POLICY) <= POLICY.alpha:
                halts += 1
                break
    assert halts <= POLICY.alpha * runs


def poisson(chance: random.Random, mean: float) -> int:
    count, left = 0, chance.expovariate(1.0)
    while left < mean:
        count, left = count + 1, left + chance.expovariate(1.0)
    return count
