"""Policies and freezes as people write them, and those that could never work."""

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.inventory.loader import load_fleet
from fleet.inventory.policies import PolicyShape
from fleet.model.hours import OpenSpan
from fleet.model.policy import AfterCanary, Amount, Freeze, OnHalt, OnUnclear, Policy, Window
from fleet.model.restarts import RestartSource
from tests.inventory.conftest import FLEET, STORES, Inventory


def policy(inventory: Inventory, written: str, name: str = "careful") -> Policy:
    inventory.write("fleet.yaml", f"{FLEET}\npolicies: {{{written}}}\n")
    return load_fleet(inventory.root).policies[name]


def test_the_standard_policy_is_there_unwritten(inventory: Inventory) -> None:
    assert load_fleet(inventory.root).policies == {"standard": Policy("standard")}


def test_every_key_may_be_said(inventory: Inventory) -> None:
    written = """careful: {canary: 10%, waves: [5, 10%, 100%], concurrency: 4, success: 98%,
      coverage: 0.9, min_sample: 8, max_failures: 0, bake: 1h30m, settle: 90s, fresh: 4m,
      deadline: 2h, dark_after: 10m, watch_every: 20m, watch_for: 2d, patience: 1d,
      alpha: 1%, min_control: 30,
      on_unclear: wait, pulls: 5,
      pull_wait: 2m, convoy: 3, breaker_count: 2, window: closed, between: "23:00-05:00",
      finish_by: 20m, on_halt: rollback, after_canary: promote, rollback_in_window: true,
      max_weight_in_flight: 5%, max_weight_per_wave: 20%,
      max_restarts: 0, restart_sample: 0, restart_source: run-command}"""

    assert policy(inventory, written) == Policy(
        "careful",
        canary=Amount(percent=Decimal(10)),
        begins_with_canary=True,
        waves=(Amount(count=5), Amount(percent=Decimal(10)), Amount(percent=Decimal(100))),
        concurrency=Amount(count=4),
        success=0.98,
        coverage=0.9,
        min_sample=8,
        max_failures=Amount(count=0),
        bake_s=5400,
        settle_s=90,
        fresh_s=240,
        deadline_s=7200,
        dark_after_s=600,
        watch_every_s=1200,
        watch_for_s=172800,
        patience_s=86400,
        alpha=0.01,
        min_control=30,
        on_unclear=OnUnclear.WAIT,
        pulls=5,
        pull_wait_s=120,
        convoy=3,
        breaker_count=2,
        max_restarts=0,
        restart_sample=0,
        restart_source=RestartSource.RUN_COMMAND,
        window=Window.CLOSED,
        between=OpenSpan(time(23), time(5)),
        finish_by_s=1200,
        on_halt=OnHalt.ROLLBACK,
        after_canary=AfterCanary.PROMOTE,
        rollback_in_window=True,
        max_weight_in_flight=Amount(percent=Decimal(5)),
        max_weight_per_wave=Amount(percent=Decimal(20)),
    )


def test_a_field_of_the_model_that_nobody_can_write_does_not_exist() -> None:
    others = {"name", "begins_with_canary"}
    keys = {name.removesuffix("_s") for name in Policy.__dataclass_fields__} - others

    assert set(PolicyShape.model_fields) == keys


@pytest.mark.parametrize(
    ("written", "begins"),
    [
        ("careful: {bake: 1h}", False),
        ("careful: {canary: 6}", True),
        ("careful: {after_canary: promote}", True),
        ("careful: {after_canary: go-on}", False),
        ("standard: {canary: 3}, careful: {bake: 1h}", True),
    ],
)
def test_a_policy_that_says_canary_begins_with_one(
    inventory: Inventory, written: str, begins: bool
) -> None:
    assert policy(inventory, written).begins_with_canary is begins


def test_standard_may_be_overridden_key_by_key_and_others_begin_with_it(
    inventory: Inventory,
) -> None:
    careful = policy(inventory, "standard: {bake: 20m}, careful: {success: 99%}")

    assert careful == Policy("careful", bake_s=1200, success=0.99)
    assert load_fleet(inventory.root).policies["standard"] == Policy("standard", bake_s=1200)


def test_hours_of_its_own_replace_an_inherited_always_and_the_other_way_round(
    inventory: Inventory,
) -> None:
    night = policy(inventory, 'standard: {window: always}, careful: {between: "01:00-05:00"}')
    assert (night.window, night.between) == (Window.CLOSED, OpenSpan(time(1), time(5)))

    day = policy(inventory, 'standard: {between: "01:00-05:00"}, careful: {window: always}')
    assert (day.window, day.between) == (Window.ALWAYS, None)


@pytest.mark.parametrize(
    ("written", "path", "message", "hint"),
    [
        ("bak: 10m", "bak", 'unknown key "bak"', 'did you mean "bake"?'),
        ("bake: 10", "bake", '"10" is not a duration', "write 90s, 10m, 1h30m or 2d"),
        ("bake: 31d", "bake", "too long", None),
        ("success: 95", "success", '"95" is not a share', "write 95% or 0.95"),
        ("success: 101%", "success", "more than all", "at most 100%"),
        ("success: 0", "success", "passes anything", "as 95%"),
        ("coverage: 0%", "coverage", "passes anything", None),
        ("alpha: 0.9", "alpha", "at most 50%", "as 5%"),
        ("canary: many", "canary", "neither a number nor a share", "write 5 or 10%"),
        ("canary: 0", "canary", "no store could ever be sent", None),
        ("concurrency: 0%", "concurrency", "no store could ever be sent", None),
        ("waves: []", "waves", "a wave is empty", None),
        ("waves: [5%, 25%]", "waves", "the last wave ends at 25%", "end with 100%"),
        ("waves: [5, 500]", "waves", "the last wave ends at 500", None),
        ("waves: [25%, 5%, 100%]", "waves", "5% follows 25%", None),
        ("waves: [5%, 5%, 100%]", "waves", "5% follows 5%", None),
        ("waves: [20, 10, 100%]", "waves", "10 follows 20", None),
        ("waves: [5%, 50, 100%]", "waves", "50 after 5% may be fewer", "numbers before shares"),
        ("waves: [0%, 100%]", "waves", "the first wave has no store", None),
        ("min_sample: 0", "min_sample", "greater than or equal to 1", None),
        ("on_halt: explode", "on_halt", "not one of pause, rollback", None),
        ("after_canary: go_on", "after_canary", "go-on, promote", 'did you mean "go-on"?'),
        ('between: "05:00"', "between", "is no span", "write between: 01:00-05:00"),
        ('between: "01:00-01:10"', "between", "nothing could begin", "widen it"),
        ('window: always, between: "01:00-05:00"', "between", "needs no hours", "leave one"),
        ("deadline: 2m", "deadline", "no task could settle", "more than settle, 2m"),
        ("fresh: 0s", "fresh", "longer than nothing", None),
        ("bake: {a: b}", "bake", "one value expected", None),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_written(
    inventory: Inventory, written: str, path: str, message: str, hint: str | None
) -> None:
    inventory.write("fleet.yaml", f"{FLEET}\npolicies:\n  careful: {{{written}}}\n")

    problem = inventory.problem()

    assert problem.path == f"policies.careful.{path}"
    assert problem.line == len(FLEET.splitlines()) + 3
    assert message in problem.message
    assert hint is None or hint in (problem.hint or "")


def test_what_only_goes_wrong_together_with_the_inherited_is_said_too(
    inventory: Inventory,
) -> None:
    inventory.write("fleet.yaml", f"{FLEET}\npolicies: {{slow: {{settle: 1h}}}}\n")

    problem = inventory.problem()

    assert problem.path == "policies.slow"
    assert problem.message.startswith("deadline, inherited: no task could settle")


def test_what_is_wrong_in_standard_is_said_once(inventory: Inventory) -> None:
    written = "{standard: {waves: [5%]}, a: {bake: 1m}, b: {bake: 2m}}"
    inventory.write("fleet.yaml", f"{FLEET}\npolicies: {written}\n")

    assert inventory.problem().path == "policies.standard.waves"


@given(st.integers(0, 700), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_is_the_sum_of_its_parts(hours: int, minutes: int, seconds: int) -> None:
    shape = PolicyShape.model_validate({"bake": f"{hours}h{minutes}m{seconds}s"})

    assert shape.bake == hours * 3600 + minutes * 60 + seconds


@given(st.decimals(0, 100, places=2))
def test_a_share_and_a_percentage_are_the_same(percent: Decimal) -> None:
    said = PolicyShape.model_validate({"success": f"{percent}%", "coverage": str(percent / 100)})

    assert said.success == said.coverage == float(percent / 100)


@pytest.mark.parametrize("name", ["status", "rollback", "history"])
def test_a_workload_is_not_named_like_a_verb_of_rollout(inventory: Inventory, name: str) -> None:
    inventory.write(f"workloads/{name}.yaml", "template: a.j2\nwhere: {hardware: nuc}\n")
    inventory.template("a.j2", "family: x\n")

    assert f"`fleet rollout {name}`" in inventory.problem().message


def freezes(inventory: Inventory, written: str) -> tuple[Freeze, ...]:
    inventory.write("fleet.yaml", f"{FLEET}\nfreezes:\n  xmas: {{{written}, reason: full}}\n")
    return load_fleet(inventory.root).freezes


def test_a_day_counts_to_its_end(inventory: Inventory) -> None:
    assert freezes(inventory, "from: 2026-12-18, to: 2026-12-18") == (
        Freeze("xmas", datetime(2026, 12, 18), datetime(2026, 12, 19), None, "full"),  # noqa: DTZ001 - store-local
    )


def test_a_time_with_a_zone_is_a_moment(inventory: Inventory) -> None:
    (freeze,) = freezes(inventory, "from: 2026-12-18T06:00Z, to: '2026-12-18 08:00+01:00'")

    assert freeze.begins == datetime(2026, 12, 18, 6, tzinfo=UTC)
    assert freeze.ends == datetime(2026, 12, 18, 7, tzinfo=UTC)


def test_a_condition_names_the_stores(inventory: Inventory) -> None:
    other = STORES + "  store-2: {ring: canary, hosts: {tel-1: {hardware: nuc}}}\n"
    inventory.write("stores/all.yaml", other)

    (freeze,) = freezes(inventory, "from: 2026-12-18, to: 2026-12-19, where: ring=canary")

    assert freeze.stores == frozenset({"store-2"})


def test_freezes_come_in_order_of_their_beginning(inventory: Inventory) -> None:
    inventory.write(
        "fleet.yaml",
        f"{FLEET}\nfreezes:\n"
        "  b: {from: 2026-12-18, to: 2026-12-19, reason: b}\n"
        "  a: {from: 2026-12-01T00:00Z, to: 2026-12-02T00:00Z, reason: a}\n",
    )

    assert [freeze.name for freeze in load_fleet(inventory.root).freezes] == ["a", "b"]


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        ("from: 2026-12-18, to: 2026-12-17", "to", "ends before it begins"),
        ("from: 2026-12-18, to: 2026-12-18T08:00Z", "to", "both carry a zone"),
        ("from: 2026-02-30, to: 2026-12-18", "from", "is not a day or a time"),
        ("from: monday, to: 2026-12-18", "from", "is not a day or a time"),
        ("from: 2026-12-18", "", 'the key "to" is missing'),
        ("from: 2026-12-18, to: 2026-12-19, were: x", "were", 'unknown key "were"'),
        ("from: 2026-12-18, to: 2026-12-19, where: ring", "where", "at column 5 of 'ring'"),
        ("from: 2026-12-18, to: 2026-12-19, where: ''", "where", "an empty condition"),
        ("from: 2026-12-18, to: 2026-12-19, where: ' '", "where", "an empty condition"),
        ("from: 2026-12-18, to: 2026-12-19, where: ", "where", "an empty condition"),
        ("from: 2026-12-18, to: 2026-12-19, where: rng=a", "where", 'field or label "rng"'),
        ("from: 2026-12-18, to: 2026-12-19, where: lifecycle=closed", "where", "no store is"),
    ],
)
def test_a_freeze_that_cannot_be_meant_is_refused(
    inventory: Inventory, written: str, path: str, message: str
) -> None:
    inventory.write("fleet.yaml", f"{FLEET}\nfreezes:\n  xmas: {{{written}, reason: full}}\n")

    problem = inventory.problem()

    assert problem.path == f"freezes.xmas.{path}".rstrip(".")
    assert message in problem.message


@pytest.mark.parametrize(("days", "hint"), [("30", ""), ("31", "nearest: 30"), ("0", "nearest: 1")])
def test_log_groups_are_kept_for_as_long_as_cloudwatch_can(
    inventory: Inventory, days: str, hint: str
) -> None:
    inventory.write("fleet.yaml", f"{FLEET}\nlog_retention_days: {days}\n")

    if hint:
        assert inventory.problem().hint == hint
    else:
        assert load_fleet(inventory.root).log_retention_days == 30


def test_the_size_of_an_image_may_be_told(inventory: Inventory) -> None:
    image: Any = {"image": "x.example/a@sha256:" + "9b" * 32, "platforms": "linux/amd64"}
    written = f"{{image: {image['image']}, platforms: {image['platforms']}, size_mb: 850}}"
    inventory.template("a.j2", "family: x\n")
    inventory.write(
        "workloads/vision.yaml",
        f"template: a.j2\nwhere: {{hardware: nuc}}\nimages: {{main: {written}}}\n",
    )

    assert load_fleet(inventory.root).workloads[0].images["main"].size_mb == 850


@pytest.mark.parametrize("key", ["max_weight_in_flight", "max_weight_per_wave"])
@pytest.mark.parametrize("limit", ["5", "0", "0%"])
def test_a_limit_of_weight_is_a_share_of_something(
    inventory: Inventory, key: str, limit: str
) -> None:
    inventory.write("fleet.yaml", f"{FLEET}\npolicies: {{careful: {{{key}: {limit}}}}}\n")
    assert "is no share of the weight" in str(inventory.problem())


@pytest.mark.parametrize(
    ("after_opening", "is_wrong"), [("16m59s", True), ("17m", False), ("17m1s", False)]
)
def test_the_hours_after_opening_must_be_long_enough_for_a_change(
    inventory: Inventory, after_opening: str, *, is_wrong: bool
) -> None:
    inventory.write(
        "fleet.yaml", f"{FLEET}policies: {{early: {{after_opening: {after_opening}}}}}\n"
    )
    if is_wrong:
        assert inventory.problem().message == (
            "shorter than finish_by and settle, 17m: nothing could begin"
        )
    else:
        found = load_fleet(inventory.root).policies["early"].after_opening_s
        assert found == (1020.0 if after_opening == "17m" else 1021.0)
