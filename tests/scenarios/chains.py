"""Many shops in one process, an inventory of them, and `fleet` run against them over HTTP.

The agents are the sandbox's own, without SSH and shells; AWS is reached as always. Every call that
changes a service is noted with the sandbox's time, so that fleet's own claims are not needed.
"""

import contextlib
import hashlib
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.cli.sandbox import sandbox_spec
from fleet.inventory.loader import load_fleet
from fleet.model.desired import Release
from fleet.model.identity import declared_attributes, host_tags
from fleet.model.inventory import Fleet, Store
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.release.decide.desired import release_of
from fleet.release.decide.service_input import service_input
from fleet.release.templates import render_all
from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.client import environment
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.control_plane.engine import ControlPlane, access_key_for
from fleet.sandbox.daemon import write_aws_files
from fleet.sandbox.server import SandboxServer
from fleet.sandbox.spec import (
    HostSpec,
    StateDir,
)
from tests.rollout.endings import ending
from tests.sandbox.bare_fleet import BareFleet
from tests.scenarios.conftest import FLEET, HANGS_S, Ran, Started

#: A Tuesday, so that nothing of a calendar is in the way.
START = 1_795_478_400.0
REGIONS = ("eu-west-1", "eu-central-1")
WRITES = frozenset({"CreateService", "UpdateService", "DeleteService"})
_FLEET = """\
name: chain
accounts:
  one: {{account_id: "111122223333", regions: [{regions}], profile: one}}
defaults:
  account: one
  time_zone: Europe/London
  hours: {{daily: "08:00-20:00"}}
  link: {{kind: fibre}}
  ssh: {{user: fleet}}
groups:
{groups}
policies:
  swift: {{{policy}}}
"""
_WORKLOAD = """\
template: app.yaml.j2
policy: swift
where: {{hardware: {hardware}}}
images:
  app: {{image: "{image}", platforms: [linux/{architecture}]}}
"""
_TEMPLATE = """\
requiresCompatibilities: [EXTERNAL]
networkMode: bridge
containerDefinitions:
  - {name: app, image: {{ images.app }}, essential: true, memory: 64}
"""
_HARDWARE = {"cam": "arm64", "tel": "amd64"}
_WORKLOADS = {"vision": "cam", "telemetry": "tel"}


def reference(workload: str, version: str) -> str:
    """The image of a version of a workload."""
    digest = hashlib.sha256(f"{workload} {version}".encode()).hexdigest()
    return f"images.shops.example/{workload}@sha256:{digest}"


@dataclass(frozen=True, slots=True)
class Sent:
    """A call that changes a service, as it reached AWS.

    Attributes:
        at: the sandbox's time, epoch seconds.
        code: that it was refused with, or "".
    """

    at: float
    action: str
    region: str
    cluster: str
    service: str
    task_definition: str
    code: str = ""

    @property
    def what(self) -> tuple[str, str, str]:
        """What was asked of which service."""
        return self.cluster, self.service, self.task_definition


@dataclass(slots=True)
class Ledger:
    """What reached AWS from operators: writes of services, and whatever was throttled.

    Attributes:
        on_write: called when a write of a service has arrived, before it has an effect.
    """

    sent: list[Sent] = field(default_factory=list)
    throttled: list[str] = field(default_factory=list)
    on_write: Callable[[], None] = lambda: None

    def repeated(self) -> int:
        """How many writes asked for what had been asked before."""
        return len(self.sent) - len({one.what for one in self.sent})

    def share_of_rate(self, region: str, per_s: float) -> float:
        """How much of a rate the accepted writes in a region used, from the first to the last."""
        times = [one.at for one in self.sent if one.region == region and not one.code]
        return (len(times) - 1) / (per_s * (max(times) - min(times)))

    def watch(self, plane: ControlPlane) -> None:
        """Note every call from now on."""
        perform = plane.perform
        operators = {access_key_for(account.account_id) for account in plane.accounts}

        def noted(service: str, action: str, body: Mapping[str, Any], **more: Any) -> Any:
            code = ""
            writes = service == "ecs" and action in WRITES
            if writes:
                self.on_write()
            try:
                return perform(service, action, body, **more)
            except AwsFault as fault:
                code = fault.code
                raise
            finally:
                if code == "ThrottlingException" and more["access_key"] in operators:
                    self.throttled.append(action)
                if writes:
                    self.sent.append(
                        Sent(
                            plane.clock.now(),
                            action,
                            str(more["region"]),
                            str(body.get("cluster")),
                            str(body.get("service") or body.get("serviceName")),
                            str(body.get("taskDefinition", "")),
                            code,
                        )
                    )

        setattr(plane, "perform", noted)  # noqa: B010 - mypy takes no assignment to a method


class Shops:
    """So many shops, each with a camera box and, where telemetry is wanted, a second one.

    Args:
        policy: words of the policy ``swift``, which all workloads have.
        workloads: ``vision`` alone or with ``telemetry``.
        regions: how many of ``REGIONS`` the shops are spread over.
    """

    def __init__(
        self,
        folder: Path,
        stores: int,
        *,
        policy: str,
        workloads: tuple[str, ...] = ("vision",),
        regions: int = 1,
        throttling: bool = False,
    ) -> None:
        self.folder = folder
        self.workloads = workloads
        self._regions = REGIONS[:regions]
        self._write_inventory(stores, policy)
        self.release("1")
        self.fleet_model = load_fleet(folder / "inventory")
        spec = sandbox_spec(self.fleet_model, rate=0, throttling=throttling)
        self.state = StateDir(folder / "sandbox")
        self.state.path.mkdir()
        self.state.ssh_config.touch()
        write_aws_files(self.state, spec)
        by_id = {host.id: (s, host) for s in self.fleet_model.stores for host in s.hosts}

        def attributes(one: HostSpec) -> Mapping[str, str]:
            return declared_attributes(*by_id[one.id])

        self.clock = SandboxClock(0.0, START)
        self.ledger = Ledger()
        self.chain = BareFleet(
            folder / "hosts",
            spec.hosts,
            clock=self.clock,
            throttling=throttling,
            attributes=attributes,
            tags=lambda one: host_tags(self.fleet_model.name, by_id[one.id][1]),
        )
        self.server = SandboxServer(self.chain.plane)
        self.env: dict[str, str] = {}
        self._typed = 0
        self._running: list[subprocess.Popen[str]] = []

    def open(self, rate: float) -> None:
        """Let every host register, have the first release run everywhere, and time pass."""
        self.chain.start()
        self._serve_first()
        self.clock.advance(90)
        self.clock.set_rate(rate)
        self.chain.schedule.start()
        self.ledger.watch(self.chain.plane)
        self.server.start()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FLEET_"))}
        self.env = {
            **kept,
            **environment(self.state, self.server.url),
            "HOME": str(self.folder),
            "PYTHONUNBUFFERED": "1",
            "COLUMNS": "120",
        }

    def close(self) -> None:
        """End everything, also what a test that failed left running."""
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.server.stop()
        self.chain.close()

    def release(self, version: str) -> None:
        """Let the inventory name another image for every workload."""
        for name in self.workloads:
            hardware = _WORKLOADS[name]
            text = _WORKLOAD.format(
                hardware=hardware,
                image=reference(name, version),
                architecture=_HARDWARE[hardware],
            )
            self._write(f"inventory/workloads/{name}.yaml", text)

    def ends(self) -> Counter[str]:
        """How the changes of the first rollout ended, by fleet's records."""
        with self.records() as records:
            return Counter(map(ending, records.rollouts.changes("ro-1")))

    def fleet(self, *words: str) -> Ran:
        """Type a command and wait for its end."""
        return self.start(*words).end()

    def start(self, *words: str) -> Started:
        """Type a command and leave it running."""
        process, said = self.spawn([*FLEET, *words])
        return Started(process, said)

    def spawn(self, command: list[str]) -> tuple[subprocess.Popen[str], Path]:
        """Run anything in this shell; it is killed at the end if it still runs."""
        self._typed += 1
        said = self.folder / f"stderr-{self._typed}"
        with said.open("w") as stderr:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self._running.append(process)
        return process, said

    @contextlib.contextmanager
    def records(self) -> Iterator[Records]:
        """fleet's own records, for what AWS cannot say."""
        with open_records(self.env.get("FLEET_DATABASE_URL"), self.folder / ".fleet") as opened:
            yield opened

    def running(self) -> dict[str, list[str]]:
        """Images that run on each host, by ``STORE/HOST``."""
        return {
            host.id: sorted(c.image for c in host.containers.all(running=True))
            for host in self.chain
        }

    def services(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Every service as AWS describes it, by cluster and name; tells nobody."""
        found = {}
        for host in self.chain:
            where = host.spec
            for name in self.workloads:
                answer = self.chain.call(
                    where,
                    "ecs",
                    "DescribeServices",
                    cluster=where.store,
                    services=[f"{name}-{_HARDWARE[_WORKLOADS[name]]}"],
                    include=["TAGS"],
                )
                for service in answer["services"]:
                    found[where.store, str(service["serviceName"])] = service
        return found

    def deployments(self) -> Counter[tuple[str, str]]:
        """How many deployments ECS has on record, by service and revision."""
        where = {host.spec.store: host.spec for host in self.chain}
        return Counter(
            (record["serviceArn"], record["targetServiceRevisionArn"])
            for cluster, service in self.services()
            for record in self.chain.call(
                where[cluster], "ecs", "ListServiceDeployments", cluster=cluster, service=service
            )["serviceDeployments"]
        )

    def _serve_first(self) -> None:
        """Services as an earlier rollout would have made them, in one step."""
        release = self._released(self.fleet_model)
        stores = {store.id: store for store in self.fleet_model.stores}
        arns: dict[tuple[str, str], str] = {}
        throttling, self.chain.plane.throttling = self.chain.plane.throttling, False
        for service in release.services:
            store = stores[service.store]
            key = store.region, service.content
            if key not in arns:
                body = release.task_definitions[service.content].body
                tags = [{"key": "fleet:content", "value": service.content}]
                made = self._call(store, "RegisterTaskDefinition", **body, tags=tags)
                arns[key] = str(made["taskDefinition"]["taskDefinitionArn"])
            self._call(
                store,
                "CreateService",
                **service_input(
                    release.shapes[service.service],
                    cluster=store.cluster,
                    task_definition=arns[key],
                    desired_count=1,
                ),
                tags=[
                    {"key": "fleet:fleet", "value": self.fleet_model.name},
                    {"key": "fleet:store", "value": store.id},
                    {"key": "fleet:content", "value": service.content},
                ],
            )
        self.chain.plane.throttling = throttling

    def _call(self, store: Store, action: str, **body: Any) -> dict[str, Any]:
        where = self.chain.hosts[store.hosts[0].id].spec
        return self.chain.call(where, "ecs", action, **body)

    @staticmethod
    def _released(fleet: Fleet) -> Release:
        return release_of(fleet, render_all(fleet), {})

    def _write_inventory(self, stores: int, policy: str) -> None:
        groups = "".join(f"  {name}: {{region: {name}}}\n" for name in self._regions)
        self._write(
            "inventory/fleet.yaml",
            _FLEET.format(regions=", ".join(self._regions), groups=groups, policy=policy),
        )
        boxes = {_WORKLOADS[name] for name in self.workloads}
        for name in boxes:
            self._write(f"inventory/hardware/{name}.yaml", f"architecture: {_HARDWARE[name]}\n")
        hosts = ";".join(f"{name}-1:{name}:{name}-1.{{id}}.example" for name in sorted(boxes))
        rows = ["id,name,groups,hosts"]
        for number in range(stores):
            id_ = f"store-{number:04d}"
            group = self._regions[number % len(self._regions)]
            rows.append(f"{id_},Shop {number},{group},{hosts.format(id=id_)}")
        self._write("inventory/stores/all.csv", "\n".join(rows) + "\n")
        self._write("templates/app.yaml.j2", _TEMPLATE)

    def _write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def wait_until(what: Callable[[], bool], why: str) -> None:
    """Look every few milliseconds until it is so."""
    deadline = time.monotonic() + HANGS_S
    while not what():
        assert time.monotonic() < deadline, f"it never was: {why}"
        time.sleep(0.01)
