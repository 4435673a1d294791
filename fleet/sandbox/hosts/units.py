"""systemd units of a simulated host, for three services; the state is files on the host."""

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from fleet.sandbox.agents.machine import Machine, write_whole

UNIT_FOLDER = "/usr/lib/systemd/system"
WANTS_FOLDER = "/etc/systemd/system/multi-user.target.wants"
STATE = "/var/lib/systemd/sandbox-units.json"
#: RestartSec of the agents' units (ecs-anywhere.md §1.6).
RESTART_S = 10.0


class UnitNotFound(Exception):
    """There is no such unit on this host."""


@dataclass(frozen=True, slots=True)
class SystemdService:
    """What a unit does.

    Attributes:
        start: begins it; returns 0, or the exit code with which it failed at once.
        stop: ends it.
        requires: units that are started before it, and whose stop or restart takes it along.
        in_memory: whether it lives in the sandbox's process, and so has to be begun again when
            the sandbox comes back; the others are files only.
    """

    start: Callable[[], int]
    stop: Callable[[], None]
    requires: tuple[str, ...] = ()
    in_memory: bool = True


@dataclass(slots=True)
class UnitState:
    """What ``systemctl show`` says of a unit."""

    active: str = "inactive"
    exit_code: int = 0
    restarts: int = 0


class Units:
    """The units of one host. Thread-safe; the lock is never held while a timer waits."""

    def __init__(self, machine: Machine, services: dict[str, SystemdService]) -> None:
        self._machine = machine
        self._services = services
        self._lock = threading.RLock()
        self._states = self._load()

    @staticmethod
    def plain(name: str) -> str:
        """Return the name without ``.service``."""
        return name.removesuffix(".service")

    def installed(self, name: str) -> bool:
        """Say whether the unit's file is there."""
        return self._machine.path(f"{UNIT_FOLDER}/{self.plain(name)}.service").is_file()

    def enabled(self, name: str) -> bool:
        """Say whether it starts at boot."""
        return self._wants(name).is_symlink()

    def state(self, name: str) -> UnitState:
        """Return how it is; an unknown unit is inactive."""
        return self._states.get(self.plain(name), UnitState())

    def active(self, name: str) -> bool:
        """Say whether it runs."""
        return self.state(name).active == "active"

    def install(self, name: str, *, description: str) -> None:
        """Put the unit's file there, as its package does."""
        text = f"[Unit]\nDescription={description}\n\n[Install]\nWantedBy=multi-user.target\n"
        path = self._machine.path(f"{UNIT_FOLDER}/{name}.service")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def enable(self, name: str) -> None:
        """Start it at boot from now on."""
        self._require(name)
        link = self._wants(name)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(f"{UNIT_FOLDER}/{self.plain(name)}.service")

    def disable(self, name: str) -> None:
        """Do not start it at boot any more."""
        self._require(name)
        self._wants(name).unlink(missing_ok=True)

    def start(self, name: str) -> int:
        """Start it and what it requires; returns 0 or the exit code of what failed."""
        self._require(name)
        name = self.plain(name)
        with self._lock:
            if self.active(name):
                return 0
            service = self._services.get(name)
            for needed in service.requires if service else ():
                if not self.installed(needed) or self.start(needed):
                    return self._set(name, "inactive", 1)
            # Written down before it acts: a sandbox killed in between resumes it.
            self._set(name, "active", 0)
            code = service.start() if service else 0
            return self._set(name, "failed", code) if code else 0

    def stop(self, name: str) -> None:
        """Stop it, and first what requires it."""
        self._require(name)
        name = self.plain(name)
        with self._lock:
            for other in self._dependants(name):
                self.stop(other)
            service = self._services.get(name)
            if service and self.state(name).active != "inactive":
                service.stop()
            self._set(name, "inactive", 0)

    def restart(self, name: str) -> int:
        """Stop and start it, and what requires it if that was running."""
        self._require(name)
        name = self.plain(name)
        with self._lock:
            others = [other for other in self._dependants(name) if self.active(other)]
            self.stop(name)
            code = self.start(name)
            return code or max([self.start(other) for other in others], default=0)

    def ended(self, name: str, code: int) -> None:
        """Note that its main process exited by itself: it is started again after 10 s."""
        with self._lock:
            if self.state(name).active != "active":
                return
            self._set(name, "activating", code)
            restarts = self._states[name].restarts = self.state(name).restarts + 1
        clock = self._machine.clock
        self._machine.schedule.at(clock.now() + RESTART_S, lambda: self._again(name, restarts))

    def resume(self) -> None:
        """Start what was running when the sandbox ended."""
        for name, service in self._services.items():
            if not service.in_memory or not self.installed(name):
                continue
            if self.state(name).active in {"active", "activating"}:
                self._set(name, "active", 0)
                if code := service.start():
                    self._set(name, "failed", code)

    def halt(self) -> None:
        """Stop acting without writing anything down: the sandbox goes away, the host does not."""
        for name, service in self._services.items():
            if service.in_memory and self.active(name):
                service.stop()

    def reboot(self) -> None:
        """Power off and on: only what is enabled comes back."""
        with self._lock:
            for name, service in self._services.items():
                if self.active(name):
                    service.stop()
            self._states = {}
            self._save()
            for name in self._services:
                if self.installed(name) and self.enabled(name):
                    self.start(name)

    def _again(self, name: str, restarts: int) -> None:
        with self._lock:
            state = self.state(name)
            if state.active == "activating" and state.restarts == restarts:
                self.start(name)

    def _dependants(self, name: str) -> list[str]:
        return [
            other
            for other, service in self._services.items()
            if name in service.requires and self.state(other).active != "inactive"
        ]

    def _wants(self, name: str) -> Path:
        return self._machine.path(f"{WANTS_FOLDER}/{self.plain(name)}.service")

    def _require(self, name: str) -> None:
        if not self.installed(name):
            raise UnitNotFound(f"Unit {self.plain(name)}.service not found.")

    def _set(self, name: str, active: str, code: int) -> int:
        state = self._states.setdefault(name, UnitState())
        if active == "inactive":
            state.restarts = 0
        state.active, state.exit_code = active, code
        self._save()
        return code

    def _save(self) -> None:
        content = {name: asdict(state) for name, state in self._states.items()}
        write_whole(self._machine.path(STATE), json.dumps(content))

    def _load(self) -> dict[str, UnitState]:
        try:
            content = json.loads(self._machine.path(STATE).read_text(encoding="utf-8"))
            return {name: UnitState(**state) for name, state in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
