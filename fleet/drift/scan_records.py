"""Reads what a scan needs from the records, and records the scan.

A database that is locked, full or damaged hides nothing of what was just read: the scan goes on
without it, and says so.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from fleet.drift.decide.recalls import watched_rollout
from fleet.drift.decide.scan_changes import Coverage, changes_of
from fleet.drift.decide.scan_result import NIGHTS
from fleet.errors import LeaseLost, RecordsError
from fleet.model.changes import Change
from fleet.model.desired import Release
from fleet.model.drift import Finding, HostMemory, Reconciled, Unread, Versions
from fleet.model.history import ActiveRollout, RejectedRelease, RolloutSummary
from fleet.model.observed import NotRead
from fleet.model.rollout import Hold
from fleet.model.scan_result import FindingChanges, PastFinding, Scan
from fleet.model.stop import Stop
from fleet.model.wanted import WatchedRollout
from fleet.rollout.decide.watch import LONGEST_WATCH
from fleet.runtime.lease import Held, held, owner_name
from fleet.runtime.wiring import Wiring

T = TypeVar("T")

#: What only one scan at a time may hold.
LEASE = "drift"
#: Seconds after which a scan that lives counts as stuck; one of 10,000 shops whose hosts are asked
#: takes an hour, and the next night must not find the lease held.
LONGEST_S = 4 * 3600.0
#: Days within which a finding that began again is told to be back.
AGAIN_DAYS = 7
#: Rollouts that are asked for, to say how far each workload's latest has come.
ROLLOUTS = 50
HostKey = tuple[str, str]


@contextmanager
def scan_lease(wiring: Wiring, notes: list[str]) -> Iterator[Held | None]:
    """Hold the lease of scans; where the records are away, go on without (None) and say so.

    Raises:
        Locked: another scan is under way; says whose and since when.
    """
    own = None
    with ExitStack() as stack:
        try:
            owner = owner_name("fleet drift")
            own = stack.enter_context(held(wiring.records, [LEASE], owner, stall_s=LONGEST_S))
        except RecordsError as error:
            notes.append(f"not held against a second scan at the same time: {error}")
        yield own


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded before this scan.

    Attributes:
        memory: of hosts, by (store, host).
        open: findings that are not resolved; None when they, or what they rest on in the records,
            could not be read.
        scans: of the nights that a report shows.
        began: by ``Finding.key``, how often each began in the last ``AGAIN_DAYS``.
        rollouts: the latest ones, newest first.
        owed: rollout ids and what they are owed.
        holds: what active rollouts have to themselves.
        active: those rollouts.
        stop: of every send, while it is in force.
        watched: rollouts that are done and whose stores are still watched.
    """

    memory: Mapping[HostKey, HostMemory] = field(default_factory=dict)
    open: tuple[PastFinding, ...] | None = None
    scans: tuple[Scan, ...] = ()
    began: Mapping[tuple[str, str, str, str, str, str], int] = field(default_factory=dict)
    rollouts: tuple[RolloutSummary, ...] = ()
    owed: tuple[tuple[str, Change], ...] = ()
    holds: tuple[Hold, ...] = ()
    active: tuple[ActiveRollout, ...] = ()
    stop: Stop | None = None
    watched: tuple[WatchedRollout, ...] = ()


class ScanJournal:
    """Reads and writes the records of one scan.

    Attributes:
        notes: what could not be read or written, in words for the report.
        failed: whether there was anything that could not.
    """

    def __init__(self, wiring: Wiring, notes: list[str], own: Held | None = None) -> None:
        self.notes = notes
        self.failed = False
        self._wiring = wiring
        self._own = own
        self._run = ""

    def begin_run(self, caller: str, command: str, at: datetime) -> str:
        """Record that a run begins; return the id of it and of the scan."""
        records = self._wiring.records
        made = self._try(
            "this run is not recorded",
            lambda: records.start_run("drift", caller_arn=caller, command=command, at=at),
        )
        self._run = made or ""
        return self._run or f"drift-{secrets.token_hex(2)}"

    def begin_scan(self, scan: Scan) -> None:
        """Record that the scan is under way, so that a killed one can be told from none."""
        self._try("the scan is not recorded", lambda: self._wiring.records.scans.begin(scan))

    def end_run(self, outcome: str, at: datetime) -> None:
        """Record how the run ended."""
        if self._run:
            run, records = self._run, self._wiring.records
            self._try(
                "the end of the run is not recorded",
                lambda: records.finish_run(run, outcome=outcome, at=at),
            )

    def rejected(self, release: Release | NotRead) -> Mapping[str, RejectedRelease]:
        """Return by content of this release which rollout sent it last and was rejected."""
        if isinstance(release, NotRead):
            return {}
        contents = {service.content for service in release.services}
        found = self._try(
            "which releases were halted or taken back is not known",
            lambda: self._wiring.records.rollouts.rejected(contents),
        )
        return found or {}

    def recorded(self, store_ids: Sequence[str], *, whole: bool, at: datetime) -> Recorded:
        """Return what was recorded before this scan."""
        records = self._wiring.records
        scans = records.scans
        of = self._wiring.fleet.drift
        days = timedelta(days=max(NIGHTS, of.unsteady_days))
        again = timedelta(days=AGAIN_DAYS)
        memory = self._try(
            "hosts are judged without what was seen of them before",
            lambda: scans.memory(store_ids, at - days),
        )
        open_ = self._try(
            "what is new since the last scan is not known",
            lambda: scans.open(None if whole else store_ids),
        )
        owed = self._try("what stores still owe is not known", records.rollouts.owed)
        holds = self._try("which rollouts are under way is not known", records.rollouts.holds)
        active = self._try("which rollouts stand still is not known", records.rollouts.under_way)
        watched = self._try(
            "which releases are still watched is not known", lambda: _watched(self._wiring, at)
        )
        # What was found rested on these; without them it would be called gone, or something else.
        comparable = None not in (memory, owed, holds, active, watched)
        return Recorded(
            memory=memory or {},
            open=open_ if comparable else None,
            scans=self._try("earlier nights are not shown", lambda: scans.since(at - days)) or (),
            began=self._try("", lambda: scans.began_since(at - again)) or {},
            rollouts=self._try("", lambda: records.rollouts.history(ROLLOUTS)) or (),
            owed=owed or (),
            holds=holds or (),
            active=active or (),
            stop=self._try("whether all sending is stopped is not known", records.stops.in_force),
            watched=watched or (),
        )

    def write(
        self,
        scan: Scan,
        changes: FindingChanges,
        reconciled: Reconciled,
        ids: Mapping[HostKey, tuple[str, str]],
        versions: Mapping[HostKey, Versions],
    ) -> None:
        """Write what was found in one transaction; then drop what is older than is kept.

        A process that slept while another scan took over writes nothing: what it read is older.
        """
        scans = self._wiring.records.scans
        spells, at = reconciled.connections, changes.at

        def commit() -> bool:
            lease = self._own.lease(LEASE) if self._own else None
            scans.write(scan, changes, spells, ids, at, versions=versions, lease=lease)
            return True

        kept = self._try(
            "this scan is not recorded, so that the next one compares with the one before",
            commit,
        )
        if kept:
            before = at - timedelta(days=self._wiring.fleet.drift.keep_days)
            self._try("what is older than is kept was not dropped", lambda: scans.prune(before))

    def _try(self, lost: str, work: Callable[[], T]) -> T | None:
        """Do it; where the records are away, note what is lost by that ("" for no note)."""
        try:
            return work()
        except (RecordsError, LeaseLost) as error:
            self.failed = True
            if lost:
                self.notes.append(f"{lost}: {error}")
            return None


def _watched(wiring: Wiring, now: datetime) -> tuple[WatchedRollout, ...]:
    """Read the rollouts that are done and whose stores are still watched."""
    rollouts = wiring.records.rollouts
    found = (
        watched_rollout(rollouts.load(id_), rollouts.changes(id_), rollouts.sent_after(id_), now)
        for id_ in rollouts.done_since(now - LONGEST_WATCH)
    )
    return tuple(one for one in found if one is not None)


def first_seen(recorded: Recorded) -> dict[tuple[str, ...], datetime]:
    """Return by ``Finding.key`` since when each open finding is known to have been so."""
    return {row.finding.key: min(row.finding.since, row.first_seen) for row in recorded.open or ()}


def compare_with_recorded(
    found: Sequence[Finding],
    recorded: Recorded,
    unread: Sequence[Unread],
    coverage: Coverage,
    at: datetime,
) -> FindingChanges:
    """Return what the findings of a scan change in those that are recorded.

    Without the records nothing is called new or gone: that would be a guess.
    """
    if recorded.open is None:
        kept = tuple((PastFinding(one, one.since, at), one) for one in found)
        return FindingChanges(at, kept=kept)
    return changes_of(found, recorded.open, unread, coverage, at)
