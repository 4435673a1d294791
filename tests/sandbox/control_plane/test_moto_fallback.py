import hashlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from fleet.errors import SandboxError
from fleet.sandbox.control_plane.engine import access_key_for
from fleet.sandbox.control_plane.moto_fallback import MotoFallback, moto_models
from fleet.sandbox.server import SandboxServer
from fleet.sandbox.spec import AccountSpec
from tests.sandbox.control_plane.rig import APAC, EMEA, Rig


class Served:
    def __init__(self) -> None:
        self.rig = Rig()
        self.server = SandboxServer(self.rig.plane)
        self.server.start()
        self.clients: list[Any] = []

    def client(self, service: str, account: str = EMEA, region: str = "eu-west-1") -> Any:
        made = boto3.session.Session().client(
            service,
            region_name=region,
            endpoint_url=self.server.url,
            aws_access_key_id=access_key_for(account),
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 1}),
        )
        self.clients.append(made)
        return made


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    made = Served()
    yield made
    for client in made.clients:
        client.close()
    made.server.stop()
    made.rig.close()


@pytest.mark.parametrize("account", [EMEA, APAC])
def test_every_account_has_its_instance_role_trusted_to_ssm(served: Served, account: str) -> None:
    role = served.client("iam", account).get_role(RoleName="ecsAnywhereRole")["Role"]
    assert role["Arn"] == f"arn:aws:iam::{account}:role/ecsAnywhereRole"
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "ssm.amazonaws.com"}


def test_a_second_sandbox_in_the_same_process_finds_the_role_there(served: Served) -> None:
    served.client("iam").list_roles()
    ask = {"Host": "127.0.0.1", "X-Amz-Target": "Logs_20140328.DescribeLogGroups"}
    other = MotoFallback([AccountSpec(EMEA, "emea-prod")])
    assert other.answer("POST", "/", ask, b"{}", EMEA).status == 200


def test_accounts_do_not_see_each_others_queues(served: Served) -> None:
    served.client("sqs").create_queue(QueueName="events")
    assert "QueueUrls" not in served.client("sqs", APAC).list_queues()


def test_objects_come_back_from_s3_as_they_went(served: Served) -> None:
    s3 = served.client("s3")
    s3.create_bucket(
        Bucket="reports", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    data = bytes(range(256)) * 1000
    s3.put_object(Bucket="reports", Key="a b/ü.bin", Body=data, Metadata={"night": "1"})
    answer = s3.get_object(Bucket="reports", Key="a b/ü.bin")
    assert answer["Body"].read() == data
    assert s3.head_object(Bucket="reports", Key="a b/ü.bin")["ContentLength"] == len(data)


def test_parameters_are_motos_and_their_tags_too(served: Served) -> None:
    ssm = served.client("ssm")
    ssm.put_parameter(Name="/fleet/a", Value="1", Type="String")
    ask = {"ResourceType": "Parameter", "ResourceId": "/fleet/a"}
    ssm.add_tags_to_resource(Tags=[{"Key": "k", "Value": "v"}], **ask)
    assert ssm.get_parameter(Name="/fleet/a")["Parameter"]["Value"] == "1"
    assert ssm.list_tags_for_resource(**ask)["TagList"] == [{"Key": "k", "Value": "v"}]


def test_what_moto_does_not_know_is_refused_by_name(served: Served) -> None:
    with pytest.raises(ClientError, match="does not model iam:SimulatePrincipalPolicy"):
        served.client("iam").simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{EMEA}:role/ecsAnywhereRole", ActionNames=["s3:Get"]
        )


def test_its_answers_carry_the_sandboxs_date(served: Served) -> None:
    answer = served.client("iam").list_roles()
    assert answer["ResponseMetadata"]["HTTPHeaders"]["date"] == "Fri, 15 Jan 2027 08:00:00 GMT"


@pytest.mark.parametrize("when", ["before", "after"])
def test_faults_reach_its_services_too(served: Served, when: Any) -> None:
    served.rig.plane.faults.add("sqs", "CreateQueue", "ServiceUnavailable", 503, when=when)
    sqs = served.client("sqs")
    with pytest.raises(ClientError, match="this fault was asked for"):
        sqs.create_queue(QueueName=f"faulty-{when}")
    found = sqs.list_queues(QueueNamePrefix="faulty-").get("QueueUrls", [])
    assert len(found) == (1 if when == "after" else 0)
    if found:
        sqs.delete_queue(QueueUrl=found[0])


@pytest.mark.parametrize("action", ["SendCommand", "DescribeInstanceInformation", "StartSession"])
def test_its_node_operations_are_never_reached(action: str) -> None:
    assert not moto_models("ssm", action)
    assert not moto_models("ecs", "RunTask")


def test_a_missing_moto_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moto.moto_server.werkzeug_app", None)
    moto = MotoFallback([AccountSpec(EMEA, "emea-prod")])
    with pytest.raises(SandboxError, match="cannot be loaded") as caught:
        moto.answer("GET", "/", {}, b"", EMEA)
    assert "fleet[sandbox]" in (caught.value.hint or "")
    assert not moto.loaded


INDEX = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": f"sha256:{letter * 64}",
                "size": 500,
                "platform": {"architecture": architecture, "os": "linux"},
            }
            for letter, architecture in (("a", "amd64"), ("b", "arm64"))
        ],
    }
)


@pytest.mark.parametrize("account", [EMEA, APAC])
def test_a_manifest_list_is_found_by_its_tag_and_by_the_digest_of_its_content(
    served: Served, account: str
) -> None:
    ecr = served.client("ecr", account)
    ecr.create_repository(repositoryName="shops/vision")
    ecr.put_image(repositoryName="shops/vision", imageManifest=INDEX, imageTag="1.9.0")
    digest = f"sha256:{hashlib.sha256(INDEX.encode()).hexdigest()}"
    (image,) = ecr.batch_get_image(repositoryName="shops/vision", imageIds=[{"imageTag": "1.9.0"}])[
        "images"
    ]
    assert image["imageId"]["imageDigest"] == digest
    assert image["imageManifest"] == INDEX
    (again,) = ecr.batch_get_image(
        repositoryName="shops/vision", imageIds=[{"imageDigest": digest}]
    )["images"]
    assert again["imageManifest"] == INDEX
    (detail,) = ecr.describe_images(repositoryName="shops/vision")["imageDetails"]
    assert detail["imageDigest"] == digest
    assert detail["imageManifestMediaType"].endswith("image.index.v1+json")


def test_an_image_under_a_wrong_digest_is_refused(served: Served) -> None:
    ecr = served.client("ecr")
    ecr.create_repository(repositoryName="shops/wrong")
    with pytest.raises(ClientError, match="ImageDigestDoesNotMatchException"):
        ecr.put_image(
            repositoryName="shops/wrong", imageManifest=INDEX, imageDigest=f"sha256:{'0' * 64}"
        )


@pytest.mark.parametrize("account", [EMEA, APAC])
def test_log_groups_are_made_once_and_keep_their_retention(served: Served, account: str) -> None:
    # moto keeps its state as long as the process lives: a name that no other test takes.
    name = "/kept-once/vision"
    logs = served.client("logs", account)
    logs.create_log_group(logGroupName=name, tags={"fleet:rollout": "ro-1"})
    logs.put_retention_policy(logGroupName=name, retentionInDays=30)
    (group,) = logs.describe_log_groups(logGroupNamePrefix="/kept-once/")["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == (name, 30)
    with pytest.raises(ClientError, match="ResourceAlreadyExistsException"):
        logs.create_log_group(logGroupName=name)
