"""Reads how a rollout stands from the records alone, without the inventory and without AWS."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fleet.aws.budget import Budget
from fleet.errors import FleetError, Interrupted, UsageError
from fleet.model.gate import Gate
from fleet.model.history import Lease
from fleet.model.overview import BudgetUse, NextWindow, Overview, Ticker, Watch
from fleet.model.rollout import Phase, VerbName
from fleet.rollout.controller import CONTROLLER
from fleet.rollout.decide.store_choice import StoreChoice, choose_stores, waiting_for_windows
from fleet.rollout.decide.tick import done_words, gate_now
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.verbs import accepted_by_resume, sent_after_resume
from fleet.rollout.decide.watch import (
    is_only_watched,
    is_watched_after,
    watch_period_s,
    watched_until,
)
from fleet.rollout.tick import rollout_lease, shard_lease
from fleet.runtime.lease import holder_of

if TYPE_CHECKING:
    from fleet.records.records import Records

#: Exit code of a rollout that waits for ``promote``.
AWAITS = 3
#: Exit code of one that a gate halted, or that is paused.
HALTED = 4
#: Latest events that are shown.
EVENTS = 50


def overview(records: "Records", rollout_id: str, now: datetime) -> Overview:
    """Return everything that screens show of one rollout, at one moment.

    Raises:
        UsageError: there is no such rollout.
    """
    rollouts = records.rollouts
    rollout = rollouts.load(rollout_id)
    state = TickState(rollout, rollouts.changes(rollout_id), now, records.stops.latest())
    gate = gate_now(state)
    choice = choose_stores(state)
    mine = {store: set(rollout.spec.workloads) for store in rollout.spec.places}
    if rollout.phase is Phase.DONE and rollout.finished_at is not None and not rollout.recalled:
        # A store that was owed it may have been taken over since.
        rollout = replace(rollout, why=done_words(state))
    return Overview(
        rollout=rollout,
        resume_accepts=accepted_by_resume(state),
        resume_sends=sent_after_resume(state),
        at=now,
        changes=state.changes,
        gate=gate,
        events=rollouts.latest_events(rollout_id, limit=EVENTS),
        verbs=rollouts.verbs(rollout_id),
        tickers=_ticker(holder_of(records, rollout_lease(rollout_id))),
        controller=next(iter(_ticker(holder_of(records, CONTROLLER))), None),
        budgets=_budgets(records, state, now),
        next_window=_next_window(state),
        waits=_waits(state, gate, choice),
        watch=_watch(state),
        stop=state.stop,
        held_by=tuple(
            hold
            for hold in rollouts.holds()
            if hold.rollout != rollout_id and hold.workload in mine.get(hold.store, ())
        ),
    )


def _watch(state: TickState) -> Watch | None:
    rollout = state.rollout
    watched = {c.store for c in state.changes if is_only_watched(state, c)}
    if not watched or (rollout.finished_at is not None and not is_watched_after(state)):
        return None
    return Watch(len(watched), watch_period_s(state), watched_until(rollout))


def _ticker(lease: Lease | None) -> tuple[Ticker, ...]:
    return () if lease is None else (Ticker(lease.name, lease.owner, lease.expires_at),)


def _budgets(records: "Records", state: TickState, now: datetime) -> tuple[BudgetUse, ...]:
    shards = {(p.account, p.account_id, p.region) for p in state.rollout.spec.places.values()}
    uses: list[BudgetUse] = []
    for account, account_id, region in sorted(shards):
        lease = records.leases.state(shard_lease(account_id, region))
        used = Budget.from_state(lease, now).used(now).values()
        uses += [BudgetUse(account, region, u.group, u.share, u.waiting) for u in used]
    return tuple(sorted(uses, key=lambda use: (-use.share, use.account, use.region, use.group)))


def _next_window(state: TickState) -> NextWindow | None:
    waiting = waiting_for_windows(state)
    opening = [(p.next_at, store) for store, p in waiting if p.next_at is not None]
    if not opening:
        return None
    at, store = min(opening)
    return NextWindow(at, store, len(waiting))


def _waits(state: TickState, gate: Gate | None, choice: StoreChoice) -> tuple[str, ...]:
    rollout = state.rollout
    if rollout.finished_at is not None:
        return ()
    waits = []
    if rollout.phase is not Phase.RUNNING:
        waits.append(rollout.why)
    elif gate is not None:
        waits.append(gate.reason)
    if choice.waits_until is not None and choice.waits_until - state.now > timedelta(0):
        waits.append(choice.waits_for)
    return tuple(filter(None, waits))


def find_rollout(records: "Records", given: str | None) -> str:
    """Return the id of the rollout that is meant: as given, else the active one, else the latest.

    Raises:
        UsageError: there is none, or several are active and none was named.
    """
    if given:
        return f"ro-{given}" if given.isascii() and given.isdigit() else given
    active = records.rollouts.active()
    if len(active) > 1:
        raise UsageError(
            f"{len(active)} rollouts are active: {', '.join(active)}",
            hint="name the one that is meant",
        )
    id_ = active[0] if active else records.rollouts.latest()
    if id_ is None:
        raise UsageError("no rollout was started yet", hint="fleet rollout --canary")
    return id_


def rests(overview: Overview) -> bool:
    """Return whether nothing goes on by itself: it has ended, or a person is wanted."""
    if overview.rollout.finished_at is not None:
        return True
    return overview.rollout.phase in {Phase.PAUSED, Phase.HALTED, Phase.AWAITING}


def exit_code_of(stores: Collection[str], overview: Overview, code: int) -> int:
    """Return the exit code of a word about some stores, in a rollout that rests for others.

    Args:
        code: of the rollout.
    """
    mine = [change for change in overview.changes if change.store in stores]
    bad = any(change.standing.needs_person or change.is_not_set_back for change in mine)
    rests = code in {AWAITS, HALTED} and overview.rollout.phase.awaits_person
    return 0 if rests and mine and not bad else code


def exit_code(overview: Overview, *, said: VerbName | None = None) -> int:
    """Return the exit code of a command that advanced a rollout.

    Args:
        said: the verb of the command: a rollout that was set back because somebody wanted it has
            not failed.
    """
    match overview.rollout.phase:
        case Phase.DONE | Phase.REBUILT:
            return 0
        case Phase.AWAITING:
            return AWAITS
        case Phase.HALTED | Phase.PAUSED:
            return HALTED
        case Phase.ABORTED:
            return 0 if said is VerbName.ABORT else FleetError.exit_code
        case Phase.ROLLED_BACK:
            whole = not any(change.is_not_set_back for change in overview.changes)
            return 0 if said is VerbName.ROLLBACK and whole else FleetError.exit_code
        case Phase.RUNNING | Phase.ROLLING_BACK:
            return Interrupted.exit_code
