"""What may be taken out of ECS and SSM, and all that must keep it there."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.drift import Finding
from fleet.model.fixing import (
    DeleteAttributes,
    DeregisterInstance,
    DeregisterNode,
    Fix,
    FixObservation,
    RemoveActivation,
    RepairAttributes,
    RepairNodeTags,
    TagResource,
)
from fleet.model.identity import TAG_FLEET, TAG_STORE
from fleet.model.observed import ContainerInstance, ManagedInstance, Ping
from fleet.model.services import TaskState
from tests import build
from tests.drift.decide import fix_parts as parts
from tests.drift.decide.fix_parts import CLUSTER, DAY, DEAD, KEEP, LOST, NOW, OLD, OURS, THEIRS

DROPPED = DeregisterInstance(DEAD.cluster, DEAD.arn)
FORCED = replace(DROPPED, force=True)
#: The twin holds a task.
BUSY = replace(DEAD, running_tasks=1)


def test_a_twin_without_tasks_is_deregistered_and_not_by_force() -> None:
    assert parts.done(parts.twin(), parts.seen(KEEP, DEAD)) == (DROPPED,)


def test_every_twin_but_the_connected_one_is_deregistered() -> None:
    third = replace(DEAD, arn="third")
    assert len(parts.done(two_twins(), parts.seen(KEEP, DEAD, third))) == 2


def two_twins() -> Finding:
    return parts.finding("TWIN", keep=KEEP.arn, arns=[DEAD.arn, "third"], cluster=KEEP.cluster)


def test_twins_of_which_one_is_of_another_node_are_left() -> None:
    third = replace(DEAD, arn="third", managed_instance_id=parts.OLD_NODE)
    assert "no longer of one node" in parts.left(two_twins(), parts.seen(KEEP, DEAD, third))


def test_of_two_twins_the_one_with_tasks_is_deregistered_by_force() -> None:
    third = replace(DEAD, arn="third")
    said = parts.seen(
        KEEP,
        BUSY,
        third,
        tasks=(parts.task(BUSY), parts.task(KEEP)),
        services=(parts.service(),),
    )
    found = parts.fix(two_twins(), said)
    assert found.deeds == (FORCED, replace(DROPPED, instance="third"))
    assert "its tasks run elsewhere too" in found.why


def test_a_twin_that_is_gone_needs_nothing() -> None:
    assert "any more" in parts.gone(parts.twin(), parts.seen(KEEP))


@pytest.mark.parametrize(
    ("keep", "dead", "why"),
    [
        (KEEP, replace(DEAD, agent_connected=True), "is connected now"),
        (replace(KEEP, agent_connected=False), DEAD, "which one lives"),
        (KEEP, replace(DEAD, registered_at=NOW), "not known to be older"),
        (KEEP, replace(DEAD, registered_at=None), "not known to be older"),
        (replace(KEEP, registered_at=None), DEAD, "not known to be older"),
        (KEEP, replace(DEAD, managed_instance_id=parts.OLD_NODE), "no longer of one node"),
        (KEEP, replace(DEAD, tags=THEIRS), "the tag of fleet another"),
        (KEEP, replace(DEAD, tags={}), "no tag proves"),
        (KEEP, replace(DEAD, tags={**parts.OURS, "fleet:host": "store-042/cam-1"}), "no tag"),
    ],
)
def test_a_twin_is_left_while_anything_about_it_is_in_doubt(
    keep: ContainerInstance, dead: ContainerInstance, why: str
) -> None:
    assert why in parts.left(parts.twin(), parts.seen(keep, dead))


def test_the_tags_of_the_node_prove_whose_an_instance_is() -> None:
    said = parts.seen(KEEP, replace(DEAD, tags={}), nodes=(build.node(),))
    assert parts.done(parts.twin(), said) == (DROPPED,)


def test_the_node_of_another_fleet_keeps_an_instance() -> None:
    said = parts.seen(KEEP, replace(DEAD, tags={}), nodes=(build.node(tags=THEIRS),))
    assert "fleet another" in parts.left(parts.twin(), said)


def busy(*tasks: object, **more: object) -> FixObservation:
    return parts.seen(KEEP, BUSY, tasks=(parts.task(BUSY), *tasks), **more)


def test_a_twin_whose_task_would_start_elsewhere_is_left_to_people() -> None:
    said = busy(services=(parts.service(),))
    assert "a person decides about tasks" in parts.left(parts.twin(), said)


def test_a_twin_whose_tasks_all_run_on_connected_hosts_is_deregistered_by_force() -> None:
    said = busy(parts.task(KEEP), services=(parts.service(),))
    assert parts.done(parts.twin(), said) == (FORCED,)


def test_a_task_that_is_only_starting_is_no_duplicate() -> None:
    said = busy(parts.task(KEEP, last_status="PENDING"), services=(parts.service(),))
    assert "a person decides" in parts.left(parts.twin(), said)


def test_a_service_that_wants_more_than_run_would_start_one() -> None:
    said = busy(parts.task(KEEP), services=(parts.service(desired=2),))
    assert "a person decides" in parts.left(parts.twin(), said)


def test_a_daemon_starts_nothing_when_every_connected_host_has_one() -> None:
    said = busy(parts.task(KEEP), services=(parts.service(scheduling="DAEMON", desired=2),))
    assert parts.done(parts.twin(), said) == (FORCED,)


def test_tasks_of_a_service_that_is_gone_are_started_by_nobody() -> None:
    assert parts.done(parts.twin(), busy()) == (FORCED,)


def test_a_task_that_no_service_started_is_a_person_s() -> None:
    said = parts.seen(KEEP, BUSY, tasks=(parts.task(BUSY, service=""),))
    assert "of no service" in parts.left(parts.twin(), said)


def test_tasks_that_were_not_listed_are_not_taken_for_none() -> None:
    assert "could not be read" in parts.left(parts.twin(), parts.seen(KEEP, BUSY))


def test_an_instance_of_an_earlier_node_is_deregistered() -> None:
    said = parts.seen(KEEP, OLD, nodes=(LOST,))
    assert parts.done(parts.ghost(), said) == (DROPPED,)


def test_an_instance_whose_node_ssm_forgot_is_deregistered() -> None:
    assert parts.done(parts.ghost(), parts.seen(KEEP, OLD)) == (DROPPED,)


def test_an_instance_of_an_earlier_node_that_is_gone_needs_nothing() -> None:
    assert "any more" in parts.gone(parts.ghost(), parts.seen(KEEP))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (parts.seen(OLD), "no other container instance"),
        (parts.seen(replace(KEEP, agent_connected=False), OLD), "no other container instance"),
        (parts.seen(replace(KEEP, status="DRAINING"), OLD), "no other container instance"),
        (parts.seen(replace(KEEP, tags={}, attributes={}), OLD), "no other container instance"),
        (parts.seen(KEEP, OLD, nodes=(replace(LOST, ping=Ping.ONLINE),)), "may still answer"),
        (
            parts.seen(KEEP, OLD, nodes=(replace(LOST, last_ping_at=NOW - timedelta(minutes=9)),)),
            "may still answer",
        ),
        (parts.seen(KEEP, replace(OLD, agent_connected=True)), "is connected now"),
    ],
)
def test_an_instance_of_an_earlier_node_is_left_while_its_host_is_not_sure(
    said: FixObservation, why: str
) -> None:
    assert why in parts.left(parts.ghost(), said)


def test_an_earlier_node_is_deregistered_in_ssm() -> None:
    said = parts.seen(KEEP, nodes=(LOST,))
    assert parts.done(parts.ghost_node(), said) == (DeregisterNode(LOST.id),)


def test_a_node_that_is_gone_needs_nothing() -> None:
    assert "any more" in parts.gone(parts.ghost_node(), parts.seen(KEEP))


@pytest.mark.parametrize(
    ("instances", "node", "why"),
    [
        ((KEEP,), replace(LOST, ping=Ping.ONLINE), "may still answer"),
        ((KEEP,), replace(LOST, last_ping_at=NOW - timedelta(minutes=14)), "may still answer"),
        ((KEEP,), replace(LOST, tags={}), "its tags do not say"),
        ((KEEP,), replace(LOST, tags=None), "its tags do not say"),
        ((KEEP,), replace(LOST, tags=THEIRS), "its tags do not say"),
        ((KEEP, replace(OLD, agent_connected=True)), LOST, "of it is connected"),
        ((KEEP, replace(OLD, registered_at=NOW)), LOST, "newest"),
        ((), LOST, "no other node"),
        ((replace(KEEP, agent_connected=False),), LOST, "no other node"),
    ],
)
def test_a_node_is_left_while_anything_about_it_is_in_doubt(
    instances: tuple[ContainerInstance, ...], node: ManagedInstance, why: str
) -> None:
    assert why in parts.left(parts.ghost_node(), parts.seen(*instances, nodes=(node,)))


def test_of_several_connected_instances_the_newest_speaks_for_the_host() -> None:
    older = replace(KEEP, arn="older", managed_instance_id="mi-older", registered_at=NOW - 10 * DAY)
    for instances in ((older, KEEP, OLD), (KEEP, older, OLD)):
        said = parts.seen(*instances, nodes=(LOST, build.node(), build.node(id="mi-older")))
        assert parts.done(parts.ghost_node(), said) == (DeregisterNode(LOST.id),)
        assert KEEP.managed_instance_id in parts.fix(parts.ghost_node(), said).why


@pytest.mark.parametrize(("seconds", "fixed"), [(-1, False), (0, True), (1, True)])
def test_an_activation_is_forgotten_when_it_has_been_open_for_its_time(
    seconds: int, *, fixed: bool
) -> None:
    age = timedelta(seconds=parts.FLEET.drift.activation_open_s + seconds)
    said = FixObservation(NOW, activation=replace(OPEN, created_at=NOW - age))
    if fixed:
        assert parts.done(parts.stale_activation(), said) == (RemoveActivation("act-1"),)
    else:
        assert "not known to be older" in parts.left(parts.stale_activation(), said)


@pytest.mark.parametrize(("seconds", "expired"), [(-1, True), (0, True), (1, False)])
def test_an_activation_has_expired_at_its_moment(seconds: int, *, expired: bool) -> None:
    moment = NOW + timedelta(seconds=seconds)
    said = FixObservation(NOW, activation=replace(OPEN, created_at=None, expires_at=moment))
    if expired:
        assert "it expired" in parts.fix(parts.stale_activation(), said).why
    else:
        assert "not known" in parts.left(parts.stale_activation(), said)


OPEN = build.activation(count=0, expires_at=NOW + DAY, created_at=NOW - 2 * DAY)


def test_an_activation_that_was_left_open_is_deleted() -> None:
    said = FixObservation(NOW, activation=OPEN)
    assert parts.done(parts.stale_activation(), said) == (RemoveActivation("act-1"),)


def test_one_that_has_expired_is_deleted_whenever_it_was_made() -> None:
    expired = replace(OPEN, expires_at=NOW, created_at=None)
    one = parts.stale_activation("ACTIVATION_EXPIRED")
    assert parts.done(one, FixObservation(NOW, activation=expired)) == (RemoveActivation("act-1"),)


def test_an_activation_that_is_gone_needs_nothing() -> None:
    assert "any more" in parts.gone(parts.stale_activation(), FixObservation(NOW))


@pytest.mark.parametrize(
    ("activation", "why"),
    [
        (replace(OPEN, tags=THEIRS), "its tags do not say"),
        (replace(OPEN, tags={}), "its tags do not say"),
        (replace(OPEN, created_at=NOW - timedelta(hours=23)), "not known to be older"),
        (replace(OPEN, created_at=None), "not known to be older"),
    ],
)
def test_an_activation_that_may_be_in_use_or_another_s_is_left(
    activation: object, why: str
) -> None:
    said = FixObservation(NOW, activation=activation)  # type: ignore[arg-type] # of a parameter list
    assert why in parts.left(parts.stale_activation(), said)


@pytest.mark.parametrize("make", [parts.twin, parts.ghost, parts.ghost_node, parts.attributes])
def test_what_is_of_no_host_of_the_inventory_is_left(make: object) -> None:
    one: Finding = make()  # type: ignore[operator] # of a parameter list
    said = parts.seen(KEEP, DEAD, nodes=(LOST,))
    assert "does not name its host" in parts.left(replace(one, host="gone-1"), said)


def mostly(good: object, *bad: object) -> st.SearchStrategy[Any]:
    """Nearly always the good one: a world in which several things are wrong proves little."""
    return st.sampled_from([*[good] * 8, *bad])


STRANGE: tuple[dict[str, str], ...] = (THEIRS, {}, {**parts.OURS, "fleet:store": "store-007"})
TIMES = (None, NOW - 9 * DAY, NOW - DAY, NOW)


def instances(one: ContainerInstance) -> st.SearchStrategy[ContainerInstance]:
    """One like this, in which something may be otherwise."""
    return st.builds(
        partial(replace, one),
        managed_instance_id=mostly(one.managed_instance_id, build.MI, parts.OLD_NODE),
        agent_connected=mostly(one.agent_connected, not one.agent_connected),
        registered_at=mostly(one.registered_at, *TIMES),
        tags=mostly(one.tags, *STRANGE),
        running_tasks=st.integers(0, 1),
    )


def managed(one: ManagedInstance) -> st.SearchStrategy[tuple[ManagedInstance, ...]]:
    """One like this, in which something may be otherwise; or none."""
    found = st.builds(
        partial(replace, one),
        ping=mostly(one.ping, *Ping),
        last_ping_at=mostly(one.last_ping_at, *TIMES),
        tags=mostly(one.tags, *STRANGE, None),
    )
    return st.one_of(st.tuples(found), mostly((one,), ()))


def tasks(on: ContainerInstance) -> st.SearchStrategy[list[TaskState]]:
    """One on each, as often as not."""
    service = mostly(parts.SERVICE, "")
    status = mostly("RUNNING", "PENDING")
    one = st.builds(
        lambda where, of, last: parts.task(where, service=of, last_status=last),
        st.sampled_from([KEEP, on]),
        service,
        status,
    )
    return st.lists(one, max_size=3)


def worlds(dead: ContainerInstance) -> st.SearchStrategy[FixObservation]:
    """What AWS may say of a leftover beside the container instance that lives."""
    services = st.builds(parts.service, desired=st.integers(0, 2))
    return st.builds(
        lambda keep, other, live, lost, some, of: parts.seen(
            keep, other, nodes=(*live, *lost), tasks=tuple(some), services=tuple(of)
        ),
        instances(KEEP),
        instances(dead),
        managed(build.node()),
        managed(LOST),
        tasks(dead),
        st.lists(services, max_size=1),
    )


CASES = st.one_of(
    st.tuples(st.just(parts.twin()), worlds(DEAD)),
    st.tuples(st.just(parts.ghost()), worlds(OLD)),
    st.tuples(st.just(parts.ghost_node()), worlds(OLD)),
)


@given(CASES)
def test_nothing_that_is_connected_newest_or_another_s_is_ever_deregistered(
    case: tuple[Finding, FixObservation],
) -> None:
    one, said = case
    found = parts.answer(one, said)
    if not isinstance(found, Fix):
        return
    by_arn = {i.arn: i for i in said.instances}
    by_id = {n.id: n for n in said.nodes}
    for deed in found.deeds:
        if isinstance(deed, DeregisterInstance):
            dead = by_arn[deed.instance]
            node = by_id.get(dead.managed_instance_id)
            assert not dead.agent_connected
            assert dead.tags == parts.OURS or (node is not None and node.tags == parts.OURS)
            assert THEIRS not in (dead.tags, node.tags if node else None)
            assert deed.force == bool(dead.running_tasks)
            assert is_older_than_a_connected_one(dead, said)
        else:
            assert isinstance(deed, DeregisterNode)
            node = by_id[deed.node]
            assert node.ping is not Ping.ONLINE
            assert node.tags == parts.OURS
            mine = [i for i in said.instances if i.managed_instance_id == deed.node]
            assert not any(i.agent_connected for i in mine)
            assert any(
                i.agent_connected and i.managed_instance_id != deed.node for i in said.instances
            )


def is_older_than_a_connected_one(dead: ContainerInstance, said: FixObservation) -> bool:
    return any(
        one.agent_connected
        and one.registered_at is not None
        and dead.registered_at is not None
        and dead.registered_at < one.registered_at
        for one in said.instances
    )


GOOD = KEEP.attributes


def with_attributes(**changes: Any) -> FixObservation:
    """The host's container instance, whose attributes differ from those declared."""
    return parts.seen(replace(KEEP, attributes={**GOOD, "fleet.ring": "by-hand"}, **changes))


def test_attributes_that_differ_are_set_and_others_of_ours_removed() -> None:
    said = {**GOOD, "fleet.ring": "by-hand", "fleet.old": "x", "ecs.os-type": "linux"}
    assert parts.done(parts.attributes(), parts.seen(replace(KEEP, attributes=said))) == (
        RepairAttributes(KEEP.cluster, KEEP.arn, {"fleet.ring": "broad"}),
        DeleteAttributes(KEEP.cluster, KEEP.arn, ("fleet.old",)),
    )


def test_attributes_of_others_are_not_touched() -> None:
    said = parts.seen(replace(KEEP, attributes={**GOOD, "somebody.s": "own"}))
    assert "as declared" in parts.gone(parts.attributes(), said)


def test_attributes_are_set_to_what_is_declared_now_and_not_to_what_was() -> None:
    one = parts.finding("ATTRIBUTES", arn=KEEP.arn, put={"fleet.ring": "stale"}, drop=[])
    (deed,) = parts.done(one, with_attributes())
    assert deed == RepairAttributes(KEEP.cluster, KEEP.arn, {"fleet.ring": "broad"})


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


def node(**tags: str) -> FixObservation:
    return parts.seen(KEEP, nodes=(build.node(tags=tags),))


def test_a_node_gets_the_tags_that_it_lacks() -> None:
    assert parts.done(parts.untagged_node(), node()) == (RepairNodeTags(build.MI, OURS),)


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
    said = FixObservation(NOW, cluster=replace(CLUSTER, tags={TAG_FLEET: "emea"}))
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
    said = FixObservation(NOW, cluster=replace(CLUSTER, tags=tags))
    assert "carries the tags" in parts.gone(parts.untagged_cluster(), said)


def with_service(**changes: Any) -> FixObservation:
    return FixObservation(NOW, services=(parts.service(**changes),))


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
