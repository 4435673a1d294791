"""The one-sided exact test of Fisher: whether one group has more dark stores than another.

It is asked once per scan; for a question that is asked again and again, as in a rollout, see
``fleet.rollout.decide.darkness``.
"""

import math

from fleet.model.gate import Sample


def fisher(group: Sample, others: Sample) -> float:
    """Return the probability of ``group.dark`` or more, given the margins; exact for thousands.

    Terms of the hypergeometric distribution are taken relative to its largest one, each from its
    neighbour, so that nothing overflows and nothing small is lost beside something large.
    """
    dark, drawn = group.dark + others.dark, group.of
    bright = group.of + others.of - dark
    least, most = max(0, drawn - bright), min(dark, drawn)
    if group.dark <= least:
        return 1.0
    mode = (drawn + 1) * (dark + 1) // (dark + bright + 2)
    mode = min(most, max(least, mode))
    terms = {mode: 1.0}
    for k in range(mode, most):
        terms[k + 1] = terms[k] * (dark - k) * (drawn - k) / ((k + 1) * (bright - drawn + k + 1))
    for k in range(mode, least, -1):
        terms[k - 1] = terms[k] * k * (bright - drawn + k) / ((dark - k + 1) * (drawn - k + 1))
    tail = math.fsum(term for k, term in terms.items() if k >= group.dark)
    return min(1.0, tail / math.fsum(terms.values()))
