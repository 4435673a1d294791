"""Links as stores have them: every agent's connection breaks now and then."""

import random
from collections.abc import Iterable

from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.hosts.simulated_host import SimulatedHost
from fleet.sandbox.schedule import Schedule, Timer

#: What a break is called in ``Conditions.cut_by``.
_REASON = "flaky"


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
        self._random = random.Random(f"flaky links {seed}")
        self._next: dict[str, Timer] = {}
        self.breaks = 0

    def start(self) -> None:
        """Start; every host's first break is as far off as any other."""
        for box in self._boxes:
            self._plan(box)

    def stop(self) -> None:
        """Make no more breaks, and end those that last."""
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
