"""Hosts are asked for the restarts of a rollout's containers, and none of them holds up a tick."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from fleet.model.changes import Change
from fleet.model.identity import HOST_ATTRIBUTE
from fleet.model.restarts import RestartSource, RestartsSeen
from fleet.model.services import StoreView, revision
from fleet.rollout import restart_readers
from fleet.rollout.decide.restarts import RestartRead
from fleet.rollout.restart_readers import read_restarts
from tests import build, rollouts
from tests.shops import SERVICE, STORES, Shops

STORE = STORES[0]
CHANGE = rollouts.change(STORE)
SAID = (
    "fleet-probe 1\ntime {now:.3f}\ndisk 1048576 2097152\n"
    "c x|2026-11-23T02:00:00Z|task|app|/ecs-x|shops/vision:1|2026-11-23T01:00:00Z|"
    "0001-01-01T00:00:00Z|{revision}\nm /ecs-x|4\ndocker ok\nend\n"
)


def change_of(store: str, _service: str) -> Change:
    return replace(CHANGE, store=store)


def read(
    shops: Shops, source: RestartSource = RestartSource.SSH, connect: Any = None, **more: Any
) -> RestartsSeen:
    wiring = shops.wiring if connect is None else replace(shops.wiring, connect=connect)
    reads = [RestartRead(more.pop("store", STORE), (SERVICE,), {SERVICE: ("cam-1",)})]
    (seen,) = read_restarts(wiring, source, reads, change_of, more.pop("views", {})).values()
    return seen


def said(shops: Shops) -> str:
    return SAID.format(now=shops.now().timestamp(), revision=revision(CHANGE.target))


class Line:
    """A connection to a host that prints what is given."""

    def __init__(self, host: Any, text: str) -> None:
        self.host = host
        self._text = text

    def run(self, _command: str, *, on_line: Any, **_: Any) -> Any:
        for line in self._text.splitlines():
            on_line(line)
        return type("Ended", (), {"status": 0})()


def test_a_host_that_answers_says_how_often_a_container_was_started_again(shops: Shops) -> None:
    @contextmanager
    def connect(host: Any, _accepted: Any) -> Iterator[Any]:
        yield Line(host, said(shops))

    seen = read(shops, connect=cast("Any", connect))

    assert (seen.source, seen.problem) == ("ssh", "")
    assert [one.restarts for one in seen.containers] == [4]


def test_a_host_is_asked_about_the_services_that_it_runs_alone(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []

    def of_hosts(change: Change, hosts: tuple[str, ...], _answers: Any) -> RestartsSeen:
        asked.append((change.service, hosts))
        return RestartsSeen("ssh", (), "")

    monkeypatch.setattr(restart_readers, "of_hosts", of_hosts)
    hosts = {SERVICE: ("cam-1",), "telemetry-amd64": ("tel-1",)}

    read_restarts(
        shops.wiring,
        RestartSource.SSH,
        [RestartRead(STORE, tuple(hosts), hosts)],
        lambda store, service: replace(CHANGE, store=store, service=service),
        {},
    )

    assert dict(asked) == hosts


def test_a_host_that_cannot_be_reached_says_why(shops: Shops) -> None:
    seen = read(shops)

    assert seen.containers == ()
    assert seen.problem == f"cam-1: no route to {STORE}/cam-1"


def test_a_store_that_has_left_the_inventory_is_asked_nothing(shops: Shops) -> None:
    assert "does not have its store any more" in read(shops, store="store-999").problem


def test_a_host_that_takes_too_long_is_left(shops: Shops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart_readers, "LIMIT_S", 0.05)
    over = threading.Event()

    def connect(_host: Any, _accepted: Any) -> Any:
        over.wait(30)
        pytest.fail("nobody listens any more")

    try:
        assert "had not answered after 0.05 s" in read(shops, connect=connect).problem
    finally:
        over.set()


def test_run_command_asks_the_hosts_whose_agents_are_connected(shops: Shops) -> None:
    for host in shops.chain.hosts.values():
        host.answer = lambda _script: (0, said(shops), "")
    arns = shops.call("ListContainerInstances", cluster=STORE)["containerInstanceArns"]
    found = shops.call("DescribeContainerInstances", cluster=STORE, containerInstances=arns)
    node = found["containerInstances"][0]["ec2InstanceId"]
    box = build.instance(managed_instance_id=node, attributes={HOST_ATTRIBUTE: "cam-1"})
    view = StoreView(STORE, shops.now(), instances=(box,))

    seen = read(shops, RestartSource.RUN_COMMAND, views={STORE: view})

    assert (seen.source, seen.problem) == ("ssm", "")
    assert [one.restarts for one in seen.containers] == [4]
    assert "nobody can ask it" in read(shops, RestartSource.RUN_COMMAND).problem
