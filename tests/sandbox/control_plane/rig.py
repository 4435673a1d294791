"""A control plane on a stepped clock, and short words for what tests do with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.sandbox.agents import ssm
from fleet.sandbox.agents.session import (
    AcsChannel,
    ConnectRequest,
    Deliver,
    LinkDown,
    RoleToken,
)
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.control_plane.engine import ControlPlane
from fleet.sandbox.control_plane.in_process import InProcessSession
from fleet.sandbox.schedule import Schedule
from fleet.sandbox.spec import AccountSpec

EMEA = "111122223333"
APAC = "444455556666"
REGION = "eu-west-1"
START = 1_800_000_000.0
INSTALLER = b"#!/bin/bash\n# the installer\n"


class HostCalls:
    """What agents call, by name."""

    def __init__(self, session: InProcessSession) -> None:
        self._session = session
        self.open_commands = session.open_commands

    def register_managed_instance(
        self, *, activation_id: str, activation_code: str, fingerprint: str, public_key: str
    ) -> str:
        body = {
            "ActivationId": activation_id,
            "ActivationCode": activation_code,
            "Fingerprint": fingerprint,
            "PublicKey": public_key,
            "PublicKeyType": "Rsa",
        }
        answer = self._session.call("ssm", "RegisterManagedInstance", body, None)
        return str(answer["InstanceId"])

    def request_role_token(self, *, instance_id: str, fingerprint: str) -> RoleToken:
        return ssm.request_role_token(self._session, instance_id, fingerprint)

    def update_instance_information(self, token: RoleToken, body: Mapping[str, Any]) -> None:
        self._session.call("ssm", "UpdateInstanceInformation", body, token)

    def update_command(self, token: RoleToken, body: Mapping[str, Any]) -> bool:
        return bool(self._session.call("ssm", "UpdateCommand", body, token)["Run"])

    def register_container_instance(
        self, token: RoleToken, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        answer = self._session.call("ecs", "RegisterContainerInstance", body, token)
        made: dict[str, Any] = answer["containerInstance"]
        return made

    def submit_task_state_change(self, token: RoleToken, body: Mapping[str, Any]) -> None:
        self._session.call("ecs", "SubmitTaskStateChange", body, token)

    def publish_health(self, token: RoleToken, body: Mapping[str, Any]) -> None:
        self._session.call("tacs", "PublishHealth", body, token)

    def connect(self, token: RoleToken, cluster: str, arn: str, deliver: Deliver) -> AcsChannel:
        request = ConnectRequest(cluster, arn, "1.105.1", "DockerVersion: 24.0.7")
        return self._session.connect(token, request, deliver)


@dataclass
class Agent:
    """An agent that answers heartbeats while its link is up."""

    channel: AcsChannel | None = None
    up: bool = True
    got: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def deliver(self, message_type: str, message: Mapping[str, Any]) -> None:
        if not self.up:
            raise LinkDown("cut")
        self.got.append((message_type, message))
        if message_type == "HeartbeatMessage" and self.channel is not None:
            self.channel.send("HeartbeatAckRequest", {"messageId": message["messageId"]})


@dataclass
class Host:
    """A registered host."""

    node: str
    token: RoleToken
    arn: str = ""
    agent: Agent = field(default_factory=Agent)


class Rig:
    def __init__(
        self, database: Path | None = None, *, throttling: bool = False, start: float = START
    ) -> None:
        self.clock = SandboxClock(rate=0, start=start)
        self.schedule = Schedule(self.clock)
        self.plane = ControlPlane(
            self.clock,
            [AccountSpec(EMEA, "emea-prod"), AccountSpec(APAC, "apac-prod")],
            throttling=throttling,
            database=database,
            public_objects={"amazon-ecs-agent/ecs-anywhere-install-latest.sh": INSTALLER},
        )
        self.plane.run_on(self.schedule)
        self.session = HostCalls(InProcessSession(self.plane, REGION))

    def ecs(
        self, action: str, *, account: str = EMEA, region: str = REGION, **body: Any
    ) -> dict[str, Any]:
        return self.plane.call("ecs", action, body, account=account, region=region)

    def ssm(
        self, action: str, *, account: str = EMEA, region: str = REGION, **body: Any
    ) -> dict[str, Any]:
        return self.plane.call("ssm", action, body, account=account, region=region)

    def activation(self, **body: Any) -> dict[str, Any]:
        return self.ssm("CreateActivation", **{"IamRole": "ecsAnywhereRole", **body})

    def spend(self, activation: Mapping[str, Any], fingerprint: str = "f") -> str:
        return self.session.register_managed_instance(
            activation_id=activation["ActivationId"],
            activation_code=activation["ActivationCode"],
            fingerprint=fingerprint,
            public_key="key",
        )

    def node(self, **body: Any) -> Host:
        """A machine that is registered in SSM and has credentials."""
        node = self.spend(self.activation(**body))
        return Host(node, self.session.request_role_token(instance_id=node, fingerprint="f"))

    def ping(self, host: Host, **body: str) -> None:
        self.session.update_instance_information(host.token, {"InstanceId": host.node, **body})

    def join(self, host: Host, cluster: str = "store-042", **body: Any) -> dict[str, Any]:
        """Register in ECS; remembers the ARN."""
        made = self.session.register_container_instance(
            host.token, {"cluster": cluster, "instanceIdentityDocument": "", **body}
        )
        host.arn = made["containerInstanceArn"]
        return made

    def connect(self, host: Host, cluster: str = "store-042") -> Agent:
        host.agent.channel = self.session.connect(host.token, cluster, host.arn, host.agent.deliver)
        return host.agent

    def host(self, cluster: str = "store-042", **body: Any) -> Host:
        """A host in its cluster, connected and pinging once."""
        self.ecs("CreateCluster", clusterName=cluster)
        host = self.node()
        self.ping(host)
        self.join(host, cluster, **body)
        self.connect(host, cluster)
        return host

    def seen(self, host: Host, cluster: str = "store-042", **body: Any) -> dict[str, Any]:
        """The container instance as DescribeContainerInstances shows it."""
        answer = self.ecs(
            "DescribeContainerInstances", cluster=cluster, containerInstances=[host.arn], **body
        )
        instance: dict[str, Any] = answer["containerInstances"][0]
        return instance

    def close(self) -> None:
        self.schedule.stop()
        self.plane.close()
