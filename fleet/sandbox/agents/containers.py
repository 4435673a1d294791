"""The containers and images of a simulated host, as dockerd keeps them.

Containers run on without an agent, and are files on the host: a sandbox that comes back finds them
as they were. Docker restarts none of them by itself (ECS sets no restart policy of Docker's).
"""

import json
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Protocol

from fleet.sandbox.agents.image_store import ImageStore
from fleet.sandbox.agents.images import Catalogue, ImageBehaviour
from fleet.sandbox.agents.machine import Machine
from fleet.sandbox.schedule import Timer

STATE = "/var/lib/docker/sandbox-containers.json"
#: Between the request to start a container and its process running (simulator's figure).
START_S = 1.0
SIGKILL = 137
#: What dockerd leaves behind of a container that ran when the power went.
POWER_CUT = 255
_LOG_LINES = 50
#: Events that dockerd keeps in memory (moby, daemon/events: 256), lost when it stops.
_EVENTS = 256
#: ECS's defaults for a health check that names only its command.
INTERVAL_S = 30.0
RETRIES = 3


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """When probes run: every ``interval_s``, the first one interval after the start.

    Attributes:
        interval_s: seconds.
        retries: so many failures in a row make it unhealthy.
        start_period_s: failures count only after it.
    """

    interval_s: float = INTERVAL_S
    retries: int = RETRIES
    start_period_s: float = 0.0


@dataclass(slots=True)
class Container:
    """A container as ``docker inspect`` shows it.

    Attributes:
        id: 64 hex digits; the agent calls it runtimeId.
        name: unique on the host.
        image: the reference it was made of.
        labels: among them ``com.amazonaws.ecs.task-arn`` and ``...container-name``.
        ports: host ports it binds, as ``tcp/8080``.
        check: its health check, or None.
        created_at: epoch seconds at which it was made.
        status: created, running or exited.
        exit_code: of the last run, or None.
        error: why it could not start, or "".
        started_at: epoch seconds of the last start.
        finished_at: of the last end.
        health: ``""`` (no check), starting, healthy or unhealthy.
        log: the last lines it wrote.
    """

    id: str
    name: str
    image: str
    labels: dict[str, str]
    ports: list[str] = field(default_factory=list)
    check: HealthCheck | None = None
    created_at: float | None = None
    status: str = "created"
    exit_code: int | None = None
    error: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    health: str = ""
    log: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Died:
    """The end of a container, as ``docker events`` tells it."""

    at: float
    name: str
    exit_code: int | None


class Listener(Protocol):
    """The agent's ear on the engine's events."""

    def exited(self, container: Container) -> None:
        """Take note that it ended."""
        ...

    def health_changed(self, container: Container) -> None:
        """Take note that it became healthy or unhealthy."""
        ...


class Containers:
    """The engine of one host.

    ``lock`` guards it and whoever listens to it; listeners and callbacks are called with it held,
    from the schedule's thread.

    Args:
        host: the host.
        catalogue: what images are and do.

    Attributes:
        images: what is on the disk.
    """

    def __init__(self, host: Machine, catalogue: Catalogue) -> None:
        self._host = host
        self._catalogue = catalogue
        self.lock = threading.RLock()
        self.listener: Listener | None = None
        self.images = ImageStore(host, catalogue, lock=self.lock, changed=self._save)
        self._timers: dict[str, list[Timer]] = {}
        self._stopping: set[str] = set()
        self._containers: dict[str, Container] = {}
        self._died: deque[Died] = deque(maxlen=_EVENTS)
        self._load()

    def all(self, *, running: bool = False) -> list[Container]:
        """Return all containers, or those that run, in the order they were made."""
        with self.lock:
            return [c for c in self._containers.values() if not running or c.status == "running"]

    def died(self) -> list[Died]:
        """Return the ends of containers that dockerd still has in memory, oldest first."""
        with self.lock:
            return list(self._died)

    def find(self, container_id: str) -> Container | None:
        """Return a container by id."""
        return self._containers.get(container_id)

    def create(self, container: Container) -> None:
        """Make a container of an image that is there; it does not run yet."""
        with self.lock:
            container.created_at = self._host.clock.now()
            self._containers[container.id] = container
            self._save()

    def start(self, container_id: str, started: Callable[[Container], None]) -> None:
        """Run it, or run it again; ``started`` is called when it runs or could not be started."""
        with self.lock:
            container = self._containers[container_id]
            container.error = ""
            self._later(container, START_S, lambda: self._run(container, started))

    def stop(self, container_id: str, timeout_s: float) -> None:
        """Send SIGTERM, and SIGKILL after ``timeout_s``; the listener is told when it has ended."""
        with self.lock:
            container = self._containers.get(container_id)
            if container is None or container.status == "exited" or container_id in self._stopping:
                return
            if container.status == "created":
                self._end(container, None)
                return
            behaviour = self._catalogue.of(container.image)
            needs = behaviour.stop_s
            self._disarm(container)
            self._stopping.add(container_id)
            if behaviour.run == "hangs" and behaviour.affects(self._host.words):
                return
            code = 0 if needs <= timeout_s else SIGKILL
            self._later(container, min(needs, timeout_s), lambda: self._end(container, code))

    def remove(self, container_id: str) -> None:
        """Forget one that does not run."""
        with self.lock:
            container = self._containers.pop(container_id, None)
            if container is not None:
                self._disarm(container)
                self._save()

    def power_off(self) -> None:
        """End the engine: containers exit, pulls are lost, and nothing restarts them."""
        with self.lock:
            self.images.give_up_pulls()
            for container in self._containers.values():
                self._disarm(container)
                if container.status == "running":
                    self._note_end(container, POWER_CUT)
            self._died.clear()
            self._save()

    def resume(self) -> None:
        """Set the timers of running containers again after the sandbox was restarted."""
        with self.lock:
            for container in self._containers.values():
                if container.status == "running":
                    self._arm(container)

    def halt(self) -> None:
        """Do nothing any more, and change nothing, because the sandbox ends."""
        with self.lock:
            self.listener = None
            self.images.give_up_pulls()
            for container in self._containers.values():
                self._disarm(container)

    def _run(self, container: Container, started: Callable[[Container], None]) -> None:
        taken = {
            port
            for other in self._containers.values()
            if other.status == "running"
            for port in other.ports
        }
        conflict = sorted(taken.intersection(container.ports))
        if conflict:
            port = conflict[0].partition("/")[2]
            container.error = (
                "CannotStartContainerError: Error response from daemon: driver failed programming "
                f"external connectivity: Bind for 0.0.0.0:{port} failed: port is already allocated"
            )
        else:
            container.status = "running"
            container.exit_code = None
            container.started_at = self._host.clock.now()
            container.health = "starting" if container.check else ""
            self._arm(container)
            self._free_the_link()
        self._save()
        started(container)

    def _free_the_link(self) -> None:
        """Restore the link once no running container breaks it."""
        if not any(self._breaks_link(c) for c in self.all(running=True)):
            self._host.cut_itself_off(cut=False)

    def _breaks_link(self, container: Container) -> bool:
        behaviour = self._catalogue.of(container.image)
        return behaviour.run == "kills-link" and behaviour.affects(self._host.words)

    def _arm(self, container: Container) -> None:
        """Set timers for what this container is going to do; a good one without a check has none.

        What came due while the sandbox was away happens now.
        """
        behaviour = self._catalogue.of(container.image)
        bad = behaviour.affects(self._host.words)
        run = behaviour.run if bad else "ok"
        since = self._host.clock.now() - (container.started_at or 0.0)
        if run == "crash":
            self._later(container, behaviour.after_s - since, lambda: self._crash(container))
        elif run == "kills-link" and behaviour.after_s >= since:
            self._later(
                container,
                behaviour.after_s - since,
                lambda: self._host.cut_itself_off(cut=True),
            )
        if container.check is None:
            return
        failing = run == "unhealthy"
        for state, moment in (
            ("healthy", healthy_after(container.check, behaviour, bad=failing)),
            ("unhealthy", unhealthy_after(container.check, behaviour, bad=failing)),
        ):
            if moment is not None and moment >= since:
                step = partial(self._set_health, container, state)
                self._later(container, moment - since, step)

    def _crash(self, container: Container) -> None:
        behaviour = self._catalogue.of(container.image)
        if behaviour.log:
            container.log = [*container.log, behaviour.log][-_LOG_LINES:]
        self._end(container, behaviour.exit_code)

    def _set_health(self, container: Container, state: str) -> None:
        container.health = state
        self._save()
        if self.listener is not None:
            self.listener.health_changed(container)

    def _end(self, container: Container, exit_code: int | None) -> None:
        self._note_end(container, exit_code)
        self._disarm(container)
        self._save()
        if self.listener is not None:
            self.listener.exited(container)

    def _note_end(self, container: Container, exit_code: int | None) -> None:
        container.status = "exited"
        container.exit_code = exit_code
        container.finished_at = self._host.clock.now()
        container.health = ""
        self._died.append(Died(container.finished_at, container.name, exit_code))

    def _later(self, container: Container, seconds: float, step: Callable[[], None]) -> None:
        timers = self._timers.setdefault(container.id, [])

        def run() -> None:
            with self.lock:
                if timer in timers:
                    timers.remove(timer)
                    step()

        moment = self._host.clock.now() + max(0.0, seconds)
        timer = self._host.schedule.at(moment, run)
        timers.append(timer)

    def _disarm(self, container: Container) -> None:
        timers = self._timers.pop(container.id, [])
        for timer in timers:
            timer.cancel()
        self._stopping.discard(container.id)
        # One that the schedule has taken already, and that waits for the lock, finds itself gone.
        timers.clear()

    def _save(self) -> None:
        content = {
            "containers": [asdict(container) for container in self._containers.values()],
            **self.images.as_json(),
        }
        self._host.keep(STATE, json.dumps(content))

    def _load(self) -> None:
        try:
            content = json.loads(self._host.kept(STATE) or "")
            containers = [_container(each) for each in content["containers"]]
            self.images.load(content)
        except (ValueError, TypeError, KeyError, AttributeError):
            return
        self._containers = {container.id: container for container in containers}


def _container(content: Mapping[str, Any]) -> Container:
    check = content.get("check")
    return Container(**{**content, "check": HealthCheck(**check) if check else None})


def healthy_after(check: HealthCheck, behaviour: ImageBehaviour, *, bad: bool) -> float | None:
    """Return seconds from the start to the first good probe; None when there is never one."""
    first = check.interval_s
    return None if bad and behaviour.after_s <= first else first


def unhealthy_after(check: HealthCheck, behaviour: ImageBehaviour, *, bad: bool) -> float | None:
    """Return seconds from the start to the probe that makes it unhealthy; None when none does."""
    if not bad:
        return None
    # A probe in the very moment that the start period ends counts.
    begin = max(behaviour.after_s, check.start_period_s, check.interval_s)
    first_counted = math.ceil(round(begin / check.interval_s, 9))
    return (first_counted + check.retries - 1) * check.interval_s
