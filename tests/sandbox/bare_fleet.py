"""A chain of shops in one process: a control plane and many hosts of which only the agents live.

There is no shell, no SSH and no HTTP: what a test of the engine or a measurement over a thousand
shops needs, at well under a millisecond for most of what happens. The agents are the very same as
in the sandbox; their settings and logs are files below a folder.

    chain = BareFleet(tmp_path, mixed_specs(1000), clock=SandboxClock(0.0, start))
    chain.start()                      # every host registered and connected
    chain.plane.call("ecs", "CreateService", {...}, account=..., region=...)
    chain.clock.advance(120)           # and what follows happens on the way
    chain.cut("store-0007")
    chain.close()

For HTTP put a ``SandboxServer`` before ``chain.plane`` and start ``chain.schedule``.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fleet.errors import SandboxError
from fleet.sandbox.agents import ecs, ssm
from fleet.sandbox.agents.images import Catalogue
from fleet.sandbox.agents.machine import Facts, write_whole
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.control_plane.engine import ControlPlane
from fleet.sandbox.control_plane.in_process import InProcessSession
from fleet.sandbox.control_plane.ssm_nodes import STANDARD_LIMIT, TIER
from fleet.sandbox.hosts.links import Links
from fleet.sandbox.hosts.simulated_host import SessionFor, SimulatedHost
from fleet.sandbox.schedule import Schedule
from fleet.sandbox.spec import AccountSpec, HostSpec

#: systemd's RestartSec of the agent, as in ``hosts.units``.
_RESTART_S = 10.0
#: A good agent is registered and connected so long after its start.
_SETTLED_AFTER_S = 10.0
_DOCKER = "24.0.7"

ValuesFor = Callable[[HostSpec], Mapping[str, str]]


def _no_shell(_script: str) -> tuple[int, str, str]:
    return 127, "", "the hosts of a chain have no shell"


class BareHost(SimulatedHost):
    """A host of which only agents, containers and link are simulated.

    Its state is in memory, because files would cost more than everything else together; what
    people write (ecs.config) and read (logs) are files.
    """

    def __init__(
        self,
        spec: HostSpec,
        folder: Path,
        *,
        clock: SandboxClock,
        schedule: Schedule,
        session_for: SessionFor,
        images: Catalogue,
        memory: dict[str, str] | None = None,
    ) -> None:
        """Take over what an earlier host of this id kept in ``memory``, by path."""
        self.answer: Callable[[str], tuple[int, str, str]] = _no_shell
        self.memory = {} if memory is None else memory
        self.catalogue = images
        super().__init__(
            spec, folder, clock=clock, schedule=schedule, session_for=session_for, images=images
        )

    def keep(self, absolute: str, text: str) -> None:
        """Keep it in memory."""
        self.memory[absolute] = text

    def kept(self, absolute: str) -> str | None:
        """Return what was kept."""
        return self.memory.get(absolute)

    def run_as_root(
        self,
        script: str,
        timeout_s: float,
        ended: Callable[[int, str, str], None],
    ) -> None:
        """Answer by ``answer``, because there is no shell."""
        status, out, err = self.answer(script)
        self.schedule.at(self.clock.now(), lambda: ended(status, out, err))

    def facts(self) -> Facts:
        """Return what its agents report; Docker always runs."""
        spec = self.spec
        release = spec.os_release
        platform = (release.get("NAME", "Ubuntu"), release.get("VERSION_ID", "22.04"))
        name = f"{spec.store}-{spec.name}"
        return Facts(name, spec.machine, platform, spec.cpus, spec.memory_mb, _DOCKER)

    def unit_ended(self, unit: str, exit_code: int) -> None:
        """Start it again after 10 s, as the deb's unit does for ever."""
        agent = self.ecs_agent if unit == ecs.UNIT else self.ssm_agent
        self.schedule.at(self.clock.now() + _RESTART_S, agent.start)

    def configure(
        self,
        cluster: str,
        attributes: Mapping[str, str],
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Write the agents' settings, as they are before the first start."""
        lines = {
            "ECS_CLUSTER": cluster,
            "AWS_DEFAULT_REGION": self.spec.region,
            "ECS_EXTERNAL": "true",
            "ECS_INSTANCE_ATTRIBUTES": json.dumps(dict(attributes)),
            "ECS_CONTAINER_INSTANCE_TAGS": json.dumps(dict(tags)),
        }
        text = "".join(f"{name}={value}\n" for name, value in lines.items())
        write_whole(self.path("/etc/ecs/ecs.config"), text)

    def set(self, **settings: str) -> None:
        """Change settings of its agent, as ``ECS_IMAGE_PULL_BEHAVIOR="once"``; it restarts."""
        path = self.path("/etc/ecs/ecs.config")
        added = "".join(f"{name}={value}\n" for name, value in settings.items())
        write_whole(path, path.read_text(encoding="utf-8") + added)
        self.ecs_agent.stop()
        self.ecs_agent.start()

    def reboot(self) -> None:
        """Power off and on: containers are down, agents start anew."""
        self.ecs_agent.stop()
        self.ssm_agent.stop()
        self.containers.power_off()
        self.ssm_agent.start()
        self.ecs_agent.start()


class BareFleet:
    """A control plane and its hosts.

    Args:
        folder: where the hosts' files go; a temporary one, on tmpfs for speed.
        specs: the hosts. More than 1,000 in a region of an account are of SSM's advanced tier.
        clock: the sandbox's time. At rate 0 everything happens in ``clock.advance``; otherwise
            start ``schedule`` or call its ``run_due``.
        throttling: whether AWS's request rates apply, from the end of ``start`` on.
        cluster: of a host; by default its store.
        attributes: custom ones of a host, at most ten.
        tags: of a host's managed node and container instance.
        cluster_tags: of a host's cluster.
        images_apart: whether each host has a catalogue of images of its own, ``host.catalogue``,
            so that an image can be bad in several ways at once; else all have ``images``.

    Attributes:
        plane: the control plane, whose ``call`` is AWS.
        schedule: everything that is going to happen.
        images: what container images are and do; ``images.tell({...})``.
        links: cuts, restores, slows, flaps by ``STORE`` or ``STORE/HOST``.
        hosts: by ``STORE/HOST``.
    """

    def __init__(
        self,
        folder: Path,
        specs: Sequence[HostSpec],
        *,
        clock: SandboxClock,
        throttling: bool = False,
        cluster: Callable[[HostSpec], str] = lambda spec: spec.store,
        attributes: ValuesFor = lambda _: {},
        tags: ValuesFor = lambda _: {},
        cluster_tags: ValuesFor = lambda _: {},
        images_apart: bool = False,
    ) -> None:
        self.clock = clock
        self.schedule = Schedule(clock)
        self._throttling = throttling
        self._cluster, self._attributes, self._tags = cluster, attributes, tags
        self._tags_of_clusters = cluster_tags
        accounts = sorted({spec.account_id for spec in specs})
        self.plane = ControlPlane(
            clock, [AccountSpec(account, f"account-{account}") for account in accounts]
        )
        self.plane.run_on(self.schedule)
        self.images = Catalogue()
        self.hosts = {
            spec.id: BareHost(
                spec,
                folder / spec.store / spec.name,
                clock=clock,
                schedule=self.schedule,
                session_for=lambda region: InProcessSession(self.plane, region),
                images=Catalogue() if images_apart else self.images,
            )
            for spec in specs
        }
        self.links: Links[BareHost] = Links(clock, self.schedule, self.hosts.values, lambda _: None)

    def start(self) -> None:
        """Create the clusters, register every host, and let 10 sandbox seconds pass.

        Raises:
            SandboxError: a host is not connected then.
        """
        self.plane.throttling = False
        self._make_room()
        clusters: set[tuple[str, str, str]] = set()
        for host in self:
            spec, name = host.spec, self._cluster(host.spec)
            if (spec.account_id, spec.region, name) not in clusters:
                clusters.add((spec.account_id, spec.region, name))
                self.call(
                    spec, "ecs", "CreateCluster", clusterName=name, tags=self._cluster_tags(spec)
                )
            host.configure(name, self._attributes(spec), self._tags(spec))
            self._register(host)
            host.ssm_agent.start()
            host.ecs_agent.start()
        self.clock.advance(_SETTLED_AFTER_S)
        self.plane.throttling = self._throttling
        if missing := [host.id for host in self if not host.ecs_agent.connected]:
            raise SandboxError(f"{len(missing)} hosts did not connect, as {missing[0]}")

    def call(self, where: HostSpec, service: str, action: str, /, **body: Any) -> dict[str, Any]:
        """Return an operator's call to AWS in the account and region of a host."""
        return self.plane.call(service, action, body, account=where.account_id, region=where.region)

    def cut(self, target: str) -> None:
        """Cut the link of a store or of one host."""
        self.links.cut(target)

    def restore(self, target: str) -> None:
        """Undo that."""
        self.links.restore(target)

    def stagger(self, seconds: float) -> None:
        """Start each SSM agent anew at a moment of its own within this time, which passes.

        Boxes boot when somebody plugs them in. Thousands of agents that start at once ping at once
        for ever after, and AWS's rates take the pings of a few hundred.
        """
        began = self.clock.now()
        for number, host in enumerate(self):
            when = began + seconds * number / len(self.hosts)
            self.schedule.at(when, partial(_start_anew, host))
        self.clock.advance(seconds)

    def doze(self, seconds: float) -> None:
        """Let a long time pass in which nobody looks, at no cost: no agent lives in it.

        At its end every agent starts, so that some minutes later AWS shows what it would have
        shown: hosts that are cut off were last heard when they were, the others just now.
        """
        for host in self:
            host.ssm_agent.stop()
            host.ecs_agent.stop()
        self.clock.advance(seconds)
        for host in self:
            host.ssm_agent.start()
            host.ecs_agent.start()

    def close(self) -> None:
        """End everything."""
        self.schedule.stop()
        for host in self:
            host.containers.halt()
        self.plane.close()

    def __iter__(self) -> Iterator[BareHost]:
        return iter(self.hosts.values())

    def _make_room(self) -> None:
        """Choose SSM's advanced tier where the standard one does not hold the hosts."""
        region_states = Counter((host.spec.account_id, host.spec.region) for host in self)
        for (account, region), hosts in region_states.items():
            if hosts > STANDARD_LIMIT:
                setting = {"SettingId": TIER, "SettingValue": "advanced"}
                self.plane.call(
                    "ssm", "UpdateServiceSetting", setting, account=account, region=region
                )

    def _cluster_tags(self, spec: HostSpec) -> list[dict[str, str]]:
        tags = self._tags_of_clusters(spec)
        return [{"key": key, "value": value} for key, value in tags.items()]

    def _register(self, host: BareHost) -> None:
        spec = host.spec
        made = self.call(
            spec,
            "ssm",
            "CreateActivation",
            IamRole="ecsAnywhereRole",
            DefaultInstanceName=spec.id,
            Tags=[{"Key": key, "Value": value} for key, value in self._tags(spec).items()],
        )
        ssm.register(
            host,
            activation_id=made["ActivationId"],
            activation_code=made["ActivationCode"],
            region=spec.region,
        )
        self.call(spec, "ssm", "DeleteActivation", ActivationId=made["ActivationId"])


def _start_anew(host: BareHost) -> None:
    host.ssm_agent.stop()
    host.ssm_agent.start()


def mixed_specs(
    stores: int,
    *,
    account: str = "111122223333",
    regions: Sequence[str] = ("eu-west-1", "eu-central-1"),
) -> list[HostSpec]:
    """Return ``store-0000`` and so on, with one or two hosts each.

    Every shop has an arm64 ``cam-1``, half of each region's an amd64 ``tel-1`` too; regions take
    turns, every fifth link is LTE. SSM takes 1,000 hosts a region, so two hold 1,332 such stores.
    """
    specs = []
    for number in range(stores):
        kind = "lte" if number % 5 == 4 else "fibre"
        names = [("cam-1", "aarch64", "orin"), ("tel-1", "x86_64", "nuc")]
        specs += [
            HostSpec(
                store=f"store-{number:04d}",
                name=name,
                address=f"{name}.store-{number:04d}.shops.example",
                user="fleet",
                account_id=account,
                region=regions[number % len(regions)],
                machine=machine,
                os_release={"ID": "ubuntu", "NAME": "Ubuntu", "VERSION_ID": "22.04"},
                link={"kind": kind},
                hardware=hardware,
            )
            for name, machine, hardware in names[: 2 - number // len(regions) % 2]
        ]
    return specs
