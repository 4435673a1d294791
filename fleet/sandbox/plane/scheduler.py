"""The service scheduler: looks at a service when something happened to it, and when it is time.

Nothing runs for a service that is as it should be: looks are timers of the sandbox's schedule, at
most one waiting for each service.
"""

from fleet.sandbox.plane.agenda import ServiceKey
from fleet.sandbox.plane.liberties import SCHEDULER_REACTS_AFTER_S
from fleet.sandbox.plane.reconcile import reconcile
from fleet.sandbox.plane.sessions import AgentSessions, Writing
from fleet.sandbox.plane.turn import Turn
from fleet.sandbox.plane.world import World
from fleet.sandbox.schedule import Schedule, Timer


class ServiceScheduler:
    """Turns the agenda into looks at services.

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
        for realm in self._world.realms():
            for cluster in realm.services_of:
                self._world.agenda.look_at_cluster(realm, cluster)
        self.pick_up()

    def pick_up(self) -> None:
        """Plan looks at what the agenda says; called under the plane's lock."""
        if self._schedule is None or not self._world.agenda.services:
            return
        due = self._world.clock.now() + SCHEDULER_REACTS_AFTER_S
        for key in self._world.agenda.take_services():
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
            realm = self._world.realm(account, region)
            service = realm.service(name)
            if service is not None:
                now = self._world.clock.now()
                after = reconcile(Turn(self._world, realm, now), service)
                if after is not None:
                    self._plan(key, after)
        self._sessions.flush()
