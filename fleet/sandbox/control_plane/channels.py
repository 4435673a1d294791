"""Open ACS sessions of ECS agents: which agents are connected, and since when others are silent.

The control plane sends a heartbeat every 30 seconds and counts a channel alive while the agent
answers; ``agentConnected`` is computed from that and the clock, so a host whose link is cut turns
false by itself after the silence limit.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from fleet.sandbox.agents.session import Deliver, LinkDown
from fleet.sandbox.control_plane.assumptions import ACS_SILENT_AFTER_S

Hear = Callable[["AgentChannel", str, Mapping[str, Any]], None]


class AgentChannel:
    """One connection, as the control plane's side and as what the agent holds.

    Attributes:
        arn: of the container instance.
        heard_at: epoch seconds of the last thing the agent sent.
        beaten_at: of the last heartbeat sent to it.
        opened_at: since when the agent is connected, a renewed connection counted as one.
        closed_at: when the agent said goodbye, or None.
        sent: by message id, when a payload was sent that was not acknowledged yet, and the ids
            of the tasks in it.
    """

    def __init__(
        self, arn: str, now: Callable[[], float], deliver: Deliver, hear: Hear | None = None
    ) -> None:
        self.arn = arn
        self.sent: dict[str, tuple[float, tuple[str, ...]]] = {}
        self.heard_at = now()
        self.beaten_at = self.heard_at
        self.opened_at = self.heard_at
        self.closed_at: float | None = None
        self.deliver = deliver
        self.open = True
        self._now = now
        self._hear = hear

    def send(self, message_type: str, message: Mapping[str, Any]) -> None:
        """Take what the agent says; LinkDown once the control plane has closed the channel."""
        if not self.open:
            raise LinkDown(f"the control plane has closed the session of {self.arn}")
        self.heard_at = max(self.heard_at, self._now())
        if self._hear is not None:
            self._hear(self, message_type, message)

    def close(self) -> None:
        """Close it for the agent, which is disconnected at once."""
        self.open = False
        self.closed_at = self._now()


class Channels:
    """The channel of each container instance, at most one; a second connection ends the first.

    Thread-safe, because agents speak from threads of their own.
    """

    def __init__(self) -> None:
        self._by_arn: dict[str, AgentChannel] = {}
        self._gone: dict[str, float] = {}
        self._lock = threading.Lock()

    def open(self, channel: AgentChannel) -> None:
        """Take a new connection; an older one of the same instance is closed."""
        with self._lock:
            before = self._by_arn.get(channel.arn)
            if before is not None and self.connected(channel.arn, channel.opened_at):
                channel.opened_at = before.opened_at
            self._by_arn[channel.arn] = channel
            self._gone.pop(channel.arn, None)
        if before is not None:
            before.open = False

    def end(self, arn: str) -> None:
        """Close the connection of an instance, if there is one."""
        with self._lock:
            channel = self._by_arn.pop(arn, None)
        if channel is not None:
            channel.open = False

    def of(self, arn: str) -> AgentChannel | None:
        """Return the open channel of an instance."""
        channel = self._by_arn.get(arn)
        return channel if channel is not None and channel.open else None

    def connected(self, arn: str, now: float) -> bool:
        """Say whether the agent is there: an open channel that was heard within the limit."""
        channel = self._by_arn.get(arn)
        return channel is not None and channel.open and now - channel.heard_at <= ACS_SILENT_AFTER_S

    def connectivity(self, arn: str, now: float) -> tuple[bool, float | None]:
        """Say whether the agent is there, and since when (None: nobody was ever heard)."""
        channel = self._by_arn.get(arn)
        if channel is None:
            return False, self._gone.get(arn)
        if self.connected(arn, now):
            return True, channel.opened_at
        return False, _lost_at(channel)

    def due(self, now: float, period_s: float) -> tuple[AgentChannel, ...]:
        """Return the channels whose heartbeat is due, marked as beaten; dead ones are dropped."""
        due = []
        with self._lock:
            for arn, channel in tuple(self._by_arn.items()):
                if not channel.open or now - channel.heard_at > ACS_SILENT_AFTER_S:
                    channel.open = False
                    self._gone[arn] = _lost_at(channel)
                    del self._by_arn[arn]
                elif now - channel.beaten_at >= period_s:
                    channel.beaten_at = now
                    due.append(channel)
        return tuple(due)

    def count(self, now: float) -> int:
        """Return how many agents are connected."""
        return sum(self.connected(arn, now) for arn in tuple(self._by_arn))


def _lost_at(channel: AgentChannel) -> float:
    if channel.closed_at is not None:
        return channel.closed_at
    return channel.heard_at + ACS_SILENT_AFTER_S
