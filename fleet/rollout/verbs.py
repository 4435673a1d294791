"""Records what a person tells a rollout, and finds the process that will obey."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from fleet.errors import Locked, UsageError
from fleet.model.changes import by_store
from fleet.model.overview import Overview
from fleet.model.rollout import Phase, Verb, VerbName
from fleet.rollout.decide.store_choice import StoreChoice
from fleet.rollout.decide.tick import settle
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.verbs import obey
from fleet.rollout.tick import rollout_lease
from fleet.runtime.lease import held, owner_name
from fleet.runtime.wiring import Wiring

if TYPE_CHECKING:
    from fleet.records.records import Records

#: Verbs after which the command itself advances the rollout if nobody else does.
ADVANCES = frozenset(
    {VerbName.RESUME, VerbName.PROMOTE, VerbName.RETRY, VerbName.ABORT, VerbName.ROLLBACK}
)


#: Verbs that need no call to AWS; the command itself obeys them when nobody ticks the rollout.
NEEDS_NO_CALL = frozenset({VerbName.PAUSE, VerbName.SKIP, VerbName.ABORT})
#: What a tick chooses when it reads nothing and sends nothing.
_NOTHING = StoreChoice((), (), ())


@dataclass(frozen=True, slots=True)
class VerbRequest:
    """Holds what a person tells a rollout.

    Attributes:
        rollout: id as typed; None for the active one, else the latest.
        stores: ids; empty for all that the verb is about.
        no_wait: whether to return without waiting for what comes of it.
        yes: whether to go on without asking.
    """

    verb: VerbName
    rollout: str | None
    stores: Sequence[str] = field(default=())
    why: str = ""
    no_wait: bool = False
    yes: bool = True

    def words(self, rollout_id: str) -> str:
        """Return the command that says the same again, of the same stores and no others."""
        named = "".join(f" --store {store}" for store in self.stores)
        return f"fleet rollout {self.verb.value} {rollout_id}{named}"


def check_stores(overview: Overview, stores: Sequence[str]) -> None:
    """Refuse stores that are not in the rollout.

    Raises:
        UsageError: names the nearest store.
    """
    known = overview.rollout.spec.places
    missing = [store for store in stores if store not in known]
    if missing:
        near = get_close_matches(missing[0], known, n=3)
        raise UsageError(
            f"{overview.rollout.id} changes no store {missing[0]!r} ({len(known)} stores)",
            hint=f"did you mean {', '.join(near)}?" if near else None,
        )


def check_request(overview: Overview, request: VerbRequest) -> None:
    """Refuse a request that cannot be followed, before anything is told.

    Raises:
        UsageError: a store is not in the rollout, or none to skip was named.
    """
    check_stores(overview, request.stores)
    if request.verb is VerbName.SKIP and not request.stores:
        raise UsageError(
            "no store to skip was named",
            hint=f"fleet rollout skip {overview.rollout.id} --store ID; `abort` ends all of it",
        )


def stores_sent_to(overview: Overview, request: VerbRequest) -> list[str]:
    """Return the stores that a rollback would set back."""
    return [
        store
        for store, changes in by_store(overview.changes).items()
        if any(change.sends for change in changes)
        and (not request.stores or store in request.stores)
    ]


def say(wiring: Wiring, request: VerbRequest, rollout_id: str, *, caller: str, run_id: str) -> Verb:
    """Record and audit a verb; the next tick obeys it."""
    now, name = wiring.clock.now(), request.verb.value
    said = wiring.records.rollouts.say(
        rollout_id,
        request.verb,
        by=caller,
        at=now,
        stores=tuple(request.stores),
        why=request.why,
    )
    wiring.records.audit(
        run_id,
        at=now,
        caller_arn=caller,
        action=f"rollout {name}",
        why=request.why or f"{name} was said to {rollout_id}",
        detail={"rollout": rollout_id, "stores": list(request.stores)},
    )
    return said


def obey_now(wiring: Wiring, rollout_id: str) -> bool:
    """Obey what was said to a rollout that nobody ticks, without a call to AWS.

    An aborted rollout ends at once where nothing was sent that has to be set back or watched.

    Returns:
        Whether it was obeyed; not where somebody ticks the rollout after all.
    """
    records, name = wiring.records.rollouts, rollout_lease(rollout_id)
    try:
        with held(wiring.records, [name], owner_name(f"fleet rollout {rollout_id}")) as own:
            rollout, changes = records.load(rollout_id), records.changes(rollout_id)
            state = TickState(rollout, changes, wiring.clock.now())
            answers = obey(state, records.verbs(rollout_id, unobeyed_only=True))
            if state.rollout.phase is Phase.ABORTED:
                settle(state, _NOTHING, frozenset())
            records.write_tick(own.lease(name), state.rollout, state.moved, state.events, answers)
    except Locked:
        return False
    return True


def who_obeys(overview: Overview) -> str:
    """Return the owner of the process that will obey; "" when there is none.

    A controller advances only what is not finished; the command advances one that is.
    """
    if overview.tickers:
        return overview.tickers[0].owner
    if overview.controller is not None and overview.rollout.finished_at is None:
        return overview.controller.owner
    return ""


def answer_to(records: "Records", said: Verb) -> str:
    """Return what came of a verb, or "" before it was obeyed."""
    verbs = records.rollouts.verbs(said.rollout)
    return next((verb.answer for verb in verbs if verb.id == said.id), "")
