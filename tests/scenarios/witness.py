"""What AWS says of a store, asked with boto3 and not with fleet."""

from dataclasses import dataclass
from typing import Any

from tests.scenarios.conftest import World


@dataclass(frozen=True, slots=True)
class Truth:
    """A store as AWS has it.

    Attributes:
        nodes: SSM managed instances of the store's hosts, by name.
        instances: container instances of its cluster, by ``mi-`` id.
        activations: of its hosts that are not deleted.
    """

    nodes: dict[str, list[dict[str, Any]]]
    instances: dict[str, list[dict[str, Any]]]
    activations: list[dict[str, Any]]

    def assert_registered_once(self, hosts: list[str]) -> None:
        """Every host: one node that is Online, one instance that is connected, nothing left."""
        assert sorted(self.nodes) == sorted(hosts)
        for host in hosts:
            (node,) = self.nodes[host]
            assert node["PingStatus"] == "Online"
            (instance,) = self.instances[node["InstanceId"]]
            assert (instance["status"], instance["agentConnected"]) == ("ACTIVE", True)
            attributes = {a["name"]: a.get("value") for a in instance["attributes"]}
            assert f"{attributes['fleet.store']}/{attributes['fleet.host']}" == host
        assert len(self.instances) == len(hosts)
        assert self.activations == []


def truth(world: World, store: str) -> Truth:
    """Ask SSM and ECS."""
    ssm, ecs = world.aws("ssm", store), world.aws("ecs", store)
    nodes: dict[str, list[dict[str, Any]]] = {}
    pages = ssm.get_paginator("describe_instance_information").paginate(
        Filters=[{"Key": "tag:fleet:store", "Values": [store]}]
    )
    for node in (n for page in pages for n in page["InstanceInformationList"]):
        nodes.setdefault(node["Name"], []).append(node)
    instances: dict[str, list[dict[str, Any]]] = {}
    clusters = ecs.describe_clusters(clusters=[store])["clusters"]
    if clusters:
        pages = ecs.get_paginator("list_container_instances").paginate(cluster=store)
        arns = [arn for page in pages for arn in page["containerInstanceArns"]]
        described = (
            ecs.describe_container_instances(cluster=store, containerInstances=arns)[
                "containerInstances"
            ]
            if arns
            else []
        )
        for instance in described:
            instances.setdefault(instance["ec2InstanceId"], []).append(instance)
    pages = ssm.get_paginator("describe_activations").paginate()
    activations = [
        a
        for page in pages
        for a in page["ActivationList"]
        if a["DefaultInstanceName"].startswith(f"{store}/")
    ]
    return Truth(nodes, instances, activations)
