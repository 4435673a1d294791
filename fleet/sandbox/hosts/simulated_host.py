"""The base of simulated hosts, with or without a shell: folder, link, containers, agents."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fleet.sandbox.agents.containers import Containers
from fleet.sandbox.agents.ecs import EcsAgent
from fleet.sandbox.agents.images import ARCHITECTURES, Catalogue
from fleet.sandbox.agents.machine import Facts, write_whole
from fleet.sandbox.agents.session import (
    AcsChannel,
    ConnectRequest,
    ControlPlaneSession,
    Deliver,
    DeliverCommand,
    LinkDown,
    RoleToken,
)
from fleet.sandbox.agents.ssm import SsmAgent
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.hosts.conditions import Conditions
from fleet.sandbox.schedule import Schedule
from fleet.sandbox.spec import HostSpec

SessionFor = Callable[[str], ControlPlaneSession]
#: Mbit/s down of a kind of link that says nothing itself (simulator's figures).
BANDWIDTH_MBPS = {"fibre": 100.0, "lte": 10.0}
OTHER_MBPS = 50.0
#: First label of a service's host name, where it is not the service's own name.
_ENDPOINTS = {"tacs": "ecs-t-1"}


class SimulatedHost(ABC):
    """A host as its agents and containers need it; who derives says what it reports and is.

    Args:
        spec: what it is like.
        folder: its own; the root is ``folder/root``, conditions and keys lie beside it.
        clock: the sandbox's time.
        schedule: where its agents leave their timers.
        session_for: the way to AWS in a region.
        images: what container images are and do.
    """

    def __init__(
        self,
        spec: HostSpec,
        folder: Path,
        *,
        clock: SandboxClock,
        schedule: Schedule,
        session_for: SessionFor,
        images: Catalogue | None = None,
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.root = folder / "root"
        self.clock = clock
        self.schedule = schedule
        self._session_for = session_for
        self.conditions = Conditions.load(folder / "conditions.json")
        #: Called when what runs on the host has cut its own link, or no longer does.
        self.on_own_cut: Callable[[], None] = _nothing
        self.containers = Containers(self, Catalogue() if images is None else images)
        self.ssm_agent = SsmAgent(self)
        self.ecs_agent = EcsAgent(self, self.containers)

    @property
    def id(self) -> str:
        """Return ``store-042/cam-1``."""
        return self.spec.id

    @property
    def words(self) -> frozenset[str]:
        """Return what an image's ``on`` may call it."""
        spec = self.spec
        architecture = ARCHITECTURES.get(spec.machine, spec.machine)
        words = {spec.machine, architecture, spec.hardware, spec.store, spec.id}
        return frozenset(words - {""})

    @abstractmethod
    def facts(self) -> Facts:
        """Return what its agents report."""

    @abstractmethod
    def unit_ended(self, unit: str, exit_code: int) -> None:
        """Note that a service's main process ended by itself."""

    @abstractmethod
    def run_as_root(
        self, script: str, timeout_s: float, ended: Callable[[int, str, str], None]
    ) -> None:
        """Run a script; ``ended(status, out, err)`` follows from the schedule's thread."""

    def path(self, absolute: str) -> Path:
        """Return where a path of the host really is."""
        return self.root / absolute.lstrip("/")

    def keep(self, absolute: str, text: str) -> None:
        """Write a file of state, whole or not at all."""
        write_whole(self.path(absolute), text)

    def kept(self, absolute: str) -> str | None:
        """Return what such a file holds; None when there is none that can be read."""
        try:
            return self.path(absolute).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None

    def session(self, region: str) -> ControlPlaneSession:
        """Return the way to AWS, over this host's link."""
        return LinkedSession(self._session_for(region), self.conditions, region)

    def now(self) -> float:
        """Return what its own clock says, epoch seconds."""
        return self.clock.now() + self.conditions.clock_offset_s

    def speed_mbps(self, name: str) -> float:
        """Return Mbit/s towards a host name; 0 while the link is cut or a firewall drops it."""
        if self.conditions.blocks(name):
            return 0.0
        link, slow = self.spec.link, self.conditions.slow_to_mbps
        usual = BANDWIDTH_MBPS.get(str(link.get("kind", "")), OTHER_MBPS)
        own = float(link.get("bandwidth_mbps") or usual)
        return own if slow is None else min(own, slow)

    def disk_free_mb(self) -> float:
        """Return MB free on /: what the condition says, or what the images have left of it."""
        if self.conditions.disk_free_mb is not None:
            return float(self.conditions.disk_free_mb)
        return max(0.0, self.spec.disk_free_mb - self.containers.images.size_mb())

    def cut_itself_off(self, *, cut: bool) -> None:
        """Cut or restore its link because of what runs on it; it takes effect a moment later."""

        def change() -> None:
            reasons = set(self.conditions.cut_by) - {"image"} | ({"image"} if cut else set())
            self.set_conditions({"cut_by": sorted(reasons)})
            self.on_own_cut()

        if ("image" in self.conditions.cut_by) != cut:
            self.schedule.at(self.clock.now(), change)

    def set_conditions(self, settings: dict[str, Any]) -> None:
        """Set conditions by name and keep them."""
        self.conditions.set_conditions(settings)
        self.conditions.save(self.folder / "conditions.json")
        self.containers.images.link_changed()


def _nothing() -> None:
    return


class LinkedSession:
    """A ControlPlaneSession whose calls fail while the link is cut or the endpoint is blocked."""

    def __init__(self, inner: ControlPlaneSession, conditions: Conditions, region: str) -> None:
        self._inner = inner
        self._conditions = conditions
        self._region = region

    def call(
        self, service: str, action: str, body: Mapping[str, Any], token: RoleToken | None
    ) -> dict[str, Any]:
        """Make one call."""
        self._need("ssmmessages" if action == "UpdateCommand" else _ENDPOINTS.get(service, service))
        return self._inner.call(service, action, body, token)

    def open_commands(self, token: RoleToken, deliver: DeliverCommand) -> None:
        """Say where commands are taken; what is sent while the link is cut does not arrive."""
        self._need("ssmmessages")

        def arrive(message: Mapping[str, Any]) -> None:
            self._need("ssmmessages")
            deliver(message)

        self._inner.open_commands(token, arrive)

    def connect(self, token: RoleToken, request: ConnectRequest, deliver: Deliver) -> AcsChannel:
        """Open the ACS session; what AWS sends while the link is cut is lost."""
        self._need("ecs-a-1")

        def arrive(message_type: str, message: Mapping[str, Any]) -> None:
            if not self._conditions.blocks(self._name("ecs-a-1")):
                deliver(message_type, message)

        channel = self._inner.connect(token, request, arrive)
        return _LinkedChannel(channel, lambda: self._need("ecs-a-1"))

    def _name(self, endpoint: str) -> str:
        return f"{endpoint}.{self._region}.amazonaws.com"

    def _need(self, endpoint: str) -> None:
        name = self._name(endpoint)
        if self._conditions.blocks(name):
            raise LinkDown(f"no answer from {name}")


class _LinkedChannel:
    """An AcsChannel whose answers, and whose closing, need the link."""

    def __init__(self, inner: AcsChannel, need: Callable[[], None]) -> None:
        self._inner = inner
        self._need = need

    def send(self, message_type: str, message: Mapping[str, Any]) -> None:
        self._need()
        self._inner.send(message_type, message)

    def close(self) -> None:
        self._need()
        self._inner.close()
