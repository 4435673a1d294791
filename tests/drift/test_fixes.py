"""Fixes, from the plan to the last deed: what is read first, written down, done, and not done."""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from fleet.aws.session import Shard
from fleet.drift import fixes
from fleet.drift.scan_records import LEASE
from fleet.errors import AccessDenied, AwsUnreachable, CredentialsError, LeaseLost, RecordsError
from fleet.model.drift import Finding
from fleet.model.fixing import (
    Deed,
    DeleteAttributes,
    DeregisterInstance,
    DeregisterNode,
    Fix,
    Fixed,
    FixObservation,
    FixPlan,
    Outcome,
    RemoveActivation,
    RepairAttributes,
    RepairNodeTags,
    TagResource,
)
from fleet.model.inventory import Fleet
from fleet.model.observed import Caller, Reading
from fleet.model.progress import Event, Note
from fleet.model.rollout import Hold
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.records.rollouts import RolloutRecords
from fleet.runtime.lease import Held
from fleet.runtime.wiring import Wiring
from tests.drift.decide import fix_parts as parts
from tests.drift.decide.fix_parts import DEAD, FLEET, KEEP, NOW, STORE

CALLER = "arn:aws:sts::1:assumed-role/operator/on-call"
CALLS = (
    "deregister_container_instance",
    "deregister_managed_instance",
    "put_attributes",
    "delete_attributes",
    "tag_resource",
    "tag_managed_instance",
    "delete_activation",
)
#: A container instance with an attribute that is missing and one that nobody declared.
CHANGED = replace(KEEP, attributes={**KEEP.attributes, "fleet.ring": "?", "fleet.extra": "1"})
TWIN = parts.twin()
BOTH = parts.seen(KEEP, DEAD)
GONE = parts.seen(KEEP)
ALIVE = parts.seen(KEEP, replace(DEAD, agent_connected=True))
TAKEN_OUT = ("deregister_container_instance", DEAD.cluster, DEAD.arn)
AWAY = AwsUnreachable("no reply", operation="ecs:x")

Answer = FixObservation | Exception


class Desk:
    """AWS, that says what a test wrote down, and the records of one operator."""

    def __init__(self, records: Records, patch: pytest.MonkeyPatch) -> None:
        self.records = records
        self.run = records.start_run("fix", caller_arn=CALLER, command="", at=NOW)
        #: What AWS says of a finding; the last one again for ever.
        self.says: list[Answer] = [BOTH]
        self.asked: list[tuple[str, set[str]]] = []
        self.errors: list[Exception | None] = []
        self.calls: list[tuple[Any, ...]] = []
        self.forced: list[bool] = []
        self.told: list[str] = []
        self.callers: list[tuple[str, str]] = []
        self.refuses: dict[str, Exception] = {}
        self.wiring = Wiring(
            fleet=FLEET,
            clock=cast("Any", self),
            shard=lambda account, region: cast("Shard", (account.name, region)),
            records=records,
            connect=lambda *_: pytest.fail("no host is asked"),
            load_pins=lambda: pytest.fail("no pins are needed"),
            pin_machine=lambda *_: None,
            listen=self.hear,
        )
        patch.setattr(fixes, "reread", self.reread)
        patch.setattr(fixes, "check_caller", self.check_caller)
        for name in CALLS:
            patch.setattr(fixes, name, self.call(name))

    def now(self) -> Any:
        return NOW

    def hear(self, event: Event) -> None:
        assert isinstance(event, Note)
        self.told.append(event.text)

    def reread(
        self, _shard: Shard, _fleet: Fleet, finding: Finding, rollouts: Collection[str]
    ) -> FixObservation:
        self.asked.append((finding.code, set(rollouts)))
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, Exception):
            raise said
        return said

    def check_caller(self, shard: Any) -> Reading[Caller]:
        self.callers.append(shard)
        if shard[1] in self.refuses:
            raise self.refuses[shard[1]]
        return Reading(Caller("1", CALLER), NOW)

    def call(self, name: str) -> Any:
        def made(_shard: Shard, *words: Any, force: bool = False) -> None:
            self.forced.append(force)
            self.calls.append((name, *words))
            error = self.errors.pop(0) if self.errors else None
            if error is not None:
                raise error

        return made

    def plan(self, *findings: Finding) -> FixPlan:
        return fixes.plan(self.wiring, parts.night_with(*findings))

    def do(self, *some: Fix) -> tuple[Fixed, ...]:
        return fixes.carry_out(self.wiring, FixPlan("drift-1", some), self.run)

    def audit(self) -> list[tuple[str, str]]:
        return [(row.action, row.why) for row in self.records.audit_of(self.run)]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with open_records(None, tmp_path) as records:
        yield Desk(records, monkeypatch)


def twin(region: str = "eu-west-1", what: str = "deregister it") -> Fix:
    found = parts.fix(TWIN, BOTH)
    return replace(found, finding=replace(TWIN, region=region), what=what)


def two_steps(desk: Desk) -> Fix:
    said = parts.seen(CHANGED)
    desk.says = [said]
    found = parts.fix(parts.attributes(), said)
    assert [type(deed) for deed in found.deeds] == [RepairAttributes, DeleteAttributes]
    return found


def held_by(monkeypatch: pytest.MonkeyPatch, *rollouts: str, store: str = STORE.id) -> None:
    holds = tuple(Hold(store, "vision", name, CALLER, NOW) for name in rollouts)
    monkeypatch.setattr(RolloutRecords, "holds", lambda _self: holds)


def pools(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many workers are asked for, each time that some are."""
    asked: list[int] = []

    def opened(workers: int) -> ThreadPoolExecutor:
        asked.append(workers)
        return ThreadPoolExecutor(workers)

    monkeypatch.setattr(fixes, "ThreadPoolExecutor", opened)
    return asked


def test_what_aws_says_now_decides_what_is_planned(desk: Desk) -> None:
    planned = desk.plan(TWIN)
    assert planned.fixes == (parts.fix(TWIN, BOTH),)
    desk.says = [GONE]
    assert [one.finding for one in desk.plan(TWIN).already] == [TWIN]
    assert desk.calls == []


def test_what_cannot_be_read_again_is_left(desk: Desk) -> None:
    desk.says = [AWAY]
    planned = desk.plan(TWIN)
    assert planned.fixes == ()
    assert [one.why for one in planned.left] == ["what AWS says now could not be read: no reply"]


@pytest.mark.parametrize("held", [(), ("ro-7",), ("ro-7", "ro-8")])
def test_the_rollouts_that_hold_its_store_are_told_to_the_rule(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, held: tuple[str, ...]
) -> None:
    held_by(monkeypatch, *held)
    desk.plan(TWIN)
    desk.do(twin())
    assert desk.asked == [("TWIN", set(held))] * 2


def test_a_rollout_of_another_store_is_not_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_by(monkeypatch, "ro-7", store="store-099")
    desk.plan(TWIN)
    assert desk.asked == [("TWIN", set())]


@pytest.mark.parametrize(("workers", "asked"), [(1, 1), (2, 2), (3, 3), (4, 3)])
def test_no_more_is_read_at_once_than_may_be_and_than_there_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, workers: int, asked: int
) -> None:
    found = pools(monkeypatch)
    desk.wiring = replace(desk.wiring, workers=workers)
    desk.plan(TWIN, parts.ghost_node(), parts.untagged_node())
    assert found == [asked]


def test_nothing_to_read_and_nothing_to_do_are_no_fault(desk: Desk) -> None:
    assert (desk.plan().fixes, desk.do()) == ((), ())


@pytest.mark.parametrize(("workers", "asked"), [(1, 1), (2, 2), (3, 2)])
def test_no_more_stores_are_fixed_at_once_than_may_be_and_than_there_are(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, workers: int, asked: int
) -> None:
    found = pools(monkeypatch)
    desk.wiring = replace(desk.wiring, workers=workers)
    desk.do(twin(), twin(), twin("eu-central-1"))
    assert found == [asked]


def test_what_is_done_is_written_down_first_with_its_arguments(desk: Desk) -> None:
    (done,) = desk.do(twin())
    assert (done.outcome, desk.calls) == (Outcome.DONE, [TAKEN_OUT])
    (row,) = desk.records.audit_of(desk.run)
    assert (row.action, row.store, row.host) == (
        DeregisterInstance.action,
        TWIN.store,
        TWIN.host,
    )
    assert (row.caller_arn, row.detail["scan"]) == (CALLER, "drift-1")
    assert row.why == f"TWIN: {done.words}"
    assert row.detail["arguments"] == {
        "cluster": DEAD.cluster,
        "instance": DEAD.arn,
        "force": False,
    }


def test_it_is_told_who_was_fixed_and_how_it_ended(desk: Desk) -> None:
    host = f"{TWIN.store}/{TWIN.host}"
    desk.do(twin())
    assert desk.told == [f"{host}: deregister it: done"]


def test_of_no_store_and_host_the_subject_is_told(desk: Desk) -> None:
    fix = twin()
    nowhere = replace(fix.finding, store="", host="", subject="act-1")
    desk.do(replace(fix, finding=nowhere))
    assert desk.told[0].startswith("act-1: deregister it: ")


@pytest.mark.parametrize(
    ("deed", "call"),
    [
        (DeregisterInstance("c", "arn"), ("deregister_container_instance", "c", "arn")),
        (DeregisterNode("mi-1"), ("deregister_managed_instance", "mi-1")),
        (RepairAttributes("c", "arn", {"a": "1"}), ("put_attributes", "c", "arn", {"a": "1"})),
        (DeleteAttributes("c", "arn", ("a",)), ("delete_attributes", "c", "arn", ("a",))),
        (TagResource("arn", {"a": "1"}), ("tag_resource", "arn", {"a": "1"})),
        (RepairNodeTags("mi-1", {"a": "1"}), ("tag_managed_instance", "mi-1", {"a": "1"})),
        (RemoveActivation("act-1"), ("delete_activation", "act-1")),
    ],
)
def test_each_deed_is_one_call(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, deed: Deed, call: Sequence[Any]
) -> None:
    fix = replace(twin(), deeds=(deed,))
    monkeypatch.setattr(fixes, "answer_of", lambda *_: fix)
    (done,) = desk.do(fix)
    assert (done.outcome, desk.calls) == (Outcome.DONE, [call])


@pytest.mark.parametrize("force", [False, True])
def test_an_instance_is_deregistered_by_force_only_where_that_was_decided(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, *, force: bool
) -> None:
    fix = replace(twin(), deeds=(DeregisterInstance("c", "arn", force=force),))
    monkeypatch.setattr(fixes, "answer_of", lambda *_: fix)
    desk.do(fix)
    assert desk.forced == [force]


def test_what_somebody_else_has_done_is_not_done_again(desk: Desk) -> None:
    desk.says = [GONE]
    (done,) = desk.do(twin())
    assert (done.outcome, desk.calls, desk.audit()) == (Outcome.ALREADY, [], [])


def test_what_may_no_longer_be_done_is_refused(desk: Desk) -> None:
    desk.says = [ALIVE]
    (done,) = desk.do(twin())
    assert (done.outcome, desk.calls, desk.audit()) == (Outcome.REFUSED, [], [])
    assert done.words.startswith("changed since the plan: ")
    assert "is connected now" in done.words


def test_what_would_be_something_else_now_is_refused(desk: Desk) -> None:
    planned = replace(twin(), deeds=(DeregisterInstance(DEAD.cluster, DEAD.arn, force=True),))
    (done,) = desk.do(planned)
    assert (done.outcome, desk.calls, desk.audit()) == (Outcome.REFUSED, [], [])
    assert done.words.startswith("changed since the plan: it would be to deregister ")


def test_what_cannot_be_read_right_before_is_not_done(desk: Desk) -> None:
    desk.says = [AWAY]
    (done,) = desk.do(twin())
    assert (done.outcome, desk.calls) == (Outcome.FAILED, [])
    assert done.words == "nothing was done: no reply"


def test_what_cannot_be_written_down_is_not_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RecordsError("the disk is full")

    monkeypatch.setattr(Records, "audit", full)
    (done,) = desk.do(twin())
    assert (done.outcome, desk.calls) == (Outcome.FAILED, [])
    assert done.words == "nothing was done: the disk is full"


def test_the_identity_is_checked_once_for_each_region(desk: Desk) -> None:
    desk.do(twin(), twin(), twin("eu-central-1"))
    assert desk.callers == [("emea-prod", "eu-west-1"), ("emea-prod", "eu-central-1")]


def test_nothing_is_done_in_a_region_whose_credentials_are_of_another_account(desk: Desk) -> None:
    desk.refuses["eu-west-1"] = CredentialsError("another account")
    done = desk.do(twin(), twin("eu-central-1"))
    assert [one.outcome for one in done] == [Outcome.FAILED, Outcome.DONE]
    assert done[0].words == "nothing was done: another account"
    assert desk.calls == [TAKEN_OUT]


def test_what_aws_refuses_has_failed_and_is_written_down(desk: Desk) -> None:
    desk.errors = [AccessDenied("denied", operation="ecs:x")]
    (done,) = desk.do(twin())
    assert (done.outcome, done.words) == (Outcome.FAILED, "nothing was done: denied")
    assert [why for _, why in desk.audit()][1:] == ["TWIN: it failed"]
    assert desk.records.audit_of(desk.run)[1].detail["error"] == "denied"


def test_a_reply_that_was_lost_does_not_make_it_undone(desk: Desk) -> None:
    desk.says, desk.errors = [BOTH, GONE], [AWAY]
    (done,) = desk.do(twin())
    assert done.outcome is Outcome.DONE
    assert done.words.startswith("AWS's reply was lost, and ")
    assert len(desk.audit()) == 1


def test_whether_it_was_done_is_not_known_when_nothing_can_be_read_any_more(desk: Desk) -> None:
    desk.says, desk.errors = [BOTH, AWAY], [AWAY]
    (done,) = desk.do(twin())
    assert done.outcome is Outcome.FAILED
    assert done.words == "whether it was done is not known: no reply"


def test_all_steps_are_done_in_their_order(desk: Desk) -> None:
    (done,) = desk.do(two_steps(desk))
    assert done.outcome is Outcome.DONE
    assert [name for name, *_ in desk.calls] == ["put_attributes", "delete_attributes"]
    assert [action for action, _ in desk.audit()] == [
        RepairAttributes.action,
        DeleteAttributes.action,
    ]


def test_a_step_that_fails_is_the_last_and_told_as_that(desk: Desk) -> None:
    fix = two_steps(desk)
    desk.errors = [None, AccessDenied("denied", operation="ecs:x")]
    (done,) = desk.do(fix)
    assert (done.outcome, done.words) == (Outcome.FAILED, "only 1 of 2 steps were done: denied")


def test_the_first_step_that_fails_is_the_last(desk: Desk) -> None:
    fix = two_steps(desk)
    desk.errors = [AccessDenied("denied", operation="ecs:x")]
    (done,) = desk.do(fix)
    assert (done.words, len(desk.calls)) == ("nothing was done: denied", 1)


def test_no_step_is_begun_once_the_lease_is_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fix = two_steps(desk)

    def lost(_self: Held) -> None:
        if desk.calls:
            raise LeaseLost("a scan took it")

    monkeypatch.setattr(Held, "check", lost)
    (done,) = desk.do(fix)
    assert (done.outcome, len(desk.calls), len(desk.audit())) == (Outcome.FAILED, 1, 1)
    assert done.words == "only 1 of 2 steps were done: a scan took it"


def test_it_holds_the_lease_of_scans_and_reports_progress(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    holders: list[bool] = []

    def proceed(_self: Held) -> None:
        holders.append(desk.records.leases.holder(LEASE) is not None)

    monkeypatch.setattr(Held, "proceed", proceed)
    desk.do(twin(), twin("eu-central-1"))
    assert holders == [True, True]


def test_a_run_that_is_stopped_begins_nothing_more(desk: Desk) -> None:
    desk.wiring.stop.set()
    (done,) = desk.do(twin())
    assert (done.outcome, desk.calls, desk.asked) == (Outcome.NOT_BEGUN, [], [])


def test_a_bug_met_in_one_shop_does_not_end_the_run(desk: Desk) -> None:
    desk.says = [ZeroDivisionError(), BOTH]
    done = desk.do(twin(), twin())
    assert [one.outcome for one in done] == [Outcome.FAILED, Outcome.DONE]
    assert done[0].words == (
        "a bug in fleet: ZeroDivisionError; fleet drift says what became of it"
    )


def test_the_results_come_in_the_order_of_the_plan(desk: Desk) -> None:
    some = [twin("eu-west-1", "a"), twin("eu-west-1", "b"), twin("eu-central-1", "c")]
    assert [one.fix.what for one in desk.do(*some)] == ["a", "b", "c"]
