"""A sandbox per worker, and `fleet` as a person runs it: a process, its exit code, its words."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest

from fleet.inventory.loader import load_fleet
from fleet.model.inventory import Store

ROOT = Path(__file__).resolve().parents[2]
FLEET = [sys.executable, "-m", "fleet"]

#: Wall seconds after which a command of a test hangs.
HANGS_S = 120

#: Shops that scenarios may take.
SCENES = 80


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.out)
        return loaded


class Started:
    """A command that runs, and what it said so far on stderr."""

    def __init__(self, process: subprocess.Popen[str], said: Path) -> None:
        self._process = process
        self._said = said

    @property
    def said(self) -> str:
        """What it said so far on stderr."""
        return self._said.read_text()

    def wait_for(self, words: str) -> None:
        """Until it says these words on stderr."""
        deadline = time.monotonic() + HANGS_S
        while words not in self._said.read_text():
            ended = self._process.poll() is not None
            if words in self._said.read_text():
                return
            assert not ended, f"ended without saying {words!r}: {self._said.read_text()}"
            assert time.monotonic() < deadline, f"never said {words!r}: {self._said.read_text()}"
            time.sleep(0.01)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def end(self) -> Ran:
        """Wait for its end."""
        out, _ = self._process.communicate(timeout=HANGS_S)
        return Ran(self._process.returncode, out, self._said.read_text())


class Shell:
    """A folder and an environment in which ``fleet`` is typed, and a way to steer its sandbox."""

    def __init__(self, folder: Path, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FLEET_"))}
        own = {"HOME": str(folder), "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
        self.env = {**kept, **(env or {}), **own}
        self._count = 0

    def up(self, *options: str) -> None:
        """Start the sandbox and take its environment."""
        assert self.fleet("sandbox", "up", "--detach", *options).code == 0
        for line in self.fleet("sandbox", "env").out.splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            self.env[name] = value.strip("'\"")

    def fleet(self, *words: str, env: dict[str, str] | None = None) -> Ran:
        """Type a command and wait for its end."""
        return self.start(*words, env=env).end()

    def start(self, *words: str, env: dict[str, str] | None = None) -> Started:
        """Type a command and leave it running."""
        self._count += 1
        said = self.folder / f"stderr-{self._count}"
        with said.open("w") as stderr:
            process = subprocess.Popen(
                [*FLEET, *words],
                cwd=self.folder,
                env={**self.env, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        return Started(process, said)

    def control(self, path: str, body: dict[str, Any], method: str = "POST") -> dict[str, Any]:
        """Ask something of the sandbox itself."""
        request = urllib.request.Request(  # noqa: S310 - the sandbox's own loopback address
            f"{self.env['AWS_ENDPOINT_URL']}/_sandbox/{path}",
            data=json.dumps(body).encode(),
            headers={"X-Fleet-Sandbox": "1", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
            answer: dict[str, Any] = json.load(reply)
        return answer

    def fault(self, action: str, code: str, **more: Any) -> None:
        """Let the next calls of ``service:Action`` fail."""
        service, name = action.split(":")
        self.control("faults", {"service": service, "action": name, "code": code, **more})

    def conditions(self, host: str, **settings: Any) -> None:
        """Let something be wrong with a host."""
        self.control("conditions", {"host": host, "settings": settings})

    def client(self, service: str, account: str, region: str) -> Any:
        """A boto3 client: a witness that is not fleet."""
        session = boto3.Session(
            aws_access_key_id=self._key(account),
            aws_secret_access_key="dummy",
            region_name=region,
        )
        return session.client(service, endpoint_url=self.env["AWS_ENDPOINT_URL"])

    def _key(self, account: str) -> str:
        section = ""
        for line in Path(self.env["AWS_SHARED_CREDENTIALS_FILE"]).read_text().splitlines():
            if line.startswith("["):
                section = line.strip("[] ")
            elif section == account and line.startswith("aws_access_key_id"):
                return line.split("=", 1)[1].strip()
        raise AssertionError(f"no credentials for {account}")


class World(Shell):
    """A sandbox, and an inventory of its own for it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._clients: dict[tuple[str, str, str], Any] = {}
        shutil.copytree(ROOT / "inventory", folder / "inventory")
        shutil.copytree(ROOT / "templates", folder / "templates")
        self._add_scenes()

    def _add_scenes(self) -> None:
        """More shops than the example has, so that every scenario gets one of its own."""
        [example] = (self.folder / "inventory" / "stores").glob("*.csv")
        with example.open(encoding="utf-8", newline="") as lines:
            plain = [line for line in lines if not line.startswith("#")]
        [header, first, *_] = csv.reader(plain)
        row = dict(zip(header, first, strict=True))
        with (example.parent / "scenes.csv").open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, header)
            writer.writeheader()
            for number in range(SCENES):
                id_ = f"scene-{number:02d}"
                hosts = ";".join(
                    f"{name}:{kind}:{name}.{id_}.shops.example"
                    for name, kind in (("cam-1", "xavier-nx"), ("tel-1", "nuc"))
                )
                writer.writerow({**row, "id": id_, "name": f"Scene {number}", "hosts": hosts})

    @cached_property
    def shops(self) -> Mapping[str, Store]:
        """By id; what the inventory says of them stays as it is."""
        return {store.id: store for store in load_fleet(self.folder / "inventory").stores}

    def hosts(self, store: str) -> list[str]:
        """Ids of a store's hosts."""
        return [host.id for host in self.shops[store].hosts]

    def aws(self, service: str, store: str = "store-042") -> Any:
        """A boto3 client of the store's account and region."""
        shop = self.shops[store]
        key = service, shop.account.name, shop.region
        if key not in self._clients:
            self._clients[key] = self.client(*key)
        return self._clients[key]

    def close(self) -> None:
        """Let go of every connection."""
        for client in self._clients.values():
            client.close()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One sandbox for all scenarios of a worker; each scenario takes a store of its own."""
    made = World(tmp_path_factory.mktemp("world"))
    made.up()
    yield made
    made.close()
    made.fleet("sandbox", "down")


@pytest.fixture(scope="session")
def stores(world: World) -> list[str]:
    """Ids of the scenes that no scenario has taken yet."""
    return [id_ for id_ in world.shops if id_.startswith("scene-")]


@pytest.fixture
def store(world: World, stores: list[str]) -> Callable[[], str]:
    """Takes a store that nobody has touched."""

    def take() -> str:
        return stores.pop()

    return take


@dataclass(frozen=True, slots=True)
class Registered:
    """A shop that was registered, and the document of the run that did it."""

    store: str
    run: dict[str, Any]


@pytest.fixture(scope="session")
def registered(world: World, stores: list[str]) -> Registered:
    """One shop for all scenarios that find it healthy and leave it as it is."""
    store = stores.pop()
    ran = world.fleet("register", store, "--accept-new-host-keys", "--yes", "--json")
    assert ran.code == 0, ran.err
    return Registered(store, ran.document)
