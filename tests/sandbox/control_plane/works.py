"""Shops with agents that run tasks, and short words for services on them."""

from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents.session import LinkDown
from tests.sandbox.control_plane.rig import REGION, Agent, Host, Rig

RESOURCES = [
    {"name": "CPU", "type": "INTEGER", "integerValue": 4096},
    {"name": "MEMORY", "type": "INTEGER", "integerValue": 8000},
    {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22"]},
    {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
]
STORE = "store-042"


class Worker(Agent):
    """An agent that runs what it is told to, as fast as it is told.

    ``fate`` says what becomes of a task, by the image of its first container: "ok", "crash" or
    "unpullable".
    """

    def __init__(self, shops: "Shops", host: Host) -> None:
        super().__init__()
        self._shops = shops
        self.host = host
        self.running: dict[str, str] = {}
        self.queued: list[dict[str, Any]] = []
        self.timeline = 0

    def deliver(self, message_type: str, message: Mapping[str, Any]) -> None:
        super().deliver(message_type, message)
        if self.channel is None or message_type == "HeartbeatMessage":
            return
        if message_type == "PayloadMessage":
            self.channel.send("AckRequest", {"messageId": message["messageId"]})
            for task in message["tasks"]:
                self._take(task)
        elif message_type == "TaskManifestMessage" and message["timeline"] > self.timeline:
            self.timeline = message["timeline"]
            self.channel.send("AckRequest", {"messageId": message["messageId"]})
            self._verify(message)
        elif message_type == "TaskStopVerificationAck":
            for task in message["stopTasks"]:
                self.stop(task["taskArn"])

    def stop(self, arn: str, code: int = 143) -> None:
        self.running.pop(arn, None)
        self.report(arn, "STOPPED", exitCode=code)

    def report(self, arn: str, status: str, **container: Any) -> None:
        body = {
            "cluster": STORE,
            "task": arn,
            "status": status,
            "containers": [{"containerName": "app", "status": status, **container}],
        }
        if self.up:
            self._submit(body)
        else:
            self.queued.append(body)

    def health(self, status: str) -> None:
        containers = [{"containerName": "app", "healthStatus": status}]
        self._shops.rig.session.publish_health(
            self.host.token,
            {
                "cluster": STORE,
                "containerInstance": self.host.arn,
                "tasks": [{"taskArn": arn, "containers": containers} for arn in self.running],
            },
        )

    def cut(self) -> None:
        self.up = False

    def restore(self) -> None:
        """Back after a cut: a new connection, and what was queued is reported."""
        self.up = True
        queued, self.queued = self.queued, []
        for body in queued:
            self._submit(body)
        if self.channel is not None:
            try:
                self.channel.send("HeartbeatAckRequest", {})
            except LinkDown:
                self.reconnect()

    def reconnect(self) -> None:
        self._renew()
        self._shops.rig.connect(self.host)

    def _submit(self, body: dict[str, Any]) -> None:
        self._renew()
        self._shops.rig.session.submit_task_state_change(self.host.token, body)

    def _renew(self) -> None:
        """A token lives for an hour."""
        rig, host = self._shops.rig, self.host
        if rig.clock.now() >= host.token.expires_at:
            host.token = rig.session.request_role_token(instance_id=host.node, fingerprint="f")

    def _take(self, task: Mapping[str, Any]) -> None:
        arn = task["arn"]
        if task["desiredStatus"] == "STOPPED":
            self.stop(arn)
        elif arn not in self.running:
            image = task["containers"][0]["image"]
            fate = self._shops.fate.get(image, "ok")
            if fate == "unpullable":
                reason = "CannotPullContainerError: not found"
                self.report(arn, "STOPPED", reason=reason)
                return
            self.running[arn] = image
            self.report(arn, "RUNNING", runtimeId="r1", imageDigest="sha256:1")
            if fate == "crash":
                self.stop(arn, 1)

    def _verify(self, message: Mapping[str, Any]) -> None:
        wanted = {t["taskArn"] for t in message["tasks"] if t["desiredStatus"] == "RUNNING"}
        extra = [{"taskArn": arn} for arn in self.running if arn not in wanted]
        if extra and self.channel is not None:
            answer = {"messageId": message["messageId"], "stopCandidates": extra}
            self.channel.send("TaskStopVerificationMessage", answer)


class Shops:
    """A rig whose hosts run tasks."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.fate: dict[str, str] = {}
        self.workers: dict[str, Worker] = {}

    def host(self, cluster: str = STORE, arch: str = "arm64", **body: Any) -> Worker:
        rig = self.rig
        rig.ecs("CreateCluster", clusterName=cluster)
        host = rig.node()
        body = {
            "totalResources": RESOURCES,
            "attributes": [{"name": "ecs.cpu-architecture", "value": arch}],
            **body,
        }
        rig.join(host, cluster, **body)
        worker = Worker(self, host)
        host.agent = worker
        rig.connect(host, cluster)
        self.workers[host.arn.rpartition("/")[2]] = worker
        return worker

    def definition(self, image: str = "vision:1", family: str = "vision", **content: Any) -> str:
        """Register a revision; returns its ARN."""
        container = {"name": "app", "image": image, "memory": 256, **content.pop("container", {})}
        made = self.rig.ecs(
            "RegisterTaskDefinition",
            family=family,
            containerDefinitions=[container],
            requiresCompatibilities=["EXTERNAL"],
            **content,
        )
        arn: str = made["taskDefinition"]["taskDefinitionArn"]
        return arn

    def create(self, name: str = "vision", cluster: str = STORE, **body: Any) -> dict[str, Any]:
        body = {
            "taskDefinition": body.get("taskDefinition") or self.definition(family=name),
            "launchType": "EXTERNAL",
            "deploymentConfiguration": configuration(),
            **({"desiredCount": 1} if body.get("schedulingStrategy") != "DAEMON" else {}),
            **body,
        }
        body = {"cluster": cluster, "serviceName": name, **body}
        made: dict[str, Any] = self.rig.ecs("CreateService", **body)["service"]
        return made

    def update(self, name: str = "vision", cluster: str = STORE, **body: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.rig.ecs("UpdateService", cluster=cluster, service=name, **body)[
            "service"
        ]
        return made

    def service(self, name: str = "vision", cluster: str = STORE) -> dict[str, Any]:
        answer = self.rig.ecs("DescribeServices", cluster=cluster, services=[name])
        found: dict[str, Any] = answer["services"][0]
        return found

    def tasks(self, status: str = "RUNNING", cluster: str = STORE, **body: Any) -> list[Any]:
        arns = self.rig.ecs("ListTasks", cluster=cluster, desiredStatus=status, **body)["taskArns"]
        if not arns:
            return []
        found: list[Any] = self.rig.ecs("DescribeTasks", cluster=cluster, tasks=arns)["tasks"]
        return found

    def records(self, name: str = "vision", cluster: str = STORE) -> list[Any]:
        """Service deployments in full, newest first."""
        listed = self.rig.ecs("ListServiceDeployments", cluster=cluster, service=name)
        arns = [brief["serviceDeploymentArn"] for brief in listed["serviceDeployments"]]
        answer = self.rig.ecs("DescribeServiceDeployments", serviceDeploymentArns=arns)
        found: list[Any] = answer["serviceDeployments"]
        return found

    def settle(self, seconds: float = 60.0) -> None:
        self.rig.clock.advance(seconds)

    def steady(self, name: str = "vision", cluster: str = STORE) -> bool:
        """What ``aws ecs wait services-stable`` asks."""
        service = self.service(name, cluster)
        return (
            len(service["deployments"]) == 1 and service["runningCount"] == service["desiredCount"]
        )

    def messages(self, name: str = "vision") -> list[str]:
        """Events, oldest first."""
        return [event["message"] for event in reversed(self.service(name)["events"])]


def configuration(
    lower: int = 0, upper: int = 100, *, count: int = 0, rollback: bool = True
) -> dict[str, Any]:
    """A deployment configuration; with a circuit breaker when ``count`` is given."""
    found: dict[str, Any] = {"minimumHealthyPercent": lower, "maximumPercent": upper}
    if count:
        found["deploymentCircuitBreaker"] = {
            "enable": True,
            "rollback": rollback,
            "thresholdConfiguration": {"type": "COUNT", "value": count},
        }
    return found


def arn_of(kind: str, name: str, account: str = "111122223333") -> str:
    return f"arn:aws:ecs:{REGION}:{account}:{kind}/{name}"
