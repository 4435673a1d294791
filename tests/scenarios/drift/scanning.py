"""Scans of a town and rollouts in it, in this process, with time that only they let pass."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from fleet.aws.calls import Patience
from fleet.aws.session import AwsAccess
from fleet.drift import scan
from fleet.model.drift import Finding
from fleet.model.rollout import VerbName
from fleet.model.scan_result import ScanResult
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.rollout.plan import Request, make_plan
from fleet.rollout.start import start
from fleet.rollout.tick import TickContext, rollout_lease, shard_lease, tick
from fleet.runtime.aws_access import ShardAccess
from fleet.runtime.lease import held
from fleet.runtime.wiring import Wiring
from tests.scenarios.conftest import FLEET, HANGS_S
from tests.scenarios.drift.town import Plan, Town


class Scans:
    """Fleet as it scans a town from this process, night after night.

    It is the clock of the scan as well: who waits lets the town's time pass.
    """

    def __init__(self, town: Town, records: Records) -> None:
        self.town = town
        self.records = records
        self.access = AwsAccess(self, patience=Patience(attempts=2, first_wait_s=0.1))

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.town.clock.now(), UTC)

    def sleep(self, seconds: float) -> None:
        """Several who sleep at once sleep side by side, not one after the other."""
        until = self.town.clock.now() + seconds
        while (left := until - self.town.clock.now()) > 0:
            self.town.clock.advance(left)

    def wiring(self) -> Wiring:
        return Wiring(
            fleet=self.town.fleet,
            clock=self,
            shard=self.access.shard,
            records=self.records,
            connect=lambda _host, _accepted: pytest.fail("nobody asked for SSH"),
            load_pins=lambda: pytest.fail("a scan needs no pins"),
            pin_machine=lambda _host, _machine: None,
            listen=lambda _event: None,
        )

    def scan(self, *, digests: bool = False, deep: bool = False) -> ScanResult:
        request = scan.ScanRequest(
            stores=self.town.fleet.stores, selection="", digests=digests, deep=deep, whole=True
        )
        return scan.scan(self.wiring(), request)


def codes(night: ScanResult) -> list[tuple[str, str, str]]:
    """What was found: code, store, host."""
    return sorted((one.code, one.store, one.host) for one in found(night))


def found(night: ScanResult) -> list[Finding]:
    return [told.finding for told in night.findings]


@contextmanager
def scans_of(town: Town, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scans]:
    """Scans of an open town, with records of their own."""
    for name, value in town.environment().items():
        monkeypatch.setenv(name, value)
    with open_records(None, town.folder / ".fleet") as records:
        scans = Scans(town, records)
        town.look, town.roll_out = scans.scan, partial(roll_out, scans)
        town.stop = lambda why: scans.records.stops.set(by="a test", at=scans.now(), why=why)
        try:
            yield scans
        finally:
            scans.access.close()


@contextmanager
def open_town(
    folder: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan | None = None
) -> Iterator[tuple[Town, Scans]]:
    """A town in which everything is as it should be, and scans of it."""
    town = Town(folder, plan)
    try:
        town.open()
        with scans_of(town, monkeypatch) as scans:
            yield town, scans
    finally:
        town.close()


def roll_out(
    scans: Scans, workload: str, *, ticks: int | None = None, paused: bool = False
) -> None:
    """Roll a workload out to every shop, until nothing but the return of dark ones is left.

    Args:
        ticks: after which it is left alone; None to see it through.
        paused: whether somebody says so before the first tick.
    """
    wiring, caller = scans.wiring(), "arn:aws:sts::111122223333:assumed-role/fleet-operator/on-call"
    plan = make_plan(wiring, Request(stores=wiring.fleet.stores, workloads=(workload,)))
    run_id = scans.records.start_run(
        "rollout", caller_arn=caller, command="fleet rollout", at=scans.now()
    )
    rollout = start(wiring, plan, caller=caller, run_id=run_id)
    if paused:
        scans.records.rollouts.say(rollout.id, VerbName.PAUSE, by=caller, at=scans.now())
    with ThreadPoolExecutor(2) as executor:
        crew = TickContext(
            wiring=wiring,
            executor=executor,
            open_access=lambda: ShardAccess(
                scans, scans.access.shard, lambda _a, _r: {}, lambda _a, _r, _s: None
            ),
            owner="a test",
            run_id=run_id,
            caller=caller,
            tell=lambda _event: None,
            warn=lambda _text: None,
        )
        names = [
            shard_lease(p.account_id, p.region)
            for p in {(q.account_id, q.region): q for q in rollout.spec.places.values()}.values()
        ]
        for _ in range(200 if ticks is None else ticks):
            with (
                held(scans.records, [rollout_lease(rollout.id)], crew.owner) as own,
                held(scans.records, names, crew.owner) as shards,
            ):
                ticked = tick(crew, rollout.id, own, shards)
            if ticked.rollout.finished_at is not None or ticked.settled.wake_at is None:
                return
            scans.sleep(30)
    if ticks is None:
        pytest.fail(f"{rollout.id} never ended")


def typing_environment(town: Town) -> dict[str, str]:
    """The environment of a process that takes a town for AWS, with nothing of this one's AWS."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FLEET_"))}
    return {**kept, **town.environment(), "HOME": str(town.folder)}


def type_in(town: Town, *words: str) -> subprocess.CompletedProcess[str]:
    """Type a command of fleet in a town's folder, without a terminal, and wait for its end."""
    return subprocess.run(
        [*FLEET, *words],
        cwd=town.folder,
        env=typing_environment(town),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
