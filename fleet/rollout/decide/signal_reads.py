"""Says which alarms and checks a tick reads, and when the next tick does."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from fleet.model.policy import HttpProbe, MetricBaseline, Policy, PolicyCheck
from fleet.model.rollout import Phase, Place
from fleet.model.signals import (
    MetricQuery,
    ProbeRequest,
    SignalReading,
    SignalsRead,
)
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.tick_state import TickState, is_sent
from fleet.rollout.decide.watch import is_watched_after

#: Readings in the time for which one counts; a single one that fails then asks nobody.
PER_FRESH = 5
#: Seconds after its end at which a period is taken to be whole in CloudWatch; an assumption.
PUBLISHED_S = 120.0
#: Most stores whose URL is asked in a tick: those of the present wave, then the latest.
MOST_ASKED = 400
Shard = tuple[str, str]


@dataclass(frozen=True, slots=True)
class SignalQuestions:
    """What a tick reads of alarms and checks.

    Attributes:
        by_shard: alarms and metrics by account and region.
        probes: URLs to ask.
        alarms: names as in the policy, for all of which it is asked.
        checks: that are read; a metric is read once a period.
    """

    by_shard: Mapping[Shard, SignalsRead]
    probes: tuple[ProbeRequest, ...]
    alarms: tuple[str, ...]
    checks: tuple[PolicyCheck, ...]


def has_signals(state: TickState) -> bool:
    """Return whether the policy names alarms or checks."""
    policy = state.rollout.spec.policy
    return bool(policy.alarms or policy.checks)


def are_read(state: TickState) -> bool:
    """Return whether alarms and checks are read: it runs, or its stores are watched still."""
    runs = state.rollout.phase is Phase.RUNNING
    return has_signals(state) and (runs or is_watched_after(state))


def every(policy: Policy) -> timedelta:
    """Return the time between two readings."""
    return timedelta(seconds=policy.fresh_s / PER_FRESH)


def _between(state: TickState) -> timedelta:
    """Return the time between two readings: that of earlier stores once the rollout is done."""
    policy = state.rollout.spec.policy
    return timedelta(seconds=policy.watch_every_s) if is_watched_after(state) else every(policy)


def is_stale(state: TickState, reading: SignalReading) -> bool:
    """Return whether a reading that failed, or that nobody repeated, counts no more."""
    if reading.at is None:
        return bool(reading.unread)
    if state.rollout.phase is not Phase.RUNNING:
        return False
    policy = state.rollout.spec.policy
    since, limit = reading.at, policy.fresh_s
    metric = next((c.metric for c in policy.checks if c.name == reading.name), None)
    if metric is not None:
        # It is read once a period, so that its age alone says little of a failure.
        since = reading.unread_since or since
        limit += 0 if reading.unread else metric.period_s + PUBLISHED_S
    return (state.now - since).total_seconds() > limit


def read_again_at(state: TickState) -> datetime | None:
    """Return when alarms and checks are to be read next; None while nothing was sent."""
    if not are_read(state):
        return None
    tried_at = state.rollout.signals.tried_at
    if tried_at is None:
        return None
    return tried_at + _between(state)


def signals_to_read(state: TickState, to_send: Sequence[str]) -> SignalQuestions | None:
    """Return what to read of alarms and checks now; None when it was read lately or need not be.

    Args:
        to_send: stores that may be sent the release in this tick: before the first of all, alarms
            are read.
    """
    if not are_read(state):
        return None
    if not to_send and not any(map(is_sent, state.changes)):
        return None
    if not _is_due(state):
        return None
    spec = state.rollout.spec
    policy = spec.policy
    watched = stores_with_alarms(state)
    checks = tuple(check for check in policy.checks if _is_check_due(state, check))
    alarms: dict[Shard, list[str]] = {}
    metrics: dict[Shard, list[MetricQuery]] = {}
    probes: list[ProbeRequest] = []
    for pattern in policy.alarms:
        for shard, name, _ in alarm_names(spec.places, pattern, watched):
            alarms.setdefault(shard, []).append(name)
    for check in checks:
        stores = stores_to_ask(state, check)
        if check.http is not None:
            probes += probes_of(spec.places, check.name, check.http, stores)
        elif check.metric is not None:
            places = [spec.places[store] for store in stores]
            for shard, query in _queries(check.name, check.metric, places, state.now):
                metrics.setdefault(shard, []).append(query)
    shards = dict.fromkeys([*alarms, *metrics])
    by_shard = {
        shard: SignalsRead(
            tuple(dict.fromkeys(alarms.get(shard, ()))), tuple(metrics.get(shard, ()))
        )
        for shard in shards
    }
    return SignalQuestions(by_shard, tuple(probes), policy.alarms, checks)


def stores_with_alarms(state: TickState) -> list[str]:
    """Return the stores whose alarms are read: those that were sent the release.

    Before the first send they are those of the first wave, of which one may fire already.
    """
    return state.stores(c for c in state.changes if is_sent(c)) or state.stores(state.current)


def _is_due(state: TickState) -> bool:
    rollout, tried_at = state.rollout, state.rollout.signals.tried_at
    if tried_at is None:
        return True
    events = (rollout.baking_since, rollout.answered_at)
    if any(at is not None and tried_at < at for at in events):
        return True
    policy = rollout.spec.policy
    if any(
        c.metric and _period(c.metric, tried_at) != _period(c.metric, state.now)
        for c in policy.checks
    ):
        return True
    return state.now - tried_at >= _between(state)


def _is_check_due(state: TickState, check: PolicyCheck) -> bool:
    """Return whether a check is read: of a metric once in each of its periods, unless it failed."""
    if check.metric is None:
        return True
    reading = reading_of(state.rollout.signals.checks, check.name)
    if reading.at is None or reading.unread:
        return True
    return _period(check.metric, reading.at) != _period(check.metric, state.now)


def reading_of(readings: Iterable[SignalReading], name: str) -> SignalReading:
    """Return the reading of an alarm or check; one that says nothing if there is none."""
    return next((one for one in readings if one.name == name), SignalReading(name))


def stores_to_ask(state: TickState, check: PolicyCheck) -> list[str]:
    """Return the stores that are ok and connected, of all waves that were sent.

    Of a metric those that have run the release for the whole latest period.
    """
    good: dict[str, tuple[bool, datetime]] = {}
    others: set[str] = set()
    for change in state.changes:
        if not is_sent(change):
            continue
        is_good = change.stage is Stage.SENT and change.verdict is Verdict.OK
        if not is_good or change.away_since is not None or change.ok_at is None:
            others.add(change.store)
            continue
        is_now, ok_at = good.get(change.store, (False, change.ok_at))
        is_now = is_now or change.wave == state.rollout.wave
        good[change.store] = is_now, max(ok_at, change.ok_at)
    for store in others:
        good.pop(store, None)
    if check.metric is not None:
        begins = _period(check.metric, state.now)
        return [store for store, (_, ok_at) in good.items() if ok_at <= begins]
    if check.http is not None and "{store}" not in check.http.url:
        return list(good)[:1]
    order = sorted(good, key=lambda s: (not good[s][0], -good[s][1].timestamp(), s))
    return order[:MOST_ASKED]


def alarm_names(
    places: Mapping[str, Place], pattern: str, stores: Iterable[str]
) -> Iterable[tuple[Shard, str, str]]:
    """Yield account and region, name and store of every alarm that a pattern stands for.

    An alarm of all stores is looked for in every account and region, and need be in one only.
    """
    if "{store}" in pattern:
        for store in stores:
            place = places[store]
            name = pattern.replace("{store}", store).replace("{region}", place.region)
            yield (place.account, place.region), name, store
        return
    for shard in dict.fromkeys((p.account, p.region) for p in places.values()):
        yield shard, pattern.replace("{region}", shard[1]), ""


def probes_of(
    places: Mapping[str, Place], name: str, http: HttpProbe, stores: Iterable[str]
) -> Iterable[ProbeRequest]:
    """Yield the URL of each store; one for a URL that is the same for all."""
    of_all = "{store}" not in http.url
    for store in stores:
        url = http.url.replace("{store}", store).replace("{region}", places[store].region)
        yield ProbeRequest(name, "" if of_all else store, url, http.status, http.timeout_s)


def _period(metric: MetricBaseline, now: datetime) -> datetime:
    """Return the begin of the latest period that is whole."""
    period = metric.period_s
    ends = math.floor((now.timestamp() - PUBLISHED_S) / period) * period
    return datetime.fromtimestamp(ends - period, UTC)


def first_period_read_at(metric: MetricBaseline, ok_at: datetime) -> datetime:
    """Return when the first whole period after a store was ok can be read."""
    period = metric.period_s
    begins = math.ceil(ok_at.timestamp() / period) * period
    return datetime.fromtimestamp(begins + period + PUBLISHED_S, UTC)


def _queries(
    name: str, metric: MetricBaseline, places: Iterable[Place], now: datetime
) -> Iterable[tuple[Shard, MetricQuery]]:
    """Yield the value of the latest period, and of the same one of each week before.

    The same one is so by the store's clock, whatever became of daylight saving time.
    """
    latest = _period(metric, now)
    begins: dict[str, list[datetime]] = {}
    for place in places:
        if place.time_zone not in begins:
            here = latest.astimezone(ZoneInfo(place.time_zone))
            weeks = (here - timedelta(weeks=week) for week in range(metric.weeks + 1))
            begins[place.time_zone] = [then.astimezone(UTC) for then in weeks]
        dimensions = tuple(
            (key, value.replace("{store}", place.store).replace("{region}", place.region))
            for key, value in metric.dimensions
        )
        for week, then in enumerate(begins[place.time_zone]):
            query = MetricQuery(
                key=value_key(name, place.store, week),
                namespace=metric.namespace,
                metric=metric.metric,
                dimensions=dimensions,
                statistic=metric.statistic,
                period_s=int(metric.period_s),
                begins=then,
            )
            yield (place.account, place.region), query


def value_key(check: str, store: str, week: int) -> str:
    """Return the key of a value so many weeks ago; 0 is the latest."""
    return f"{check}\n{store}\n{week}"
