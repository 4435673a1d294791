"""What each verdict on a change means, one row per verdict; rules, screens and SQL use the row."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What is known of a change that was, or should be, sent to a store."""

    OK = "ok"
    FAILED = "failed"
    UNDELIVERED = "undelivered"
    DARK = "dark"
    WAITING = "waiting"
    PARKED = "parked"
    UNCHANGED = "unchanged"
    CHANGED_BY_HAND = "changed-by-hand"

    # As its value is, and many times as fast as an enum is: ticks count thousands of verdicts.
    __hash__ = str.__hash__

    @property
    def traits(self) -> "VerdictTraits":
        """Return its row."""
        return _TRAITS[self]


class Stage(StrEnum):
    """Where a change is in its life; only a tick moves it.

    PLANNED: nothing was sent. SENDING: recorded before the call, which may or may not have gone
    out. SENT: AWS accepted it. UNDOING and UNDONE: likewise for setting it back to what ran before.
    SKIPPED: a person left it out, or a newer rollout took it over. HELD: somebody else changed the
    service, and fleet does not touch it.
    """

    PLANNED = "planned"
    SENDING = "sending"
    SENT = "sent"
    UNDOING = "undoing"
    UNDONE = "undone"
    SKIPPED = "skipped"
    HELD = "held"

    __hash__ = str.__hash__

    @property
    def is_call_open(self) -> bool:
        """Return whether a call is about to be made, or was made and its outcome is not known."""
        return self is Stage.SENDING or self is Stage.UNDOING


class Standing(StrEnum):
    """How a change stands for a person, from best to worst: its verdict, or what its stage adds.

    The members' order is their rank: a store stands as the worst of its services.
    """

    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    OK = "ok"
    PLANNED = "to send"
    PARKED = "parked"
    WAITING = "waiting"
    UNDONE = "rolled back"
    UNDOING = "rolling back"
    DARK = "dark"
    UNDELIVERED = "undelivered"
    BY_HAND = "by hand"
    FAILED = "failed"

    @property
    def rank(self) -> int:
        """Return its place among the others; a higher one is worse."""
        return _RANKS[self]

    def words(self, *, has_ended: bool) -> str:
        """Return it for a person: nobody sends what a rollout that has ended was still to send."""
        return "not sent" if has_ended and self is Standing.PLANNED else self.value

    @property
    def style(self) -> str:
        """Return its colour on a terminal, which repeats what the word says; "" for none."""
        return _STYLES.get(self, "")

    @property
    def needs_person(self) -> bool:
        """Return whether somebody has to look at it; such a change can be retried."""
        return self in _NEED_PERSON


_RANKS = {standing: rank for rank, standing in enumerate(Standing)}

_STYLES = {
    Standing.OK: "green",
    Standing.PARKED: "yellow",
    Standing.UNDOING: "yellow",
    Standing.DARK: "yellow",
    Standing.UNDELIVERED: "red",
    Standing.BY_HAND: "red",
    Standing.FAILED: "red",
}


@dataclass(frozen=True, slots=True)
class VerdictTraits:
    """What a verdict means.

    Attributes:
        standing: what people read for it, with its rank and style.
        gate_column: the field of ``Count`` that counts it.
        owes: stages in which a change with this verdict still owes the release to its store.
        owes_until_ok: stages in which it does so unless the store was seen running what was sent.
        in_flight: whether a change that was sent and has it occupies a place of the rollout.
        is_silent: whether a store that was sent it says nothing of the release, and nothing more
            is to come by itself: it keeps a wave short of its coverage.
        is_retryable: whether ``retry`` may send the change again.
    """

    standing: Standing
    gate_column: str
    owes: frozenset[Stage] = frozenset()
    owes_until_ok: frozenset[Stage] = frozenset()
    in_flight: bool = False
    is_silent: bool = False
    is_retryable: bool = False

    @property
    def is_settled(self) -> bool:
        """Return whether nothing more is expected of the store until a person acts."""
        return not (self.in_flight or self.owes or self.owes_until_ok)


_TRAITS = {
    Verdict.UNCHANGED: VerdictTraits(Standing.UNCHANGED, "unchanged"),
    Verdict.OK: VerdictTraits(Standing.OK, "ok"),
    # Nothing was sent, because the hosts were away.
    Verdict.PARKED: VerdictTraits(Standing.PARKED, "parked", owes=frozenset({Stage.PLANNED})),
    Verdict.WAITING: VerdictTraits(Standing.WAITING, "waiting", in_flight=True),
    # ECS applies what was sent when the hosts return. A store that was ok has it already.
    Verdict.DARK: VerdictTraits(
        Standing.DARK,
        "dark",
        owes=frozenset({Stage.UNDONE}),
        owes_until_ok=frozenset({Stage.SENT}),
        in_flight=True,
        is_silent=True,
    ),
    # No task runs the release, also where one did before it was replaced.
    Verdict.UNDELIVERED: VerdictTraits(
        Standing.UNDELIVERED,
        "undelivered",
        owes=frozenset({Stage.PLANNED, Stage.SENT, Stage.UNDONE}),
        is_silent=True,
        is_retryable=True,
    ),
    Verdict.CHANGED_BY_HAND: VerdictTraits(
        Standing.BY_HAND, "by_hand", is_silent=True, is_retryable=True
    ),
    Verdict.FAILED: VerdictTraits(Standing.FAILED, "failed", is_retryable=True),
}

_NEED_PERSON = {v.traits.standing for v in Verdict if v.traits.is_retryable}

#: From best to worst; a store's verdict is the worst of its services'.
WORST = tuple(sorted(Verdict, key=lambda verdict: verdict.traits.standing.rank))


def worst(standings: Iterable[Standing]) -> Standing:
    """Return the standing of a store whose services stand so."""
    return max(standings, key=lambda standing: standing.rank)
