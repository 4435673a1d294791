"""Under which ids the next scan asks for a host."""

from dataclasses import replace

from fleet.drift.decide.host_ids import ids_of, online_nodes, with_probes
from fleet.model.drift import ShardSeen, StoreSeen
from fleet.model.observed import ContainerInstance, ManagedInstance, NotRead, Ping, Reading
from tests import build

STORE = build.store()
KEY = ("store-042", "tel-1")
NOTHING = NotRead("denied")


def shard(
    *instances: ContainerInstance, nodes: tuple[ManagedInstance, ...] | NotRead = ()
) -> ShardSeen:
    store = StoreSeen("store-042", Reading(instances, build.NOW), NOTHING)
    return ShardSeen(
        "emea-prod",
        "eu-west-1",
        NOTHING,
        nodes if isinstance(nodes, NotRead) else Reading(nodes, build.NOW),
        NOTHING,
        NOTHING,
        NOTHING,
        {"store-042": store},
    )


def test_a_host_is_known_by_what_its_instance_says() -> None:
    assert ids_of([STORE], [shard(build.instance())]) == {KEY: (build.MI, build.ARN)}


def test_a_host_without_the_attribute_is_known_by_its_nodes_name() -> None:
    bare = build.instance(attributes={})
    assert ids_of([STORE], [shard(bare, nodes=(build.node(),))]) == {KEY: (build.MI, build.ARN)}
    assert ids_of([STORE], [shard(bare, nodes=NOTHING)]) == {}


def test_of_two_instances_of_a_host_the_connected_one_counts() -> None:
    old = build.instance(arn="old", agent_connected=False)
    assert ids_of([STORE], [shard(old, build.instance())])[KEY] == (build.MI, build.ARN)


def test_what_is_no_host_of_the_store_has_no_ids() -> None:
    foreign = build.instance(attributes={"fleet.host": "cam-9"})
    assert ids_of([STORE], [shard(foreign)]) == {}


def test_a_store_that_was_not_read_keeps_what_is_remembered() -> None:
    unread = replace(shard(), stores={"store-042": StoreSeen("store-042", NOTHING, NOTHING)})
    assert ids_of([STORE], [unread]) == {}


def test_only_hosts_whose_ssm_agent_answers_can_be_asked() -> None:
    lost = build.node(ping=Ping.CONNECTION_LOST)
    assert online_nodes([STORE], [shard(build.instance(), nodes=(build.node(),))]) == {
        KEY: build.MI
    }
    assert online_nodes([STORE], [shard(build.instance(), nodes=(lost,))]) == {}
    assert online_nodes([STORE], [shard(build.instance(), nodes=NOTHING)]) == {}


def test_answers_go_to_the_stores_of_their_hosts() -> None:
    (asked,) = with_probes([shard(build.instance())], {KEY: NotRead("asleep")})
    assert asked.stores["store-042"].probes == {"tel-1": NotRead("asleep")}


def test_a_host_of_another_store_that_joined_the_wrong_cluster_is_not_taken_for_ours() -> None:
    lost = build.instance(attributes={"fleet.host": "tel-1", "fleet.store": "store-043"})
    assert ids_of([STORE], [shard(lost)]) == {}


def test_a_host_that_its_cluster_does_not_know_is_asked_by_its_nodes_name() -> None:
    assert online_nodes([STORE], [shard(nodes=(build.node(),))]) == {KEY: build.MI}
