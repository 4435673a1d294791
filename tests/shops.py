"""Three shops in one process that run a first release, and AWS over HTTP, noting what it is asked.

Time passes only when a test, or somebody who waits for AWS, lets it.
"""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.aws.calls import Patience
from fleet.aws.session import AwsAccess
from fleet.errors import HostUnreachable
from fleet.model.changes import Change
from fleet.model.desired import Scheduling, ServiceShape, TaskDefinition
from fleet.model.inventory import Account, Fleet
from fleet.model.policy import Amount, Policy, Window
from fleet.model.rollout import (
    ActionKind,
    Place,
    Rollout,
    RolloutEvent,
    RolloutSpec,
    VerbName,
    WavePlan,
)
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.release.decide.service_input import service_input, service_settings
from fleet.rollout.decide.service_calls import ServiceWrite
from fleet.rollout.shard_jobs import ShardJob
from fleet.rollout.tick import TickContext, Ticked, rollout_lease, shard_lease, tick
from fleet.runtime.aws_access import ShardAccess
from fleet.runtime.lease import held
from fleet.runtime.wiring import Wiring
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.control_plane.engine import access_key_for
from fleet.sandbox.server import SandboxServer
from fleet.sandbox.spec import HostSpec
from tests import build, rollouts
from tests.sandbox.bare_fleet import BareFleet

ACCOUNT = Account("emea-prod", "111122223333")
REGION = "eu-west-1"
SERVICE = "vision-arm64"
CALLER = rollouts.CALLER
START = 1_800_000_000.0
STORES = ("store-001", "store-002", "store-003")
SHAPE = ServiceShape(
    SERVICE,
    "vision",
    "arm64",
    "arm64",
    Scheduling.REPLICA,
    ({"type": "distinctInstance"},),
)
#: One shop after the other, and nothing that takes longer than it must.
POLICY = Policy(
    "swift",
    concurrency=Amount(count=9),
    bake_s=60.0,
    settle_s=30.0,
    window=Window.ALWAYS,
)


def definition(version: str) -> TaskDefinition:
    image = f"shops.example/vision:{version}"
    part = {"name": "app", "image": image, "memory": 64, "essential": True}
    return TaskDefinition.of(
        {
            "family": SERVICE,
            "networkMode": "bridge",
            "requiresCompatibilities": ["EXTERNAL"],
            "containerDefinitions": [part],
        }
    )


OLD, NEW = definition("1"), definition("2")


def spec_of(store: str) -> HostSpec:
    return HostSpec(
        store=store,
        name="cam-1",
        address=f"cam-1.{store}.shops.example",
        user="fleet",
        account_id=ACCOUNT.account_id,
        region=REGION,
        machine="aarch64",
        os_release={"ID": "ubuntu", "NAME": "Ubuntu", "VERSION_ID": "22.04"},
        hardware="orin",
    )


def place(store: str) -> Place:
    return rollouts.place(store, hosts={SERVICE: ("cam-1",)})


def rollout_spec(stores: tuple[str, ...] = STORES, **fields: Any) -> RolloutSpec:
    """The new release for these shops, the first of them as the canary."""
    waves = WavePlan("canary", stores[:1]), WavePlan("wave 1", stores[1:])
    value = rollouts.spec(
        *(wave for wave in waves if wave.stores),
        policy=POLICY,
        shapes={SERVICE: SHAPE},
        task_definitions={NEW.content: NEW},
        places={s: place(s) for s in stores},
    )
    return replace(value, **fields)


def no_way(host: Any, _accepted: Any) -> Any:
    """No shop of this world is reached by SSH."""
    raise HostUnreachable(f"no route to {host.id}")


class Shops:
    """The world of these tests: AWS, the shops, and the records of one operator."""

    def __init__(self, folder: Path, records: Records, executor: Executor) -> None:
        self.sandbox_clock = SandboxClock(0.0, START)
        self.chain = BareFleet(
            folder,
            [spec_of(store) for store in STORES],
            clock=self.sandbox_clock,
            attributes=lambda spec: {"fleet.host": spec.name},
        )
        self.chain.start()
        self.records = records
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.told: list[RolloutEvent] = []
        self.warned: list[str] = []
        self.access = AwsAccess(self, patience=Patience(attempts=2, first_wait_s=0.1))
        self.old = self.call("RegisterTaskDefinition", **OLD.body)["taskDefinition"][
            "taskDefinitionArn"
        ]
        for store in STORES:
            self.create(store)
        self.pass_by(60)
        self._note_calls()
        self.server = SandboxServer(self.chain.plane)
        self.server.start()
        self.wiring = Wiring(
            fleet=self.fleet(),
            clock=self,
            shard=self.access.shard,
            records=records,
            connect=no_way,
            load_pins=lambda: pytest.fail("a rollout needs no pins"),
            pin_machine=lambda _host, _machine: None,
            listen=lambda _event: None,
        )
        self.run_id = records.start_run(
            "rollout", caller_arn=CALLER, command="fleet rollout", at=self.now()
        )
        self.crew = TickContext(
            wiring=self.wiring,
            executor=executor,
            open_access=self.open_access,
            owner="fleet rollout on laptop",
            run_id=self.run_id,
            caller=CALLER,
            tell=self.told.append,
            warn=self.warned.append,
        )

    def fleet(self) -> Fleet:
        stores = [
            build.store(build.host("cam-1", store=s), id=s, cluster=s, account=ACCOUNT)
            for s in STORES
        ]
        return replace(build.fleet(*stores), accounts={ACCOUNT.name: ACCOUNT})

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.sandbox_clock.now(), UTC)

    def sleep(self, seconds: float) -> None:
        self.sandbox_clock.advance(seconds)

    def pass_by(self, seconds: float) -> None:
        self.sandbox_clock.advance(seconds)

    def open_access(self) -> ShardAccess:
        return ShardAccess(
            self, self.access.shard, lambda _a, _r: {"spent": 1}, lambda _a, _r, _s: None
        )

    def call(self, action: str, **body: Any) -> dict[str, Any]:
        """Somebody else's call to ECS."""
        where = self.chain.hosts["store-001/cam-1"].spec
        return self.chain.call(where, "ecs", action, **body)

    def create(self, store: str, **body: Any) -> None:
        request = service_input(SHAPE, cluster=store, task_definition=self.old, desired_count=1)
        self.call("CreateService", **{**request, **body})

    def service(self, store: str = "store-001") -> dict[str, Any]:
        (found,) = self.call(
            "DescribeServices", cluster=store, services=[SERVICE], include=["TAGS"]
        )["services"]
        return dict(found)

    def runs(self, store: str = "store-001") -> str:
        return str(self.service(store)["taskDefinition"])

    def tags(self, store: str = "store-001") -> dict[str, str]:
        return {tag["key"]: tag["value"] for tag in self.service(store).get("tags", [])}

    def set_by_hand(self, store: str = "store-001") -> str:
        """Somebody sets a revision that fleet does not know."""
        made = self.call("RegisterTaskDefinition", **definition("hand").body)
        arn = str(made["taskDefinition"]["taskDefinitionArn"])
        self.call("UpdateService", cluster=store, service=SERVICE, taskDefinition=arn)
        return arn

    def actions(self, *names: str) -> list[str]:
        """What was asked since the beginning, of these actions; all of them for none."""
        return [action for action, _ in self.asked if not names or action in names]

    def fail(self, action: str, code: str, status: int = 400, **more: Any) -> None:
        """Let AWS answer this instead."""
        service = "logs" if "Log" in action else "ecs"
        self.chain.plane.faults.add(service, action, code, status, **more)

    def write(
        self, kind: ActionKind = ActionKind.SEND, store: str = STORES[0], **f: Any
    ) -> ServiceWrite:
        """One service to be sent the new release, or set back."""
        value = ServiceWrite(
            kind=kind,
            store=store,
            service=SERVICE,
            cluster=store,
            content=NEW.content,
            target="",
            previous=self.old,
            request=service_input(
                SHAPE, cluster=store, task_definition=NEW.content, desired_count=1
            ),
            settings=service_settings(SHAPE),
            count=1,
            tags={"fleet:rollout": "ro-1", "fleet:content": NEW.content},
            token=f"ro-1/{store}",
        )
        return replace(value, **f)

    def job(self, *writes: ServiceWrite, **fields: Any) -> ShardJob:
        value = ShardJob(
            account=ACCOUNT,
            region=REGION,
            writes=writes,
            definitions={NEW.content: NEW},
            tags={"fleet:fleet": "emea"},
        )
        return replace(value, **fields)

    def changes(self, spec: RolloutSpec, **fields: Any) -> list[Change]:
        return [
            replace(
                rollouts.planned(store, wave),
                content=NEW.content,
                previous=self.old,
                **fields,
            )
            for wave, plan in enumerate(spec.waves)
            for store in plan.stores
        ]

    def start(self, *stores: str, **fields: Any) -> Rollout:
        """Record a rollout of the new release; nothing is sent before its first tick."""
        spec = rollout_spec(stores or STORES, **fields)
        holds = [(store, "vision") for store in spec.places]
        return self.records.rollouts.start(
            spec, self.changes(spec), holds, caller=CALLER, at=self.now(), run=self.run_id
        )

    def tick(self, rollout_id: str = "ro-1", crew: TickContext | None = None) -> Ticked:
        """One tick under leases of its own."""
        crew = crew or self.crew
        names = [shard_lease(ACCOUNT.account_id, REGION)]
        with (
            held(self.records, [rollout_lease(rollout_id)], crew.owner) as own,
            held(self.records, names, crew.owner) as shards,
        ):
            return tick(crew, rollout_id, own, shards)

    def run(self, rollout_id: str = "ro-1", ticks: int = 60) -> Rollout:
        """Tick until nobody but a person can move it, letting time pass in between."""
        for _ in range(ticks):
            ticked = self.tick(rollout_id)
            wake = ticked.settled.wake_at
            if wake is None:
                return ticked.rollout
            self.pass_by(max(1.0, (wake - self.now()) / timedelta(seconds=1)))
        return self.records.rollouts.load(rollout_id)

    def row(self, store: str = "store-001", rollout_id: str = "ro-1") -> Change:
        return next(c for c in self.records.rollouts.changes(rollout_id) if c.store == store)

    def say(self, name: VerbName, *stores: str, rollout_id: str = "ro-1") -> int:
        said = self.records.rollouts.say(
            rollout_id, name, by=CALLER, at=self.now(), stores=stores, why=""
        )
        return said.id

    def answer(self, verb: int, rollout_id: str = "ro-1") -> str:
        return next(v.answer for v in self.records.rollouts.verbs(rollout_id) if v.id == verb)

    def close(self) -> None:
        self.server.stop()
        self.access.close()
        self.chain.close()

    def _note_calls(self) -> None:
        plane, perform, lock = self.chain.plane, self.chain.plane.perform, threading.Lock()

        def noted(service: str, action: str, body: Mapping[str, Any], **more: Any) -> Any:
            if service == "ecs" and not action.startswith(("Submit", "Discover")):
                with lock:
                    self.asked.append((action, body))
            return perform(service, action, body, **more)

        setattr(plane, "perform", noted)  # noqa: B010 - mypy takes no assignment to a method


@contextmanager
def open_shops(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shops]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key_for(ACCOUNT.account_id))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with open_records(None, folder / "state") as records, ThreadPoolExecutor(2) as executor:
        shops = Shops(folder / "hosts", records, executor)
        monkeypatch.setenv("AWS_ENDPOINT_URL", shops.server.url)
        try:
            yield shops
        finally:
            shops.close()


@pytest.fixture
def shops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shops]:
    with open_shops(tmp_path, monkeypatch) as opened:
        yield opened
