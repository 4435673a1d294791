"""Turns what was read of alarms and checks into readings, which are kept with the rollout."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from fleet.model.policy import MetricBaseline, PolicyCheck
from fleet.model.signals import (
    AlarmValue,
    Alert,
    ProbeRequest,
    SignalReading,
    SignalReadings,
    SignalsSeen,
)
from fleet.rollout.decide.signal_reads import (
    Shard,
    SignalQuestions,
    alarm_names,
    probes_of,
    reading_of,
    stores_to_ask,
    stores_with_alarms,
    value_key,
)
from fleet.rollout.decide.tick_state import TickState

NO_ALARM = "CloudWatch has no alarm of this name"
NO_VALUES = "no store has a value and a usual one to compare it with"
LOST = "the account and region could not be worked with"


def note_signals(
    state: TickState,
    asked: SignalQuestions,
    seen: Mapping[Shard, SignalsSeen],
    probed: Mapping[ProbeRequest, str],
) -> None:
    """Keep what was read with the rollout.

    Args:
        seen: by account and region; one that is missing could not be worked with.
        probed: what is wrong with each URL that was asked in time, "" where nothing is.
    """
    before = state.rollout.signals
    whole = {
        shard: seen.get(shard) or SignalsSeen(alarms_unread=LOST, metrics_unread=LOST)
        for shard in asked.by_shard
    }
    alarms = tuple(
        _alarm_reading(state, reading_of(before.alarms, name), asked, whole)
        for name in asked.alarms
    )
    names = {check.name for check in asked.checks}
    checks = (
        *(one for one in before.checks if one.name not in names),
        *(
            _check_reading(state, check, reading_of(before.checks, check.name), whole, probed)
            for check in asked.checks
        ),
    )
    readings = SignalReadings(state.now, alarms, tuple(checks))
    state.rollout = replace(state.rollout, signals=readings)


def _alarm_reading(
    state: TickState,
    before: SignalReading,
    asked: SignalQuestions,
    seen: Mapping[Shard, SignalsSeen],
) -> SignalReading:
    spec = state.rollout.spec
    named = list(alarm_names(spec.places, before.name, stores_with_alarms(state)))
    alerts: list[Alert] = []
    of = no_data = 0
    have: set[str] = set()
    for shard, name, store in named:
        alarm = seen[shard].alarms.get(name)
        if alarm is None:
            continue
        of += 1
        have.add(store)
        no_data += alarm.value is AlarmValue.INSUFFICIENT_DATA
        if alarm.value is AlarmValue.ALARM:
            since = min(state.now, alarm.changed_at or state.now)
            where = f" in {shard[1]}" if not store and len(asked.by_shard) > 1 else ""
            alert = Alert(name + where, store, since, state.now, alarm.reason, alarm.changed_at)
            alerts.append(_seen_before(before, alert))
    missing = len({store for _, _, store in named} - have)
    troubles = [seen[shard].alarms_unread for shard, _, _ in named]
    unread = next(filter(None, troubles), "") or ("" if of else NO_ALARM)
    return _reading(state, before, alerts, unread, of=of, no_data=no_data, missing=missing)


def _check_reading(
    state: TickState,
    check: PolicyCheck,
    before: SignalReading,
    seen: Mapping[Shard, SignalsSeen],
    probed: Mapping[ProbeRequest, str],
) -> SignalReading:
    stores = stores_to_ask(state, check)
    if not stores:
        return SignalReading(before.name, state.now)
    if check.http is not None:
        requests = list(probes_of(state.rollout.spec.places, before.name, check.http, stores))
        return _probe_reading(state, before, requests, probed)
    if check.metric is not None:
        return _metric_reading(state, check.metric, before, stores, seen)
    return before


def _probe_reading(
    state: TickState,
    before: SignalReading,
    requests: Sequence[ProbeRequest],
    probed: Mapping[ProbeRequest, str],
) -> SignalReading:
    alerts: list[Alert] = []
    no_data = 0
    for request in requests:
        words = probed.get(request)
        if words is None:
            no_data += 1
        elif words:
            alert = Alert("", request.store, state.now, state.now, words)
            alerts.append(_seen_before(before, alert))
    unread = "no URL could be asked in time" if no_data == len(requests) else ""
    return _reading(state, before, alerts, unread, of=len(requests), no_data=no_data)


def _metric_reading(
    state: TickState,
    metric: MetricBaseline,
    before: SignalReading,
    stores: Sequence[str],
    seen: Mapping[Shard, SignalsSeen],
) -> SignalReading:
    alerts: list[Alert] = []
    no_data = 0
    troubles: list[str] = []
    for store in stores:
        place = state.rollout.spec.places[store]
        answer = seen[place.account, place.region]
        troubles.append(answer.metrics_unread)
        values = [
            answer.metrics.get(value_key(before.name, store, week))
            for week in range(metric.weeks + 1)
        ]
        now, usual = values[0], usual_of(values[1:])
        if now is None or usual is None:
            no_data += 1
        elif _is_out(metric, now, usual):
            words = f"{now:g} (usual {usual:g})"
            alert = Alert("", store, state.now, state.now, words)
            alerts.append(_seen_before(before, alert))
    unread = next(filter(None, troubles), "") or (NO_VALUES if no_data == len(stores) else "")
    return _reading(state, before, alerts, unread, of=len(stores), no_data=no_data)


def usual_of(values: Sequence[float | None]) -> float | None:
    """Return the median of the weeks before; None where fewer than half of them have a value."""
    known = [value for value in values if value is not None]
    return median(known) if known and 2 * len(known) >= len(values) else None


def _is_out(metric: MetricBaseline, now: float, usual: float) -> bool:
    high = metric.at_most is not None and now > float(metric.at_most) * usual
    low = metric.at_least is not None and now < float(metric.at_least) * usual
    return high or low


def _seen_before(before: SignalReading, alert: Alert) -> Alert:
    """Return an alert with the time at which it was first read, unless it began anew."""
    for known in before.alerts:
        same = (known.name, known.store) == (alert.name, alert.store)
        if same and known.changed_at == alert.changed_at:
            return replace(alert, since=known.since, seen_at=known.seen_at)
    return alert


def _reading(
    state: TickState,
    before: SignalReading,
    alerts: Sequence[Alert],
    unread: str,
    *,
    of: int,
    no_data: int,
    missing: int = 0,
) -> SignalReading:
    """Return a new reading; of one that failed, what it found beside what was known."""
    if not unread:
        return SignalReading(before.name, state.now, of, tuple(alerts), no_data, missing)
    found = {(a.name, a.store) for a in alerts}
    kept = [a for a in before.alerts if (a.name, a.store) not in found]
    return replace(
        before,
        of=max(of, before.of),
        alerts=(*alerts, *kept),
        missing=missing,
        unread=unread,
        unread_since=before.unread_since or state.now,
    )
