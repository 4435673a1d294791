"""What is known of stores and hosts now, ledger by ledger, each with its age."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fleet.model.commands import Command
from fleet.model.inventory import Host, Store


class Freshness(StrEnum):
    """Where a view comes from: read just now, remembered from an earlier run, or not at all."""

    LIVE = "live"
    RECORDED = "recorded"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LedgerView:
    """What one ledger says about one host.

    Attributes:
        state: short words, as ``Online`` or ``ACTIVE, connected``.
        as_of: when the ledger's fact was true: for SSM the last ping, for ECS AWS's time of the
            reading, for the host the last time we were on it. None when never.
        freshness: whether it was read now.
        why_not: why it was not read now; "" when it was.
    """

    state: str
    as_of: datetime | None
    freshness: Freshness
    why_not: str = ""


class Health(StrEnum):
    """One word for a host, from the 2x2 of SSM's ping and ECS's agentConnected."""

    HEALTHY = "healthy"
    ECS_DOWN = "ecs-down"
    SSM_DOWN = "ssm-down"
    DARK = "dark"
    POWERED_OFF = "powered-off"
    PARTIAL = "partial"
    ABSENT = "absent"
    TWINS = "twins"
    DRAINING = "draining"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One host in its ledgers.

    Attributes:
        health: one word.
        reason: why that word, in one sentence.
        fix: what to do next; "" when there is nothing to do.
        commands: those in ``fix``.
    """

    host: Host
    ssm: LedgerView
    ecs: LedgerView
    on_host: LedgerView
    health: Health
    reason: str
    fix: str = ""
    commands: tuple[Command, ...] = ()
    managed_instance_id: str = ""
    container_instance_arn: str = ""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """One store.

    Attributes:
        cluster: what ECS says of its cluster, as ``ACTIVE``.
        unread: what could not be read for it and why; comes before everything else on a screen.
    """

    store: Store
    cluster: LedgerView
    hosts: tuple[HostStatus, ...]
    unread: tuple[str, ...] = ()
