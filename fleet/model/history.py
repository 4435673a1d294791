"""What was recorded: runs, what they changed, and what was seen of hosts over time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Ledger(StrEnum):
    """Who says something about a host."""

    HOST = "host"
    SSM = "ssm"
    ECS = "ecs"
    INVENTORY = "inventory"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command that may change something.

    Attributes:
        id: short and unique, as ``reg-7f3a``.
        kind: as ``register``.
        caller_arn: who it ran as at AWS; several are separated by commas.
        command: as typed.
        started_at: aware UTC.
        finished_at: None while it runs, and for ever when it was killed.
        outcome: one word; "" until it has finished.
    """

    id: str
    kind: str
    caller_arn: str
    command: str
    started_at: datetime
    finished_at: datetime | None = None
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change: who, when, what, why, in which run.

    Attributes:
        action: as ``ssm:CreateActivation`` or ``install``.
        store: id of the store; "" when it concerns none.
        host: name of the host in it; "" when it concerns the store.
        detail: ids and values that name what was changed; never a secret.
    """

    run_id: str
    at: datetime
    caller_arn: str
    action: str
    store: str
    host: str
    why: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Observation:
    """What a ledger said of a host for a stretch of time.

    Attributes:
        store: id of the store.
        host: name of the host; "" for the store itself.
        first_seen: when the ledger first said this, aware UTC.
        last_seen: when it last did.
    """

    store: str
    host: str
    ledger: Ledger
    value: Mapping[str, Any]
    first_seen: datetime
    last_seen: datetime
