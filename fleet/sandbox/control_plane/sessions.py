"""The control plane's side of the agents' sessions: who connects, what is sent, what was heard.

What an agent has to do goes out as PayloadMessages and is sent again until it is acknowledged; a
manifest follows every connection. Nothing is delivered while the plane's lock is held, because
agents answer from within.
"""

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from fleet.sandbox.agents.session import AwsFault, LinkDown
from fleet.sandbox.control_plane import payloads
from fleet.sandbox.control_plane.assumptions import (
    ACS_HEARTBEAT_S,
    FIRST_MESSAGE_AFTER_S,
    PAYLOAD_AGAIN_AFTER_S,
)
from fleet.sandbox.control_plane.call import Caller
from fleet.sandbox.control_plane.channels import Channel, Deliver
from fleet.sandbox.control_plane.region_state import ContainerInstance, RegionState
from fleet.sandbox.control_plane.workloads import Task
from fleet.sandbox.control_plane.world import World
from fleet.sandbox.schedule import Schedule, Timer

_LOG = logging.getLogger(__name__)

Writing = Callable[[], AbstractContextManager[None]]
Message = tuple[Channel, str, Mapping[str, Any]]


class AgentSessions:
    """Opens channels and sends through them.

    Args:
        world: whose agents they are.
        writing: holds the plane's lock and keeps what was changed.
    """

    def __init__(self, world: World, writing: Writing) -> None:
        self._world = world
        self._writing = writing
        self._schedule: Schedule | None = None
        self._beat: Timer | None = None

    def open(
        self,
        caller: Caller,
        state: RegionState,
        *,
        cluster: str,
        container_instance_arn: str,
        agent_version: str,
        docker_version: str,
        deliver: Deliver,
    ) -> Channel:
        """Let an agent in; called under the plane's lock. See ``ControlPlane.connect``."""
        instance = state.instances.get(container_instance_arn.rpartition("/")[2])
        if (
            instance is None
            or instance.arn != container_instance_arn
            or instance.cluster != (cluster.rpartition("/")[2] or "default")
            or instance.managed_instance_id != caller.managed_instance_id
            or instance.status == "INACTIVE"
        ):
            raise AwsFault(
                "InactiveInstanceException",
                f"The container instance {container_instance_arn} is inactive.",
            )
        instance.agent_version = agent_version
        instance.docker_version = docker_version.removeprefix("DockerVersion: ")
        instance.ever_connected = True
        instance.version += 1
        self._world.save(instance)
        world = self._world
        channel = Channel(instance.arn, world.clock.now, deliver, self._heard)
        world.channels.open(channel)
        world.work.look_at_cluster(state, instance.cluster)
        if self._schedule is not None:
            moment = world.clock.now() + FIRST_MESSAGE_AFTER_S
            self._schedule.at(moment, lambda: self._greet(channel, state, instance))
        return channel

    def run_on(self, schedule: Schedule) -> None:
        """Send from a schedule's thread from now on."""
        self._schedule = schedule
        # Two turns in a period: an agent that came between two is not kept waiting for long.
        self._beat = schedule.every(ACS_HEARTBEAT_S / 2, self.heartbeat)

    def stop(self) -> None:
        """No more heartbeats."""
        if self._beat is not None:
            self._beat.cancel()

    def heartbeat(self) -> None:
        """Send a heartbeat to every agent that is due one, and drop those that fell silent.

        With it goes again what an agent was sent and did not acknowledge.
        """
        now = self._world.clock.now()
        for channel in self._world.channels.due(now, ACS_HEARTBEAT_S):
            message = {"messageId": str(uuid.uuid4()), "healthy": True}
            if _deliver(channel, "HeartbeatMessage", message):
                self._send_again(channel, now)

    def flush(self) -> None:
        """Send what the work queue says; not to be called while the plane's lock is held."""
        if not self._world.work.messages:
            return
        with self._writing():
            messages = [
                message
                for arn, task_ids in self._world.work.take_messages().items()
                if (channel := self._world.channels.of(arn)) is not None
                and (message := self._payload(channel, task_ids)) is not None
            ]
        _deliver_all(messages)

    def flush_soon(self) -> None:
        """Let the schedule's thread do that."""
        if self._schedule is not None and self._world.work.messages:
            self._schedule.at(self._world.clock.now(), self.flush)

    def _greet(self, channel: Channel, state: RegionState, instance: ContainerInstance) -> None:
        """What follows a connection: every task's intent, and a manifest with a new timeline."""
        with self._writing():
            if not channel.open:
                return
            instance.timeline += 1
            self._world.save(instance)
            tasks = tuple(state.tasks_on.get(instance.id, ()))
            first = self._payload(channel, tasks)
            manifest = payloads.manifest(state, instance)
        _deliver_all([first] if first is not None else [])
        _deliver(channel, "TaskManifestMessage", manifest)

    def _payload(self, channel: Channel, task_ids: Iterable[str]) -> Message | None:
        found = self._world.instance(channel.arn)
        if found is None:
            return None
        state, instance = found
        tasks = [
            task
            for task_id in task_ids
            if (task := state.tasks_of.get(instance.cluster, {}).get(task_id)) is not None
        ]
        if not tasks:
            return None
        message = payloads.payload(state, instance, tasks)
        channel.sent[message["messageId"]] = (self._world.clock.now(), tuple(t.id for t in tasks))
        return channel, "PayloadMessage", message

    def _send_again(self, channel: Channel, now: float) -> None:
        late = {
            message_id: task_ids
            for message_id, (sent_at, task_ids) in tuple(channel.sent.items())
            if now - sent_at >= PAYLOAD_AGAIN_AFTER_S
        }
        if not late:
            return
        for message_id in late:
            channel.sent.pop(message_id, None)
        wanted = dict.fromkeys(task_id for task_ids in late.values() for task_id in task_ids)
        with self._writing():
            message = self._payload(channel, wanted)
        _deliver_all([message] if message is not None else [])

    def _heard(self, channel: Channel, message_type: str, message: Mapping[str, Any]) -> None:
        """Take what an agent says, in its own thread; answers wait for the schedule."""
        if message_type == "AckRequest":
            sent = channel.sent.pop(str(message.get("messageId")), None)
            if sent is not None and self._schedule is not None:
                now = self._world.clock.now()
                self._schedule.at(now, lambda: self._accepted(channel, sent[1]))
        elif message_type == "TaskStopVerificationMessage" and self._schedule is not None:
            now = self._world.clock.now()
            self._schedule.at(now, lambda: self._verify(channel, message))

    def _accepted(self, channel: Channel, task_ids: Iterable[str]) -> None:
        """An agent has taken these tasks: they are PENDING from now on."""
        with self._writing():
            found = self._world.instance(channel.arn)
            if found is None:
                return
            state, instance = found
            tasks = state.tasks_on.get(instance.id, {})
            for task_id in task_ids:
                task: Task | None = tasks.get(task_id)
                if task is not None and task.last_status == "PROVISIONING":
                    task.last_status = "PENDING"
                    task.version += 1
                    self._world.save(task)

    def _verify(self, channel: Channel, message: Mapping[str, Any]) -> None:
        with self._writing():
            found = self._world.instance(channel.arn)
            if found is None:
                return
            answer = payloads.stop_ack(*found, message, self._world.clock.now())
        _deliver(channel, "TaskStopVerificationAck", answer)


def _deliver_all(messages: Iterable[Message]) -> None:
    for message in messages:
        _deliver(*message)


def _deliver(channel: Channel, message_type: str, message: Mapping[str, Any]) -> bool:
    """Whether it went out; what the agent makes of it is its own affair."""
    if not channel.open:
        return False
    try:
        channel.deliver(message_type, message)
    except LinkDown:
        return False
    except Exception:  # noqa: BLE001 - one broken agent must not silence the others
        _LOG.exception("an agent failed over a %s", message_type)
    return True
