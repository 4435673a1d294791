"""Docker of a simulated host: its configuration on disk, and the one it runs with."""

import json
from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents.containers import Containers
from fleet.sandbox.agents.machine import Machine, append_log, write_whole

CONFIG = "/etc/docker/daemon.json"
STATE = "/var/lib/docker/sandbox.json"
LOG = "/var/log/docker.log"
#: What the package repositories of the sandbox hold.
REPOSITORY_VERSION = "27.3.1"


class Docker:
    """The engine. Its settings are read when it starts, as dockerd does.

    Args:
        machine: its host.
        containers: what it runs for the ECS agent.
    """

    def __init__(self, machine: Machine, containers: Containers) -> None:
        self._machine = machine
        self._containers = containers

    def provision(self, spec: Mapping[str, Any]) -> None:
        """Lay down an engine as the inventory describes it."""
        runtimes = [str(name) for name in spec.get("runtimes") or ["runc"]]
        default = str(spec.get("default_runtime") or "runc")
        config: dict[str, Any] = {}
        if extra := {
            name: {"path": f"{name}-container-runtime", "runtimeArgs": []}
            for name in runtimes
            if name != "runc"
        }:
            config["runtimes"] = extra
        if default != "runc":
            config["default-runtime"] = default
        if config:
            write_whole(self._machine.path(CONFIG), json.dumps(config, indent=2) + "\n", 0o644)
        self._write(
            {
                "version": str(spec.get("version") or REPOSITORY_VERSION),
                "default_runtime": default,
                "runtimes": runtimes,
                "running": [str(name) for name in spec.get("running") or []],
                "unused_image_mb": int(spec.get("unused_image_mb") or 0),
            }
        )

    def remove(self) -> None:
        """Forget it all."""
        self._machine.path(STATE).unlink(missing_ok=True)

    def state(self) -> dict[str, Any]:
        """Return version, default_runtime, runtimes, running, unused_image_mb; or {}."""
        try:
            content = json.loads(self._machine.path(STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def start(self) -> int:
        """Read daemon.json; 1 when dockerd would refuse it."""
        state = self.state()
        path = self._machine.path(CONFIG)
        config: Any = {}
        try:
            if path.exists():
                config = json.loads(path.read_text(encoding="utf-8") or "{}")
            runtimes = ["runc", *config.get("runtimes", {})]
        except (ValueError, AttributeError, TypeError) as error:
            append_log(self._machine, LOG, f"unable to configure the Docker daemon: {error}")
            return 1
        default = config.get("default-runtime", "runc")
        if default not in runtimes:
            append_log(self._machine, LOG, f"specified default runtime '{default}' does not exist")
            return 1
        self._write({**state, "default_runtime": default, "runtimes": sorted(set(runtimes))})
        return 0

    def stop(self) -> None:
        """Stop it and all containers; none of them has a restart policy."""
        self._write({**self.state(), "running": []})
        self._containers.power_off()

    def _write(self, state: Mapping[str, Any]) -> None:
        write_whole(self._machine.path(STATE), json.dumps(state))
