"""Updates changes by what a tick has read of their stores, and reports new verdicts."""

from collections.abc import Mapping
from dataclasses import replace

from fleet.model.changes import CONVOY, Change
from fleet.model.copies import copied
from fleet.model.identity import TAG_CONTENT
from fleet.model.rollout import EventKind, Phase
from fleet.model.services import ServiceDeployment, ServiceState, StoreView, revision
from fleet.model.spans import span
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.change_facts import away_since, service_of
from fleet.rollout.decide.tick_state import TickState, is_parked, mark_sent
from fleet.rollout.decide.verdict import has_health_check, judge
from fleet.rollout.decide.watch import WatchSchedule, has_passed, is_only_watched, watch_schedule

#: Seconds between looks at a store that was set back, until it runs what it ran before.
UNDONE_LOOK_S = 30.0
#: Seconds until a store is read again that could not be, while a call to it is in doubt.
UNREAD_LOOK_S = 15.0
#: Seconds between asking a store that is away whether it is back.
RETURN_LOOK_S = 120.0
#: Seconds between looks at a store that is away at its turn, until it counts as dark.
AWAY_LOOK_S = 60.0


_NO_SCHEDULE = WatchSchedule({}, {}, {})


def observe(state: TickState, views: Mapping[str, StoreView]) -> tuple[str, ...]:
    """Judge the changes of stores that were read; returns stores whose tasks must be read too."""
    deeper: dict[str, None] = {}
    rows = (c for store in views for c in state.of_store(store))
    # With thousands of stores it takes long, and only earlier ones are read by it.
    schedule = watch_schedule(state) if any(has_passed(state, c) for c in rows) else _NO_SCHEDULE
    for store, view in views.items():
        if view.services is None and not view.problem:
            # It was read for the darkness test alone.
            continue
        for change in state.of_store(store):
            if change.stage is Stage.SENDING:
                change = _resolve(state, change, view)  # noqa: PLW2901 - the row as it is now
            if change.stage in {Stage.SENT, Stage.PLANNED}:
                if _judge(state, change, view, schedule):
                    deeper[store] = None
            elif change.stage is Stage.UNDONE:
                _see_undone(state, change, view)
    return tuple(deeper)


def _judge(state: TickState, change: Change, view: StoreView, schedule: WatchSchedule) -> bool:
    """Judge one change; returns whether more has to be read first."""
    spec = state.rollout.spec
    said = judge(
        change,
        view,
        spec.places[change.store],
        spec.policy,
        state.now,
        health_check=has_health_check(spec.task_definitions[change.content]),
        pull_s=spec.pull_s.get(f"{change.store}/{change.service}", 0.0),
        rollout=state.rollout.id,
    )
    if said.deeper and view.tasks is None:
        return True
    moved = said.changed(state.now)
    if change.stage is Stage.PLANNED:
        if view.problem and not is_parked(change) and _turn_has_come(state, change):
            _put_off(state, change, said.change.reason)
        else:
            _see_planned(state, change, moved, _newest(change, view))
        return False
    if _returns_late(state, change, moved):
        moved = replace(moved, wave=CONVOY)
    late = change.is_late or is_only_watched(state, change)
    is_late = late and moved.verdict is not Verdict.OK
    if is_late is not moved.is_late:
        moved = copied(moved, is_late=is_late)
    if is_only_watched(state, moved) and moved.verdict is Verdict.OK and moved.away_since is None:
        moved = copied(moved, look_at=schedule.next_look(change.store, state.now))
    state.put(moved)
    if moved.verdict is not change.verdict:
        tell_verdict(state, change, moved)
    return False


def _returns_late(state: TickState, before: Change, now: Change) -> bool:
    """Return whether a dark store is back after its wave has passed; the convoy judges it then."""
    passed = before.wave != CONVOY and before.wave < state.rollout.wave
    is_back = before.verdict is Verdict.DARK and now.verdict is not Verdict.DARK
    return passed and is_back and not before.was_applied


def _put_off(state: TickState, change: Change, why: str) -> None:
    """Postpone a store that cannot be read at its turn, so that others are sent to meanwhile."""
    reason = f"its turn is put off: {why}"
    if not change.next_send.postponed:
        state.say(EventKind.PROBLEM, reason, change.store)
    state.move(
        change,
        reason=reason,
        look_at=state.in_seconds(AWAY_LOOK_S),
        next_send=replace(change.next_send, postponed=True),
    )


def _newest(change: Change, view: StoreView) -> str:
    """Return the id of the newest deployment of the change's service; "" without any."""
    service = service_of(change, view)
    return service.deployments[0].id if service is not None and service.deployments else ""


def _see_planned(state: TickState, before: Change, now: Change, deployment: str) -> None:
    """Update a change that is not sent yet: its store is parked, is back, or stays as it was."""
    come = _turn_has_come(state, before)
    if now.verdict is Verdict.PARKED and come:
        state.put(replace(now, next_send=replace(now.next_send, postponed=False)))
        if before.verdict is not Verdict.PARKED:
            data = {"verdict": Verdict.PARKED.value, "service": now.service}
            state.say(EventKind.VERDICT, now.reason, now.store, data)
        return
    back = is_parked(before) and come and now.away_since is None
    # Before its turn a change keeps its reason; only what was seen of its hosts is updated.
    reason = "can be read again" if before.next_send.postponed else before.reason
    moved = state.move(
        before,
        verdict=Verdict.WAITING if back else before.verdict,
        reason="is back" if back else reason,
        away_since=now.away_since,
        looked_at=now.looked_at,
        look_at=None if now.away_since is None else state.in_seconds(AWAY_LOOK_S),
        observed=now.observed,
        next_send=replace(before.next_send, postponed=False, deployment_before=deployment),
    )
    if back:
        state.move(moved, wave=CONVOY)
        data = {"verdict": Verdict.WAITING.value, "service": before.service}
        state.say(EventKind.VERDICT, "is back and joins the convoy", before.store, data)


def _turn_has_come(state: TickState, change: Change) -> bool:
    return change.wave == CONVOY or change.wave <= state.rollout.wave


def _resolve(state: TickState, change: Change, view: StoreView) -> Change:
    """Find out from the service whether a call that was interrupted has gone out.

    Tags are set before the update, so they alone prove nothing. A service that runs what it ran
    before was not told, unless ECS has a newer deployment of it than was seen just before the
    call: then the breaker has restored it while nobody looked, and it is not sent again.
    """
    if view.problem or view.services is None:
        return state.move(change, look_at=state.in_seconds(UNREAD_LOOK_S))
    service = service_of(change, view)
    if service is None or service.status != "ACTIVE":
        return state.move(change, stage=Stage.PLANNED)
    if service.tags.get(TAG_CONTENT) != change.content:
        return state.move(change, stage=Stage.PLANNED)
    newest = service.deployments[0] if service.deployments else None
    target = service.task_definition
    sent_at = newest.created_at if newest is not None else None
    if target == change.previous:
        before = change.next_send.deployment_before
        record = next(
            (r for r in (view.deployments or {}).get(change.service, ()) if _is_other(r, change)),
            None,
        )
        restored = newest is not None and before is not None and newest.id != before
        if not restored or record is None:
            return state.move(change, stage=Stage.PLANNED)
        target, sent_at = record.task_definition, record.created_at
    return mark_sent(
        state,
        change,
        "sent before the run was cut off",
        target=target,
        sent_at=sent_at or view.at,
        look_at=state.now,
    )


def _is_other(record: ServiceDeployment, change: Change) -> bool:
    return record.task_definition not in {"", change.previous}


def _see_undone(state: TickState, change: Change, view: StoreView) -> None:
    """Update a change that was set back: does it run its previous revision, is its store back?"""
    if view.problem or view.services is None:
        given_up = _is_given_up(state, change)
        unread = f"set back, but it could not be read since: {view.problem}"
        state.move(
            change,
            reason=unread if given_up else change.reason,
            look_at=state.in_seconds(UNDONE_LOOK_S),
            undo=replace(change.undo, settled=True if given_up else change.undo.settled),
        )
        return
    place = state.rollout.spec.places[change.store]
    away = away_since(change, view, place)
    service = service_of(change, view)
    ill = _is_ill(state, change, service, view)
    runs_before = _runs_before(change, service)
    if not ill and not runs_before and _is_given_up(state, change):
        now = f"runs {revision(service.task_definition)}" if service is not None else "is gone"
        ill = f"set back, but its service {now}"
    settled = runs_before or away is not None or bool(ill)
    if ill and not change.undo.settled:
        state.say(EventKind.PROBLEM, ill, change.store)
    moved = state.move(
        change,
        reason=ill or change.reason,
        away_since=away,
        looked_at=view.at,
        look_at=state.in_seconds(UNDONE_LOOK_S if not settled else RETURN_LOOK_S),
        undo=replace(change.undo, settled=settled),
    )
    is_back = moved.verdict is Verdict.DARK and away is None and view.instances is not None
    if is_back and state.rollout.phase is Phase.RUNNING:
        state.move(
            moved,
            stage=Stage.PLANNED,
            verdict=Verdict.WAITING,
            reason="is back after having been set back",
            next_send=replace(moved.next_send, was_set_back=True),
            wave=CONVOY,
            look_at=None,
        )
        state.say(EventKind.VERDICT, "is back and joins the convoy", change.store)


def _is_ill(state: TickState, change: Change, service: ServiceState | None, view: StoreView) -> str:
    """Return why a store that was set back will not run its previous revision; "" while it may.

    A rollback does not wait for such a store, because the release is not the cause.
    """
    newest = service.deployments[0] if service is not None and service.deployments else None
    if newest is None or newest.task_definition != change.previous:
        return ""
    if newest.rollout_state == "FAILED":
        return "set back, but what ran before fails too: ECS gave its deployment up"
    made, limit = newest.created_at, state.rollout.spec.policy.deadline_s
    late = made is not None and (view.at - made).total_seconds() >= limit
    if newest.rollout_state == "COMPLETED" or not late:
        return ""
    return f"set back, but what ran before has not come up in {span(limit)}"


def _is_given_up(state: TickState, change: Change) -> bool:
    """Return whether a store has had all the time that a rollback waits for it."""
    policy, since = state.rollout.spec.policy, change.undo.since
    if since is None:
        return False
    return (state.now - since).total_seconds() >= policy.deadline_s + policy.patience_s


def _runs_before(change: Change, service: ServiceState | None) -> bool:
    if service is None or service.status == "INACTIVE":
        return not change.previous
    newest = service.deployments[0] if service.deployments else None
    return (
        service.task_definition == change.previous
        and newest is not None
        and newest.rollout_state == "COMPLETED"
    )


def tell_verdict(state: TickState, before: Change, now: Change) -> None:
    """Report a new verdict of a change that was sent."""
    late = before.verdict is Verdict.OK and now.verdict is Verdict.FAILED
    done, sent = state.judged(now.wave)
    state.say(
        EventKind.VERDICT,
        now.reason,
        now.store,
        {
            "service": now.service,
            "verdict": now.verdict.value,
            "late": late,
            "done": done,
            "of": sent,
        },
    )
