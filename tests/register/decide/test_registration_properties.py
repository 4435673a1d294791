"""What holds whatever the host and AWS say."""

import random
from dataclasses import replace
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from fleet.model.inventory import Architecture, Pins
from fleet.model.observed import DockerFacts, EcsAgentFacts, HostFacts, Ping, SsmAgentFacts
from fleet.model.registration import (
    Activate,
    CheckResult,
    DeregisterOrphan,
    HostClass,
    HostRegistration,
    Install,
    StoreLedgers,
)
from fleet.register.decide.registration import RegistrationFacts, decide_registration
from tests import build

T = TypeVar("T")

OTHER = "mi-0ffffffffffffffff"
flags = st.booleans()
ids = st.sampled_from([None, build.MI, OTHER])

ssm = st.builds(
    SsmAgentFacts,
    installed=flags,
    enabled=flags,
    active=flags,
    instance_id=ids,
    region=st.sampled_from([None, "eu-west-1", "eu-central-1"]),
)
ecs = st.builds(
    EcsAgentFacts,
    installed=flags,
    enabled=flags,
    active=flags,
    has_state=flags,
    config=st.sampled_from([{}, {"ECS_CLUSTER": build.CLUSTER}, {"ECS_CLUSTER": "other"}]),
    cluster=st.sampled_from([None, build.CLUSTER, "other"]),
    container_instance_arn=st.sampled_from([None, build.ARN]),
)
docker = st.sampled_from([None, DockerFacts("24.0.7", active=True, default_runtime="runc")])
facts = st.builds(
    build.bare_facts,
    ssm=ssm,
    ecs=ecs,
    docker=docker,
    architecture=st.sampled_from(
        [Architecture.AMD64, Architecture.AMD64, Architecture.ARM64, None]
    ),
    disk_free_mb=st.sampled_from([10, 40960]),
    gpg=flags,
)
nodes = st.builds(
    lambda id_, name, ping, tags: build.node(id=id_, name=name, ping=ping, tags=tags),
    st.sampled_from([build.MI, OTHER]),
    st.sampled_from(["store-042/tel-1", "store-042/cam-1", ""]),
    st.sampled_from([Ping.ONLINE, Ping.CONNECTION_LOST]),
    st.sampled_from([None, {}, build.ours()]),
)
instances = st.builds(
    lambda id_, arn, connected, status: build.instance(
        managed_instance_id=id_, arn=arn, agent_connected=connected, status=status
    ),
    st.sampled_from([build.MI, OTHER]),
    st.sampled_from(["a", "b", "c"]),
    flags,
    st.sampled_from(["ACTIVE", "DRAINING"]),
)
activations = st.builds(
    lambda id_, name, count: build.activation(id=id_, name=name, count=count),
    st.sampled_from(["a1", "a2"]),
    st.sampled_from(["store-042/tel-1", "store-042/cam-1"]),
    st.integers(0, 1),
)
ledgers = st.builds(
    lambda n, i, a: build.ledgers(
        managed_instances=tuple(n), container_instances=tuple(i), activations=tuple(a)
    ),
    st.lists(nodes, max_size=3, unique_by=lambda n: n.id),
    st.lists(instances, max_size=3, unique_by=lambda i: i.arn),
    st.lists(activations, max_size=2, unique_by=lambda a: a.id),
)
pins = st.sampled_from(
    [Pins(), Pins(machine_ids={"store-042/tel-1": "11111111111111111111111111111111"})]
)


def plan(seen: HostFacts, aws: StoreLedgers, known: Pins) -> HostRegistration:
    shop = build.store()
    case = RegistrationFacts(build.fleet(shop), shop, shop.hosts, {"tel-1": seen}, aws, known, {})
    return decide_registration(case).hosts[0]


@given(facts, ledgers, pins)
def test_every_plan_says_why(seen: HostFacts, aws: StoreLedgers, known: Pins) -> None:
    got = plan(seen, aws, known)

    assert got.classification.reason
    assert all(step.reason for step in got.steps)


@given(facts, ledgers, pins)
def test_a_refused_host_is_left_alone(seen: HostFacts, aws: StoreLedgers, known: Pins) -> None:
    got = plan(seen, aws, known)

    assert not (got.refusal and got.steps)


@given(facts, ledgers, pins)
def test_a_failed_check_refuses(seen: HostFacts, aws: StoreLedgers, known: Pins) -> None:
    got = plan(seen, aws, known)

    if any(check.result is CheckResult.FAIL for check in got.checks):
        assert got.refusal


@given(facts, ledgers, pins)
def test_a_host_that_holds_a_node_never_gets_a_second_activation(
    seen: HostFacts, aws: StoreLedgers, known: Pins
) -> None:
    got = plan(seen, aws, known)

    if seen.ssm.instance_id:
        assert not any(isinstance(step, Activate) for step in got.steps)


@given(facts, ledgers, pins)
def test_only_fresh_and_half_are_installed(seen: HostFacts, aws: StoreLedgers, known: Pins) -> None:
    got = plan(seen, aws, known)

    if any(isinstance(step, Install) for step in got.steps):
        assert got.classification.host_class in {HostClass.FRESH, HostClass.HALF}


@given(facts, ledgers, pins)
def test_no_node_that_is_online_or_in_the_cluster_or_of_another_host_is_deregistered(
    seen: HostFacts, aws: StoreLedgers, known: Pins
) -> None:
    by_id = {n.id: n for n in aws.managed_instances}
    in_cluster = {i.managed_instance_id for i in aws.container_instances}

    for step in plan(seen, aws, known).steps:
        if isinstance(step, DeregisterOrphan):
            node = by_id[step.managed_instance_id]
            assert node.ping is not Ping.ONLINE
            assert node.name == "store-042/tel-1"
            assert node.id not in in_cluster
            assert node.id != seen.ssm.instance_id
            assert node.tags == build.ours()


@given(facts, ledgers, pins, st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_the_order_of_what_aws_lists(
    seen: HostFacts, aws: StoreLedgers, known: Pins, chance: random.Random
) -> None:
    def shuffled(items: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(chance.sample(items, len(items)))

    mixed = replace(
        aws,
        managed_instances=shuffled(aws.managed_instances),
        container_instances=shuffled(aws.container_instances),
        activations=shuffled(aws.activations),
    )
    first, second = plan(seen, aws, known), plan(seen, mixed, known)

    assert first.classification.host_class is second.classification.host_class
    assert sorted(map(repr, first.steps)) == sorted(map(repr, second.steps))


def test_a_healthy_pinned_host_needs_nothing() -> None:
    known = Pins(machine_ids={"store-042/tel-1": "11111111111111111111111111111111"})

    assert plan(build.installed_facts(), build.ledgers(), known).steps == ()


def test_hosts_before_it_take_their_room_in_the_tier() -> None:
    one, two = build.host("tel-1"), build.host("tel-2")
    shop = build.store(one, two)
    aws = build.empty_ledgers(tier=build.ledgers().tier)
    assert aws.tier is not None
    aws = replace(aws, tier=replace(aws.tier, nodes=999))
    boxes = {
        "tel-1": build.bare_facts(machine_id="11111111111111111111111111111111"),
        "tel-2": build.bare_facts(machine_id="22222222222222222222222222222222"),
    }

    got = decide_registration(
        RegistrationFacts(build.fleet(shop), shop, shop.hosts, boxes, aws, Pins(), {})
    )

    assert [h.refusal for h in got.hosts] == ["", "preflight: tier"]
