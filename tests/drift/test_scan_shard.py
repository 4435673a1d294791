"""What a scan reads of an account and region, call by call, and what it does without an answer."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from fleet.aws.interning import Interner
from fleet.drift import scan_shard
from fleet.drift.scan_shard import ShardQuestion, read_shard, unread_shard
from fleet.errors import Interrupted
from fleet.model.drift import HostConnection, HostMemory, ShardSeen, Spell
from fleet.model.drift_settings import DriftSettings
from fleet.model.inventory import Lifecycle
from fleet.model.observed import NotRead, Reading
from fleet.runtime.circuit_breaker import FAILURES_TO_OPEN
from tests.shops import REGION, SERVICE, STORES, Shops

Memory = Mapping[tuple[str, str], HostMemory]


def question(shops: Shops, **changes: Any) -> ShardQuestion:
    value = ShardQuestion(
        "emea-prod",
        REGION,
        shops.wiring.fleet.stores,
        dict.fromkeys(STORES, (SERVICE,)),
        {},
        DriftSettings(look_again_s=330.0),
    )
    return replace(value, **changes)


def read(shops: Shops, **changes: Any) -> ShardSeen:
    shops.asked.clear()
    return read_shard(shops.wiring, question(shops, **changes), Interner())


def remembered(
    shops: Shops, connection: HostConnection = HostConnection.CONNECTED
) -> dict[Any, Any]:
    """What the scan before saw of the hosts."""
    before = shops.now() - timedelta(days=1)
    spell = Spell(connection, before, before)
    return {(store, "cam-1"): HostMemory((spell,), *ids(shops, store)) for store in STORES}


def ids(shops: Shops, store: str) -> tuple[str, str]:
    (arn,) = shops.call("ListContainerInstances", cluster=store)["containerInstanceArns"]
    (one,) = shops.call("DescribeContainerInstances", cluster=store, containerInstances=[arn])[
        "containerInstances"
    ]
    return one["ec2InstanceId"], arn


def values(part: Any) -> Any:
    assert isinstance(part, Reading), part
    return part.value


def test_everything_is_read_of_a_healthy_region(shops: Shops) -> None:
    seen = read(shops)
    assert set(values(seen.clusters)) == set(STORES)
    assert len(values(seen.nodes)) == len(STORES)
    assert values(seen.tagged) == frozenset()
    assert values(seen.activations) == ()
    assert (values(seen.tier).tier, values(seen.tier).nodes) == ("standard", 3)
    for store in seen.stores.values():
        assert [one.agent_connected for one in values(store.instances)] == [True]
        assert [one.name for one in values(store.services)] == [SERVICE]
        assert (store.tasks, store.again) == (None, None)


def test_a_night_after_another_costs_two_calls_a_store(shops: Shops) -> None:
    memory = remembered(shops)
    read(shops, memory=memory)
    assert Counter(shops.actions()) == {
        "DescribeClusters": 1,
        "DescribeContainerInstances": 3,
        "DescribeServices": 3,
    }


def test_digests_cost_two_calls_more_for_every_store_that_runs_tasks(shops: Shops) -> None:
    memory = remembered(shops)
    seen = read(shops, memory=memory, digests=True)
    assert Counter(shops.actions("ListTasks", "DescribeTasks")) == {
        "ListTasks": 3,
        "DescribeTasks": 3,
    }
    assert all(len(values(store.tasks)) == 1 for store in seen.stores.values())


def test_a_store_that_is_back_tells_of_its_stopped_tasks_too(shops: Shops) -> None:
    memory = remembered(shops)
    memory["store-001", "cam-1"] = remembered(shops, HostConnection.DARK)["store-001", "cam-1"]
    seen = read(shops, memory=memory)
    assert len(values(seen.stores["store-001"].tasks)) == 1
    assert seen.stores["store-002"].tasks is None
    assert [body["desiredStatus"] for name, body in shops.asked if name == "ListTasks"] == [
        "RUNNING",
        "STOPPED",
    ]


def test_a_store_without_a_cluster_costs_nothing(shops: Shops) -> None:
    fleet = shops.wiring.fleet
    nowhere = replace(fleet.stores[0], id="store-009", cluster="store-009")
    seen = read(shops, stores=(nowhere,))
    assert (values(seen.stores["store-009"].instances), shops.actions()) == (
        (),
        ["DescribeClusters"],
    )


@pytest.mark.parametrize(
    ("part", "reader"),
    [("instances", "scan_container_instances"), ("services", "scan_services")],
)
def test_a_store_is_not_empty_because_a_listing_is(
    shops: Shops, part: str, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty: Reading[tuple[Any, ...]] = Reading((), shops.now())
    monkeypatch.setattr(scan_shard, reader, lambda *_: empty)
    found = getattr(read(shops).stores["store-001"], part)
    assert found == NotRead("ECS counts 1 in cluster store-001 and lists none")


def away(shops: Shops, store: str = "store-001") -> None:
    """The ECS agent stops; the host goes on pinging."""
    shops.chain.hosts[f"{store}/cam-1"].ecs_agent.stop()
    shops.pass_by(60)


def test_an_agent_that_stays_away_is_looked_at_twice(shops: Shops) -> None:
    memory = remembered(shops)
    away(shops)
    seen = read(shops, memory=memory)
    store = seen.stores["store-001"]
    assert [one.agent_connected for one in values(store.instances)] == [False]
    assert [one.agent_connected for one in values(store.again)] == [False]
    assert values(store.again) is not values(store.instances)
    assert isinstance(store.again, Reading)
    assert isinstance(store.instances, Reading)
    assert store.again.at - store.instances.at >= timedelta(seconds=330)
    assert Counter(shops.actions())["DescribeContainerInstances"] == 4
    assert seen.stores["store-002"].again is None


def test_an_agent_that_is_back_at_the_second_look_is_told_to_be(shops: Shops) -> None:
    memory = remembered(shops)
    host = shops.chain.hosts["store-001/cam-1"]
    away(shops)
    shops.chain.schedule.at(shops.sandbox_clock.now() + 60, host.ecs_agent.start)
    (again,) = values(read(shops, memory=memory).stores["store-001"].again)
    assert again.agent_connected


def test_a_host_that_went_dark_just_before_is_not_told_to_be_without_its_agent(
    shops: Shops,
) -> None:
    memory = remembered(shops)
    shops.chain.cut("store-001")
    away(shops)
    assert read(shops, memory=memory).stores["store-001"].again is None


def test_a_store_that_is_not_open_is_not_looked_at_twice(shops: Shops) -> None:
    memory = remembered(shops)
    away(shops)
    stores = [replace(s, lifecycle=Lifecycle.PAUSED) for s in shops.wiring.fleet.stores]
    assert read(shops, memory=memory, stores=tuple(stores)).stores["store-001"].again is None


def test_a_host_that_was_without_its_agent_last_night_may_only_be_reconnecting(
    shops: Shops,
) -> None:
    memory = remembered(shops, HostConnection.ECS_DOWN)
    away(shops)
    (again,) = values(read(shops, memory=memory).stores["store-001"].again)
    assert not again.agent_connected


@pytest.mark.parametrize(
    ("service", "action"),
    [("ecs", "DescribeContainerInstances"), ("ssm", "DescribeInstanceInformation")],
)
def test_a_second_look_that_is_refused_is_no_look(shops: Shops, service: str, action: str) -> None:
    memory = remembered(shops)
    away(shops)
    refused = partial(
        shops.chain.plane.faults.add, service, action, "AccessDeniedException", 400, count=9
    )
    shops.chain.schedule.at(shops.sandbox_clock.now() + 100, refused)
    seen = read(shops, memory=memory)
    store = seen.stores["store-001"]
    assert isinstance(store.instances, Reading)
    assert isinstance(seen.nodes, Reading)
    assert isinstance(store.again, NotRead)
    assert action in store.again.why


ECS_PARTS: dict[str, Callable[[ShardSeen], Any]] = {
    "DescribeClusters": lambda seen: seen.clusters,
    "DescribeContainerInstances": lambda seen: seen.stores["store-001"].instances,
    "ListContainerInstances": lambda seen: seen.stores["store-001"].instances,
    "DescribeServices": lambda seen: seen.stores["store-001"].services,
    "ListTasks": lambda seen: seen.stores["store-001"].tasks,
    "DescribeTasks": lambda seen: seen.stores["store-001"].tasks,
}


@pytest.mark.parametrize("action", ECS_PARTS)
def test_an_action_that_is_denied_leaves_what_rests_on_it_unread(shops: Shops, action: str) -> None:
    shops.fail(action, "AccessDeniedException", count=99)
    seen = read(shops, digests=True)
    part = ECS_PARTS[action](seen)
    assert isinstance(part, NotRead)
    assert f"ecs:{action}" in part.why
    whole = [name for name, get in ECS_PARTS.items() if isinstance(get(seen), Reading)]
    assert bool(whole) is (action != "DescribeClusters")


SSM_PARTS: dict[str, tuple[str, ...]] = {
    "DescribeInstanceInformation": ("nodes", "tagged", "tier"),
    "DescribeActivations": ("activations",),
    "GetServiceSetting": ("tier",),
}


@pytest.mark.parametrize("action", SSM_PARTS)
def test_an_action_of_ssm_that_is_denied_leaves_only_what_rests_on_it(
    shops: Shops, action: str
) -> None:
    shops.chain.plane.faults.add("ssm", action, "AccessDeniedException", 400, 9)
    seen = read(shops)
    names = ("nodes", "tagged", "tier", "activations")
    unread = {name for name in names if isinstance(getattr(seen, name), NotRead)}
    assert unread == set(SSM_PARTS[action])
    assert isinstance(seen.stores["store-001"].instances, Reading)


def test_credentials_that_expire_half_way_stop_the_rest_at_once(shops: Shops) -> None:
    shops.fail("DescribeServices", "ExpiredTokenException")
    wiring = replace(shops.wiring, workers=1)
    shops.asked.clear()
    seen = read_shard(wiring, question(shops), Interner())
    unread = [s for s in seen.stores.values() if isinstance(s.services, NotRead)]
    assert len(unread) == len(STORES)
    assert len(shops.actions("DescribeServices")) == 1
    assert "expired" in unread[0].services.why  # type: ignore[union-attr]  # filtered above


def test_a_service_that_does_not_answer_is_not_asked_for_every_store(shops: Shops) -> None:
    shops.fail("DescribeServices", "InternalFailure", 500, count=99)
    wiring = replace(shops.wiring, workers=1)
    stores = tuple(replace(shops.wiring.fleet.stores[0], id=f"store-{n:03}") for n in range(20))
    names = {store.id: (SERVICE,) for store in stores}
    shops.asked.clear()
    read_shard(wiring, question(shops, stores=stores, names=names), Interner())
    # Every question is tried twice, as the patience of these tests says.
    assert len(shops.actions("DescribeServices")) == 2 * FAILURES_TO_OPEN


def test_whoever_wants_it_to_end_is_heard_before_the_second_look(shops: Shops) -> None:
    memory = remembered(shops)
    away(shops)
    stop = threading.Event()

    def sleep(seconds: float) -> None:
        stop.set()
        shops.pass_by(seconds)

    clock = _Sleeper(shops, sleep)
    wiring = replace(shops.wiring, stop=stop, clock=clock)
    with pytest.raises(Interrupted):
        read_shard(wiring, question(shops, memory=memory), Interner())


class _Sleeper:
    def __init__(self, shops: Shops, sleep: Callable[[float], None]) -> None:
        self.now = shops.now
        self.sleep = sleep


def test_progress_counts_every_store_once_however_many_end_together(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(len(STORES))
    told: list[Any] = []
    read_one = scan_shard._Reader._seen

    def seen(reader: Any, *what: Any) -> Any:
        found = read_one(reader, *what)
        together.wait(10)
        return found

    monkeypatch.setattr(scan_shard._Reader, "_seen", seen)
    monkeypatch.setattr(scan_shard, "STORES_PER_LINE", 1)
    wiring = replace(shops.wiring, listen=told.append, workers=len(STORES))
    read_shard(wiring, question(shops), Interner())
    assert sorted(note.text.rpartition(": ")[2] for note in told) == [
        f"read {n} of 3 stores" for n in (1, 2, 3)
    ]


def test_a_region_of_which_nothing_can_be_read_says_so_of_every_part(shops: Shops) -> None:
    why = NotRead("expired")
    seen = unread_shard(question(shops), why)
    assert {seen.clusters, seen.nodes, seen.tagged, seen.activations, seen.tier} == {why}
    assert {s.instances for s in seen.stores.values()} == {why}
