"""Can this machine do the job? Looks at everything a run will need, changes nothing."""

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from fleet.aws.account import instance_role_exists
from fleet.aws.clusters import describe_clusters
from fleet.aws.managed_instances import node_tier
from fleet.aws.session import Shard
from fleet.errors import FleetError
from fleet.model.inventory import Account
from fleet.model.registration import CheckResult, PreflightCheck
from fleet.register.decide.preflight import CLOCK_FAIL_S, CLOCK_WARN_S
from fleet.register.installer import read_install_script
from fleet.runtime.ledgers import check_caller
from fleet.runtime.wiring import Wiring

OLDEST_PYTHON = (3, 11)

#: Share of the SSM tier's nodes above which there is little room left.
TIER_TIGHT = 0.9


def local_checks(wiring: Wiring, pinned_hosts: frozenset[str]) -> tuple[PreflightCheck, ...]:
    """What can be known without asking anybody.

    Args:
        pinned_hosts: ids of the hosts whose SSH host key is in the inventory's known_hosts.
    """
    return (
        _python(),
        _inventory(wiring),
        _host_keys(wiring, pinned_hosts),
    )


def remote_checks(wiring: Wiring) -> tuple[PreflightCheck, ...]:
    """What AWS says, for every account and region that stores live in, at the same time."""
    keys = sorted({(s.account.name, s.region) for s in wiring.fleet.stores})
    with ThreadPoolExecutor(wiring.workers) as pool:
        groups = list(pool.map(lambda key: _shard_checks(wiring, *key), keys))
    checks = [check for group in groups for check in group]
    return (*checks, _installer(wiring))


def _python() -> PreflightCheck:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        return PreflightCheck("python", CheckResult.FAIL, version, "use Python 3.11 or newer")
    return PreflightCheck("python", CheckResult.OK, version)


def _inventory(wiring: Wiring) -> PreflightCheck:
    fleet = wiring.fleet
    hosts = sum(len(s.hosts) for s in fleet.stores)
    return PreflightCheck(
        "inventory", CheckResult.OK, f"{fleet.root}: {len(fleet.stores)} stores, {hosts} hosts"
    )


def _host_keys(wiring: Wiring, pinned: frozenset[str]) -> PreflightCheck:
    hosts = [h.id for s in wiring.fleet.stores for h in s.hosts]
    missing = [id_ for id_ in hosts if id_ not in pinned]
    seen = f"{len(hosts) - len(missing)} of {len(hosts)} hosts pinned"
    if missing:
        first = missing[0].split("/", maxsplit=1)[0]
        return PreflightCheck(
            "host keys",
            CheckResult.WARN,
            seen,
            f"add them to known_hosts, or fleet register {first} --accept-new-host-keys",
        )
    return PreflightCheck("host keys", CheckResult.OK, seen)


def _shard_checks(wiring: Wiring, account_name: str, region: str) -> Iterable[PreflightCheck]:
    account = wiring.fleet.accounts[account_name]
    shard = wiring.shard(account, region)
    place = f"{account_name}/{region}"
    who = _attempt(f"{place} caller", lambda: _caller(wiring, shard, place))
    if any(check.result is CheckResult.FAIL for check in who):
        return who  # without a caller every other question fails the same way
    return [
        *who,
        *_attempt(f"{place} ecs", lambda: [_ecs(shard, place)]),
        *_attempt(f"{place} ssm", lambda: [_ssm(shard, place)]),
        *_attempt(f"{place} role", lambda: [_role(shard, account, place)]),
    ]


def _attempt(name: str, look: Callable[[], list[PreflightCheck]]) -> list[PreflightCheck]:
    try:
        return look()
    except FleetError as error:
        return [failed(name, error)]


def failed(name: str, error: FleetError) -> PreflightCheck:
    """An error as the failed check that it is."""
    return PreflightCheck(name, CheckResult.FAIL, str(error), error.hint or "see the message")


def _caller(wiring: Wiring, shard: Shard, place: str) -> list[PreflightCheck]:
    reading = check_caller(shard)
    offset = (wiring.clock.now() - reading.at).total_seconds()
    return [
        PreflightCheck(f"{place} caller", CheckResult.OK, reading.value.arn),
        _clock(place, offset),
    ]


def _clock(place: str, offset: float) -> PreflightCheck:
    seen = f"{abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} AWS"
    if abs(offset) > CLOCK_FAIL_S:
        return PreflightCheck(
            f"{place} clock", CheckResult.FAIL, seen, "set this machine's clock by NTP"
        )
    if abs(offset) > CLOCK_WARN_S:
        return PreflightCheck(f"{place} clock", CheckResult.WARN, seen, "check this machine's NTP")
    return PreflightCheck(f"{place} clock", CheckResult.OK, seen)


def _ecs(shard: Shard, place: str) -> PreflightCheck:
    describe_clusters(shard, ["fleet-doctor"])
    return PreflightCheck(f"{place} ecs", CheckResult.OK, "clusters can be read")


def _ssm(shard: Shard, place: str) -> PreflightCheck:
    tier = node_tier(shard).value
    seen = f"managed nodes {tier.nodes}/{tier.limit or 'no limit'} ({tier.tier} tier)"
    if tier.limit is not None and tier.nodes >= tier.limit * TIER_TIGHT:
        fix = "deregister dead nodes, or plan the advanced tier: it prices every node"
        return PreflightCheck(f"{place} ssm", CheckResult.WARN, seen, fix)
    return PreflightCheck(f"{place} ssm", CheckResult.OK, seen)


def _role(shard: Shard, account: Account, place: str) -> PreflightCheck:
    role = account.instance_role
    if instance_role_exists(shard, role).value:
        return PreflightCheck(f"{place} role", CheckResult.OK, role)
    return PreflightCheck(
        f"{place} role",
        CheckResult.FAIL,
        f"IAM role {role} does not exist",
        "create it: trust ssm.amazonaws.com, attach AmazonSSMManagedInstanceCore and "
        "AmazonEC2ContainerServiceforEC2Role",
    )


def _installer(wiring: Wiring) -> PreflightCheck:
    try:
        script = read_install_script(wiring)
    except FleetError as error:
        return failed("installer", error)
    if script.pinned is None:
        return PreflightCheck(
            "installer",
            CheckResult.FAIL,
            f"{script.place} has SHA-256 {script.sha256[:12]}…, which is not pinned",
            "read it with `fleet installer`, then `fleet installer --pin SHA256`",
        )
    return PreflightCheck(
        "installer", CheckResult.OK, f"{script.place} is pinned ({script.pinned})"
    )
