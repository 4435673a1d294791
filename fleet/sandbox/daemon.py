"""The sandbox as a process: control plane, HTTP server and hosts in one state folder."""

import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from fleet.errors import SandboxError, UsageError
from fleet.sandbox.agents.machine import write_whole
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.control_plane.database import persisted_time
from fleet.sandbox.control_plane.engine import ControlPlane, access_key_for
from fleet.sandbox.control_plane.in_process import InProcessSession
from fleet.sandbox.hosts.packages import INSTALLER_OBJECT, installer_bytes
from fleet.sandbox.schedule import Schedule
from fleet.sandbox.server import SandboxServer
from fleet.sandbox.shops import Shops
from fleet.sandbox.spec import (
    SandboxSpec,
    StateDir,
    host_from_json,
    read_json,
    spec_as_json,
    spec_from_json,
)

_LOG = logging.getLogger(__name__)
_KEEP_TIME_S = 30.0
_LOCK_TRIES = 10
_LOCK_PAUSE_S = 0.05


class Daemon:
    """A running sandbox.

    Args:
        state: its folder, with a spec in it.

    Raises:
        SandboxError: there is no spec, or another daemon lives in the folder.
    """

    def __init__(self, state: StateDir) -> None:
        content = read_json(state.spec)
        if content is None:
            raise SandboxError(f"there is no sandbox in {state.path}", hint="fleet sandbox up")
        self.state = state
        self.spec = spec_from_json(content)
        self._lock = _take_lock(state)
        state.endpoint.unlink(missing_ok=True)
        begin = persisted_time(state.database) if state.database.exists() else None
        # Never backwards over a restart, and not behind the wall clock after a long pause, unless
        # this world has a time of its own.
        earliest = time.time() if self.spec.start is None else self.spec.start
        self.clock = SandboxClock(self.spec.clock_rate, max(begin or 0.0, earliest))
        self.schedule = Schedule(self.clock)
        self.plane = ControlPlane(
            self.clock,
            self.spec.accounts,
            throttling=self.spec.throttling,
            database=state.database,
            public_objects={INSTALLER_OBJECT: installer_bytes()},
        )
        self.plane.run_on(self.schedule)
        self.schedule.every(_KEEP_TIME_S * max(1.0, self.clock.rate), self._keep_time)
        self.shops = Shops(
            state,
            clock=self.clock,
            schedule=self.schedule,
            session_for=lambda region: InProcessSession(self.plane, region),
        )
        self.server: SandboxServer | None = None

    def start(self) -> None:
        """Bring everything up; ``sandbox.json`` appears when all of it answers."""
        write_aws_files(self.state, self.spec)
        self.server = self._serve()
        self.shops.start(self.spec.hosts)
        self.schedule.start()
        write_whole(self.state.port, str(self.server.port))
        write_whole(
            self.state.endpoint,
            json.dumps({"pid": os.getpid(), "port": self.server.port, "url": self.server.url}),
            0o644,
        )
        _LOG.info("up at %s with %d hosts", self.server.url, len(self.spec.hosts))

    def wait(self) -> None:
        """Wait until somebody asks it to stop; a signal's exception passes through."""
        while self.server is not None and not self.server.wait_for_stop(0.5):
            continue

    def stop(self) -> None:
        """Bring everything down in order; the state stays."""
        self.state.endpoint.unlink(missing_ok=True)
        self.schedule.stop()
        self.shops.stop()
        if self.server is not None:
            self.server.stop()
        self._keep_time()
        self.plane.close()
        os.close(self._lock)

    def _serve(self) -> SandboxServer:
        """Serve on the last port if it is free, so that exported environments stay true."""
        extra: dict[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any]]] = {
            ("GET", "hosts"): lambda _: {"hosts": self.shops.status()},
            ("POST", "cut"): self._on_link(self.shops.links.cut),
            ("POST", "restore"): self._on_link(self.shops.links.restore),
            ("POST", "slow"): self._slow,
            ("POST", "flap"): self._flap,
            ("GET", "images"): lambda _: {"images": self.shops.images.as_json()},
            ("PUT", "images"): self._images,
            ("PUT", "clock"): self._pace,
            ("POST", "conditions"): self._conditions,
            ("POST", "reboot"): self._on_host(self.shops.reboot),
            ("POST", "drop"): self._on_host(self.shops.drop),
            ("POST", "hosts"): self._grow,
        }
        try:
            wanted = int(self.state.port.read_text(encoding="ascii"))
        except (OSError, ValueError):
            wanted = 0
        server = SandboxServer(self.plane, port=wanted, extra=extra)
        try:
            server.start()
        except SandboxError:
            if wanted == 0:
                raise
            _LOG.warning("port %d is taken, using another one", wanted)
            server = SandboxServer(self.plane, port=0, extra=extra)
            server.start()
        return server

    @staticmethod
    def _on_link(act: Callable[[str], list[str]]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return lambda body: {"hosts": act(_text(body, "target"))}

    def _slow(self, body: dict[str, Any]) -> dict[str, Any]:
        mbps = None if body.get("mbps") is None else _number(body, "mbps")
        return {"hosts": self.shops.links.slow(_text(body, "target"), mbps)}

    def _flap(self, body: dict[str, Any]) -> dict[str, Any]:
        every, down = _number(body, "every_s"), _number(body, "down_s")
        return {"hosts": self.shops.links.flap(_text(body, "target"), every, down)}

    def _images(self, body: dict[str, Any]) -> dict[str, Any]:
        self.shops.images.tell(body)
        return {"images": self.shops.images.as_json()}

    def _pace(self, body: dict[str, Any]) -> dict[str, Any]:
        """Set the clock's rate, also for the next start."""
        rate = _number(body, "rate")
        self.clock.set_rate(rate)
        self.spec = replace(self.spec, clock_rate=rate)
        write_whole(self.state.spec, json.dumps(spec_as_json(self.spec)))
        return {"now": self.plane.store_time(), "rate": rate}

    def _conditions(self, body: dict[str, Any]) -> dict[str, Any]:
        settings = body.get("settings")
        if not isinstance(settings, dict):
            raise UsageError("conditions are set by {'host': 'STORE/HOST', 'settings': {...}}")
        self.shops.set_conditions(_text(body, "host"), settings)
        return {}

    @staticmethod
    def _on_host(act: Callable[[str], None]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def handle(body: dict[str, Any]) -> dict[str, Any]:
            act(_text(body, "host"))
            return {}

        return handle

    def _grow(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            specs = [host_from_json(content) for content in body["hosts"]]
        except (KeyError, TypeError) as error:
            raise UsageError(f"hosts to add cannot be read: {error}") from error
        known = {host.id for host in self.spec.hosts}
        grown = replace(
            self.spec, hosts=(*self.spec.hosts, *(s for s in specs if s.id not in known))
        )
        write_whole(self.state.spec, json.dumps(spec_as_json(grown)))
        self.spec = grown
        return {"added": self.shops.add(specs)}

    def _keep_time(self) -> None:
        self.plane.store_time()


@contextlib.contextmanager
def running(state: StateDir) -> Iterator[Daemon]:
    """Return a daemon that is up inside the block and down after it."""
    daemon = Daemon(state)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()


def write_aws_files(state: StateDir, spec: SandboxSpec) -> None:
    """Write AWS config and credentials with a profile per account; the first is the default too.

    A profile's region is that of the account's first host.
    """
    config, credentials = [], []
    regions = {host.account_id: host.region for host in reversed(spec.hosts)}
    for number, account in enumerate(spec.accounts):
        region = regions.get(account.account_id, spec.default_region)
        names = [account.profile, *(["default"] if number == 0 else [])]
        for name in names:
            section = "default" if name == "default" else f"profile {name}"
            config.append(f"[{section}]\nregion = {region}\n")
            credentials.append(
                f"[{name}]\n"
                f"aws_access_key_id = {access_key_for(account.account_id)}\n"
                "aws_secret_access_key = nothing-is-secret-in-the-sandbox\n"
            )
    write_whole(state.aws_config, "\n".join(config))
    write_whole(state.aws_credentials, "\n".join(credentials))


def _take_lock(state: StateDir) -> int:
    """Hold the folder; tried a few times, because whoever looks whether it is held holds it too."""
    descriptor = os.open(state.lock, os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_LOCK_PAUSE_S)
        else:
            return descriptor
    os.close(descriptor)
    raise SandboxError(
        f"another sandbox lives in {state.path}", hint="fleet sandbox status, or down"
    )


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise UsageError(f"'{name}' is missing")
    return value


def _number(body: dict[str, Any], name: str) -> float:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"'{name}' must be a number, not {value!r}")
    return float(value)
