"""The preflight checks: whether a host may be installed, what was seen, and how to fix it.

``CHECKS`` has one row per check. All checks run before an activation is created; one that fails
refuses the host and leaves it unchanged. A new check on a known fact is a row here and its test.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fleet.model.clock import CLOCK_FAIL_S, CLOCK_WARN_S
from fleet.model.inventory import Host
from fleet.model.observed import HostFacts, NodeTier, Privilege
from fleet.model.registration import CheckResult, PreflightCheck

#: Free disk below this multiple of what the hardware needs is a warning.
DISK_TIGHT = 1.25

#: Operating systems that AWS supports for external instances: ID of os-release -> major versions;
#: "" stands for every version (ECS developer guide, when it listed Ubuntu 24).
SUPPORTED_OS: Mapping[str, tuple[str, ...]] = {
    "amzn": ("2", "2023"),
    "centos": ("9",),
    "rhel": ("7", "8", "9"),
    "fedora": ("32", "33", "40"),
    "opensuse-tumbleweed": ("",),
    "ubuntu": ("18", "20", "22", "24"),
    "debian": ("10", "11", "12"),
    "sles": ("15",),
}

#: Distributions on which the install script does not install Docker (script of 2026-04-17: RHEL
#: must pass ``none``; the distro path refuses on centos and fedora because of SELinux).
DOCKER_BY_HAND = frozenset({"rhel", "rocky", "almalinux", "ol", "centos", "fedora"})

#: Distributions whose supported releases have apt-key, which the install script needs to install
#: Docker; later releases may lack it [inferred].
NEED_APT_KEY = frozenset({"debian", "ubuntu"})

#: machine-id(5): 32 lower-case hex digits; golden images hold "uninitialized" until first boot.
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")

#: A result, what was seen, and the fix ("" when ok).
Answer = tuple[CheckResult, str, str]


@dataclass(frozen=True, slots=True)
class PreflightFacts:
    """What the checks look at.

    Attributes:
        host: as the inventory describes it.
        facts: as the host describes itself.
        region: of the store.
        tier: the managed-node quota; None when it could not be read.
        nodes_ahead: nodes that this run adds to the same account and region before this host.
        machine_ids: host id -> machine id, of every other host whose machine id is known.
        set_runtime: whether docker's default runtime may be set.
    """

    host: Host
    facts: HostFacts
    region: str
    tier: NodeTier | None
    nodes_ahead: int = 0
    machine_ids: Mapping[str, str] = field(default_factory=dict)
    set_runtime: bool = False

    @property
    def installed(self) -> bool:
        """Return whether both agents are installed, so that no package is fetched."""
        return self.facts.ssm.installed and self.facts.ecs.installed


def preflight(given: PreflightFacts) -> tuple[PreflightCheck, ...]:
    """Run every check, in the order of the table."""
    return tuple(run_check(name, given) for name in CHECKS)


def run_check(name: str, given: PreflightFacts) -> PreflightCheck:
    """Run one check of the table."""
    return PreflightCheck(name, *CHECKS[name](given))


def endpoints(region: str) -> tuple[str, ...]:
    """Return what a host must reach on 443 (ECS developer guide, networking).

    The ECS poll endpoints (``ecs-a-*``, ``ecs-t-*``) are numbered by AWS and cannot be tried in
    advance.
    """
    return (*_agent_endpoints(region), *_install_endpoints(region))


def _agent_endpoints(region: str) -> tuple[str, ...]:
    return tuple(
        f"https://{service}.{region}.{_domain(region)}"
        for service in ("ecs", "ssm", "ec2messages", "ssmmessages")
    )


def _install_endpoints(region: str) -> tuple[str, ...]:
    """Return the endpoints of packages; the script has its GPG keys from GitHub (2026-04-17)."""
    return (
        f"https://amazon-ecs-agent-{region}.s3.{region}.{_domain(region)}",
        f"https://s3.{region}.{_domain(region)}",
        "https://raw.githubusercontent.com",
    )


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def _ok(seen: str) -> Answer:
    return CheckResult.OK, seen, ""


def _warn(seen: str, fix: str) -> Answer:
    return CheckResult.WARN, seen, fix


def _fail(seen: str, fix: str) -> Answer:
    return CheckResult.FAIL, seen, fix


def _root(given: PreflightFacts) -> Answer:
    if given.facts.privilege is not Privilege.NONE:
        return _ok(f"by {given.facts.privilege}")
    user = given.host.ssh.user
    return _fail(
        f'user "{user}" is not root and may not sudo without a password',
        f'allow it on the host: "{user} ALL=(ALL) NOPASSWD: ALL" in /etc/sudoers.d/fleet',
    )


def _systemd(given: PreflightFacts) -> Answer:
    if given.facts.systemd:
        return _ok("running")
    return _fail("/run/systemd/system is missing", "the ECS agent needs systemd")


def _os(given: PreflightFacts) -> Answer:
    facts = given.facts
    seen = facts.os_name or f"{facts.os_id} {facts.os_version}"
    versions = SUPPORTED_OS.get(facts.os_id, ())
    if "" in versions or facts.os_major in versions:
        return _ok(seen)
    return _warn(f"{seen} is not on AWS's list", "try it on one host before a whole market")


def _disk(given: PreflightFacts) -> Answer:
    hardware, unused_mb = given.host.hardware, given.facts.unused_image_mb
    free_gb, needed = given.facts.disk_free_mb / 1024, hardware.min_disk_free_gb
    seen = f'/ has {free_gb:.1f} GB free, hardware "{hardware.name}" needs {needed:g} GB'
    if free_gb < needed:
        unused = f": unused docker images hold {unused_mb / 1024:.1f} GB" if unused_mb else ""
        return _fail(seen, f"free {needed - free_gb:.1f} GB on the host{unused}")
    if free_gb < needed * DISK_TIGHT:
        return _warn(seen, "little room is left: one more image may fill the disk")
    return _ok(seen)


def _memory(given: PreflightFacts) -> Answer:
    needed, seen_mb = given.host.hardware.min_memory_mb, given.facts.memory_mb
    seen = f"{seen_mb} MiB, needs {needed} MiB"
    if seen_mb >= needed:
        return _ok(seen)
    return _fail(seen, "use another box, or lower min_memory_mb of its hardware")


def _clock(given: PreflightFacts) -> Answer:
    offset = given.facts.clock_offset_s
    way = "ahead" if offset > 0 else "behind"
    seen = f"{abs(offset):.1f} s {way} (limit {CLOCK_FAIL_S:.0f} s)"
    if abs(offset) > CLOCK_FAIL_S:
        return _fail(seen, "set up NTP on the host: timedatectl set-ntp true")
    if abs(offset) > CLOCK_WARN_S:
        return _warn(seen, "check NTP on the host: timedatectl status")
    return _ok(seen)


def _egress(given: PreflightFacts) -> Answer:
    tried = given.facts.egress
    wanted = _agent_endpoints(given.region) if given.installed else endpoints(given.region)
    failed = {url: why for url in wanted if (why := tried.get(url, "not tried"))}
    if not failed:
        return _ok(f"{len(wanted)} of {len(wanted)} endpoints answer")
    seen = "; ".join(f"{url.removeprefix('https://')}: {why}" for url, why in failed.items())
    return _fail(seen, "open outbound 443 to these names at the store")


def _docker(given: PreflightFacts) -> Answer:
    facts, docker = given.facts, given.facts.docker
    if docker is not None:
        state = "already installed, kept" if docker.active else "installed, not running"
        return _ok(f"{docker.version or 'unknown version'} {state}")
    if facts.os_id in DOCKER_BY_HAND:
        seen = f"not installed, and the install script cannot install it on {facts.os_id}"
        return _fail(seen, "install Docker first")
    if facts.os_id in NEED_APT_KEY and facts.os_major not in SUPPORTED_OS[facts.os_id]:
        seen = "not installed; the install script needs apt-key, which this release may lack"
        return _warn(seen, "install Docker first if it fails")
    return _ok("not installed; the install script installs it from docker's packages")


def _runtime(given: PreflightFacts) -> Answer:
    facts, wanted, docker = given.facts, given.host.hardware.default_runtime, given.facts.docker
    if wanted is None:
        return _ok("any runtime will do")
    seen = docker.default_runtime if docker else "docker not installed"
    if seen == wanted:
        return _ok(f'default-runtime is "{wanted}"')
    if docker is not None and not docker.active:
        return _fail("docker is installed but does not run", "systemctl start docker")
    l4t = f" (L4T {facts.l4t_release} found)" if facts.l4t_release else ""
    told = f'docker default-runtime is "{seen}", must be "{wanted}"{l4t}'
    if docker is None or wanted not in docker.runtimes:
        return _fail(told, f"install the {wanted} container runtime on the host first")
    stops = f'stops {len(docker.running)} running container(s) "{", ".join(docker.running)}"'
    effect = f"restarts docker: {stops if docker.running else 'no container is running'}"
    if given.set_runtime:
        return _warn(told, f"will be set; {effect}")
    command = f"fleet register {given.host.store} --host {given.host.name} --set-runtime"
    return _fail(told, f"{command}\n{effect}")


def _devices(given: PreflightFacts) -> Answer:
    hardware = given.host.hardware
    missing = [device for device in hardware.devices if device not in given.facts.devices]
    if missing:
        fix = f'check the drivers, or whether it is really a "{hardware.name}"'
        return _fail(f"missing {', '.join(missing)}", fix)
    count = len(hardware.devices)
    return _ok(f"{count} of {count} found" if count else "none needed")


def _gpg(given: PreflightFacts) -> Answer:
    if given.facts.gpg:
        return _ok("packages will be verified")
    if given.installed:
        return _ok("nothing to verify")
    # The install script only warns and goes on without verification.
    return _fail("gpg is missing: packages would run unverified as root", "install gnupg first")


def _curl(given: PreflightFacts) -> Answer:
    if given.facts.curl:
        return _ok("installed")
    return _fail("curl is missing; the install script needs it", "install curl first")


def _machine_id(given: PreflightFacts) -> Answer:
    machine_id = given.facts.machine_id
    if not _MACHINE_ID.fullmatch(machine_id):
        seen = f'/etc/machine-id is "{machine_id}", not 32 hex digits'
        return _fail(seen, "systemd-machine-id-setup, then reboot")
    same = sorted(host for host, other in given.machine_ids.items() if other == machine_id)
    if same:
        seen = f"same machine id as {', '.join(same)}: a cloned disk"
        fix = "rm /etc/machine-id, systemd-machine-id-setup, reboot; then register again"
        return _fail(seen, fix)
    return _ok("unique in the fleet")


def _credentials(given: PreflightFacts) -> Answer:
    places = given.facts.shadow_credentials
    if not places:
        return _ok("none that the agent would use instead of its own")
    seen = f"AWS credentials in {', '.join(places)} would win over the agent's own"
    return _fail(seen, "remove them; tasks get theirs from task roles")


def _tier(given: PreflightFacts) -> Answer:
    tier = given.tier
    if given.facts.ssm.instance_id is not None:
        return _ok("adds no node")
    if tier is None:
        return _warn("the managed-node quota could not be read", "see `fleet doctor`")
    if tier.limit is None or tier.nodes + given.nodes_ahead < tier.limit:
        return _ok(tier.text)
    return _fail(
        tier.text,
        "deregister dead nodes, or switch the account to the advanced tier, which prices every "
        "node (about $5 a month each)",
    )


#: Every check by its name, in the order in which they are shown.
CHECKS: Mapping[str, Callable[[PreflightFacts], Answer]] = {
    "root": _root,
    "systemd": _systemd,
    "os": _os,
    "disk": _disk,
    "memory": _memory,
    "clock": _clock,
    "egress": _egress,
    "docker": _docker,
    "runtime": _runtime,
    "devices": _devices,
    "gpg": _gpg,
    "curl": _curl,
    "machine-id": _machine_id,
    "credentials": _credentials,
    "tier": _tier,
}
