"""How often the containers of a change were started again on their hosts, and who says so.

ECS does not say it: the agent starts a container again by its ``restartPolicy`` while the task
stays RUNNING, and DescribeTasks has no count.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from fleet.model.spans import span


class RestartSource(StrEnum):
    """Who is asked for restarts: hosts by SSH or Run Command, Container Insights, or nobody.

    AWS bills Run Command on hybrid nodes per use; it needs the IAM policy of ``fleet iam deep``.
    Container Insights has to be enabled on the clusters, and AWS bills it.
    """

    SSH = "ssh"
    RUN_COMMAND = "run-command"
    CONTAINER_INSIGHTS = "container-insights"
    OFF = "off"


#: Name of Container Insights as a source, for people.
INSIGHTS = "Container Insights"


@dataclass(frozen=True, slots=True)
class ContainerRestarts:
    """One container at the latest reading.

    Attributes:
        count: restarts since the change was sent, at least.
        counted: what the source said in all; the next reading counts on from it.
        started_at: its latest start, by the source's clock.
    """

    count: int = 0
    counted: int = 0
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ContainerSeen:
    """A container as a source shows it.

    Attributes:
        name: ``host/container``, unique among those of a change; for Container Insights its own.
        restarts: in all, at least.
        created_at: when it was made, by AWS's clock; None where ``restarts`` counts from the send.
        started_at: its latest start, likewise; None where the source does not say.
        last_exit: how its run before this one ended.
    """

    name: str
    restarts: int
    created_at: datetime | None = None
    started_at: datetime | None = None
    last_exit: int | None = None


@dataclass(frozen=True, slots=True)
class RestartsSeen:
    """What a source says of the containers of one change.

    Attributes:
        source: ``ssh``, ``ssm`` or ``Container Insights``.
        problem: why nothing was seen, or less than all; "" when all was.
    """

    source: str
    containers: tuple[ContainerSeen, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Restarts:
    """What is known of the restarts of one try of a change.

    Attributes:
        count: of the container with the most.
        since: from when on they are counted.
        last_exit: exit code before the latest restart; None when nobody knows it.
        source: who said so, as ``ssh``; "" before the first reading.
        read_at: of the latest reading that saw the containers.
        tried_at: of the latest attempt.
        failures: attempts in a row that saw nothing.
        problem: why the latest attempt saw nothing, or less than all of its hosts; "" when it did.
        containers: by ``host/container``.
    """

    count: int = 0
    since: datetime | None = None
    last_exit: int | None = None
    source: str = ""
    read_at: datetime | None = None
    tried_at: datetime | None = None
    failures: int = 0
    problem: str = ""
    containers: Mapping[str, ContainerRestarts] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """Print what is known, as ``restarted 4 times in 8m, last exit 1``; "" before a try."""
        if self.read_at is None:
            return f"restarts not seen: {self.problem}" if self.problem else ""
        began = self.since or self.read_at
        time = span(max(0.0, (self.read_at - began).total_seconds()))
        if not self.count:
            where = f"{self.source} shows " if self.is_lower_bound else ""
            return f"{where}no restart in {time}"
        times = "once" if self.count == 1 else f"{self.count} times"
        least = "at least " if self.is_lower_bound else ""
        code = "" if self.last_exit is None else f", last exit {self.last_exit}"
        return f"restarted {least}{times} in {time}{code}"

    @property
    def is_lower_bound(self) -> bool:
        """Return whether the source may count less than there were."""
        return self.source == INSIGHTS
