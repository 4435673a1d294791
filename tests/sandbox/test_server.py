import contextlib
import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, WaiterError

from fleet.errors import SandboxError, UsageError
from fleet.sandbox.control_plane.engine import access_key_for
from fleet.sandbox.server import SandboxServer
from tests.sandbox.control_plane.rig import APAC, EMEA, INSTALLER, REGION, START, Rig

CONTROL = {"X-Fleet-Sandbox": "1"}


class Site:
    """A rig that is served, and the clients that speak to it."""

    def __init__(self, rig: Rig, server: SandboxServer) -> None:
        self.rig = rig
        self.server = server
        self._clients: list[Any] = []

    def client(self, service: str, *, key: str = access_key_for(EMEA), **config: Any) -> Any:
        config = {"retries": {"total_max_attempts": 1}, **config}
        made = boto3.session.Session().client(
            service,
            region_name=REGION,
            endpoint_url=self.server.url,
            aws_access_key_id=key,
            aws_secret_access_key="any",
            config=Config(**config),
        )
        self._clients.append(made)
        return made

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """One request to the control API."""
        status, _, data = self.http(method, path, body, {**CONTROL, **(headers or {})})
        try:
            return status, json.loads(data)
        except ValueError:
            return status, data.decode()

    def http(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            connection.close()

    def aws(self, tmp_path: Path, *words: str) -> Any:
        """What the ``aws`` command line prints; None for nothing."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "AWS_ENDPOINT_URL": self.server.url,
            "AWS_ACCESS_KEY_ID": access_key_for(EMEA),
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        aws = Path(sys.executable).with_name("aws")
        done = subprocess.run(
            [str(aws), *words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.server.stop()
        self.rig.close()


@pytest.fixture
def site() -> Iterator[Site]:
    rig = Rig()
    server = SandboxServer(rig.plane)
    server.start()
    made = Site(rig, server)
    yield made
    made.close()


# The witnesses: boto3 and the aws command line, as they come.


def test_the_aws_command_line_sees_what_is_there(site: Site, tmp_path: Path) -> None:
    host = site.rig.host(attributes=[{"name": "fleet.store", "value": "store-042"}])
    found = site.aws(
        tmp_path,
        "ecs",
        "describe-container-instances",
        "--cluster=store-042",
        f"--container-instances={host.arn}",
    )
    (instance,) = found["containerInstances"]
    assert instance["ec2InstanceId"] == host.node
    assert instance["agentConnected"] is True
    assert {"name": "fleet.store", "value": "store-042"} in instance["attributes"]


def test_the_aws_command_line_describes_clusters(site: Site, tmp_path: Path) -> None:
    site.rig.host()
    found = site.aws(tmp_path, "ecs", "describe-clusters", "--clusters", "store-042", "gone")
    assert found["clusters"][0]["registeredContainerInstancesCount"] == 1
    assert found["failures"][0]["reason"] == "MISSING"


def test_tags_that_somebody_removed_from_a_node_can_be_put_back(site: Site, tmp_path: Path) -> None:
    tags = [{"Key": "fleet:host", "Value": "cam-1"}, {"Key": "fleet:store", "Value": "store-042"}]
    node = site.rig.node(Tags=tags).node
    resource = (f"--resource-id={node}", "--resource-type=ManagedInstance")

    site.aws(
        tmp_path, "ssm", "remove-tags-from-resource", *resource, "--tag-keys", "fleet:host", "gone"
    )

    left = site.aws(tmp_path, "ssm", "list-tags-for-resource", *resource)
    assert left == {"TagList": [tags[1]]}
    ask = {"ResourceType": "ManagedInstance", "ResourceId": node}
    ssm = site.client("ssm")
    ssm.add_tags_to_resource(Tags=tags, **ask)
    assert ssm.list_tags_for_resource(**ask)["TagList"] == tags


def test_the_aws_command_line_knows_who_it_is(site: Site, tmp_path: Path) -> None:
    found = site.aws(tmp_path, "sts", "get-caller-identity")
    assert found["Arn"] == f"arn:aws:sts::{EMEA}:assumed-role/fleet-operator/on-call"


def test_the_paginators_of_boto3_find_every_node_and_activation(site: Site) -> None:
    activation = site.rig.activation(RegistrationLimit=60)
    nodes = {site.rig.spend(activation) for _ in range(60)}
    ssm = site.client("ssm")
    pages = ssm.get_paginator("describe_instance_information").paginate()
    assert {n["InstanceId"] for page in pages for n in page["InstanceInformationList"]} == nodes
    for _ in range(60):
        site.rig.activation()
    activations = ssm.get_paginator("describe_activations").paginate()
    assert len([a for page in activations for a in page["ActivationList"]]) == 61


def test_the_paginators_of_boto3_find_every_instance_and_attribute(site: Site) -> None:
    arns = {site.rig.host(attributes=[{"name": "a", "value": "b"}]).arn for _ in range(7)}
    ecs = site.client("ecs")
    config = {"PageSize": 2}
    listed = ecs.get_paginator("list_container_instances").paginate(
        cluster="store-042", PaginationConfig=config
    )
    assert {arn for page in listed for arn in page["containerInstanceArns"]} == arns
    attributes = ecs.get_paginator("list_attributes").paginate(
        cluster="store-042", targetType="container-instance", PaginationConfig=config
    )
    assert {a["targetId"] for page in attributes for a in page["attributes"]} == arns


def test_a_waiter_of_boto3_reads_the_truth_that_there_is_no_service(site: Site) -> None:
    site.rig.ecs("CreateCluster", clusterName="store-042")
    waiter = site.client("ecs").get_waiter("services_inactive")
    with pytest.raises(WaiterError, match="MISSING"):
        waiter.wait(cluster="store-042", services=["vision"], WaiterConfig={"MaxAttempts": 1})


def test_every_shape_of_an_answer_is_the_one_boto3_expects(site: Site) -> None:
    ecs, ssm = site.client("ecs"), site.client("ssm")
    made = ecs.create_cluster(clusterName="store-042", tags=[{"key": "a", "value": "b"}])
    assert made["cluster"]["tags"] == [{"key": "a", "value": "b"}]
    activation = ssm.create_activation(IamRole="ecsAnywhereRole", RegistrationLimit=1)
    node = site.rig.spend(activation)
    shown = ssm.describe_instance_information(
        Filters=[{"Key": "InstanceIds", "Values": [node]}], MaxResults=50
    )["InstanceInformationList"][0]
    assert shown["RegistrationDate"].timestamp() == START
    ssm.delete_activation(ActivationId=activation["ActivationId"])


def test_an_error_is_the_exception_boto3_has_for_it(site: Site) -> None:
    ecs, ssm = site.client("ecs"), site.client("ssm")
    with pytest.raises(ecs.exceptions.ClusterNotFoundException):
        ecs.list_container_instances(cluster="gone")
    with pytest.raises(ssm.exceptions.InvalidActivation):
        ssm.delete_activation(ActivationId="00000000-0000-4000-8000-000000000000")
    with pytest.raises(ssm.exceptions.InvalidInstanceId):
        ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": ["mi-0"]}])


def test_boto3_takes_a_throttle_for_one(site: Site) -> None:
    site.rig.plane.throttling = True
    ecs = site.client("ecs")
    for _ in range(50):
        ecs.list_clusters()
    with pytest.raises(ClientError) as caught:
        ecs.list_clusters()
    assert caught.value.response["Error"] == {
        "Code": "ThrottlingException",
        "Message": "Rate exceeded",
    }
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_another_role_is_assumed_and_used(site: Site) -> None:
    made = site.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{APAC}:role/fleet", RoleSessionName="night"
    )
    key = made["Credentials"]["AccessKeyId"]
    assert made["Credentials"]["Expiration"].timestamp() == START + 3600
    assert site.client("sts", key=key).get_caller_identity()["Account"] == APAC


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("ecs", "list_clusters", "UnrecognizedClientException"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("iam", "list_roles", "InvalidClientTokenId"),
    ],
)
def test_unknown_credentials_are_refused(site: Site, service: str, call: str, code: str) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(site.client(service, key="AKIAIOSFODNN7EXAMPLE"), call)()
    assert caught.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("service", "call", "body"),
    [
        ("ecs", "run_task", {"taskDefinition": "vision"}),
        ("ecs", "describe_capacity_providers", {}),
        ("ssm", "start_session", {"Target": "mi-0123456789abcdef0"}),
    ],
)
def test_what_moto_does_wrong_never_reaches_it(
    site: Site, service: str, call: str, body: dict[str, Any]
) -> None:
    with pytest.raises(ClientError, match="the fleet sandbox does not model") as caught:
        getattr(site.client(service), call)(**body)
    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"
    assert site.ask("GET", "/_sandbox/status")[1]["moto"] is False


def test_the_installer_is_given_to_everybody(site: Site) -> None:
    s3 = site.client("s3", signature_version=UNSIGNED)
    found = {"Bucket": "amazon-ecs-agent", "Key": "ecs-anywhere-install-latest.sh"}
    answer = s3.get_object(**found)
    assert answer["Body"].read() == INSTALLER
    assert s3.head_object(**found)["ContentLength"] == len(INSTALLER)
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="amazon-ecs-agent", Key="other.sh")


def test_dates_come_from_the_sandboxs_clock(site: Site) -> None:
    site.rig.clock.advance(86_400)
    answers = [
        site.client("ecs").list_clusters(),
        site.client("sts").get_caller_identity(),
        site.client("ssm").describe_activations(),
    ]
    for answer in answers:
        date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
        assert parsedate_to_datetime(date).timestamp() == START + 86_400
        assert answer["ResponseMetadata"]["RequestId"]


def test_an_agent_registers_over_the_wire_without_a_signature(site: Site) -> None:
    activation = site.rig.activation()
    status, _, data = site.http(
        "POST",
        "/",
        {
            "ActivationId": activation["ActivationId"],
            "ActivationCode": activation["ActivationCode"],
            "Fingerprint": "f",
            "PublicKey": "k",
            "PublicKeyType": "Rsa",
        },
        {"X-Amz-Target": "AmazonSSM.RegisterManagedInstance"},
    )
    assert status == 200
    assert json.loads(data)["InstanceId"].startswith("mi-")


def test_websockets_of_agents_are_refused_loudly(site: Site) -> None:
    status, _, body = site.http("GET", "/acs/ws?clusterArn=a", None, {})
    assert status == 501
    assert b"does not model" in body


# Faults.


def test_a_fault_can_drop_the_connection_after_the_effect(site: Site) -> None:
    site.rig.plane.faults.add("ecs", "CreateCluster", "ConnectionReset", when="after")
    ecs = site.client("ecs")
    with pytest.raises(ConnectionClosedError):
        ecs.create_cluster(clusterName="store-042")
    assert len(ecs.list_clusters()["clusterArns"]) == 1


def test_a_fault_is_asked_for_over_http(site: Site) -> None:
    body = {"service": "sts", "action": "GetCallerIdentity", "code": "ExpiredTokenException"}
    assert site.ask("POST", "/_sandbox/faults", body) == (200, {})
    sts = site.client("sts")
    with pytest.raises(ClientError) as caught:
        sts.get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "ExpiredToken"
    assert site.ask("POST", "/_sandbox/faults", body) == (200, {})
    assert site.ask("POST", "/_sandbox/faults", {"clear": True}) == (200, {})
    assert sts.get_caller_identity()["Account"] == EMEA


@pytest.mark.parametrize(
    "body", [{}, {"service": "ecs"}, {"service": "e", "action": "a", "code": "c", "when": "x"}]
)
def test_a_fault_that_makes_no_sense_is_explained(site: Site, body: dict[str, str]) -> None:
    status, answer = site.ask("POST", "/_sandbox/faults", body)
    assert status == 400
    assert "this is no fault" in answer["error"]


def test_a_slow_answer_does_not_hold_up_the_others(site: Site) -> None:
    site.rig.plane.faults.add("ecs", "ListClusters", "", delay_s=60)
    slow = site.client("ecs")

    def wait() -> None:
        with contextlib.suppress(BotoCoreError):
            slow.list_clusters()

    thread = threading.Thread(target=wait)
    thread.start()
    while list(site.rig.plane.faults):
        time.sleep(0.001)
    site.client("ecs").list_clusters()
    assert thread.is_alive()
    site.server.stop()
    thread.join()


# The control API.


def test_the_clock_tells_its_time_and_rate(site: Site) -> None:
    assert site.ask("GET", "/_sandbox/clock") == (200, {"now": START, "rate": 0})


def test_the_clock_is_advanced_and_timers_run_on_the_way(site: Site) -> None:
    host = site.rig.host()
    status, answer = site.ask("POST", "/_sandbox/clock/advance", {"seconds": 3600})
    assert (status, answer["now"]) == (200, START + 3600)
    assert site.rig.seen(host)["agentConnected"] is True


@pytest.mark.parametrize("seconds", [-1, "soon", None, True])
def test_the_clock_refuses_nonsense(site: Site, seconds: Any) -> None:
    status, answer = site.ask("POST", "/_sandbox/clock/advance", {"seconds": seconds})
    assert status == 400
    assert "seconds" in answer["error"]


def test_one_can_wait_for_a_time_of_the_sandbox(site: Site) -> None:
    answers: list[Any] = []
    path = f"/_sandbox/clock?until={START + 60}"
    waiter = threading.Thread(target=lambda: answers.append(site.ask("GET", path)))
    waiter.start()
    site.rig.clock.advance(60)
    waiter.join()
    assert answers == [(200, {"now": START + 60, "rate": 0})]


def test_a_wait_for_no_time_is_refused(site: Site) -> None:
    assert site.ask("GET", "/_sandbox/clock?until=noon")[0] == 400


def test_the_status_counts(site: Site) -> None:
    site.rig.host()
    status, answer = site.ask("GET", "/_sandbox/status")
    assert status == 200
    assert answer["region_states"][0]["container_instances"] == 1
    assert answer["clock"] == {"now": START, "rate": 0}


def test_stop_only_asks(site: Site) -> None:
    assert not site.server.wait_for_stop(0)
    assert site.ask("POST", "/_sandbox/stop") == (200, {})
    assert site.server.wait_for_stop(0)
    assert site.ask("GET", "/_sandbox/status")[0] == 200


def test_more_handlers_may_be_added() -> None:
    def cut(body: dict[str, Any]) -> dict[str, Any]:
        if "store" not in body:
            raise UsageError("which store?", hint="name one")
        return {"cut": body["store"]}

    def show(query: dict[str, Any]) -> dict[str, Any]:
        return {"asked": query}

    rig = Rig()
    server = SandboxServer(rig.plane, extra={("POST", "cut"): cut, ("GET", "/_sandbox/show"): show})
    server.start()
    site = Site(rig, server)
    assert site.ask("POST", "/_sandbox/cut", {"store": "store-042"}) == (200, {"cut": "store-042"})
    refused = {"error": "which store?", "hint": "name one"}
    assert site.ask("POST", "/_sandbox/cut", {}) == (400, refused)
    assert site.ask("GET", "/_sandbox/show?a=1") == (200, {"asked": {"a": "1"}})
    assert site.ask("GET", "/_sandbox/cut")[0] == 404
    site.close()


# Nobody else may drive it.


def test_another_host_name_is_refused(site: Site) -> None:
    assert site.http("GET", "/_sandbox/clock", None, {"Host": "evil.example"})[0] == 403
    assert site.http("GET", "/_sandbox/clock", None, {"Host": "localhost:80"})[0] == 200


def test_a_web_page_is_refused(site: Site) -> None:
    origin = {"Origin": "http://evil.example"}
    assert site.http("GET", "/_sandbox/clock", None, origin)[0] == 403
    assert site.http("POST", "/", {}, origin)[0] == 403


def test_a_control_request_needs_its_header(site: Site) -> None:
    assert site.http("POST", "/_sandbox/stop", None, {})[0] == 403
    assert site.http("PUT", "/_sandbox/clock", {"rate": 1}, {})[0] == 403
    assert not site.server.wait_for_stop(0)


def test_it_listens_on_one_address_of_loopback_only(site: Site) -> None:
    with socket.socket() as other:
        other.settimeout(5)
        assert other.connect_ex(("127.0.0.2", site.server.port)) != 0


# Life.


def test_a_port_that_is_taken_is_said(site: Site) -> None:
    second = SandboxServer(site.rig.plane, port=site.server.port)
    with pytest.raises(SandboxError, match="cannot listen on 127"):
        second.start()


def test_the_port_is_free_again_after_a_stop() -> None:
    rig = Rig()
    first = SandboxServer(rig.plane)
    first.start()
    first.stop()
    first.stop()
    second = SandboxServer(rig.plane, port=first.port)
    second.start()
    assert second.url == rig.plane.endpoint
    second.stop()
    rig.close()


def test_a_code_that_comes_over_the_wire_is_in_no_log(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    activation = site.client("ssm").create_activation(IamRole="r")
    for body in ({"ActivationId": [activation["ActivationCode"]]}, activation):
        site.http(
            "POST",
            "/",
            {**body, "Fingerprint": 1},
            {"X-Amz-Target": "AmazonSSM.RegisterManagedInstance"},
        )
    assert activation["ActivationCode"] not in caplog.text


def test_whoever_ends_in_the_middle_of_a_request_is_no_failure_of_the_sandbox(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{site.server.port}\r\nContent-Length: 100\r\n\r\n"
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", site.server.port)) as asking:
            asking.sendall(f"{head}half".encode())
            # Let it be read before the connection is reset.
            assert site.ask("GET", "/_sandbox/status")[0] == 200
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert site.ask("GET", "/_sandbox/status")[0] == 200
    assert "failed" not in caplog.text
