"""Hands commands to the SSM agents that have said where they take them."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from fleet.sandbox.agents.session import LinkDown
from fleet.sandbox.control_plane.ssm_commands import message_of, pending
from fleet.sandbox.control_plane.world import World
from fleet.sandbox.schedule import Schedule

_LOG = logging.getLogger(__name__)

Deliver = Callable[[Mapping[str, Any]], None]


class CommandDelivery:
    """By node, where its agent takes commands; a command that does not arrive stays Pending.

    It is given again whenever the agent says anew where it listens, as after an outage; an agent
    runs a command once, however often it is given.

    Args:
        world: whose nodes they are.
        writing: holds the plane's lock and keeps what was changed.
    """

    def __init__(self, world: World, writing: Callable[[], AbstractContextManager[None]]) -> None:
        self._world = world
        self._writing = writing
        self._schedule: Schedule | None = None
        self._agents: dict[str, Deliver] = {}

    def run_on(self, schedule: Schedule) -> None:
        """Deliver from a schedule's thread from now on."""
        self._schedule = schedule

    def open(self, node: str, deliver: Deliver) -> None:
        """An agent listens; called under the plane's lock."""
        self._agents[node] = deliver
        self._world.work.run_on(node)

    def flush_soon(self) -> None:
        """Let the schedule's thread give out what waits."""
        if self._schedule is not None and self._world.work.commands:
            self._schedule.at(self._world.clock.now(), self._flush)

    def _flush(self) -> None:
        with self._writing():
            nodes = self._world.work.take_commands()
            now = self._world.clock.now()
            messages = [
                (deliver, message_of(one))
                for node in nodes
                if (deliver := self._agents.get(node)) is not None
                for state in self._world.region_states()
                if state.invocations and node in state.nodes
                for one in pending(
                    [by[node] for by in state.invocations.values() if node in by], now
                )
            ]
        for deliver, message in messages:
            try:
                deliver(message)
            except LinkDown:
                continue
            except Exception:  # noqa: BLE001 - one broken agent must not silence the others
                _LOG.exception("an agent failed over a command")
