"""One simulated host with its root folder, services, agents and link."""

import hashlib
import json
import os
import secrets
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleet.sandbox.agents import ecs, identity, ssm
from fleet.sandbox.agents.images import Catalogue
from fleet.sandbox.agents.machine import Facts, write_whole
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.hosts import packages
from fleet.sandbox.hosts.docker_engine import Docker
from fleet.sandbox.hosts.simulated_host import SessionFor, SimulatedHost
from fleet.sandbox.hosts.toolbox import CALL, IN_USR_BIN, machine_program
from fleet.sandbox.hosts.units import SystemdService, Units
from fleet.sandbox.schedule import Schedule
from fleet.sandbox.spec import HostSpec

#: Real seconds that a command of Run Command has at least.
_LEAST_LIMIT_S = 30.0
#: What a shell says of a command that it had to end (timeout(1)).
_TIMED_OUT = 124


class ShopHost(SimulatedHost):
    """A host in a store.

    Args:
        spec: what it is like.
        folder: its own; the root is ``folder/root``, conditions and keys lie beside it.
        toolbox: the folder of programs that all hosts share.
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
        toolbox: Path,
        clock: SandboxClock,
        schedule: Schedule,
        session_for: SessionFor,
        images: Catalogue | None = None,
    ) -> None:
        super().__init__(
            spec, folder, clock=clock, schedule=schedule, session_for=session_for, images=images
        )
        self.toolbox = toolbox
        self.token = secrets.token_hex(16)
        self.docker = Docker(self, self.containers)
        self.units = Units(
            self,
            {
                "docker": SystemdService(self.docker.start, self.docker.stop, in_memory=False),
                ssm.UNIT: SystemdService(lambda: _begun(self.ssm_agent.start), self.ssm_agent.stop),
                ecs.UNIT: SystemdService(
                    lambda: _begun(self.ecs_agent.start),
                    self.ecs_agent.stop,
                    requires=("docker",),
                ),
            },
        )

    @property
    def hostname(self) -> str:
        """Return its own name for itself."""
        return f"{self.spec.store}-{self.spec.name}"

    def facts(self) -> Facts:
        """Return what its agents report."""
        release = self.spec.os_release
        version = str(self.docker.state().get("version", "")) if self.docker_active() else ""
        return Facts(
            self.hostname,
            self.spec.machine,
            (release.get("NAME", "Ubuntu"), release.get("VERSION_ID", "")),
            self.spec.cpus,
            self.spec.memory_mb,
            version,
        )

    def docker_active(self) -> bool:
        """Say whether the engine runs."""
        return self.units.active("docker")

    def unit_ended(self, unit: str, exit_code: int) -> None:
        """Note that a service's main process ended by itself."""
        self.units.ended(unit, exit_code)

    def environment(self, user: str) -> dict[str, str]:
        """Return the environment of a login; nothing of the developer's is in it."""
        folders = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")
        path = [*(str(self.root / folder) for folder in folders), str(self.toolbox)]
        return {
            "FLEET_ROOT": str(self.root),
            "HOME": str(self.path("/root" if user == "root" else f"/home/{user}")),
            "LANG": "C.UTF-8",
            "LOGNAME": user,
            "PATH": os.pathsep.join(path),
            "SHELL": "/bin/bash",
            "TMPDIR": str(self.path("/tmp")),  # noqa: S108 - the host's own
            "USER": user,
            **({"FLEET_SANDBOX_ROOT": "1"} if user == "root" else {}),
        }

    def run_as_root(
        self, script: str, timeout_s: float, ended: Callable[[int, str, str], None]
    ) -> None:
        """Run a script in a shell of root's, as the SSM agent does, in a thread of its own.

        The time limit is the sandbox's, but never so short that a busy machine breaks it.
        """
        limit = max(_LEAST_LIMIT_S, timeout_s / max(self.clock.rate, 1.0))

        def work() -> None:
            said = _ran(script, self.environment("root"), str(self.path("/root")), limit)
            self.schedule.at(self.clock.now(), lambda: ended(*said))

        threading.Thread(target=work, name=f"command on {self.id}", daemon=True).start()

    def provision(self) -> None:
        """Make the host as the inventory says, once; later only bring its programs up to date."""
        if not self.path("/etc/machine-id").exists():
            self._lay_down()
        for name in IN_USR_BIN:
            self._link(self.path(f"/usr/bin/{name}"), self.toolbox / name)
        for name in packages.installed(self):
            self._link_programs(packages.CATALOGUE.get(name))
        lines = {
            "machine": self.spec.machine,
            "hostname": self.hostname,
            "kernel": "5.10.120-tegra" if self.spec.l4t_release else "5.15.0-91-generic",
            "cpus": str(self.spec.cpus),
        }
        text = "".join(f"{name}='{value}'\n" for name, value in lines.items())
        write_whole(self.path("/run/sandbox/machine"), text, 0o644)
        if not self.path("/proc/stat").exists():
            self._boot()
        self._warm()

    def set_conditions(self, settings: dict[str, Any]) -> None:
        """Set conditions by name, keep them, and let the thermometer follow."""
        super().set_conditions(settings)
        self._warm()

    def _boot(self) -> None:
        text = f"cpu 0 0 0 0\nbtime {self.now():.0f}\n"
        write_whole(self.path("/proc/stat"), text, 0o444)

    def _warm(self) -> None:
        text = f"{self.conditions.temperature_c * 1000:.0f}\n"
        write_whole(self.path("/sys/class/thermal/thermal_zone0/temp"), text, 0o444)

    def resume(self) -> None:
        """Begin what was running when the sandbox was last there."""
        self.containers.resume()
        self.units.resume()

    def halt(self) -> None:
        """Stop acting, because the sandbox goes away."""
        self.units.halt()
        self.containers.halt()

    def reboot(self) -> None:
        """Power off and on: agents start anew, /run is empty, containers are gone."""
        self._boot()
        self.units.reboot()

    def install(self, name: str, version: str = "") -> None:
        """Install a package: its programs, its units, its folders. Twice is an upgrade."""
        package = packages.CATALOGUE[name]
        packages.record(self, name, version or package.version)
        self._link_programs(package)
        if any(unit == "docker" for unit, _ in package.units) and not self.docker.state():
            self.docker.provision({"version": package.version})
        if name == "amazon-ecs-init":
            for folder in ("/etc/ecs", "/var/lib/ecs/data", "/var/log/ecs"):
                self.path(folder).mkdir(parents=True, exist_ok=True)
            self.path("/etc/ecs/ecs.config").touch()
        for unit, description in package.dormant:
            self.units.install(unit, description=description)
        for unit, description in package.units:
            self.units.install(unit, description=description)
            self.units.enable(unit)
            self.units.start(unit)

    def status(self) -> dict[str, Any]:
        """Return the plain truth about it, for ``fleet sandbox status``."""
        registration = identity.read_registration(self)
        metadata = self.ecs_agent.metadata() or {}
        return {
            "store": self.spec.store,
            "name": self.spec.name,
            "address": self.spec.address,
            "machine": self.spec.machine,
            "managed_instance_id": registration.instance_id if registration else None,
            "region": registration.region if registration else None,
            "cluster": metadata.get("Cluster"),
            "container_instance_arn": metadata.get("ContainerInstanceArn"),
            "link": "cut" if self.conditions.cut else "up",
            "cut_by": list(self.conditions.cut_by),
            "flap": list(self.conditions.flap),
            "slow_to_mbps": self.conditions.slow_to_mbps,
            "tasks": [
                {
                    "arn": task.arn,
                    "family": task.plan.family,
                    "version": task.plan.version,
                    "status": task.status,
                    "images": [part.plan.image for part in task.parts],
                }
                for task in self.ecs_agent.tasks.tasks()
                if task.status != "STOPPED"
            ],
            "units": {
                name: self.units.state(name).active
                for name in ("docker", ssm.UNIT, ecs.UNIT)
                if self.units.installed(name)
            },
        }

    def _lay_down(self) -> None:
        spec = self.spec
        for folder in ("bin", "tmp", "dev", "var/tmp", "root", f"home/{spec.user}", "usr/bin"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        release = "".join(f'{name}="{value}"\n' for name, value in spec.os_release.items())
        files = {
            "/etc/os-release": release,
            "/etc/hostname": f"{self.hostname}\n",
            "/etc/sudoers.d/fleet": f"{spec.user} ALL=(ALL) NOPASSWD:ALL\n",
            "/proc/meminfo": _meminfo(spec.memory_mb),
            "/proc/uptime": "86400.00 86400.00\n",
        }
        if spec.l4t_release:
            files["/etc/nv_tegra_release"] = f"{spec.l4t_release}\n"
        for device in spec.devices:
            files[device] = ""
        for name, text in files.items():
            path = self.path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.path("/run/systemd/system").mkdir(parents=True, exist_ok=True)
        for name in ("apt-get", "apt-key", "add-apt-repository", "dpkg"):
            self._link(self.path(f"/usr/bin/{name}"), self.toolbox / CALL)
        for name in spec.packages:
            if name in packages.CATALOGUE:
                self.install(name)
        if spec.docker is not None:
            self.docker.provision(spec.docker)
            version = str(spec.docker.get("version") or "")
            self.install("docker.io", version)
            # Containers that are there from the start outlive the first start of the engine.
            state = self.docker.state() | {"running": list(spec.docker.get("running") or [])}
            write_whole(self.path("/var/lib/docker/sandbox.json"), json.dumps(state))
        # Last, because it says that the host is complete; a host laid down halfway is laid anew.
        digest = hashlib.sha256(f"machine-id of {self.id}".encode()).hexdigest()[:32]
        write_whole(self.path("/etc/machine-id"), f"{digest}\n", 0o444)

    def _link_programs(self, package: packages.Package | None) -> None:
        for program in package.programs if package else ():
            own = machine_program("jq") if program == "/usr/bin/jq" else None
            self._link(self.path(program), Path(own) if own else self.toolbox / CALL)

    @staticmethod
    def _link(path: Path, target: Path) -> None:
        if path.is_symlink() and path.readlink() == target:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)


def _begun(start: Callable[[], None]) -> int:
    start()
    return 0


def _meminfo(memory_mb: int) -> str:
    total = memory_mb * 1024
    return (
        f"MemTotal:       {total} kB\n"
        f"MemFree:        {total // 2} kB\n"
        f"MemAvailable:   {total * 3 // 4} kB\n"
        "SwapTotal:      0 kB\nSwapFree:       0 kB\n"
    )


def _ran(
    script: str, environment: dict[str, str], folder: str, limit_s: float
) -> tuple[int, str, str]:
    """Return exit status and what it printed."""
    try:
        done = subprocess.run(
            ["/bin/sh", "-s"],  # AWS-RunShellScript asks for no bash
            input=script.encode(),
            capture_output=True,
            env=environment,
            cwd=folder,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _TIMED_OUT, "", "the command took too long"
    except OSError as error:
        return 126, "", f"the host cannot run anything: {error}"
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return code, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
