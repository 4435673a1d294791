"""Checks of what every run needs: Python, credentials, the clock, and ECS."""

import sys
from collections.abc import Callable, Iterable

from fleet.aws.clusters import describe_clusters
from fleet.aws.session import Shard
from fleet.errors import FleetError
from fleet.model.clock import CLOCK_FAIL_S, CLOCK_WARN_S, Clock
from fleet.model.registration import CheckResult, PreflightCheck
from fleet.runtime.ledgers import check_caller

OLDEST_PYTHON = (3, 11)


def failed(name: str, error: FleetError) -> PreflightCheck:
    """Return the failed check that an error means."""
    return PreflightCheck(name, CheckResult.FAIL, str(error), error.hint or "see the message")


def attempt(name: str, check: Callable[[], PreflightCheck]) -> PreflightCheck:
    """Return a check, or a failed one if it raises."""
    try:
        return check()
    except FleetError as error:
        return failed(name, error)


def python_check() -> PreflightCheck:
    """Check the version of this Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        return PreflightCheck("python", CheckResult.FAIL, version, "use Python 3.11 or newer")
    return PreflightCheck("python", CheckResult.OK, version)


def caller_checks(shard: Shard, place: str, clock: Clock) -> Iterable[PreflightCheck]:
    """Check the credentials, and this machine's clock against AWS's.

    Args:
        place: account and region, for the names of the checks.
    """
    try:
        reading = check_caller(shard)
    except FleetError as error:
        return (failed(f"{place} caller", error),)
    offset = (clock.now() - reading.at).total_seconds()
    return (
        PreflightCheck(f"{place} caller", CheckResult.OK, reading.value.arn),
        clock_check(f"{place} clock", offset),
    )


def clock_check(name: str, offset_s: float) -> PreflightCheck:
    """Check how many seconds this machine's clock is ahead of AWS's."""
    seen = f"{abs(offset_s):.1f} s {'ahead of' if offset_s > 0 else 'behind'} AWS"
    if abs(offset_s) > CLOCK_FAIL_S:
        return PreflightCheck(name, CheckResult.FAIL, seen, "set this machine's clock by NTP")
    if abs(offset_s) > CLOCK_WARN_S:
        return PreflightCheck(name, CheckResult.WARN, seen, "check this machine's NTP")
    return PreflightCheck(name, CheckResult.OK, seen)


def ecs_check(shard: Shard, place: str) -> PreflightCheck:
    """Check that ECS can be read."""
    name = f"{place} ecs"

    def read() -> PreflightCheck:
        describe_clusters(shard, ["fleet-doctor"])
        return PreflightCheck(name, CheckResult.OK, "clusters can be read")

    return attempt(name, read)
