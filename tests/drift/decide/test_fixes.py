"""Which findings of a night are fixed by themselves at all."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.decide.fixes import MOST_DEREGISTRATIONS, candidates, plan_fixes
from fleet.model.drift import Finding, Unread
from fleet.model.fixing import (
    DeleteAttributes,
    DeregisterInstance,
    DeregisterNode,
    FixPlan,
    RemoveActivation,
    RepairAttributes,
    RepairNodeTags,
    TagResource,
)
from fleet.model.observed import NotRead
from fleet.model.scan_result import FindingChange, ScanResult
from tests import build
from tests.drift.decide import fix_parts as parts
from tests.drift.decide import night_parts

TAGS = parts.untagged_node()
BARE_NODE = parts.seen(parts.KEEP, nodes=(build.node(tags={}),))
TWIN = parts.twin()
TWINS = parts.seen(parts.KEEP, parts.DEAD)


def plan(night: ScanResult, *, twin: object = TWINS, tags: object = BARE_NODE) -> FixPlan:
    said = {"TWIN": twin, "NODE_UNTAGGED": tags}
    answers = {one.key: said[one.code] for one in candidates(night)}
    return plan_fixes(night, answers, parts.FLEET)  # type: ignore[arg-type] # Seen or NotRead


def test_what_is_safe_is_planned_with_its_exact_calls() -> None:
    found = plan(parts.night_with(TAGS, TWIN))
    assert [fix.finding.code for fix in found.fixes] == ["NODE_UNTAGGED", "TWIN"]
    assert [deed.action for fix in found.fixes for deed in fix.deeds] == [
        "ssm:AddTagsToResource",
        "ecs:DeregisterContainerInstance",
    ]
    assert (found.left, found.already) == ((), ())


def test_what_is_no_longer_so_is_neither_fixed_nor_left() -> None:
    found = plan(parts.night_with(TWIN), twin=parts.seen(parts.KEEP))
    assert (found.fixes, found.left) == ((), ())
    assert [one.finding for one in found.already] == [TWIN]


def test_what_only_people_can_settle_is_left_to_them() -> None:
    (left,) = plan(parts.night_with(night_parts.finding("SITE_DARK", safe=True))).left
    assert (left.why, left.by_hand) == ("a person decides", True)


def test_what_the_scan_was_not_sure_of_is_not_even_looked_at() -> None:
    night = parts.night_with(replace(TWIN, safe=False))
    assert candidates(night) == ()
    assert "could not prove" in plan(night).left[0].why
    assert not plan(night).left[0].by_hand


def test_what_was_not_verified_tonight_is_left() -> None:
    night = parts.night_with(TWIN, change=FindingChange.NOT_VERIFIED)
    assert candidates(night) == ()
    assert "could not read" in plan(night).left[0].why


@pytest.mark.parametrize(
    "gap",
    [
        night_parts.unread("store-042"),
        night_parts.unread(""),
        Unread("", "", "", "committed release", "templates are broken"),
    ],
)
def test_nothing_is_fixed_where_not_all_was_read(gap: Unread) -> None:
    night = parts.night_with(TWIN, unread=[gap])
    assert candidates(night) == ()
    assert "not all was read there" in plan(night).left[0].why


@pytest.mark.parametrize(
    "gap", [night_parts.unread("store-007"), night_parts.unread("", region="eu-west-2")]
)
def test_what_was_not_read_elsewhere_is_in_no_way(gap: Unread) -> None:
    assert plan(parts.night_with(TWIN, unread=[gap])).fixes


def test_what_cannot_be_read_again_is_left() -> None:
    found = plan(parts.night_with(TWIN), twin=NotRead("AccessDenied"))
    assert "AccessDenied" in found.left[0].why


def many_twins(count: int) -> list[Finding]:
    return [replace(TWIN, subject=str(number)) for number in range(count)]


def test_as_many_deregistrations_as_are_allowed_are_planned() -> None:
    found = plan(parts.night_with(*many_twins(MOST_DEREGISTRATIONS)))
    assert len(found.fixes) == MOST_DEREGISTRATIONS


def test_one_more_and_nothing_is_deregistered_but_all_else_is_done() -> None:
    found = plan(parts.night_with(TAGS, *many_twins(MOST_DEREGISTRATIONS + 1)))
    assert [fix.finding for fix in found.fixes] == [TAGS]
    assert len(found.left) == MOST_DEREGISTRATIONS + 1
    assert "51 deregistrations in one run, and at most 50" in found.left[0].why


ALLOWED = (
    DeregisterInstance,
    DeregisterNode,
    RepairAttributes,
    DeleteAttributes,
    TagResource,
    RepairNodeTags,
    RemoveActivation,
)
findings = st.builds(
    lambda one, safe, number: replace(one, safe=safe, subject=str(number)),
    st.sampled_from([TWIN, TAGS, night_parts.finding("CLONE"), night_parts.finding("TASKS_SHORT")]),
    st.booleans(),
    st.integers(0, 3),
)
gaps = st.lists(st.builds(night_parts.unread, st.sampled_from(["", "store-042", "store-7"])))


@given(st.lists(findings, max_size=8, unique_by=lambda one: one.key), gaps, st.booleans())
def test_every_finding_is_in_one_part_and_only_safe_ones_are_fixed(
    found: list[Finding], unread: list[Unread], read: bool
) -> None:
    night = parts.night_with(*found, unread=unread)
    made = plan(night, twin=TWINS if read else NotRead("away"))
    keys = [fix.finding.key for fix in made.fixes]
    keys += [one.finding.key for one in made.left] + [one.finding.key for one in made.already]
    assert sorted(keys) == sorted(one.key for one in found)
    for fix in made.fixes:
        assert fix.finding.safe
        assert CATALOGUE[fix.finding.code].fix is not None
        assert not any(gap.store in {"", "store-042"} for gap in unread)
        assert all(isinstance(deed, ALLOWED) for deed in fix.deeds)
