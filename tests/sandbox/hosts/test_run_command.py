"""Run Command on a simulated host: the real script in a real shell, taken over its agent."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from fleet.model.drift import Probe
from fleet.sandbox.agents import ssm
from fleet.sandbox.hosts.program_server import ProgramServer
from fleet.sandbox.hosts.shop_host import ShopHost
from fleet.ssh.probe_answer import is_whole, read_answer
from fleet.ssh.probing import probe_script
from tests.sandbox.shop import Shop

WAIT_S = 20


@pytest.fixture
def host(quick: Shop, bridge: ProgramServer) -> ShopHost:
    """A host whose SSM agent runs and is registered."""
    host = quick.host()
    bridge.join(host)
    id_, code = quick.activation()
    host.install("amazon-ssm-agent")
    ssm.register(host, activation_id=id_, activation_code=code, region="eu-west-1")
    host.units.restart("amazon-ssm-agent")
    wait_for(lambda: any(n.get("PingStatus") == "Online" for n in quick.nodes()))
    return host


def wait_for(true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def run(shop: Shop, script: str) -> dict[str, object]:
    node = shop.nodes()[0]["InstanceId"]
    command = shop.call(
        "ssm",
        "SendCommand",
        DocumentName="AWS-RunShellScript",
        InstanceIds=[node],
        Parameters={"commands": script.splitlines()},
    )["Command"]["CommandId"]
    ask = {"CommandId": command, "InstanceId": node}
    wait_for(
        lambda: shop.call("ssm", "GetCommandInvocation", **ask)["Status"] in {"Success", "Failed"}
    )
    return shop.call("ssm", "GetCommandInvocation", **ask)


def test_a_script_runs_as_root_below_the_hosts_own_root(quick: Shop, host: ShopHost) -> None:
    said = run(quick, "id -un; pwd; cat $FLEET_ROOT/etc/hostname")

    assert said["StandardOutputContent"] == f"root\n{host.path('/root')}\n{host.hostname}\n"


def test_a_script_that_fails_says_so(quick: Shop, host: ShopHost) -> None:
    said = run(quick, "echo no >&2; exit 7")

    assert (said["Status"], said["ResponseCode"]) == ("Failed", 7)
    assert said["StandardErrorContent"] == "no\n"


def test_the_probe_reads_disk_temperature_clock_and_docker(quick: Shop, host: ShopHost) -> None:
    host.install("docker-ce")
    host.set_conditions({"temperature_c": 71.5, "disk_free_mb": 1234, "clock_offset_s": -9000.0})
    began = datetime.fromtimestamp(quick.clock.now(), UTC)
    text = str(run(quick, probe_script())["StandardOutputContent"])
    ended = datetime.fromtimestamp(quick.clock.now(), UTC)

    assert is_whole(text)
    answer = read_answer(text, after=began, before=ended, via="ssm")
    assert isinstance(answer, Probe)
    assert (answer.temperature_c, answer.disk_free_mb) == (71.5, 1234)
    assert answer.disk_total_mb == host.spec.disk_total_mb
    assert answer.clock_offset_s < -3000
    assert answer.machine_id == host.path("/etc/machine-id").read_text().strip()
    assert answer.booted_at is not None
    assert len(text) < 2500
