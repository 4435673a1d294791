"""Recorded values: runs, audit, observations, leases and rollout summaries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from fleet.model.observed import CONNECTION_WORDS
from fleet.model.printable import many
from fleet.model.rollout import Phase
from fleet.model.verdicts import Verdict


class Ledger(StrEnum):
    """Who says something about a host.

    CONNECTION is what SSM and ECS said together once it had held, INSTANCE by which ids they knew
    the host: both are what a scan made of them. NOTIFY is about a channel in the place of a host:
    of which scan it was told.
    """

    HOST = "host"
    SSM = "ssm"
    ECS = "ecs"
    INVENTORY = "inventory"
    CONNECTION = "connection"
    INSTANCE = "instance"
    NOTIFY = "notify"


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

    @property
    def state(self) -> str:
        """Return the recorded state in words, or ""."""
        return str(self.value.get("state", ""))

    @property
    def agent_connected(self) -> bool | None:
        """Return whether ECS had the agent as connected; None for another ledger or no state."""
        if self.ledger is not Ledger.ECS:
            return None
        found = [is_ for is_, words in CONNECTION_WORDS.items() if self.state.endswith(words)]
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on something for a while, as its owner got it.

    Attributes:
        name: of what is worked on, as ``shard 111122223333/eu-west-1`` or ``controller``.
        owner: unique to a process, in words for a person.
        token: rises with every new owner, for ever; a write under an older one is refused.
        taken_at: since when the owner has it, by the database's clock.
        expires_at: when anybody may take it, likewise; renewing puts that off.
        ttl_s: seconds that it was taken for and that a renewal gives.
        state: plain values that travel with it from owner to owner, as call budgets.
    """

    name: str
    owner: str
    token: int
    taken_at: datetime
    expires_at: datetime
    ttl_s: float
    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ActiveRollout:
    """A rollout that is not finished, and when it last moved.

    Attributes:
        id: as ``ro-118``.
        workloads: those that it changes.
        why: the reason of its phase.
        stores: how many it holds.
        phase_at: since when it is in its phase.
        moved_at: of its latest tick; when it was started, before the first.
    """

    id: str
    phase: Phase
    workloads: tuple[str, ...]
    stores: int
    why: str
    phase_at: datetime
    moved_at: datetime


@dataclass(frozen=True, slots=True)
class RejectedRelease:
    """Content that the latest rollout of it sent and that did not stay.

    Attributes:
        phase: of the rollout; DONE for one that was recalled.
        failed: services that failed with it.
    """

    rollout: str
    phase: Phase
    why: str
    failed: int

    @property
    def words(self) -> str:
        """Return ``ro-2 has sent the same and was aborted, 3 services failed: aborted by ...``."""
        is_what = "is halted" if self.phase is Phase.HALTED else f"was {self.phase.value}"
        is_what = {Phase.ROLLING_BACK: "is rolled back", Phase.DONE: "was recalled"}.get(
            self.phase, is_what
        )
        failed = f", {many(self.failed, 'service')} failed" if self.failed else ""
        why = self.why.removeprefix("recalled: ")
        return f"{self.rollout} has sent the same and {is_what}{failed}" + (f": {why}" * bool(why))


@dataclass(frozen=True, slots=True)
class RolloutSummary:
    """One line of the history: a rollout without its stores.

    Attributes:
        id: as ``ro-118``.
        run: id of the run that started it; "" for one that was rebuilt from AWS.
        caller: ARN of who started it.
        workloads: those that it was asked for, changed or not.
        changed: those that it changes.
        stores: how many it changes.
        verdicts: its changes by verdict.
    """

    id: str
    run: str
    title: str
    release: str
    workloads: tuple[str, ...]
    caller: str
    started_at: datetime
    finished_at: datetime | None
    phase: Phase
    why: str
    stores: int
    verdicts: Mapping[Verdict, int]
    changed: tuple[str, ...] = ()
