"""Run Command as the control plane remembers it: one invocation per command and node."""

from dataclasses import dataclass
from typing import Any, ClassVar

#: Statuses after which nothing more happens to an invocation.
OVER = frozenset({"Success", "Failed", "Cancelled", "TimedOut"})


@dataclass(slots=True)
class Invocation:
    """What one node makes of one command.

    Attributes:
        command: UUID; every invocation of a SendCommand has the same.
        node: ``mi-`` id.
        parameters: as sent, in wire form.
        delivery_s: seconds in which the agent has to take it (``TimeoutSeconds``).
        execution_s: seconds in which it has to end (``executionTimeout``).
        status: Pending, InProgress, Success, Failed, Cancelled or TimedOut.
        details: ``StatusDetails``, which is finer: DeliveryTimedOut, ExecutionTimedOut, ...
        taken_at: when the agent took it.
        code: exit status; -1 before the end.
    """

    KIND: ClassVar[str] = "command_invocation"
    account: str
    region: str
    command: str
    node: str
    name: str
    document: str
    comment: str
    parameters: dict[str, Any]
    requested_at: float
    delivery_s: float
    execution_s: float
    status: str = "Pending"
    details: str = "Pending"
    taken_at: float | None = None
    ended_at: float | None = None
    code: int = -1
    out: str = ""
    err: str = ""

    @property
    def key(self) -> str:
        """Unique in its state."""
        return f"{self.command}/{self.node}"
