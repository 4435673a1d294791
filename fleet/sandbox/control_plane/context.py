"""The moment in which something is done to the workloads of an account and region."""

from dataclasses import dataclass

from fleet.sandbox.control_plane.region_state import RegionState
from fleet.sandbox.control_plane.world import World


@dataclass(frozen=True, slots=True)
class Context:
    """Where and when a call or the scheduler acts; held together under the plane's lock.

    Attributes:
        now: epoch seconds of the sandbox.
    """

    world: World
    state: RegionState
    now: float
