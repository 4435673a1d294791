"""A rollout that runs while something else happens, and the time for it to happen in."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tests.scenarios.conftest import Started
from tests.scenarios.rollouts.conftest import RATE, Shops

#: Exit codes of a rollout that does not end with 0 or 1.
REFUSED, WAITS, HALTED, LOCKED, INTERRUPTED = 2, 3, 4, 5, 130

#: A first wave of two, and a bake of which nobody sees the end while the clock goes slowly.
TWO_FIRST: dict[str, Any] = {"canary": 2, "waves": ["100%"], "bake": "10m"}
#: Sandbox seconds per second then; the budgets of calls need some.
SLOW = 10


@contextmanager
def slowed(shops: Shops) -> Iterator[None]:
    """Let the clock of this worker's sandbox go slowly, so that commands take no time of it."""
    shops.control("clock", {"rate": SLOW}, "PUT")
    try:
        yield
    finally:
        shops.control("clock", {"rate": RATE}, "PUT")


def began(shops: Shops, *words: str) -> Started:
    """A rollout in the foreground whose canary of two has been sent, and nothing else."""
    with slowed(shops):
        running = shops.start("rollout", "--all", "--yes", "--canary", *words)
        running.wait_for(" sent\n")
    return running


def running(shops: Shops, version: str) -> list[str]:
    """Shops whose service is set to a version, as ECS says."""
    return [store for store in shops.stores if shops.runs(store) == version]


def sent_at(shops: Shops, store: str) -> datetime:
    """When ECS was told of a shop's newest revision."""
    at = shops.deployments(store)[-1]["createdAt"]
    assert isinstance(at, datetime)
    return at.astimezone(UTC)


def sends(shops: Shops) -> list[int]:
    """By shop, how often ECS was told of a revision since the shop was taken."""
    return [len(shops.deployments(store)) for store in shops.stores]
