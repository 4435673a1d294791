"""The settings of ``fleet drift``: severities, thresholds and ignored findings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters: info is told, low can wait, medium this week, high today."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """0 for info to 3 for high, to compare by."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """What the inventory says of drift (``drift:`` in fleet.yaml); all have defaults.

    Attributes:
        hold_s: a connection state counts once it has held so long. SSM pings every 5 minutes, and
            ECS agents reconnect several times an hour (ECS developer guide, external instances).
        look_again_s: seconds between the two looks at a host whose ECS agent is away.
        unsteady: outages within ``unsteady_days`` that make a link unsteady.
        keep_days: how long observations and findings are kept.
        activation_open_s: an unused activation older than that is left open.
        min_versions: ``ecs_agent``, ``ssm_agent``, ``docker`` -> least version.
        disk_free_mb: less on / of a host is low, where the hardware does not say.
        temperature_c: more is hot.
        clock_s: further off is wrong.
        restarts_per_day: a container that its agent starts again more often crashes in a loop.
        tier_share: share of the SSM standard tier's nodes from which its end is near.
        clusters: quota of clusters per region (ECS service quotas: 10,000, adjustable).
        revisions: quota of revisions per family (1,000,000).
        rollout_idle_s: a rollout that stands still for so long no longer silences what it holds.
        fail_on: findings of at least this severity make the exit code 3.
    """

    hold_s: float = 900.0
    look_again_s: float = 330.0
    unsteady: int = 3
    unsteady_days: int = 7
    keep_days: int = 90
    activation_open_s: float = 86_400.0
    min_versions: Mapping[str, str] = field(default_factory=dict)
    disk_free_mb: int = 2048
    temperature_c: float = 85.0
    clock_s: float = 300.0
    restarts_per_day: int = 3
    tier_share: float = 0.9
    clusters: int = 10_000
    revisions: int = 1_000_000
    rollout_idle_s: float = 86_400.0
    fail_on: Severity = Severity.LOW


@dataclass(frozen=True, slots=True)
class Ignore:
    """A finding that the team has decided to live with, for a while (``ignores.yaml``).

    Attributes:
        codes: codes it holds for; empty for all.
        stores: ids it holds for, resolved from a selection; None for all and for the fleet's own.
        hosts: host names; empty for all.
        subject: pattern with ``*`` and ``?``; "" for all.
        until: the first moment at which it holds no longer.
        reason: for people.
        source: ``file:line``.
    """

    codes: frozenset[str]
    stores: frozenset[str] | None
    hosts: frozenset[str]
    subject: str
    until: datetime
    reason: str
    source: str = ""
