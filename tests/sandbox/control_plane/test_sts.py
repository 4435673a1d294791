from typing import Any

import pytest

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.engine import access_key_for
from tests.sandbox.control_plane.rig import APAC, EMEA, REGION, Rig


def sts(rig: Rig, action: str, key: str, **body: str) -> dict[str, Any]:
    return rig.plane.call("sts", action, body, region=REGION, access_key=key)


def assume(rig: Rig, account: str, **body: str) -> dict[str, Any]:
    return sts(
        rig,
        "AssumeRole",
        access_key_for(EMEA),
        RoleArn=f"arn:aws:iam::{account}:role/teams/fleet-admin",
        RoleSessionName="night",
        **body,
    )


def test_the_operators_key_says_which_account_it_is(rig: Rig) -> None:
    who = sts(rig, "GetCallerIdentity", access_key_for(APAC))
    assert who["Account"] == APAC
    assert who["Arn"] == f"arn:aws:sts::{APAC}:assumed-role/fleet-operator/on-call"
    assert who["UserId"].startswith("AROA")


def test_a_role_leads_into_another_account(rig: Rig) -> None:
    made = assume(rig, APAC)
    key = made["Credentials"]["AccessKeyId"]
    who = sts(rig, "GetCallerIdentity", key)
    assert who["Arn"] == f"arn:aws:sts::{APAC}:assumed-role/fleet-admin/night"
    assert who["UserId"] == made["AssumedRoleUser"]["AssumedRoleId"]
    rig.plane.call("ecs", "CreateCluster", {"clusterName": "a"}, region=REGION, access_key=key)
    assert len(rig.ecs("ListClusters", account=APAC)["clusterArns"]) == 1


def test_assumed_credentials_end(rig: Rig) -> None:
    key = assume(rig, APAC, DurationSeconds="900")["Credentials"]["AccessKeyId"]
    rig.clock.advance(900)
    with pytest.raises(AwsFault, match="ExpiredTokenException"):
        sts(rig, "GetCallerIdentity", key)


def test_an_account_outside_the_sandbox_cannot_be_entered(rig: Rig) -> None:
    with pytest.raises(AwsFault, match="not authorized to perform: sts:AssumeRole") as caught:
        assume(rig, "999999999999")
    assert (caught.value.code, caught.value.status) == ("AccessDenied", 403)


@pytest.mark.parametrize("seconds", ["899", "43201", "an hour"])
def test_a_session_lasts_fifteen_minutes_to_twelve_hours(rig: Rig, seconds: str) -> None:
    with pytest.raises(AwsFault, match="between 900 and 43200"):
        assume(rig, APAC, DurationSeconds=seconds)


def test_an_arn_that_is_no_role_is_refused(rig: Rig) -> None:
    with pytest.raises(AwsFault, match="is invalid"):
        sts(rig, "AssumeRole", access_key_for(EMEA), RoleArn="x", RoleSessionName="night")


@pytest.mark.parametrize("key", ["AKIAIOSFODNN7EXAMPLE", access_key_for("999999999999"), ""])
def test_a_key_that_nobody_has_is_refused(rig: Rig, key: str) -> None:
    with pytest.raises(AwsFault) as caught:
        sts(rig, "GetCallerIdentity", key)
    assert caught.value.code == "UnrecognizedClientException"
