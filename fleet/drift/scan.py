"""Scans the fleet: reads ECS and SSM, compares with the inventory and with the last scan.

Nothing is changed at AWS. What cannot be read is in the result and comes first there; nothing is
raised for it, so that one region's failure hides no other.
"""

import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fleet.aws.interning import Interner
from fleet.aws.session import Shard
from fleet.drift.decide.host_ids import ids_of, online_nodes, versions_of, with_probes
from fleet.drift.decide.reconcile import reconcile
from fleet.drift.decide.scan_calls import (
    ShardSize,
    is_narrow,
    known_nodes,
    least_calls,
    least_seconds,
)
from fleet.drift.decide.scan_changes import (
    Coverage,
    answered,
    known_to_both,
    switched_off,
    unsettled,
)
from fleet.drift.decide.scan_result import last_full_scan_at, scan_result_of
from fleet.drift.decide.service_case import deadlines
from fleet.drift.decide.wanted import idle_rollouts, waiting_rollouts, wanted_of
from fleet.drift.scan_records import (
    Recorded,
    ScanJournal,
    compare_with_recorded,
    first_seen,
    scan_lease,
)
from fleet.drift.scan_revisions import Revisions, read_revisions, with_unread
from fleet.drift.scan_shard import ShardQuestion, read_shard, unread_shard
from fleet.errors import AwsError, FleetError, Interrupted, InventoryError
from fleet.model.desired import Release
from fleet.model.drift import Background, ShardSeen
from fleet.model.inventory import Account, Lifecycle, Store
from fleet.model.observed import Caller, NotRead, Reading
from fleet.model.progress import Note
from fleet.model.rates import DEFAULT_SHARE
from fleet.model.scan_result import Scan, ScanResult
from fleet.model.spans import span
from fleet.model.wanted import Wanted
from fleet.rollout.plan import read_release
from fleet.runtime.host_probes import probe_hosts
from fleet.runtime.lease import Held
from fleet.runtime.ledgers import check_caller
from fleet.runtime.wiring import Wiring

Key = tuple[str, str]

#: AWS's ``Date`` counts whole seconds, and an answer takes its time: less is no difference.
DATE_GRAIN = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What to scan.

    Attributes:
        stores: to scan.
        selection: as typed; "" for the whole fleet.
        whole: whether these are all stores of the inventory, so that what belongs to no store, and
            to stores that left, can be compared too.
        digests: compare the images that run with those that are pinned.
        deep: ask the hosts themselves.
        share: part of the published rates that fleet takes.
        command: as typed, for the run's record.
    """

    stores: tuple[Store, ...]
    selection: str = ""
    digests: bool = False
    deep: bool = False
    share: float = DEFAULT_SHARE
    whole: bool = False
    command: str = ""


def scan(wiring: Wiring, request: ScanRequest) -> ScanResult:
    """Scan these stores, say what differs, and record it.

    What it costs is written in ``decide/scan_calls.py``.

    Raises:
        Locked: another scan is under way.
        Interrupted: somebody wanted it to end; nothing of it is recorded but that it began.
    """
    notes: list[str] = []
    with scan_lease(wiring, notes) as own:
        return _Scanning(wiring, request, notes, own).run()


@dataclass(frozen=True, slots=True)
class _Read:
    """What one scan has read.

    Attributes:
        now: its time, by AWS's clock.
    """

    now: datetime
    recorded: Recorded
    wanted: Mapping[str, Wanted]
    shards: tuple[ShardSeen, ...]
    background: Background
    revisions: Revisions


class _Scanning:
    """One scan while it is under way."""

    def __init__(
        self, wiring: Wiring, request: ScanRequest, notes: list[str], own: Held | None
    ) -> None:
        self._counted = _Counted(wiring)
        self._wiring = replace(wiring, shard=self._counted.shard)
        self._request = request
        self._notes = notes
        self._records = ScanJournal(wiring, notes, own)
        self._offset = timedelta(0)
        keys = dict.fromkeys((store.account.name, store.region) for store in request.stores)
        self._keys = tuple(sorted(keys))
        # What hosts say of their containers is held against the tasks that ECS knows.
        self._digests = request.digests or request.deep

    def run(self) -> ScanResult:
        """Scan, and record how the scan ended, whatever happens."""
        callers = self._callers()
        names = {reading.value.arn for reading in callers.values() if isinstance(reading, Reading)}
        caller = ", ".join(sorted(names))
        began = self._now()
        scan_id = self._records.begin_run(caller, self._request.command, began)
        under_way = Scan(scan_id, self._request.selection, began, None)
        try:
            self._records.begin_scan(under_way)
            read = self._read(callers, began)
            result = self._result(under_way, caller, read)
        except Interrupted:
            self._records.end_run("interrupted", self._now())
            raise
        except FleetError:
            self._records.end_run("failed", self._now())
            raise
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            self._records.end_run("interrupted" if stopped else "crashed", self._now())
            raise
        self._records.end_run("done" if result.scan.complete else "partial", self._now())
        return result

    def _callers(self) -> dict[Key, Reading[Caller] | NotRead]:
        """Ask who the caller is in each account and region, and by how much our clock is off."""
        with ThreadPoolExecutor(max(1, min(self._wiring.workers, len(self._keys)))) as pool:
            found = dict(zip(self._keys, pool.map(self._caller, self._keys), strict=True))
        offsets = [offset for _reading, offset in found.values() if offset is not None]
        if offsets:
            self._offset = min(offsets, key=abs)
        if abs(self._offset) < DATE_GRAIN:
            self._offset = timedelta(0)
        off = self._offset.total_seconds()
        if abs(off) > self._wiring.fleet.drift.clock_s:
            which = "behind" if off > 0 else "ahead of"
            self._notes.append(
                f"the clock of this machine is {span(abs(off))} {which} AWS's; times are AWS's"
            )
        return {key: reading for key, (reading, _offset) in found.items()}

    def _caller(self, key: Key) -> tuple[Reading[Caller] | NotRead, timedelta | None]:
        try:
            reading = check_caller(self._shard(key))
        except AwsError as error:
            return NotRead(error.in_full), None
        return reading, reading.at - self._wiring.clock.now()

    def _read(self, callers: Mapping[Key, Reading[Caller] | NotRead], now: datetime) -> _Read:
        request, fleet = self._request, self._wiring.fleet
        release = self._release()
        stores = [store.id for store in request.stores]
        recorded = self._records.recorded(stores, whole=request.whole, at=now)
        idle = idle_rollouts(recorded.active, now, fleet.drift.rollout_idle_s)
        ids = {one.rollout.id for one in idle}
        wanted = wanted_of(request.stores, release, recorded.owed, recorded.holds, now, idle=ids)
        shards = self._shards(callers, recorded, wanted, release)
        revisions = read_revisions(self._wiring, release, shards, self._notes)
        if request.deep:
            shards = self._with_probes(shards)
        background = Background(
            fleet=fleet.name,
            now=now,
            settings=fleet.drift,
            release=release,
            contents=revisions.contents,
            alike=revisions.alike,
            revoked=revisions.revoked,
            memory=recorded.memory,
            first_seen=first_seen(recorded),
            deadlines=deadlines(fleet),
            digests=self._digests,
            deep=request.deep,
            last_full_scan_at=self._last_full_scan_at(recorded),
            idle=idle if request.whole else (),
            stop=recorded.stop,
            waiting=waiting_rollouts(recorded.active, wanted.values(), whole=request.whole),
            watched=recorded.watched,
            rejected=self._records.rejected(release),
        )
        return _Read(now, recorded, wanted, shards, background, revisions)

    def _release(self) -> Release | NotRead:
        """Read what should run; without it everything else is still scanned."""
        self._check()
        try:
            return read_release(self._wiring, [one.name for one in self._wiring.fleet.workloads])
        except (AwsError, InventoryError) as error:
            return NotRead(error.in_full)

    def _shards(
        self,
        callers: Mapping[Key, Reading[Caller] | NotRead],
        recorded: Recorded,
        wanted: Mapping[str, Wanted],
        release: Release | NotRead,
    ) -> tuple[ShardSeen, ...]:
        stores = len(self._request.stores)
        least = max((self._least_seconds(key, wanted) for key in self._keys), default=0.0)
        words = f"reading {stores} {'store' if stores == 1 else 'stores'}"
        self._note(f"{words}, which takes {span(least)} at least" if least > 1 else words)
        names = None
        if not isinstance(release, NotRead):
            names = {
                store: tuple(one.service for one in each.services) for store, each in wanted.items()
            }
        interner = Interner()
        questions = [self._question(key, recorded, names) for key in self._keys]

        def read(question: ShardQuestion) -> ShardSeen:
            caller = callers[question.account, question.region]
            if isinstance(caller, NotRead):
                return unread_shard(question, caller)
            return read_shard(self._wiring, question, interner)

        pool = ThreadPoolExecutor(max(1, len(questions)), thread_name_prefix="shard")
        futures = [pool.submit(read, question) for question in questions]
        try:
            return tuple(future.result() for future in futures)
        except BaseException:
            # Whatever it was, the threads of the others must not outlive it.
            self._wiring.stop.set()
            raise
        finally:
            pool.shutdown()

    def _with_probes(self, shards: tuple[ShardSeen, ...]) -> tuple[ShardSeen, ...]:
        """Ask the hosts of open stores, and add what they say of themselves."""
        self._check()
        stores = [one for one in self._request.stores if one.lifecycle is Lifecycle.OPEN]
        hosts = sum(len(store.hosts) for store in stores)
        self._note(f"asking {hosts} {'host' if hosts == 1 else 'hosts'}")
        answers = probe_hosts(self._wiring, stores, online_nodes(stores, shards))
        return with_probes(shards, answers)

    def _least_seconds(self, key: Key, wanted: Mapping[str, Wanted]) -> float:
        """Return the seconds that AWS's rates ask for to read an account and region."""
        mine, narrow = _of(key, self._request.stores), self._is_narrow(key)
        listed = mine if narrow else _of(key, self._wiring.fleet.stores)
        hosts = sum(len(store.hosts) for store in listed)
        services = tuple(len(wanted[store.id].services) for store in mine)
        size = ShardSize(
            len(mine), hosts, hosts, remembered=len(mine), services=services, narrow=narrow
        )
        return least_seconds(least_calls(size), self._request.share)

    def _question(
        self, key: Key, recorded: Recorded, names: Mapping[str, tuple[str, ...]] | None
    ) -> ShardQuestion:
        account, region = key
        stores = _of(key, self._request.stores)
        return ShardQuestion(
            account,
            region,
            stores,
            names,
            recorded.memory,
            self._wiring.fleet.drift,
            self._digests,
            narrow=self._is_narrow(key),
            known_nodes=known_nodes(stores, recorded.memory, recorded.open or ()),
            last_full_scan_at=self._last_full_scan_at(recorded),
        )

    def _last_full_scan_at(self, recorded: Recorded) -> datetime | None:
        return last_full_scan_at(recorded.scans) if self._request.whole else None

    def _is_narrow(self, key: Key) -> bool:
        return is_narrow(_of(key, self._request.stores), _of(key, self._wiring.fleet.stores))

    def _result(self, under_way: Scan, caller: str, read: _Read) -> ScanResult:
        """Compare what was read with what was recorded, and record it where that can be."""
        request, fleet = self._request, self._wiring.fleet
        found = reconcile(fleet, read.shards, read.wanted, read.background)
        reconciled = with_unread(found, read.revisions)
        ids = ids_of(request.stores, read.shards)
        known = known_to_both(ids, read.shards)
        self._notes += unsettled(known, reconciled)
        self._notes += switched_off(request.stores, reconciled.connections, read.now)
        changes = compare_with_recorded(
            reconciled.findings,
            read.recorded,
            reconciled.unread,
            Coverage(
                digests=self._digests,
                deep=request.deep,
                connections=reconciled.connections,
                known=known,
                hosts={one.id: [host.name for host in one.hosts] for one in request.stores},
                wanted=read.wanted,
                answered=answered(read.shards),
                watched=[one.rollout.id for one in read.recorded.watched],
                whole=request.whole,
            ),
            read.now,
        )
        calls, throttled = self._counted.totals()
        done = replace(
            under_way,
            finished_at=self._now(),
            states=reconciled.states,
            calls=calls,
            throttled=throttled,
            complete=not reconciled.unread,
        )
        runs = versions_of(ids, read.shards, read.recorded.memory)
        # Before it is recorded: what cannot be shown must be new again in the next scan.
        result = scan_result_of(
            fleet=fleet,
            scope=request.stores,
            scan=done,
            caller=caller,
            reconciled=reconciled,
            changes=changes,
            background=read.background,
            shards=read.shards,
            wanted=read.wanted,
            scans=read.recorded.scans,
            began=read.recorded.began,
            rollouts=read.recorded.rollouts,
        )
        self._check()
        self._records.write(done, changes, reconciled, ids, runs)
        return replace(result, notes=tuple(self._notes), recorded=not self._records.failed)

    def _shard(self, key: Key) -> Shard:
        return self._wiring.shard(self._wiring.fleet.accounts[key[0]], key[1])

    def _now(self) -> datetime:
        """Return the time by AWS's clock."""
        return self._wiring.clock.now() + self._offset

    def _check(self) -> None:
        if self._wiring.stop.is_set():
            raise Interrupted("stopped before anything was recorded")

    def _note(self, text: str) -> None:
        self._wiring.listen(Note(self._wiring.clock.now(), text))


def _of(key: Key, stores: Iterable[Store]) -> tuple[Store, ...]:
    """Return the stores of an account and region."""
    return tuple(store for store in stores if (store.account.name, store.region) == key)


class _Counted:
    """Counts the calls of one scan, whoever makes them."""

    def __init__(self, wiring: Wiring) -> None:
        self._open = wiring.shard
        self._before: dict[Shard, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def shard(self, account: Account, region: str) -> Shard:
        """Return the account in the region; calls from before the scan do not count."""
        found = self._open(account, region)
        with self._lock:
            self._before.setdefault(found, _made(found))
        return found

    def totals(self) -> tuple[int, int]:
        """Return calls, and how many of them AWS throttled."""
        with self._lock:
            pairs = [(_made(shard), before) for shard, before in self._before.items()]
        return (
            sum(now[0] - before[0] for now, before in pairs),
            sum(now[1] - before[1] for now, before in pairs),
        )


def _made(shard: Shard) -> tuple[int, int]:
    counter = shard.counter
    return sum(counter.attempts.values()), sum(counter.throttles.values())
