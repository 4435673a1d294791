"""Checks of what registering hosts needs: host keys, room in SSM, the role, the installer."""

from pathlib import Path

from fleet.aws.account import instance_role_exists
from fleet.aws.managed_instances import node_tier
from fleet.aws.session import Shard
from fleet.model.inventory import Account, Fleet
from fleet.model.registration import CheckResult, PreflightCheck
from fleet.register.installer import read_install_script
from fleet.runtime.doctor import attempt
from fleet.runtime.wiring import Wiring
from fleet.ssh.known_hosts import KnownHosts, entry_name

#: Share of the managed-node quota from which there is a warning.
TIER_TIGHT = 0.9


def host_keys_check(fleet: Fleet, inventory: Path) -> PreflightCheck:
    """Check that the SSH host key of every host is in the inventory's known_hosts."""
    pins = KnownHosts(inventory / "known_hosts")
    hosts = [host for store in fleet.stores for host in store.hosts]
    missing = [h.id for h in hosts if not pins.pinned(entry_name(h.address, h.ssh.port))]
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


def ssm_check(shard: Shard, place: str) -> PreflightCheck:
    """Check how many managed nodes the tier of the account and region has room for."""
    name = f"{place} ssm"

    def read() -> PreflightCheck:
        tier = node_tier(shard).value
        if tier.limit is not None and tier.nodes >= tier.limit * TIER_TIGHT:
            fix = "deregister dead nodes, or plan the advanced tier: it prices every node"
            return PreflightCheck(name, CheckResult.WARN, tier.text, fix)
        return PreflightCheck(name, CheckResult.OK, tier.text)

    return attempt(name, read)


def role_check(shard: Shard, account: Account, place: str) -> PreflightCheck:
    """Check that the role of the hosts exists."""
    name, role = f"{place} role", account.instance_role

    def read() -> PreflightCheck:
        if instance_role_exists(shard, role).value:
            return PreflightCheck(name, CheckResult.OK, role)
        return PreflightCheck(
            name,
            CheckResult.FAIL,
            f"IAM role {role} does not exist",
            "create it: trust ssm.amazonaws.com, attach AmazonSSMManagedInstanceCore and "
            "AmazonEC2ContainerServiceforEC2Role",
        )

    return attempt(name, read)


def installer_check(wiring: Wiring) -> PreflightCheck:
    """Check that the install script that AWS offers now is pinned."""

    def read() -> PreflightCheck:
        script = read_install_script(wiring)
        if script.pinned is None:
            return PreflightCheck(
                "installer",
                CheckResult.FAIL,
                f"{script.place} has SHA-256 {script.sha256[:12]}…, which is not pinned",
                "read it with `fleet installer`, then `fleet installer --pin SHA256`",
            )
        seen = f"{script.place} is pinned ({script.pinned})"
        return PreflightCheck("installer", CheckResult.OK, seen)

    return attempt("installer", read)
