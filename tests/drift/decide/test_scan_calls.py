"""The formula that scans are held to."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.scan_calls import (
    ShardSize,
    hosts_without_node,
    is_narrow,
    known_nodes,
    least_calls,
    least_seconds,
    nodes_in_ecs,
)
from fleet.model.aws_actions import ACTIONS
from fleet.model.drift import HostMemory, StoreSeen
from fleet.model.inventory import Lifecycle, Store
from fleet.model.observed import NotRead, Reading
from fleet.model.scan_result import PastFinding
from tests import build
from tests.drift.decide.night_parts import finding

#: A region of the fleet that the promise is about: 2,500 shops of four hosts and two services.
REGION = ShardSize(
    stores=2500,
    nodes=10_000,
    tagged=10_000,
    remembered=2500,
    services=(2,) * 2500,
    families=2,
)
SIZES = st.builds(
    ShardSize,
    stores=st.integers(0, 500),
    nodes=st.integers(0, 2000),
    tagged=st.integers(0, 2000),
    activations=st.integers(0, 200),
    remembered=st.integers(0, 500),
    unremembered=st.integers(0, 500),
    services=st.lists(st.integers(1, 25), max_size=5).map(tuple),
    families=st.integers(0, 5),
    unknown_revisions=st.integers(0, 50),
    returned=st.integers(0, 50),
    tasks=st.lists(st.integers(1, 250), max_size=5).map(tuple),
    doubtful_stores=st.integers(0, 50),
    doubtful_hosts=st.integers(0, 100),
    counted_clusters=st.integers(0, 9000),
    narrow=st.booleans(),
)


def test_a_night_of_a_region_is_two_calls_a_store_and_two_per_fifty_hosts() -> None:
    calls = least_calls(REGION)
    assert calls == {
        "sts:GetCallerIdentity": 1,
        "ecs:DescribeClusters": 25,
        "ssm:DescribeInstanceInformation": 400,
        "ssm:DescribeActivations": 1,
        "ssm:GetServiceSetting": 1,
        "ecs:DescribeContainerInstances": 2500,
        "ecs:DescribeServices": 2500,
        "ecs:ListTaskDefinitions": 2,
    }
    assert calls.total() == 5430


def test_digests_cost_two_calls_a_store_more() -> None:
    more = least_calls(replace(REGION, tasks=(4,) * 2500))
    assert (more - least_calls(REGION)) == {"ecs:ListTasks": 2500, "ecs:DescribeTasks": 2500}


def test_an_empty_listing_is_a_call_too() -> None:
    assert least_calls(ShardSize(1, 0, 0))["ssm:DescribeInstanceInformation"] == 2


def test_a_store_of_many_costs_a_call_for_its_nodes_and_one_for_the_tags_of_each() -> None:
    one = ShardSize(1, nodes=4, tagged=4, remembered=1, services=(2,), families=2, narrow=True)
    calls = least_calls(one)
    assert (calls["ssm:DescribeInstanceInformation"], calls["ssm:ListTagsForResource"]) == (1, 4)
    assert "ssm:GetServiceSetting" not in calls
    assert least_seconds(calls) < least_seconds(least_calls(REGION)) / 50


def test_the_fullest_bucket_decides_how_long_it_takes() -> None:
    calls = least_calls(REGION)
    assert least_seconds(calls, share=1.0) == 2500 / 20
    assert least_seconds({}) == 0


@given(SIZES)
def test_every_action_of_the_formula_has_a_rate(size: ShardSize) -> None:
    assert set(least_calls(size)) <= set(ACTIONS)


@given(SIZES, st.sampled_from([one.name for one in fields(ShardSize) if one.name != "narrow"]))
def test_more_to_read_never_costs_less(size: ShardSize, name: str) -> None:
    value = getattr(size, name)
    more: dict[str, Any] = {name: (*value, 3) if isinstance(value, tuple) else value + 1}
    before, after = least_calls(size), least_calls(replace(size, **more))
    assert all(after[action] >= count for action, count in before.items())


AT = datetime(2026, 11, 23, 3, tzinfo=UTC)


def stores(count: int, hosts: int = 4) -> list[Store]:
    ids = [f"store-{number:05}" for number in range(count)]
    boxes = {id_: [build.host(f"cam-{n}", store=id_) for n in range(hosts)] for id_ in ids}
    return [replace(build.store(), id=id_, hosts=tuple(boxes[id_])) for id_ in ids]


@pytest.mark.parametrize(
    ("chosen", "here", "narrow"),
    [
        (1, 2500, True),
        (50, 2500, True),
        (90, 2500, True),
        (150, 2500, False),  # a call for the tags of each of 600 nodes is more than all pages
        (2500, 2500, False),
        (1, 1, False),
        (1, 10, False),
    ],
)
def test_a_few_of_many_are_asked_for_by_name(chosen: int, here: int, narrow: bool) -> None:
    all_ = stores(here)
    assert is_narrow(all_[:chosen], all_) is narrow


def test_who_asks_for_all_that_there_is_wants_what_belongs_to_nobody_too() -> None:
    assert not is_narrow(stores(2, hosts=0), stores(2, hosts=0))


def open_(store: str, **data: Any) -> PastFinding:
    return PastFinding(finding(code="GHOST_NODE", store=store, data=data), AT, AT)


def test_what_was_seen_and_what_was_found_of_these_stores_is_known() -> None:
    memory = {
        ("store-00000", "cam-0"): HostMemory(managed_instance_id="mi-1"),
        ("store-00000", "cam-1"): HostMemory(),
        ("store-00001", "cam-0"): HostMemory(managed_instance_id="mi-2"),
    }
    found = (
        open_("store-00000", node="mi-3"),
        open_("store-00000", nodes=["mi-4", "mi-5"]),
        open_("store-00000", nodes=7, arn="arn:x"),
        open_("store-00001", node="mi-6"),
    )
    assert known_nodes(stores(1), memory, found) == {"mi-1", "mi-3", "mi-4", "mi-5"}


def test_container_instances_name_nodes() -> None:
    both = (build.instance(), build.instance(managed_instance_id=""))
    seen = [
        StoreSeen("a", Reading(both, AT), NotRead("x")),
        StoreSeen("b", NotRead("denied"), NotRead("denied")),
    ]
    assert nodes_in_ecs(seen) == {build.MI}


def test_a_host_without_a_node_is_missed_where_there_should_be_one() -> None:
    one, two = stores(2, hosts=2)
    nodes = [build.node(name=f"{one.id}/cam-0")]
    assert hosts_without_node([one], nodes) == (f"{one.id}/cam-1",)
    assert hosts_without_node([replace(two, lifecycle=Lifecycle.CLOSED)], nodes) == ()
    assert hosts_without_node([replace(two, lifecycle=Lifecycle.PAUSED)], nodes) != ()
