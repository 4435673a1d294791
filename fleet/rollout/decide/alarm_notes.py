"""Says of a plan what the alarms of its policy would do before anything is sent."""

from collections.abc import Iterable, Mapping

from fleet.model.policy import Policy
from fleet.model.printable import many, some
from fleet.model.rollout import Place
from fleet.model.signals import AlarmValue, SignalsSeen
from fleet.rollout.decide.signal_readings import LOST, NO_ALARM
from fleet.rollout.decide.signal_reads import Shard, alarm_names

#: Alarms and stores that are named in a note.
NAMED = 3


def alarms_to_read(policy: Policy, places: Mapping[str, Place]) -> dict[Shard, tuple[str, ...]]:
    """Return the names of all alarms of the policy by account and region."""
    names: dict[Shard, dict[str, None]] = {}
    for pattern in policy.alarms:
        for shard, name, _ in alarm_names(places, pattern, places):
            names.setdefault(shard, {})[name] = None
    return {shard: tuple(mine) for shard, mine in names.items()}


def alarm_notes(
    policy: Policy, places: Mapping[str, Place], seen: Mapping[Shard, SignalsSeen]
) -> Iterable[str]:
    """Yield a note for each alarm of the policy about which a rollout would ask.

    Args:
        places: of the stores that change.
        seen: by account and region.
    """
    for pattern in policy.alarms:
        named = list(alarm_names(places, pattern, places))
        have: set[str] = set()
        firing: list[str] = []
        unread = ""
        for shard, name, store in named:
            answer = seen.get(shard, SignalsSeen(alarms_unread=LOST))
            unread = unread or answer.alarms_unread
            alarm = answer.alarms.get(name)
            if alarm is not None:
                have.add(store)
                if alarm.value is AlarmValue.ALARM:
                    firing.append(name)
        if unread:
            yield f"alarm {pattern} could not be read, and a rollout would ask: {unread}"
        elif not have:
            yield f"alarm {pattern}: {NO_ALARM}; a rollout would ask before it sends anything"
        missing = {store for _, _, store in named} - have
        if have and missing:
            stores = some(sorted(missing), NAMED)
            yield f"alarm {pattern}: {many(len(missing), 'store')} without one: {stores}"
        if firing:
            yield (
                f"alarm {some(firing, NAMED)} fires already: what the release does could not be "
                "told from it, so a rollout asks"
            )
