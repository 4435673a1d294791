"""One store, its hosts and what a finding means, told from the records alone."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from fleet.model.changes import Change
from fleet.model.drift import HostConnection, StoreState, Versions
from fleet.model.drift_settings import Ignore, Severity
from fleet.model.history import AuditEntry
from fleet.model.inventory import Host, Store
from fleet.model.rollout import Phase
from fleet.model.scan_result import PastFinding, Scan


@dataclass(frozen=True, slots=True)
class HostNow:
    """A host as scans last saw it.

    Attributes:
        connection: how it is connected; None where no scan was ever certain.
        since: when that began; None likewise.
        seen_at: when a scan was last certain of it.
        verified: whether that was the last scan of its store.
        managed_instance_id: as last seen; "" when never.
        container_instance_arn: likewise.
        versions: likewise.
        findings: open ones of it, and those of its store as a whole.
    """

    host: Host
    connection: HostConnection | None
    since: datetime | None
    seen_at: datetime | None
    verified: bool
    managed_instance_id: str = ""
    container_instance_arn: str = ""
    versions: Versions = field(default_factory=Versions)
    findings: tuple[PastFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class HostsNow:
    """Hosts of some stores.

    Attributes:
        scan: the last one that came to its end; None when there was none.
        hosts: in store and host order.
        unscanned: stores that no scan has looked at.
    """

    at: datetime
    scan: Scan | None
    hosts: tuple[HostNow, ...]
    unscanned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which a host was not connected in full.

    Attributes:
        host: name; "" for all hosts of the store at once.
        until: when it was seen back; None while it lasts, as far as is known.
        last_seen: when it was last seen to last.
    """

    host: str
    connection: HostConnection
    since: datetime
    until: datetime | None
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class StoreRollout:
    """What one rollout meant to do with a store.

    Attributes:
        changes: of this store, in service order.
    """

    id: str
    title: str
    phase: Phase
    started_at: datetime
    finished_at: datetime | None
    caller: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class StoreStory:
    """Everything that is recorded of one store.

    Attributes:
        at: when it is told.
        scan: the last one that looked at the store; None when none did.
        state: what that made of it.
        host: name of the one it is told of; "" for all.
        open: findings with the rule that ignores them, if one does; the gravest first.
        past: resolved ones, the latest first.
        outages: of the days looked at, the latest first.
        days: how many those are.
        owed: changes that finished rollouts are still owed, with their ids.
        rollouts: that touch it, newest first.
        audit: the latest changes, newest first.
    """

    store: Store
    at: datetime
    scan: Scan | None
    state: StoreState | None
    host: str
    hosts: tuple[HostNow, ...]
    open: tuple[tuple[PastFinding, Ignore | None], ...]
    past: tuple[PastFinding, ...]
    outages: tuple[Outage, ...]
    days: int
    owed: tuple[tuple[str, Change], ...]
    rollouts: tuple[StoreRollout, ...]
    audit: tuple[AuditEntry, ...]


@dataclass(frozen=True, slots=True)
class CodeStory:
    """What a kind of finding means, and where it is open.

    Attributes:
        safe: whether ``fleet drift --fix`` may do it by itself.
        scan: the last scan that came to its end; None when there was none.
        open: with the rule that ignores it, if one does; the oldest first.
    """

    code: str
    severity: Severity
    title: str
    meaning: str
    remedy: str
    safe: bool
    at: datetime
    scan: Scan | None
    open: tuple[tuple[PastFinding, Ignore | None], ...]


class MomentKind(StrEnum):
    """What happened at a moment of a store's history."""

    STATE = "state"
    OUTAGE = "outage"
    BACK = "back"
    FOUND = "found"
    RESOLVED = "resolved"
    ROLLOUT = "rollout"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a store's history.

    Attributes:
        host: name; "" for the store as a whole.
        words: what happened, in one line.
        source: what it is known from: a scan's, rollout's or run's id; "".
    """

    at: datetime
    kind: MomentKind
    host: str
    words: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class StoreHistory:
    """A store's history, oldest first.

    Attributes:
        since: from when on it is told.
        scans: how many looked at it since then.
        unfinished: how many more never came to their end.
    """

    store: Store
    at: datetime
    since: datetime
    scans: int
    unfinished: int
    scan: Scan | None
    moments: tuple[Moment, ...]
