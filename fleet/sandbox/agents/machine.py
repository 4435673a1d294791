"""The view that agents and containers have of their host."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fleet.sandbox.agents.session import ControlPlaneSession
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Facts:
    """What agents report about the host.

    Attributes:
        machine: as ``uname -m`` prints it.
        platform: NAME and VERSION_ID of /etc/os-release.
        cpus: count.
        memory_mb: total, in MiB.
        docker_version: of the running engine; "" when it does not answer.
    """

    hostname: str
    machine: str
    platform: tuple[str, str]
    cpus: int
    memory_mb: int
    docker_version: str


class Machine(Protocol):
    """The host as its agents and containers see it.

    Attributes:
        clock: the sandbox's time.
        schedule: where agents leave what they want to do later; none has a thread.
    """

    clock: SandboxClock
    schedule: Schedule

    @property
    def id(self) -> str:
        """Return ``store-042/cam-1``; it seeds what is random about its agents."""
        ...

    @property
    def words(self) -> frozenset[str]:
        """Return its architecture, hardware, store and id, for ``ImageBehaviour.on``."""
        ...

    def path(self, absolute: str) -> Path:
        """Return where a path of the host really is."""
        ...

    def keep(self, absolute: str, text: str) -> None:
        """Write a file of state whole."""
        ...

    def kept(self, absolute: str) -> str | None:
        """Return what such a file holds; None when there is none."""
        ...

    def session(self, region: str) -> ControlPlaneSession:
        """Return the way to AWS; its calls raise LinkDown while the link is cut."""
        ...

    def facts(self) -> Facts:
        """Return what the agents report about it."""
        ...

    def unit_ended(self, unit: str, exit_code: int) -> None:
        """Note that a service's main process ended by itself; the unit's rules say what follows."""
        ...

    def run_as_root(
        self, script: str, timeout_s: float, ended: Callable[[int, str, str], None]
    ) -> None:
        """Run a script; ``ended(status, out, err)`` follows from the schedule's thread."""
        ...

    def speed_mbps(self, name: str) -> float:
        """Return Mbit/s towards a host name; 0 when nothing gets through."""
        ...

    def disk_free_mb(self) -> float:
        """Return the MB that a new image may take."""
        ...

    def cut_itself_off(self, *, cut: bool) -> None:
        """Let what runs on it break its own link, or no longer."""
        ...


class Steps:
    """What an agent does later, unless it was stopped or started anew by then.

    Attributes:
        life: goes up whenever the agent starts or stops; what belongs to an earlier one is over.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.life = 0

    def renew(self) -> None:
        """End what was planned before."""
        self.life += 1

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        """Plan a step of the present life."""
        life = self.life

        def run() -> None:
            if life == self.life:
                step()

        self._machine.schedule.at(self._machine.clock.now() + max(0.0, seconds), run)


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file at once, so that a killed sandbox leaves the old or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


def append_log(machine: Machine, log: str, text: str) -> None:
    """Add a line to a log of the host, stamped with the sandbox's time."""
    path = machine.path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{machine.clock.now():.3f} {text}\n")


def text_of(value: Any) -> str:
    """Return a JSON value as text; "" when it is not text."""
    return value if isinstance(value, str) else ""
