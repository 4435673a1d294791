"""Bodies that ECS stores alike mean the same, whatever they look like."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.normal_form import (
    SERVICE_RULES,
    TASK_DEFINITION_RULES,
    NormalRule,
    default_of,
    normal_form,
    same_meaning,
    units_of,
)

CASES = Path(__file__).parents[1] / "cases" / "normal_forms"


@cache
def cases() -> list[tuple[str, Mapping[str, Any]]]:
    """Every case with the name of its file."""
    return [
        (path.stem, case)
        for path in sorted(CASES.glob("*.yaml"))
        for case in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]


def rules_of(file: str) -> tuple[NormalRule, ...]:
    return SERVICE_RULES if file == "services" else TASK_DEFINITION_RULES


@pytest.mark.parametrize(("file", "case"), cases(), ids=lambda one: str(one)[:40])
def test_what_ecs_stores_means_the_same_and_another_body_does_not(
    file: str, case: Mapping[str, Any]
) -> None:
    rules = rules_of(file)
    assert same_meaning(case["sent"], case["stored"], rules), case["about"]
    assert not same_meaning(case["sent"], case["otherwise"], rules), case["about"]
    assert not same_meaning(case["stored"], case["otherwise"], rules), case["about"]


@pytest.mark.parametrize(
    "rule", [*TASK_DEFINITION_RULES, *SERVICE_RULES], ids=lambda rule: f"{rule.path} {rule.kind}"
)
def test_every_rule_has_a_case_that_needs_it(rule: NormalRule) -> None:
    mine = SERVICE_RULES if rule in SERVICE_RULES else TASK_DEFINITION_RULES
    left = [other for other in mine if other != rule]
    assert any(
        not same_meaning(case["sent"], case["stored"], left)
        or same_meaning(case["sent"], case["otherwise"], left)
        for file, case in cases()
        if rules_of(file) is mine
    )


@pytest.mark.parametrize(
    ("text", "unit", "size"),
    [
        ("0.25 vCPU", "vcpu", 256),
        (".5vCPU", "vcpu", 512),
        ("256", "vcpu", 256),
        (256, "vcpu", 256),
        ("0.5 GB", "gb", 512),
        ("2gb", "gb", 2048),
        ("0.5", "gb", None),
        ("", "gb", None),
        (None, "gb", None),
    ],
)
def test_a_size_is_read_with_and_without_its_unit(text: Any, unit: str, size: int | None) -> None:
    assert units_of(text, unit) == size


def test_a_default_is_known_by_its_last_key() -> None:
    assert (default_of("essential"), default_of("interval"), default_of("image")) == (
        True,
        30,
        None,
    )


def test_rules_meet_bodies_that_are_wrong_without_an_error() -> None:
    normal_form({"containerDefinitions": ["x", None, 3], "volumes": {"name": "v"}, "cpu": []})


plain = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "cpu", "environment", "essential"]), inner)
    ),
    max_leaves=12,
)


@given(body=st.dictionaries(st.sampled_from(["cpu", "containerDefinitions", "volumes"]), plain))
def test_a_normal_form_is_its_own_normal_form(body: dict[str, Any]) -> None:
    assert normal_form(normal_form(body)) == normal_form(body)
