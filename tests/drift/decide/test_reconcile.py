"""The table as a whole: scope, order, states, and what is unread."""

from dataclasses import replace
from typing import Any

from fleet.drift.decide.catalogue import CATALOGUE
from fleet.model.drift import Finding, Reconciled
from fleet.model.observed import NotRead
from fleet.model.wanted import Wanted
from tests import build
from tests.drift.decide.world import NOW, World, mi, world


def codes(out: Reconciled) -> list[str]:
    return [one.code for one in out.findings]


def only(out: Reconciled, code: str) -> Finding:
    (found,) = [one for one in out.findings if one.code == code]
    return found


def without_stores(made: World, *left: str) -> World:
    """A scan of only some stores of the inventory."""
    (shard,) = made.shards
    seen = {store: shard.stores[store] for store in left}
    wanted = {store: made.wanted[store] for store in left}
    return World(made.fleet, (replace(shard, stores=seen),), wanted, made.background)


def test_codes_of_the_catalogue_say_what_they_mean_and_what_to_do() -> None:
    for code, entry in CATALOGUE.items():
        assert code == entry.code
        assert entry.title
        assert entry.title[0].islower() or entry.title.startswith(("ECS", "SSM"))
        assert entry.meaning.endswith(".")
        assert entry.remedy.endswith(".")


def test_worse_findings_come_first_then_by_store_and_host() -> None:
    bad: dict[str, Any] = {"instance": {"status": "DRAINING"}}
    out = world(
        {
            "untagged": ["store-042/cam-1"],
            "stores": {
                "store-043": {"hosts": {"cam-1": bad, "tel-1": bad}},
                "store-042": {"hosts": {"tel-1": bad}},
            },
        }
    ).reconciled()
    assert [(one.store, one.host, one.code) for one in out.findings] == [
        ("store-042", "tel-1", "HOST_DRAINING"),
        ("store-043", "cam-1", "HOST_DRAINING"),
        ("store-043", "tel-1", "HOST_DRAINING"),
        ("store-042", "cam-1", "NODE_UNTAGGED"),
    ]


def test_a_finding_of_last_night_keeps_its_beginning_and_at_least() -> None:
    made = world({"stores": {"store-042": {"hosts": {"cam-1": {"instance": None}}}}})
    first = only(made.reconciled(), "HOST_NOT_IN_ECS")
    earlier = NOW.replace(day=20)
    known = replace(made.background, first_seen={first.key: earlier})
    again = only(World(made.fleet, made.shards, made.wanted, known).reconciled(), "HOST_NOT_IN_ECS")
    assert (again.since, again.since_known) == (earlier, False)


def test_a_scan_of_one_store_says_nothing_of_nodes_that_other_stores_may_explain() -> None:
    told = {
        "nodes": [{"id": "mi-00000000000000001", "name": "store-043/gone"}],
        "stores": {"store-042": {}, "store-043": {}},
    }
    assert codes(world(told).reconciled()) == ["FOREIGN_NODE"]
    assert codes(without_stores(world(told), "store-042").reconciled()) == []


def test_activations_of_stores_out_of_scope_are_let_be() -> None:
    told = {
        "activations": [{"created_at": "-2d", "expires_at": "+1d"}],
        "stores": {"store-042": {}, "store-043": {}},
    }
    assert codes(world(told).reconciled()) == ["ACTIVATION_OPEN"]
    assert codes(without_stores(world(told), "store-043").reconciled()) == []


def test_an_activation_whose_age_is_not_told_is_judged_by_how_long_it_stays_open() -> None:
    soon = {"created_at": None, "expires_at": "+23h"}
    later = {"id": "act-10", "created_at": None, "expires_at": "+25h"}
    found = only(world({"activations": [soon, later]}).reconciled(), "ACTIVATION_OPEN")
    assert (found.subject, found.since_known) == ("act-10", False)


def test_a_store_that_no_shard_was_read_for_is_not_verified() -> None:
    made = world({"stores": {"store-042": {}, "store-043": {}}})
    (shard,) = made.shards
    seen = {"store-042": shard.stores["store-042"]}
    out = World(
        made.fleet, (replace(shard, stores=seen),), made.wanted, made.background
    ).reconciled()
    assert out.states["store-043"] == "not-verified"
    assert [(one.store, one.stores) for one in out.unread] == [("store-043", 1)]


def test_a_store_that_left_the_inventory_while_it_was_read_is_let_be() -> None:
    made = world({})
    (shard,) = made.shards
    gone = replace(shard.stores["store-042"], store="store-999")
    shard = replace(shard, stores={**shard.stores, "store-999": gone})
    wanted = {**made.wanted, "store-999": Wanted(build.store(id="store-999"), ())}
    out = World(made.fleet, (shard,), wanted, made.background).reconciled()
    assert "store-999" not in out.states


def test_a_shard_of_which_nothing_was_read_is_one_line_and_no_finding() -> None:
    made = world({"stores": {"store-042": {}, "store-043": {}, "store-044": {}}})
    (shard,) = made.shards
    why = NotRead("the region does not answer")
    stores = {
        name: replace(seen, instances=why, services=why) for name, seen in shard.stores.items()
    }
    dead = replace(
        shard, clusters=why, nodes=why, tagged=why, activations=why, tier=why, stores=stores
    )
    out = World(made.fleet, (dead,), made.wanted, made.background).reconciled()
    assert out.findings == ()
    (line,) = out.unread
    assert (line.store, line.stores, line.why) == ("", 3, "the region does not answer")
    assert line.what == "ECS clusters, SSM nodes, SSM tags of nodes, SSM activations, SSM tier"
    assert set(out.states.values()) == {"not-verified"}


def test_a_part_that_no_store_has_is_one_line_and_one_that_some_lack_a_line_each() -> None:
    gap = {"services": {"not_read": "throttled"}}
    every = world({"stores": {f"store-{n}": gap for n in (100, 101, 102)}}).reconciled()
    some = world({"stores": {"store-100": gap, "store-101": gap, "store-102": {}}}).reconciled()
    assert [(one.store, one.stores) for one in every.unread] == [("", 3)]
    assert [(one.store, one.stores) for one in some.unread] == [("store-100", 1), ("store-101", 1)]


def test_a_box_in_the_cluster_of_a_store_that_was_not_looked_at_is_a_stranger_here() -> None:
    moved = {
        "arn": "arn:aws:ecs:eu-west-1:111122223333:container-instance/store-043/moved",
        "managed_instance_id": mi("store-042/cam-1"),
        "attributes": {"fleet.store": "store-042"},
    }
    told = {
        "stores": {
            "store-042": {"hosts": {"cam-1": {"instance": None}}},
            "store-043": {"hosts": {"cam-1": {"more_instances": [moved]}}},
        }
    }
    assert codes(world(told).reconciled()) == ["HOST_ELSEWHERE"]
    found = only(without_stores(world(told), "store-043").reconciled(), "FOREIGN_INSTANCE")
    assert found.cause.endswith("and it is store-042/cam-1's")


def test_attributes_that_contradict_the_node_are_wrong_and_the_host_is_the_node_s() -> None:
    swapped = {"instance": {"attributes": {"fleet.host": "tel-1"}}}
    out = world({"stores": {"store-042": {"hosts": {"cam-1": swapped}}}}).reconciled()
    found = only(out, "ATTRIBUTES")
    assert (found.host, found.data["put"]) == ("cam-1", {"fleet.host": "cam-1"})
    assert codes(out) == ["ATTRIBUTES"]


def test_a_twin_is_safe_to_drop_only_where_one_of_them_is_connected() -> None:
    old = {"arn": "arn/old", "agent_connected": False, "registered_at": "-100d"}
    sure = world({"stores": {"store-042": {"hosts": {"tel-1": {"more_instances": [old]}}}}})
    both = {**old, "agent_connected": True}
    unsure = world({"stores": {"store-042": {"hosts": {"tel-1": {"more_instances": [both]}}}}})
    assert only(sure.reconciled(), "TWIN").safe
    assert only(sure.reconciled(), "TWIN").data["arns"] == ["arn/old"]
    assert not only(unsure.reconciled(), "TWIN").safe


def test_a_box_that_was_wiped_and_registered_anew_minutes_ago_is_no_clone() -> None:
    fresh = {"id": "mi-00000000000000001", "registered_at": "-4m", "last_ping_at": "-1m"}
    box = {
        "node": {"last_ping_at": "-5m"},
        "more_nodes": [fresh],
        "instance": {"managed_instance_id": "mi-00000000000000001"},
    }
    assert codes(world({"stores": {"store-042": {"hosts": {"tel-1": box}}}}).reconciled()) == []


def test_one_machine_id_before_and_after_a_move_is_no_clone() -> None:
    moved = {"dark": "-3d", "memory": {"machine_id": "a" * 32}}
    told = {
        "stores": {
            "store-042": {"hosts": {"cam-1": moved}},
            "store-043": {"hosts": {"cam-1": {"memory": {"machine_id": "a" * 32}}}},
        }
    }
    assert "CLONE" not in codes(world(told).reconciled())
