"""What AWS is asked once more before a fix, and what is not asked because no rule needs it."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from fleet.aws.managed_instances import KnownNodes
from fleet.aws.session import Shard
from fleet.drift import reread
from fleet.drift.decide.catalogue import CATALOGUE
from fleet.model.drift import Finding
from fleet.model.fixing import FixObservation
from fleet.model.observed import (
    Activation,
    Cluster,
    ContainerInstance,
    ManagedInstance,
    Reading,
)
from fleet.model.services import ServiceState, TaskState
from tests import build
from tests.drift.decide import fix_parts as parts
from tests.drift.decide.fix_parts import CLUSTER, DEAD, FLEET, KEEP, LOST, NOW, OLD, OLD_NODE, OURS

#: Of another fleet's making, by its tags.
FOREIGN = replace(KEEP, arn="foreign", managed_instance_id="mi-foreign", tags={})


class Aws:
    """What AWS says; every call is noted, and answered a second later than the one before."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.clock = self
        self.asked: list[str] = []
        self.instances: tuple[ContainerInstance, ...] = (KEEP,)
        self.nodes: tuple[ManagedInstance, ...] = ()
        self.tasks: tuple[TaskState, ...] = ()
        self.services: tuple[ServiceState, ...] = ()
        self.clusters: dict[str, Cluster] = {CLUSTER.name: CLUSTER}
        self.activation: Activation | None = None
        #: What was answered an hour before all else.
        self.oldest = "nothing"
        for name, answer in {
            "read_container_instances": self.read_container_instances,
            "describe_managed_instances": self.describe_managed_instances,
            "managed_instance_tags": self.managed_instance_tags,
            "read_tasks": self.read_tasks,
            "describe_services": self.describe_services,
            "describe_clusters": self.describe_clusters,
            "find_activation": self.find_activation,
        }.items():
            patch.setattr(reread, name, answer)

    def now(self) -> Any:
        return NOW

    def said(self, what: str, value: Any) -> Reading[Any]:
        self.asked.append(what)
        old = timedelta(hours=1) if what.startswith(self.oldest) else timedelta(0)
        return Reading(value, NOW + timedelta(seconds=len(self.asked)) - old)

    def read_container_instances(self, _shard: Shard, cluster: str) -> Reading[Any]:
        return self.said(f"instances of {cluster}", self.instances)

    def describe_managed_instances(self, _shard: Shard, ids: Iterable[str]) -> Reading[Any]:
        known = tuple(one for one in self.nodes if one.id in ids)
        return self.said(f"nodes {' '.join(ids)}", KnownNodes(known, ()))

    def managed_instance_tags(self, _shard: Shard, node: str) -> Reading[Any]:
        return self.said(f"tags of {node}", {"whose": node})

    def read_tasks(
        self, _shard: Shard, cluster: str, instance: object, *, stopped: bool
    ) -> Reading[Any]:
        assert (instance, stopped) == (None, False)
        return self.said(f"tasks of {cluster}", self.tasks)

    def describe_services(self, _shard: Shard, cluster: str, names: Iterable[str]) -> Reading[Any]:
        return self.said(f"services of {cluster} {' '.join(names)}", self.services)

    def describe_clusters(self, _shard: Shard, names: Iterable[str]) -> Reading[Any]:
        return self.said(f"clusters {' '.join(names)}", self.clusters)

    def find_activation(self, _shard: Shard, name: str) -> Reading[Any]:
        return self.said(f"activation {name}", self.activation)

    def look(self, finding: Finding, rollouts: Iterable[str] = ()) -> FixObservation:
        return reread.reread(cast("Shard", self), FLEET, finding, tuple(rollouts))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    return Aws(monkeypatch)


def test_its_time_is_that_of_the_oldest_part(aws: Aws) -> None:
    aws.nodes = (LOST,)
    seen = aws.look(parts.ghost_node())
    assert len(aws.asked) == 3
    assert seen.at == NOW + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("make", "oldest"),
    [
        (parts.twin, "instances"),
        (parts.twin, "nodes"),
        (parts.twin, "tags"),
        (parts.twin, "tasks"),
        (parts.twin, "services"),
        (parts.untagged_cluster, "clusters"),
        (parts.untagged_cluster, "instances"),
        (parts.untagged_service, "services"),
        (parts.stale_activation, "activation"),
    ],
)
def test_any_part_may_be_the_oldest(aws: Aws, make: Callable[[], Finding], oldest: str) -> None:
    busy = replace(DEAD, running_tasks=1)
    aws.instances, aws.tasks = (KEEP, busy), (parts.task(busy),)
    aws.nodes, aws.oldest = (build.node(),), oldest
    assert aws.look(make()).at < NOW


def test_the_rollouts_of_the_store_are_kept(aws: Aws) -> None:
    assert aws.look(parts.ghost_node(), ["ro-1", "ro-2"]).rollouts == {"ro-1", "ro-2"}
    assert aws.look(parts.ghost_node()).rollouts == frozenset()


def test_a_finding_of_no_fix_asks_nothing(aws: Aws) -> None:
    code = next(code for code, kind in CATALOGUE.items() if kind.fix is None)
    assert aws.look(parts.finding(code)) == FixObservation(NOW)
    assert aws.asked == []


def test_of_a_node_the_instances_and_its_tags_are_read(aws: Aws) -> None:
    aws.nodes = (LOST, build.node())
    seen = aws.look(parts.ghost_node())
    assert aws.asked == ["instances of store-042", f"nodes {OLD_NODE}", f"tags of {OLD_NODE}"]
    assert seen.instances == (KEEP,)
    assert seen.nodes == (replace(LOST, tags={"whose": OLD_NODE}),)


def test_a_node_that_the_finding_does_not_name_is_not_asked_for(aws: Aws) -> None:
    seen = aws.look(parts.finding("GHOST_NODE", node=""))
    assert (aws.asked, seen.nodes) == (["instances of store-042"], ())


def test_a_dead_instance_is_read_with_its_node(aws: Aws) -> None:
    aws.instances, aws.nodes = (KEEP, OLD), (LOST,)
    seen = aws.look(parts.ghost())
    assert aws.asked == ["instances of store-042", f"nodes {OLD_NODE}", f"tags of {OLD_NODE}"]
    assert (seen.instances, len(seen.nodes)) == ((KEEP, OLD), 1)
    assert (seen.tasks, seen.services) == ((), ())


def test_so_is_the_node_of_an_instance_whose_tags_prove_nothing(aws: Aws) -> None:
    aws.instances = (KEEP, OLD, FOREIGN)
    aws.look(parts.ghost())
    assert aws.asked[1] == f"nodes {OLD_NODE} mi-foreign"


def test_no_node_is_asked_for_when_nothing_dead_is_left(aws: Aws) -> None:
    aws.instances = (KEEP, FOREIGN)
    seen = aws.look(parts.ghost())
    assert (aws.asked, seen.instances) == (["instances of store-042"], (KEEP, FOREIGN))


@pytest.mark.parametrize("holds", [{"running_tasks": 1}, {"pending_tasks": 1}])
def test_tasks_and_their_services_are_read_where_a_dead_instance_holds_some(
    aws: Aws, holds: dict[str, Any]
) -> None:
    third = replace(OLD, arn="third")
    aws.instances = (KEEP, replace(OLD, **holds), third)
    mine, elsewhere = parts.task(OLD, service="b"), parts.task(KEEP, service="c")
    aws.tasks = (mine, parts.task(OLD, service="a"), parts.task(OLD, service=""), elsewhere)
    aws.services = (parts.service(), parts.service(status="INACTIVE"))
    one = parts.finding("TWIN", keep=KEEP.arn, arns=[OLD.arn, "third"], cluster=KEEP.cluster)
    seen = aws.look(one)
    assert aws.asked[2:] == ["tasks of store-042", "services of store-042 a b"]
    assert seen.instances == aws.instances
    assert (seen.tasks, seen.services) == (aws.tasks, (parts.service(),))


def test_tasks_of_a_living_instance_are_not_asked_for(aws: Aws) -> None:
    aws.instances = (replace(KEEP, running_tasks=1), OLD)
    aws.look(parts.ghost())
    assert aws.asked == ["instances of store-042", f"nodes {OLD_NODE}"]


def test_no_service_is_asked_for_that_started_none_of_them(aws: Aws) -> None:
    aws.instances = (KEEP, replace(OLD, running_tasks=1))
    aws.tasks = (parts.task(OLD, service=""), parts.task(KEEP))
    seen = aws.look(parts.ghost())
    assert aws.asked[-1] == "tasks of store-042"
    assert (seen.tasks, seen.services) == (aws.tasks, ())


def test_of_attributes_the_node_is_read_only_where_tags_prove_nothing(aws: Aws) -> None:
    aws.instances = (KEEP, FOREIGN)
    seen = aws.look(parts.attributes())
    assert (aws.asked, seen.instances) == (["instances of store-042"], aws.instances)
    aws.instances = (replace(KEEP, tags={}),)
    aws.look(parts.attributes())
    assert aws.asked[-1] == f"nodes {KEEP.managed_instance_id}"


def test_tags_of_a_host_that_the_inventory_does_not_name_prove_nothing(aws: Aws) -> None:
    aws.instances = (replace(KEEP, tags=OURS),)
    aws.look(replace(parts.attributes(), host="tel-9"))
    assert aws.asked[-1] == f"nodes {KEEP.managed_instance_id}"


def test_a_cluster_is_read_with_its_instances(aws: Aws) -> None:
    seen = aws.look(parts.untagged_cluster())
    assert aws.asked == ["clusters store-042", "instances of store-042"]
    assert (seen.cluster, seen.instances) == (CLUSTER, (KEEP,))


def test_a_cluster_that_is_gone_has_no_instances(aws: Aws) -> None:
    aws.clusters = {}
    seen = aws.look(parts.untagged_cluster())
    assert aws.asked == ["clusters store-042"]
    assert (seen.cluster, seen.instances) == (None, ())


def test_a_service_is_read_by_its_arn(aws: Aws) -> None:
    aws.services = (parts.service(),)
    seen = aws.look(parts.untagged_service())
    assert aws.asked == [f"services of store-042 {parts.SERVICE_ARN}"]
    assert seen.services == aws.services


def test_an_activation_is_read_by_its_id(aws: Aws) -> None:
    aws.activation = build.activation()
    seen = aws.look(parts.stale_activation())
    assert (aws.asked, seen.activation) == (["activation act-1"], aws.activation)


@pytest.mark.parametrize(
    ("make", "asked"),
    [
        (parts.twin, []),
        (parts.attributes, []),
        (parts.untagged_cluster, []),
        (parts.untagged_service, []),
        (parts.ghost_node, [f"nodes {OLD_NODE}"]),
        (parts.stale_activation, ["activation act-1"]),
    ],
)
def test_of_a_store_that_the_inventory_does_not_name_no_cluster_is_read(
    aws: Aws, make: Callable[[], Finding], asked: list[str]
) -> None:
    seen = aws.look(replace(make(), store="store-099"))
    assert aws.asked == asked
    assert (seen.instances, seen.cluster, seen.services) == ((), None, ())


def test_a_twin_on_its_own_node_is_found_by_its_arn(aws: Aws) -> None:
    aws.instances = (KEEP, DEAD)
    seen = aws.look(parts.twin())
    assert aws.asked == ["instances of store-042", f"nodes {KEEP.managed_instance_id}"]
    assert seen.nodes == ()
