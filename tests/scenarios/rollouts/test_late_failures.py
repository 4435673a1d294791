"""Releases that fail late: how many of 60 shops they reach, with thresholds of production."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios import chains
from tests.scenarios.chains import reference
from tests.scenarios.conftest import Ran

STORES = 60
#: Thresholds as in production, and no windows: a rollout begins and ends within hours.
POLICY = "window: always, concurrency: 10%"
#: Sandbox seconds a second.
RATE = 120.0
#: Sandbox seconds that a tick takes at that rate, from its readings to its last call.
TICK_S = 120.0


class Shops(chains.Shops):
    """Shops with one box each: a camera box in every other one, and a second kind in the rest."""

    def _write_inventory(self, stores: int, policy: str) -> None:
        super()._write_inventory(stores, policy)
        rows = ["id,name,groups,hosts"]
        for number in range(stores):
            id_, kind = f"store-{number:04d}", ("cam", "tel")[number % 2]
            rows.append(f"{id_},Shop {number},eu-west-1,{kind}-1:{kind}:{kind}-1.{id_}.example")
        self._write("inventory/stores/all.csv", "\n".join(rows) + "\n")

    def behave(self, **behaviour: Any) -> None:
        """Say what the second release does wherever it runs."""
        for workload in self.workloads:
            self.chain.images.tell({reference(workload, "2"): {"size_mb": 4.0, **behaviour}})

    def roll(self) -> Ran:
        """Send the second release until the rollout rests."""
        self.release("2")
        return self.fleet("rollout", "--all", "--canary", "--yes", "--json")

    @property
    def reached(self) -> set[str]:
        """Shops to which a call went that changes a service."""
        return {sent.cluster for sent in self.ledger.sent if not sent.code}


@pytest.fixture
def shops(tmp_path: Path) -> Iterator[Shops]:
    made = Shops(tmp_path, STORES, policy=POLICY, workloads=("vision", "telemetry"))
    try:
        made.open(RATE)
        yield made
    finally:
        made.close()


#: What a release does.
LATE: dict[str, dict[str, Any]] = {
    "kills links after 5 minutes": {"run": "kills-link", "after_s": 300.0},
    "kills links after 20 minutes": {"run": "kills-link", "after_s": 1200.0},
    "kills links of arm64 after 20 minutes": {
        "run": "kills-link",
        "after_s": 1200.0,
        "on": ["arm64"],
    },
    "kills links after 60 minutes": {"run": "kills-link", "after_s": 3600.0},
    "crashes at once on arm64": {"run": "crash", "on": ["arm64"]},
}


@pytest.mark.long
@pytest.mark.parametrize("what", LATE)
def test_a_release_reaches_no_shop_after_the_reading_that_shows_its_failure(
    shops: Shops, what: str
) -> None:
    shops.behave(**LATE[what])

    ran = shops.roll()

    print(f"{what}: {len(shops.reached)} of {STORES}: {ran.document['rollout']['why']}")  # noqa: T201
    assert ran.code == 4
    changes = [change for change in ran.document["changes"] if change["sends"]]
    shown = min(datetime.fromisoformat(c["away_since"] or c["since"]) for c in changes if bad(c))
    late = {sent.cluster for sent in shops.ledger.sent if sent.at > shown.timestamp() + TICK_S}
    assert late == set()


def bad(change: dict[str, Any]) -> bool:
    """Whether the last reading of a shop shows that something is wrong there."""
    return bool(change["away_since"]) or change["verdict"] in {"failed", "dark"}
