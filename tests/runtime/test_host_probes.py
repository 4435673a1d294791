"""Hosts that are asked: through their SSM agents in a chain of shops, and over a connection."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from fleet.errors import HostUnreachable
from fleet.model.drift import Probe
from fleet.model.observed import NotRead, Reading
from fleet.runtime.host_probes import probe_hosts
from tests import build
from tests.shops import STORES, Shops

SAID = "fleet-probe 1\ntime {now:.3f}\ndisk 1048576 2097152\ndocker ok\nend\n"


@pytest.fixture
def nodes(shops: Shops) -> dict[tuple[str, str], str]:
    """The nodes of all three shops, whose hosts answer what a healthy one does."""
    spec = shops.chain.hosts["store-001/cam-1"].spec
    listed = shops.chain.call(spec, "ssm", "DescribeInstanceInformation")["InstanceInformationList"]
    by_name = {one["ComputerName"]: one["InstanceId"] for one in listed}
    for host in shops.chain.hosts.values():
        host.answer = lambda _script: (0, SAID.format(now=shops.sandbox_clock.now()), "")
    return {(store, "cam-1"): by_name[f"{store}-cam-1"] for store in STORES}


def ask(shops: Shops, nodes: dict[tuple[str, str], str]) -> dict[str, Any]:
    stores = shops.wiring.fleet.stores
    return {store: one for (store, _), one in probe_hosts(shops.wiring, stores, nodes).items()}


def test_every_host_is_asked_through_its_ssm_agent(
    shops: Shops, nodes: dict[tuple[str, str], str]
) -> None:
    said = ask(shops, nodes)

    assert set(said) == set(STORES)
    for one in said.values():
        assert isinstance(one, Reading)
        assert (one.value.disk_free_mb, one.value.via) == (1024, "ssm")
        assert one.value.clock_offset_s == 0


def test_a_host_that_is_cut_off_says_nothing_and_the_others_do(
    shops: Shops, nodes: dict[tuple[str, str], str]
) -> None:
    shops.chain.cut("store-002")
    said = ask(shops, nodes)

    assert said["store-002"] == NotRead("its SSM agent did not take the command in time")
    assert isinstance(said["store-001"], Reading)


def test_a_host_without_a_node_that_is_online_is_not_asked(
    shops: Shops, nodes: dict[tuple[str, str], str]
) -> None:
    del nodes["store-003", "cam-1"]

    assert "nobody can ask it" in ask(shops, nodes)["store-003"].why


def test_a_region_that_refuses_says_so_of_each_of_its_hosts(
    shops: Shops, nodes: dict[tuple[str, str], str]
) -> None:
    shops.chain.plane.faults.add("ssm", "SendCommand", "AccessDeniedException", 400)
    said = ask(shops, nodes)

    assert all(isinstance(one, NotRead) and "SendCommand" in one.why for one in said.values())


class Line:
    """A connection to a host that prints what is given, or breaks."""

    def __init__(self, text: str) -> None:
        self.host = build.host("cam-1", store="store-001")
        self._text = text

    def run(self, command: str, *, stdin: bytes, on_line: Any, **_: Any) -> Any:
        assert command == "sh -s"
        assert b"docker inspect" in stdin
        for line in self._text.splitlines():
            on_line(line)
        return type("Ended", (), {"status": 0 if self._text else 1})()


def over_ssh(shops: Shops, text: str | None) -> Probe | NotRead:
    @contextmanager
    def connect(*_: Any) -> Iterator[Any]:
        if text is None:
            raise HostUnreachable("no route to it")
        yield Line(text)

    (first, *_rest) = shops.wiring.fleet.stores
    store = replace(first, hosts=tuple(replace(host, probe="ssh") for host in first.hosts))
    wiring = replace(shops.wiring, connect=cast("Any", connect))
    (answer,) = probe_hosts(wiring, [store], {}).values()
    return answer.value if isinstance(answer, Reading) else answer


def test_a_host_of_which_the_inventory_says_so_is_asked_over_ssh(shops: Shops) -> None:
    said = over_ssh(shops, SAID.format(now=shops.now().timestamp()))

    assert isinstance(said, Probe)
    assert said.via == "ssh"


@pytest.mark.parametrize(
    ("text", "why"), [(None, "no route"), ("", "status 1"), ("hello", "cut off or is none")]
)
def test_a_host_that_cannot_be_asked_over_ssh_says_why(
    shops: Shops, text: str | None, why: str
) -> None:
    said = over_ssh(shops, text)

    assert isinstance(said, NotRead)
    assert why in said.why
