"""The moment in which something is done to the workloads of an account and region."""

from dataclasses import dataclass

from fleet.sandbox.plane.realm import Realm
from fleet.sandbox.plane.world import World


@dataclass(frozen=True, slots=True)
class Turn:
    """Where and when a call or the scheduler acts; held together under the plane's lock.

    Attributes:
        now: epoch seconds of the sandbox.
    """

    world: World
    realm: Realm
    now: float
