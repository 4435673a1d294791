"""Turns a rollout, its events and the list of rollouts into versioned documents."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from fleet.model.changes import Change, by_store
from fleet.model.gate import Gate
from fleet.model.history import RolloutSummary
from fleet.model.overview import Overview, Ticker, Watch
from fleet.model.plain import to_plain
from fleet.model.rollout import Rollout, RolloutEvent, Verb
from fleet.model.spans import stamp
from fleet.model.stop import Stop
from fleet.rollout.view.next_steps import next_steps, store_steps
from fleet.rollout.view.rollout import store_standings, wave_counts
from fleet.rollout.view.stop import stop_document
from fleet.terminal.documents import Document, document


def history_document(rollouts: Sequence[RolloutSummary], stop: Stop | None = None) -> Document:
    """Return what ``rollout history --json`` prints."""
    return document(
        "rollout-history",
        {
            "stopped": stop_document(stop),
            "rollouts": [
                {
                    "id": r.id,
                    "run": r.run,
                    "title": r.title,
                    "release": r.release,
                    "workloads": list(r.workloads),
                    "caller": r.caller,
                    "started_at": stamp(r.started_at),
                    "finished_at": stamp(r.finished_at),
                    "phase": r.phase.value,
                    "why": r.why,
                    "stores": r.stores,
                    "verdicts": {verdict.value: n for verdict, n in r.verdicts.items()},
                }
                for r in rollouts
            ],
        },
    )


def rollout_document(rollout: Rollout) -> dict[str, Any]:
    """Return a rollout's moving part, and of its spec what people ask about."""
    spec = rollout.spec
    return {
        "id": rollout.id,
        "title": spec.title,
        "release": spec.release,
        "workloads": list(spec.workloads),
        "selection": spec.selection,
        "policy": spec.policy.name,
        "canary": spec.canary,
        "override_freeze": spec.override_freeze,
        "phase": rollout.phase.value,
        "why": rollout.why,
        "recalled": rollout.recalled,
        "wave": rollout.wave,
        "waves": [{"name": w.name, "stores": list(w.stores)} for w in spec.waves],
        "caller": rollout.caller,
        "started_at": stamp(rollout.started_at),
        "finished_at": stamp(rollout.finished_at),
        "updated_at": stamp(rollout.updated_at),
        "tick": rollout.tick,
        "promoted": rollout.promoted,
        "accepted": dict(rollout.accepted),
    }


def status_document(
    overview: Overview, store: str = "", events: Sequence[RolloutEvent] = ()
) -> Document:
    """Return what ``rollout status --json`` prints; with a store, its changes and events."""
    changes = [c for c in overview.changes if not store or c.store == store]
    window = overview.next_window
    whole = next_steps(overview)
    steps = store_steps(overview, store) if store else whole
    standings = list(store_standings(overview.changes).values())
    return document(
        "rollout",
        {
            "at": stamp(overview.at),
            "rollout": rollout_document(overview.rollout),
            "tally": {s.value: standings.count(s) for s in sorted(set(standings))},
            "waves": [
                {
                    "name": wave.name,
                    "stores": wave.stores,
                    "count": {s.value: n for s, n in sorted(wave.count.items()) if n},
                    "read_at": stamp(wave.read_at),
                    "weight": wave.weight,
                }
                for wave in wave_counts(overview.rollout, overview.changes)
            ],
            "gate": gate_document(overview.gate) if overview.gate else None,
            "owed": list(by_store(overview.owed)),
            "waits": list(overview.waits),
            "watch": _watch_document(overview.watch),
            "next_window": {"at": stamp(window.at), "store": window.store, "stores": window.stores}
            if window
            else None,
            "tickers": [_ticker(t) for t in overview.tickers],
            "controller": _ticker(overview.controller) if overview.controller else None,
            "budgets": [asdict(budget) for budget in overview.budgets],
            "verbs": [verb_document(verb) for verb in overview.verbs],
            "stopped": stop_document(overview.stop),
            "held_by": [{**asdict(hold), "since": stamp(hold.since)} for hold in overview.held_by],
            "next": [step.command.words for step in whole],
            "commands": [{**asdict(step.command), "what": step.what} for step in steps],
            "changes": [change_document(change) for change in changes],
            "events": [event_document(event) for event in (events or overview.events)],
        },
    )


def _watch_document(watch: Watch | None) -> dict[str, Any] | None:
    if watch is None:
        return None
    return {"stores": watch.stores, "every_s": watch.period_s, "until": stamp(watch.until)}


def gate_document(gate: Gate) -> dict[str, Any]:
    """Return a gate with every number."""
    return {**to_plain(gate), "again_at": stamp(gate.again_at)}


def change_document(change: Change) -> dict[str, Any]:
    """Return one service of one store."""
    return {
        "store": change.store,
        "service": change.service,
        "account": change.account,
        "region": change.region,
        "cluster": change.cluster,
        "wave": change.wave,
        "stands": change.standing.value,
        "stage": change.stage.value,
        "verdict": change.verdict.value,
        "reason": change.reason,
        "since": stamp(change.since),
        "sent_at": stamp(change.sent_at),
        "away_since": stamp(change.away_since),
        "looked_at": stamp(change.looked_at),
        "previous": change.previous,
        "target": change.target,
        "content": change.content,
        "desired_count": change.desired_count,
        "previous_count": change.previous_count,
        "sends": change.sends,
        "pulls_failed": change.pulls_failed,
        "evidence": evidence_document(change),
    }


def evidence_document(change: Change) -> dict[str, Any]:
    """Return what the verdict rests on, and what the next send or undo of it has to know."""
    observed, next_send, undo = change.observed, change.next_send, change.undo
    document: dict[str, Any] = {
        "try": change.sent_at,
        "reason": observed.reason,
        "runs": observed.task_definition,
        "deployment": observed.deployment,
        "hosts": observed.hosts,
        "looked_at": observed.hosts_read_at,
        "tasks": observed.tasks,
        "deep_at": observed.tasks_read_at,
        "cause": observed.cause,
        "ok_at": change.ok_at,
        "settles_at": observed.settles_at,
        "pull_counted": observed.pull_counted,
        "restored": observed.restored,
        "before": next_send.deployment_before,
        "asked": next_send.overwrite,
        "refusals": next_send.refusals,
        "set_back": next_send.was_set_back,
        "ended": next_send.last_try,
        "put_off": next_send.postponed,
        "settled": undo.settled,
        "stays_back": undo.stays_back,
        "accepted": change.failure_accepted,
    }
    if observed.restarts.tried_at is not None:
        document["restarts"] = observed.restarts
    return {name: to_plain(value) for name, value in document.items()}


def event_document(event: RolloutEvent) -> dict[str, Any]:
    """Return one event."""
    return {
        "id": event.id,
        "at": stamp(event.at),
        "kind": event.kind.value,
        "store": event.store,
        "text": event.text,
        "data": _plain(event.data),
    }


def verb_document(verb: Verb) -> dict[str, Any]:
    """Return what was said, and what became of it."""
    return {
        "id": verb.id,
        "rollout": verb.rollout,
        "verb": verb.name.value,
        "stores": list(verb.stores),
        "by": verb.by,
        "at": stamp(verb.at),
        "why": verb.why,
        "answer": verb.answer,
    }


def _ticker(ticker: Ticker) -> dict[str, Any]:
    return {"lease": ticker.lease, "owner": ticker.owner, "until": stamp(ticker.until)}


def _plain(value: Any) -> Any:
    """Return values as JSON has words for them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, str | int | float | bool | None):
        return value
    return str(value)
