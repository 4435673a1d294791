"""The service scheduler: looks at a service when something happened to it, and when it is time.

Nothing runs for a service that is as it should be: looks are timers of the sandbox's schedule, at
most one waiting for each service.
"""

from fleet.sandbox.control_plane.assumptions import SCHEDULER_REACTS_AFTER_S
from fleet.sandbox.control_plane.context import Context
from fleet.sandbox.control_plane.reconcile import reconcile
from fleet.sandbox.control_plane.sessions import AgentSessions, Writing
from fleet.sandbox.control_plane.work_queue import ServiceKey
from fleet.sandbox.control_plane.world import World
from fleet.sandbox.schedule import Schedule, Timer


class ServiceScheduler:
    """Turns the work queue into looks at services.

    Args:
        world: whose services they are.
        writing: holds the plane's lock and keeps what was changed.
        sessions: tells the agents what came of it.
    """

    def __init__(self, world: World, writing: Writing, sessions: AgentSessions) -> None:
        self._world = world
        self._writing = writing
        self._sessions = sessions
        self._schedule: Schedule | None = None
        self._waiting: dict[ServiceKey, Timer] = {}

    def run_on(self, schedule: Schedule) -> None:
        """Work on a schedule from now on; called under the plane's lock.

        What a world from disk had in progress is looked at again.
        """
        self._schedule = schedule
        for state in self._world.region_states():
            for cluster in state.services_of:
                self._world.work.look_at_cluster(state, cluster)
        self.pick_up()

    def pick_up(self) -> None:
        """Plan looks at what the work queue says; called under the plane's lock."""
        if self._schedule is None or not self._world.work.services:
            return
        due = self._world.clock.now() + SCHEDULER_REACTS_AFTER_S
        for key in self._world.work.take_services():
            self._plan(key, due)

    def _plan(self, key: ServiceKey, due: float) -> None:
        waiting = self._waiting.get(key)
        if waiting is not None:
            if waiting.when <= due:
                return
            waiting.cancel()
        if self._schedule is not None:
            self._waiting[key] = self._schedule.at(due, lambda: self._look(key))

    def _look(self, key: ServiceKey) -> None:
        with self._writing():
            self._waiting.pop(key, None)
            self._world.forget_stopped()
            account, region, name = key
            state = self._world.region_state(account, region)
            service = state.service(name)
            if service is not None:
                now = self._world.clock.now()
                after = reconcile(Context(self._world, state, now), service)
                if after is not None:
                    self._plan(key, after)
        self._sessions.flush()
