"""A rollout whose calls are made by the workers of a Dask cluster, of which one is lost."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from distributed import Client

from tests.scenarios.chains import Shops, wait_until

STORES = 24
POLICY = "window: always, settle: 20s, bake: 30s, concurrency: 4, canary: 3, waves: [100%]"
RATE = 100.0


#: Loopback only, and no second process that would start a lost worker again.
SCHEDULER = ("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
WORKER = ("worker", "--host", "127.0.0.1", "--no-nanny", "--no-dashboard", "--nthreads", "2")


def cluster(shops: Shops) -> tuple[str, list["subprocess.Popen[str]"]]:
    """Address of a scheduler, and its two workers, which see the sandbox as fleet does."""
    told = shops.folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    shops.spawn([*dask, *SCHEDULER, "--scheduler-file", str(told)])
    # Its last character: it is not written in one piece.
    wait_until(lambda: told.exists() and "}" in told.read_text()[-2:], "the scheduler is up")
    address = str(json.loads(told.read_text())["address"])
    command = [*dask, *WORKER, address, "--local-directory", str(shops.folder)]
    workers = [shops.spawn(command)[0] for _ in range(2)]
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(len(workers), timeout=60)
    return address.replace("tcp://", "dask://"), workers


@pytest.mark.long
def test_a_rollout_on_dask_goes_on_when_a_worker_is_lost(tmp_path: Path) -> None:
    shops = Shops(tmp_path, STORES, policy=POLICY, regions=2)
    shops.open(RATE)
    try:
        shops.env["FLEET_EXECUTOR"], workers = cluster(shops)
        shops.release("2")
        started = shops.start("rollout", "--all", "--canary", "--yes")
        wait_until(lambda: len(shops.ledger.sent) >= STORES // 3, "a third was sent")
        workers[0].kill()
        assert len(shops.ledger.sent) < STORES, "it was killed too late"
        ran = started.end()
        assert ran.code == 0, ran.out + ran.err
        assert shops.ends() == Counter(ok=STORES)
        assert set(shops.deployments().values()) == {1}
        assert shops.ledger.repeated() <= 1
    finally:
        shops.close()
