"""Shops of a town, healthy from the start, and the nightly scan of them in this process.

AWS is the sandbox's control plane, asked over HTTP as always; the shops' agents are its own,
without shells. Time stands still but for who waits for it. Whoever wants something to be wrong
does it to AWS, to a host or to what is committed, never to fleet's values.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fleet.cli.sandbox import sandbox_spec
from fleet.inventory.loader import load_fleet
from fleet.model.desired import Release
from fleet.model.identity import cluster_tags, declared_attributes, host_tags
from fleet.model.inventory import Fleet
from fleet.release.decide.desired import release_of
from fleet.release.decide.service_input import service_input
from fleet.release.templates import render_all
from fleet.sandbox.agents import ssm
from fleet.sandbox.agents.registration import STATE
from fleet.sandbox.client import environment
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.control_plane.in_process import InProcessSession
from fleet.sandbox.daemon import write_aws_files
from fleet.sandbox.server import SandboxServer
from fleet.sandbox.spec import (
    HostSpec,
    StateDir,
)
from tests.sandbox.bare_fleet import BareFleet, BareHost
from tests.scenarios.chains import reference

#: 02:00 UTC on a Tuesday.
START = 1_795_485_600.0
ACCOUNTS = {"one": "111122223333", "two": "444455556666"}
REGIONS = ("eu-west-1", "eu-central-1")
HARDWARE = {"cam": "arm64", "tel": "amd64"}
#: Workload -> hardware that it runs on, MiB that it takes.
WORKLOADS = {"vision": ("cam", 512), "counting": ("cam", 256), "telemetry": ("tel", 256)}
HOUR = 3600.0
NIGHT = 24 * HOUR
#: After it the first tasks of services run, and their deployments are complete.
SETTLED_S = 90.0
_FLEET = """\
name: town
accounts:
{accounts}
defaults:
  time_zone: Europe/London
  hours: {{daily: "08:00-20:00"}}
  link: {{kind: fibre}}
  ssh: {{user: fleet}}
groups:
{groups}
{more}policies:
  swift:  # the boxes have no shells to be asked for restarts
    {{window: always, settle: 20s, bake: 30s, concurrency: 100%, waves: [100%], deadline: 30m,
      restart_source: "off"}}
"""
_WORKLOAD = """\
template: {name}.yaml.j2
policy: swift
where: {{hardware: {hardware}}}
images:
  app: {{image: "{image}", platforms: [linux/{architecture}]}}
"""
_TEMPLATE = """\
requiresCompatibilities: [EXTERNAL]
networkMode: bridge
containerDefinitions:
  - {{name: app, image: {{{{ images.app }}}}, essential: true, memory: {memory}{more}}}
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the town is like.

    Attributes:
        stores: how many.
        hosts: name to hardware, of every one of them.
        accounts: how many of ``ACCOUNTS``; stores take turns.
        regions: how many of ``REGIONS``, likewise.
        workloads: of ``WORKLOADS``.
    """

    stores: int = 3
    hosts: Mapping[str, str] = field(default_factory=lambda: {"cam-1": "cam", "tel-1": "tel"})
    accounts: int = 1
    regions: int = 1
    workloads: tuple[str, ...] = tuple(WORKLOADS)


def store_id(number: int) -> str:
    return f"store-{number:05d}"


class Town:
    """The shops, AWS, fleet's records, and the clock that they share."""

    def __init__(self, folder: Path, plan: Plan | None = None, *, throttling: bool = False) -> None:
        self.folder = folder
        self.plan = plan or Plan()
        self._write_inventory()
        self.commit("1")
        self.fleet: Fleet = load_fleet(folder / "inventory")
        self._boxes: list[BareHost] = []
        #: Scan, and roll a workload out: there once somebody has opened scans of it.
        self.look: Callable[[], object] = _nobody
        self.roll_out: Callable[..., object] = _nobody
        self.stop: Callable[[str], object] = _nobody
        self.clock = SandboxClock(0.0, START - SETTLED_S - HOUR)
        spec = sandbox_spec(self.fleet, rate=0, throttling=throttling)
        self.state = StateDir(folder / "sandbox")
        self.state.path.mkdir()
        self.state.ssh_config.touch()
        write_aws_files(self.state, spec)
        by_id = {host.id: (s, host) for s in self.fleet.stores for host in s.hosts}
        self.chain = BareFleet(
            folder / "hosts",
            spec.hosts,
            clock=self.clock,
            throttling=throttling,
            attributes=lambda one: declared_attributes(*by_id[one.id]),
            tags=lambda one: host_tags(self.fleet.name, by_id[one.id][1]),
            cluster_tags=lambda one: cluster_tags(self.fleet.name, by_id[one.id][0]),
            images_apart=True,
        )
        self.server = SandboxServer(self.chain.plane)
        self.first: dict[tuple[str, str, str], str] = {}

    def open(self) -> None:
        """Let every host register, have the first release run everywhere, and an hour pass."""
        self.settle()
        self.clock.advance(HOUR)
        self.server.start()

    def settle(self) -> None:
        """Let every host register, and have the first release run everywhere."""
        self.chain.start()
        for host in self.chain:
            host.answer = partial(probe_answer, host)
        self.serve_first()
        self.clock.advance(SETTLED_S)

    def environment(self) -> dict[str, str]:
        """What a process needs to take this for AWS."""
        return environment(self.state, self.server.url)

    def close(self) -> None:
        self.server.stop()
        self.chain.close()
        for box in self._boxes:
            box.containers.halt()

    # What people commit.

    def commit(self, version: str, *workloads: str) -> None:
        """Let the inventory name another image for these workloads; for all without any."""
        for name in workloads or self.plan.workloads:
            hardware, _memory = WORKLOADS[name]
            self.write(
                f"inventory/workloads/{name}.yaml",
                _WORKLOAD.format(
                    name=name,
                    hardware=hardware,
                    image=reference(name, version),
                    architecture=HARDWARE[hardware],
                ),
            )

    def load(self) -> None:
        """Take what is committed now."""
        self.fleet = load_fleet(self.folder / "inventory")

    def drift(self, words: str) -> None:
        """Commit what the inventory says of drift, as ``clusters: 3``."""
        self._more = f"drift: {{{words}}}\n"
        self._write_fleet()
        self.load()

    def stores(self, **columns: Callable[[int], str]) -> None:
        """Commit more columns of the stores, by their number."""
        self._write_stores(columns)
        self.load()

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def template(self, workload: str, more: str = "") -> None:
        """What a workload's template says; ``more`` is of its container."""
        memory = WORKLOADS[workload][1]
        self.write(f"templates/{workload}.yaml.j2", _TEMPLATE.format(memory=memory, more=more))

    def release(self) -> Release:
        return release_of(self.fleet, render_all(self.fleet), {})

    # Who is there.

    def host(self, name: str = "cam-1", number: int = 0) -> BareHost:
        return self.chain.hosts[f"{store_id(number)}/{name}"]

    def spec(self, number: int = 0) -> HostSpec:
        name = next(iter(self.plan.hosts))
        return self.host(name, number).spec

    def register(self, host: BareHost, name: str, tags: Mapping[str, str], cluster: str) -> None:
        """Let a box be set up anew, registered as one of this name, and its agents started.

        With no cluster its ECS agent stays off.
        """
        host.ssm_agent.stop()
        host.ecs_agent.stop()
        host.memory.pop(STATE, None)
        host.containers.power_off()
        for container in host.containers.all():
            host.containers.remove(container.id)
        made = self.chain.call(
            host.spec,
            "ssm",
            "CreateActivation",
            IamRole="ecsAnywhereRole",
            DefaultInstanceName=name,
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
        ssm.register(
            host,
            activation_id=made["ActivationId"],
            activation_code=made["ActivationCode"],
            region=host.spec.region,
        )
        self.chain.call(host.spec, "ssm", "DeleteActivation", ActivationId=made["ActivationId"])
        host.ssm_agent.start()
        if cluster:
            host.configure(cluster, self.attributes(host.spec), tags)
            host.ecs_agent.start()

    def box(self, store: str, name: str, number: int = 0) -> BareHost:
        """One more box, which the inventory does not know, in the account of a store."""
        spec = replace(self.spec(number), store=store, name=name)
        made = BareHost(
            spec,
            self.folder / "boxes" / str(len(self._boxes)),
            clock=self.clock,
            schedule=self.chain.schedule,
            session_for=lambda region: InProcessSession(self.chain.plane, region),
            images=self.chain.images,
        )
        made.answer = partial(probe_answer, made)
        self._boxes.append(made)
        return made

    def attributes(self, spec: HostSpec) -> dict[str, str]:
        """Those that a host of the inventory declares; none for any other box."""
        known = {host.id: (s, host) for s in self.fleet.stores for host in s.hosts}
        return declared_attributes(*known[spec.id]) if spec.id in known else {}

    def tags(self, name: str, number: int = 0) -> dict[str, str]:
        """Tags of a host's node."""
        (host,) = [
            h
            for s in self.fleet.stores
            if s.id == store_id(number)
            for h in s.hosts
            if h.name == name
        ]
        return host_tags(self.fleet.name, host)

    # What AWS is asked by somebody who is not fleet.

    def ecs(self, action: str, number: int = 0, /, **body: Any) -> dict[str, Any]:
        """In the cluster of a store, where the call has one."""
        return self.chain.call(self.spec(number), "ecs", action, **body)

    def ssm(self, action: str, number: int = 0, /, **body: Any) -> dict[str, Any]:
        return self.chain.call(self.spec(number), "ssm", action, **body)

    def node(self, name: str = "cam-1", number: int = 0) -> str:
        """The ``mi-`` id of a host: the newest one of its name."""
        wanted = f"{store_id(number)}/{name}"
        found: list[tuple[float, str]] = []
        body: dict[str, Any] = {"MaxResults": 50}
        while True:
            answer = self.ssm("DescribeInstanceInformation", number, **body)
            found += [
                (node["RegistrationDate"], str(node["InstanceId"]))
                for node in answer["InstanceInformationList"]
                if node["Name"] == wanted
            ]
            if "NextToken" not in answer:
                return max(found)[1]
            body["NextToken"] = answer["NextToken"]

    def instance(self, name: str = "cam-1", number: int = 0) -> str:
        """ARN of a host's container instance, as its agent knows it."""
        metadata = self.host(name, number).ecs_agent.metadata()
        assert metadata is not None
        return metadata["ContainerInstanceArn"]

    def service(self, workload: str = "vision") -> str:
        return f"{workload}-{HARDWARE[WORKLOADS[workload][0]]}"

    def tasks(self, workload: str = "vision", number: int = 0) -> list[str]:
        listed = self.ecs(
            "ListTasks", number, cluster=store_id(number), serviceName=self.service(workload)
        )
        return list(listed["taskArns"])

    def pass_by(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def serve_first(self) -> None:
        """Services as a rollout would have made them, in one step."""
        release = self.release()
        stores = {store.id: store for store in self.fleet.stores}
        throttling, self.chain.plane.throttling = self.chain.plane.throttling, False
        for one in release.services:
            store = stores[one.store]
            where = self.chain.hosts[store.hosts[0].id].spec
            key = where.account_id, where.region, one.content
            if key not in self.first:
                made = self.chain.call(
                    where,
                    "ecs",
                    "RegisterTaskDefinition",
                    **release.task_definitions[one.content].body,
                    tags=_tags({"fleet:fleet": self.fleet.name, "fleet:content": one.content}),
                )
                self.first[key] = str(made["taskDefinition"]["taskDefinitionArn"])
            request = service_input(
                release.shapes[one.service],
                cluster=store.cluster,
                task_definition=self.first[key],
                desired_count=len(one.hosts),
            )
            tags = {
                "fleet:fleet": self.fleet.name,
                "fleet:store": store.id,
                "fleet:workload": release.shapes[one.service].workload,
                "fleet:content": one.content,
            }
            self.chain.call(where, "ecs", "CreateService", **request, tags=_tags(tags))
        self.chain.plane.throttling = throttling

    def _write_inventory(self) -> None:
        self._more = ""
        self._write_fleet()
        for name in dict.fromkeys(self.plan.hosts.values()):
            self.write(f"inventory/hardware/{name}.yaml", f"architecture: {HARDWARE[name]}\n")
        self._write_stores({})
        for name in self.plan.workloads:
            self.template(name)

    def _places(self) -> list[tuple[str, str]]:
        names = list(ACCOUNTS)[: self.plan.accounts]
        return [(account, region) for account in names for region in REGIONS[: self.plan.regions]]

    def _write_fleet(self) -> None:
        names, regions = list(ACCOUNTS)[: self.plan.accounts], REGIONS[: self.plan.regions]
        accounts = "".join(
            f'  {name}: {{account_id: "{ACCOUNTS[name]}", regions: [{", ".join(regions)}], '
            f"profile: {name}}}\n"
            for name in names
        )
        groups = "".join(
            f"  place-{number}: {{account: {account}, region: {region}}}\n"
            for number, (account, region) in enumerate(self._places())
        )
        text = _FLEET.format(accounts=accounts, groups=groups, more=self._more)
        self.write("inventory/fleet.yaml", text)

    def _write_stores(self, columns: Mapping[str, Callable[[int], str]]) -> None:
        places = len(self._places())
        hosts = ";".join(f"{n}:{kind}:{n}.{{id}}.example" for n, kind in self.plan.hosts.items())
        rows = [",".join(("id", "name", "groups", "hosts", *columns))]
        for number in range(self.plan.stores):
            id_ = store_id(number)
            more = "".join(f",{of(number)}" for of in columns.values())
            group = f"place-{number % places}"
            rows.append(f"{id_},Shop {number},{group},{hosts.format(id=id_)}{more}")
        self.write("inventory/stores/all.csv", "\n".join(rows) + "\n")


def probe_answer(host: BareHost, _script: str) -> tuple[int, str, str]:
    """What a shop's box would print of itself when it is asked: it has no shell here."""
    kilobytes = 1024
    lines = [
        "fleet-probe 1",
        f"time {host.now():.9f}",
        f"disk {host.disk_free_mb() * kilobytes:.0f} {host.spec.disk_total_mb * kilobytes}",
        f"temperature {host.conditions.temperature_c * 1000:.0f}",
        f"machine {hashlib.sha256(host.id.encode()).hexdigest()[:32]}",
    ]
    for one in host.containers.all(running=True):
        cached = host.containers.images.cached(one.image)
        digest = cached.digest if cached else ""
        task = one.labels["com.amazonaws.ecs.task-arn"]
        name = one.labels["com.amazonaws.ecs.container-name"]
        words = (digest, _written(one.started_at), task, name, f"/{one.name}", one.image)
        made = (_written(one.created_at), _written(one.finished_at), _family(one.labels))
        lines += [f"c {'|'.join((*words, *made))}"]
        lines += [f"i {digest}|{one.image.partition('@')[0]}@{digest} "]
        ends = [died.exit_code for died in host.containers.died() if died.name == one.name]
        lines += [f"e /{one.name}|{len(ends)}|{ends[-1]}"] if ends else []
    lines += ["docker ok", "end"]
    return 0, "".join(f"{line}\n" for line in lines), ""


def _written(moment: float | None) -> str:
    """A time as docker writes it, also that there is none."""
    if moment is None:
        return "0001-01-01T00:00:00Z"
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S}.000000000Z"


def _family(labels: Mapping[str, str]) -> str:
    prefix = "com.amazonaws.ecs.task-definition"
    return f"{labels[f'{prefix}-family']}:{labels[f'{prefix}-version']}"


def _nobody(*_: object, **__: object) -> object:
    pytest.fail("nobody scans this town yet")


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
