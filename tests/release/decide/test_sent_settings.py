"""Whose a setting is: what fleet sent, what is there, what is wanted."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.desired import Scheduling
from fleet.model.services import ServiceState
from fleet.release.decide.sent_settings import (
    COUNT,
    FIELDS,
    LONGEST_TAG,
    Difference,
    LastSent,
    compare,
    last_sent,
    recounted,
    sent_tag,
    told,
    with_kept,
)
from fleet.release.decide.service_input import service_settings, update_input
from tests.rollout.decide import plans

SHAPE = plans.SHAPE
WANTED = {**service_settings(SHAPE), COUNT: 1}


def patient(count: int) -> dict[str, Any]:
    return service_settings(replace(SHAPE, breaker_count=count))


def found(
    settings: Mapping[str, Any] | None = None, sent: str = "", **more: Any
) -> tuple[Difference, ...]:
    tags = {"fleet:sent": sent} if sent else {}
    desired = more.pop("desired", 1)
    seen = plans.service(settings=settings or service_settings(SHAPE), tags=tags, desired=desired)
    return compare(WANTED, seen, **more)


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(value, Mapping):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]
    return [path]


@pytest.mark.parametrize("scheduling", list(Scheduling))
def test_every_value_that_is_sent_is_compared(scheduling: Scheduling) -> None:
    shape = replace(SHAPE, scheduling=scheduling)
    sent = update_input(shape, cluster="c", task_definition="t", desired_count=1)
    named = {"cluster", "service", "taskDefinition"}
    known = {field.path for field in FIELDS}
    assert set(leaves({k: v for k, v in sent.items() if k not in named})) <= known


def test_what_is_as_wanted_is_no_difference_whoever_set_it() -> None:
    assert found(sent="ro-7.0 count=5 failures=9") == ()


@pytest.mark.parametrize(
    ("seen", "sent", "by_hand"), [(2, 1, True), (2, 2, False), (2, 3, True), (3, 2, True)]
)
def test_a_value_is_fleets_exactly_when_fleet_sent_it(seen: int, sent: int, by_hand: bool) -> None:
    [one] = found(patient(seen), f"ro-7.0 failures={sent}")
    assert one.is_by_hand is by_hand


def test_the_words_name_what_is_there_and_who_sent_what() -> None:
    [one] = found(patient(2), "ro-7.0 failures=2")
    assert one.words == "breaker count 2, expected 1 (fleet sent 2 with ro-7)"
    [one] = found(patient(3), "ro-7.0 failures=2")
    assert one.words == "breaker count 3, set by somebody; fleet sent 2 with ro-7"
    [one] = found(desired=3, sent="ro-7.0 count=1")
    assert one.words == "desired count 3, set by somebody; fleet sent 1 with ro-7"
    [one] = found(desired=3)
    assert one.words == "desired count 3, which fleet is not known to have sent; it sends 1"
    [one] = found({**service_settings(SHAPE), "placementConstraints": []}, "ro-7.0 placement=1a2b")
    assert one.words == "placement none, set by somebody; fleet sent another with ro-7"


OLD = [
    ("desiredCount", 0, True),
    ("desiredCount", 2, False),
    ("desiredCount", 3, True),
    ("propagateTags", "NONE", True),
    ("placementConstraints", [], True),
    ("placementConstraints", [{"type": "memberOf", "expression": "attribute:fleet.x == y"}], False),
    ("placementConstraints", [{"type": "memberOf", "expression": "attribute:mine == y"}], True),
]


@pytest.mark.parametrize(("key", "value", "by_hand"), OLD)
def test_without_the_tag_what_fleet_0_1_may_have_sent_is_fleets(
    key: str, value: Any, by_hand: bool
) -> None:
    desired = value if key == COUNT else 1
    settings = service_settings(SHAPE) | ({} if key == COUNT else {key: value})
    [one] = found(settings, desired=desired, counts=range(1, 3))
    assert one.is_by_hand is by_hand


@pytest.mark.parametrize(("count", "by_hand"), [(0, True), (2, False), (200, False)])
def test_without_the_tag_any_breaker_count_that_a_policy_may_have_is_fleets(
    count: int, by_hand: bool
) -> None:
    [one] = found(patient(count))
    assert one.is_by_hand is by_hand


@pytest.mark.parametrize("tag", ["", "ro-7.0", "nonsense", "ro-7.0 count=", "ro-7.0 count=<x>"])
def test_a_tag_that_fleet_did_not_write_says_nothing(tag: str) -> None:
    assert last_sent({"fleet:sent": tag}) is None


def test_of_a_breaker_that_is_off_only_that_is_told() -> None:
    configuration = {
        **WANTED["deploymentConfiguration"],
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
    }
    seen = {**service_settings(SHAPE), "deploymentConfiguration": configuration}
    everything = found(seen)
    assert len(everything) > 1
    assert [one.step for one in told(everything)] == ["circuit breaker off -> on"]


def test_what_is_kept_is_sent_as_it_is() -> None:
    configuration = {**WANTED["deploymentConfiguration"], "maximumPercent": 200}
    kept = found({**service_settings(SHAPE), "deploymentConfiguration": configuration})
    assert with_kept(WANTED, kept)["deploymentConfiguration"] == configuration
    without = {**configuration, "deploymentCircuitBreaker": {"enable": False, "rollback": False}}
    kept = found({**service_settings(SHAPE), "deploymentConfiguration": without})
    assert with_kept(WANTED, kept)["deploymentConfiguration"] == without


def test_a_tag_goes_on_saying_what_fleet_sent_of_what_is_kept() -> None:
    before = "ro-7.0 count=1 failures=2"
    kept = [one.field.key for one in found(patient(3), before) if one.is_by_hand]
    tag = sent_tag(WANTED, "ro-8.0", last_sent({"fleet:sent": before}), kept)
    last = last_sent({"fleet:sent": tag})
    assert last is not None
    assert (last.values["failures"], last.values["count"], last.before) == ("2", "1", {})
    [again] = found(patient(3), tag)
    assert again.is_by_hand


def test_a_tag_says_nothing_of_what_is_kept_where_nobody_knows_what_fleet_sent() -> None:
    last = last_sent({"fleet:sent": sent_tag(WANTED, "ro-8.0", None, ["count"])})
    assert last is not None
    assert "count" not in last.values


def test_what_was_sent_before_counts_only_for_the_send_that_was_cut_off() -> None:
    tag = sent_tag(WANTED, "ro-8.0", last_sent({"fleet:sent": "ro-7.0 count=1 failures=2"}))
    [cut_off] = found(patient(2), tag, send="ro-8.0")
    [later] = found(patient(2), tag, send="ro-8.1")
    [planned] = found(patient(2), tag)
    assert (cut_off.is_by_hand, later.is_by_hand, planned.is_by_hand) == (False, True, True)


def test_a_count_that_is_set_back_is_fleets() -> None:
    assert recounted({}, 1, "ro-8.0") == ""
    tag = recounted({"fleet:sent": "ro-7.0 count=2 failures=1"}, 1, "ro-8.0")
    assert tag == "ro-8.0 count=1/2 failures=1"


@given(
    rollout=st.integers(1, 10**9),
    seen=st.fixed_dictionaries(
        {field.key: st.sampled_from(["a" * 8, "DISABLED", "100"]) for field in FIELDS}
    ),
)
def test_a_tag_fits_and_is_read_as_it_was_written(rollout: int, seen: dict[str, str]) -> None:
    tag = sent_tag(WANTED, f"ro-{rollout}.12", LastSent("ro-1.0", seen))
    last = last_sent({"fleet:sent": tag})
    assert len(tag) <= LONGEST_TAG
    assert last is not None
    assert last.text == tag
    assert (last.rollout, last.values["count"]) == (f"ro-{rollout}", "1")
    # What AWS allows in the value of a tag.
    assert re.fullmatch(r"[A-Za-z0-9 +\-=._:/@]+", tag)


def test_what_was_sent_and_is_there_is_no_hand_whatever_is_wanted_next() -> None:
    tag = sent_tag({**patient(4), COUNT: 7}, "ro-8.0")
    assert not any(one.is_by_hand for one in found(patient(4), tag, desired=7))


def service_without_settings() -> ServiceState:
    return plans.service(settings={}, desired=1)


def test_what_ecs_does_not_show_is_left_out() -> None:
    assert compare(WANTED, service_without_settings()) == ()
