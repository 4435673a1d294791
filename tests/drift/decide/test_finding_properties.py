"""What holds of every fleet, however its hosts are: order, unread parts, flapping."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.model.drift import Finding, HostConnection, ShardSeen, StoreSeen, StoreState
from fleet.model.observed import NotRead, Reading
from tests.drift.decide.world import World, world

#: Ways in which a host may be, all of the file format.
OLD_NODE = {"id": "mi-00000000000000001", "ping": "ConnectionLost", "last_ping_at": "-30d"}
OLD_INSTANCE = {"arn": "arn/old", "managed_instance_id": OLD_NODE["id"], "agent_connected": False}
TWIN = {"arn": "arn/twin", "agent_connected": False, "registered_at": "-100d"}
WAYS: Mapping[str, Mapping[str, Any]] = {
    "healthy": {},
    "dark": {"dark": "-3h"},
    "dark-for-days": {"dark": "-3d", "memory": {"spells": [["dark", "-3d", "-1d"]]}},
    "going-dark": {"dark": "-12m"},
    "ecs-away": {"instance": {"agent_connected": False}},
    "ecs-down": {"instance": {"agent_connected": False}, "again": {}},
    "ssm-down": {"node": {"ping": "ConnectionLost", "last_ping_at": "-40m"}},
    "unregistered": {"node": None, "instance": None},
    "not-in-ecs": {"instance": None},
    "not-in-ssm": {"node": None},
    "draining": {"instance": {"status": "DRAINING"}},
    "replaced": {"more_nodes": [OLD_NODE], "more_instances": [OLD_INSTANCE]},
    "twins": {"more_instances": [TWIN]},
    "wrong-attributes": {"instance": {"attributes": {"fleet.variant": "x", "fleet.rack": "7"}}},
    "same-machine": {"memory": {"machine_id": "a" * 32}},
}
LIFECYCLES = ("open", "open", "open", "paused", "closed", "planned")
PARTS = ("clusters", "nodes", "tagged", "activations", "tier")

ways = st.sampled_from(sorted(WAYS))
stores = st.fixed_dictionaries(
    {
        "lifecycle": st.sampled_from(LIFECYCLES),
        "cam": ways,
        "tel": ways,
        "cluster": st.sampled_from(["there", "there", "untagged", "gone"]),
        "running": st.integers(0, 1),
    }
)
fleets = st.lists(stores, min_size=1, max_size=4)


def told(number: int, store: Mapping[str, Any]) -> dict[str, Any]:
    cluster: dict[str, Any] = {}
    boxes = {"cam-1": dict(WAYS[store["cam"]]), "tel-1": dict(WAYS[store["tel"]])}
    services: dict[str, Any] = {"telemetry-amd64": {"running": store["running"]}}
    if store["cluster"] == "untagged":
        cluster = {"tags": {"fleet:store": None}}
    if store["cluster"] == "gone":
        # Without a cluster there is nothing in it.
        cluster, services = {"status": "INACTIVE"}, {"telemetry-amd64": None}
        boxes = {
            name: {**box, "instance": None, "more_instances": []} for name, box in boxes.items()
        }
        for box in boxes.values():
            box.pop("again", None)
            if box.pop("dark", None):
                box["node"] = {"ping": "ConnectionLost", "last_ping_at": "-3h"}
    boxes = {name: _own(box, f"{number}-{name}") for name, box in boxes.items()}
    lifecycle = store["lifecycle"]
    return {"lifecycle": lifecycle, "cluster": cluster, "services": services, "hosts": boxes}


def _own(box: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Leftovers have ids of their own in every store."""
    own = dict(box)
    for key in ("more_nodes", "more_instances"):
        own[key] = [
            {k: f"{v}-{name}" if k in {"id", "arn"} else v for k, v in one.items()}
            for one in box.get(key, ())
        ]
    for one in own["more_instances"]:
        if "managed_instance_id" in one:
            one["managed_instance_id"] = f"{OLD_NODE['id']}-{name}"
    return own


def fleet_of(drawn: list[Mapping[str, Any]]) -> World:
    return world(
        {
            "stores": {f"store-{42 + n:03d}": told(n, store) for n, store in enumerate(drawn)},
            "activations": [{"created_at": "-2d", "expires_at": "+1d"}],
            "nodes": [{"id": "mi-0000000000000000f", "name": "store-042/gone"}],
        }
    )


def shuffled(made: World, seed: int) -> World:
    dice = random.Random(seed)

    def mixed(reading: Any) -> Any:
        if isinstance(reading, Reading) and isinstance(reading.value, tuple):
            return replace(reading, value=tuple(dice.sample(reading.value, len(reading.value))))
        return reading

    def store(seen: StoreSeen) -> StoreSeen:
        return replace(
            seen,
            instances=mixed(seen.instances),
            services=mixed(seen.services),
            again=mixed(seen.again),
        )

    (shard,) = made.shards
    order = dice.sample(sorted(shard.stores), len(shard.stores))
    seen = {name: store(shard.stores[name]) for name in order}
    mixed_shard = replace(
        shard, stores=seen, nodes=mixed(shard.nodes), activations=mixed(shard.activations)
    )
    wanted = {name: made.wanted[name] for name in order}
    return World(made.fleet, (mixed_shard,), wanted, made.background)


@given(fleets, st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_findings_do_not_depend_on_the_order_of_what_was_read(
    drawn: list[Mapping[str, Any]], seed: int
) -> None:
    made = fleet_of(drawn)
    assert shuffled(made, seed).reconciled() == made.reconciled()


def _unread(shard: ShardSeen, hidden: set[str]) -> ShardSeen:
    """Without its clusters nothing of a store can be read."""
    why = NotRead("throttled")
    parts: dict[str, Any] = dict.fromkeys(hidden & set(PARTS), why)
    stores = {
        name: replace(
            seen,
            instances=why if {"clusters", f"{name}/instances"} & hidden else seen.instances,
            services=why if {"clusters", f"{name}/services"} & hidden else seen.services,
        )
        for name, seen in shard.stores.items()
    }
    return replace(shard, stores=stores, **parts)


def _told_of(finding: Finding) -> tuple[str, ...]:
    return finding.key


@given(fleets, st.data())
@settings(deadline=None, max_examples=50)
def test_a_part_that_was_not_read_adds_no_finding_and_is_named(
    drawn: list[Mapping[str, Any]], data: st.DataObject
) -> None:
    made = fleet_of(drawn)
    (shard,) = made.shards
    names = [*PARTS, *(f"{s}/{p}" for s in shard.stores for p in ("instances", "services"))]
    hidden = data.draw(st.sets(st.sampled_from(names), min_size=1, max_size=3))
    full = made.reconciled()
    less = World(made.fleet, (_unread(shard, hidden),), made.wanted, made.background).reconciled()

    assert {_told_of(one) for one in less.findings} <= {_told_of(one) for one in full.findings}
    assert less.unread
    for store in made.fleet.stores:
        own = {f"{store.id}/instances", f"{store.id}/services", "clusters", "nodes", "tagged"}
        if own & hidden and store.lifecycle == "open":
            assert less.states[store.id] in {StoreState.NOT_VERIFIED, StoreState.DARK}
    assert less.connections.items() <= full.connections.items()


def _flapping(draw: st.DrawFn) -> dict[str, Any]:
    """A host that is connected but for moments shorter than what must have held."""
    heard = draw(st.integers(0, 899))
    node = {
        "last_ping_at": f"-{heard}s",
        "ping": draw(st.sampled_from(["Online", "ConnectionLost"])) if heard > 300 else "Online",
    }
    box: dict[str, Any] = {"node": node}
    if not draw(st.booleans()):
        # Away in the first look; in the second one back, or away anew, which ECS counts.
        box["instance"] = {"agent_connected": False}
        if draw(st.booleans()):
            back = draw(st.booleans())
            box["again"] = {"agent_connected": back, "version": 8 if back else 9}
    box["memory"] = draw(st.sampled_from([{}, {"spells": [["connected", "-9d", "-1d"]]}]))
    return box


@st.composite
def flapping(draw: st.DrawFn) -> dict[str, Any]:
    return {
        f"store-{42 + n:03d}": {"hosts": {"cam-1": _flapping(draw), "tel-1": _flapping(draw)}}
        for n in range(draw(st.integers(1, 3)))
    }


@given(flapping())
@settings(deadline=None, max_examples=50)
def test_a_healthy_fleet_that_flaps_for_less_than_the_hold_time_has_no_finding(
    drawn: dict[str, Any],
) -> None:
    out = world({"stores": drawn}).reconciled()
    assert out.findings == ()
    assert out.unread == ()
    assert set(out.states.values()) == {StoreState.OK}
    assert {spell.connection for spell in out.connections.values()} <= {HostConnection.CONNECTED}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_every_way_but_the_healthy_and_the_uncertain_ones_is_found(way: str) -> None:
    told_of = {"lifecycle": "open", "cam": way, "tel": way, "cluster": "there", "running": 1}
    codes = {one.code for one in fleet_of([told_of]).reconciled().findings}
    codes -= {"ACTIVATION_OPEN", "FOREIGN_NODE"}
    assert bool(codes) is (way not in {"healthy", "going-dark", "ecs-away"})
