"""When fleet's own marks are put right, and when something may be another's."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.model.fixing import DeleteAttributes, PutAttributes, Seen, TagNode, TagResource
from fleet.model.identity import TAG_FLEET, TAG_STORE
from tests import build
from tests.drift.decide import fix_parts as parts
from tests.drift.decide.fix_parts import CLUSTER, KEEP, NOW, OURS, THEIRS

GOOD = KEEP.attributes


def with_attributes(**changes: Any) -> Seen:
    """The host's container instance, whose attributes differ from those declared."""
    return parts.seen(replace(KEEP, attributes={**GOOD, "fleet.ring": "by-hand"}, **changes))


def test_attributes_that_differ_are_set_and_others_of_ours_removed() -> None:
    said = {**GOOD, "fleet.ring": "by-hand", "fleet.old": "x", "ecs.os-type": "linux"}
    assert parts.done(parts.attributes(), parts.seen(replace(KEEP, attributes=said))) == (
        PutAttributes(KEEP.cluster, KEEP.arn, {"fleet.ring": "broad"}),
        DeleteAttributes(KEEP.cluster, KEEP.arn, ("fleet.old",)),
    )


def test_attributes_of_others_are_not_touched() -> None:
    said = parts.seen(replace(KEEP, attributes={**GOOD, "somebody.s": "own"}))
    assert "as declared" in parts.gone(parts.attributes(), said)


def test_attributes_are_set_to_what_is_declared_now_and_not_to_what_was() -> None:
    one = parts.finding("ATTRIBUTES", arn=KEEP.arn, put={"fleet.ring": "stale"}, drop=[])
    (deed,) = parts.done(one, with_attributes())
    assert deed == PutAttributes(KEEP.cluster, KEEP.arn, {"fleet.ring": "broad"})


def test_an_instance_without_any_mark_is_not_marked() -> None:
    said = parts.seen(replace(KEEP, attributes={}, tags={}))
    assert "nothing proves" in parts.left(parts.attributes(), said)


def test_the_attributes_of_another_fleet_s_instance_are_not_touched() -> None:
    assert "fleet another" in parts.left(parts.attributes(), with_attributes(tags=THEIRS))


def test_an_instance_that_is_gone_gets_no_attributes() -> None:
    assert "is gone" in parts.left(parts.attributes(), parts.seen())


def test_attributes_that_place_services_wait_for_a_rollout() -> None:
    said = parts.seen(replace(KEEP, attributes={**GOOD, "fleet.variant": "arm64"}))
    held = replace(said, rollouts=frozenset({"ro-7"}))
    assert "ro-7 is under way" in parts.left(parts.attributes(), held)
    assert parts.done(parts.attributes(), said)


def test_other_attributes_need_not_wait_for_a_rollout() -> None:
    held = replace(with_attributes(), rollouts=frozenset({"ro-7"}))
    assert parts.done(parts.attributes(), held)


def node(**tags: str) -> Seen:
    return parts.seen(KEEP, nodes=(build.node(tags=tags),))


def test_a_node_gets_the_tags_that_it_lacks() -> None:
    assert parts.done(parts.untagged_node(), node()) == (TagNode(build.MI, OURS),)


def test_a_node_that_has_its_tags_needs_nothing() -> None:
    assert "carries the tags" in parts.gone(parts.untagged_node(), node(**OURS))


def test_a_node_that_is_tagged_as_something_else_is_left() -> None:
    said = node(**{TAG_FLEET: "another"})
    assert "something else: fleet:fleet=another" in parts.left(parts.untagged_node(), said)


@pytest.mark.parametrize("instances", [(), (replace(KEEP, tags={}, attributes={}),)])
def test_a_node_for_which_no_instance_speaks_is_left(instances: Any) -> None:
    said = parts.seen(*instances, nodes=(build.node(tags={}),))
    assert "no container instance of it" in parts.left(parts.untagged_node(), said)


def test_a_node_that_is_gone_is_left() -> None:
    assert "does not know" in parts.left(parts.untagged_node(), parts.seen(KEEP))


def test_a_cluster_of_ours_gets_the_tag_that_it_lacks() -> None:
    said = Seen(NOW, cluster=replace(CLUSTER, tags={TAG_FLEET: "emea"}))
    wanted = (TagResource(CLUSTER.arn, {TAG_STORE: "store-042"}),)
    assert parts.done(parts.untagged_cluster(), said) == wanted


def test_a_cluster_without_tags_is_ours_when_a_host_in_it_is() -> None:
    (deed,) = parts.done(parts.untagged_cluster(), parts.seen(KEEP, cluster=CLUSTER))
    assert deed == TagResource(CLUSTER.arn, {TAG_FLEET: "emea", TAG_STORE: "store-042"})


def test_a_cluster_in_which_nothing_is_ours_is_left() -> None:
    said = parts.seen(replace(KEEP, tags=THEIRS), cluster=CLUSTER)
    assert "nothing in it" in parts.left(parts.untagged_cluster(), said)


def test_a_cluster_that_is_tagged_as_another_s_is_left() -> None:
    said = parts.seen(KEEP, cluster=replace(CLUSTER, tags={TAG_FLEET: "another"}))
    assert "something else" in parts.left(parts.untagged_cluster(), said)


@pytest.mark.parametrize("cluster", [None, replace(CLUSTER, status="INACTIVE")])
def test_a_cluster_that_is_gone_is_left(cluster: Any) -> None:
    said = parts.seen(KEEP, cluster=cluster)
    assert "not ACTIVE" in parts.left(parts.untagged_cluster(), said)


def test_a_cluster_that_has_its_tags_needs_nothing() -> None:
    tags = {TAG_FLEET: "emea", TAG_STORE: "store-042", "cost": "17"}
    said = Seen(NOW, cluster=replace(CLUSTER, tags=tags))
    assert "carries the tags" in parts.gone(parts.untagged_cluster(), said)


def with_service(**changes: Any) -> Seen:
    return Seen(NOW, services=(parts.service(**changes),))


def test_a_service_gets_back_the_tags_that_it_lost() -> None:
    (deed,) = parts.done(parts.untagged_service(), with_service(tags={TAG_FLEET: "emea"}))
    assert deed == TagResource(parts.SERVICE_ARN, {"fleet:content": "abc"})


def test_a_service_that_has_its_tags_needs_nothing() -> None:
    said = with_service(tags={TAG_FLEET: "emea", "fleet:content": "abc"})
    assert "carries the tags" in parts.gone(parts.untagged_service(), said)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "DRAINING"}, "not ACTIVE"),
        ({"arn": "another"}, "not ACTIVE"),
        ({"task_definition": "arn:x/telemetry-amd64:8"}, "telemetry-amd64:8 now"),
        ({"tags": {TAG_FLEET: "another"}}, "the tag of fleet another"),
    ],
)
def test_a_service_that_may_be_another_s_is_left(changes: dict[str, Any], why: str) -> None:
    assert why in parts.left(parts.untagged_service(), with_service(**changes))


def test_a_service_is_left_while_a_rollout_holds_its_store() -> None:
    held = replace(with_service(), rollouts=frozenset({"ro-7", "ro-8"}))
    assert "ro-7 and ro-8 is under way" in parts.left(parts.untagged_service(), held)
