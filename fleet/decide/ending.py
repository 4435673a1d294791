"""How a change ended and what its store still owes, as far as its row tells."""

from fleet.decide.away import is_same_try
from fleet.model.rollout import Change, Stage, Verdict


def was_applied(change: Change) -> bool:
    """Whether the store was seen running what was sent; dark, it then has nothing to apply."""
    return is_same_try(change) and bool(change.evidence.get("ok_at"))


def ending(change: Change) -> str:
    """How a change ended, in words; of one that goes on, where it is."""
    if change.stage is Stage.UNDONE:
        dark = change.verdict is Verdict.DARK or change.away_since is not None
        return "dark-and-reverted" if dark else "rolled back"
    if change.stage is Stage.SENT:
        return change.verdict.value
    if change.stage is Stage.HELD:
        return Verdict.CHANGED_BY_HAND.value
    if change.stage is Stage.PLANNED:
        quiet = change.verdict in {Verdict.PARKED, Verdict.UNCHANGED}
        return change.verdict.value if quiet else "not sent"
    return change.stage.value


def owes(change: Change) -> bool:
    """Whether the store still owes the release, as far as the change alone can tell.

    Parked, dark (set back or not), or not delivered. What failed, was changed by hand or was
    skipped waits for a person and owes nothing; nor does anything in a rollout that was rolled
    back, which its phase says.
    """
    if change.stage is Stage.PLANNED:
        return change.verdict is Verdict.PARKED
    if change.stage is Stage.UNDONE:
        return change.verdict is Verdict.DARK
    if change.stage is not Stage.SENT or was_applied(change):
        return False
    return change.verdict in {Verdict.DARK, Verdict.UNDELIVERED}
