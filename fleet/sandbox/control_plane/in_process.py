"""The agents' session with the control plane, without a wire between them."""

from collections.abc import Callable, Mapping
from typing import Any

from fleet.sandbox.agents.session import LinkDown, RoleToken
from fleet.sandbox.control_plane.channels import Channel
from fleet.sandbox.control_plane.engine import ControlPlane
from fleet.sandbox.control_plane.faults import ConnectionDropped


class InProcessSession:
    """``agents.session.ControlPlaneSession`` over a control plane in this process.

    The account is found from the activation or the token. A fault that drops the connection
    arrives as LinkDown; a link that is cut is for whoever wraps this to simulate.

    Args:
        plane: the control plane.
        region: where this host's agents were told to call.
    """

    def __init__(self, plane: ControlPlane, region: str) -> None:
        self._plane = plane
        self._region = region

    def register_managed_instance(
        self, *, activation_id: str, activation_code: str, fingerprint: str, public_key: str
    ) -> str:
        """SSM RegisterManagedInstance (unsigned): spends one use; returns the ``mi-`` id."""
        answer = self._call(
            "ssm",
            "RegisterManagedInstance",
            {
                "ActivationId": activation_id,
                "ActivationCode": activation_code,
                "Fingerprint": fingerprint,
                "PublicKey": public_key,
                "PublicKeyType": "Rsa",
            },
            "",
        )
        return str(answer["InstanceId"])

    def request_role_token(self, *, instance_id: str, fingerprint: str) -> RoleToken:
        """SSM RequestManagedInstanceRoleToken."""
        answer = self._call(
            "ssm", "RequestManagedInstanceRoleToken", {"Fingerprint": fingerprint}, instance_id
        )
        return RoleToken(
            answer["AccessKeyId"],
            answer["SecretAccessKey"],
            answer["SessionToken"],
            answer["TokenExpirationDate"],
        )

    def update_instance_information(self, token: RoleToken, body: Mapping[str, Any]) -> None:
        """SSM UpdateInstanceInformation: the ping, sent every 5 minutes."""
        self._call("ssm", "UpdateInstanceInformation", body, token.access_key_id)

    def open_commands(self, token: RoleToken, deliver: Callable[[Mapping[str, Any]], None]) -> None:
        """Where the agent takes Run Command's commands."""
        self._plane.open_commands(token.access_key_id, deliver)

    def update_command(self, token: RoleToken, body: Mapping[str, Any]) -> bool:
        """What becomes of a command; whether it is still wanted."""
        return bool(self._call("ssm", "UpdateCommand", body, token.access_key_id)["Run"])

    def register_container_instance(
        self, token: RoleToken, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """ECS RegisterContainerInstance: returns ``containerInstance``."""
        answer = self._call("ecs", "RegisterContainerInstance", body, token.access_key_id)
        instance: dict[str, Any] = answer["containerInstance"]
        return instance

    def connect(
        self,
        token: RoleToken,
        *,
        cluster: str,
        container_instance_arn: str,
        agent_version: str,
        docker_version: str,
        deliver: Callable[[str, Mapping[str, Any]], None],
    ) -> Channel:
        """Open the ACS session; see ``ControlPlane.connect`` for when ``deliver`` is called."""
        try:
            return self._plane.connect(
                token.access_key_id,
                region=self._region,
                cluster=cluster,
                container_instance_arn=container_instance_arn,
                agent_version=agent_version,
                docker_version=docker_version,
                deliver=deliver,
            )
        except ConnectionDropped:
            raise LinkDown("the connection was lost while the session was opened") from None

    def submit_task_state_change(self, token: RoleToken, body: Mapping[str, Any]) -> None:
        """ECS SubmitTaskStateChange."""
        self._call("ecs", "SubmitTaskStateChange", body, token.access_key_id)

    def publish_health(self, token: RoleToken, body: Mapping[str, Any]) -> None:
        """TACS PublishHealthRequest: ``healthStatus`` of the containers of ``tasks``."""
        self._call("tacs", "PublishHealth", body, token.access_key_id)

    def _call(
        self, service: str, action: str, body: Mapping[str, Any], access_key: str
    ) -> dict[str, Any]:
        try:
            return self._plane.call(
                service, action, body, region=self._region, access_key=access_key
            )
        except ConnectionDropped:
            # Without the cause: a traceback of it would show the activation code in its frames.
            raise LinkDown(f"the connection was lost during {action}") from None
