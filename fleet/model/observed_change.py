"""What was observed of a change since it was last sent, as the next look has to know it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class HostContact:
    """One host of a change at the last look at its container instance.

    Attributes:
        connected: whether its instance was ACTIVE and its agent connected.
        away_since: first look at which it was away without having been back; None while it is here.
        tried_s: seconds that it has been connected since the change was sent, absences left out.
    """

    connected: bool
    away_since: datetime | None = None
    tried_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """One task of what was sent, for people and JSON; no rule reads it.

    Attributes:
        host: name of the host in the inventory; "" where its instance is not known.
        exit_codes: of the containers that have ended.
        reason: what ECS says of a container, or of the stopped task.
    """

    id: str
    host: str
    status: str
    health: str
    started_at: datetime | None
    stopped_at: datetime | None
    stop_code: str
    exit_codes: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class ObservedChange:
    """What looks at one try of a change have found; times are AWS's.

    A change is tried anew each time that it is sent. ``before_a_send`` says what is kept then.

    Attributes:
        reason: of the latest verdict, without words about looks that failed.
        hosts: by name.
        hosts_read_at: when the container instances were last read.
        tasks: the newest few, when they were last read.
        tasks_read_at: when tasks were last read.
        task_definition: ARN that the service was set to.
        deployment: id of the deployment of what was sent; "" when there was none.
        cause: what its failed tasks have in common; "" when nothing.
        settles_at: when the tasks that run now will have run for long enough.
        pull_counted: whether this try is already counted in ``pulls_failed``.
        restored: ARN that ECS had put back when the try counted as undelivered.
    """

    reason: str = ""
    hosts: Mapping[str, HostContact] = field(default_factory=dict)
    hosts_read_at: datetime | None = None
    tasks: tuple[TaskSummary, ...] = ()
    tasks_read_at: datetime | None = None
    task_definition: str = ""
    deployment: str = ""
    cause: str = ""
    settles_at: datetime | None = None
    pull_counted: bool = False
    restored: str = ""

    def before_a_send(self) -> "ObservedChange":
        """Return what still counts once it is sent: since when its hosts are away."""
        return ObservedChange(
            hosts={name: replace(host, tried_s=0.0) for name, host in self.hosts.items()}
        )
