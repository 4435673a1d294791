"""Tests whether a release makes stores go dark more often than others do.

A one-sided exact test of Fisher: given how many of both groups together went dark, how likely is it
that so many or more of them are updated ones by chance alone? An outage of a carrier takes updated
and untouched stores alike and shows no excess; a release that kills networking takes only its own.
The test is asked anew at every tick, so ``alpha`` is the level of one look and not of a whole wave.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from fleet.model.gate import Sample
from fleet.model.policy import Policy


class Excess(StrEnum):
    """Says whether updated stores go dark more than others do."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class DarknessResult:
    """Holds the result of the comparison.

    Attributes:
        p: how likely so many are by chance; None when there was nothing to compare with.
        seen: both groups, as ``3/8 updated, 1/792 others``.
        words: what it means, for a person.
    """

    excess: Excess
    p: float | None
    seen: str
    words: str


def darkness(
    updated: Sample, control: Sample, history: Sample | None, policy: Policy
) -> DarknessResult:
    """Compare the updated stores with untouched ones over the same period.

    A control group below ``policy.min_control`` gives way to what was recorded before, and where
    that is too little as well, nothing is concluded from a store that went dark.

    Raises:
        ValueError: A sample counts fewer stores than went dark in it.
    """
    for sample in (updated, control, *([history] if history else [])):
        if not 0 <= sample.dark <= sample.of:
            raise ValueError(f"{sample.dark} of {sample.of} stores cannot be dark")
    others, word = control, "others"
    if control.of < policy.min_control and history is not None and history.of > control.of:
        others, word = history, "in history"
    seen = f"{updated.dark}/{updated.of} updated, {others.dark}/{others.of} {word}"
    if updated.dark == 0:
        return DarknessResult(Excess.NO, 1.0, seen, "no excess")
    if others.of < policy.min_control:
        few = f"{others.of} stores to compare with, {policy.min_control} needed"
        return DarknessResult(Excess.UNCLEAR, None, seen, f"cannot be told from an outage: {few}")
    p = fisher(updated, others)
    level = f"p {_digits(p)}, alpha {policy.alpha:g}"
    if p <= policy.alpha:
        return DarknessResult(Excess.YES, p, seen, f"updated stores go dark more often ({level})")
    return DarknessResult(
        Excess.NO, p, seen, f"no excess: not the release, by what is seen ({level})"
    )


def _digits(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"  # noqa: PLR2004 - below that only "tiny" matters


def fisher(updated: Sample, others: Sample) -> float:
    """Return the probability of ``updated.dark`` or more, given the margins; exact for thousands.

    Terms of the hypergeometric distribution are taken relative to its largest one, each from its
    neighbour, so that nothing overflows and nothing small is lost beside something large.
    """
    dark, drawn = updated.dark + others.dark, updated.of
    bright = updated.of + others.of - dark
    least, most = max(0, drawn - bright), min(dark, drawn)
    if updated.dark <= least:
        return 1.0
    mode = (drawn + 1) * (dark + 1) // (dark + bright + 2)
    mode = min(most, max(least, mode))
    terms = {mode: 1.0}
    for k in range(mode, most):
        terms[k + 1] = terms[k] * (dark - k) * (drawn - k) / ((k + 1) * (bright - drawn + k + 1))
    for k in range(mode, least, -1):
        terms[k - 1] = terms[k] * k * (bright - drawn + k) / ((dark - k + 1) * (drawn - k + 1))
    tail = math.fsum(term for k, term in terms.items() if k >= updated.dark)
    return min(1.0, tail / math.fsum(terms.values()))
