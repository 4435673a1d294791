"""How a change ended, in one word, so that whole rollouts can be compared."""

from fleet.model.changes import Change
from fleet.model.verdicts import Stage, Verdict


def ending(change: Change) -> str:
    """Return how a change ended; of one that goes on, where it is."""
    match change.stage:
        case Stage.UNDONE:
            dark = change.verdict is Verdict.DARK or change.away_since is not None
            return "dark-and-reverted" if dark else "rolled back"
        case Stage.SENT:
            applied = change.verdict is Verdict.DARK and change.was_applied
            return "ok" if applied else change.verdict.value
        case Stage.HELD:
            return change.verdict.value
        case Stage.PLANNED:
            return _before_sending(change)
        case _:
            return change.stage.value


def _before_sending(change: Change) -> str:
    if not change.sends:
        quiet = change.verdict in {Verdict.PARKED, Verdict.UNCHANGED}
        return change.verdict.value if quiet else "not sent"
    if change.verdict is Verdict.UNDELIVERED or change.pulls_failed:
        return "undelivered"
    set_back = change.verdict is Verdict.PARKED or change.next_send.was_set_back
    return "dark-and-reverted" if set_back else "to be sent again"
