"""Rollouts as the tags of services tell them, for whoever lost the database."""

from typing import Any

from fleet.model.changes import CONVOY, Change
from fleet.model.inventory import Store
from fleet.model.rollout import RebuiltRollout
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
    rows = changes(plans.view(SHOPS[0], tagged()), behind(SHOPS[1]))
    assert all(row.reason.startswith("rebuilt from AWS: ") for row in rows.values())


def test_a_store_that_should_run_the_release_and_does_not_owes_it() -> None:
    rows = changes(plans.view(SHOPS[0], tagged()), behind(SHOPS[1]))
    owed = rows["store-042"]
    assert (owed.stage, owed.verdict, owed.wave) == (Stage.PLANNED, Verdict.PARKED, CONVOY)
    assert (owed.previous, owed.sends) == (plans.arn(41), 0)


def test_a_store_that_runs_the_release_without_a_tag_owes_nothing() -> None:
    there = plans.service(plans.arn(42), tags={})
    assert changes(plans.view(SHOPS[0], tagged()), plans.view(SHOPS[1], there)).keys() == {
        "store-041"
    }


def test_a_store_that_is_not_registered_owes_nothing() -> None:
    nowhere = behind(SHOPS[1], instances=())
    assert "store-042" not in changes(plans.view(SHOPS[0], tagged()), nowhere)


def test_a_registered_store_without_the_service_owes_it_for_each_host() -> None:
    empty = plans.view(
        SHOPS[1], plans.service(name="other"), instances=(plans.instance(), plans.instance("b"))
    )
    owed = changes(plans.view(SHOPS[0], tagged()), empty)["store-042"]
    assert (owed.previous, owed.desired_count, owed.previous_count) == ("", 2, 0)


def test_what_a_store_owes_is_not_guessed_where_it_could_not_be_read() -> None:
    unread = behind(SHOPS[1], problem="no answer")
    assert changes(plans.view(SHOPS[0], tagged()), unread).keys() == {"store-041"}


def test_nothing_is_owed_of_a_release_that_no_service_was_told() -> None:
    old = tagged(rev=41, tags={"fleet:content": plans.OLD.content})
    assert changes(plans.view(SHOPS[0], old), behind(SHOPS[1])).keys() == {"store-041"}


def test_a_store_that_failed_waits_for_a_person_and_owes_nothing() -> None:
    (row,) = changes(plans.view(SHOPS[0], tagged(rev=41))).values()
    assert row.verdict is Verdict.FAILED


def test_rollouts_come_oldest_first_by_number_and_not_by_letter() -> None:
    found = told(plans.view(SHOPS[0], tagged("ro-10")), plans.view(SHOPS[1], tagged("ro-9")))
    assert [one.id for one in found] == ["ro-9", "ro-10"]


def test_the_newest_rollout_of_the_release_is_the_one_that_is_owed() -> None:
    found = told(
        plans.view(SHOPS[0], tagged("ro-9")),
        plans.view(SHOPS[1], tagged("ro-10")),
        behind(SHOPS[2]),
    )
    assert [[c.store for c in one.changes] for one in found] == [
        ["store-041"],
        ["store-042", "store-043"],
    ]


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
