"""Under which ids the next scan asks for a host."""

from dataclasses import replace

from fleet.drift.decide.host_ids import ids_of, online_nodes, versions_of, with_probes
from fleet.model.drift import HostMemory, ShardSeen, StoreSeen, Versions
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


IDS = {KEY: (build.MI, build.ARN)}
BEFORE = {KEY: HostMemory(versions=Versions("1.100.0", "3.2", "20.10"))}


def seen_versions(*, ecs: bool = True, ssm: bool = True) -> ShardSeen:
    instance = build.instance(agent_version="1.105.1", docker_version="24.0.7")
    node = build.node(agent_version="3.3")
    seen = StoreSeen("store-042", Reading((instance,), build.NOW) if ecs else NOTHING, NOTHING)
    return ShardSeen(
        account="emea-prod",
        region="eu-west-1",
        clusters=NOTHING,
        nodes=Reading((node,), build.NOW) if ssm else NOTHING,
        tagged=NOTHING,
        activations=NOTHING,
        tier=NOTHING,
        stores={"store-042": seen},
    )


def test_ecs_says_its_agents_and_dockers_version_and_ssm_its_own() -> None:
    assert versions_of(IDS, [seen_versions()], {}) == {KEY: Versions("1.105.1", "3.3", "24.0.7")}


def test_what_could_not_be_read_is_as_it_was() -> None:
    assert versions_of(IDS, [seen_versions(ssm=False)], BEFORE)[KEY].ssm_agent == "3.2"
    assert versions_of(IDS, [seen_versions(ecs=False)], BEFORE)[KEY] == Versions(
        "1.100.0", "3.3", "20.10"
    )


def test_a_host_without_ids_has_no_versions() -> None:
    assert versions_of({}, [seen_versions()], BEFORE) == {}
