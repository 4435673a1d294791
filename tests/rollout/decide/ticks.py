"""Rollouts in small, and one tick of them, for the tests of what follows from verdicts."""

from dataclasses import replace
from typing import Any

from fleet.model.changes import Change, ObservedChange
from fleet.model.policy import Amount
from fleet.model.restarts import Restarts
from fleet.model.rollout import ActionKind, Phase
from fleet.model.verdicts import Verdict
from fleet.rollout.decide.store_choice import choose_stores
from fleet.rollout.decide.tick import Settled, settle
from fleet.rollout.decide.tick_state import TickState
from tests.rollout.decide.tick_states import (
    POLICY,
    SERVICE,
    after,
    planned,
    sent,
)

QUICK = replace(POLICY, bake_s=0.0, concurrency=Amount(count=100))
ENDED_PHASES = (Phase.DONE, Phase.ABORTED, Phase.ROLLED_BACK)


def good(number: int, wave: int = 0, **fields: Any) -> Change:
    """A good store of which nothing is due any more."""
    seen = ObservedChange(restarts=Restarts(read_at=after(9999), tried_at=after(9999)))
    told = {"wave": wave, "look_at": after(9999), "observed": seen, **fields}
    return sent(f"store-{number:03}", Verdict.OK, **told)


def canary(*others: Change) -> list[Change]:
    """Four good stores of a canary, and others."""
    return [*(good(n) for n in range(1, 5)), *others]


def later(number: int = 900) -> Change:
    return planned(f"store-{number:03}", wave=1)


def settled(
    rows: TickState, seen: tuple[str, ...] | None = None, *, unwatched: bool = False
) -> Settled:
    """A tick that has looked at everybody whose turn it is, unless somebody else is named."""
    choice = choose_stores(rows)
    looked = frozenset(choice.to_send if seen is None else seen)
    return settle(rows, choice, looked, unwatched=unwatched)


def of(rows: TickState, store: str = "store-042") -> Change:
    return rows.change(store, SERVICE)


def kinds(done: Settled) -> list[tuple[ActionKind, str]]:
    return [(action.kind, action.store) for action in done.actions]
