"""A host's way to AWS: the control plane's session, with the host's link in between."""

from collections.abc import Callable, Mapping
from typing import Any

from fleet.sandbox.agents.session import (
    AcsChannel,
    ControlPlaneSession,
    LinkDown,
    RoleToken,
)
from fleet.sandbox.hosts.conditions import Conditions


class LinkedSession:
    """A ControlPlaneSession whose calls fail while the link is cut or the endpoint is blocked."""

    def __init__(self, inner: ControlPlaneSession, conditions: Conditions, region: str) -> None:
        self._inner = inner
        self._knobs = conditions
        self._region = region

    def register_managed_instance(
        self, *, activation_id: str, activation_code: str, fingerprint: str, public_key: str
    ) -> str:
        """SSM RegisterManagedInstance."""
        self._need("ssm")
        return self._inner.register_managed_instance(
            activation_id=activation_id,
            activation_code=activation_code,
            fingerprint=fingerprint,
            public_key=public_key,
        )

    def request_role_token(self, *, instance_id: str, fingerprint: str) -> RoleToken:
        """SSM RequestManagedInstanceRoleToken."""
        self._need("ssm")
        return self._inner.request_role_token(instance_id=instance_id, fingerprint=fingerprint)

    def update_instance_information(self, token: RoleToken, body: Mapping[str, Any]) -> None:
        """SSM UpdateInstanceInformation."""
        self._need("ssm")
        self._inner.update_instance_information(token, body)

    def open_commands(self, token: RoleToken, deliver: Callable[[Mapping[str, Any]], None]) -> None:
        """Where the agent takes commands; what is sent while the link is cut does not arrive."""
        self._need("ssmmessages")

        def arrive(message: Mapping[str, Any]) -> None:
            self._need("ssmmessages")
            deliver(message)

        self._inner.open_commands(token, arrive)

    def update_command(self, token: RoleToken, body: Mapping[str, Any]) -> bool:
        """What becomes of a command."""
        self._need("ssmmessages")
        return self._inner.update_command(token, body)

    def register_container_instance(
        self, token: RoleToken, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """ECS RegisterContainerInstance."""
        self._need("ecs")
        return self._inner.register_container_instance(token, body)

    def submit_task_state_change(self, token: RoleToken, body: Mapping[str, Any]) -> None:
        """ECS SubmitTaskStateChange."""
        self._need("ecs")
        self._inner.submit_task_state_change(token, body)

    def publish_health(self, token: RoleToken, body: Mapping[str, Any]) -> None:
        """The health of containers, over the telemetry session."""
        self._need("ecs-t-1")
        self._inner.publish_health(token, body)

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
        """Open the ACS session; what AWS sends while the link is cut is lost."""
        self._need("ecs-a-1")

        def arrive(message_type: str, message: Mapping[str, Any]) -> None:
            if not self._knobs.blocks(self._name("ecs-a-1")):
                deliver(message_type, message)

        channel = self._inner.connect(
            token,
            cluster=cluster,
            container_instance_arn=container_instance_arn,
            agent_version=agent_version,
            docker_version=docker_version,
            deliver=arrive,
        )
        return _LinkedChannel(channel, lambda: self._need("ecs-a-1"))

    def _name(self, service: str) -> str:
        return f"{service}.{self._region}.amazonaws.com"

    def _need(self, service: str) -> None:
        name = self._name(service)
        if self._knobs.blocks(name):
            raise LinkDown(f"no answer from {name}")


class _LinkedChannel:
    """An AcsChannel whose answers, and whose goodbye, need the link."""

    def __init__(self, inner: AcsChannel, need: Callable[[], None]) -> None:
        self._inner = inner
        self._need = need

    def send(self, message_type: str, message: Mapping[str, Any]) -> None:
        self._need()
        self._inner.send(message_type, message)

    def close(self) -> None:
        self._need()
        self._inner.close()
