"""Reads how a rollout stands from the records alone, without the inventory and without AWS."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fleet.aws.budget import Budget
from fleet.model.gate import Gate
from fleet.model.history import Lease
from fleet.model.overview import BudgetUse, NextWindow, Overview, Ticker
from fleet.model.rollout import Phase
from fleet.rollout.controller import CONTROLLER
from fleet.rollout.decide.board import Board
from fleet.rollout.decide.store_choice import StoreChoice, choose_stores, waiting_for_windows
from fleet.rollout.decide.tick import gate_now
from fleet.rollout.tick import HISTORY, rollout_lease, shard_lease
from fleet.runtime.lease import holder_of

if TYPE_CHECKING:
    from fleet.records.records import Records

#: Latest lines of the story that are shown.
EVENTS = 50


def overview(records: "Records", rollout_id: str, now: datetime) -> Overview:
    """Return everything that screens show of one rollout, at one moment.

    Raises:
        UsageError: there is no such rollout.
    """
    rollouts = records.rollouts
    rollout = rollouts.load(rollout_id)
    board = Board(rollout, rollouts.changes(rollout_id), now)
    gate = gate_now(board, rollouts.history_sample(now - HISTORY))
    choice = choose_stores(board)
    mine = {store: set(rollout.spec.workloads) for store in rollout.spec.places}
    return Overview(
        rollout=rollout,
        at=now,
        changes=board.changes,
        gate=gate,
        events=rollouts.latest_events(rollout_id, limit=EVENTS),
        verbs=rollouts.verbs(rollout_id),
        tickers=_ticker(holder_of(records, rollout_lease(rollout_id))),
        controller=next(iter(_ticker(holder_of(records, CONTROLLER))), None),
        budgets=_budgets(records, board, now),
        next_window=_next_window(board),
        waits=_waits(board, gate, choice),
        held_by=tuple(
            hold
            for hold in rollouts.holds()
            if hold.rollout != rollout_id and hold.workload in mine.get(hold.store, ())
        ),
    )


def _ticker(lease: Lease | None) -> tuple[Ticker, ...]:
    return () if lease is None else (Ticker(lease.name, lease.owner, lease.expires_at),)


def _budgets(records: "Records", board: Board, now: datetime) -> tuple[BudgetUse, ...]:
    shards = {(p.account, p.account_id, p.region) for p in board.rollout.spec.places.values()}
    uses: list[BudgetUse] = []
    for account, account_id, region in sorted(shards):
        state = records.leases.state(shard_lease(account_id, region))
        used = Budget.from_state(state, now).used(now).values()
        uses += [BudgetUse(account, region, u.group, u.share, u.waiting) for u in used]
    return tuple(sorted(uses, key=lambda use: (-use.share, use.account, use.region, use.group)))


def _next_window(board: Board) -> NextWindow | None:
    waiting = waiting_for_windows(board)
    opening = [(p.next_at, store) for store, p in waiting if p.next_at is not None]
    if not opening:
        return None
    at, store = min(opening)
    return NextWindow(at, store, len(waiting))


def _waits(board: Board, gate: Gate | None, choice: StoreChoice) -> tuple[str, ...]:
    rollout = board.rollout
    if rollout.finished_at is not None:
        return ()
    waits = []
    if rollout.phase is not Phase.RUNNING:
        waits.append(rollout.why)
    elif gate is not None:
        waits.append(gate.reason)
    if choice.waits_until is not None and choice.waits_until - board.now > timedelta(0):
        waits.append(choice.waits_for)
    return tuple(filter(None, waits))
