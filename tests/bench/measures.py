"""What the product promises about speed, measured; run by ``scripts/bench``.

Figures are ratios within one run, or counts against wall time where the promise is one; this is
never a test, because machines differ and are noisy.
"""

import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import boto3
from botocore.config import Config

from fleet.sandbox.agents.session import ConnectRequest
from fleet.sandbox.agents.ssm import request_role_token
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.control_plane.engine import ControlPlane, access_key_for
from fleet.sandbox.control_plane.in_process import InProcessSession
from fleet.sandbox.server import SandboxServer
from fleet.sandbox.spec import AccountSpec
from tests.bench import drift, inventories, rollouts
from tests.bench.taking import BIN, seconds

ACCOUNT = AccountSpec("111122223333", "bench")
REGIONS = ("eu-west-1", "eu-central-1")
KEY = access_key_for(ACCOUNT.account_id)
#: How many services calls are spread over.
SERVICES = 200


def help_against_aws(rounds: int = 7) -> str:
    """``fleet --help`` beside ``aws --version``, taken in turns."""

    def run(*words: str) -> float:
        return seconds(lambda: subprocess.run(words, check=True, capture_output=True))

    pairs = [
        (run(str(BIN / "fleet"), "--help"), run(str(BIN / "aws"), "--version"))
        for _ in range(rounds)
    ]
    ours, theirs = (median(side) for side in zip(*pairs, strict=True))
    return (
        f"fleet --help {ours:.3f} s, aws --version {theirs:.3f} s, "
        f"ratio {ours / theirs:.2f} (at most 0.50), median of {rounds}"
    )


def _hammer(url: str, calls: int, done: "multiprocessing.Queue[float]") -> None:
    client = _client(url)
    client.describe_clusters(clusters=["bench"])
    done.put(seconds(lambda: [client.describe_clusters(clusters=["bench"]) for _ in range(calls)]))


def _hammer_services(url: str, calls: int, done: "multiprocessing.Queue[float]") -> None:
    """Makes services and two revisions; then reads and changes them in turn, in two equal parts."""
    names = [f"bench-{number}" for number in range(SERVICES)]
    client = _client(url)
    container = {"name": "app", "image": "app", "memory": 64}
    client.create_cluster(clusterName="bench")
    for _ in range(2):
        client.register_task_definition(family="bench", containerDefinitions=[container])
    made = {"taskDefinition": "bench:1", "launchType": "EXTERNAL", "desiredCount": 1}
    for name in names:
        client.create_service(cluster="bench", serviceName=name, **made)

    def update(number: int) -> None:
        name = names[number % SERVICES]
        revision = f"bench:{2 - number // SERVICES % 2}"
        client.update_service(cluster="bench", service=name, taskDefinition=revision)

    def describe(number: int) -> None:
        name = names[number % SERVICES]
        client.describe_services(cluster="bench", services=[name], include=["TAGS"])

    for do in (describe, update):
        done.put(seconds(lambda do=do: [do(number) for number in range(calls)]))  # type: ignore[misc]


def _client(url: str) -> Any:
    return boto3.client(
        "ecs",
        region_name=REGIONS[0],
        endpoint_url=url,
        aws_access_key_id=KEY,
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )


def _over_http(
    hammer: Callable[[str, int, "multiprocessing.Queue[float]"], None], calls: int, parts: int
) -> list[float]:
    """What one boto3 client in another process measures against a sandbox without throttling."""
    plane = ControlPlane(SandboxClock(rate=1, start=time.time()), [ACCOUNT], throttling=False)
    server = SandboxServer(plane)
    server.start()
    try:
        spawn = multiprocessing.get_context("spawn")
        done: multiprocessing.Queue[float] = spawn.Queue()
        process = spawn.Process(target=hammer, args=(server.url, calls, done))
        process.start()
        took = [done.get(timeout=120) for _ in range(parts)]
        process.join()
    finally:
        server.stop()
        plane.close()
    return took


def calls_over_http(calls: int = 2000) -> str:
    """API calls a second over HTTP: one boto3 client in another process, throttling off."""
    (took,) = _over_http(_hammer, calls, 1)
    return (
        f"{calls / took:.0f} API calls/s over HTTP (at least 400), one boto3 client, {calls} calls"
    )


def services_over_http(calls: int = 1000) -> str:
    """DescribeServices and UpdateService a second over HTTP, each to one of many services."""
    reads, writes = (calls / took for took in _over_http(_hammer_services, calls, 2))
    return (
        f"{reads:.0f} DescribeServices/s and {writes:.0f} UpdateService/s over HTTP, "
        f"one boto3 client, {calls} calls each"
    )


def hosts_in_process(stores: int = 1000, hosts: int = 2) -> str:
    """Registers shops through the agents' session and reads every cluster back."""
    plane = ControlPlane(SandboxClock(rate=1, start=time.time()), [ACCOUNT], throttling=False)
    # The standard tier holds 1,000 nodes an account and region, so the shops lie in two.
    sessions = {region: InProcessSession(plane, region) for region in REGIONS}

    def call(region: str, service: str, action: str, **body: object) -> dict[str, object]:
        return plane.call(
            service, action, body, account=ACCOUNT.account_id, region=region, access_key=KEY
        )

    def register(region: str, store: str, host: str) -> None:
        session = sessions[region]
        made = call(
            region,
            "ssm",
            "CreateActivation",
            IamRole="ecsAnywhereRole",
            DefaultInstanceName=f"{store}/{host}",
            Tags=[{"Key": "fleet:store", "Value": store}],
        )
        fingerprint = f"{store}-{host}"
        body = {**made, "Fingerprint": fingerprint, "PublicKey": "a2V5", "PublicKeyType": "Rsa"}
        node = str(session.call("ssm", "RegisterManagedInstance", body, None)["InstanceId"])
        token = request_role_token(session, node, fingerprint)
        ping = {
            "InstanceId": node,
            "AgentName": "amazon-ssm-agent",
            "AgentVersion": "3.3.0.0",
            "AgentStatus": "Active",
            "PlatformType": "Linux",
        }
        session.call("ssm", "UpdateInstanceInformation", ping, token)
        answer = session.call(
            "ecs",
            "RegisterContainerInstance",
            {
                "cluster": store,
                "instanceIdentityDocument": "",
                "instanceIdentityDocumentSignature": "",
                "totalResources": [{"name": "CPU", "type": "INTEGER", "integerValue": 4096}],
                "attributes": [{"name": "fleet.store", "value": store}],
            },
            token,
        )
        arn = answer["containerInstance"]["containerInstanceArn"]
        request = ConnectRequest(store, arn, "1.105.1", "24.0.7")
        session.connect(token, request, lambda _kind, _message: None)
        call(region, "ssm", "DeleteActivation", ActivationId=made["ActivationId"])

    def everything() -> None:
        for index in range(stores):
            store, region = f"store-{index:04d}", REGIONS[index % 2]
            call(region, "ecs", "CreateCluster", clusterName=store)
            for host in range(hosts):
                register(region, store, f"host-{host}")

    took = seconds(everything)
    count = 0
    for at in range(0, stores, 100):
        for parity, region in enumerate(REGIONS):
            names = [f"store-{index:04d}" for index in range(at + parity, at + 100, 2)]
            clusters = call(region, "ecs", "DescribeClusters", clusters=names)["clusters"]
            assert isinstance(clusters, list)
            count += sum(c["registeredContainerInstancesCount"] for c in clusters)
    plane.close()
    return f"{count} hosts of {stores} stores registered in process in {took:.1f} s (under 60)"


def quickstart_own_part() -> str:
    """The quickstart without its installation: from `sandbox up` to a registered shop."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(tempfile.mkdtemp())
    env = {**os.environ, "FLEET_QUICKSTART": str(folder / "state")}
    try:
        took = seconds(
            lambda: subprocess.run(
                [root / "scripts" / "quickstart"], check=True, capture_output=True, env=env
            )
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return f"quickstart, environment already there: {took:.1f} s (under 20)"


def main() -> None:
    """Measure and print, a line each; only what is named, if anything is."""
    measures: Sequence[Callable[[], str]] = (
        help_against_aws,
        inventories.validating,
        inventories.one_store,
        calls_over_http,
        services_over_http,
        hosts_in_process,
        rollouts.gate_evaluation,
        rollouts.planning,
        rollouts.ticking,
        drift.against_naive,
        drift.scanning,
        quickstart_own_part,
    )
    for measure in measures:
        if sys.argv[1:] and measure.__name__ not in sys.argv[1:]:
            continue
        print(f"{measure.__name__:22} {measure()}", flush=True)  # noqa: T201 - its whole purpose
