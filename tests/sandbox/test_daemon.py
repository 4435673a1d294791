"""The daemon as a process: what it writes, what survives its end, what it answers."""

import configparser
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from fleet.errors import SandboxError, UsageError
from fleet.sandbox.client import SandboxClient
from fleet.sandbox.daemon import Daemon, running, write_aws_files
from fleet.sandbox.spec import (
    AccountSpec,
    HostSpec,
    SandboxSpec,
    StateDir,
    host_from_json,
    spec_as_json,
    spec_from_json,
)
from tests.sandbox.shop import ACCOUNT, REGION, host_spec


@dataclass
class Rig:
    state: StateDir
    spec: SandboxSpec
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def client(self) -> SandboxClient:
        return SandboxClient(self.state)

    def up(self) -> None:
        log = self.state.log.open("ab")
        with log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fleet.sandbox", "--state", str(self.state.path)],
                stdout=log,
                stderr=log,
            )
        give_up = time.monotonic() + 20
        while self.client.pid() != self.process.pid:
            assert self.process.poll() is None, self.state.log.read_text()
            assert time.monotonic() < give_up
            time.sleep(0.02)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.process = None
        return code

    def ssh(self, address: str, command: str, *options: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["ssh", "-F", self.state.ssh_config, "-o", "BatchMode=yes", *options, address, command],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def host(self, name: str = "tel-1") -> dict[str, Any]:
        hosts = self.client.get("hosts")["hosts"]
        found: dict[str, Any] = next(h for h in hosts if h["name"] == name)
        return found


def spec_of(*hosts: HostSpec, rate: float = 50.0) -> SandboxSpec:
    return SandboxSpec((AccountSpec(ACCOUNT, "emea-prod"),), hosts, REGION, rate, throttling=False)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(StateDir(tmp_path / "sandbox"), spec_of(host_spec("tel-1"), host_spec("cam-1")))
    rig.state.path.mkdir()
    rig.state.spec.write_text(json.dumps(spec_as_json(rig.spec)))
    yield rig
    if rig.process is not None:
        rig.process.kill()
        rig.process.wait()


TRUST = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-q")
ADDRESS = "tel-1.store-042.shops.example"


def register(rig: Rig) -> str:
    """A host registered with the sandbox's own installer, by way of SSH; returns its mi- id."""
    session = boto3.Session("AKIASBX0111122223333", "x", region_name=REGION)
    ecs, ssm, s3 = (
        session.client(name, endpoint_url=rig.client.url()) for name in ("ecs", "ssm", "s3")
    )
    ecs.create_cluster(clusterName="store-042")
    made = ssm.create_activation(IamRole="ecsAnywhereRole")
    got = s3.get_object(Bucket="amazon-ecs-agent", Key="ecs-anywhere-install-latest.sh")
    script = got["Body"].read().decode()
    for client in (ecs, ssm, s3):
        client.close()
    command = (
        f"cat > i.sh; sudo -n bash i.sh --region {REGION} --cluster store-042 "
        f"--activation-id {made['ActivationId']} --activation-code {made['ActivationCode']}"
    )
    done = subprocess.run(
        ["ssh", "-F", rig.state.ssh_config, *TRUST, ADDRESS, command],
        input=script,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return str(rig.host()["managed_instance_id"])


def test_the_spec_is_the_same_after_a_trip_through_its_file() -> None:
    spec = spec_of(host_spec("tel-1"), host_spec("cam-1", docker=None, devices=("/dev/x",)))
    assert spec_from_json(json.loads(json.dumps(spec_as_json(spec)))) == spec
    assert host_from_json(spec_as_json(spec)["hosts"][1]) == spec.hosts[1]


def test_a_spec_that_is_none_is_refused_with_a_way_out() -> None:
    with pytest.raises(SandboxError) as caught:
        spec_from_json({"accounts": []})
    assert caught.value.hint is not None


def test_a_registered_host_is_the_same_after_the_daemon_was_killed(rig: Rig) -> None:
    rig.up()
    managed_instance = register(rig)
    before, url = rig.host(), rig.client.url()
    clock = rig.client.get("clock")["now"]
    rig.end(signal.SIGKILL)
    rig.up()
    assert rig.client.url() == url
    assert rig.client.get("clock")["now"] >= clock
    give_up = time.monotonic() + 20
    while (after := rig.host())["container_instance_arn"] is None:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    assert after == before
    assert after["managed_instance_id"] == managed_instance
    assert rig.client.get("status")["agents_connected"] == 1


def test_a_service_runs_on_a_host_and_is_seen_there(rig: Rig) -> None:
    rig.up()
    register(rig)
    session = boto3.Session("AKIASBX0111122223333", "x", region_name=REGION)
    ecs = session.client("ecs", endpoint_url=rig.client.url())
    ecs.register_task_definition(
        family="telemetry",
        requiresCompatibilities=["EXTERNAL"],
        containerDefinitions=[{"name": "app", "image": "shops/telemetry:4", "memory": 64}],
    )
    service = {"cluster": "store-042", "launchType": "EXTERNAL", "desiredCount": 1}
    ecs.create_service(serviceName="telemetry", taskDefinition="telemetry", **service)
    give_up = time.monotonic() + 20
    while not ecs.describe_services(cluster="store-042", services=["telemetry"])["services"][0][
        "runningCount"
    ]:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    ecs.close()
    seen = rig.ssh(ADDRESS, "sudo docker ps --format '{{.Names}} {{.Image}}'", *TRUST).stdout
    assert seen.startswith("ecs-telemetry-1-app-")
    assert "shops/telemetry:4" in seen
    (task,) = rig.host()["tasks"]
    assert (task["family"], task["status"]) == ("telemetry", "RUNNING")
    rig.end(signal.SIGKILL)
    rig.up()
    give_up = time.monotonic() + 20
    while rig.host()["container_instance_arn"] is None:  # the agent, too, has started anew
        assert time.monotonic() < give_up
        time.sleep(0.05)
    assert (
        rig.ssh(ADDRESS, "sudo docker ps --format '{{.Names}} {{.Image}}'", *TRUST).stdout == seen
    )


def test_a_real_ssh_client_gets_in_by_the_written_config_once_it_knows_the_key(
    rig: Rig, tmp_path: Path
) -> None:
    rig.up()
    known = f"UserKnownHostsFile={tmp_path / 'known'}"
    refused = rig.ssh(ADDRESS, "hostname", "-o", known)
    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr
    rig.ssh(ADDRESS, "true", "-o", known, "-o", "StrictHostKeyChecking=accept-new")
    assert ADDRESS in (tmp_path / "known").read_text()
    assert rig.ssh(ADDRESS, "hostname", "-o", known).stdout == "store-042-tel-1\n"


def test_host_keys_and_ports_survive_a_restart(rig: Rig, tmp_path: Path) -> None:
    rig.up()
    known = f"UserKnownHostsFile={tmp_path / 'known'}"
    rig.ssh(ADDRESS, "true", "-o", known, "-o", "StrictHostKeyChecking=accept-new")
    config = rig.state.ssh_config.read_text()
    assert rig.end() == 0
    rig.up()
    assert rig.state.ssh_config.read_text() == config
    assert rig.ssh(ADDRESS, "echo same", "-o", known).stdout == "same\n"


def test_a_second_daemon_on_the_same_folder_is_refused(rig: Rig) -> None:
    rig.up()
    with pytest.raises(SandboxError, match="another sandbox lives"):
        Daemon(rig.state)
    assert rig.client.pid() is not None


def test_a_folder_without_a_spec_is_no_sandbox(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="there is no sandbox"):
        Daemon(StateDir(tmp_path))


def test_it_stops_when_it_is_asked_and_says_so_to_nobody(rig: Rig) -> None:
    rig.up()
    assert rig.client.stop() is True
    assert rig.process is not None
    assert rig.process.wait(20) == 0
    assert rig.client.pid() is None
    assert rig.client.stop() is False
    assert "Traceback" not in rig.state.log.read_text()


def test_what_is_private_is_private(rig: Rig) -> None:
    with running(rig.state):
        for path in (rig.state.identity, rig.state.aws_credentials):
            assert path.stat().st_mode & 0o777 == 0o600
        token = rig.state.host(rig.spec.hosts[0]) / "root/run/sandbox/bridge"
        assert token.stat().st_mode & 0o777 == 0o600


def test_a_cut_store_and_a_cut_host_are_undone_one_by_one(rig: Rig) -> None:
    with running(rig.state):
        client = rig.client
        assert client.post("cut", {"target": "store-042"})["hosts"] == [
            "store-042/tel-1",
            "store-042/cam-1",
        ]
        client.post("cut", {"target": "store-042/cam-1"})
        client.post("restore", {"target": "store-042"})
        assert rig.host("tel-1")["link"] == "up"
        assert rig.host("cam-1")["link"] == "cut"
        client.post("restore", {"target": "store-042/cam-1"})
        assert rig.host("cam-1")["link"] == "up"


def test_a_flapping_link_flaps_on_after_a_restart(rig: Rig) -> None:
    with running(rig.state):
        body = {"target": "store-042/cam-1", "every_s": 100_000, "down_s": 99_999}
        rig.client.post("flap", body)
        assert rig.host("cam-1")["link"] == "cut"
    with running(rig.state) as daemon:
        assert rig.host("cam-1")["cut_by"] == ["flap"]
        rig.client.post("restore", {"target": "store-042/cam-1"})
        assert daemon.shops.host("store-042/cam-1").conditions.cut_by == []


def test_what_was_told_of_images_holds_after_a_restart(rig: Rig) -> None:
    with running(rig.state):
        rig.client.tell_images({"shops/vision:2": {"run": "crash", "after_s": 30}})
    with running(rig.state):
        assert rig.client.images() == {"shops/vision:2": {"run": "crash", "after_s": 30}}


def test_a_world_with_a_time_of_its_own_goes_on_from_there(rig: Rig) -> None:
    spec = replace(rig.spec, start=1_700_000_000.0, clock_rate=0.0)
    rig.state.spec.write_text(json.dumps(spec_as_json(spec)))
    with running(rig.state) as daemon:
        assert daemon.clock.now() == 1_700_000_000
        rig.client.post("clock/advance", {"seconds": 50})
    with running(rig.state) as daemon:
        assert 1_700_000_050 <= daemon.clock.now() < 1_700_000_100


def test_a_link_that_was_cut_is_cut_after_a_restart(rig: Rig) -> None:
    with running(rig.state):
        rig.client.post("cut", {"target": "store-042/cam-1"})
    with running(rig.state):
        assert rig.host("cam-1")["link"] == "cut"
        assert rig.ssh("cam-1.store-042.shops.example", "true", *TRUST).returncode == 255


def test_hosts_may_join_while_it_runs(rig: Rig) -> None:
    with running(rig.state):
        wanted = spec_of(*rig.spec.hosts, host_spec("cam-2"))
        assert rig.client.post("hosts", {"hosts": spec_as_json(wanted)["hosts"]}) == {"added": 1}
        done = rig.ssh("cam-2.store-042.shops.example", "hostname", *TRUST)
        assert done.stdout == "store-042-cam-2\n"
    content = json.loads(rig.state.spec.read_text())
    assert spec_from_json(content).hosts[-1].name == "cam-2"


def test_conditions_are_set_and_hosts_rebooted_from_outside(rig: Rig) -> None:
    with running(rig.state):
        rig.client.post("conditions", {"host": "store-042/tel-1", "settings": {"disk_free_mb": 3}})
        assert rig.ssh(ADDRESS, "df -m / | tail -1 | cut -d' ' -f4", *TRUST).stdout == "3\n"
        rig.client.post("reboot", {"host": "store-042/tel-1"})
        assert rig.host()["units"]["docker"] == "active"


@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        ("cut", {"target": "store-9"}, "no store store-9"),
        ("cut", {"target": "store-042/x"}, "no host store-042/x"),
        ("cut", {}, "'target' is missing"),
        ("conditions", {"host": "store-042/tel-1", "settings": {"x": 1}}, "no such condition: x"),
        ("conditions", {"host": "store-042/tel-1"}, "conditions are set by"),
        ("hosts", {"hosts": [{"store": "x"}]}, "cannot be read"),
        ("slow", {"target": "store-042", "mbps": "fast"}, "'mbps' must be a number"),
        ("flap", {"target": "store-042", "every_s": 60, "down_s": 60}, "condition flap cannot be"),
    ],
)
def test_a_control_call_that_makes_no_sense_is_refused(
    rig: Rig, path: str, body: dict[str, Any], complaint: str
) -> None:
    with running(rig.state), pytest.raises(UsageError, match=complaint):
        rig.client.post(path, body)


def test_a_profile_points_at_the_region_of_its_accounts_hosts(rig: Rig) -> None:
    far = host_spec("tel-9", account_id="444455556666", region="ap-southeast-1")
    accounts = (AccountSpec(ACCOUNT, "emea-prod"), AccountSpec("444455556666", "apac-prod"))
    write_aws_files(rig.state, SandboxSpec(accounts, (*rig.spec.hosts, far), REGION))
    config = configparser.ConfigParser()
    config.read(rig.state.aws_config)
    assert config["profile apac-prod"]["region"] == "ap-southeast-1"
    assert config["default"]["region"] == REGION


def test_nobody_home_is_said_with_the_way_to_change_it(tmp_path: Path) -> None:
    with pytest.raises(SandboxError) as caught:
        SandboxClient(StateDir(tmp_path)).get("clock")
    assert caught.value.hint == "fleet sandbox up --detach"


def test_the_file_of_a_killed_daemon_fools_nobody(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.endpoint.write_text(json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:1"}))
    state.lock.touch()
    assert SandboxClient(state).pid() is None
