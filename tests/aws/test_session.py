import pkgutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import fleet.aws
from fleet import __version__
from fleet.aws.account import get_caller_identity
from fleet.aws.activations import create_activation
from fleet.aws.budget import Budgets
from fleet.aws.clusters import create_cluster, describe_clusters
from fleet.aws.session import AwsAccess
from fleet.errors import AccessDenied, CredentialsError, UsageError
from fleet.model.inventory import Account
from tests.aws.canned import Canned, html, reply
from tests.aws.conftest import ACCOUNT, REGION, HandClock, Open, SandboxTime
from tests.sandbox.control_plane.rig import APAC, EMEA, Rig

NONE = reply({"clusters": [], "failures": []})


def write_config(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    (folder / "config").write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "none"))


def test_the_same_account_and_region_are_the_same_shard(clock: HandClock) -> None:
    with AwsAccess(clock) as access:
        assert access.shard(ACCOUNT, REGION) is access.shard(ACCOUNT, REGION)
        assert access.shard(ACCOUNT, REGION) is not access.shard(ACCOUNT, "us-east-1")


def test_opening_a_shard_looks_for_no_credentials(clock: HandClock) -> None:
    with AwsAccess(clock) as access:
        access.shard(Account("x", "999900001111", profile="not there"), REGION)


def test_requests_say_that_they_are_fleets(canned: Canned, open_shard: Open) -> None:
    canned.answers = [NONE]
    describe_clusters(open_shard(), ["store-042"])
    assert f"fleet/{__version__}" in canned.asked[0]["user-agent"]


def test_botocore_itself_repeats_nothing(canned: Canned, open_shard: Open) -> None:
    canned.answers = [html(500), NONE]
    describe_clusters(open_shard(), ["store-042"])
    assert "attempt=1; max=1" in canned.asked[1]["amz-sdk-request"]


def test_threads_share_a_shard(canned: Canned, open_shard: Open) -> None:
    canned.answers = [NONE]
    shard, found = open_shard(), []
    threads = [
        threading.Thread(target=lambda: found.append(describe_clusters(shard, ["a"]).value))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{}] * 8


def test_no_credentials_say_where_they_are_missing(
    clock: HandClock, open_shard: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(CredentialsError, match="no AWS credentials for emea-prod") as raised:
        get_caller_identity(open_shard())
    assert "AWS_PROFILE" in str(raised.value.hint)
    assert raised.value.exit_code == 2


def test_a_profile_that_is_not_there_is_named(open_shard: Open) -> None:
    with pytest.raises(CredentialsError, match="emea-ops") as raised:
        get_caller_identity(open_shard(Account("emea-prod", EMEA, profile="emea-ops")))
    assert "aws configure --profile emea-ops" in str(raised.value.hint)


def test_a_profile_of_the_environment_that_is_not_there_is_explained(
    open_shard: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    with pytest.raises(CredentialsError) as raised:
        get_caller_identity(open_shard())
    assert "nowhere" in str(raised.value)
    assert "AWS_PROFILE" in str(raised.value.hint)


SSO = """
[profile emea-ops]
sso_session = shops
sso_account_id = 111122223333
sso_role_name = ops
[sso-session shops]
sso_start_url = https://shops.awsapps.example/start
sso_region = eu-west-1
"""


def test_an_expired_sign_in_says_how_to_sign_in(
    open_shard: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_config(monkeypatch, tmp_path, SSO)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(CredentialsError) as raised:
        get_caller_identity(open_shard(Account("emea-prod", EMEA, profile="emea-ops")))
    assert raised.value.hint == "aws sso login --profile emea-ops"


def test_the_profile_of_the_account_wins_over_the_environment(
    canned: Canned, open_shard: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = "[profile p]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = s\n"
    write_config(monkeypatch, tmp_path, keys)
    canned.answers = [NONE]
    describe_clusters(open_shard(Account("emea-prod", EMEA, profile="p")), ["a"])
    assert "Credential=AKIAPROFILE/" in canned.asked[0]["authorization"]


def test_the_role_of_the_account_is_assumed(rig: Rig, sandbox_time: SandboxTime) -> None:
    role = f"arn:aws:iam::{APAC}:role/fleet-operator"
    with AwsAccess(sandbox_time) as access:
        seen = get_caller_identity(access.shard(Account("apac", APAC, role_arn=role), REGION)).value
    assert seen.account_id == APAC
    assert seen.arn.startswith(f"arn:aws:sts::{APAC}:assumed-role/fleet-operator/fleet-")


def test_a_role_that_may_not_be_assumed_is_named(rig: Rig, sandbox_time: SandboxTime) -> None:
    role = "arn:aws:iam::999999999999:role/fleet-operator"
    account = Account("else", "999999999999", role_arn=role)
    with (
        AwsAccess(sandbox_time) as access,
        pytest.raises(AccessDenied, match="not allowed: sts:AssumeRole, which ecs:Describe"),
    ):
        describe_clusters(access.shard(account, REGION), ["a"])


def test_an_activation_is_asked_for_again_when_only_assuming_the_role_failed(
    rig: Rig, sandbox_time: SandboxTime
) -> None:
    rig.plane.faults.add("sts", "AssumeRole", "InternalFailure", 500, 2)
    account = Account("emea", EMEA, role_arn=f"arn:aws:iam::{EMEA}:role/fleet-operator")
    with AwsAccess(sandbox_time) as access:
        create_activation(
            access.shard(account, REGION),
            role="ecsAnywhereRole",
            name="store-042/cam-1",
            expires_in_s=3600,
            tags={},
            now=sandbox_time.now(),
        )
    assert len(rig.ssm("DescribeActivations")["ActivationList"]) == 1


def test_messages_name_the_caller_once_it_is_known(rig: Rig, sandbox_time: SandboxTime) -> None:
    rig.plane.faults.add("ecs", "DescribeClusters", "AccessDeniedException", 400)
    with AwsAccess(sandbox_time) as access:
        shard = access.shard(ACCOUNT, REGION)
        arn = get_caller_identity(shard).value.arn
        with pytest.raises(AccessDenied) as raised:
            describe_clusters(shard, ["a"])
    assert arn in str(raised.value.hint)


def test_our_budget_keeps_us_from_being_throttled(rig: Rig, sandbox_time: SandboxTime) -> None:
    rig.plane.throttling = True
    throttled: list[str] = []

    def note(attempt: object) -> None:
        if getattr(attempt, "failure", None) is not None:
            throttled.append(str(attempt))

    with AwsAccess(sandbox_time, budgets=Budgets(sandbox_time).of, on_call=note) as access:
        shard = access.shard(ACCOUNT, REGION)
        for number in range(40):
            create_cluster(shard, f"store-{number}", {})
    assert throttled == []
    assert len(rig.ecs("ListClusters")["clusterArns"]) == 40


def test_an_endpoint_that_is_no_url_is_a_usage_error(
    open_shard: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "garbage")

    with pytest.raises(UsageError, match="garbage") as raised:
        get_caller_identity(open_shard())

    assert raised.value.hint == "correct or unset AWS_ENDPOINT_URL"


#: Loaded with the first call.
WITH_BOTO3 = {"clients", "faults", "retries"}


def test_importing_the_edge_does_not_import_boto3() -> None:
    names = {module.name for module in pkgutil.iter_modules(fleet.aws.__path__)} - WITH_BOTO3
    script = (
        f"import sys; from fleet.aws import {', '.join(sorted(names))}; "
        "print({'boto3', 'botocore', 'tenacity', 'urllib3'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout == b"set()\n"
