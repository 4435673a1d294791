"""Holds the changes and events of one rollout during one tick, and how a send updates a change."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from fleet.model.changes import CONVOY, Change, NextSend, PastTry, Undo
from fleet.model.copies import copied
from fleet.model.rollout import EventKind, Phase, Rollout, RolloutEvent
from fleet.model.stop import Stop
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.change_index import ChangeIndex, Key

T = TypeVar("T")


class TickState:
    """Holds the changes of one rollout in one tick, and knows which were updated.

    Args:
        now: the run's time, used for everything that the tick does.
        stop: the latest stop of every send, in force or lifted; None when there never was one.
        scale: ticks that this one stands for, in a simulation of thousands of stores.
    """

    def __init__(
        self,
        rollout: Rollout,
        changes: Iterable[Change],
        now: datetime,
        stop: Stop | None = None,
        *,
        scale: int = 1,
    ) -> None:
        self.rollout = rollout
        self.now = now
        self.latest_stop = stop
        self.scale = scale
        self.events: list[RolloutEvent] = []
        self._index = ChangeIndex(changes)
        self._before: dict[Key, Change] = {}
        self._judged: dict[int, tuple[set[str], set[str]]] = {}
        self._puts = 0
        self._answers: dict[Callable[[TickState], Any], tuple[int, Rollout, Any]] = {}

    def again(self, rollout: Rollout, now: datetime, stop: Stop | None) -> "TickState":
        """Return a state at another time on which nothing has changed, without indexing anew."""
        state = TickState(rollout, (), now, stop, scale=self.scale)
        state._index = self._index.copy()
        state._judged = {wave: (set(done), set(of)) for wave, (done, of) in self._judged.items()}
        return state

    @property
    def changes(self) -> tuple[Change, ...]:
        """Return all changes, in the order they were given."""
        return self._index.all()

    @property
    def moved(self) -> tuple[Change, ...]:
        """Return the changes that differ from what was given."""
        before = self._before
        return tuple(now for now in self._index.in_order(before) if now != before[now.key])

    def where(self, holds: Callable[[Change], bool], *, wave: int | None = None) -> list[Change]:
        """Return the changes for which something holds, as ``ChangeIndex.where`` does."""
        return self._index.where(holds, wave=wave)

    def first_where(self, holds: Callable[[Change], bool]) -> list[Change]:
        """Return those of ``where`` that are the first change of their store."""
        return self._index.first_where(holds)

    def first_change(self, store: str) -> Change | None:
        """Return the first change of a store; None for one that the rollout does not change."""
        return next(iter(self._index.of_store(store)), None)

    def once(self, question: Callable[["TickState"], T]) -> T:
        """Return the answer to a question; it is asked again once a change or the rollout moved.

        Args:
            question: asks nothing but the state. It is a function of a module, and nobody changes
                what it returns.
        """
        known = self._answers.get(question)
        if known is None or known[0] != self._puts or known[1] is not self.rollout:
            known = self._puts, self.rollout, question(self)
            self._answers[question] = known
        answer: T = known[2]
        return answer

    @property
    def stop(self) -> Stop | None:
        """Return the stop of every send that is in force; None when the rollout may send."""
        stop = self.latest_stop
        return stop if stop is not None and stop.is_in_force else None

    @property
    def patience_from(self) -> datetime:
        """Return from when it counts that nothing has come: not from before a stop was lifted."""
        began = self.rollout.wave_at or self.rollout.started_at
        stop = self.latest_stop
        return max(began, stop.lifted_at) if stop is not None and stop.lifted_at else began

    def change(self, store: str, service: str) -> Change:
        """Return one change as it is now."""
        return self._index.one((store, service))

    def of_store(self, store: str) -> tuple[Change, ...]:
        """Return the changes of a store; none for a store that the rollout does not change."""
        return self._index.of_store(store)

    def stores(self, changes: Iterable[Change]) -> list[str]:
        """Return the ids of the stores of these changes, each once, in their order."""
        return list(dict.fromkeys(c.store for c in changes))

    def move(self, change: Change, **fields: Any) -> Change:
        """Update fields of one change; a new verdict begins now unless ``since`` is given."""
        if fields.get("verdict", change.verdict) is not change.verdict:
            fields.setdefault("since", self.now)
        moved = copied(change, **fields)
        self.put(moved)
        return moved

    def put(self, change: Change) -> None:
        """Replace one change."""
        was = self._index.put(change)
        self._before.setdefault(change.key, was)
        self._puts += 1
        for wave, (done, sent) in self._judged.items():
            done.discard(change.store)
            sent.discard(change.store)
            self._count_judged(c for c in self.of_store(change.store) if c.wave == wave)

    def judged(self, wave: int) -> tuple[int, int]:
        """Return how many stores of a wave have a verdict, and how many were sent to.

        It is kept up to date with every change: in one tick thousands may get their verdict.
        """
        if wave not in self._judged:
            self._judged[wave] = (set(), set())
            self._count_judged(self.of_wave(wave))
        done, sent = self._judged[wave]
        return len(done), len(sent)

    def _count_judged(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if is_sent(change):
                done, sent = self._judged[change.wave]
                sent.add(change.store)
                if change.verdict is not Verdict.WAITING:
                    done.add(change.store)

    def in_seconds(self, seconds: float) -> datetime:
        """Return the time that is so many seconds from now."""
        return self.now + timedelta(seconds=seconds)

    def enter_phase(self, phase: Phase, why: str, **fields: Any) -> None:
        """Bring the rollout into a phase; adds an event if it was in another one."""
        if phase is not self.rollout.phase:
            self.say(
                EventKind.PHASE, f"{phase.value}: {why}", data={"phase": phase.value, "why": why}
            )
        self.rollout = replace(self.rollout, phase=phase, why=why, **fields)

    def say(
        self, kind: EventKind, text: str, store: str = "", data: Mapping[str, Any] | None = None
    ) -> None:
        """Add an event."""
        self.events.append(
            RolloutEvent(0, self.rollout.id, self.now, kind, text, store, data or {})
        )

    @property
    def current(self) -> list[Change]:
        """Return the changes of the wave that is sent or judged now."""
        return self.of_wave(self.rollout.wave)

    @property
    def convoy(self) -> list[Change]:
        """Return the changes of stores that were dark at their turn and have come back."""
        return self.of_wave(CONVOY)

    def of_wave(self, wave: int) -> list[Change]:
        """Return the changes of a wave, as they are now."""
        return self._index.of_wave(wave)


def is_sent(change: Change) -> bool:
    """Return whether a change was sent in this rollout, whatever became of it; N counts these."""
    return change.sends > 0 and change.stage is not Stage.SKIPPED


def is_failed(change: Change) -> bool:
    """Return whether a change has failed that was sent, or that AWS would not have."""
    tried = is_sent(change) or change.stage is Stage.HELD
    return tried and change.verdict is Verdict.FAILED


def is_unsent(change: Change) -> bool:
    """Return whether a change is to be sent at its turn, or once more."""
    return change.stage is Stage.PLANNED and not is_parked(change)


def is_call_open(change: Change) -> bool:
    """Return whether the outcome of a call is not known yet."""
    return change.stage.is_call_open


def is_in_flight(change: Change) -> bool:
    """Return whether a change counts against the concurrency by itself."""
    return change.in_flight


def is_not_applied(change: Change) -> bool:
    """Return whether a change was sent and its store was never seen to run it."""
    return change.stage is Stage.SENT and not change.was_applied


def is_undelivered(change: Change) -> bool:
    """Return whether the image of a change that was sent could not be pulled."""
    return change.stage is Stage.SENT and change.verdict is Verdict.UNDELIVERED


def accepted(changes: Iterable[Change], variant_of: Callable[[Change], str]) -> dict[str, int]:
    """Count by variant the stores whose failure a person has accepted and that are not tried again.

    It is counted from the changes, so that an accepted failure never makes room for another one.
    """
    found = {
        (variant_of(change), change.store)
        for change in changes
        if is_failed(change) and change.failure_accepted
    }
    return dict(Counter(variant for variant, _ in found))


def is_parked(change: Change) -> bool:
    """Return whether nothing was sent because the hosts were away; such a change is owed."""
    return change.stage is Stage.PLANNED and change.verdict is Verdict.PARKED


def mark_sent(
    state: TickState,
    change: Change,
    reason: str,
    *,
    target: str,
    sent_at: datetime,
    look_at: datetime,
) -> Change:
    """Mark a change as sent, and forget what was observed of an earlier try.

    Args:
        sent_at: AWS's time of the call.
    """
    return state.move(
        change,
        stage=Stage.SENT,
        verdict=Verdict.WAITING,
        reason=reason,
        target=target,
        sends=change.sends + 1,
        sent_at=sent_at,
        look_at=look_at,
        ok_at=None,
        observed=change.observed.before_a_send(),
        next_send=NextSend(),
        undo=Undo(),
        failure_accepted=False,
        is_late=False,
    )


def to_be_sent_again(change: Change) -> NextSend:
    """Return what the next send has to know: how the last try ended, if there was one."""
    if not change.sends or change.next_send.last_try is not None:
        return change.next_send
    ended = PastTry(change.stage, change.verdict, change.reason, change.pulls_failed)
    return replace(change.next_send, last_try=ended)


def called_off(change: Change) -> Change:
    """Return a change as its last try ended, where it was to be sent again and will not be."""
    ended = change.next_send.last_try
    if change.stage is not Stage.PLANNED or ended is None:
        return change
    return replace(
        change,
        stage=ended.stage,
        verdict=ended.verdict,
        reason=ended.reason,
        pulls_failed=ended.pulls_failed,
        observed=replace(change.observed, reason=ended.reason),
        next_send=replace(change.next_send, last_try=None),
    )
