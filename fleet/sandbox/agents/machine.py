"""What an agent sees of the box it runs on; ``fleet.sandbox.hosts`` is the box."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from fleet.sandbox.agents.session import ControlPlaneSession


class Timer(Protocol):
    """A handle on something that will run."""

    def cancel(self) -> None:
        """Do not run it any more."""
        ...


class Schedule(Protocol):
    """When things happen; one for all agents, so that none needs a thread."""

    def at(self, when: float, run: Callable[[], None]) -> Timer:
        """Run once at ``when`` (epoch seconds of the sandbox)."""
        ...


class Clock(Protocol):
    """The sandbox's time."""

    @property
    def rate(self) -> float:
        """Sandbox seconds per real second; 0 when it moves by hand."""
        ...

    def now(self) -> float:
        """Epoch seconds."""
        ...

    def wait_until(self, moment: float, timeout: float | None = None) -> bool:
        """Wait for ``moment``; False when ``timeout`` real seconds pass first."""
        ...


class Machine(Protocol):
    """The box as its agents see it."""

    @property
    def id(self) -> str:
        """``store-042/cam-1``; seeds what is random about its agents."""
        ...

    @property
    def clock(self) -> Clock:
        """The sandbox's time."""
        ...

    @property
    def schedule(self) -> Schedule:
        """Where agents leave what they want to do later."""
        ...

    def path(self, absolute: str) -> Path:
        """Where a path of the box really is."""
        ...

    def keep(self, absolute: str, text: str) -> None:
        """Write a file of state whole."""
        ...

    def kept(self, absolute: str) -> str | None:
        """What such a file holds; None when there is none."""
        ...

    def session(self, region: str) -> ControlPlaneSession:
        """The way to AWS; its calls raise LinkDown while the link is cut."""
        ...

    def facts(self) -> "MachineFacts":
        """What the agents report about it."""
        ...

    def unit_ended(self, unit: str, exit_code: int) -> None:
        """A service's main process ended by itself; the unit's rules say what follows."""
        ...

    def run_as_root(
        self, script: str, timeout_s: float, ended: Callable[[int, str, str], None]
    ) -> None:
        """Run a script; ``ended(status, out, err)`` follows from the schedule's thread."""
        ...


class SimulatedHost(Machine, Protocol):
    """What containers use of the box, beside what agents do."""

    @property
    def words(self) -> frozenset[str]:
        """Its architecture, hardware, store and id, for ``ImageBehaviour.on``."""
        ...

    def speed_mbps(self, name: str) -> float:
        """Mbit/s towards a host name; 0 when nothing gets through."""
        ...

    def disk_free_mb(self) -> float:
        """MB that a new image may take."""
        ...

    def cut_itself_off(self, *, cut: bool) -> None:
        """What runs on it breaks its own link, or no longer does."""
        ...


class MachineFacts(Protocol):
    """What agents report about the box."""

    @property
    def hostname(self) -> str:
        """Its own name."""
        ...

    @property
    def machine(self) -> str:
        """As ``uname -m`` prints it."""
        ...

    @property
    def platform(self) -> tuple[str, str]:
        """NAME and VERSION_ID of /etc/os-release."""
        ...

    @property
    def cpus(self) -> int:
        """Count."""
        ...

    @property
    def memory_mb(self) -> int:
        """Total, in MiB."""
        ...

    @property
    def docker_version(self) -> str:
        """Of the running engine; "" when it does not answer."""
        ...


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file at once, so that a killed sandbox leaves the old or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


def append_log(machine: Machine, log: str, text: str) -> None:
    """Add a line to a log of the box, stamped with the sandbox's time."""
    path = machine.path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{machine.clock.now():.3f} {text}\n")


def text_of(value: Any) -> str:
    """A JSON value as text; "" when it is not text."""
    return value if isinstance(value, str) else ""
