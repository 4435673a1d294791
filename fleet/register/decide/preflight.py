"""May this host be installed? Every check says what was seen, what is needed and what to do.

All checks run before any activation is spent; one fail refuses the host and leaves it unchanged.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fleet.model.clock import CLOCK_FAIL_S, CLOCK_WARN_S
from fleet.model.inventory import Host
from fleet.model.observed import HostFacts, NodeTier, Privilege
from fleet.model.registration import CheckResult, PreflightCheck

#: Share of the wanted disk below which a warning is not enough any more is 1; this much is "tight".
DISK_TIGHT = 1.25

#: ECS developer guide, supported operating systems of external instances (the page of the Ubuntu
#: 24 era): os-release ID -> VERSION_ID prefixes. The empty prefix takes every version.
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


@dataclass(frozen=True, slots=True)
class PreflightFacts:
    """What the checks look at.

    Attributes:
        host: the inventory's word.
        facts: the host's word.
        tier: SSM's word on room for nodes; None when it could not be read.
        needs_activation: whether registering will add a node.
        nodes_ahead: nodes that this run adds to the same account and region before this host.
        clones: host id -> its machine id, for every other host whose machine id is known.
        set_runtime: whether the person asked to set docker's default runtime.
        region: of the store, for the endpoints.
    """

    host: Host
    facts: HostFacts
    region: str
    tier: NodeTier | None
    needs_activation: bool
    nodes_ahead: int = 0
    clones: Mapping[str, str] = field(default_factory=dict)
    set_runtime: bool = False


def endpoints(region: str) -> tuple[str, ...]:
    """What a host must reach on 443 to be installed and to run (ECS developer guide, networking).

    The ECS poll endpoints (``ecs-a-*``, ``ecs-t-*``) are numbered by AWS and cannot be asked for
    in advance. The install script takes its GPG keys from GitHub (script of 2026-04-17).
    """
    return (*_running(region), *_installing(region))


def _running(region: str) -> tuple[str, ...]:
    return tuple(
        f"https://{service}.{region}.{_domain(region)}"
        for service in ("ecs", "ssm", "ec2messages", "ssmmessages")
    )


def _installing(region: str) -> tuple[str, ...]:
    return (
        f"https://amazon-ecs-agent-{region}.s3.{region}.{_domain(region)}",
        f"https://s3.{region}.{_domain(region)}",
        "https://raw.githubusercontent.com",
    )


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def preflight(case: PreflightFacts) -> tuple[PreflightCheck, ...]:
    """Every check, in a fixed order."""
    return tuple(check(case) for check in _CHECKS)


def _ok(name: str, seen: str) -> PreflightCheck:
    return PreflightCheck(name, CheckResult.OK, seen)


def _warn(name: str, seen: str, fix: str) -> PreflightCheck:
    return PreflightCheck(name, CheckResult.WARN, seen, fix)


def _fail(name: str, seen: str, fix: str) -> PreflightCheck:
    return PreflightCheck(name, CheckResult.FAIL, seen, fix)


def root_check(host: Host, facts: HostFacts) -> PreflightCheck:
    """Whether we can be root; without it nothing else that was read means anything."""
    if facts.privilege is Privilege.NONE:
        user = host.ssh.user
        return _fail(
            "root",
            f'user "{user}" is not root and may not sudo without a password',
            f'allow it on the host: "{user} ALL=(ALL) NOPASSWD: ALL" in /etc/sudoers.d/fleet',
        )
    return _ok("root", f"by {facts.privilege}")


def _systemd(case: PreflightFacts) -> PreflightCheck:
    if not case.facts.systemd:
        return _fail("systemd", "/run/systemd/system is missing", "the ECS agent needs systemd")
    return _ok("systemd", "running")


def _os(case: PreflightFacts) -> PreflightCheck:
    facts = case.facts
    seen = facts.os_name or f"{facts.os_id} {facts.os_version}"
    versions = SUPPORTED_OS.get(facts.os_id)
    major = facts.os_version.split(".")[0]
    if versions is not None and ("" in versions or major in versions):
        return _ok("os", seen)
    return _warn("os", f"{seen} is not on AWS's list", "try it on one host before a whole market")


def _disk(case: PreflightFacts) -> PreflightCheck:
    free_gb = case.facts.disk_free_mb / 1024
    needed = case.host.hardware.min_disk_free_gb
    seen = f'/ has {free_gb:.1f} GB free, hardware "{case.host.hardware.name}" needs {needed:g} GB'
    if free_gb < needed:
        fix = f"free {needed - free_gb:.1f} GB on the host"
        if case.facts.unused_image_mb:
            fix += f": unused docker images hold {case.facts.unused_image_mb / 1024:.1f} GB"
        return _fail("disk", seen, fix)
    if free_gb < needed * DISK_TIGHT:
        return _warn("disk", seen, "tight: one more image may fill it")
    return _ok("disk", seen)


def _memory(case: PreflightFacts) -> PreflightCheck:
    needed = case.host.hardware.min_memory_mb
    seen = f"{case.facts.memory_mb} MiB, needs {needed} MiB"
    if case.facts.memory_mb < needed:
        return _fail("memory", seen, "another box, or a lower min_memory_mb for its hardware")
    return _ok("memory", seen)


def _clock(case: PreflightFacts) -> PreflightCheck:
    offset = case.facts.clock_offset_s
    way = "ahead" if offset > 0 else "behind"
    seen = f"{abs(offset):.1f} s {way} (limit {CLOCK_FAIL_S:.0f} s)"
    if abs(offset) > CLOCK_FAIL_S:
        return _fail("clock", seen, "set up NTP on the host: timedatectl set-ntp true")
    if abs(offset) > CLOCK_WARN_S:
        return _warn("clock", seen, "check NTP on the host: timedatectl status")
    return _ok("clock", seen)


def _egress(case: PreflightFacts) -> PreflightCheck:
    facts = case.facts
    wanted = list(_running(case.region))
    if not (facts.ssm.installed and facts.ecs.installed):
        wanted += _installing(case.region)
    missed = [(url, facts.egress[url]) for url in wanted if facts.egress.get(url)]
    unasked = [url for url in wanted if url not in facts.egress]
    if missed or unasked:
        named = [f"{url.removeprefix('https://')}: {why}" for url, why in missed]
        named += [f"{url.removeprefix('https://')}: not tried" for url in unasked]
        return _fail("egress", "; ".join(named), "open outbound 443 to these names at the store")
    return _ok("egress", f"{len(wanted)} of {len(wanted)} endpoints answer")


def _docker(case: PreflightFacts) -> PreflightCheck:
    docker, os_id = case.facts.docker, case.facts.os_id
    if docker is not None:
        state = "already installed, kept" if docker.active else "installed, not running"
        seen = f"{docker.version or 'unknown version'} {state}"
        return _ok("docker", seen)
    if os_id in DOCKER_BY_HAND:
        return _fail(
            "docker",
            f"not installed, and the install script cannot on {os_id}",
            "install Docker first",
        )
    if (os_id, case.facts.os_version.split(".")[0]) not in _APT_KEY and os_id in {
        "debian",
        "ubuntu",
    }:
        return _warn(
            "docker",
            "not installed; the install script's way needs apt-key, which this release may lack",
            "install Docker first if it fails",
        )
    return _ok("docker", "not installed; the install script will, from docker's packages")


#: Releases that still have apt-key, which the install script's Docker path needs [inferred].
_APT_KEY = {
    *(("ubuntu", version) for version in ("18", "20", "22", "24")),
    *(("debian", version) for version in ("10", "11", "12")),
}


def _runtime(case: PreflightFacts) -> PreflightCheck:
    wanted, docker = case.host.hardware.default_runtime, case.facts.docker
    if wanted is None:
        return _ok("runtime", "any will do")
    seen = docker.default_runtime if docker else "docker not installed"
    if docker and seen == wanted:
        return _ok("runtime", f'default-runtime is "{wanted}"')
    l4t = f" (L4T {case.facts.l4t_release} found)" if case.facts.l4t_release else ""
    told = f'docker default-runtime is "{seen}", must be "{wanted}"{l4t}'
    if docker is not None and not docker.active:
        return _fail("runtime", "docker is installed but does not run", "systemctl start docker")
    if docker is None or wanted not in docker.runtimes:
        return _fail("runtime", told, f"install the {wanted} container runtime on the host first")
    stops = f'stops {len(docker.running)} running container(s) "{", ".join(docker.running)}"'
    effect = f"restarts docker: {stops if docker.running else 'no container is running'}"
    if case.set_runtime:
        return _warn("runtime", told, f"will be set; {effect}")
    command = f"fleet register {case.host.store} --host {case.host.name} --set-runtime"
    return _fail("runtime", told, f"{command}\n{effect}")


def _gpg(case: PreflightFacts) -> PreflightCheck:
    if case.facts.gpg or (case.facts.ssm.installed and case.facts.ecs.installed):
        return _ok("gpg", "packages will be verified" if case.facts.gpg else "nothing to verify")
    # The script only warns and goes on unverified, so this is for us to refuse.
    return _fail(
        "gpg", "gpg is missing: packages would run unverified as root", "install gnupg first"
    )


def _curl(case: PreflightFacts) -> PreflightCheck:
    if not case.facts.curl:
        return _fail("curl", "curl is missing; the install script needs it", "install curl first")
    return _ok("curl", "there")


def _devices(case: PreflightFacts) -> PreflightCheck:
    missing = [d for d in case.host.hardware.devices if d not in case.facts.devices]
    if missing:
        return _fail(
            "devices",
            f"missing {', '.join(missing)}",
            f'check the drivers; or is it really a "{case.host.hardware.name}"?',
        )
    count = len(case.host.hardware.devices)
    return _ok("devices", f"{count} of {count} there" if count else "none asked for")


#: machine-id(5): 32 lower-case hex digits; golden images hold "uninitialized" until first boot.
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")


def _clones(case: PreflightFacts) -> PreflightCheck:
    machine_id = case.facts.machine_id
    if not _MACHINE_ID.fullmatch(machine_id):
        seen = f'/etc/machine-id is "{machine_id}", not 32 hex digits'
        return _fail("machine-id", seen, "systemd-machine-id-setup, then reboot")
    twins = sorted(host for host, seen in case.clones.items() if seen == machine_id)
    if twins:
        return _fail(
            "machine-id",
            f"same machine id as {', '.join(twins)}: a cloned disk",
            "rm /etc/machine-id, systemd-machine-id-setup, reboot; then register again",
        )
    return _ok("machine-id", "unique in the fleet")


def _credentials(case: PreflightFacts) -> PreflightCheck:
    places = case.facts.shadow_credentials
    if places:
        return _fail(
            "credentials",
            f"AWS credentials in {', '.join(places)} would win over the agent's own",
            "remove them; tasks get theirs from task roles",
        )
    return _ok("credentials", "none that would shadow the agent's")


def _tier(case: PreflightFacts) -> PreflightCheck:
    if not case.needs_activation:
        return _ok("tier", "adds no node")
    if case.tier is None:
        return _warn("tier", "room for managed nodes could not be read", "see `fleet doctor`")
    seen = (
        f"managed nodes {case.tier.nodes}/{case.tier.limit or 'no limit'} ({case.tier.tier} tier)"
    )
    if case.tier.limit is not None and case.tier.nodes + case.nodes_ahead >= case.tier.limit:
        return _fail(
            "tier",
            seen,
            "deregister dead nodes, or switch the account to the advanced tier, which prices "
            "every node (about $5 a month each)",
        )
    return _ok("tier", seen)


_CHECKS: tuple[Callable[[PreflightFacts], PreflightCheck], ...] = (
    lambda case: root_check(case.host, case.facts),
    _systemd,
    _os,
    _disk,
    _memory,
    _clock,
    _egress,
    _docker,
    _runtime,
    _devices,
    _gpg,
    _curl,
    _clones,
    _credentials,
    _tier,
)
