"""One simulated box: its root folder, services, agents and link. SSH is not needed for it."""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.sandbox.agents import ecs, identity, ssm
from fleet.sandbox.agents.ecs import EcsAgent
from fleet.sandbox.agents.machine import Clock, Schedule, write_whole
from fleet.sandbox.agents.session import ControlPlaneSession
from fleet.sandbox.agents.ssm import SsmAgent
from fleet.sandbox.hosts import packages
from fleet.sandbox.hosts.engine import Docker
from fleet.sandbox.hosts.knobs import Knobs
from fleet.sandbox.hosts.link import LinkedSession
from fleet.sandbox.hosts.toolbox import CALL, IN_USR_BIN, machine_program
from fleet.sandbox.hosts.units import Service, Units
from fleet.sandbox.spec import HostSpec

SessionFor = Callable[[str], ControlPlaneSession]
_DEB = {"ubuntu", "debian", "raspbian"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the agents report; see ``agents.machine.MachineFacts``."""

    hostname: str
    machine: str
    platform: tuple[str, str]
    cpus: int
    memory_mb: int
    docker_version: str


class ShopHost:
    """A box in a shop.

    Args:
        spec: what it is like.
        folder: its own; the root is ``folder/root``, knobs and keys lie beside it.
        toolbox: the folder of programs that all hosts share.
        clock: the sandbox's time.
        schedule: where its agents leave their timers.
        session_for: the way to AWS in a region.
    """

    def __init__(
        self,
        spec: HostSpec,
        folder: Path,
        *,
        toolbox: Path,
        clock: Clock,
        schedule: Schedule,
        session_for: SessionFor,
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.root = folder / "root"
        self.toolbox = toolbox
        self.token = secrets.token_hex(16)
        self._clock = clock
        self._schedule = schedule
        self._session_for = session_for
        self.knobs = Knobs.load(folder / "knobs.json")
        self.docker = Docker(self)
        self.ssm_agent = SsmAgent(self)
        self.ecs_agent = EcsAgent(self)
        # The unit of the rpm stays down after a terminal error, that of the deb loops
        # (ecs-anywhere.md §1.6).
        stays_down = () if self.is_deb else (ecs.EXIT_TERMINAL,)
        self.units = Units(
            self,
            {
                "docker": Service(self.docker.start, self.docker.stop, in_memory=False),
                ssm.UNIT: Service(lambda: _begun(self.ssm_agent.start), self.ssm_agent.stop),
                ecs.UNIT: Service(
                    lambda: _begun(self.ecs_agent.start),
                    self.ecs_agent.stop,
                    requires=("docker",),
                    stays_down_after=stays_down,
                ),
            },
        )

    @property
    def id(self) -> str:
        """``store-042/cam-1``."""
        return self.spec.id

    @property
    def clock(self) -> Clock:
        """The sandbox's time."""
        return self._clock

    @property
    def schedule(self) -> Schedule:
        """Where agents leave what they want to do later."""
        return self._schedule

    @property
    def hostname(self) -> str:
        """Its own name for itself."""
        return f"{self.spec.store}-{self.spec.name}"

    @property
    def is_deb(self) -> bool:
        """Whether its packages are debs; else rpms."""
        return self.spec.os_release.get("ID", "ubuntu") in _DEB

    def path(self, absolute: str) -> Path:
        """Where a path of the box really is."""
        return self.root / absolute.lstrip("/")

    def session(self, region: str) -> ControlPlaneSession:
        """The way to AWS, over this host's link."""
        return LinkedSession(self._session_for(region), self.knobs, region)

    def now(self) -> float:
        """What its own clock says, epoch seconds."""
        return self.clock.now() + self.knobs.clock_offset_s

    def facts(self) -> Facts:
        """What its agents report."""
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
        """Whether the engine runs."""
        return self.units.active("docker")

    def unit_ended(self, unit: str, exit_code: int) -> None:
        """A service's main process ended by itself."""
        self.units.ended(unit, exit_code)

    def provision(self) -> None:
        """Make the box as the inventory says, once; later only bring its programs up to date."""
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

    def resume(self) -> None:
        """Begin what was running when the sandbox was last there."""
        self.units.resume()

    def halt(self) -> None:
        """Stop acting, because the sandbox goes away."""
        self.units.halt()

    def reboot(self) -> None:
        """Power off and on: agents start anew, /run is empty, containers are gone."""
        self.units.reboot()

    def turn(self, settings: dict[str, Any]) -> None:
        """Set knobs by name and keep them."""
        self.knobs.turn(settings)
        self.knobs.save(self.folder / "knobs.json")

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

    def uninstall(self, name: str) -> None:
        """Remove a package; what it wrote while it ran stays, as with a real one."""
        package = packages.CATALOGUE[name]
        for unit, _ in (*package.units, *package.dormant):
            self.units.uninstall(unit)
        for program in package.programs:
            self.path(program).unlink(missing_ok=True)
        packages.record(self, name, None)

    def status(self) -> dict[str, Any]:
        """The plain truth about it, for ``fleet sandbox status``."""
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
            "link": "cut" if self.knobs.cut else "up",
            "cut_by": list(self.knobs.cut_by),
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
        managers = ("apt-get", "apt-key", "add-apt-repository", "dpkg") if self.is_deb else ()
        for name in managers or ("dnf", "yum", "rpm"):
            self._link(self.path(f"/usr/bin/{name}"), self.toolbox / CALL)
        for name in spec.packages:
            if name in packages.CATALOGUE:
                self.install(name)
        if spec.docker is not None:
            self.docker.provision(spec.docker)
            version = str(spec.docker.get("version") or "")
            self.install("docker.io" if self.is_deb else "docker", version)
            # Containers that are there from the start outlive the first start of the engine.
            state = self.docker.state() | {"running": list(spec.docker.get("running") or [])}
            write_whole(self.path("/var/lib/docker/sandbox.json"), json.dumps(state))
        # Last, because it says that the box is complete; a host laid down halfway is laid anew.
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
