"""The result of a scan, compared with the scans before it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from fleet.model.drift import Finding, Returned, Spell, StoreState, Unread
from fleet.model.drift_settings import Ignore, Severity


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan as it was recorded.

    Attributes:
        id: as ``drift-7f3a``.
        selection: what was looked at, as typed; "" for the whole fleet.
        started_at: by AWS's clock, aware UTC.
        finished_at: None while it runs, and for ever when it was killed.
        states: by store id; stores that were not in scope are missing.
        calls: to AWS.
        throttled: of them.
        complete: whether everything was read.
    """

    id: str
    selection: str
    started_at: datetime
    finished_at: datetime | None
    states: Mapping[str, StoreState] = field(default_factory=dict)
    calls: int = 0
    throttled: int = 0
    complete: bool = True


@dataclass(frozen=True, slots=True)
class PastFinding:
    """A finding over time, as recorded: one row from when it was first seen until it was gone.

    Attributes:
        finding: as it was last seen.
        first_seen: in a scan.
        last_seen: likewise.
        resolved_at: the scan that no longer found it, though it had read what it rests on.
    """

    finding: Finding
    first_seen: datetime
    last_seen: datetime
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FindingChanges:
    """What one scan's findings change in those that are recorded; each key is in one part only.

    Attributes:
        at: when the scan compared, by AWS's clock, aware UTC.
        opened: found now, and not open before.
        kept: open before and found again: the row, and the finding as it is now.
        resolved: open before and gone, though what they rest on was read; ``resolved_at`` is set.
        not_verified: open before and not found, but what they rest on was not read: they stay open.
    """

    at: datetime
    opened: tuple[Finding, ...] = ()
    kept: tuple[tuple[PastFinding, Finding], ...] = ()
    resolved: tuple[PastFinding, ...] = ()
    not_verified: tuple[PastFinding, ...] = ()


class FindingChange(StrEnum):
    """A finding beside the last scan of the same scope."""

    NEW = "new"
    WORSE = "worse"
    BETTER = "better"
    SAME = "same"
    RESOLVED = "resolved"
    NOT_VERIFIED = "not-verified"


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """An open finding of a scan that no rule ignores.

    Attributes:
        change: NOT_VERIFIED where it was open and what it rests on could not be read.
        first_seen: in a scan; ``finding.since`` may be earlier.
        times: how often it began in the last seven days, this time included.
        owes: what its store still owes, in words; "".
        comes_first: whether it is listed before all others, as its kind says.
    """

    finding: Finding
    change: FindingChange
    first_seen: datetime
    times: int = 1
    owes: str = ""
    comes_first: bool = False

    @property
    def is_urgent(self) -> bool:
        """Return whether it is for somebody to do first: new or worse, or grave by itself."""
        news = self.change in {FindingChange.NEW, FindingChange.WORSE}
        least = Severity.LOW if news else Severity.MEDIUM
        return self.finding.severity.rank >= least.rank


@dataclass(frozen=True, slots=True)
class Totals:
    """Stores by what is known of them; they add up to ``open`` + ``not_counted``.

    Attributes:
        open: stores in scope that should be alive.
        verified: everything was read, and it is not dark.
        dark: read, and the store is dark.
        not_verified: something could not be read.
        not_counted: planned, paused or closed.
    """

    open: int
    verified: int
    dark: int
    not_verified: int
    not_counted: int
    dark_before: int | None = None


@dataclass(frozen=True, slots=True)
class ReleaseLine:
    """How far a workload's committed release has come.

    Attributes:
        on: stores that run it.
        of: stores that should.
        owed: stores that owe it.
        rollout: the latest of it, with its phase, as ``ro-118 HALTED 01:14Z``; "".
        unread: stores that should and whose services could not be read.
    """

    workload: str
    release: str
    on: int
    of: int
    owed: int
    rollout: str = ""
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Availability:
    """Share of a group's hosts that were connected, night by night.

    Attributes:
        kind: ``market``, ``hardware`` or ``link``.
        group: as ``uk``.
        stores: how many.
        nights: by the index of ``ScanResult.nights``; None where the group was not verified.
    """

    kind: str
    group: str
    stores: int
    nights: tuple[float | None, ...]

    @property
    def known(self) -> list[float]:
        """Return the shares of the nights in which it was verified."""
        return [share for share in self.nights if share is not None]


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What the page filters and labels stores by.

    Attributes:
        labels: ``market``, ``format`` and the like; ``link``, ``carrier``, ``account``, ``region``,
            ``ring`` and ``hardware`` (comma-separated) are among them.
    """

    id: str
    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What one scan found, compared with the scans before it.

    Attributes:
        fleet: name.
        scan: this one.
        caller: who we were at AWS; several are separated by commas.
        totals: stores.
        unread: comes first.
        findings: open ones, not ignored: NEW and WORSE first, then by severity.
        resolved: open in the last scan, gone now.
        ignored: with the rule that ignores it.
        expired: ignore rules that hold no longer.
        returned: stores that were dark and are back.
        releases: by workload.
        nights: scans of the whole scope, oldest first, one per night (the last of each), this one
            last; at most 30.
        spells: by (store, host), of hosts that were not connected all through the nights.
        availability: by group.
        stores: of the scope, in id order.
        notes: what else to know, as that history could not be written.
        recorded: whether the records could be read and written; where not, ``notes`` say what is
            lost by that.
        is_first: whether no recorded scan, of whatever part of the fleet, has looked at any of
            these stores before.
    """

    fleet: str
    scan: Scan
    caller: str
    totals: Totals
    unread: tuple[Unread, ...]
    findings: tuple[OpenFinding, ...]
    resolved: tuple[PastFinding, ...]
    ignored: tuple[tuple[Finding, Ignore], ...]
    expired: tuple[Ignore, ...]
    returned: tuple[Returned, ...]
    releases: tuple[ReleaseLine, ...]
    nights: tuple[Scan, ...]
    spells: Mapping[tuple[str, str], tuple[Spell, ...]]
    availability: tuple[Availability, ...]
    stores: tuple[StoreFacts, ...]
    notes: tuple[str, ...] = ()
    recorded: bool = True
    is_first: bool = False

    @property
    def is_complete(self) -> bool:
        """Return whether everything was read."""
        return self.scan.complete and not self.unread and not self.totals.not_verified

    @property
    def is_clean(self) -> bool:
        """Return whether everything was read and nothing needs anybody."""
        return not self.unread and not self.findings and not self.totals.dark
