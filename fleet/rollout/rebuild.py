"""Rebuilds the records of rollouts from AWS alone."""

from dataclasses import dataclass, replace

from fleet.model.inventory import Lifecycle
from fleet.model.rollout import RebuiltRollout
from fleet.rollout.decide.rebuild import rebuild
from fleet.rollout.plan import Readings, read_release
from fleet.runtime.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Restored:
    """Holds what ``rebuild_records`` found.

    Attributes:
        rollouts: those that services name, oldest first.
        unread: store -> why it could not be read; what it owes is not known.
    """

    rollouts: tuple[RebuiltRollout, ...]
    unread: dict[str, str]


def rebuild_records(wiring: Wiring, *, caller: str) -> Restored:
    """Read every open store and insert the rollouts that its services name. Changes nothing at AWS.

    A rollout that the records know stays as it is, so this may be run again.

    Raises:
        InventoryError: templates or images that cannot be.
        AwsError: no store could be read.
    """
    fleet = wiring.fleet
    release = read_release(wiring, [w.name for w in fleet.workloads])
    readings = Readings(wiring, release)
    readings.read([s for s in fleet.stores if s.lifecycle is Lifecycle.OPEN])
    now = wiring.clock.now()
    found = tuple(
        replace(
            one,
            added=wiring.records.rollouts.rebuild(
                one.id, one.spec, one.changes, caller=caller, started_at=one.began, at=now
            ),
        )
        for one in rebuild(fleet, release, readings.views, readings.contents, now)
    )
    unread = {view.store: view.problem for view in readings.views.values() if view.problem}
    return Restored(found, unread)
