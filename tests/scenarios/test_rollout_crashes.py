"""A rollout whose process is killed again and again ends as if nothing had happened."""

import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from fleet.cli.main import main
from fleet.sandbox.clock import SandboxClock
from tests.rollout.endings import ending
from tests.scenarios.chains import Shops, reference
from tests.scenarios.conftest import HANGS_S

KILLS = 100
SEED = 42
#: Wall seconds from the moment at which a rollout goes on until it is killed, at most.
LIFE_S = 0.8
#: How many of the kills hit while AWS works on a call that changes a service, if there is one.
AMID_WRITES = 0.5
POLICY = (
    "window: always, settle: 20s, bake: 1m, concurrency: 3, canary: 5, waves: [30%, 100%], "
    "max_failures: 5%"
)
#: Sandbox seconds a second: of a run that nobody disturbs, and while one lives that is killed.
CALM, LIVING = 200.0, 12.0
#: Sandbox seconds that pass with every look at what a process says until it goes on: whatever the
#: speed of this machine, a hundred starts must not take longer than the rollout.
CREEP_S = 0.02
DARK, BAD = "store-0031", "store-0017"
START = ("rollout", "--all", "--canary", "--yes", "--seed", "7")
RESUME = ("rollout", "resume", "ro-1")


#: Processes begin with all of this imported: a hundred of them would spend minutes on nothing else.
ZYGOTE = multiprocessing.get_context("forkserver")
ZYGOTE.set_forkserver_preload(["fleet.cli.main", "fleet.cli.rollout"])


def type_fleet(words: tuple[str, ...], env: dict[str, str], folder: str, said: str) -> None:
    """What a shell does before it becomes ``fleet``, in a process that nothing else runs in."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, sys.stdout.fileno())
    os.dup2(out, sys.stderr.fileno())
    sys.argv = ["fleet", *words]
    main()


class Typed:
    """A command that runs, and what it said so far."""

    def __init__(self, shops: Shops, number: int, words: tuple[str, ...]) -> None:
        self._said = shops.folder / f"said-{number}"
        self._said.touch()
        where = str(shops.folder), str(self._said)
        self._process = ZYGOTE.Process(target=type_fleet, args=(words, shops.env, *where))
        self._process.start()

    @property
    def said(self) -> str:
        return self._said.read_text()

    def wait_for(self, words: str, clock: SandboxClock) -> None:
        """Until it says these words, while time creeps."""
        deadline = time.monotonic() + HANGS_S
        while words not in self.said:
            assert self._process.is_alive(), self.said
            assert time.monotonic() < deadline, self.said
            clock.advance(CREEP_S)
            time.sleep(0.005)

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> int | None:
        """Wait for its end; the exit code, below 0 for one that was killed."""
        self._process.join(HANGS_S)
        return self._process.exitcode


def prepared(folder: Path, rate: float) -> Shops:
    """Sixty shops of which one is offline, and one cannot run the release that comes next."""
    folder.mkdir()
    shops = Shops(folder, 60, policy=POLICY)
    shops.open(rate)
    shops.chain.images.tell({reference("vision", "2"): {"run": "crash", "on": [BAD]}})
    shops.chain.cut(DARK)
    shops.clock.advance(900)
    shops.release("2")
    return shops


def outcome(shops: Shops) -> dict[str, Any]:
    """How everything stands: in the shops, at AWS, and in fleet's records."""
    services = shops.services()
    with shops.records() as records:
        rollout, changes = records.rollouts.load("ro-1"), records.rollouts.changes("ro-1")
    return {
        "phase": (rollout.phase, rollout.wave),
        "ends": {change.store: ending(change) for change in changes},
        "runs": shops.running(),
        "wants": {
            key: (service["taskDefinition"], service["desiredCount"])
            for key, service in services.items()
        },
        "tags": {
            key: {tag["key"]: tag["value"] for tag in service["tags"]}
            for key, service in services.items()
        },
    }


def kill_in_time(shops: Shops, started: Typed, after_s: float, *, amid_write: bool) -> bool:
    """Kill it after so long, or when its next write of a service has arrived; whether that was."""
    arrived = threading.Event()

    def arrive() -> None:
        started.kill()
        arrived.set()

    if amid_write:
        shops.ledger.on_write = arrive
    hit = arrived.wait(after_s)
    shops.ledger.on_write = lambda: None
    started.kill()
    return hit


def killed_again_and_again(shops: Shops) -> int:
    """Start the rollout and kill it so often, resuming it each time; how often amid a write."""
    chance = random.Random(SEED)
    hits = 0
    for kill in range(KILLS):
        shops.clock.set_rate(0)
        started = Typed(shops, kill, RESUME if kill else START)
        started.wait_for("it is running already" if kill else "canary begins", shops.clock)
        shops.clock.set_rate(LIVING)
        amid_write = chance.random() < AMID_WRITES
        after_s = LIFE_S if amid_write else chance.uniform(0, LIFE_S)
        hits += kill_in_time(shops, started, after_s, amid_write=amid_write)
        assert started.end() == -signal.SIGKILL, f"it ended before kill {kill + 1}: {started.said}"
    return hits


@pytest.mark.long
def test_killed_a_hundred_times_a_rollout_ends_as_if_undisturbed(tmp_path: Path) -> None:
    calm = prepared(tmp_path / "calm", CALM)
    try:
        ran = calm.fleet(*START)
        assert ran.code == 0, ran.out + ran.err
        wanted, changed = outcome(calm), len(calm.ledger.sent)
    finally:
        calm.close()
    assert wanted["ends"][DARK] == "parked"
    assert wanted["ends"][BAD] == "failed"

    wild = prepared(tmp_path / "wild", LIVING)
    try:
        assert killed_again_and_again(wild) > 0
        wild.clock.set_rate(CALM)
        ran = wild.fleet(*RESUME)
        assert ran.code == 0, ran.out + ran.err
        assert outcome(wild) == wanted
        assert set(wild.deployments().values()) == {1}
        assert len(wild.ledger.sent) <= changed + KILLS
    finally:
        wild.close()
