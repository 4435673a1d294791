"""Plans of the example fleet against the sandbox: what is asked, what is found, what fails."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fleet.aws.services import create_service
from fleet.aws.session import AwsAccess
from fleet.aws.task_definitions import Registered, register_task_definition
from fleet.errors import CredentialsError, Interrupted, UsageError
from fleet.inventory.loader import load_fleet
from fleet.model.inventory import Account, Fleet, Store
from fleet.model.plan import Kind, Plan
from fleet.model.progress import Event, Note
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.release.decide.service_input import service_input
from fleet.release.revisions import Meanings
from fleet.rollout.plan import Request, choose_policy, make_plan, read_release
from fleet.runtime.wiring import Wiring
from fleet.sandbox.control_plane.engine import access_key_for
from fleet.sandbox.server import SandboxServer
from tests.rollout.decide import plans
from tests.sandbox.control_plane.rig import APAC, EMEA, Host, Rig

INVENTORY = Path(__file__).resolve().parents[2] / "inventory"


class Clock:
    """The sandbox's."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._rig.clock.now(), UTC)

    def sleep(self, seconds: float) -> None:
        self._rig.clock.advance(seconds)


@dataclass
class World:
    """Two shops of the example fleet, the first one registered."""

    rig: Rig
    wiring: Wiring
    told: list[Event]
    hosts: dict[str, Host] = field(default_factory=dict)

    @property
    def fleet(self) -> Fleet:
        return self.wiring.fleet

    def join(self, store: Store) -> None:
        for host in store.hosts:
            attributes = [{"name": "fleet.host", "value": host.name}]
            self.hosts[host.id] = self.rig.host(store.cluster, attributes=attributes)

    def plan(self, **more: Any) -> Plan:
        request = Request(**{"stores": self.fleet.stores, "selection": "--all", **more})
        return make_plan(self.wiring, request)

    def carry_out(self, made: Plan) -> None:
        """Creates what the plan creates, as a rollout would."""
        stores = {store.id: store for store in self.fleet.stores}
        for change in made.changes:
            if change.kind is not Kind.CREATE:
                continue
            store = stores[change.store]
            shard = self.wiring.shard(store.account, store.region)
            definition = made.release.task_definitions[change.content]
            arn = register_task_definition(shard, definition, {})
            request = service_input(
                made.release.shapes[change.service],
                cluster=store.cluster,
                task_definition=arn,
                desired_count=change.count,
            )
            tags = {"fleet:fleet": "shops", "fleet:rollout": "ro-1"}
            tags["fleet:content"] = change.content
            create_service(shard, request, tags, token=f"{change.store}/{change.service}")


def shops() -> Fleet:
    """The example fleet, cut down to two shops of one account with ordinary credentials."""
    whole = load_fleet(INVENTORY)
    account = Account("emea-prod", EMEA)
    two = [s for s in whole.stores if s.account.name == "emea-prod" and len(s.hosts) > 1][:2]
    stores = tuple(replace(s, account=account) for s in two)
    return replace(whole, accounts={account.name: account}, stores=stores)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with open_records(None, tmp_path) as opened:
        yield opened


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, records: Records) -> Iterator[World]:
    rig = Rig()
    server = SandboxServer(rig.plane)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key_for(EMEA))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    clock = Clock(rig)
    told: list[Event] = []
    with AwsAccess(clock) as access:
        wiring = Wiring(
            fleet=shops(),
            clock=clock,
            shard=access.shard,
            records=records,
            connect=lambda _host, _accepted: pytest.fail("planning needs no SSH"),
            load_pins=lambda: pytest.fail("planning needs no pins"),
            pin_machine=lambda _host, _machine: None,
            listen=told.append,
            stop=threading.Event(),
        )
        made = World(rig, wiring, told)
        made.join(made.fleet.stores[0])
        yield made
    server.stop()
    rig.close()


def kinds(made: Plan, store: Store) -> set[Kind]:
    return {change.kind for change in made.changes if change.store == store.id}


def test_a_registered_store_gets_its_services_and_another_is_told_to_register(
    world: World,
) -> None:
    made = world.plan()
    first, second = world.fleet.stores
    assert kinds(made, first) == {Kind.CREATE}
    assert kinds(made, second) == {Kind.LEFT}
    assert made.unread == {}
    assert [s for wave in made.waves for s in wave.stores] == [first.id]


def test_a_plan_that_was_carried_out_has_nothing_left_to_do(world: World) -> None:
    first = world.fleet.stores[0]
    world.carry_out(world.plan())
    assert kinds(world.plan(), first) == {Kind.UNCHANGED}


def test_what_was_read_once_is_not_read_again(world: World) -> None:
    world.carry_out(world.plan())
    made = world.plan()
    arns = [change.before for change in made.changes if change.before]
    known = world.wiring.records.task_definitions.get(arns)
    assert known.keys() == set(arns)


def test_a_revision_made_by_hand_is_not_taken_for_fleets(world: World) -> None:
    first = world.fleet.stores[0]
    made = world.plan(workloads=("telemetry",))
    world.carry_out(made)
    (change,) = (c for c in made.changes if c.store == first.id)
    body = dict(made.release.task_definitions[change.content].body)
    container = {**body["containerDefinitions"][0], "memoryReservation": 300}
    tags = [{"key": "fleet:content", "value": change.content}]
    answer = world.rig.ecs(
        "RegisterTaskDefinition", **{**body, "containerDefinitions": [container], "tags": tags}
    )
    arn = answer["taskDefinition"]["taskDefinitionArn"]
    world.rig.ecs(
        "UpdateService", cluster=first.cluster, service=change.service, taskDefinition=arn
    )
    again = world.plan(workloads=("telemetry",))
    (found,) = (c for c in again.changes if c.store == first.id)
    assert found.kind is Kind.LEFT
    assert "changed by hand" in found.reason


def test_how_long_a_host_has_been_away_is_known_from_the_second_plan_on(world: World) -> None:
    first = world.fleet.stores[0]
    host = world.hosts[first.hosts[0].id]
    host.agent.up = False
    world.rig.clock.advance(3600)
    world.plan()
    world.rig.clock.advance(3600)
    owed = [c for c in world.plan().changes if c.kind is Kind.OWED]
    assert owed
    assert f"{first.hosts[0].name} is dark since" in owed[0].reason
    assert "(1h)" in owed[0].reason


def test_one_workload_can_be_planned_alone(world: World) -> None:
    made = world.plan(workloads=("telemetry",))
    assert {c.workload for c in made.changes if c.workload} == {"telemetry"}


def test_a_plan_says_what_it_reads_while_it_lasts(world: World) -> None:
    world.plan()
    assert "reading 2 stores" in [note.text for note in world.told if isinstance(note, Note)]


def test_the_seed_comes_from_the_release_unless_one_is_given(world: World) -> None:
    release = read_release(world.wiring, ["telemetry"])
    assert world.plan().seed == int(release.id[:8], 16)
    assert world.plan(seed=7).seed == 7


def test_credentials_of_another_account_plan_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key_for(APAC))
    with pytest.raises(CredentialsError):
        world.plan()


def test_one_accounts_failure_hides_no_other(world: World) -> None:
    first, second = world.fleet.stores
    stranger = replace(second, account=Account("apac-prod", APAC))
    accounts = {**world.fleet.accounts, "apac-prod": stranger.account}
    fleet = replace(world.fleet, accounts=accounts, stores=(first, stranger))
    made = World(world.rig, replace(world.wiring, fleet=fleet), []).plan()
    assert list(made.unread) == [stranger.id]
    assert kinds(made, first) == {Kind.CREATE}


def test_a_plan_can_be_stopped(world: World) -> None:
    world.wiring.stop.set()
    with pytest.raises(Interrupted):
        world.plan()


def test_an_unknown_workload_names_the_nearest(world: World) -> None:
    with pytest.raises(UsageError, match='there is no workload "telemetri"') as caught:
        world.plan(workloads=("telemetri",))
    assert caught.value.hint == 'did you mean "telemetry"?'


def test_an_unknown_policy_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        choose_policy(shops(), (), "standart")
    assert caught.value.hint == 'did you mean "standard"?'


def test_workloads_of_different_policies_need_one_that_is_named() -> None:
    fleet = shops()
    first, second = fleet.workloads[:2]
    with pytest.raises(UsageError, match="different policies"):
        choose_policy(fleet, (first, replace(second, policy="careful")), "")
    named = choose_policy(fleet, (first, replace(second, policy="careful")), "standard")
    assert named.name == "standard"


# What a revision is taken for.

RELEASE = plans.release([plans.shop()])


def test_a_tag_that_the_body_bears_out_is_believed() -> None:
    found = Registered(plans.arn(), {**plans.NEW.body, "volumes": []}, plans.NEW.content)
    assert Meanings(RELEASE).content_of(found) == plans.NEW.content


def test_a_tag_that_the_body_belies_is_not() -> None:
    found = Registered(plans.arn(), plans.OLD.body, plans.NEW.content)
    assert Meanings(RELEASE).content_of(found) == ""


def test_a_tag_of_another_release_is_believed() -> None:
    found = Registered(plans.arn(), plans.OLD.body, plans.OLD.content)
    assert Meanings(RELEASE).content_of(found) == plans.OLD.content


def test_a_revision_without_a_tag_is_known_by_its_body() -> None:
    by_hand = Registered(plans.arn(), plans.NEW.body, "")
    assert Meanings(RELEASE).content_of(by_hand) == plans.NEW.content
    assert Meanings(RELEASE).content_of(Registered(plans.arn(), plans.OLD.body, "")) == ""
