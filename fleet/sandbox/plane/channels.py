"""Open sessions of ECS agents (ACS): who is connected, and since when somebody is silent.

The control plane sends a heartbeat every 30 seconds and counts a channel alive while the agent
answers; ``agentConnected`` is computed from that and the clock, so a host whose link is cut turns
false by itself after the silence limit.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from fleet.sandbox.agents.session import LinkDown
from fleet.sandbox.plane.liberties import ACS_SILENT_AFTER_S

Deliver = Callable[[str, Mapping[str, Any]], None]


class Channel:
    """One connection, as the control plane's side and as what the agent holds.

    Attributes:
        arn: of the container instance.
        heard_at: epoch seconds of the last thing the agent sent.
        beaten_at: of the last heartbeat sent to it.
    """

    def __init__(self, arn: str, now: Callable[[], float], deliver: Deliver) -> None:
        self.arn = arn
        self.heard_at = now()
        self.beaten_at = self.heard_at
        self.deliver = deliver
        self.open = True
        self._now = now

    def send(self, message_type: str, message: Mapping[str, Any]) -> None:  # noqa: ARG002 - any is a sign of life
        """Take what the agent says; LinkDown once the control plane has closed the channel."""
        if not self.open:
            raise LinkDown(f"the control plane has closed the session of {self.arn}")
        self.heard_at = max(self.heard_at, self._now())

    def close(self) -> None:
        """The agent says goodbye: disconnected at once."""
        self.open = False


class Channels:
    """The channel of each container instance, at most one; a second connection ends the first.

    Thread-safe, because agents speak from threads of their own.
    """

    def __init__(self) -> None:
        self._by_arn: dict[str, Channel] = {}
        self._lock = threading.Lock()

    def open(self, channel: Channel) -> None:
        """Take a new connection; an older one of the same instance is closed."""
        with self._lock:
            before = self._by_arn.get(channel.arn)
            self._by_arn[channel.arn] = channel
        if before is not None:
            before.open = False

    def end(self, arn: str) -> None:
        """Close the connection of an instance, if there is one."""
        with self._lock:
            channel = self._by_arn.pop(arn, None)
        if channel is not None:
            channel.open = False

    def of(self, arn: str) -> Channel | None:
        """The open channel of an instance."""
        channel = self._by_arn.get(arn)
        return channel if channel is not None and channel.open else None

    def connected(self, arn: str, now: float) -> bool:
        """Whether the agent is there: an open channel that was heard within the limit."""
        channel = self._by_arn.get(arn)
        return channel is not None and channel.open and now - channel.heard_at <= ACS_SILENT_AFTER_S

    def due(self, now: float, period_s: float) -> tuple[Channel, ...]:
        """The channels whose heartbeat is due, marked as beaten; dead ones are dropped."""
        due = []
        with self._lock:
            for arn, channel in tuple(self._by_arn.items()):
                if not channel.open or now - channel.heard_at > ACS_SILENT_AFTER_S:
                    channel.open = False
                    del self._by_arn[arn]
                elif now - channel.beaten_at >= period_s:
                    channel.beaten_at = now
                    due.append(channel)
        return tuple(due)

    def count(self, now: float) -> int:
        """How many agents are connected."""
        return sum(self.connected(arn, now) for arn in tuple(self._by_arn))
