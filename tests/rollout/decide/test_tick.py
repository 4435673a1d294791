"""Waves begin, stores are sent to, and what has passed lets the next wave begin."""

from dataclasses import replace

import pytest

from fleet.model.changes import CONVOY, Change
from fleet.model.policy import AfterCanary, Amount
from fleet.model.rollout import ActionKind, Phase, VerbName
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.store_choice import choose_stores
from fleet.rollout.decide.tick import begin, settle
from fleet.rollout.decide.verbs import obey
from tests.rollout.decide.tick_states import (
    POLICY,
    SERVICE,
    after,
    parked,
    planned,
    said,
    sent,
    state,
    undone,
)
from tests.rollout.decide.ticks import QUICK, canary, kinds, later, of, settled


def test_the_first_tick_begins_the_first_wave() -> None:
    rows = state(planned(), wave_at=None)
    begin(rows)
    assert rows.rollout.wave_at == rows.now
    assert [e.text for e in rows.events] == ["canary begins: 1 store"]


def test_a_wave_that_has_begun_is_not_begun_again() -> None:
    rows = state(planned(), wave_at=after(5))
    begin(rows)
    assert rows.rollout.wave_at == after(5)
    assert rows.events == []


def test_a_rollout_that_was_aborted_before_its_first_tick_begins_no_wave() -> None:
    rows = state(planned(), wave_at=None, phase=Phase.ABORTED)
    begin(rows)
    assert rows.events == []


def test_a_store_that_was_looked_at_is_sent_the_release() -> None:
    rows = state(planned())
    assert kinds(settled(rows)) == [(ActionKind.SEND, "store-042")]
    assert of(rows).stage is Stage.SENDING


def test_both_services_of_a_store_are_sent_together() -> None:
    rows = state(planned(), planned(service="telemetry-arm64"))
    assert len(settled(rows).actions) == 2


def test_a_store_that_was_not_looked_at_is_sent_nothing() -> None:
    rows = state(planned())
    assert settled(rows, seen=()).actions == ()
    assert of(rows).stage is Stage.PLANNED


def test_a_store_with_a_host_away_is_sent_nothing() -> None:
    rows = state(planned(away_since=after(59)))
    assert settled(rows).actions == ()


def test_a_store_of_which_one_service_is_away_is_sent_nothing_at_all() -> None:
    rows = state(planned(), planned(service="telemetry-arm64", away_since=after(59)))
    assert settled(rows).actions == ()


def test_what_was_found_in_flight_in_this_tick_takes_its_place() -> None:
    rows = state(
        planned("store-001", stage=Stage.PLANNED),
        planned("store-002"),
        policy=replace(QUICK, concurrency=Amount(count=1)),
    )
    choice = choose_stores(rows)
    assert choice.to_send == ("store-001",)
    rows.move(rows.change("store-002", SERVICE), stage=Stage.SENT, sends=1)
    assert settle(rows, choice, frozenset({"store-001"})).actions == ()


def test_each_send_says_for_which_wave_it_is() -> None:
    rows = state(planned("store-001"), planned("store-002", wave=CONVOY), policy=QUICK)
    assert [a.why for a in settled(rows).actions] == ["canary of ro-118", "convoy of ro-118"]


@pytest.mark.parametrize("phase", [p for p in Phase if p is not Phase.RUNNING])
def test_nothing_is_sent_but_by_a_running_rollout(phase: Phase) -> None:
    rows = state(planned(), parked("store-002", wave=CONVOY), phase=phase)
    assert ActionKind.SEND not in [kind for kind, _ in kinds(settled(rows, seen=("store-042",)))]


def test_a_wave_whose_verdicts_are_in_begins_to_bake() -> None:
    rows = state(*canary(later()))
    assert settled(rows).actions == ()
    assert rows.rollout.baking_since == rows.now


def test_a_wave_bakes_from_its_last_verdict_on() -> None:
    rows = state(*canary(later()), baking_since=after(20))
    settled(rows)
    assert rows.rollout.baking_since == after(20)


UNSETTLED = [
    sent(),
    planned(stage=Stage.SENDING),
    planned(look_at=after(90)),
    sent(stage=Stage.UNDOING),
    sent(verdict=Verdict.UNDELIVERED, since=after(50), pulls_failed=1),
]


@pytest.mark.parametrize("row", UNSETTLED, ids=lambda c: f"{c.stage.value} {c.verdict.value}")
def test_a_wave_bakes_not_while_a_store_is_unsettled(row: Change) -> None:
    rows = state(*canary(row, later()), baking_since=after(20))
    settled(rows)
    assert rows.rollout.baking_since is None


SETTLED = [
    sent(verdict=Verdict.OK),
    sent(verdict=Verdict.FAILED),
    sent(verdict=Verdict.DARK),
    parked(),
    undone(),
    planned(stage=Stage.SKIPPED),
    sent(verdict=Verdict.UNDELIVERED, pulls_failed=99),
    sent(verdict=Verdict.CHANGED_BY_HAND, stage=Stage.HELD),
]


@pytest.mark.parametrize("row", SETTLED, ids=lambda c: f"{c.stage.value} {c.verdict.value}")
def test_a_wave_bakes_with_whatever_has_settled(row: Change) -> None:
    rows = state(*canary(row, later()))
    settled(rows)
    assert rows.rollout.baking_since is not None


def test_a_wave_that_has_baked_lets_the_next_one_begin() -> None:
    rows = state(*canary(later()), baking_since=after(0), at=600)
    settled(rows)
    assert (rows.rollout.wave, rows.rollout.wave_at) == (1, rows.now)
    assert rows.rollout.baking_since is None
    assert "wave 1 begins: 1 store" in [e.text for e in rows.events]


def test_a_wave_that_is_a_second_short_of_its_bake_goes_on_baking() -> None:
    rows = state(*canary(later()), baking_since=after(0), at=599)
    done = settled(rows)
    assert rows.rollout.wave == 0
    assert done.wake_at == after(600)


def test_accepted_failures_are_of_their_wave_only() -> None:
    rows = state(*canary(later()), baking_since=after(0), at=600, accepted={"arm64": 2})
    settled(rows)
    assert rows.rollout.accepted == {}


def test_a_canary_whose_policy_asks_for_it_waits_to_be_promoted() -> None:
    policy = replace(POLICY, after_canary=AfterCanary.PROMOTE)
    rows = state(*canary(later()), baking_since=after(0), at=600, policy=policy)
    done = settled(rows)
    assert (rows.rollout.phase, rows.rollout.wave) == (Phase.AWAITING, 0)
    assert done.wake_at is None or done.wake_at > rows.now


def test_a_canary_that_was_promoted_beforehand_goes_on() -> None:
    policy = replace(POLICY, after_canary=AfterCanary.PROMOTE)
    rows = state(*canary(later()), baking_since=after(0), at=600, policy=policy, promoted=True)
    settled(rows)
    assert (rows.rollout.phase, rows.rollout.wave) == (Phase.RUNNING, 1)


def test_a_promoted_canary_begins_the_next_wave_in_the_same_tick() -> None:
    policy = replace(POLICY, after_canary=AfterCanary.PROMOTE)
    rows = state(
        *canary(later()), baking_since=after(0), at=700, policy=policy, phase=Phase.AWAITING
    )
    obey(rows, [said(VerbName.PROMOTE)])
    settled(rows)
    assert rows.rollout.wave == 1


def test_a_canary_that_is_all_there_is_needs_no_promotion() -> None:
    policy = replace(POLICY, after_canary=AfterCanary.PROMOTE)
    rows = state(*canary(), baking_since=after(0), at=600, policy=policy)
    rows.rollout = replace(
        rows.rollout, spec=replace(rows.rollout.spec, waves=rows.rollout.spec.waves[:1])
    )
    settled(rows)
    assert rows.rollout.phase is Phase.DONE
