"""The one interface between agents and the control plane.

The simulated agents use it in process; the wire (HTTP and websockets, as the real agents speak)
is another implementation of the same. Bodies are AWS wire dictionaries with the key style of the
service: PascalCase for SSM, lowerCamelCase for ECS. The shapes are those of amazon-ssm-agent 3.3
and amazon-ecs-agent 1.105.1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


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

    The ECS control plane learns which node is calling from ``access_key_id`` alone.
    """

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: float


class AcsChannel(Protocol):
    """An open session of an ECS agent with the control plane (one websocket on the wire)."""

    def send(self, message_type: str, message: Mapping[str, Any]) -> None:
        """Answer the control plane (AckRequest, HeartbeatAckRequest, ...); raises LinkDown."""
        ...

    def close(self) -> None:
        """Say goodbye; the control plane sees the agent as disconnected at once."""
        ...


class ControlPlaneSession(Protocol):
    """What agents can say to AWS. Every call may raise AwsFault or LinkDown."""

    def register_managed_instance(
        self, *, activation_id: str, activation_code: str, fingerprint: str, public_key: str
    ) -> str:
        """SSM RegisterManagedInstance (unsigned): spends one use; returns the ``mi-`` id."""
        ...

    def request_role_token(self, *, instance_id: str, fingerprint: str) -> RoleToken:
        """SSM RequestManagedInstanceRoleToken."""
        ...

    def update_instance_information(self, token: RoleToken, body: Mapping[str, Any]) -> None:
        """SSM UpdateInstanceInformation: the ping, sent every 5 minutes."""
        ...

    def open_commands(self, token: RoleToken, deliver: Callable[[Mapping[str, Any]], None]) -> None:
        """Say where Run Command's commands are taken; stands for the channel of ssmmessages.

        ``deliver`` gets ``{"CommandId", "Script", "TimeoutSeconds"}``, more than once for one
        command when the first did not seem to arrive.
        """
        ...

    def update_command(self, token: RoleToken, body: Mapping[str, Any]) -> bool:
        """Tell what becomes of a command; False when nobody wants it run any more.

        ``body`` is ``{"CommandId", "Status": "InProgress" | "Done", "Code", "Out", "Err"}``.
        """
        ...

    def register_container_instance(
        self, token: RoleToken, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """ECS RegisterContainerInstance: returns ``containerInstance``."""
        ...

    def connect(
        self,
        token: RoleToken,
        *,
        cluster: str,
        container_instance_arn: str,
        agent_version: str,
        docker_version: str,
        deliver: Callable[[str, Mapping[str, Any]], None],
    ) -> AcsChannel:
        """Open the ACS session; ``deliver(message_type, message)`` gets what AWS sends.

        Raises AwsFault("InactiveInstanceException") for a deregistered instance.
        """
        ...

    def submit_task_state_change(self, token: RoleToken, body: Mapping[str, Any]) -> None:
        """ECS SubmitTaskStateChange."""
        ...

    def publish_health(self, token: RoleToken, body: Mapping[str, Any]) -> None:
        """Tell how the containers with a health check are; stands for PublishHealthRequest (TACS).

        ``body`` is ``{"cluster": ..., "containerInstance": arn, "tasks": [{"taskArn": ...,
        "containers": [{"containerName": ..., "healthStatus": "HEALTHY" | "UNHEALTHY"}]}]}``.
        """
        ...
