"""What is wrong with single stores is added up for the rollout that sent them."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.decide.recalls import of_recalled, watched_rollout
from fleet.model.changes import Change
from fleet.model.drift import Finding
from fleet.model.drift_settings import Severity
from fleet.model.policy import Amount, Policy
from fleet.model.rollout import Phase, Rollout
from fleet.model.verdicts import Stage, Verdict
from fleet.model.wanted import WatchedRollout
from tests import rollouts
from tests.drift.decide.night_parts import DAY, HOUR, TONIGHT, background, finding, fleet, ignore

SERVICE = "vision-arm64"
#: At most three failures, and any success: what a test moves is one limit.
LENIENT = Policy("lenient", max_failures=Amount(count=3), success=0.0)
STORES = tuple(f"store-{number:03}" for number in range(1, 41))


def done(policy: Policy = LENIENT, **changes: Any) -> Rollout:
    spec = rollouts.spec(policy=policy)
    ended = {"phase": Phase.DONE, "finished_at": TONIGHT - HOUR}
    return rollouts.rollout(**{"spec": spec, **ended, **changes})


def ok(*stores: str) -> tuple[Change, ...]:
    return tuple(rollouts.change(store, Verdict.OK) for store in stores)


def short(*stores: str, code: str = "TASKS_SHORT", **changes: Any) -> list[Finding]:
    return [finding(code, store, subject=SERVICE, **changes) for store in stores]


def recalled(
    found: Iterable[Finding],
    sent: Iterable[Change],
    rollout: Rollout | None = None,
    **parts: Any,
) -> Finding | None:
    watched = WatchedRollout(rollout or done(), tuple(sent))
    scope, unread = parts.get("scope", set(STORES)), parts.get("unread", set())
    inventory = fleet(ignores=parts.get("ignores", ()))
    seen = of_recalled(found, inventory, background(watched=(watched,)), scope, unread)
    assert len(seen) <= 1
    return seen[0] if seen else None


@pytest.mark.parametrize(("number", "is_recalled"), [(2, False), (3, False), (4, True)])
def test_more_stores_in_trouble_than_the_budget_recall_the_release(
    number: int, is_recalled: bool
) -> None:
    assert (recalled(short(*STORES[:number]), ok(*STORES)) is not None) is is_recalled


@pytest.mark.parametrize(
    ("stores", "number", "is_recalled"),
    [(20, 1, False), (19, 1, True), (40, 2, False), (40, 3, True)],
)
def test_success_below_its_limit_recalls_the_release(
    stores: int, number: int, is_recalled: bool
) -> None:
    strict = done(replace(LENIENT, success=0.95))
    found = recalled(short(*STORES[:number]), ok(*STORES[:stores]), strict)
    assert (found is not None) is is_recalled


def test_the_numbers_stand_beside_their_limits_and_the_command_takes_it_back() -> None:
    found = recalled(short(*STORES[:5]), ok(*STORES[:12]))
    assert found is not None
    assert found.cause.endswith(
        "5 of 12 stores that ro-118 sent are in trouble, budget 3: store-001, store-002, "
        "store-003, store-004 and 1 more"
    )
    assert [(one.words, one.sends) for one in found.commands] == [
        ("fleet rollout rollback ro-118", True)
    ]
    assert (found.severity, found.subject, found.store) == (Severity.HIGH, "ro-118", "")
    assert [one.words for one in found.evidence] == ["TASKS_SHORT 5", "ro-118 DONE"]


def test_success_is_told_as_the_most_that_it_can_be() -> None:
    found = recalled(short("store-001"), ok(*STORES[:10]), done(replace(LENIENT, success=0.95)))
    assert found is not None
    assert "1 of 10 stores that ro-118 sent is in trouble, success at most 9/10=90 %" in found.cause


def test_each_variant_has_a_budget_of_its_own() -> None:
    spec = done().spec
    shapes = {**spec.shapes, "vision-amd64": rollouts.shape("amd64")}
    both = done(spec=replace(spec, shapes=shapes))
    sent = (*ok(*STORES[:20]), *(replace(c, service="vision-amd64") for c in ok(*STORES[20:])))
    amd64 = [finding("TASKS_SHORT", store, subject="vision-amd64") for store in STORES[20:24]]
    assert recalled([*short(*STORES[:2]), *amd64[:2]], sent, both) is None
    found = recalled([*short(*STORES[:2]), *amd64], sent, both)
    assert found is not None
    assert "4 of 20 amd64 stores that ro-118 sent are in trouble, budget 3" in found.cause


@pytest.mark.parametrize("code", sorted(c for c, kind in CATALOGUE.items() if kind.fails_release))
def test_each_code_that_fails_a_release_counts(code: str) -> None:
    assert recalled(short(*STORES[:4], code=code), ok(*STORES)) is not None


@pytest.mark.parametrize("code", ["SERVICE_COUNT", "RELEASE_PENDING", "SITE_DARK", "DISK_LOW"])
def test_what_says_nothing_of_the_release_does_not_count(code: str) -> None:
    assert recalled(short(*STORES[:4], code=code), ok(*STORES)) is None


def test_two_findings_of_a_store_are_one_store() -> None:
    twice = [*short(*STORES[:3]), *short(*STORES[:3], code="CRASH_LOOP", host="tel-1")]
    assert recalled(twice, ok(*STORES)) is None


def test_a_part_of_a_service_counts_as_the_service() -> None:
    parts = [finding("CRASH_LOOP", store, subject=f"{SERVICE}/app") for store in STORES[:4]]
    assert recalled(parts, ok(*STORES)) is not None


def test_another_service_of_the_store_does_not_count() -> None:
    other = [finding("TASKS_SHORT", store, subject="telemetry-amd64") for store in STORES[:4]]
    assert recalled(other, ok(*STORES)) is None


def test_a_store_that_somebody_changed_by_hand_does_not_count() -> None:
    by_hand = short(STORES[0], code="CHANGED_BY_HAND")
    assert recalled([*short(*STORES[:4]), *by_hand], ok(*STORES)) is None


@pytest.mark.parametrize("verdict", [Verdict.UNDELIVERED, Verdict.CHANGED_BY_HAND])
def test_a_store_that_does_not_run_what_was_sent_does_not_count(verdict: Verdict) -> None:
    sent = (replace(rollouts.change(STORES[0]), verdict=verdict), *ok(*STORES[1:]))
    assert recalled(short(*STORES[:4]), sent) is None


def test_what_a_rule_ignores_does_not_count() -> None:
    rule = ignore(codes=frozenset({"TASKS_SHORT"}))
    assert recalled(short(*STORES[:4]), ok(*STORES), ignores=(rule,)) is None


def test_a_store_that_had_failed_when_the_rollout_ended_is_not_late() -> None:
    failed = tuple(rollouts.change(store, Verdict.FAILED) for store in STORES[:2])
    assert recalled(short(*STORES[:5]), (*failed, *ok(*STORES[2:]))) is None
    late = tuple(replace(change, is_late=True) for change in failed)
    assert recalled(short(*STORES[:5]), (*late, *ok(*STORES[2:]))) is not None


def test_a_failure_that_a_person_accepted_counts_neither_as_late_nor_against_success() -> None:
    sent = (
        rollouts.change(STORES[0], Verdict.FAILED, failure_accepted=True, is_late=True),
        *ok(*STORES[1:21]),
    )
    strict = done(replace(LENIENT, success=0.95))
    assert recalled(short(*STORES[:2]), sent, strict) is None
    assert recalled(short(*STORES[:2]), ok(*STORES[:21]), strict) is not None


def test_an_earlier_failure_counts_against_success() -> None:
    sent = (rollouts.change(STORES[0], Verdict.FAILED), *ok(*STORES[1:21]))
    strict = done(replace(LENIENT, success=0.95))
    assert recalled(short(STORES[0]), sent, strict) is None
    assert recalled(short(*STORES[:2]), sent, strict) is not None


def test_what_a_controller_recalled_is_reported_by_every_scan_that_touches_its_stores() -> None:
    told = done(recalled="canary would not pass now")
    found = recalled([], ok(*STORES), told, scope={"store-001"})
    assert found is not None
    assert "a controller recalled it: canary would not pass now" in found.cause
    assert recalled([], ok(*STORES), told, scope={"elsewhere"}) is None


def test_a_scan_of_a_part_recalls_only_what_it_has_read_enough_for() -> None:
    part = {*STORES[:4]}
    assert recalled(short(*STORES[:4]), ok(*STORES), scope=part) is not None
    assert recalled(short(*STORES[:3]), ok(*STORES), scope=part) is None


def test_stores_that_were_not_read_are_told() -> None:
    found = recalled(short(*STORES[:4]), ok(*STORES), unread={*STORES[10:13]})
    assert found is not None
    assert found.evidence[0].words == "TASKS_SHORT 4; 3 stores not read, counted neither way"


@given(st.sets(st.sampled_from(STORES)), st.sets(st.sampled_from(STORES)))
def test_reading_fewer_stores_never_recalls_what_reading_all_does_not(
    trouble: set[str], unread: set[str]
) -> None:
    policy = done(replace(LENIENT, success=0.95))
    whole = recalled(short(*trouble), ok(*STORES), policy)
    some = recalled(short(*(trouble - unread)), ok(*STORES), policy, unread=unread)
    assert whole is not None or some is None


@pytest.mark.parametrize(
    ("ended", "is_watched"),
    [(DAY - timedelta(seconds=1), True), (DAY, False), (DAY + timedelta(seconds=1), False)],
)
def test_a_rollout_is_watched_for_as_long_as_its_policy_says(
    ended: timedelta, is_watched: bool
) -> None:
    rollout = done(finished_at=TONIGHT - ended)
    watched = watched_rollout(rollout, ok(*STORES), frozenset(), TONIGHT)
    assert (watched is not None) is is_watched


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.DONE])
def test_only_a_rollout_that_is_done_is_watched_after_it(phase: Phase) -> None:
    assert watched_rollout(done(phase=phase), ok(*STORES), frozenset(), TONIGHT) is None


def test_what_a_newer_rollout_sent_or_was_set_back_or_was_never_sent_is_no_part_of_it() -> None:
    changes = (
        *ok("store-001", "store-002"),
        rollouts.change("store-003", Verdict.OK, stage=Stage.UNDONE),
        rollouts.change("store-004", Verdict.OK, stage=Stage.SKIPPED),
        rollouts.planned("store-005"),
    )
    watched = watched_rollout(done(), changes, {("store-002", SERVICE)}, TONIGHT)
    assert watched is not None
    assert [change.store for change in watched.sent] == ["store-001"]


#: Half of the stores must be known, whatever has failed; each store's service has one host.
COVERED = replace(LENIENT, coverage=0.5)


def with_hosts(policy: Policy = COVERED) -> Rollout:
    spec = rollouts.spec(policy=policy)
    places = {s: replace(p, hosts={SERVICE: ("cam-1",)}) for s, p in spec.places.items()}
    return done(spec=replace(spec, places=places))


def dark(*stores: str, code: str = "SITE_DARK", **changes: Any) -> list[Finding]:
    where = {"data": {"hosts": ["cam-1"]}} if code == "SITE_DARK" else {"host": "cam-1"}
    return [finding(code, store, since=TONIGHT, **where, **changes) for store in stores]


@pytest.mark.parametrize(("number", "is_recalled"), [(19, False), (20, False), (21, True)])
@pytest.mark.parametrize("code", ["SITE_DARK", "HOST_DARK"])
def test_a_release_whose_stores_went_dark_since_has_lost_its_coverage(
    number: int, is_recalled: bool, code: str
) -> None:
    found = recalled(dark(*STORES[:number], code=code), ok(*STORES), with_hosts())
    assert (found is not None) is is_recalled


def test_the_lost_coverage_is_told_with_its_numbers_and_the_command() -> None:
    found = recalled(dark(*STORES[:3]), ok(*STORES[:4]), with_hosts())
    assert found is not None
    assert found.cause.endswith(
        "3 of 4 stores that ro-118 sent are dark since, coverage 1/4=25 %, needed 50 %: "
        "store-001, store-002, store-003"
    )
    assert found.evidence[0].words == "SITE_DARK 3"
    assert [one.words for one in found.commands] == ["fleet rollout rollback ro-118"]
    assert found.resources.stores == ("store-001", "store-002", "store-003")


def test_a_store_that_was_dark_before_the_send_was_not_lost_since() -> None:
    before = [replace(one, since=rollouts.BEGAN) for one in dark(*STORES)]
    assert recalled(before, ok(*STORES), with_hosts()) is None


def test_a_dark_host_on_which_the_service_does_not_run_says_nothing_of_the_release() -> None:
    assert recalled(dark(*STORES), ok(*STORES), done(COVERED)) is None


def test_stores_whose_carrier_has_an_outage_are_not_lost() -> None:
    outage = finding("CARRIER_DARK", "", data={"stores": [*STORES[:25]], "of": 25})
    assert recalled([outage, *dark(*STORES[:25])], ok(*STORES), with_hosts()) is None
    assert recalled([outage, *dark(*STORES)], ok(*STORES[:30]), with_hosts()) is None
    assert recalled([outage, *dark(*STORES[20:])], ok(*STORES[20:]), with_hosts()) is not None


def test_dark_stores_that_a_rule_ignores_are_not_lost() -> None:
    rule = ignore(codes=frozenset({"SITE_DARK"}))
    assert recalled(dark(*STORES), ok(*STORES), with_hosts(), ignores=(rule,)) is None


def test_a_store_of_which_nothing_was_known_at_the_end_is_no_coverage() -> None:
    unknown = tuple(rollouts.change(store, Verdict.DARK) for store in STORES[:19])
    sent = (*unknown, *ok(*STORES[19:]))
    assert recalled(dark(*STORES[:19]), sent, with_hosts()) is None
    assert recalled(dark(*STORES[:20]), sent, with_hosts()) is None
    assert recalled(dark(*STORES[:21]), sent, with_hosts()) is not None
