"""The SSH edge against the sandbox's hosts, which share none of its beliefs."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import HostKeyUnknown, HostUnreachable
from fleet.model.inventory import Architecture, Hardware, Host
from fleet.model.observed import HostFacts, Privilege
from fleet.model.secret import Secret
from fleet.register.decide.agent_config import var_ecs_config
from fleet.sandbox.daemon import Daemon, running
from fleet.sandbox.hosts.packages import installer_bytes
from fleet.sandbox.spec import (
    AccountSpec,
    HostSpec,
    SandboxSpec,
    StateDir,
    spec_as_json,
)
from fleet.ssh.connection import Connection, open_connection
from fleet.ssh.facts import read_facts
from fleet.ssh.install import InstallOrder, InstallReport, install

ACCOUNT, REGION = "111122223333", "eu-west-1"
SPEC = HostSpec(
    store="store-042",
    name="cam-1",
    address="cam-1.store-042.shops.example",
    user="fleet",
    account_id=ACCOUNT,
    region=REGION,
    machine="aarch64",
    os_release={"ID": "ubuntu", "VERSION_ID": "20.04", "PRETTY_NAME": "Ubuntu 20.04.6 LTS"},
    cpus=6,
    memory_mb=8192,
    docker={
        "version": "24.0.7",
        "default_runtime": "runc",
        "runtimes": ["runc", "nvidia"],
        "running": ["cam-legacy"],
    },
    l4t_release="# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref\n",
    devices=("/dev/nvhost-gpu",),
)
HOST = Host("cam-1", "store-042", SPEC.address, Hardware("xavier", Architecture.ARM64, "arm64"))


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Daemon]:
    state = StateDir(tmp_path / "sandbox")
    state.path.mkdir()
    spec = SandboxSpec((AccountSpec(ACCOUNT, "emea"),), (SPEC,), clock_rate=50, throttling=False)
    state.spec.write_text(json.dumps(spec_as_json(spec)))
    with running(state) as daemon:
        yield daemon


def connect(sandbox: Daemon, *, accept_new: bool = True) -> Connection:
    return open_connection(
        HOST,
        ssh_config=sandbox.state.ssh_config,
        known_hosts=sandbox.state.path / "known_hosts",
        accept_new=accept_new,
        on_new_key=lambda *_: None,
    )


def facts(sandbox: Daemon) -> HostFacts:
    with connect(sandbox) as connection:
        return read_facts(
            connection,
            endpoints=(
                f"https://ecs.{REGION}.amazonaws.com",
                f"https://ssm.{REGION}.amazonaws.com",
            ),
            devices=("/dev/nvhost-gpu", "/dev/absent"),
            now=lambda: datetime.fromtimestamp(sandbox.clock.now(), UTC),
        )


def ask(sandbox: Daemon, service: str, action: str, body: dict[str, Any]) -> dict[str, Any]:
    return sandbox.plane.call(service, action, body, region=REGION, account=ACCOUNT)


def register(
    sandbox: Daemon,
    *,
    activation: dict[str, Any] | None,
    on_step: Callable[[str], None] = lambda _: None,
) -> InstallReport:
    order = InstallOrder(
        region=REGION,
        cluster="store-042",
        activation_id=activation["ActivationId"] if activation else None,
        installer=installer_bytes(),
        ecs_config='ECS_CLUSTER=store-042\nECS_INSTANCE_ATTRIBUTES={"fleet.host":"cam-1"}\n',
        ecs_var_config=var_ecs_config(REGION),
        store_json="{}\n",
        set_runtime="nvidia",
    )
    code = Secret(activation["ActivationCode"]) if activation else None
    lines: list[str] = []
    with connect(sandbox) as connection:
        report = install(
            connection, order, code=code, on_line=lines.append, timeout_s=60, on_step=on_step
        )
    assert not code or code.reveal() not in "\n".join(lines)
    return report


def test_a_bare_host_is_what_the_sandbox_was_told(sandbox: Daemon) -> None:
    found = facts(sandbox)

    assert found.architecture is Architecture.ARM64
    assert found.privilege is Privilege.SUDO
    assert (found.os_id, found.os_version) == ("ubuntu", "20.04")
    assert found.systemd
    assert found.cpus == 6
    assert found.memory_mb == pytest.approx(8192, rel=0.02)
    assert found.disk_free_mb == SPEC.disk_free_mb
    assert found.l4t_release == "R35.4.1"
    assert found.devices == ("/dev/nvhost-gpu",)
    assert set(found.egress.values()) == {""}
    assert found.docker
    assert found.docker.active
    assert found.docker.default_runtime == "runc"
    assert found.docker.running == ("cam-legacy",)
    assert not found.ssm.installed
    assert not found.ecs.installed
    assert len(found.machine_id) == 32
    # 50 sandbox seconds pass in one of ours, so half a round trip weighs accordingly.
    assert abs(found.clock_offset_s) < 60


def test_a_host_is_registered_and_says_so_afterwards(sandbox: Daemon) -> None:
    ask(sandbox, "ecs", "CreateCluster", {"clusterName": "store-042"})
    activation = ask(sandbox, "ssm", "CreateActivation", {"IamRole": "ecsAnywhereRole"})

    report = register(sandbox, activation=activation)

    found = facts(sandbox)
    assert found.ssm.instance_id == report.managed_instance_id
    assert found.ssm.region == REGION
    assert found.ssm.active
    assert found.ssm.enabled
    assert found.ssm.version == report.ssm_agent_version != ""
    assert found.ecs.container_instance_arn == report.container_instance_arn
    assert found.ecs.cluster == "store-042"
    assert found.ecs.version == report.ecs_agent_version != ""
    assert found.ecs.config["ECS_EXTERNAL"] == "true"
    assert found.docker
    assert found.docker.default_runtime == "nvidia"
    assert found.shadow_credentials == ()

    again = register(sandbox, activation=None)

    assert again.container_instance_arn == report.container_instance_arn
    listed = ask(sandbox, "ecs", "ListContainerInstances", {"cluster": "store-042"})
    assert listed["containerInstanceArns"] == [report.container_instance_arn]


def test_facts_tell_of_an_install_that_runs(sandbox: Daemon) -> None:
    activation = ask(sandbox, "ssm", "CreateActivation", {"IamRole": "ecsAnywhereRole"})
    told: list[str] = []

    def look(name: str) -> None:
        if name == "config":
            told.append(facts(sandbox).installing)
            # Until now ECS refused to register it, and the install waited for that.
            ask(sandbox, "ecs", "CreateCluster", {"clusterName": "store-042"})

    register(sandbox, activation=activation, on_step=look)

    assert re.fullmatch(r"since 20\d\d-\S+Z by pid \d+", told[0])
    assert facts(sandbox).installing == ""


def test_an_agent_that_started_and_never_registered_has_state_and_no_arn(
    sandbox: Daemon,
) -> None:
    activation = ask(sandbox, "ssm", "CreateActivation", {"IamRole": "ecsAnywhereRole"})
    state = sandbox.state.host(SPEC) / "root/var/lib/ecs/data/agent.db"
    told: list[HostFacts] = []

    def look(name: str) -> None:
        if name == "registration":
            await_file(state)
            told.append(facts(sandbox))
            # Until now ECS refused to register it.
            ask(sandbox, "ecs", "CreateCluster", {"clusterName": "store-042"})

    report = register(sandbox, activation=activation, on_step=look)

    assert told[0].ecs.has_state
    assert told[0].ecs.container_instance_arn is None
    assert told[0].ecs.cluster is None
    assert facts(sandbox).ecs.container_instance_arn == report.container_instance_arn


def await_file(path: Path) -> None:
    for _ in range(1000):
        if path.exists():
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{path.name} did not come")


def test_facts_of_a_login_without_sudo_are_those_that_anybody_may_read(sandbox: Daemon) -> None:
    (sandbox.state.host(SPEC) / "root/etc/sudoers.d/fleet").unlink()

    found = facts(sandbox)

    assert found.privilege is Privilege.NONE
    assert found.architecture is Architecture.ARM64
    assert found.docker
    assert found.docker.active
    assert found.docker.version == ""
    assert found.installing == ""


def test_its_key_is_not_known_before_it_was_accepted(sandbox: Daemon) -> None:
    with pytest.raises(HostKeyUnknown, match=SPEC.address):
        connect(sandbox, accept_new=False)


def test_a_shop_that_is_cut_off_is_unreachable(sandbox: Daemon) -> None:
    sandbox.shops.links.cut("store-042")

    with pytest.raises(HostUnreachable):
        connect(sandbox)


@pytest.mark.parametrize("step", ["runtime", "installer", "config", "ecs"])
def test_a_host_whose_link_drops_midway_is_finished_by_the_next_run(
    sandbox: Daemon, step: str
) -> None:
    ask(sandbox, "ecs", "CreateCluster", {"clusterName": "store-042"})
    activation = ask(sandbox, "ssm", "CreateActivation", {"IamRole": "ecsAnywhereRole"})

    def drop(name: str) -> None:
        if name == step:
            sandbox.shops.drop(SPEC.id)

    with pytest.raises(HostUnreachable):
        register(sandbox, activation=activation, on_step=drop)

    registered = facts(sandbox).ssm.instance_id
    report = register(sandbox, activation=None if registered else activation)

    listed = ask(sandbox, "ecs", "ListContainerInstances", {"cluster": "store-042"})
    assert listed["containerInstanceArns"] == [report.container_instance_arn]
    nodes = ask(sandbox, "ssm", "DescribeInstanceInformation", {})["InstanceInformationList"]
    assert [node["InstanceId"] for node in nodes] == [report.managed_instance_id]
