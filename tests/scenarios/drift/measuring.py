"""A scan of a town as cron would run it: a process of its own, and what it took.

AWS's published rates hold, and the sandbox's clock runs as fast as this machine can answer: what
is measured is sandbox time. Calls are counted where they arrive, not by whoever made them.
"""

import contextlib
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.drift.decide.scan_calls import ShardSize, least_calls, least_seconds
from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.engine import access_key_for
from tests.scenarios.conftest import FLEET, ROOT
from tests.scenarios.drift.town import ACCOUNTS, REGIONS, Plan, Town

#: Four boxes in every shop, two of a kind; a service for each kind.
HOSTS = {"cam-1": "cam", "cam-2": "cam", "tel-1": "tel", "tel-2": "tel"}
SERVED = ("vision", "telemetry")
#: Sandbox seconds a second, few enough that two processes keep up with AWS's rates where others
#: run as well; and as many as go where it is not time that is measured.
RATE, FAST = 1.0, 3.0
#: Sandbox seconds in which the boxes boot, one after the other.
BOOTED_S = 600.0
#: Wall seconds after which a scan hangs.
GIVE_UP_S = 1800.0


#: Runs a program, and writes down its exit code and the most memory it had. A process of its own:
#: Linux counts what whoever starts a program has in memory as the program's.
_LAUNCH = """
import json, os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(pid, 0)
with open(sys.argv[1], "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), used.ru_maxrss], file)
"""


@dataclass(frozen=True, slots=True)
class Took:
    """What a scan took.

    Attributes:
        calls: by action, as they arrived.
        throttled: how many of them.
        sandbox_s: from the first to the last of them, in sandbox seconds.
        wall_s: of the process, in real seconds.
        memory_mb: the most it had, in MiB.
        code: it ended with.
        document: the last line or all of what it printed, as JSON.
    """

    calls: Counter[str]
    throttled: int
    sandbox_s: float
    wall_s: float
    memory_mb: float
    code: int
    document: Mapping[str, Any]

    @property
    def words(self) -> str:
        """The figures, for people."""
        return (
            f"{self.calls.total():,} calls, {self.throttled} throttled, {self.sandbox_s:.0f} s, "
            f"{self.memory_mb:.0f} MB, {self.wall_s:.0f} s real"
        )


def plan_of(stores: int) -> Plan:
    return Plan(stores=stores, hosts=HOSTS, accounts=2, regions=2, workloads=SERVED)


class Measured:
    """An open town whose clock runs, and everything that operators ask of it."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.calls: list[tuple[float, str, str, str]] = []
        self.throttled = 0
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FLEET_"))}
        self.env = {**kept, **town.environment(), "HOME": str(town.folder), "COLUMNS": "120"}
        self._watch()

    def fleet(self, *words: str, rate: float = RATE) -> Took:
        """``fleet drift`` of the whole fleet, its JSON streamed to a file."""
        self.town.clock.set_rate(rate)
        return self._run([*FLEET, "drift", "--format", "json", *words])

    def naive(self) -> Took:
        """The loop that most teams write."""
        self.town.clock.set_rate(RATE)
        profiles = [f"--profile={name}" for name in list(ACCOUNTS)[: self.town.plan.accounts]]
        regions = [f"--region={name}" for name in REGIONS[: self.town.plan.regions]]
        script = str(ROOT / "scripts" / "naive-drift")
        return self._run([sys.executable, script, *profiles, *regions])

    def _run(self, command: list[str]) -> Took:
        self.calls.clear()
        self.throttled = 0
        out, used = self.town.folder / "out.json", self.town.folder / "used.json"
        began = time.monotonic()
        with out.open("w") as file:
            ran = subprocess.run(
                [sys.executable, "-c", _LAUNCH, str(used), *command],
                cwd=self.town.folder,
                env=self.env,
                stdout=file,
                stderr=subprocess.PIPE,
                text=True,
                timeout=GIVE_UP_S,
                check=False,
            )
        assert ran.returncode == 0, ran.stderr
        code, kilobytes = json.loads(used.read_text())
        assert code in {0, 3}, ran.stderr
        text = out.read_text()
        times = [at for at, *_ in self.calls]
        return Took(
            Counter(action for _at, _account, _region, action in self.calls),
            self.throttled,
            max(times) - min(times),
            time.monotonic() - began,
            kilobytes / 1024,
            code,
            json.loads(text if text.startswith("{") else text.splitlines()[-1]),
        )

    def _watch(self) -> None:
        plane = self.town.chain.plane
        perform, operators = plane.perform, {access_key_for(a.account_id) for a in plane.accounts}

        def noted(service: str, action: str, body: Mapping[str, Any], **more: Any) -> Any:
            ours = more["access_key"] in operators
            if ours:
                where = str(more["access_key"]), str(more["region"])
                self.calls.append((plane.clock.now(), *where, f"{service}:{action}"))
            try:
                return perform(service, action, body, **more)
            except AwsFault as fault:
                self.throttled += ours and fault.code == "ThrottlingException"
                raise

        setattr(plane, "perform", noted)  # noqa: B010 - mypy takes no assignment to a method


@contextlib.contextmanager
def measured(stores: int) -> Iterator[Measured]:
    """A town of so many shops, each as it should be."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    town = Town(folder, plan_of(stores), throttling=True)
    gc.disable()  # millions of objects, none of them garbage
    try:
        town.settle()
        gc.freeze()
        gc.enable()
        town.chain.stagger(BOOTED_S)
        town.server.start()
        town.chain.schedule.start()
        yield Measured(town)
    finally:
        gc.enable()
        town.close()
        gc.unfreeze()
        shutil.rmtree(folder)


def least(plan: Plan, *, first: bool = False, digests: bool = False) -> tuple[int, float]:
    """The fewest calls for a town in which nothing is wrong, and the seconds that they take.

    Args:
        first: whether nothing is remembered.
        digests: whether images are compared as well.
    """
    shards = plan.accounts * plan.regions
    calls, seconds = 0, 0.0
    for number in range(shards):
        stores = len(range(number, plan.stores, shards))
        nodes = stores * len(plan.hosts)
        size = ShardSize(
            stores=stores,
            nodes=nodes,
            tagged=nodes,
            remembered=0 if first else stores,
            unremembered=stores if first else 0,
            services=(len(plan.workloads),) * stores,
            families=len(plan.workloads),
            unknown_revisions=len(plan.workloads) if first else 0,
            tasks=(len(plan.hosts),) * stores if digests else (),
        )
        needed = least_calls(size)
        calls += needed.total()
        seconds = max(seconds, least_seconds(needed))
    return calls, seconds
