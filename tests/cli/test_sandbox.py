"""`fleet sandbox`, as people type it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.cli.sandbox import sandbox_spec
from fleet.errors import EmptySelection, UsageError
from fleet.model.inventory import (
    Account,
    Architecture,
    Fleet,
    Hardware,
    Host,
    Lifecycle,
    Link,
    Store,
)
from fleet.sandbox.client import SandboxClient
from fleet.sandbox.spec import StateDir

INVENTORY = """\
name: shops
accounts:
  emea-prod: {account_id: "111122223333", regions: [eu-west-1], profile: emea-prod}
defaults:
  account: emea-prod
  time_zone: Europe/London
  hours: {daily: "08:00-20:00"}
  address: "{host}.{store}.shops.example"
  ssh: {user: fleet}
"""
STORE = "stores:\n  store-042: {name: Leeds, hosts: {tel-1: {hardware: nuc}}}\n"


class People:
    """Somebody at a terminal with an inventory and an empty state folder."""

    def __init__(self, folder: Path) -> None:
        self.inventory = folder / "inventory"
        (self.inventory / "stores").mkdir(parents=True)
        (self.inventory / "hardware").mkdir()
        (self.inventory / "fleet.yaml").write_text(INVENTORY)
        (self.inventory / "hardware" / "nuc.yaml").write_text("architecture: amd64\n")
        (self.inventory / "stores" / "uk.yaml").write_text(STORE)
        self.state = folder / "state"
        self.client = SandboxClient(StateDir(self.state / "sandbox"))
        self.environment = {
            **os.environ,
            "FLEET_STATE": str(self.state),
            "FLEET_INVENTORY": str(self.inventory),
        }

    def command(self, *words: str) -> list[str]:
        start = "from fleet.cli.main import main; main()"
        return [sys.executable, "-c", start, "sandbox", *words]

    def type(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*words),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    people = People(tmp_path)
    yield people
    people.client.stop()


def test_a_day_with_the_sandbox(people: People) -> None:
    up = people.type("up", "--detach", "--rate", "50")
    assert up.returncode == 0, up.stderr
    assert "1 host in 1 store, 50 times real time" in up.stderr
    assert up.stdout == ""

    again = people.type("up", "--detach")
    assert again.returncode == 0
    assert "already up" in again.stderr

    cut = people.type("cut", "store-042")
    assert "cut: store-042/tel-1" in cut.stderr
    status = people.type("status", "--json")
    document = json.loads(status.stdout)
    assert (document["version"], document["kind"]) == (1, "sandbox-status")
    assert document["hosts"][0]["link"] == "cut"
    assert document["clock"]["rate"] == 50

    assert "restored: store-042/tel-1" in people.type("restore", "store-042").stderr
    shown = people.type("status").stdout.splitlines()
    assert shown[1].split()[:2] == ["HOST", "LINK"]
    assert shown[2].split()[:2] == ["store-042/tel-1", "up"]
    assert max(map(len, shown)) <= 80

    exported = people.type("env").stdout
    values = subprocess.run(
        ["bash", "-c", f'{exported}\necho "$FLEET_CLOCK $FLEET_SSH_CONFIG $AWS_CONFIG_FILE"'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert values[0].startswith("http://127.0.0.1:")
    assert all(Path(name).is_file() for name in values[1:])

    down = people.type("down", "--purge")
    assert down.returncode == 0
    assert not (people.state / "sandbox").exists()


def test_a_host_that_is_new_in_the_inventory_joins(people: People) -> None:
    people.type("up", "--detach")
    path = people.inventory / "stores" / "uk.yaml"
    path.write_text(STORE.replace("nuc}}}", "nuc}, tel-2: {hardware: nuc}}}"))
    assert "hosts added: 1" in people.type("up", "--detach").stderr
    assert len(people.client.get("hosts")["hosts"]) == 2


def test_another_rate_needs_a_restart_and_says_so(people: People) -> None:
    people.type("up", "--detach", "--rate", "50")
    refused = people.type("up", "--detach", "--rate", "10")
    assert refused.returncode == 2
    assert "nothing was changed" in refused.stderr
    assert "fleet sandbox down" in refused.stderr


def test_ctrl_c_ends_one_in_the_foreground(people: People) -> None:
    with subprocess.Popen(
        people.command("up"), env=people.environment, stderr=subprocess.PIPE, text=True
    ) as process:
        give_up = time.monotonic() + 20
        while people.client.pid() != process.pid:
            assert process.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "the sandbox is down; what it holds stays" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("words", [["env"], ["status"], ["cut", "store-042"]])
def test_without_a_sandbox_it_says_how_to_start_one(people: People, words: list[str]) -> None:
    refused = people.type(*words)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "fleet sandbox up --detach" in refused.stderr


def test_down_without_a_sandbox_is_no_error(people: People) -> None:
    done = people.type("down")
    assert done.returncode == 0
    assert "no sandbox was up" in done.stderr


def fleet(**changes: object) -> Fleet:
    extras = changes.pop("extras", {})
    assert isinstance(extras, dict)
    hardware = Hardware("nuc", Architecture.AMD64, "amd64", extras=extras)
    account = Account("emea-prod", "111122223333", profile="emea")
    store = {
        "id": "store-042",
        "name": "Leeds",
        "account": account,
        "region": "eu-west-1",
        "cluster": "store-042",
        "time_zone": "Europe/London",
        "hours": {},
        "ring": "standard",
        "lifecycle": Lifecycle.OPEN,
        "labels": {},
        "link": Link("lte"),
        "hosts": (Host("tel-1", "store-042", "tel-1.example", hardware),),
        **changes,
    }
    return Fleet("shops", "inventory", {}, {}, (Store(**store),))  # type: ignore[arg-type]


def test_the_inventorys_words_about_a_box_reach_the_simulation() -> None:
    box = {"cpus": 2, "docker": {"version": "24.0.7"}, "packages": ["curl"]}
    (host,) = sandbox_spec(fleet(extras={"x-sandbox": box}), rate=1, throttling=True).hosts
    assert (host.cpus, host.packages, host.machine) == (2, ("curl",), "x86_64")
    assert host.docker == {"version": "24.0.7"}
    assert host.link == {"kind": "lte", "latency_ms": 60}


def test_an_account_is_offered_by_its_profile() -> None:
    (account,) = sandbox_spec(fleet(), rate=1, throttling=True).accounts
    assert (account.account_id, account.profile) == ("111122223333", "emea")


def test_stores_that_are_closed_are_not_simulated() -> None:
    with pytest.raises(EmptySelection):
        sandbox_spec(fleet(lifecycle=Lifecycle.CLOSED), rate=1, throttling=True)


@pytest.mark.parametrize(
    ("box", "complaint"),
    [({"cpu": 2}, "unknown keys: cpu"), ("text", "must be a mapping"), ({"cpus": "x"}, "tel-1")],
)
def test_what_cannot_be_simulated_is_refused_by_name(box: object, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        sandbox_spec(fleet(extras={"x-sandbox": box}), rate=1, throttling=True)
