"""Answers the messages of the agent's ACS session (agent-protocol.md §3)."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from fleet.sandbox.agents.machine import text_of
from fleet.sandbox.agents.session import AcsChannel, LinkDown
from fleet.sandbox.agents.tasks import TaskEngine

_REQUIRED = ("messageId", "clusterArn", "containerInstanceArn")


class Conversation:
    """Takes and answers what AWS sends within one connection.

    Messages may arrive before ``connect`` has returned the channel. Heartbeats are answered at
    once; everything else a moment later from the schedule, because the control plane may be holding
    its lock while it delivers. An answer that does not get through is lost: the silence that
    follows closes the session.

    Args:
        tasks: what the messages are about.
        answer: cluster and container instance, for acknowledgements.
        advance: takes a sequence number, and whether to write it down; False when it is old.
        heard: told of every message.
        later: runs a step from the schedule, unless the agent ends first.
        log: the agent's log.
    """

    def __init__(
        self,
        tasks: TaskEngine,
        answer: Mapping[str, str],
        *,
        advance: Callable[[int, bool], bool],
        heard: Callable[[], None],
        later: Callable[[Callable[[], None]], None],
        log: Callable[[str], None],
    ) -> None:
        self._tasks = tasks
        self._answer = dict(answer)
        self._advance = advance
        self._heard = heard
        self._later = later
        self._log = log
        self._asked: dict[str, set[str]] = {}
        self._lock = threading.Lock()
        self._channel: AcsChannel | None = None
        self._early: list[tuple[str, Mapping[str, Any]]] = []

    def deliver(self, message_type: str, message: Mapping[str, Any]) -> None:
        """Take one message of AWS."""
        with self._lock:
            channel = self._channel
            if channel is None:
                self._early.append((message_type, message))
                return
        self._respond(channel, message_type, message)

    def open(self, channel: AcsChannel) -> None:
        """Note that the connection is open."""
        with self._lock:
            self._channel = channel
            early, self._early = self._early, []
        for message_type, message in early:
            self._respond(channel, message_type, message)

    def _respond(self, channel: AcsChannel, message_type: str, message: Mapping[str, Any]) -> None:
        self._heard()
        if message_type == "HeartbeatMessage":
            with suppress(LinkDown):
                channel.send("HeartbeatAckRequest", {"messageId": message.get("messageId", "")})
        else:
            self._later(lambda: self._act(channel, message_type, message))

    def _act(self, channel: AcsChannel, message_type: str, message: Mapping[str, Any]) -> None:
        with suppress(LinkDown):
            if message_type == "PayloadMessage":
                self._payload(channel, message)
            elif message_type == "TaskManifestMessage":
                self._manifest(channel, message)
            elif message_type == "TaskStopVerificationAck":
                self._verified(message)
            else:
                self._log(f"{message_type} is not known and was ignored")

    def _payload(self, channel: AcsChannel, message: Mapping[str, Any]) -> None:
        if missing := [name for name in _REQUIRED if not message.get(name)]:
            self._log(f"a payload without {missing[0]} was dropped")
            return
        self._advance(_number(message.get("seqNum")), False)
        tasks = [task for task in message.get("tasks") or () if isinstance(task, Mapping)]
        if self._tasks.payload(tasks):
            self._acknowledge(channel, message)

    def _manifest(self, channel: AcsChannel, message: Mapping[str, Any]) -> None:
        """Answer a manifest; one that is not newer than the last one is ignored (§3.3)."""
        if not self._advance(_number(message.get("timeline")), True):
            return
        self._acknowledge(channel, message)
        candidates = self._tasks.stop_candidates(list(message.get("tasks") or ()))
        if candidates:
            message_id = text_of(message.get("messageId"))
            self._asked[message_id] = {each["taskArn"] for each in candidates}
            body = {"messageId": message_id, "stopCandidates": candidates}
            channel.send("TaskStopVerificationMessage", body)

    def _verified(self, message: Mapping[str, Any]) -> None:
        """Stop what was asked about and accepted; an answer counts once."""
        asked = self._asked.pop(text_of(message.get("messageId")), set())
        accepted = {text_of(task.get("taskArn")) for task in message.get("stopTasks") or ()}
        self._tasks.stop_tasks(sorted(asked & accepted))

    def _acknowledge(self, channel: AcsChannel, message: Mapping[str, Any]) -> None:
        channel.send("AckRequest", {**self._answer, "messageId": message.get("messageId", "")})


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else -1
