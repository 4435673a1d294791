"""All simulated hosts of a sandbox: starts, disconnects, adds and describes them."""

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from fleet.errors import UsageError
from fleet.sandbox.agents.images import Catalogue
from fleet.sandbox.agents.machine import write_whole
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.hosts import toolbox
from fleet.sandbox.hosts.links import Links
from fleet.sandbox.hosts.program_server import ProgramServer
from fleet.sandbox.hosts.shop_host import ShopHost
from fleet.sandbox.hosts.simulated_host import SessionFor
from fleet.sandbox.hosts.ssh import SshServers, make_key
from fleet.sandbox.schedule import Schedule
from fleet.sandbox.spec import (
    HostSpec,
    StateDir,
)


class Shops:
    """The hosts. Thread-safe: control calls arrive from several threads.

    Args:
        state: where they are kept.
        clock: the sandbox's time.
        schedule: where agents leave their timers.
        session_for: the way to AWS in a region.

    Attributes:
        images: what container images are and do.
        links: cuts, restores, slows.
    """

    def __init__(
        self, state: StateDir, *, clock: SandboxClock, schedule: Schedule, session_for: SessionFor
    ) -> None:
        self._state = state
        self._clock = clock
        self._schedule = schedule
        self._session_for = session_for
        self._lock = threading.Lock()
        self._hosts: dict[str, ShopHost] = {}
        self.images = Catalogue(state.images)
        self._programs = ProgramServer()
        key = make_key(state.identity)
        public = state.identity.with_suffix(".pub")
        write_whole(public, f"{key.get_name()} {key.get_base64()} fleet-sandbox\n", 0o644)
        self._ssh = SshServers(key)
        self.links: Links[ShopHost] = Links(
            clock, schedule, lambda: iter(self), self._ssh.follow_link
        )

    def start(self, specs: Sequence[HostSpec]) -> None:
        """Bring the hosts up as they were when the sandbox was last there."""
        toolbox.build(self._state.toolbox)
        self._programs.start()
        self._ssh.start()
        self.add(specs)

    def stop(self) -> None:
        """Close connections and ports; what was running will be running next time."""
        self._ssh.stop()
        for host in self._hosts.values():
            host.halt()
        self._programs.stop()

    def add(self, specs: Sequence[HostSpec]) -> int:
        """Bring more hosts up; those that are there stay as they are. Returns how many came."""
        with self._lock:
            new = [spec for spec in specs if spec.id not in self._hosts]
            for spec in new:
                host = ShopHost(
                    spec,
                    self._state.host(spec),
                    toolbox=self._state.toolbox,
                    clock=self._clock,
                    schedule=self._schedule,
                    session_for=self._session_for,
                    images=self.images,
                )
                host.provision()
                host.on_own_cut = partial(self._ssh.follow_link, host)
                self._programs.join(host)
                self._ssh.open(host)
                self._hosts[spec.id] = host
                host.resume()
                if host.conditions.flap:
                    self.links.follow(host)
            self._write_ssh_config()
            return len(new)

    def host(self, name: str) -> ShopHost:
        """Return a host by ``STORE/HOST``; UsageError when there is none."""
        found = self._hosts.get(name)
        if found is None:
            raise UsageError(
                f"the sandbox has no host {name}", hint="fleet sandbox status lists them"
            )
        return found

    def set_conditions(self, name: str, settings: dict[str, Any]) -> None:
        """Set conditions of a host (see ``hosts.conditions.Conditions``)."""
        host = self.host(name)
        host.set_conditions(settings)
        if "flap" in settings:
            self.links.follow(host)
        if "cut_by" in settings:
            self._ssh.follow_link(host)

    def reboot(self, name: str) -> None:
        """Power a host off and on; its SSH connections die with it."""
        host = self.host(name)
        self._ssh.drop(host)
        host.reboot()

    def drop(self, name: str) -> None:
        """End a host's SSH connections now."""
        self._ssh.drop(self.host(name))

    def status(self) -> list[dict[str, Any]]:
        """Return each host, plainly; in order."""
        return [
            {**host.status(), "ssh_port": self._ssh.port(host)}
            for _, host in sorted(self._hosts.items())
        ]

    def __iter__(self) -> Iterator[ShopHost]:
        return iter(list(self._hosts.values()))

    def _write_ssh_config(self) -> None:
        blocks = [
            f"Host {host.spec.address}\n"
            "  HostName 127.0.0.1\n"
            f"  Port {self._ssh.port(host)}\n"
            f"  User {host.spec.user}\n"
            f'  IdentityFile "{self._state.identity.resolve()}"\n'
            "  IdentitiesOnly yes\n"
            # Ports are shared out anew for each sandbox, so keys belong to the name, not to them.
            f"  HostKeyAlias {host.spec.address}\n"
            for host in self
        ]
        head = "# The hosts of fleet's sandbox. Host keys are checked as you are used to.\n"
        write_whole(self._state.ssh_config, "\n".join([head, *blocks]), 0o644)
