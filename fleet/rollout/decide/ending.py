"""How a change ended and what its store still owes, as far as its row tells."""

from fleet.model.changes import Change
from fleet.model.verdicts import Stage, Verdict


def was_applied(change: Change) -> bool:
    """Whether the store was seen running what was sent; dark, it then has nothing to apply."""
    return change.ok_at is not None


def ending(change: Change) -> str:
    """How a change ended, in words; of one that goes on, where it is."""
    if change.stage is Stage.UNDONE:
        dark = change.verdict is Verdict.DARK or change.away_since is not None
        return "dark-and-reverted" if dark else "rolled back"
    if change.stage is Stage.SENT:
        applied = change.verdict is Verdict.DARK and was_applied(change)
        return Verdict.OK.value if applied else change.verdict.value
    if change.stage is Stage.HELD:
        return change.verdict.value
    if change.stage is Stage.PLANNED:
        return _before_sending(change)
    return change.stage.value


def _before_sending(change: Change) -> str:
    if not change.sends:
        quiet = change.verdict in {Verdict.PARKED, Verdict.UNCHANGED}
        return change.verdict.value if quiet else "not sent"
    # It was sent before, and ECS or fleet took that back.
    if change.verdict is Verdict.UNDELIVERED or change.pulls_failed:
        return Verdict.UNDELIVERED.value
    set_back = change.verdict is Verdict.PARKED or change.next_send.was_set_back
    return "dark-and-reverted" if set_back else "to be sent again"


def owes(change: Change) -> bool:
    """Whether the store still owes the release, as far as the change alone can tell.

    Parked, dark (set back or not), or not delivered. What failed, was changed by hand or was
    skipped waits for a person and owes nothing; nor does anything in a rollout that was rolled
    back, which its phase says.
    """
    if change.stage is Stage.PLANNED:
        return change.verdict in {Verdict.PARKED, Verdict.UNDELIVERED}
    if change.stage is Stage.UNDONE:
        return change.verdict in {Verdict.DARK, Verdict.UNDELIVERED}
    if change.stage is not Stage.SENT or was_applied(change):
        return False
    return change.verdict in {Verdict.DARK, Verdict.UNDELIVERED}
