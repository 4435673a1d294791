"""Tests whether a release makes stores go dark more often than others do, at every look anew.

The test is always valid: its level ``alpha`` is the chance that a rollout whose release is harmless
is ever halted by it, however often it is asked. Each time that a store goes dark, chance alone
picks it among the comparable stores that could; that gives a likelihood ratio for updated stores
going dark ``RATIOS`` times as often. The mean of the products is an e-value, and it ever reaches
1/alpha with a probability of at most alpha (Ville's inequality). This is the safe logrank test
(ter Schure, Perez-Ortiz, Ly, Grunwald: "The safe logrank test", 2020) with a mixture of hazard
ratios. Stores that go dark between the same two ticks are drawn without replacement, so that an
outage that takes updated and untouched stores alike shows nothing.

``surveys`` says who is compared, and counts the stores alike in both groups.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fleet.model.darkness import DarknessTest
from fleet.model.gate import Sample
from fleet.model.policy import Policy
from fleet.model.spans import moment

#: How many times as often updated stores may go dark, by the alternatives that are tested.
RATIOS = (2.0, 4.0, 8.0, 16.0, 32.0)
#: Part of alpha for the chance that recorded history shows too few dark stores.
HISTORY_SHARE = 0.1


class Excess(StrEnum):
    """Says whether updated stores go dark more than others do.

    SUSPECTED: they do if the stores that are away now are still away at their next survey.
    """

    YES = "yes"
    NO = "no"
    SUSPECTED = "suspected"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class DarknessResult:
    """Holds the result of the comparison.

    Attributes:
        p: an upper bound of how likely so much is by chance, at all looks together; None where
            nothing could be compared.
        seen: both groups since the rollout began, as ``3/8 updated, 1/200 others``.
        words: what it means, for a person.
        again_at: when the stores that are away are surveyed next, where that decides.
        since: since when nothing is sent for it; None where that is not so, or begins now.
    """

    excess: Excess
    p: float | None
    seen: str
    words: str
    again_at: datetime | None = None
    since: datetime | None = None

    @property
    def holds(self) -> bool:
        """Return whether nothing more may be sent for now."""
        return self.excess is not Excess.NO


@dataclass(frozen=True, slots=True)
class Draw:
    """Stores of one carrier, link and time zone that went dark between two ticks.

    Attributes:
        updated: how many of them are updated, of all of those that could have gone dark.
        others: likewise of the untouched ones.
    """

    updated: Sample
    others: Sample


def judge_darkness(
    test: DarknessTest,
    policy: Policy,
    *,
    updated: int,
    away: int,
    unheard: int,
    if_confirmed: DarknessTest,
) -> DarknessResult:
    """Return what the test says now.

    Args:
        updated: stores that were sent the release.
        away: those of them that are away now and were here when the test began.
        unheard: those of ``away`` that can be compared neither with stores nor with history.
        if_confirmed: the test as it will be if those that are away now are away at their next
            survey.
    """
    dark = test.updated_dark + unheard
    seen = f"{dark}/{updated} updated, {test.others_dark}/{test.others_of} others"
    p = p_bound(test, policy)
    level = f"p {_digits(p)} at all looks together, alpha {policy.alpha:g} per rollout"
    if p <= policy.alpha:
        return DarknessResult(Excess.YES, p, seen, f"updated stores go dark more often ({level})")
    if unheard:
        few = f"{test.control} stores to compare with, {policy.min_control} needed, and no history"
        words = f"{unheard} away, which cannot be told from an outage: {few}"
        return DarknessResult(Excess.UNCLEAR, None, seen, words, test.next_at, test.held_since)
    if away and p_bound(if_confirmed, policy) <= policy.alpha:
        when = f" at {moment(test.next_at)}" if test.next_at else ""
        words = f"{away} away; an excess if they still are at their next survey{when}"
        return DarknessResult(Excess.SUSPECTED, p, seen, words, test.next_at, test.held_since)
    if not test.updated_dark:
        return DarknessResult(Excess.NO, p, seen, "no excess")
    return DarknessResult(
        Excess.NO, p, seen, f"no excess: not the release, by what is seen ({level})"
    )


def p_bound(test: DarknessTest, policy: Policy) -> float:
    """Return an upper bound of the chance of so much evidence at any look, without a cause."""
    share = HISTORY_SHARE * policy.alpha if test.history is not None else 0.0
    # Evidence for fewer dark stores may be beyond what a float holds the inverse of.
    return min(1.0, math.exp(-max(0.0, log_e_value(test.log_ratios))) + share)


def log_e_value(log_ratios: Sequence[float]) -> float:
    """Return the logarithm of the mean of the likelihood ratios; 0 before there are any."""
    if not log_ratios:
        return 0.0
    return _log_sum(log_ratios) - math.log(len(log_ratios))


def with_draws(log_ratios: Sequence[float], draws: Iterable[Draw]) -> tuple[float, ...]:
    """Return the likelihood ratios after stores went dark that can be compared with others."""
    totals = list(log_ratios or (0.0 for _ in RATIOS))
    for draw in draws:
        for place, ratio in enumerate(RATIOS):
            totals[place] += log_ratio(draw, ratio)
    return tuple(totals)


def log_ratio(draw: Draw, ratio: float) -> float:
    """Return how much better a hazard ratio explains a draw than chance does, as a logarithm.

    Of Fisher's noncentral hypergeometric distribution and the central one; exact for ties.
    """
    dark = draw.updated.dark + draw.others.dark
    if not dark or not draw.updated.of or not draw.others.of:
        return 0.0
    least, most = max(0, dark - draw.others.of), min(dark, draw.updated.of)
    weights = [
        _log_choose(draw.updated.of, k)
        + _log_choose(draw.others.of, dark - k)
        + k * math.log(ratio)
        for k in range(least, most + 1)
    ]
    ways = _log_choose(draw.updated.of + draw.others.of, dark)
    return draw.updated.dark * math.log(ratio) + ways - _log_sum(weights)


def with_history(log_ratios: Sequence[float], *, dark: int, expected: float) -> tuple[float, ...]:
    """Return the likelihood ratios after updated stores were watched without others beside them.

    Args:
        dark: how many of them went dark.
        expected: the most that history lets expect in that time (``most_expected``).
    """
    totals = log_ratios or tuple(0.0 for _ in RATIOS)
    return tuple(
        total + dark * math.log(ratio) - (ratio - 1.0) * expected
        for total, ratio in zip(totals, RATIOS, strict=True)
    )


def most_expected(history: Sample, alpha: float) -> float:
    """Return the most dark stores in an hour of one store that history is compatible with.

    The exact upper limit of a Poisson rate (Garwood 1936) at a level of ``HISTORY_SHARE * alpha``.
    """
    limit = HISTORY_SHARE * alpha
    low, high = float(history.dark), 10.0 * (history.dark + 10)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _poisson(history.dark, middle) > limit else (low, middle)
    return high / history.of


def _poisson(most: int, mean: float) -> float:
    """Return the probability of at most so many events."""
    terms = [k * math.log(mean) - math.lgamma(k + 1) for k in range(most + 1)] if mean else [0.0]
    return math.exp(_log_sum(terms) - mean)


def _log_choose(of: int, chosen: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)


def _log_sum(logs: Sequence[float]) -> float:
    top = max(logs)
    return top + math.log(math.fsum(math.exp(log - top) for log in logs))


def _digits(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"<= {p:.2g}"  # noqa: PLR2004 - below that only "tiny"
