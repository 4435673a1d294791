"""The interface between agents and the control plane.

The simulated agents use it in process; the wire (HTTP and websockets, as the real agents speak)
is another implementation of the same. Bodies are AWS wire dictionaries with the key style of the
service: PascalCase for SSM, lowerCamelCase for ECS. The shapes are those of amazon-ssm-agent 3.3
and amazon-ecs-agent 1.105.1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Deliver = Callable[[str, Mapping[str, Any]], None]
DeliverCommand = Callable[[Mapping[str, Any]], None]


class AwsFault(Exception):
    """An error as the control plane answers it.

    Attributes:
        code: AWS's error code, as ``ClusterNotFoundException``.
        message: its text.
        status: HTTP status, 400 or 500.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class LinkDown(Exception):
    """The host cannot reach AWS now; the call may or may not have had its effect."""


@dataclass(frozen=True, slots=True)
class RoleToken:
    """Credentials of a node, from RequestManagedInstanceRoleToken; live one hour.

    The control plane learns which node is calling from ``access_key_id`` alone.
    """

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """What an ECS agent sends when it opens its ACS session."""

    cluster: str
    container_instance_arn: str
    agent_version: str
    docker_version: str


class AcsChannel(Protocol):
    """An open session of an ECS agent with the control plane (one websocket on the wire)."""

    def send(self, message_type: str, message: Mapping[str, Any]) -> None:
        """Answer the control plane (AckRequest, HeartbeatAckRequest, ...); raises LinkDown."""
        ...

    def close(self) -> None:
        """Close it; the control plane sees the agent as disconnected at once."""
        ...


class ControlPlaneSession(Protocol):
    """How agents reach AWS. Every method may raise AwsFault or LinkDown."""

    def call(
        self, service: str, action: str, body: Mapping[str, Any], token: RoleToken | None
    ) -> dict[str, Any]:
        """Make one call; RegisterManagedInstance is unsigned and has no token.

        Two are no AWS API and stand for the agents' other channels. ``ssm:UpdateCommand`` tells
        what becomes of a command: ``{"CommandId", "Status": "InProgress" | "Done", "Code", "Out",
        "Err"}``; the answer's ``Run`` is False when nobody wants it run any more.
        ``tacs:PublishHealth`` is the telemetry session's PublishHealthRequest: ``{"cluster",
        "containerInstance", "tasks": [{"taskArn", "containers": [{"containerName",
        "healthStatus": "HEALTHY" | "UNHEALTHY"}]}]}``.
        """
        ...

    def open_commands(self, token: RoleToken, deliver: DeliverCommand) -> None:
        """Say where Run Command's commands are taken; stands for the channel of ssmmessages.

        ``deliver`` gets ``{"CommandId", "Script", "TimeoutSeconds"}``, more than once for one
        command when the first did not seem to arrive.
        """
        ...

    def connect(self, token: RoleToken, request: ConnectRequest, deliver: Deliver) -> AcsChannel:
        """Open the ACS session; ``deliver(message_type, message)`` gets what AWS sends.

        Raises AwsFault("InactiveInstanceException") for a deregistered instance.
        """
        ...
