import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.aws import task_definitions
from fleet.aws.calls import CallCounter, Timeouts
from fleet.aws.session import AwsAccess, Shard
from fleet.aws.task_definitions import (
    Registered,
    find_task_definition,
    register_task_definition,
)
from fleet.errors import AwsError, AwsUnreachable, CredentialsError
from fleet.model.desired import TaskDefinition
from fleet.model.identity import TAG_CONTENT
from fleet.model.normal_form import same_meaning
from tests.aws import bodies
from tests.aws.canned import Canned, fault, reply
from tests.aws.conftest import ACCOUNT, REGION, Open, SandboxTime
from tests.sandbox.control_plane.rig import Rig

FAMILY = "vision-arm64"
TAGS = {"fleet:fleet": "shops"}


def wanted(image: str = "vision:1", **more: Any) -> TaskDefinition:
    container = {
        "name": "app",
        "image": image,
        "memory": 256,
        "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
    }
    body = {
        "family": FAMILY,
        "requiresCompatibilities": ["EXTERNAL"],
        "containerDefinitions": [container],
        **more,
    }
    return TaskDefinition.of(body)


def revisions(rig: Rig, family: str = FAMILY) -> list[str]:
    found: list[str] = rig.ecs("ListTaskDefinitions", familyPrefix=family)["taskDefinitionArns"]
    return found


def test_a_definition_is_registered_under_its_content(shard: Shard, rig: Rig) -> None:
    arn = register_task_definition(shard, wanted(), TAGS)
    seen = task_definitions.task_definition(shard, arn)
    assert (seen.arn, seen.content) == (arn, wanted().content)
    assert same_meaning(wanted().body, seen.body)
    assert not {"revision", "status", "registeredAt"} & set(seen.body)
    (described,) = [rig.ecs("DescribeTaskDefinition", taskDefinition=arn, include=["TAGS"])]
    assert {"key": "fleet:fleet", "value": "shops"} in described["tags"]


def test_equal_definitions_share_one_revision(shard: Shard, rig: Rig) -> None:
    first = register_task_definition(shard, wanted(), TAGS)
    register_task_definition(shard, wanted("vision:2"), TAGS)
    assert register_task_definition(shard, wanted(), TAGS) == first
    assert len(revisions(rig)) == 2


@pytest.mark.parametrize(("code", "status"), [("ConnectionReset", 500), ("ServerException", 500)])
def test_a_registration_whose_answer_was_lost_is_found_and_used(
    shard: Shard, rig: Rig, code: str, status: int
) -> None:
    rig.plane.faults.add("ecs", "RegisterTaskDefinition", code, status, when="after")
    arn = register_task_definition(shard, wanted(), TAGS)
    assert revisions(rig) == [arn]


def test_a_registration_that_never_arrived_is_sent_again(shard: Shard, rig: Rig) -> None:
    rig.plane.faults.add("ecs", "RegisterTaskDefinition", "ConnectionReset", when="before")
    arn = register_task_definition(shard, wanted(), TAGS)
    assert revisions(rig) == [arn]


def test_a_registration_that_is_lost_again_and_again_is_given_up(shard: Shard, rig: Rig) -> None:
    rig.plane.faults.add("ecs", "RegisterTaskDefinition", "ConnectionReset", count=3)
    with pytest.raises(AwsUnreachable, match="whether AWS acted is unknown"):
        register_task_definition(shard, wanted(), TAGS)
    assert revisions(rig) == []


def test_a_registration_that_hangs_is_looked_for_before_it_is_sent_again(
    canned: Canned, open_shard: Open
) -> None:
    there = reply({"taskDefinitionArns": [bodies.OLD]})
    told = {"taskDefinition": bodies.revision(wanted().body)}
    tagged = {**told, "tags": [{"key": TAG_CONTENT, "value": wanted().content}]}
    canned.answers = [reply({"taskDefinitionArns": []}), canned.hang, there, reply(tagged)]
    found = register_task_definition(open_shard(timeouts=Timeouts(read_s=0.1)), wanted(), TAGS)
    assert found.endswith(f"{FAMILY}:1")
    assert [target.rpartition(".")[2] for target in canned.targets] == [
        "ListTaskDefinitions",
        "RegisterTaskDefinition",
        "ListTaskDefinitions",
        "DescribeTaskDefinition",
    ]


def test_two_registrations_in_one_family_at_once_are_taken_one_after_the_other(
    canned: Canned, open_shard: Open
) -> None:
    said = "Too many concurrent attempts to create a new revision of the specified family."
    made = {"taskDefinition": bodies.revision(wanted().body)}
    canned.answers = [
        reply({"taskDefinitionArns": []}),
        fault("ClientException", said),
        reply(made),
    ]
    assert register_task_definition(open_shard(), wanted(), TAGS).endswith(f"{FAMILY}:1")


def test_a_definition_that_ecs_refuses_is_an_error_at_once(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [reply({"taskDefinitionArns": []}), fault("ClientException", "no such mode")]
    with pytest.raises(AwsError, match="no such mode"):
        register_task_definition(open_shard(), wanted(), TAGS)
    assert len(canned.asked) == 2


def test_expired_credentials_end_it_at_once(canned: Canned, open_shard: Open) -> None:
    canned.answers = [reply({"taskDefinitionArns": []}), fault("ExpiredTokenException")]
    with pytest.raises(CredentialsError):
        register_task_definition(open_shard(), wanted(), TAGS)
    assert len(canned.asked) == 2


def test_a_revision_made_by_hand_that_says_the_same_is_used_and_tagged(
    shard: Shard, rig: Rig
) -> None:
    rig.ecs("RegisterTaskDefinition", **wanted().body)
    arn = register_task_definition(shard, wanted(), TAGS)
    assert revisions(rig) == [arn]
    assert task_definitions.task_definition(shard, arn).content == wanted().content


def test_a_revision_edited_by_hand_that_kept_our_tag_is_not_taken(shard: Shard, rig: Rig) -> None:
    ours = register_task_definition(shard, wanted(), TAGS)
    edited = copy.deepcopy(dict(wanted().body))
    edited["containerDefinitions"][0]["privileged"] = True
    tag = {"key": TAG_CONTENT, "value": wanted().content}
    rig.ecs("RegisterTaskDefinition", **edited, tags=[tag])
    found = find_task_definition(shard, wanted())
    assert found is not None
    assert found.arn == ours


def test_a_revision_tagged_with_other_content_is_not_taken(shard: Shard, rig: Rig) -> None:
    tag = {"key": TAG_CONTENT, "value": "other"}
    rig.ecs("RegisterTaskDefinition", **wanted().body, tags=[tag])
    assert find_task_definition(shard, wanted()) is None


def test_a_deregistered_revision_is_not_taken(shard: Shard, rig: Rig) -> None:
    arn = register_task_definition(shard, wanted(), TAGS)
    rig.ecs("DeregisterTaskDefinition", taskDefinition=arn)
    assert find_task_definition(shard, wanted()) is None


def test_a_family_whose_name_only_begins_alike_is_another(canned: Canned, open_shard: Open) -> None:
    canned.answers = [reply({"taskDefinitionArns": [bodies.OLD.replace(FAMILY, FAMILY + "-2")]})]
    assert find_task_definition(open_shard(), wanted()) is None
    assert len(canned.asked) == 1


def test_one_that_vanishes_while_being_read_is_passed_over(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [
        reply({"taskDefinitionArns": [bodies.NEW, bodies.OLD]}),
        fault("ClientException", "Unable to describe task definition."),
        reply({"taskDefinition": bodies.revision(wanted().body)}),
    ]
    found = find_task_definition(open_shard(), wanted())
    assert found is not None
    assert found.arn == bodies.OLD


def test_only_the_newest_revisions_are_looked_at(shard: Shard, rig: Rig) -> None:
    first = register_task_definition(shard, wanted(), TAGS)
    for number in range(5):
        rig.ecs("RegisterTaskDefinition", **wanted(f"other:{number}").body)
    assert find_task_definition(shard, wanted(), look_back=5) is None
    found = find_task_definition(shard, wanted(), look_back=6)
    assert found is not None
    assert found.arn == first


def test_many_bodies_in_one_family_are_each_read_once(rig: Rig, sandbox_time: SandboxTime) -> None:
    counter, seen = CallCounter(), dict[str, Registered]()
    with AwsAccess(sandbox_time, on_call=counter) as access:
        shard = access.shard(ACCOUNT, REGION)
        for number in range(12):
            register_task_definition(shard, wanted(f"vision:{number}"), TAGS, seen=seen)
    assert counter.attempts["ecs:RegisterTaskDefinition"] == 12
    assert counter.attempts["ecs:DescribeTaskDefinition"] == 11


def test_there_is_no_such_revision(shard: Shard) -> None:
    with pytest.raises(AwsError) as raised:
        task_definitions.task_definition(shard, "nothing:7")
    assert raised.value.code == "ClientException"


@pytest.mark.parametrize("body", [{"taskDefinition": {}}, {"taskDefinition": 5}])
def test_an_answer_that_makes_no_sense_is_an_error(
    canned: Canned, open_shard: Open, body: dict[str, Any]
) -> None:
    canned.answers = [reply(body)]
    with pytest.raises(AwsError, match="ecs:DescribeTaskDefinition"):
        task_definitions.task_definition(open_shard(), "a:1")


def as_ecs_returns(body: dict[str, Any]) -> dict[str, Any]:
    """A body with what ECS is known to fill in, and its environment in another order."""
    filled = copy.deepcopy(body)
    filled |= {"volumes": [], "placementConstraints": [], "networkMode": "bridge"}
    for container in filled["containerDefinitions"]:
        for key in ("mountPoints", "volumesFrom", "portMappings", "environment", "systemControls"):
            container.setdefault(key, [])
        container.setdefault("cpu", 0)
        container.setdefault("essential", True)
        container["environment"] = container["environment"][::-1]
        for mapping in container["portMappings"]:
            mapping.setdefault("hostPort", 0)
            mapping.setdefault("protocol", "tcp")
        if "healthCheck" in container:
            container["healthCheck"] = {
                "interval": 30,
                "timeout": 5,
                "retries": 3,
                **container["healthCheck"],
            }
    return filled


texts = st.text("abc", min_size=1, max_size=3)
containers = st.fixed_dictionaries(
    {"name": texts, "image": texts},
    optional={
        "cpu": st.integers(1, 512),
        "memory": st.integers(6, 512),
        "essential": st.booleans(),
        "environment": st.lists(
            st.fixed_dictionaries({"name": texts, "value": texts}),
            max_size=3,
            unique_by=lambda one: one["name"],
        ),
        "portMappings": st.lists(
            st.fixed_dictionaries(
                {"containerPort": st.integers(1, 9)},
                optional={"protocol": st.sampled_from(["tcp", "udp"])},
            ),
            max_size=2,
        ),
        "healthCheck": st.fixed_dictionaries(
            {"command": st.lists(texts, min_size=1)}, optional={"retries": st.integers(1, 9)}
        ),
        "command": st.lists(texts),
        "privileged": st.booleans(),
    },
)
definitions = st.fixed_dictionaries(
    {"family": texts, "containerDefinitions": st.lists(containers, min_size=1, max_size=2)}
)


@given(body=definitions)
def test_what_ecs_fills_in_makes_no_other_definition(body: dict[str, Any]) -> None:
    assert same_meaning(body, as_ecs_returns(body))


@given(
    body=definitions,
    change=st.sampled_from(
        [
            {"image": "zzz"},
            {"memory": 1024},
            {"cpu": 1024},
            {"command": ["rm"]},
            {"environment": [{"name": "zzz", "value": "z"}]},
            {"user": "root"},
            {"linuxParameters": {"capabilities": {"add": ["SYS_ADMIN"]}}},
        ]
    ),
)
def test_any_change_makes_another_definition(body: dict[str, Any], change: dict[str, Any]) -> None:
    changed = as_ecs_returns(body)
    changed["containerDefinitions"][0] |= change
    assert not same_meaning(body, changed)
