"""Rollouts as the tags of services tell them, for whoever lost the database."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleet.model.changes import Change
from fleet.model.inventory import Store
from fleet.model.rollout import Phase, RebuiltRollout, owed
from fleet.model.services import Deployment, ServiceState, StoreView
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.rebuild import rebuild
from tests import build
from tests.rollout.decide import plans

NOW = plans.NOW
SHOPS = [plans.shop(41), plans.shop(42), plans.shop(43)]
HOUR_AGO = NOW.replace(hour=NOW.hour - 1)


def tagged(rollout: str = "ro-7", *, rev: int = 42, **changes: Any) -> ServiceState:
    """A service that a rollout told to run the release of today."""
    state = changes.pop("state", "COMPLETED")
    made = changes.pop("made", HOUR_AGO)
    newest = Deployment("ecs-svc/1", "PRIMARY", plans.arn(rev), 1, 0, 1, 0, state, created_at=made)
    tags = {
        "fleet:fleet": "emea",
        "fleet:rollout": rollout,
        "fleet:content": plans.NEW.content,
        "fleet:previous": plans.arn(41),
    }
    tags |= changes.pop("tags", {})
    return plans.service(plans.arn(rev), deployments=(newest,), tags=tags, **changes)


def behind(store: Store, **changes: Any) -> StoreView:
    """A store that runs the release of yesterday, of which no tag tells."""
    return plans.view(store, plans.service(tags={}), **changes)


def told(*views: StoreView, stores: list[Store] | None = None) -> tuple[RebuiltRollout, ...]:
    shops = stores or SHOPS
    return rebuild(
        build.fleet(*shops),
        plans.release(shops),
        {view.store: view for view in views},
        plans.CONTENTS,
        NOW,
    )


def changes(*views: StoreView) -> dict[str, Change]:
    (one,) = told(*views)
    return {change.store: change for change in one.changes}


def test_services_without_tags_tell_of_no_rollout() -> None:
    assert told(plans.view(SHOPS[0], plans.service(tags={}))) == ()


def test_a_tag_that_is_no_id_of_a_rollout_tells_of_none() -> None:
    for name in ("", "ro-", "7", "ro-x", "ro-\N{SUPERSCRIPT TWO}", "release-7"):
        assert told(plans.view(SHOPS[0], tagged(name))) == ()


def test_a_service_that_the_inventory_no_longer_knows_is_left_out() -> None:
    assert told(plans.view(SHOPS[0], tagged(name="kiosk-amd64"))) == ()


def test_a_store_that_runs_what_it_was_told_is_ok() -> None:
    row = changes(plans.view(SHOPS[0], tagged()))["store-041"]
    assert (row.stage, row.verdict) == (Stage.SENT, Verdict.OK)
    assert (row.target, row.previous) == (plans.arn(42), plans.arn(41))
    assert (row.sent_at, row.sends) == (HOUR_AGO, 1)


def test_a_store_whose_deployment_is_not_complete_is_dark() -> None:
    row = changes(plans.view(SHOPS[0], tagged(state="IN_PROGRESS")))["store-041"]
    assert (row.stage, row.verdict) == (Stage.SENT, Verdict.DARK)


def test_a_store_that_runs_something_else_than_it_was_told_has_failed() -> None:
    row = changes(plans.view(SHOPS[0], tagged(rev=41)))["store-041"]
    assert (row.stage, row.verdict, row.target) == (Stage.UNDONE, Verdict.FAILED, "")


def test_every_row_says_that_it_was_rebuilt() -> None:
    rows = changes(plans.view(SHOPS[0], tagged()), plans.view(SHOPS[1], tagged(rev=41)))
    assert all(row.reason.startswith("rebuilt from AWS: ") for row in rows.values())


def test_a_store_that_no_tag_tells_of_is_in_no_rollout() -> None:
    for other in (behind(SHOPS[1]), plans.view(SHOPS[1], plans.service(plans.arn(42), tags={}))):
        assert changes(plans.view(SHOPS[0], tagged()), other).keys() == {"store-041"}


@given(
    st.lists(
        st.sampled_from(["untagged", "behind", "ok", "dark", "failed"]), min_size=3, max_size=3
    )
)
def test_a_rollout_has_exactly_the_stores_that_carry_its_tag(kinds: list[str]) -> None:
    made = {
        "untagged": plans.service(plans.arn(42), tags={}),
        "behind": plans.service(tags={}),
        "ok": tagged(),
        "dark": tagged(state="IN_PROGRESS"),
        "failed": tagged(rev=41),
    }
    views = [plans.view(shop, made[kind]) for shop, kind in zip(SHOPS, kinds, strict=True)]
    told_of = {c.store for one in told(*views) for c in one.changes}
    carrying = {"ok", "dark", "failed"}
    assert told_of == {s.id for s, kind in zip(SHOPS, kinds, strict=True) if kind in carrying}
    assert all(owed(one.changes, Phase.REBUILT) == () for one in told(*views))


def test_a_store_that_failed_waits_for_a_person_and_owes_nothing() -> None:
    (row,) = changes(plans.view(SHOPS[0], tagged(rev=41))).values()
    assert row.verdict is Verdict.FAILED


def test_rollouts_come_oldest_first_by_number_and_not_by_letter() -> None:
    found = told(plans.view(SHOPS[0], tagged("ro-10")), plans.view(SHOPS[1], tagged("ro-9")))
    assert [one.id for one in found] == ["ro-9", "ro-10"]


def test_a_rollout_began_with_its_first_deployment() -> None:
    (one,) = told(plans.view(SHOPS[0], tagged()), plans.view(SHOPS[1], tagged(made=NOW)))
    assert one.began == HOUR_AGO


def test_a_service_without_a_deployment_began_when_it_was_made() -> None:
    bare = tagged()
    bare = plans.service(bare.task_definition, tags=bare.tags, created_at=HOUR_AGO)
    (one,) = told(plans.view(SHOPS[0], bare))
    assert one.began == HOUR_AGO


def test_the_spec_has_all_that_a_tick_needs_of_each_row() -> None:
    (one,) = told(plans.view(SHOPS[0], tagged()), behind(SHOPS[1]))
    for row in one.changes:
        assert row.service in one.spec.shapes
        assert row.content in one.spec.task_definitions
        assert one.spec.places[row.store].hosts[row.service] == ("tel-1",)
    assert one.spec.waves[0].stores == ("store-041",)


def test_the_body_of_an_older_release_is_not_needed() -> None:
    older = tagged(tags={"fleet:content": "e" * 64})
    (one,) = told(plans.view(SHOPS[0], older))
    assert one.spec.task_definitions.keys() == {"e" * 64}
