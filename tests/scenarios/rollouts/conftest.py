"""Shops that run a first release, and a folder of its own for whoever rolls out the next one.

One sandbox per worker holds all shops. A scenario takes some for itself: its inventory has no
others, its records begin empty, and its releases are images that no other scenario knows. What it
leaves behind is set back to the first release, and the shops are taken again by a later one.
"""

import hashlib
import json
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.scenarios.conftest import HANGS_S, Ran, Shell

START = "2026-11-24T00:00:00Z"
#: Sandbox seconds per second: a canary of a minute's settling and two of bake takes a second.
RATE = 200
#: Shops that are brought up and registered at once.
BATCH = 24
ACCOUNT, REGION = "emea-prod", "eu-west-1"
#: Hardware variant of each second shop, and link of each second two.
VARIANTS, LINKS = ("amd64", "arm64"), ("fibre", "lte")
#: Whose installer the sandbox's bucket holds.
_INSTALLER = "5db1ff03881fc382acc6277e071351f53dade63ae906f4bc024419b0955c5db7"
_FIRST = "1.8.3"
#: What a host downloads of an image; the agents' own share of a release is what takes time.
SIZE_MB = 4
#: A jump of the clock is made in steps, so that what is due on the way is not late.
_STEP_S = 60.0

#: Quick, with thresholds as in production otherwise.
QUICK: dict[str, Any] = {
    "window": "always",
    "concurrency": "50%",
    "settle": "60s",
    "bake": "2m",
}

TEMPLATE: dict[str, Any] = {
    "requiresCompatibilities": ["EXTERNAL"],
    "networkMode": "bridge",
    "containerDefinitions": [
        {
            "name": "till",
            "image": "{{ image }}",
            "essential": True,
            "memoryReservation": 128,
            "environment": [{"name": "VERSION", "value": "{{ version }}"}],
        }
    ],
}


class Shops(Shell):
    """Shops of one scenario, with an inventory, a template and records of their own.

    All run the workload ``till``; services are ``till-amd64`` and ``till-arm64``, one per shop.

    Attributes:
        stores: ids, in order.
        image: reference of the image that the inventory names now.
    """

    def __init__(
        self, folder: Path, env: dict[str, str], clients: dict[str, Any], stores: list[str]
    ) -> None:
        super().__init__(folder, env)
        self.stores = stores
        self._clients = clients
        self.image = ""
        self._name = folder.name
        self._taken_at = datetime.min.replace(tzinfo=UTC)
        self._first: dict[str, dict[str, Any]] = {}
        self._fleet: dict[str, Any] = {
            "name": "shops",
            "accounts": {
                ACCOUNT: {"account_id": "111122223333", "regions": [REGION], "profile": ACCOUNT}
            },
            "defaults": {
                "account": ACCOUNT,
                "time_zone": "UTC",
                "hours": {"daily": "12:00-13:00"},
                "labels": {"market": "uk"},
                "address": "{host}.{store}.shops.example",
                "ssh": {"user": "fleet"},
            },
            "policies": {"standard": QUICK},
            "freezes": {},
        }
        self._shops: dict[str, dict[str, Any]] = {store: shop_of(store) for store in stores}
        self._write_hardware()
        self._write("inventory/pins.yaml", {"installers": {_INSTALLER: "the built-in sandbox"}})
        self._write_inventory()
        self.template(TEMPLATE)
        self.release(_FIRST, of="all shops")

    def begin(self) -> None:
        """Remember how the shops are now, to set them back to."""
        self._taken_at = self.now()
        self._first = {store: self.service(store) for store in self.stores}

    def set_back(self, store: str) -> None:
        """Let a shop run what it ran when it was taken, and nothing else."""
        ecs, first = self.aws("ecs"), self._first[store]
        for arn in ecs.list_services(cluster=store)["serviceArns"]:
            if arn != first["serviceArn"]:
                ecs.delete_service(cluster=store, service=arn, force=True)
        now = self.service(store)
        settings = ("deploymentConfiguration", "placementConstraints", "propagateTags")
        asked = {key: first[key] for key in ("taskDefinition", "desiredCount", *settings)}
        if any(now[key] != value for key, value in asked.items()):
            ecs.update_service(cluster=store, service=first["serviceName"], **asked)
        added = {tag["key"] for tag in now["tags"]} - {tag["key"] for tag in first["tags"]}
        ecs.tag_resource(resourceArn=first["serviceArn"], tags=first["tags"])
        if added:
            ecs.untag_resource(resourceArn=first["serviceArn"], tagKeys=sorted(added))

    # What is in the inventory.

    def release(self, version: str, *, workload: str = "till", of: str = "", **more: Any) -> str:
        """Name a new version in the inventory; returns the image's reference.

        Args:
            of: whose image it is; each scenario has its own if nothing is said.
            more: further words of the workload, as ``policy`` or ``where``.
        """
        text = f"{of or self._name} {workload} {version}"
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.image = f"images.shops.example/{workload}@sha256:{digest}"
        said: dict[str, Any] = {
            "template": f"{workload}.json.j2",
            "where": {"hardware": ["xavier-nx", "nuc"]},
            "images": {
                "main": {
                    "image": self.image,
                    "platforms": ["linux/amd64", "linux/arm64"],
                    "size_mb": SIZE_MB,
                }
            },
            "variables": {"version": version},
        }
        self._write(f"inventory/workloads/{workload}.yaml", said | more)
        if "AWS_ENDPOINT_URL" in self.env:
            self.behave(self.image)
        return self.image

    def template(self, body: dict[str, Any], workload: str = "till") -> None:
        """The body of the task definition; ``{{ image }}`` and ``{{ version }}`` are filled in."""
        text = json.dumps(body, indent=2)
        for word, expression in (("image", "images.main"), ("version", "version")):
            # An expression comes out as JSON, quotes included.
            text = text.replace(f'"{{{{ {word} }}}}"', f"{{{{ {expression} }}}}")
        path = self.folder / "templates" / f"{workload}.json.j2"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def policy(self, name: str = "standard", **words: Any) -> None:
        """Change words of a policy; others are quick and as in production."""
        policies = self._fleet["policies"]
        policies[name] = {**policies.get(name, QUICK), **words}
        self._write_inventory()

    def reach_hosts(self) -> None:
        """Pin the SSH host keys of the shops, as a folder has them from which they were registered.

        Without them no host is asked, and restarts are not seen.
        """
        chain = self.folder.parent / "chain" / "inventory" / "known_hosts"
        shutil.copy(chain, self.folder / "inventory" / "known_hosts")

    def notify(self, **channels: Any) -> None:
        """Write channels, as in fleet.yaml."""
        self._fleet["notify"] = channels
        self._write_inventory()

    def freeze(self, name: str, **words: Any) -> None:
        """Write a freeze, with ``from`` and the rest as in fleet.yaml; no word takes it out."""
        self._fleet["freezes"].pop(name, None)
        if words:
            self._fleet["freezes"][name] = words
        self._write_inventory()

    def shop(self, store: str, **words: Any) -> None:
        """Change words of one shop, as ``hours`` or ``time_zone``."""
        self._shops[store] = {**self._shops.get(store, {}), **words}
        self._write_inventory()

    # What people do.

    def roll(self, *words: str) -> Ran:
        """``fleet rollout --all --yes`` with more words, until it rests."""
        return self.fleet("rollout", "--all", "--yes", *words)

    def status(self, *words: str) -> dict[str, Any]:
        """What ``fleet rollout status --json`` says."""
        ran = self.fleet("rollout", "status", *words, "--json")
        assert ran.code == 0, ran.err
        return ran.document

    def verdicts(self, ran: Ran | None = None) -> dict[str, str]:
        """By store, how it stands: in what ``--json`` printed, else in the latest rollout."""
        document = ran.document if ran else self.status()
        return {change["store"]: change["stands"] for change in document["changes"]}

    # What happens to shops.

    def behave(self, image: str, **behaviour: Any) -> None:
        """Say what an image does, as ``run="crash"``; nothing makes it good again."""
        self.control("images", {image: {"size_mb": SIZE_MB, **behaviour}}, "PUT")

    def cut(self, *stores: str) -> None:
        """Cut links."""
        for store in stores:
            self.control("cut", {"target": store})

    def restore(self, *stores: str) -> None:
        """Restore links; ends flapping, too."""
        for store in stores:
            self.control("restore", {"target": store})

    def flap(self, *stores: str, every_s: float, down_s: float) -> None:
        """Let links come and go."""
        for store in stores:
            self.control("flap", {"target": store, "every_s": every_s, "down_s": down_s})

    def now(self) -> datetime:
        """The sandbox's time."""
        with urllib.request.urlopen(self.env["FLEET_CLOCK"], timeout=HANGS_S) as reply:  # noqa: S310 - loopback
            return datetime.fromtimestamp(json.load(reply)["now"], UTC)

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Until it is so; shops need a moment."""
        deadline = time.monotonic() + HANGS_S
        while not true():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.1)

    def pace(self, rate: float = RATE) -> None:
        """Sandbox seconds per second from now on: a slow clock waits for what a test does next."""
        self.control("clock", {"rate": rate}, "PUT")

    def pass_time(self, seconds: float) -> None:
        """Jump ahead; what is due on the way happens."""
        while seconds > 0:
            self.control("clock/advance", {"seconds": min(seconds, _STEP_S)})
            seconds -= _STEP_S

    # What is true, from boto3.

    def aws(self, service: str) -> Any:
        """A boto3 client; one for all scenarios, because making one takes as long as ten calls."""
        if service not in self._clients:
            self._clients[service] = self.client(service, ACCOUNT, REGION)
        return self._clients[service]

    def of(self, variant: str) -> list[str]:
        """Shops of a hardware variant."""
        return [store for store in self.stores if variant_of(store) == variant]

    def service(self, store: str, workload: str = "till") -> dict[str, Any]:
        """A shop's service as ECS describes it, with its tags."""
        name = f"{workload}-{variant_of(store)}"
        said = self.aws("ecs").describe_services(cluster=store, services=[name], include=["TAGS"])
        [service] = said["services"]
        found: dict[str, Any] = service
        return found

    def runs(self, store: str, workload: str = "till") -> str:
        """The version that a shop's service is set to."""
        arn = self.service(store, workload)["taskDefinition"]
        return self.version_of(arn)

    def version_of(self, task_definition: str) -> str:
        """``VERSION`` in the first container of a task definition."""
        said = self.aws("ecs").describe_task_definition(taskDefinition=task_definition)
        [container, *_] = said["taskDefinition"]["containerDefinitions"]
        return str(next(e["value"] for e in container["environment"] if e["name"] == "VERSION"))

    def tasks(self, store: str, status: str = "RUNNING") -> list[dict[str, Any]]:
        """Tasks of a shop whose desired status is this."""
        ecs = self.aws("ecs")
        arns = ecs.list_tasks(cluster=store, desiredStatus=status)["taskArns"]
        if not arns:
            return []
        tasks: list[dict[str, Any]] = ecs.describe_tasks(cluster=store, tasks=arns)["tasks"]
        return tasks

    def serves(self, store: str) -> str:
        """The version that runs in a shop now; "" when nothing does."""
        running = [task for task in self.tasks(store) if task["lastStatus"] == "RUNNING"]
        return self.version_of(running[0]["taskDefinitionArn"]) if running else ""

    def deployments(self, store: str) -> list[dict[str, Any]]:
        """Service deployments of a shop's till since it was taken, the oldest first."""
        listed = self.aws("ecs").list_service_deployments(
            cluster=store, service=f"till-{variant_of(store)}"
        )
        arns = [brief["serviceDeploymentArn"] for brief in listed["serviceDeployments"]]
        if not arns:
            return []
        said = self.aws("ecs").describe_service_deployments(serviceDeploymentArns=arns)
        since = [d for d in said["serviceDeployments"] if d["createdAt"] >= self._taken_at]
        return sorted(since, key=lambda deployment: deployment["createdAt"])

    # Files.

    def _write_inventory(self) -> None:
        self._write("inventory/fleet.yaml", self._fleet)
        self._write("inventory/stores/shops.yaml", {"stores": self._shops})

    def _write_hardware(self) -> None:
        for name, architecture in (("nuc", "amd64"), ("xavier-nx", "arm64")):
            self._write(f"inventory/hardware/{name}.yaml", {"architecture": architecture})

    def _write(self, name: str, content: dict[str, Any]) -> None:
        """JSON is YAML."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def variant_of(store: str) -> str:
    """Hardware variant of a shop's only host, by the shop's number."""
    return VARIANTS[int(store[-3:]) % 2]


def shop_of(store: str) -> dict[str, Any]:
    """A shop in the inventory."""
    return {
        "hosts": {"box-1": {"hardware": "nuc" if variant_of(store) == "amd64" else "xavier-nx"}},
        "link": {"kind": LINKS[int(store[-3:]) // 2 % 2]},
    }


class Chain:
    """All shops of a worker: brought up, registered and given the first release in batches."""

    def __init__(self, folder: Path, start: str = START) -> None:
        self._folder = folder
        self._start = start
        self._clients: dict[str, Any] = {}
        self._all = Shops(self._made("chain"), {}, self._clients, [])
        self._free: list[str] = []
        self._env: dict[str, str] = {}
        self._used: set[str] = set()
        self._count = 0

    def take(self, count: int) -> Shops:
        """Shops that run the first release, in equal parts of both variants, amd64 first.

        Their records are empty: what they run is only known to AWS.
        """
        while any(len(self._free_of(variant)) < -(-count // 2) for variant in VARIANTS):
            self._grow()
        taken = [self._free_of(VARIANTS[n % 2])[n // 2] for n in range(count)]
        self._free = [store for store in self._free if store not in taken]
        self._count += 1
        shops = Shops(self._made(f"scenario-{self._count}"), self._env, self._clients, taken)
        again = sorted(self._used & set(taken))
        shops.wait_until(lambda: {shops.serves(store) for store in again} <= {_FIRST})
        shops.begin()
        return shops

    def give_back(self, shops: Shops) -> None:
        """Undo what was done to shops; the next to take them waits until they are as before."""
        shops.pace()
        shops.restore(*shops.stores)
        for store in shops.stores:
            # One that cannot be set back is taken by nobody any more.
            with suppress(ClientError):
                shops.set_back(store)
                self._free.append(store)
        self._used |= set(shops.stores)

    def _free_of(self, variant: str) -> list[str]:
        return [store for store in self._free if variant_of(store) == variant]

    def down(self) -> None:
        """Stop the sandbox."""
        for client in self._clients.values():
            client.close()
        self._all.fleet("sandbox", "down")

    def _grow(self) -> None:
        chain, first = self._all, len(self._all.stores)
        new = [f"roll-{number:03}" for number in range(first, first + BATCH)]
        chain.stores += new
        for store in new:
            chain.shop(store, **shop_of(store))
        options = () if self._env else ("--rate", str(RATE), "--start", self._start)
        self._done(chain.fleet("sandbox", "up", "--detach", *options))
        if not self._env:  # it has just begun
            for line in chain.fleet("sandbox", "env").out.splitlines():
                name, _, value = line.removeprefix("export ").partition("=")
                self._env[name] = value.strip("'\"")
            chain.env |= self._env
            chain.behave(chain.image)
        self._done(chain.fleet("register", *new, "--accept-new-host-keys", "--yes"))
        chain.policy(concurrency="100%", canary=BATCH, waves=["100%"], bake="1s", settle="1s")
        stores = [word for store in new for word in ("--store", store)]
        self._done(chain.fleet("rollout", "--yes", *stores))
        for store in new:
            # Scenarios count their rollouts from 1 as well, and rebuild them from what AWS says.
            service = chain.service(store)["serviceArn"]
            chain.aws("ecs").untag_resource(resourceArn=service, tagKeys=["fleet:rollout"])
        self._free += new

    def _made(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        return folder

    @staticmethod
    def _done(ran: Ran) -> None:
        assert ran.code == 0, ran.err + ran.out


#: Takes so many shops; the first is amd64 on fibre, then arm64 on fibre, then both on LTE.
TakeShops = Callable[[int], Shops]


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """The shops of a worker."""
    made = Chain(tmp_path_factory.mktemp("chain"))
    yield made
    made.down()


@pytest.fixture
def take(chain: Chain) -> Iterator[TakeShops]:
    """Takes shops; what was done to them is undone afterwards."""
    taken: list[Shops] = []

    def shops(count: int) -> Shops:
        taken.append(chain.take(count))
        return taken[-1]

    yield shops
    for each in taken:
        chain.give_back(each)
