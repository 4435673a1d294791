import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import RecordsError
from fleet.model.desired import TaskDefinition
from fleet.model.hours import OpenSpan
from fleet.model.policy import Amount, Freeze, Policy
from fleet.model.rollout import RolloutSpec
from fleet.model.secret import Secret
from fleet.records.rollout_rows import spec_from, spec_text
from tests.rollouts import place, spec

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=8)), None])
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=4,
)
LEAVES: Mapping[Any, st.SearchStrategy[Any]] = {
    Any: plain,
    str: words,
    bool: st.booleans(),
    int: st.integers(),
    float: numbers,
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    datetime: st.builds(
        lambda at, zone: at.replace(tzinfo=zone),
        st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - zones follow
        ZONES,
    ),
    time: st.times(),
}


def any_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation, whatever fields it has by now."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return st.one_of(*(st.none() if p is type(None) else any_of(p) for p in parts))
    if origin is tuple:
        return st.lists(any_of(parts[0]), max_size=2).map(tuple)
    if origin is frozenset:
        return st.frozensets(any_of(parts[0]), max_size=2)
    if origin is not None:
        return st.dictionaries(any_of(parts[0]), any_of(parts[1]), max_size=2)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{f.name: any_of(hints[f.name]) for f in fields(kind)})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    return LEAVES[kind]


@settings(max_examples=40, deadline=None)
@given(any_of(RolloutSpec))
def test_every_spec_comes_back_as_it_was(told: RolloutSpec) -> None:
    assert spec_from(spec_text(told)) == told


@settings(max_examples=10, deadline=None)
@given(any_of(RolloutSpec))
def test_a_spec_that_came_back_has_the_same_text(told: RolloutSpec) -> None:
    text = spec_text(told)
    assert spec_text(spec_from(text)) == text


def test_a_freeze_in_the_stores_own_time_stays_in_it() -> None:
    begins = datetime(2026, 11, 27)  # noqa: DTZ001 - the store's own
    ends = datetime(2026, 11, 30, tzinfo=timezone(timedelta(hours=1)))
    told = spec(freezes=(Freeze("black-friday", begins, ends, frozenset({"b", "a"}), "sale"),))
    (freeze,) = spec_from(spec_text(told)).freezes
    assert freeze == told.freezes[0]
    assert (freeze.begins.tzinfo, freeze.ends.tzinfo) == (None, UTC)


def test_shares_and_hours_keep_their_exact_values() -> None:
    policy = Policy("fast", canary=Amount(percent=Decimal("0.10")))
    hours = {6: (OpenSpan(time(22, 30), time(2)),)}
    told = spec(policy=policy, places={"s": place("s", hours=hours)})
    back = spec_from(spec_text(told))
    assert str(back.policy.canary) == "0.10%"
    assert back.places["s"].hours == hours


def test_the_order_in_which_things_were_put_together_does_not_show() -> None:
    told = spec()
    turned = replace(told, places=dict(reversed(list(told.places.items()))))
    assert spec_text(turned) == spec_text(told)


def test_a_field_that_is_missing_takes_its_default() -> None:
    text = spec_text(spec(seed=0)).replace('"seed":0,', "", 1)
    assert spec_from(text) == spec(seed=0)


def test_a_field_that_only_another_fleet_knows_is_refused() -> None:
    text = spec_text(spec()).replace('"seed":0', '"curfew":1,"seed":0', 1)
    with pytest.raises(RecordsError, match="RolloutSpec: curfew"):
        spec_from(text)


def test_a_field_that_every_spec_has_must_be_there() -> None:
    text = spec_text(spec()).replace('"release":', '"lease":', 1)
    with pytest.raises(RecordsError, match="lease is unknown, release is missing"):
        spec_from(text)


@pytest.mark.parametrize("text", ["", "[]", "null", '"x"', "{", '{"release": 1}'])
def test_a_text_that_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(RecordsError, match="another shape"):
        spec_from(text)


def test_a_secret_is_refused_wherever_it_hides() -> None:
    body = {"family": "f", "deep": [{"in": (Secret("hunter2hunter2"),)}]}
    told = spec(task_definitions={"c": TaskDefinition("f", "c", body)})
    with pytest.raises(TypeError, match="Secret") as raised:
        spec_text(told)
    assert "hunter2" not in str(raised.value)


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        spec_text(spec(pull_s={"s/x": float("nan")}))
