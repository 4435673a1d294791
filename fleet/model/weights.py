"""The weight of stores: how much each matters beside the others, as its sales or visitors."""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal

from fleet.model.policy import Amount
from fleet.model.rollout import Place

_ALL = Decimal(100)
_TENTH = Decimal("0.1")


def weight_limit(limit: Amount | None, total: Decimal) -> Decimal | None:
    """Return the weight that a limit allows; None for no limit. It is not rounded."""
    return None if limit is None else total * (limit.percent or Decimal(0)) / _ALL


def share_words(weight: Decimal, total: Decimal) -> str:
    """Print a part of a weight, as ``18.2 %``.

    It is rounded up, so that a part above its limit never reads as the limit.
    """
    tenth = (weight * _ALL / total).quantize(_TENTH, ROUND_CEILING)
    return f"{tenth} %".replace(".0 %", " %")


def total_weight(places: Mapping[str, Place]) -> Decimal:
    """Return the weight of all stores that a rollout changes."""
    return sum((place.weight for place in places.values()), Decimal(0))
