"""Computes which tasks a service scheduler stops next and how many it starts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServiceStanding:
    """A task that has not stopped, as the scheduler sees it.

    Attributes:
        id: of the task.
        kept: of the newest deployment, and nothing is wrong with it or its instance.
        healthy: counts towards the minimum healthy percent.
        stopping: was already told to stop.
        instance: where it is.
    """

    id: str
    kept: bool
    healthy: bool
    stopping: bool
    instance: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tasks there should be, and between which counts a deployment may move.

    ``lower`` is the minimum healthy percent of ``desired``, rounded up; ``upper`` the maximum
    percent, rounded down. (API reference, ``DeploymentConfiguration``.)
    """

    desired: int
    lower: int
    upper: int

    @classmethod
    def of(cls, desired: int, minimum_percent: int, maximum_percent: int) -> "Limits":
        """Return the limits of these percentages."""
        return cls(desired, -(-desired * minimum_percent // 100), desired * maximum_percent // 100)


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now.

    Attributes:
        surplus: more of the right tasks than are wanted.
        replaced: tasks that give way to new ones.
        start: how many new tasks there is need and room for.
    """

    surplus: tuple[str, ...]
    replaced: tuple[str, ...]
    start: int


def replica_step(tasks: Sequence[ServiceStanding], limits: Limits) -> Step:
    """Return the next step of a REPLICA service.

    Tasks that are stopping still take up room until they have stopped; so a deployment waits for
    them where ``upper`` leaves none.
    """
    wanted = [task for task in tasks if not task.stopping]
    kept = sorted((task for task in wanted if task.kept), key=_worth)
    surplus = kept[: max(0, len(kept) - limits.desired)]
    gone = {task.id for task in surplus}
    replaced = _replaced((task for task in wanted if task.id not in gone), limits.lower)
    missing = limits.desired - (len(kept) - len(surplus))
    room = limits.upper - len(tasks)
    return Step(tuple(gone_task.id for gone_task in surplus), replaced, max(0, min(missing, room)))


def daemon_step(
    tasks: Sequence[ServiceStanding], matching: Sequence[str], limits: Limits
) -> tuple[Step, tuple[str, ...]]:
    """Return the next step of a DAEMON service, and the instances that get a task now.

    An instance gets its task once the one before has stopped (``maximumPercent`` is 100).
    """
    wanted = [task for task in tasks if not task.stopping]
    ours = set(matching)
    first: dict[str, str] = {}
    surplus = []
    rest = []
    for task in sorted(wanted, key=_worth, reverse=True):
        alone = not task.kept or first.setdefault(task.instance, task.id) == task.id
        if task.instance not in ours or not alone:
            surplus.append(task.id)
        else:
            rest.append(task)
    replaced = _replaced(rest, limits.lower)
    taken = {task.instance for task in tasks}
    free = tuple(instance for instance in matching if instance not in taken)
    return Step(tuple(surplus), replaced, len(free)), free


def _replaced(tasks: Iterable[ServiceStanding], lower: int) -> tuple[str, ...]:
    """Return those that are not kept, as far as the rest is healthy enough without them."""
    standing = list(tasks)
    spare = sum(task.healthy for task in standing) - lower
    replaced = []
    for task in sorted((task for task in standing if not task.kept), key=_worth):
        if task.healthy:
            if spare <= 0:
                continue
            spare -= 1
        replaced.append(task.id)
    return tuple(replaced)


def _worth(task: ServiceStanding) -> tuple[bool, str]:
    return task.healthy, task.id
