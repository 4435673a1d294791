"""The deployment circuit breaker: how many failed tasks are too many.

API reference, ``DeploymentCircuitBreaker`` and ``ThresholdConfiguration``: COUNT is the number
itself; a percentage is taken of the desired count, and BOUNDED_PERCENT (the default, with 50) is
kept between 3 and 200.
"""

from collections.abc import Mapping
from typing import Any

DEFAULT = {
    "enable": False,
    "rollback": False,
    "resetOnHealthyTask": True,
    "thresholdConfiguration": {"type": "BOUNDED_PERCENT", "value": 50},
}
_LEAST = 3
_MOST = 200


def threshold(settings: Mapping[str, Any], desired: int) -> int:
    """Failed tasks at which a deployment of ``desired`` tasks is given up; at least 1."""
    limit = settings["thresholdConfiguration"]
    value: int = limit["value"]
    if limit["type"] == "COUNT":
        return max(1, value)
    share = -(-value * desired // 100)
    if limit["type"] == "UNBOUNDED_PERCENT":
        return max(1, share)
    return min(max(share, _LEAST), _MOST)
