from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.aws.session import AwsAccess, Shard
from fleet.model.inventory import Account
from fleet.sandbox.control_plane.engine import access_key_for
from fleet.sandbox.server import SandboxServer
from tests.aws.canned import Canned, serving
from tests.sandbox.control_plane.rig import EMEA, Rig
from tests.sandbox.control_plane.works import Shops

ACCOUNT = Account("emea-prod", EMEA)
REGION = "eu-west-1"

Open = Callable[..., Shard]


class HandClock:
    """Time that passes only by sleeping; remembers the sleeps."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)


class SandboxTime(HandClock):
    """The sandbox's stepped clock: sleeping advances it, so that its buckets refill."""

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        self._rig = rig

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._rig.clock.now(), UTC)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._rig.clock.advance(seconds)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key_for(EMEA))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.fixture
def canned(monkeypatch: pytest.MonkeyPatch, credentials: None) -> Iterator[Canned]:
    with serving(Canned()) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


@pytest.fixture
def open_shard(clock: HandClock) -> Iterator[Open]:
    opened: list[AwsAccess] = []

    def make(account: Account = ACCOUNT, **options: Any) -> Shard:
        access = AwsAccess(clock, **options)
        opened.append(access)
        return access.shard(account, REGION)

    yield make
    for access in opened:
        access.close()


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch, credentials: None) -> Iterator[Rig]:
    made = Rig()
    server = SandboxServer(made.plane)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    yield made
    server.stop()
    made.close()


@pytest.fixture
def sandbox_time(rig: Rig) -> SandboxTime:
    return SandboxTime(rig)


@pytest.fixture
def shard(sandbox_time: SandboxTime) -> Iterator[Shard]:
    with AwsAccess(sandbox_time) as access:
        yield access.shard(ACCOUNT, REGION)


@pytest.fixture
def shops(rig: Rig) -> Shops:
    """Hosts of the sandbox that run tasks."""
    return Shops(rig)
