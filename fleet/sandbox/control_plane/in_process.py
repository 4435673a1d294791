"""The session between agents and control plane in one process."""

from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents.session import (
    ConnectRequest,
    Deliver,
    DeliverCommand,
    LinkDown,
    RoleToken,
)
from fleet.sandbox.control_plane.channels import AgentChannel
from fleet.sandbox.control_plane.engine import ControlPlane
from fleet.sandbox.control_plane.faults import ConnectionDropped


class InProcessSession:
    """``agents.session.ControlPlaneSession`` over a control plane in this process.

    The account is found from the activation or the token. A fault that drops the connection
    arrives as LinkDown; ``hosts.links`` wraps this to simulate a link that is cut.

    Args:
        plane: the control plane.
        region: where this host's agents were told to call.
    """

    def __init__(self, plane: ControlPlane, region: str) -> None:
        self._plane = plane
        self._region = region

    def call(
        self, service: str, action: str, body: Mapping[str, Any], token: RoleToken | None
    ) -> dict[str, Any]:
        """Make one call."""
        key = token.access_key_id if token is not None else ""
        try:
            return self._plane.call(service, action, body, region=self._region, access_key=key)
        except ConnectionDropped:
            # Without the cause: a traceback of it would show the activation code in its frames.
            raise LinkDown(f"the connection was lost during {action}") from None

    def open_commands(self, token: RoleToken, deliver: DeliverCommand) -> None:
        """Say where the agent takes Run Command's commands."""
        self._plane.open_commands(token.access_key_id, deliver)

    def connect(self, token: RoleToken, request: ConnectRequest, deliver: Deliver) -> AgentChannel:
        """Open the ACS session; see ``ControlPlane.connect`` for when ``deliver`` is called."""
        try:
            return self._plane.connect(token.access_key_id, self._region, request, deliver)
        except ConnectionDropped:
            raise LinkDown("the connection was lost while the session was opened") from None
