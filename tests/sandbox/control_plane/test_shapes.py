from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.shapes import problem
from tests.sandbox.control_plane.rig import Rig

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
PARAMETERS = ["cluster", "tags", "deploymentConfiguration", "desiredCount", "enableExecuteCommand"]


@given(st.dictionaries(st.sampled_from(PARAMETERS), JSON))
def test_any_json_is_judged(body: dict[str, Any]) -> None:
    assert isinstance(problem("ecs", "CreateService", {"serviceName": "s", **body}), str)


@pytest.mark.parametrize(
    ("service", "action", "body", "words"),
    [
        ("ecs", "CreateService", {}, "serviceName can not be blank."),
        ("ecs", "CreateService", {"serviceName": 7}, "serviceName must be a string, not int"),
        ("ecs", "ListTasks", {"desiredStatus": "ON"}, "must be one of RUNNING, PENDING, STOPPED"),
        ("ecs", "ListTasks", {"maxResults": True}, "maxResults must be a whole number, not bool"),
        ("ecs", "CreateCluster", {"tags": [{"colour": "red"}]}, "tags[0].colour is not a param"),
        ("ecs", "DescribeTasks", {"tasks": ["t", 1]}, "tasks[1] must be a string, not int"),
        (
            "ecs",
            "CreateService",
            {"serviceName": "s", "deploymentConfiguration": {"alarms": {"enable": True}}},
            "deploymentConfiguration.alarms.alarmNames can not be blank.",
        ),
        ("ssm", "CreateActivation", {"IamRole": "r" * 65}, "IamRole has the length 65"),
        (
            "ssm",
            "DescribeInstanceInformation",
            {"MaxResults": 4},
            "MaxResults is 4; it must be between 5 and 50",
        ),
        ("ssm", "GetParameter", {"Name": "x"}, ""),
        ("ssm", "RegisterManagedInstance", {"Whatever": 1}, ""),
        ("sts", "AssumeRole", {"DurationSeconds": "900"}, ""),
    ],
)
def test_what_aws_would_refuse_is_said(
    service: str, action: str, body: dict[str, Any], words: str
) -> None:
    found = problem(service, action, body)
    assert words in found
    assert bool(words) == bool(found)


def test_a_secret_of_the_wrong_type_is_not_repeated() -> None:
    assert "hunter2" not in problem("ssm", "CreateActivation", {"IamRole": ["hunter2"]})


@pytest.mark.parametrize("value", [None, "", []])
def test_a_parameter_that_holds_nothing_may_be_there(rig: Rig, value: Any) -> None:
    rig.ecs("CreateCluster", clusterName="a", capacityProviders=value or [])


def test_a_parameter_that_is_not_modelled_is_refused(rig: Rig) -> None:
    with pytest.raises(AwsFault, match="does not model capacityProviders of CreateCluster"):
        rig.ecs("CreateCluster", clusterName="a", capacityProviders=["FARGATE"])
