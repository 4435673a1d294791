"""A thousand shops at AWS's published rates: as fast as they allow, and never faster."""

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.scenarios.chains import REGIONS, Shops

STORES = 1000
POLICY = (
    "window: always, settle: 20s, bake: 30s, concurrency: 100%, waves: [100%], deadline: 2h, "
    "patience: 4h"
)
#: Calls a second that AWS takes in an account and region: CreateService, UpdateService, Delete...
PER_S = 5.0
#: Sandbox seconds a second for what is not measured, and for what is: slow, so that neither the
#: speed of this machine nor the bunching of calls on their way is multiplied by it.
FAST, MEASURED = 20.0, 1.0
#: Wall seconds that the sends may take before the test gives up; at full pace it is 100.
SENT_WITHIN_S = 240.0


def wait_for_sends(shops: Shops, number: int) -> None:
    give_up = time.monotonic() + SENT_WITHIN_S
    while len(shops.ledger.sent) < number:
        assert time.monotonic() < give_up, f"{len(shops.ledger.sent)} of {number} were sent"
        time.sleep(0.1)


@pytest.mark.long
def test_a_thousand_shops_are_sent_a_release_at_the_rate_that_aws_allows(tmp_path: Path) -> None:
    shops = Shops(tmp_path, STORES, policy=POLICY, regions=len(REGIONS), throttling=True)
    try:
        shops.open(FAST)
        shops.env["FLEET_CALL_SHARE"] = "100%"
        shops.release("2")
        # fleet believes a clock's rate for two seconds, so a new one is for a new process.
        started = shops.start("rollout", "--all", "--yes")
        started.wait_for("wave 1 begins")
        started.kill()
        started.end()
        begun = len(shops.ledger.sent)
        shops.ledger.sent.clear()
        shops.clock.set_rate(MEASURED)
        started = shops.start("rollout", "resume", "ro-1")
        wait_for_sends(shops, STORES - begun)
        used = {region: shops.ledger.share_of_rate(region, PER_S) for region in REGIONS}
        assert shops.ledger.throttled == []
        assert min(used.values()) >= 0.9, used
        started.kill()
        started.end()
        shops.clock.set_rate(FAST)
        shops.chain.plane.throttling = False
        ran = shops.fleet("rollout", "resume", "ro-1")
        assert ran.code == 0, ran.out + ran.err
        assert shops.ends() == Counter(ok=STORES)
        assert shops.ledger.repeated() == 0
    finally:
        shops.close()
