"""Two controllers on one PostgreSQL: what one of them leaves half-done, the other ends."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.rollout.tick import rollout_lease
from fleet.runtime.lease import holder_of
from tests.records.conftest import postgresql_server, postgresql_url
from tests.scenarios.chains import Shops, wait_until
from tests.scenarios.conftest import FLEET, Started

__all__ = ["postgresql_server", "postgresql_url"]

STORES = 24
POLICY = "window: always, settle: 20s, bake: 30s, concurrency: 4, canary: 3, waves: [100%]"
RATE = 100.0


@pytest.fixture
def shops(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shops]:
    made = Shops(tmp_path, STORES, policy=POLICY)
    made.open(RATE)
    made.env["FLEET_DATABASE_URL"] = str(request.getfixturevalue("postgresql_url"))
    yield made
    made.close()


def ticking(shops: Shops) -> int:
    """Process id of the controller that is in the middle of a tick; 0 between two."""
    with shops.records() as records:
        lease = holder_of(records, rollout_lease("ro-1"))
    found = re.search(r"pid (\d+)", lease.owner) if lease else None
    return int(found[1]) if found else 0


@pytest.mark.long
def test_of_two_controllers_one_ends_what_the_other_was_killed_over(shops: Shops) -> None:
    controllers: dict[int, Started] = {}
    for _ in range(2):
        process, said = shops.spawn([*FLEET, "controller"])
        controllers[process.pid] = Started(process, said)
        controllers[process.pid].wait_for("begins")
    shops.release("2")
    assert shops.fleet("rollout", "--all", "--canary", "--yes", "--detach").code == 0
    wait_until(lambda: len(shops.ledger.sent) >= STORES // 3, "a third was sent")
    wait_until(lambda: ticking(shops) in controllers, "one of them ticks")
    controllers.pop(ticking(shops) or min(controllers)).kill()
    assert len(shops.ledger.sent) < STORES, "it was killed too late"
    (other,) = controllers.values()
    assert shops.fleet("rollout", "wait", "ro-1").code == 0
    assert shops.ends() == Counter(ok=STORES)
    assert set(shops.deployments().values()) == {1}
    assert shops.ledger.repeated() <= 1
    other.kill(15)
    assert other.end().code == 0
