"""The sandbox's install script, run whole on hosts."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from fleet.sandbox.agents import identity
from fleet.sandbox.hosts.packages import installer_bytes
from fleet.sandbox.hosts.shop_host import ShopHost
from tests.sandbox.hosts.conftest import Run
from tests.sandbox.shop import REGION, Shop


def install(
    shop: Shop, run: Run, host: ShopHost, *flags: str, activate: bool = True
) -> "subprocess.CompletedProcess[str]":
    words = ["--region", REGION, "--cluster", "store-042", *flags]
    if activate:
        activation_id, code = shop.activation()
        words += ["--activation-id", activation_id, "--activation-code", code]
    host.path("/tmp/install.sh").write_bytes(installer_bytes())
    return run(host, f'sudo bash "$FLEET_ROOT/tmp/install.sh" {" ".join(words)}')


def test_its_checksum_is_the_pinned_one() -> None:
    pins = yaml.safe_load(Path("inventory/pins.yaml").read_text())
    assert (
        pins["installers"].get(hashlib.sha256(installer_bytes()).hexdigest())
        == "the built-in sandbox"
    )


def test_it_brings_a_bare_host_to_a_connected_instance(quick: Shop, run: Run) -> None:
    quick.cluster()
    host = quick.host(docker=None)
    done = install(quick, run, host)
    assert done.returncode == 0, done.stderr
    (instance,) = quick.instances()
    assert instance["agentConnected"] is True
    assert quick.nodes()[0]["InstanceId"] == instance["ec2InstanceId"]
    assert [host.units.enabled(u) for u in ("docker", "amazon-ssm-agent", "ecs")] == [True] * 3


def test_no_start_leaves_the_ecs_agent_configured_and_stopped(shop: Shop, run: Run) -> None:
    host = shop.host()
    assert install(shop, run, host, "--no-start").returncode == 0
    assert host.units.enabled("ecs")
    assert not host.units.active("ecs")
    assert host.path("/etc/ecs/ecs.config").read_text() == "ECS_CLUSTER=store-042\n"
    assert "ECS_EXTERNAL=true" in host.path("/var/lib/ecs/ecs.config").read_text()


def test_it_can_be_sourced_by_a_root_shell_with_positional_parameters(shop: Shop, run: Run) -> None:
    host = shop.host()
    activation_id, code = shop.activation()
    host.path("/tmp/install.sh").write_bytes(installer_bytes())
    script = (
        f"IFS= read -r code\n{code}\n"
        f"( set -- --region {REGION} --activation-id {activation_id}"
        ' --activation-code "$code" --no-start\n'
        '  . "$FLEET_ROOT/tmp/install.sh" )\n'
        "exit $?\n"
    )
    done = run(host, "sudo -n bash -s", stdin=script)
    assert done.returncode == 0, done.stderr
    assert identity.read_registration(host) is not None


def test_an_existing_registration_is_kept_and_the_activation_not_used(shop: Shop, run: Run) -> None:
    host = shop.host()
    install(shop, run, host, "--no-start")
    before = identity.read_registration(host)
    again = install(shop, run, host, "--no-start")
    assert again.returncode == 0
    assert "already registered" in again.stdout
    assert identity.read_registration(host) == before
    counts = [
        a["RegistrationsCount"] for a in shop.call("ssm", "DescribeActivations")["ActivationList"]
    ]
    assert sorted(counts) == [0, 1]


def test_an_installed_agent_makes_it_return_early_with_the_configuration_as_it_was(
    shop: Shop, run: Run
) -> None:
    host = shop.host()
    host.install("amazon-ecs-init")
    done = install(shop, run, host)
    assert done.returncode == 0
    assert "ECS agent is already installed." in done.stdout
    assert host.path("/etc/ecs/ecs.config").read_text() == ""
    assert not host.units.active("ecs")


def test_configuration_is_appended_never_replaced(shop: Shop, run: Run) -> None:
    host = shop.host()
    host.path("/etc/ecs").mkdir()
    host.path("/etc/ecs/ecs.config").write_text("ECS_CLUSTER=older\n")
    install(shop, run, host, "--no-start")
    text = host.path("/etc/ecs/ecs.config").read_text()
    assert text == "ECS_CLUSTER=older\nECS_CLUSTER=store-042\n"


def test_skipping_registration_needs_an_enabled_ssm_agent(shop: Shop, run: Run) -> None:
    refused = install(shop, run, shop.host(), "--skip-registration", activate=False)
    assert refused.returncode == 1
    assert "needs an amazon-ssm-agent that is enabled" in refused.stderr


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--volume-plugins", "x"], "unknown option"),
        (["--ecs-version", "--no-start"], "empty environment variable"),
        (["--docker-install-source", "podman"], "must be all, docker, distro or none"),
    ],
)
def test_wrong_flags_are_refused_before_anything_is_done(
    shop: Shop, run: Run, flags: list[str], complaint: str
) -> None:
    host = shop.host(docker=None)
    refused = install(shop, run, host, *flags)
    assert refused.returncode == 1
    assert complaint in refused.stderr
    assert not host.units.installed("amazon-ssm-agent")


def test_an_unsupported_architecture_is_refused(shop: Shop, run: Run) -> None:
    refused = install(shop, run, shop.host(machine="armv7l"))
    assert refused.returncode == 1
    assert "Unsupported architecture: armv7l" in refused.stderr


def test_without_root_it_does_nothing(shop: Shop, run: Run) -> None:
    host = shop.host()
    host.path("/tmp/install.sh").write_bytes(installer_bytes())
    refused = run(host, f'bash "$FLEET_ROOT/tmp/install.sh" --region {REGION}')
    assert "run as root" in refused.stderr


def test_a_wrong_code_fails_it_and_a_later_run_finishes(shop: Shop, run: Run) -> None:
    host = shop.host()
    bad = install(
        shop,
        run,
        host,
        "--activation-id",
        "x",
        "--activation-code",
        "WRONG",
        "--no-start",
        activate=False,
    )
    assert bad.returncode == 1
    assert "could not be registered" in bad.stderr
    assert install(shop, run, host, "--no-start").returncode == 0


def test_without_gpg_it_warns_and_goes_on(shop: Shop, run: Run) -> None:
    done = install(shop, run, shop.host(packages=("curl",)), "--no-start")
    assert done.returncode == 0
    assert "used unverified" in done.stdout


def test_a_blocked_package_bucket_fails_it_with_the_url(quick: Shop, run: Run) -> None:
    host = quick.host()
    host.set_conditions({"blocked": ["amazon-ecs-agent-eu-west-1.s3.eu-west-1.amazonaws.com"]})
    failed = install(quick, run, host, "--no-start")
    assert failed.returncode == 1
    assert "could not download https://amazon-ecs-agent-eu-west-1" in failed.stderr


def test_it_leaves_no_downloads_behind(shop: Shop, run: Run) -> None:
    host = shop.host()
    install(shop, run, host, "--no-start")
    assert [p.name for p in host.path("/tmp").iterdir()] == ["install.sh"]


def test_the_activation_code_is_nowhere_on_the_host_afterwards(shop: Shop, run: Run) -> None:
    host = shop.host()
    activation_id, code = shop.activation()
    install(
        shop,
        run,
        host,
        "--activation-id",
        activation_id,
        "--activation-code",
        code,
        "--no-start",
        activate=False,
    )
    assert identity.read_registration(host) is not None
    holding = [
        path
        for path in shop.folder.rglob("*")
        if path.is_file() and not path.is_symlink() and code.encode() in path.read_bytes()
    ]
    assert holding == []


def test_bash_finds_nothing_wrong_with_it() -> None:
    bash = shutil.which("bash")
    assert bash
    checked = subprocess.run([bash, "-n"], input=installer_bytes(), check=False)
    assert checked.returncode == 0
