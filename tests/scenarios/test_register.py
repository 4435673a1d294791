"""Registering shops as a person does, with boto3 as the witness of what was really done."""

import re
import signal
from collections.abc import Callable

import pytest

from fleet.records.opening import open_records
from tests.scenarios.conftest import Registered, World
from tests.scenarios.witness import truth

TakeStore = Callable[[], str]
NEW = ("--accept-new-host-keys", "--yes")


def test_a_bare_shop_becomes_healthy_and_aws_agrees(world: World, store: TakeStore) -> None:
    shop = store()

    ran = world.fleet("register", shop, *NEW)

    assert ran.code == 0, ran.err
    truth(world, shop).assert_registered_once(world.hosts(shop))
    status = world.fleet("status", shop, "--json").document
    assert {h["health"] for h in status["stores"][0]["hosts"]} == {"healthy"}


def test_everything_that_changed_the_shop_is_audited_with_who_and_why(
    world: World, registered: Registered
) -> None:
    shop, run_id = registered.store, registered.run["run"]

    with open_records(None, world.folder / ".fleet") as records:
        entries = records.audit_of(run_id)
        (run,) = [run for run in records.runs(limit=200) if run.id == run_id]
        remembered = records.scans.memory([shop], run.started_at).values()

    host = world.hosts(shop)[0].split("/")[1]
    mine = [entry.action for entry in entries if entry.host == host]
    assert mine == [
        "fleet:PinHostKey",
        "ssm:CreateActivation",
        "host:Install",
        "host:Installed",
        "ssm:DeleteActivation",
        "fleet:PinMachine",
    ]
    assert all(":assumed-role/fleet-operator/" in entry.caller_arn for entry in entries)
    assert all(entry.why for entry in entries)
    assert (run.outcome, run.kind) == ("done", "register")
    assert all(re.fullmatch("[0-9a-f]{32}", host.machine_id) for host in remembered)
    assert len(remembered) == len(world.hosts(shop))


def test_twice_is_a_no_op_that_says_why(world: World, registered: Registered) -> None:
    shop = registered.store
    before = truth(world, shop)

    ran = world.fleet("register", shop)

    assert ran.code == 0
    assert "already here" in ran.out
    assert "Online, ACTIVE, agent connected" in ran.out
    assert truth(world, shop).nodes.keys() == before.nodes.keys()
    truth(world, shop).assert_registered_once(world.hosts(shop))


def test_a_plan_changes_nothing_and_ends_with_3(world: World, store: TakeStore) -> None:
    shop = store()

    ran = world.fleet("register", shop, "--plan", "--accept-new-host-keys")

    assert ran.code == 3
    assert "create an activation" in ran.out
    seen = truth(world, shop)
    assert (seen.nodes, seen.instances, seen.activations) == ({}, {}, [])


def test_a_plan_of_a_healthy_shop_has_nothing_pending(world: World, registered: Registered) -> None:
    ran = world.fleet("register", registered.store, "--plan", "--json")

    assert ran.code == 0
    hosts = ran.document["stores"][0]["hosts"]
    assert {h["class"] for h in hosts} == {"here"}
    assert all(h["steps"] == [] for h in hosts)


def test_an_unknown_host_key_is_refused_and_nothing_is_done(world: World, store: TakeStore) -> None:
    shop = store()

    ran = world.fleet("register", shop, "--yes")

    assert ran.code == 1
    assert "--accept-new-host-keys" in ran.out
    assert truth(world, shop).nodes == {}


@pytest.mark.long
def test_without_a_terminal_and_without_yes_it_does_not_guess(
    world: World, store: TakeStore
) -> None:
    shop = store()

    ran = world.fleet("register", shop, "--accept-new-host-keys")

    assert ran.code == 2
    assert "--yes" in ran.err
    assert truth(world, shop).nodes == {}


def test_one_host_that_fails_preflight_is_left_alone_and_the_other_is_registered(
    world: World, store: TakeStore
) -> None:
    shop = store()
    first, *others = world.hosts(shop)
    world.conditions(first, disk_free_mb=900)

    ran = world.fleet("register", shop, *NEW)

    assert ran.code == 1
    assert f"{first.split('/')[1]}  FAIL disk  / has 0.9 GB free" in ran.out
    assert "host unchanged, no activation created" in ran.out
    assert sorted(truth(world, shop).nodes) == sorted(others)

    world.conditions(first, disk_free_mb=None)
    assert world.fleet("register", shop, "--yes").code == 0
    truth(world, shop).assert_registered_once(world.hosts(shop))


def test_only_the_named_host_is_touched(world: World, store: TakeStore) -> None:
    shop = store()
    first = world.hosts(shop)[0]

    ran = world.fleet("register", shop, "--host", first.split("/")[1], *NEW)

    assert ran.code == 0
    assert list(truth(world, shop).nodes) == [first]


def test_the_document_of_a_run_is_whole_on_stdout(registered: Registered) -> None:
    document = registered.run
    assert document["kind"] == "register"
    assert document["activations"]["left_open"] == []
    assert {h["outcome"] for h in document["hosts"]} == {"registered"}


def test_a_dark_shop_is_unreachable_and_its_fix_is_named(world: World, store: TakeStore) -> None:
    shop = store()
    world.control("cut", {"target": shop})

    ran = world.fleet("register", shop, *NEW)

    world.control("restore", {"target": shop})
    assert ran.code == 1
    assert "unreachable" in ran.out
    assert f"fleet register {shop}" in ran.out


@pytest.mark.parametrize(
    ("action", "fault"),
    [
        pytest.param(
            "ecs:CreateCluster",
            {"code": "ServerException", "when": "after"},
            marks=pytest.mark.long,
        ),
        pytest.param(
            "ssm:CreateActivation",
            {"code": "InternalServerError", "when": "after"},
            marks=pytest.mark.long,
        ),
        pytest.param(
            "ssm:CreateActivation",
            {"code": "ConnectionReset", "when": "after"},
            marks=pytest.mark.long,
        ),
        ("ssm:RegisterManagedInstance", {"code": "ConnectionReset", "when": "after"}),
        pytest.param(
            "ecs:RegisterContainerInstance",
            {"code": "ServerException", "count": 2},
            marks=pytest.mark.long,
        ),
        pytest.param(
            "ssm:DescribeInstanceInformation",
            {"code": "ThrottlingException", "status": 400},
            marks=pytest.mark.long,
        ),
        pytest.param(
            "ssm:DeleteActivation",
            {"code": "InternalServerError", "count": 9},
            marks=pytest.mark.long,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
def test_whatever_aws_does_wrong_running_again_ends_with_one_of_everything(
    world: World, store: TakeStore, action: str, fault: dict[str, object]
) -> None:
    shop = store()
    world.fault(action, **fault)  # type: ignore[arg-type]

    world.fleet("register", shop, *NEW)
    world.control("faults", {"clear": True})
    ran = world.fleet("register", shop, *NEW)
    if ran.code:  # a node whose ping is still fresh has to be seen as lost first
        world.control("clock/advance", {"seconds": 1200})
        ran = world.fleet("register", shop, *NEW)

    assert ran.code == 0, ran.out + ran.err
    truth(world, shop).assert_registered_once(world.hosts(shop))


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("reading facts", marks=pytest.mark.long),
        pytest.param("activating", marks=pytest.mark.long),
        "installing: upload",
        pytest.param("installing: config", marks=pytest.mark.long),
        pytest.param("verifying", marks=pytest.mark.long),
    ],
)
def test_killed_anywhere_and_run_again_it_finishes(
    world: World, store: TakeStore, moment: str
) -> None:
    shop = store()
    started = world.start("register", shop, *NEW)
    started.wait_for(moment)
    started.kill()
    started.end()

    ran = world.fleet("register", shop, *NEW)

    assert ran.code == 0, ran.out + ran.err
    truth(world, shop).assert_registered_once(world.hosts(shop))


def test_ctrl_c_lets_hosts_in_the_middle_of_installing_finish(
    world: World, store: TakeStore
) -> None:
    shop = store()
    started = world.start("register", shop, *NEW, "--json")
    started.wait_for("installing: upload")
    started.kill(signal.SIGINT)

    ran = started.end()

    assert "stopping: hosts in the middle of installing finish first" in ran.err
    healthy = {h["outcome"] for h in ran.document["hosts"]} == {"registered"}
    assert ran.code == (0 if healthy else 130)
    assert truth(world, shop).activations == []
    assert world.fleet("register", shop, *NEW).code == 0
    truth(world, shop).assert_registered_once(world.hosts(shop))


def test_ctrl_c_while_reading_leaves_at_once(world: World, store: TakeStore) -> None:
    shop = store()
    started = world.start("register", shop, *NEW)
    started.wait_for("reading facts")
    started.kill(signal.SIGINT)

    ran = started.end()

    assert ran.code == 130
    assert "nothing was done" in ran.err
    assert truth(world, shop).nodes == {}


def test_ssh_lost_in_the_middle_of_an_install_is_resumed(world: World, store: TakeStore) -> None:
    shop = store()
    first = world.hosts(shop)[0]
    started = world.start("register", shop, *NEW)
    started.wait_for(f"{first} installing: upload")
    world.control("drop", {"host": first})

    lost = started.end()

    assert lost.code == 1
    assert "connection was lost" in lost.out
    assert world.fleet("register", shop, *NEW).code == 0
    truth(world, shop).assert_registered_once(world.hosts(shop))


@pytest.mark.long
def test_a_link_cut_in_the_middle_of_an_install_is_resumed_when_it_is_back(
    world: World, store: TakeStore
) -> None:
    shop = store()
    started = world.start("register", shop, *NEW)
    started.wait_for("installing: upload")
    world.control("cut", {"target": shop})
    assert started.end().code == 1
    world.control("restore", {"target": shop})

    ran = world.fleet("register", shop, *NEW)

    if ran.code:
        world.control("clock/advance", {"seconds": 1200})
        ran = world.fleet("register", shop, *NEW)
    assert ran.code == 0, ran.out + ran.err
    truth(world, shop).assert_registered_once(world.hosts(shop))
