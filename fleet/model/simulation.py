"""What a simulation of rollouts assumes about stores, and what comes of it."""

from dataclasses import dataclass

from fleet.model.rollout import Phase


@dataclass(frozen=True, slots=True)
class StoreModel:
    """What stores do in a simulation; shares are between 0 and 1.

    Attributes:
        darkness: share of stores that are away at any time, whatever is sent.
        outage_s: mean length of an outage.
        fails: share of stores in which the release crashes in a loop.
        stratum: word that the hardware, link or carrier of a store must contain for that; "" for
            all stores.
        kills_link: share of stores (of that stratum) whose link the release takes for good.
        after_s: seconds after its start at which it crashes or takes the link.
        start_s: seconds until a task runs, beside pulling its image.
    """

    darkness: float = 0.0
    outage_s: float = 1800.0
    fails: float = 0.0
    stratum: str = ""
    kills_link: float = 0.0
    after_s: float = 30.0
    start_s: float = 20.0

    @property
    def is_harmless(self) -> bool:
        """Return whether the release does nothing bad, so that a halt is a false one."""
        return not self.fails and not self.kills_link


@dataclass(frozen=True, slots=True)
class Moment:
    """How a simulated rollout stood at one time.

    Attributes:
        after_s: seconds since it began.
        sent: stores that were sent the release so far.
        in_flight: stores in flight.
        dark: stores that were sent it and are dark.
        failed: stores that have failed.
    """

    after_s: float
    sent: int
    in_flight: int
    dark: int
    failed: int


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """One simulated rollout.

    Attributes:
        phase: in which it rested; RUNNING when it was given up.
        why: the reason of that phase.
        wave: name of the wave that was sent or judged then.
        seconds: until then.
        reached: stores that were sent the release.
        bad: of those, the ones in which the release crashes or takes the link.
        peak: most stores in flight at once.
        asks: whether it stopped because nothing could be concluded.
        by_darkness: whether the darkness test halted it.
        ticks: how many ticks it took.
        moments: over time, for a picture.
    """

    seed: int
    phase: Phase
    why: str
    wave: str
    seconds: float
    reached: int
    bad: int
    peak: int
    asks: bool
    by_darkness: bool
    ticks: int
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Simulation:
    """Simulated rollouts of one plan.

    Attributes:
        stores: that the plan changes.
        bad: of those, the ones in which the release crashes or takes the link.
        waves: name and number of stores of each.
        scale: ticks of a rollout that one of the simulation stands for.
    """

    policy: str
    selection: str
    stores: int
    bad: int
    waves: tuple[tuple[str, int], ...]
    model: StoreModel
    runs: tuple[SimulatedRun, ...]
    scale: int = 1
