"""The links of hosts: cut, restored, slowed, flapping by order, or broken at random."""

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from fleet.errors import UsageError
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.hosts.simulated_host import SimulatedHost
from fleet.sandbox.schedule import Schedule, Timer

#: What a break that ``FlakyLinks`` makes is called in ``Conditions.cut_by``.
_REASON = "flaky"

AnyHost = TypeVar("AnyHost", bound=SimulatedHost)


class Links(Generic[AnyHost]):
    """Turns the conditions of the hosts' links.

    A flapping link is down in the last part of each period of the sandbox's clock, so that all
    hosts with one period flap together and a sandbox that comes back is in step.

    Args:
        clock: the sandbox's time.
        schedule: where the edges of flapping links are.
        boxes: the hosts there are now.
        changed: told of every host whose link was touched.
    """

    def __init__(
        self,
        clock: SandboxClock,
        schedule: Schedule,
        boxes: Callable[[], Iterable[AnyHost]],
        changed: Callable[[AnyHost], None],
    ) -> None:
        self._clock = clock
        self._schedule = schedule
        self._boxes = boxes
        self._changed = changed
        self._edges: dict[str, Timer] = {}

    def meant(self, target: str) -> list[AnyHost]:
        """The hosts of a store, or one host; UsageError when there is none."""
        one = "/" in target
        boxes = [b for b in self._boxes() if (b.id if one else b.spec.store) == target]
        if not boxes:
            raise UsageError(
                f"the sandbox has no {'host' if one else 'store'} {target}",
                hint="fleet sandbox status lists them",
            )
        return boxes

    def cut(self, target: str) -> list[str]:
        """Cut them; returns the hosts meant."""
        return self._set(target, add={_reason(target)})

    def restore(self, target: str) -> list[str]:
        """Undo ``cut`` of the same target, flapping, and what an image did.

        A host stays cut off while its shop is, and the other way round.
        """
        for box in self.meant(target):
            box.set_conditions({"flap": []})
            self.follow(box)
        return self._set(target, remove={_reason(target), "image", "flap"})

    def slow(self, target: str, mbps: float | None) -> list[str]:
        """Let them carry so many Mbit/s at most; None is their own speed again."""
        boxes = self.meant(target)
        for box in boxes:
            box.set_conditions({"slow_to_mbps": mbps})
        return [box.id for box in boxes]

    def flap(self, target: str, every_s: float, down_s: float) -> list[str]:
        """Let them be down for ``down_s`` in every ``every_s``, until ``restore``."""
        boxes = self.meant(target)
        for box in boxes:
            box.set_conditions({"flap": [every_s, down_s]})
            self.follow(box)
        return [box.id for box in boxes]

    def follow(self, box: AnyHost) -> None:
        """Bring a link into step with its ``flap``, now and at each edge from here on."""
        timer = self._edges.pop(box.id, None)
        if timer is not None:
            timer.cancel()
        if not box.conditions.flap:
            self._touch([box], remove={"flap"})
            return
        period, down = box.conditions.flap
        now = self._clock.now()
        at = now % period
        is_down = at >= period - down
        begin = now - at
        edge = begin + period if is_down else begin + period - down
        self._touch([box], **{"add" if is_down else "remove": {"flap"}})
        # A hair later, so that the moment of the edge is on its far side in floating point too.
        self._edges[box.id] = self._schedule.at(edge + 1e-3, lambda: self.follow(box))

    def _set(
        self, target: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> list[str]:
        boxes = self.meant(target)
        self._touch(boxes, add=add, remove=remove)
        return [box.id for box in boxes]

    def _touch(
        self, boxes: Sequence[AnyHost], *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> None:
        for box in boxes:
            reasons = sorted(set(box.conditions.cut_by) - set(remove) | set(add))
            if reasons != sorted(box.conditions.cut_by):
                box.set_conditions({"cut_by": reasons})
                self._changed(box)


def _reason(target: str) -> str:
    return "host" if "/" in target else "store"


class FlakyLinks:
    """Breaks the connections of hosts at random, each for itself, for seconds to minutes.

    AWS documents that the agents of external instances reconnect several times an hour. The agents
    renew their sessions every half hour by themselves; these breaks come in between. A break ends
    the ECS agent's session and cuts the link for a while; pings of the SSM agent that fall into it
    are lost. The length of breaks has a long tail: half of them are shorter than ``usual_s``, one
    of forty is six times as long or longer.

    Args:
        clock: the sandbox's time.
        schedule: where the breaks are.
        boxes: the hosts.
        every_s: mean time between two breaks of a host.
        usual_s: median length of a break.
        longest_s: no break is longer.
        seed: of the whole course of events.
    """

    def __init__(
        self,
        clock: SandboxClock,
        schedule: Schedule,
        boxes: Iterable[SimulatedHost],
        *,
        every_s: float = 1800.0,
        usual_s: float = 15.0,
        longest_s: float = 240.0,
        seed: int = 0,
    ) -> None:
        self._clock = clock
        self._schedule = schedule
        self._boxes = tuple(boxes)
        self._every_s, self._usual_s, self._longest_s = every_s, usual_s, longest_s
        self._random = random.Random(f"flaky links {seed}")  # noqa: S311 - chance, not a secret
        self._next: dict[str, Timer] = {}
        self.breaks = 0

    def start(self) -> None:
        """Begin; every host's first break is as far off as any other."""
        for box in self._boxes:
            self._plan(box)

    def stop(self) -> None:
        """No more breaks, and those that last end now."""
        for timer in self._next.values():
            timer.cancel()
        self._next.clear()
        for box in self._boxes:
            self._mend(box)

    def _plan(self, box: SimulatedHost) -> None:
        moment = self._clock.now() + self._random.expovariate(1 / self._every_s)
        self._next[box.id] = self._schedule.at(moment, lambda: self._break(box))

    def _break(self, box: SimulatedHost) -> None:
        self.breaks += 1
        lasts = min(self._random.lognormvariate(0, 0.93) * self._usual_s, self._longest_s)
        box.ecs_agent.lose_session()
        box.set_conditions({"cut_by": sorted({*box.conditions.cut_by, _REASON})})

        def end() -> None:
            self._mend(box)
            self._plan(box)

        self._next[box.id] = self._schedule.at(self._clock.now() + lasts, end)

    @staticmethod
    def _mend(box: SimulatedHost) -> None:
        if _REASON in box.conditions.cut_by:
            box.set_conditions(
                {"cut_by": [reason for reason in box.conditions.cut_by if reason != _REASON]}
            )
