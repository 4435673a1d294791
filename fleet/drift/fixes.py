"""Fixes what a scan found and is safe to fix: plans, reads again, acts, records.

A fix that is interrupted, or whose reply is lost, needs no repair: every call may be repeated, and
the next scan finds what is left.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from itertools import groupby

from fleet.aws.activations import delete_activation
from fleet.aws.container_instances import (
    delete_attributes,
    deregister_container_instance,
    put_attributes,
)
from fleet.aws.managed_instances import deregister_managed_instance, tag_managed_instance
from fleet.aws.session import Shard
from fleet.aws.tags import tag_resource
from fleet.drift.decide.finding_kinds import Answer
from fleet.drift.decide.fixes import Key, answer_of, candidates, plan_fixes
from fleet.drift.reread import reread
from fleet.drift.scan_records import LEASE, LONGEST_S
from fleet.errors import AwsError, FleetError, RecordsError
from fleet.model.drift import Finding
from fleet.model.fixing import (
    Already,
    Deed,
    DeleteAttributes,
    DeregisterInstance,
    DeregisterNode,
    Fix,
    Fixed,
    FixObservation,
    FixPlan,
    Left,
    Outcome,
    RemoveActivation,
    RepairAttributes,
    RepairNodeTags,
    TagResource,
)
from fleet.model.observed import NotRead, Reading
from fleet.model.progress import Note
from fleet.model.scan_result import ScanResult
from fleet.runtime.circuit_breaker import CircuitBreaker
from fleet.runtime.lease import Held, held, owner_name
from fleet.runtime.ledgers import check_caller
from fleet.runtime.wiring import Wiring

#: Account and region.
Place = tuple[str, str]


def plan(wiring: Wiring, result: ScanResult) -> FixPlan:
    """Plan what to do about the findings of a scan that was just made; change nothing.

    Each finding that may be fixed is read once more. What cannot be read again is left.

    Raises:
        RecordsError: which rollouts are under way is not known, so nothing may be planned.
    """
    holds = _rollouts(wiring)
    breakers = {
        place: CircuitBreaker() for place in {_place(entry.finding) for entry in result.findings}
    }

    def read(finding: Finding) -> FixObservation | NotRead:
        def ask() -> Reading[FixObservation]:
            seen = reread(
                _shard(wiring, finding), wiring.fleet, finding, holds.get(finding.store, set())
            )
            return Reading(seen, seen.at)

        reading = breakers[_place(finding)].read(finding.code, finding.code, ask)
        return reading if isinstance(reading, NotRead) else reading.value

    found = candidates(result)
    with ThreadPoolExecutor(max(1, min(wiring.workers, len(found)))) as pool:
        answers: Mapping[Key, FixObservation | NotRead] = dict(
            zip((one.key for one in found), pool.map(read, found), strict=True)
        )
    return plan_fixes(result, answers, wiring.fleet)


def carry_out(wiring: Wiring, planned: FixPlan, run_id: str) -> tuple[Fixed, ...]:
    """Do what was planned, in the order of the plan within a store; return a result for each.

    Every call is audited before it is made, and not made where that fails. When ``stop`` is set,
    what has begun is ended and the rest is not begun.

    Raises:
        Locked: a scan, or somebody else who fixes, is under way; nothing was done.
        RecordsError: the database is away; nothing was done.
    """
    owner = owner_name("fleet drift --fix")
    with held(wiring.records, [LEASE], owner, stall_s=LONGEST_S) as own:
        fixing = _Fixing(wiring, planned, run_id, own)
        fixing.check_callers()
        groups = [tuple(group) for _, group in groupby(planned.fixes, _store)]
        with ThreadPoolExecutor(max(1, min(wiring.workers, len(groups)))) as pool:
            done = list(pool.map(fixing.group, groups))
    return tuple(fixed for group in done for fixed in group)


class _Fixing:
    """Carries out the fixes of one run."""

    def __init__(self, wiring: Wiring, planned: FixPlan, run_id: str, own: Held) -> None:
        self._wiring = wiring
        self._planned = planned
        self._run_id = run_id
        self._own = own
        self._callers: dict[Place, str | FleetError] = {}

    def check_callers(self) -> None:
        """Check once for each account and region that it is the one of the inventory."""
        for fix in self._planned.fixes:
            place = _place(fix.finding)
            if place in self._callers:
                continue
            try:
                self._callers[place] = check_caller(_shard(self._wiring, fix.finding)).value.arn
            except AwsError as error:
                self._callers[place] = error

    def group(self, fixes: Iterable[Fix]) -> tuple[Fixed, ...]:
        """Fix those of one store, one after the other."""
        return tuple(map(self._try_fix, fixes))

    def _try_fix(self, fix: Fix) -> Fixed:
        if self._wiring.stop.is_set():
            return Fixed(fix, Outcome.NOT_BEGUN, "the run was stopped before it")
        try:
            fixed = self._fix(fix)
        except FleetError as error:
            fixed = Fixed(fix, Outcome.FAILED, f"{_steps(0, fix)}{error.in_full}")
        except Exception as error:  # noqa: BLE001 - a bug met in one shop must not lose the others
            reason = f"a bug in fleet: {type(error).__name__}; fleet drift says what became of it"
            fixed = Fixed(fix, Outcome.FAILED, reason)
        self._own.proceed()
        where = "/".join(filter(None, (fix.finding.store, fix.finding.host)))
        text = f"{where or fix.finding.subject}: {fix.what}: {fixed.outcome.value}"
        self._wiring.listen(Note(self._wiring.clock.now(), text))
        return fixed

    def _fix(self, fix: Fix) -> Fixed:
        caller = self._callers[_place(fix.finding)]
        if isinstance(caller, FleetError):
            raise caller
        answer = self._reread(fix)
        if isinstance(answer, Already):
            return Fixed(fix, Outcome.ALREADY, answer.why)
        if isinstance(answer, Left):
            return Fixed(fix, Outcome.REFUSED, f"changed since the plan: {answer.why}")
        if answer.deeds != fix.deeds:
            words = f"changed since the plan: it would be to {answer.what} now"
            return Fixed(fix, Outcome.REFUSED, words)
        shard = _shard(self._wiring, fix.finding)
        for done, deed in enumerate(fix.deeds):
            try:
                self._own.check()
                self._audit(fix, deed, caller, answer.why)
            except FleetError as error:
                return Fixed(fix, Outcome.FAILED, f"{_steps(done, fix)}{error.in_full}")
            try:
                _do(shard, deed)
            except AwsError as error:
                return self._failed(fix, deed, caller, error, done)
        return Fixed(fix, Outcome.DONE, answer.why)

    def _reread(self, fix: Fix) -> Answer:
        finding, wiring = fix.finding, self._wiring
        holds = _rollouts(wiring).get(finding.store, set())
        seen = reread(_shard(wiring, finding), wiring.fleet, finding, holds)
        return answer_of(finding, seen, wiring.fleet)

    def _failed(self, fix: Fix, deed: Deed, caller: str, error: AwsError, done: int) -> Fixed:
        """Return what an error means: AWS may have done it all the same, and lost the reply."""
        try:
            now: Answer | None = self._reread(fix)
        except FleetError:
            now = None
        if isinstance(now, Already):
            return Fixed(fix, Outcome.DONE, f"AWS's reply was lost, and {now.why}")
        with suppress(RecordsError):  # that it was tried is written down already
            self._audit(fix, deed, caller, "it failed", error=str(error))
        before = "whether it was done is not known: " if now is None else _steps(done, fix)
        return Fixed(fix, Outcome.FAILED, f"{before}{error.in_full}")

    def _audit(self, fix: Fix, deed: Deed, caller: str, why: str, **more: str) -> None:
        finding = fix.finding
        self._wiring.records.audit(
            self._run_id,
            at=self._wiring.clock.now(),
            caller_arn=caller,
            action=deed.action,
            store=finding.store,
            host=finding.host,
            why=f"{finding.code}: {why}",
            detail={"scan": self._planned.scan, "arguments": asdict(deed), **more},
        )


def _do(shard: Shard, deed: Deed) -> None:
    """Make the call."""
    match deed:
        case DeregisterInstance():
            deregister_container_instance(shard, deed.cluster, deed.instance, force=deed.force)
        case DeregisterNode():
            deregister_managed_instance(shard, deed.node)
        case RepairAttributes():
            put_attributes(shard, deed.cluster, deed.instance, deed.attributes)
        case DeleteAttributes():
            delete_attributes(shard, deed.cluster, deed.instance, deed.names)
        case TagResource():
            tag_resource(shard, deed.arn, deed.tags)
        case RepairNodeTags():
            tag_managed_instance(shard, deed.node, deed.tags)
        case RemoveActivation():
            delete_activation(shard, deed.activation)


def _steps(done: int, fix: Fix) -> str:
    """Say how far a fix came that went no further."""
    return f"only {done} of {len(fix.deeds)} steps were done: " if done else "nothing was done: "


def _rollouts(wiring: Wiring) -> Mapping[str, set[str]]:
    """Return by store id the rollouts that hold it."""
    found: dict[str, set[str]] = {}
    for hold in wiring.records.rollouts.holds():
        found.setdefault(hold.store, set()).add(hold.rollout)
    return found


def _place(finding: Finding) -> Place:
    return finding.account, finding.region


def _store(fix: Fix) -> tuple[str, str, str]:
    return fix.finding.account, fix.finding.region, fix.finding.store


def _shard(wiring: Wiring, finding: Finding) -> Shard:
    return wiring.shard(wiring.fleet.accounts[finding.account], finding.region)
