"""What may be fixed by itself is brought about and fixed; whatever changed meanwhile is not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from fleet.drift import fixes, reread
from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.scan_records import LEASE
from fleet.errors import Locked, RecordsError
from fleet.model.fixing import Fixed, FixPlan, Outcome
from fleet.model.history import AuditEntry
from fleet.model.observed import NotRead
from fleet.model.rollout import Hold
from fleet.records.records import Records
from fleet.records.rollouts import RolloutRecords
from fleet.runtime.lease import held
from tests.scenarios.drift.injections import INJECTIONS
from tests.scenarios.drift.scanning import Scans, found, open_town
from tests.scenarios.drift.spots import Spot
from tests.scenarios.drift.test_injections import play
from tests.scenarios.drift.town import Plan, Town

WHO = "arn:aws:sts::111122223333:assumed-role/fleet-operator/on-call"
#: Of a container instance that still holds tasks in these towns, a person decides.
WITH_TASKS = {"TWIN", "GHOST_INSTANCE"}
EACH = sorted(code for code, kind in CATALOGUE.items() if kind.fix)
ONE_BOX = Plan(stores=1, hosts={"cam-1": "cam"}, workloads=("vision",))


@dataclass
class Desk:
    """Somebody who scans a town and fixes what is found."""

    town: Town
    scans: Scans

    def spot(self, number: int = 0) -> Spot:
        return Spot(self.town, number)

    def wrong(self, *codes: str) -> None:
        """Bring these about, in a shop each."""
        play(self.town, [(INJECTIONS[c], self.spot(n)) for n, c in enumerate(codes)])

    def plan(self) -> FixPlan:
        return fixes.plan(self.scans.wiring(), self.scans.scan())

    def do(self, plan: FixPlan) -> tuple[Fixed, ...]:
        records = self.scans.records
        self.run = records.start_run("fix", caller_arn=WHO, command="", at=self.scans.now())
        return fixes.carry_out(self.scans.wiring(), plan, self.run)

    def audit(self) -> tuple[AuditEntry, ...]:
        return self.scans.records.audit_of(self.run)

    def fault(self, action: str, code: str, **more: Any) -> None:
        service, _, name = action.partition(":")
        self.town.chain.plane.faults.add(service, name, code, more.pop("status", 400), **more)

    def codes(self) -> list[str]:
        return [one.code for one in found(self.scans.scan())]

    def idle(self) -> None:
        """Let nothing run in the first shop, so that no task is on any of its instances."""
        spot = self.spot()
        for workload in self.town.plan.workloads:
            spot.delete(workload)
        self.town.clock.advance(600)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with open_town(tmp_path, monkeypatch, ONE_BOX) as (town, scans):
        yield Desk(town, scans)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, FixPlan, Any]]:
    """Every kind that may be fixed, in a shop each; all of it fixed."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("street")
        with open_town(folder, patch, replace(ONE_BOX, stores=len(EACH))) as (town, scans):
            desk = Desk(town, scans)
            scans.scan()
            desk.wrong(*EACH)
            plan = desk.plan()
            yield desk, plan, desk.do(plan)


def test_every_kind_but_what_holds_tasks_is_planned(street: tuple[Desk, FixPlan, Any]) -> None:
    _desk, plan, _done = street
    assert {fix.finding.code for fix in plan.fixes} == set(EACH) - WITH_TASKS
    assert {one.finding.code for one in plan.left} == WITH_TASKS
    assert {"a person decides about tasks" in one.why for one in plan.left} == {True}


def test_all_of_it_is_done_and_the_next_scan_finds_nothing_of_it(
    street: tuple[Desk, FixPlan, Any],
) -> None:
    desk, plan, done = street
    assert [one.fix for one in done] == list(plan.fixes)
    assert {one.outcome for one in done} == {Outcome.DONE}
    assert set(desk.codes()) == WITH_TASKS
    assert desk.plan().fixes == ()


def test_each_deed_is_written_down_with_who_why_and_its_exact_arguments(
    street: tuple[Desk, FixPlan, Any],
) -> None:
    desk, plan, _done = street
    rows = {(row.action, row.store): row for row in desk.audit()}
    deeds = {(d.action, fix.finding.store): (d, fix) for fix in plan.fixes for d in fix.deeds}
    assert rows.keys() == deeds.keys()
    for key, row in rows.items():
        deed, fix = deeds[key]
        assert row.caller_arn == WHO
        assert row.why.startswith(f"{fix.finding.code}: ")
        assert row.detail["scan"] == plan.scan
        assert set(row.detail["arguments"]) == set(deed.__slots__)


@pytest.mark.parametrize("code", sorted(WITH_TASKS))
def test_what_holds_no_task_is_deregistered(desk: Desk, code: str) -> None:
    desk.idle()
    desk.wrong(code)
    (done,) = desk.do(desk.plan())
    assert done.outcome is Outcome.DONE
    assert desk.audit()[0].detail["arguments"]["force"] is False
    assert code not in desk.codes()


def test_what_somebody_has_done_since_the_plan_is_not_done_again(desk: Desk) -> None:
    desk.wrong("GHOST_NODE")
    plan = desk.plan()
    desk.spot().ssm("DeregisterManagedInstance", InstanceId=plan.fixes[0].finding.subject)
    (done,) = desk.do(plan)
    assert (done.outcome, desk.audit()) == (Outcome.ALREADY, ())


def test_a_host_that_came_back_since_the_plan_is_not_deregistered(desk: Desk) -> None:
    """The box that is the host now goes, so that nothing proves the other to be left over."""
    desk.wrong("GHOST_NODE")
    plan = desk.plan()
    desk.spot().box.ecs_agent.stop()
    desk.town.clock.advance(60)
    (done,) = desk.do(plan)
    assert (done.outcome, desk.audit()) == (Outcome.REFUSED, ())
    assert done.words.startswith("changed since the plan: no other node")
    node = plan.fixes[0].finding.subject
    assert node in {one["InstanceId"] for one in nodes(desk)}


def nodes(desk: Desk) -> list[Mapping[str, Any]]:
    answer = desk.spot().ssm("DescribeInstanceInformation")
    return list(answer["InstanceInformationList"])


def test_attributes_that_changed_again_since_the_plan_are_not_what_was_agreed(desk: Desk) -> None:
    desk.wrong("ATTRIBUTES")
    plan = desk.plan()
    target = {"targetType": "container-instance", "targetId": desk.spot().instance}
    desk.spot().ecs("PutAttributes", attributes=[{"name": "fleet.extra", "value": "1", **target}])
    (done,) = desk.do(plan)
    assert (done.outcome, desk.audit()) == (Outcome.REFUSED, ())
    assert "it would be to set fleet.ring=standard; remove fleet.extra now" in done.words


@pytest.mark.parametrize(
    ("code", "action"),
    [
        ("ATTRIBUTES", "ecs:PutAttributes"),
        ("GHOST_NODE", "ssm:DeregisterManagedInstance"),
        ("TWIN", "ecs:DeregisterContainerInstance"),
        ("ACTIVATION_EXPIRED", "ssm:DeleteActivation"),
    ],
)
def test_a_reply_that_was_lost_does_not_make_it_undone(desk: Desk, code: str, action: str) -> None:
    desk.idle()
    desk.wrong(code)
    plan = desk.plan()
    desk.fault(action, "ConnectionReset", when="after")
    (done,) = desk.do(plan)
    assert done.outcome is Outcome.DONE
    assert code not in desk.codes()


def test_what_aws_refuses_has_failed_and_is_found_again(desk: Desk) -> None:
    desk.wrong("NODE_UNTAGGED")
    plan = desk.plan()
    desk.fault("ssm:AddTagsToResource", "AccessDeniedException", count=9)
    (done,) = desk.do(plan)
    assert done.outcome is Outcome.FAILED
    assert done.words.startswith("nothing was done: ")
    assert [row.why for row in desk.audit()][1:] == ["NODE_UNTAGGED: it failed"]
    assert desk.codes() == ["NODE_UNTAGGED"]


def test_the_second_of_two_steps_that_fails_is_told_as_that(desk: Desk) -> None:
    desk.wrong("ATTRIBUTES")
    target = {"targetType": "container-instance", "targetId": desk.spot().instance}
    desk.spot().ecs("PutAttributes", attributes=[{"name": "fleet.extra", "value": "1", **target}])
    plan = desk.plan()
    desk.fault("ecs:DeleteAttributes", "AccessDeniedException", count=9)
    (done,) = desk.do(plan)
    assert done.outcome is Outcome.FAILED
    assert done.words.startswith("only 1 of 2 steps were done: ")


def test_whether_it_was_done_is_not_known_when_nothing_can_be_read_any_more(desk: Desk) -> None:
    desk.wrong("NODE_UNTAGGED")
    plan = desk.plan()
    desk.fault("ssm:AddTagsToResource", "ConnectionReset", count=9, when="after")
    looks: list[object] = []

    def once(*args: Any) -> Any:
        looks.append(args)
        if len(looks) > 1:
            raise RecordsError("away")
        return reread.reread(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixes, "reread", once)
        (done,) = desk.do(plan)
    assert done.outcome is Outcome.FAILED
    assert done.words.startswith("whether it was done is not known: ")


def test_what_cannot_be_read_before_the_plan_is_left(desk: Desk) -> None:
    desk.wrong("NODE_UNTAGGED")
    night = desk.scans.scan()
    desk.fault("ssm:ListTagsForResource", "AccessDeniedException", count=9)
    plan = fixes.plan(desk.scans.wiring(), night)
    assert plan.fixes == ()
    assert "could not be read" in plan.left[0].why


def test_what_cannot_be_read_right_before_is_not_done(desk: Desk) -> None:
    desk.wrong("NODE_UNTAGGED")
    plan = desk.plan()
    desk.fault("ssm:ListTagsForResource", "AccessDeniedException", count=9)
    (done,) = desk.do(plan)
    assert (done.outcome, desk.audit()) == (Outcome.FAILED, ())


def test_nothing_is_done_with_credentials_that_are_refused(desk: Desk) -> None:
    desk.wrong("NODE_UNTAGGED")
    plan = desk.plan()
    desk.fault("sts:GetCallerIdentity", "ExpiredToken", count=9)
    (done,) = desk.do(plan)
    assert (done.outcome, desk.audit()) == (Outcome.FAILED, ())
    assert "ExpiredToken" in done.words


def test_what_cannot_be_written_down_is_not_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.wrong("NODE_UNTAGGED")
    plan = desk.plan()

    def full(*_: Any, **__: Any) -> None:
        raise RecordsError("the disk is full")

    monkeypatch.setattr(Records, "audit", full)
    (done,) = desk.do(plan)
    assert done.outcome is Outcome.FAILED
    assert done.words == "nothing was done: the disk is full"
    assert desk.codes() == ["NODE_UNTAGGED"]


def test_nothing_is_planned_when_it_is_not_known_what_rolls(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = desk.scans.scan()

    def away(*_: Any) -> None:
        raise RecordsError("the database is away")

    monkeypatch.setattr(fixes, "_rollouts", away)
    with pytest.raises(RecordsError):
        fixes.plan(desk.scans.wiring(), night)


def test_a_service_is_left_while_a_rollout_holds_its_store(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.wrong("SERVICE_UNTAGGED")
    night = desk.scans.scan()
    hold = Hold(desk.spot().store, "vision", "ro-7", WHO, desk.scans.now())
    monkeypatch.setattr(RolloutRecords, "holds", lambda _self: (hold,))
    plan = fixes.plan(desk.scans.wiring(), night)
    assert [one.why for one in plan.left] == ["ro-7 is under way in the store"]


def test_nothing_is_done_while_a_scan_is_under_way(desk: Desk) -> None:
    desk.wrong("NODE_UNTAGGED")
    plan = desk.plan()
    with held(desk.scans.records, [LEASE], "fleet drift on another"), pytest.raises(Locked):
        desk.do(plan)
    assert desk.codes() == ["NODE_UNTAGGED"]


def test_one_that_is_stopped_begins_nothing_more(desk: Desk) -> None:
    desk.wrong("NODE_UNTAGGED")
    plan = desk.plan()
    wiring = desk.scans.wiring()
    wiring.stop.set()
    run = desk.scans.records.start_run("fix", caller_arn=WHO, command="", at=desk.scans.now())
    (done,) = fixes.carry_out(wiring, plan, run)
    assert done.outcome is Outcome.NOT_BEGUN
    assert desk.codes() == ["NODE_UNTAGGED"]


def test_a_bug_met_in_one_shop_is_told_and_does_not_end_the_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.wrong("NODE_UNTAGGED")
    plan = desk.plan()

    def broken(*_: Any) -> NotRead:
        raise ZeroDivisionError

    monkeypatch.setattr(fixes, "reread", broken)
    (done,) = desk.do(plan)
    assert done.outcome is Outcome.FAILED
    assert "a bug in fleet: ZeroDivisionError" in done.words
