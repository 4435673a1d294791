"""One host, and an AWS that says exactly what a test wants and writes down what it is told."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.sandbox.agents import identity
from fleet.sandbox.agents.images import Catalogue
from fleet.sandbox.agents.session import (
    AwsFault,
    ConnectRequest,
    Deliver,
    DeliverCommand,
    LinkDown,
    RoleToken,
)
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.schedule import Schedule
from tests.sandbox.bare_fleet import BareHost
from tests.sandbox.shop import host_spec

ARN = "arn:aws:ecs:eu-west-1:111122223333:container-instance/store-042/i1"
CLUSTER_ARN = "arn:aws:ecs:eu-west-1:111122223333:cluster/store-042"
START = 1_800_000_000.0
GOOD, BAD = "shops/vision:1", "shops/vision:2"


def task_arn(name: str) -> str:
    return f"arn:aws:ecs:eu-west-1:111122223333:task/store-042/{name}"


def container(image: str = GOOD, name: str = "app", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": image, "essential": True, **fields}


def checked(interval: float = 30, retries: int = 3, start: float = 0) -> dict[str, Any]:
    """A health check as the control plane puts it."""
    check = {
        "Test": ["CMD", "true"],
        "Interval": int(interval * 1e9),
        "Retries": retries,
        "StartPeriod": int(start * 1e9),
    }
    return {
        "healthCheckType": "docker",
        "dockerConfig": {"config": json.dumps({"Healthcheck": check})},
    }


def task(name: str, *containers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "arn": task_arn(name),
        "taskClusterArn": CLUSTER_ARN,
        "family": "vision",
        "version": "7",
        "desiredStatus": "RUNNING",
        "containers": list(containers or (container(),)),
        **fields,
    }


@dataclass
class FakeAws:
    """Both sides of a session; ``failures`` are raised by the next calls that report something."""

    submitted: list[Mapping[str, Any]] = field(default_factory=list)
    tries: int = 0
    healths: list[Mapping[str, Any]] = field(default_factory=list)
    heard: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    connects: int = 0
    failures: list[Exception] = field(default_factory=list)
    deaf_to: set[str] = field(default_factory=set)
    deliver: Deliver | None = None

    def call(
        self, service: str, action: str, body: Mapping[str, Any], token: RoleToken | None
    ) -> dict[str, Any]:
        match action:
            case "RegisterManagedInstance":
                return {"InstanceId": "mi-0123456789abcdef0"}
            case "RequestManagedInstanceRoleToken":
                names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
                return {**dict.fromkeys(names, "x"), "TokenExpirationDate": START + 1e9}
            case "RegisterContainerInstance":
                made = {"containerInstanceArn": ARN, "attributes": body["attributes"]}
                return {"containerInstance": made}
            case "UpdateCommand":
                return {"Run": False}
            case "SubmitTaskStateChange":
                self._submit(body)
            case "PublishHealth":
                if self.failures:
                    raise self.failures.pop(0)
                self.healths.append(body)
        return {}

    def open_commands(self, token: RoleToken, deliver: DeliverCommand) -> None:
        return

    def connect(self, token: RoleToken, request: ConnectRequest, deliver: Deliver) -> "FakeAws":
        self.connects += 1
        self.deliver = deliver
        return self

    def send(self, message_type: str, message: Mapping[str, Any]) -> None:
        self.heard.append((message_type, message))

    def close(self) -> None:
        self.deliver = None

    def _submit(self, body: Mapping[str, Any]) -> None:
        self.tries += 1
        if self.failures:
            raise self.failures.pop(0)
        if body["task"] in self.deaf_to:
            raise AwsFault("ServerException", "no", 500)
        self.submitted.append(json.loads(json.dumps(body)))


@dataclass
class AcsRig:
    folder: Path
    changes: dict[str, Any] = field(default_factory=dict)
    clock: SandboxClock = field(default_factory=lambda: SandboxClock(0.0, START))
    aws: FakeAws = field(default_factory=FakeAws)
    images: Catalogue = field(default_factory=Catalogue)
    memory: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.schedule = Schedule(self.clock)
        self._ids = itertools.count()
        self.host = self.boot()

    def boot(self) -> BareHost:
        """The host as the sandbox makes it, new or from what it kept."""
        spec = host_spec(**{"link": {"bandwidth_mbps": 80.0}, **self.changes})
        host = BareHost(
            spec,
            self.folder / "host",
            clock=self.clock,
            schedule=self.schedule,
            session_for=lambda _: self.aws,
            images=self.images,
            memory=self.memory,
        )
        if not self.memory:
            host.configure("store-042", {})
            identity.write_credentials(host, RoleToken("AKIA", "x", "x", START + 1e9))
        host.containers.resume()
        host.ecs_agent.start()
        self.clock.advance(3)
        return host

    def again(self) -> None:
        """The sandbox is killed and comes back."""
        self.host.ecs_agent.stop()
        self.host.containers.halt()
        self.host = self.boot()

    def say(self, message_type: str, **message: Any) -> str:
        message_id = f"m{next(self._ids)}"
        heading = {
            "messageId": message_id,
            "clusterArn": CLUSTER_ARN,
            "containerInstanceArn": ARN,
        }
        if self.aws.deliver is None:
            raise LinkDown("no session")
        self.aws.deliver(message_type, {**heading, **message})
        self.clock.advance(0)
        return message_id

    def payload(self, *tasks: Mapping[str, Any]) -> str:
        return self.say("PayloadMessage", tasks=list(tasks))

    def run(self, *tasks: Mapping[str, Any], seconds: float = 60) -> None:
        self.payload(*tasks)
        self.clock.advance(seconds)

    def stop(self, name: str) -> None:
        self.payload({"arn": task_arn(name), "desiredStatus": "STOPPED"})

    def knows(self, name: str) -> bool:
        return any(each.arn == task_arn(name) for each in self.host.ecs_agent.tasks.tasks())

    def statuses(self, name: str) -> list[str]:
        return [b["status"] for b in self.aws.submitted if b["task"] == task_arn(name)]

    def last(self, name: str) -> Mapping[str, Any]:
        return [b for b in self.aws.submitted if b["task"] == task_arn(name)][-1]

    def running(self) -> list[str]:
        return [c.image for c in self.host.containers.all(running=True)]

    def acknowledged(self) -> list[str]:
        return [m["messageId"] for kind, m in self.aws.heard if kind == "AckRequest"]

    def log(self) -> str:
        return self.host.path("/var/log/ecs/ecs-agent.log").read_text()
