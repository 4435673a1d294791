"""Container health checks: when Docker would say healthy and unhealthy, without running probes."""

import math
from dataclasses import dataclass

from fleet.sandbox.agents.images import ImageBehaviour

#: ECS's defaults for a health check that names only its command.
INTERVAL_S = 30.0
RETRIES = 3


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """When probes run: every ``interval_s``, the first one interval after the start.

    Attributes:
        interval_s: seconds.
        retries: so many failures in a row make it unhealthy.
        start_period_s: failures count only after it.
    """

    interval_s: float = INTERVAL_S
    retries: int = RETRIES
    start_period_s: float = 0.0


def healthy_after(check: HealthCheck, behaviour: ImageBehaviour, *, bad: bool) -> float | None:
    """Seconds from the start to the first good probe; None when there is never one."""
    first = check.interval_s
    return None if bad and behaviour.after_s <= first else first


def unhealthy_after(check: HealthCheck, behaviour: ImageBehaviour, *, bad: bool) -> float | None:
    """Seconds from the start to the probe that makes it unhealthy; None when none does."""
    if not bad:
        return None
    # A probe in the very moment that the start period ends counts.
    begin = max(behaviour.after_s, check.start_period_s, check.interval_s)
    first_counted = math.ceil(round(begin / check.interval_s, 9))
    return (first_counted + check.retries - 1) * check.interval_s
