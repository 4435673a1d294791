"""Signals from outside a rollout: CloudWatch alarms, HTTP probes and metrics, as last read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

#: Values of a metric with the begins of their periods, in the order of time.
MetricSeries = tuple[tuple[datetime, float], ...]


class AlarmValue(StrEnum):
    """The state of a CloudWatch alarm."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


@dataclass(frozen=True, slots=True)
class AlarmState:
    """One alarm as CloudWatch shows it.

    Attributes:
        reason: CloudWatch's words for the state.
        changed_at: when it came into the state; None where CloudWatch does not say.
    """

    name: str
    value: AlarmValue
    reason: str = ""
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """One value of one metric: a statistic over one period.

    Attributes:
        key: by which its value is found in the answer.
        statistic: as CloudWatch names it: ``Average``, ``Sum``, ``p90``.
        begins: of the period, aligned to it.
    """

    key: str
    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    period_s: int
    begins: datetime


@dataclass(frozen=True, slots=True)
class SignalsRead:
    """Says which alarms and metrics of an account and region to read.

    Attributes:
        alarms: names.
        series: metrics of which every value is read, from ``begins`` on.
        series_end: until when.
    """

    alarms: tuple[str, ...] = ()
    metrics: tuple[MetricQuery, ...] = ()
    series: tuple[MetricQuery, ...] = ()
    series_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignalsSeen:
    """Holds what an account and region answered.

    Attributes:
        alarms: by name, of those that exist.
        metrics: values by key, of those with data.
        alarms_unread: why alarms could not be read; "" when they could.
        metrics_unread: likewise for metrics.
        series: values by key, each with the begin of its period, in the order of time.
        series_unread: likewise for them.
    """

    alarms: Mapping[str, AlarmState] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    alarms_unread: str = ""
    metrics_unread: str = ""
    series: Mapping[str, MetricSeries] = field(default_factory=dict)
    series_unread: str = ""


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """One URL to be asked.

    Attributes:
        check: name of the check that it is for.
        store: id; "" for a URL that is the same for all stores.
        status: the HTTP status that is expected.
    """

    check: str
    store: str
    url: str
    status: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Alert:
    """An alarm that fires, or a store of which a check is out of its limit.

    Attributes:
        name: of the alarm; "" for a check.
        store: id; "" for an alarm or a URL that is the same for all stores.
        since: when it began, as far as CloudWatch says; else when it was first read so.
        seen_at: when it was first read so; a person who answers later knows of it.
        words: what was read, for people.
        changed_at: CloudWatch's time of it; another one means that it began anew.
    """

    name: str
    store: str
    since: datetime
    seen_at: datetime
    words: str = ""
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignalReading:
    """An alarm of the policy, for all the names that it stands for, or a check, as last read.

    Attributes:
        name: as the policy has it.
        at: when it was last read; None when it never was.
        of: alarms that exist, or stores that were asked.
        alerts: those that fire, or are out of their limit.
        no_data: alarms in INSUFFICIENT_DATA, or stores without a value to compare.
        missing: stores whose alarm does not exist; for an alarm of all stores 1.
        unread: why the latest try failed; "" when it did not.
        unread_since: when that was noticed first.
    """

    name: str
    at: datetime | None = None
    of: int = 0
    alerts: tuple[Alert, ...] = ()
    no_data: int = 0
    missing: int = 0
    unread: str = ""
    unread_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignalReadings:
    """Holds the latest readings of a rollout.

    Attributes:
        tried_at: when they were last tried to be read.
    """

    tried_at: datetime | None = None
    alarms: tuple[SignalReading, ...] = ()
    checks: tuple[SignalReading, ...] = ()

    def unanswered(self, answered_at: datetime | None) -> tuple[str, ...]:
        """Return in words what fires, is out of its limit or is unread and nobody accepted yet.

        Args:
            answered_at: when a person last let the rollout go on, which accepts what was known.
        """
        found: list[str] = []
        for kind, readings in (("alarm ", self.alarms), ("", self.checks)):
            for reading in readings:
                found += [
                    f"{kind}{alert.name or ' '.join(filter(None, (reading.name, alert.store)))}"
                    for alert in reading.alerts
                    if answered_at is None or alert.seen_at >= answered_at
                ]
                since = reading.unread_since if reading.unread else None
                if since is not None and (answered_at is None or since >= answered_at):
                    found.append(f"{kind}{reading.name} unread")
        return tuple(found)
