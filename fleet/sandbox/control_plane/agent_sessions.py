"""The control plane's side of agent sessions: connections, messages sent and received.

What an ECS agent has to do goes out as PayloadMessages and is sent again until it is acknowledged;
a manifest follows every connection. An SSM agent is sent the commands that wait for it. Nothing is
delivered while the control plane's lock is held, because agents answer from within.
"""

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from fleet.sandbox.agents.session import (
    AwsFault,
    ConnectRequest,
    Deliver,
    DeliverCommand,
    LinkDown,
)
from fleet.sandbox.control_plane import payloads
from fleet.sandbox.control_plane.assumptions import (
    ACS_HEARTBEAT_S,
    FIRST_MESSAGE_AFTER_S,
    PAYLOAD_AGAIN_AFTER_S,
)
from fleet.sandbox.control_plane.call import Principal
from fleet.sandbox.control_plane.channels import AgentChannel
from fleet.sandbox.control_plane.entities import ContainerInstanceEntity
from fleet.sandbox.control_plane.ssm_commands import message_of, pending
from fleet.sandbox.control_plane.world import RegionState, World
from fleet.sandbox.schedule import Schedule, Timer

_LOG = logging.getLogger(__name__)

Message = tuple[AgentChannel, str, Mapping[str, Any]]


class AgentSessions:
    """Opens the sessions of ECS and SSM agents, and sends through them.

    Args:
        world: whose agents they are.
        writing: holds the control plane's lock and stores what was changed.
    """

    def __init__(self, world: World, writing: Callable[[], AbstractContextManager[None]]) -> None:
        self._world = world
        self._writing = writing
        self._schedule: Schedule | None = None
        self._beat: Timer | None = None
        self._ssm_agents: dict[str, DeliverCommand] = {}

    def open(
        self, caller: Principal, state: RegionState, request: ConnectRequest, deliver: Deliver
    ) -> AgentChannel:
        """Open an ACS session; called under the lock. See ``ControlPlane.connect``."""
        arn = request.container_instance_arn
        instance = state.instances.get(arn.rpartition("/")[2])
        if (
            instance is None
            or instance.arn != arn
            or instance.cluster != (request.cluster.rpartition("/")[2] or "default")
            or instance.managed_instance_id != caller.managed_instance_id
            or instance.status == "INACTIVE"
        ):
            raise AwsFault(
                "InactiveInstanceException", f"The container instance {arn} is inactive."
            )
        instance.agent_version = request.agent_version
        instance.docker_version = request.docker_version.removeprefix("DockerVersion: ")
        instance.ever_connected = True
        instance.version += 1
        world = self._world
        world.save(instance)
        channel = AgentChannel(instance.arn, world.clock.now, deliver, self._heard)
        world.channels.open(channel)
        world.work.reconcile_cluster(state, instance.cluster)
        self._later(FIRST_MESSAGE_AFTER_S, lambda: self._send_everything(channel, state, instance))
        return channel

    def open_commands(self, node: str, deliver: DeliverCommand) -> None:
        """Note where an SSM agent takes commands; called under the lock.

        A command that does not arrive stays Pending and is sent again with the next
        ``open_commands``, as after an outage; an agent runs a command once, however often it is
        sent.
        """
        self._ssm_agents[node] = deliver
        self._world.work.send_command(node)

    def run_on(self, schedule: Schedule) -> None:
        """Send from a schedule's thread from now on."""
        self._schedule = schedule
        # Twice in a period, so that an agent that connected in between does not wait for long.
        self._beat = schedule.every(ACS_HEARTBEAT_S / 2, self.heartbeat)

    def stop(self) -> None:
        """Send no more heartbeats."""
        if self._beat is not None:
            self._beat.cancel()

    def heartbeat(self) -> None:
        """Send a heartbeat to every agent that is due one, and drop those that fell silent.

        What an agent was sent and did not acknowledge is sent again with it.
        """
        now = self._world.clock.now()
        for channel in self._world.channels.due(now, ACS_HEARTBEAT_S):
            message = {"messageId": str(uuid.uuid4()), "healthy": True}
            if _deliver(channel, "HeartbeatMessage", message):
                self._send_again(channel, now)

    def flush(self) -> None:
        """Send the tasks in the work queue; not to be called while the lock is held."""
        if not self._world.work.messages:
            return
        with self._writing():
            messages = [
                message
                for arn, task_ids in self._world.work.take_messages().items()
                if (channel := self._world.channels.of(arn)) is not None
                and (message := self._payload(channel, task_ids)) is not None
            ]
        for message in messages:
            _deliver(*message)

    def flush_soon(self) -> None:
        """Let the schedule's thread send what is in the work queue."""
        if self._world.work.messages:
            self._later(0.0, self.flush)
        if self._world.work.nodes:
            self._later(0.0, self._flush_commands)

    def _flush_commands(self) -> None:
        with self._writing():
            nodes = self._world.work.take_nodes()
            now = self._world.clock.now()
            messages = [
                (deliver, message_of(one))
                for node in nodes
                if (deliver := self._ssm_agents.get(node)) is not None
                for state in self._world.region_states()
                if state.invocations and node in state.nodes
                for one in pending(
                    [by[node] for by in state.invocations.values() if node in by], now
                )
            ]
        for deliver, message in messages:
            _attempt(lambda deliver=deliver, message=message: deliver(message), "a command")  # type: ignore[misc]

    def _later(self, seconds: float, step: Callable[[], None]) -> None:
        if self._schedule is not None:
            self._schedule.at(self._world.clock.now() + seconds, step)

    def _send_everything(
        self, channel: AgentChannel, state: RegionState, instance: ContainerInstanceEntity
    ) -> None:
        """Send a new connection every task of its instance, and a manifest with a new timeline."""
        with self._writing():
            if not channel.open:
                return
            instance.timeline += 1
            self._world.save(instance)
            first = self._payload(channel, tuple(state.tasks_on.get(instance.id, ())))
            manifest = payloads.manifest(state, instance)
        if first is not None:
            _deliver(*first)
        _deliver(channel, "TaskManifestMessage", manifest)

    def _payload(self, channel: AgentChannel, task_ids: Iterable[str]) -> Message | None:
        found = self._world.instance(channel.arn)
        if found is None:
            return None
        state, instance = found
        held = state.tasks_of.get(instance.cluster, {})
        tasks = [held[task_id] for task_id in task_ids if task_id in held]
        if not tasks:
            return None
        message = payloads.payload(state, instance, tasks)
        channel.sent[message["messageId"]] = (self._world.clock.now(), tuple(t.id for t in tasks))
        return channel, "PayloadMessage", message

    def _send_again(self, channel: AgentChannel, now: float) -> None:
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
        if message is not None:
            _deliver(*message)

    def _heard(self, channel: AgentChannel, message_type: str, message: Mapping[str, Any]) -> None:
        """Take what an agent says, in its own thread; answers wait for the schedule."""
        if message_type == "AckRequest":
            sent = channel.sent.pop(str(message.get("messageId")), None)
            if sent is not None:
                self._later(0.0, lambda: self._acknowledged(channel, sent[1]))
        elif message_type == "TaskStopVerificationMessage":
            self._later(0.0, lambda: self._verify(channel, message))

    def _acknowledged(self, channel: AgentChannel, task_ids: Iterable[str]) -> None:
        """Note that an agent has taken these tasks: they are PENDING from now on."""
        with self._writing():
            found = self._world.instance(channel.arn)
            if found is None:
                return
            tasks = found[0].tasks_on.get(found[1].id, {})
            for task_id in task_ids:
                task = tasks.get(task_id)
                if task is not None and task.last_status == "PROVISIONING":
                    task.last_status = "PENDING"
                    task.version += 1
                    self._world.save(task)

    def _verify(self, channel: AgentChannel, message: Mapping[str, Any]) -> None:
        with self._writing():
            found = self._world.instance(channel.arn)
            if found is None:
                return
            answer = payloads.stop_ack(*found, message, self._world.clock.now())
        _deliver(channel, "TaskStopVerificationAck", answer)


def _deliver(channel: AgentChannel, message_type: str, message: Mapping[str, Any]) -> bool:
    """Say whether it went out, whatever the agent does with it."""
    return channel.open and _attempt(lambda: channel.deliver(message_type, message), message_type)


def _attempt(send: Callable[[], None], what: str) -> bool:
    try:
        send()
    except LinkDown:
        return False
    except Exception:  # noqa: BLE001 - one broken agent must not silence the others
        _LOG.exception("an agent failed over %s", what)
    return True
