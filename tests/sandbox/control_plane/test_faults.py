from typing import Any

import pytest

from fleet.sandbox.agents.session import AwsFault, LinkDown
from fleet.sandbox.control_plane.faults import ConnectionDropped, Faults
from tests.sandbox.control_plane.rig import APAC, Rig


def clusters(rig: Rig) -> int:
    return len(rig.ecs("ListClusters")["clusterArns"])


def test_a_fault_before_the_effect_leaves_nothing_behind(rig: Rig) -> None:
    rig.plane.faults.add("ecs", "CreateCluster", "ServerException", 500)
    with pytest.raises(AwsFault, match="ServerException") as caught:
        rig.ecs("CreateCluster", clusterName="a")
    assert caught.value.status == 500
    assert clusters(rig) == 0


def test_a_fault_after_the_effect_hides_that_it_happened(rig: Rig) -> None:
    rig.plane.faults.add("ecs", "CreateCluster", "ServerException", 500, when="after")
    with pytest.raises(AwsFault, match="ServerException"):
        rig.ecs("CreateCluster", clusterName="a")
    assert clusters(rig) == 1


def test_a_fault_hits_as_often_as_it_was_told(rig: Rig) -> None:
    rig.plane.faults.add("ecs", "*", "ServerException", 500, 2)
    for _ in range(2):
        with pytest.raises(AwsFault):
            clusters(rig)
    assert clusters(rig) == 0
    assert list(rig.plane.faults) == []


def test_a_fault_hits_its_account_and_region_only(rig: Rig) -> None:
    rig.plane.faults.add("ecs", "ListClusters", "X", account=APAC, region="ap-southeast-1")
    rig.ecs("ListClusters")
    rig.ecs("ListClusters", account=APAC)
    with pytest.raises(AwsFault):
        rig.ecs("ListClusters", account=APAC, region="ap-southeast-1")


def test_a_dropped_connection_is_a_lost_link_for_an_agent(rig: Rig) -> None:
    activation = rig.activation()
    rig.plane.faults.add("ssm", "RegisterManagedInstance", "ConnectionReset", when="after")
    with pytest.raises(LinkDown) as caught:
        rig.spend(activation)
    assert activation["ActivationCode"] not in str(caught.value)
    nodes = rig.ssm("DescribeInstanceInformation")["InstanceInformationList"]
    assert len(nodes) == 1


def test_a_dropped_connection_has_no_answer(rig: Rig) -> None:
    rig.plane.faults.add("ecs", "ListClusters", "ConnectionReset")
    with pytest.raises(ConnectionDropped):
        rig.ecs("ListClusters")


@pytest.mark.parametrize(
    ("code", "seen"), [("ServerException", AwsFault), ("ConnectionReset", LinkDown)]
)
def test_a_fault_can_keep_an_agent_from_connecting(
    rig: Rig, code: str, seen: type[Exception]
) -> None:
    host = rig.host()
    rig.plane.faults.add("acs", "Connect", code)
    with pytest.raises(seen):
        rig.connect(host)
    rig.connect(host)


def test_a_fault_without_a_code_only_delays(rig: Rig) -> None:
    rig.plane.faults.add("ecs", "ListClusters", "", delay_s=0.001)
    assert rig.ecs("ListClusters") == {"clusterArns": []}
    assert list(rig.plane.faults) == []


def test_the_oldest_fault_goes_first_and_all_can_be_forgotten(rig: Rig) -> None:
    rig.plane.faults.add("ecs", "*", "First")
    rig.plane.faults.add("ecs", "*", "Second")
    with pytest.raises(AwsFault, match="First"):
        clusters(rig)
    rig.plane.faults.clear()
    assert clusters(rig) == 0


@pytest.mark.parametrize(
    "wrong", [{"when": "during"}, {"count": 0}, {"delay_s": -1}, {"status": 200}]
)
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="fault"):
        Faults().add("ecs", "*", "X", **wrong)
