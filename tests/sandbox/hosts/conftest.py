import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.sandbox.hosts.program_server import ProgramServer
from fleet.sandbox.hosts.shop_host import ShopHost
from tests.sandbox.shop import Shop

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def quick(tmp_path: Path, programs: Path) -> Iterator[Shop]:
    """A shop whose clock runs, so that programs that wait on it come back."""
    shop = Shop(tmp_path / "quick", programs, rate=500.0)
    shop.schedule.start()
    yield shop
    shop.schedule.stop()
    shop.plane.close()


@pytest.fixture
def bridge() -> Iterator[ProgramServer]:
    bridge = ProgramServer()
    bridge.start()
    yield bridge
    bridge.stop()


@pytest.fixture
def run(bridge: ProgramServer) -> Run:
    """Runs a command on a host in a real shell, as the SSH server would."""

    def run(host: ShopHost, command: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        if host.token not in bridge.hosts:
            bridge.join(host)
        return subprocess.run(
            ["/bin/bash", "-c", command],
            env=host.environment(host.spec.user),
            cwd=host.path(f"/home/{host.spec.user}"),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run
