"""Which nodes a scan of a few stores asks for."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from fleet.drift.decide.narrow import is_narrow, known_nodes, named_by_ecs, not_found
from fleet.model.drift import HostMemory, StoreSeen
from fleet.model.inventory import Lifecycle, Store
from fleet.model.night import PastFinding
from fleet.model.observed import NotRead, Reading
from tests import build
from tests.drift.decide.night_parts import finding

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
    assert named_by_ecs(seen) == {build.MI}


def test_a_host_without_a_node_is_missed_where_there_should_be_one() -> None:
    one, two = stores(2, hosts=2)
    nodes = [build.node(name=f"{one.id}/cam-0")]
    assert not_found([one], nodes) == (f"{one.id}/cam-1",)
    assert not_found([replace(two, lifecycle=Lifecycle.CLOSED)], nodes) == ()
    assert not_found([replace(two, lifecycle=Lifecycle.PAUSED)], nodes) != ()
