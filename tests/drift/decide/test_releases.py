"""Releases: owed, pending, changed by hand, deregistered, and near the end of a quota."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.drift.decide.account import of_revisions
from fleet.drift.decide.releases import of_releases
from fleet.drift.decide.store_case import Ledgers, ShardCase
from fleet.model.drift import Background, Finding, StoreSeen
from fleet.model.drift_settings import DriftSettings, Severity
from fleet.model.observed import NotRead, Reading
from fleet.model.services import ServiceState
from fleet.model.wanted import Owed
from tests import build
from tests.drift.decide import shop
from tests.drift.decide.shop import ago, case, dark, deployment, host, only, service
from tests.rollout.decide import plans

#: As fleet left it when it sent the release before.
SENT_OLD = {**shop.TAGS, "fleet:rollout": "ro-117", "fleet:content": plans.OLD.content}
SENT_OLD["fleet:previous"] = plans.arn(40)
CONTENTS = {**shop.CONTENTS, plans.arn(40): "e" * 64}


def behind(**changes: Any) -> ServiceState:
    """Runs the release before, as fleet sent it."""
    return service(shop.OLD, **{"tags": SENT_OLD, **changes})


def owed(content: str = plans.NEW.content) -> dict[str, Owed]:
    return {shop.SERVICE: Owed("ro-118", shop.SERVICE, content, "parked", ago(hours=26))}


def found_in(*services: ServiceState, **changes: Any) -> list[Finding]:
    return of_releases(case(*services, **{"contents": CONTENTS, **changes}))


def test_a_service_that_runs_what_is_committed_is_no_finding() -> None:
    assert found_in() == []


def test_what_was_not_read_gives_no_finding() -> None:
    assert found_in(seen={"services": shop.NOT_READ}) == []
    assert found_in(service(plans.arn(99), tags=SENT_OLD)) == []


def test_a_commit_that_no_rollout_has_sent_is_pending() -> None:
    found = only(found_in(behind()))
    assert (found.code, found.severity) == ("RELEASE_PENDING", Severity.LOW)
    assert found.cause == (
        "telemetry-amd64 runs telemetry-amd64:41, and what is committed was not sent by any rollout"
    )
    assert found.fix == "fleet rollout telemetry --store store-042"


def test_a_difference_that_a_rollout_is_at_work_on_is_no_drift() -> None:
    assert found_in(behind(), want={"rolling": {shop.SERVICE: "ro-118"}}) == []


def test_a_store_that_is_back_owes_its_release_and_the_rollout_is_to_go_on() -> None:
    found = only(found_in(behind(), want={"owed": owed()}))
    assert (found.code, found.severity) == ("RELEASE_OWED", Severity.LOW)
    assert (found.fix, found.since) == ("fleet rollout resume ro-118", ago(hours=26))
    assert "since 22 Nov 00:00Z (26h, parked)" in found.cause


def test_a_store_that_is_away_owes_its_release_and_nobody_can_do_anything() -> None:
    found = only(found_in(behind(), want={"owed": owed()}, hosts=[dark()]))
    assert (found.severity, found.fix) == (Severity.INFO, "")
    assert "it is sent when the store is back" in found.cause


def test_a_service_that_was_never_made_is_owed_too() -> None:
    found = only(found_in(want={"owed": owed()}, seen={"services": Reading((), shop.NOW)}))
    assert found.code == "RELEASE_OWED"
    assert "does not have it yet" in found.cause


def test_a_store_that_has_caught_up_owes_nothing() -> None:
    assert found_in(service(), want={"owed": owed()}) == []


def test_an_older_release_that_is_owed_is_pending_by_now() -> None:
    found = only(found_in(behind(), want={"owed": owed("f" * 64)}))
    assert found.code == "RELEASE_PENDING"
    assert "also owes an older release (ro-118, parked)" in found.cause


def test_what_fleet_sent_and_set_back_is_pending_and_not_by_hand() -> None:
    found = only(found_in(service(shop.OLD)))
    assert found.code == "RELEASE_PENDING"
    assert "ro-118 sent what is committed, and it did not stay" in found.cause


def test_what_the_breaker_restored_is_told_as_a_failed_deployment_and_not_here() -> None:
    words = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/0."
    restored = deployment(shop.OLD, rollout_reason=words)
    assert found_in(service(shop.OLD, deployments=(restored,))) == []


def test_a_revision_of_nobodys_is_by_hand_since_its_deployment() -> None:
    made = deployment(shop.HAND, created_at=ago(hours=5))
    found = only(found_in(service(shop.HAND, deployments=(made,))))
    assert (found.code, found.severity, found.safe) == ("CHANGED_BY_HAND", Severity.HIGH, False)
    assert (found.since, found.since_known) == (ago(hours=5), True)
    assert found.fix == "fleet plan telemetry --store store-042 --overwrite"


def test_an_older_revision_of_fleets_that_fleet_did_not_send_is_by_hand() -> None:
    tags = {**SENT_OLD, "fleet:content": plans.NEW.content, "fleet:previous": plans.arn(40)}
    assert only(found_in(service(shop.OLD, tags=tags))).code == "CHANGED_BY_HAND"


def test_a_hand_that_did_what_is_committed_is_no_finding() -> None:
    assert found_in(service(tags=SENT_OLD)) == []


def test_a_service_that_lost_its_content_tag_and_runs_nobodys_revision_is_by_hand() -> None:
    tags = {"fleet:fleet": "emea", "fleet:store": "store-042"}
    assert only(found_in(service(shop.HAND, tags=tags))).code == "CHANGED_BY_HAND"


def test_a_service_of_somebody_else_is_not_compared() -> None:
    assert found_in(service(shop.HAND, tags={})) == []


def test_a_service_that_drains_is_not_compared() -> None:
    assert found_in(behind(status="DRAINING")) == []


def test_a_revision_that_was_deregistered_is_told_with_what_to_look_at() -> None:
    found = only(found_in(revoked=frozenset({shop.NEW})))
    assert found.code == "REVISION_GONE"
    assert found.fix == (
        "aws ecs describe-task-definition --task-definition telemetry-amd64:42 "
        "--region eu-west-1 --profile emea-prod"
    )


def test_a_deregistered_revision_that_is_behind_is_replaced_by_a_rollout() -> None:
    gone, pending = found_in(behind(), revoked=frozenset({shop.OLD}))
    assert (gone.code, pending.code) == ("REVISION_GONE", "RELEASE_PENDING")
    assert gone.fix == "fleet rollout telemetry --store store-042"


def test_whose_a_revision_was_that_nobody_can_read_any_more_is_not_concluded() -> None:
    found = found_in(service(shop.HAND), revoked=frozenset({shop.HAND}))
    assert [one.code for one in found] == ["REVISION_GONE"]


@pytest.mark.parametrize(("number", "told"), [(89, False), (90, True), (100, True)])
def test_a_family_near_its_quota_is_told_once_per_account_and_region(
    number: int, told: bool
) -> None:
    seen = [
        StoreSeen(f"store-{n}", Reading((), shop.NOW), Reading((service(runs),), shop.NOW))
        for n, runs in enumerate([plans.arn(7), plans.arn(number), plans.arn(number)])
    ]
    unread = StoreSeen("store-9", shop.NOT_READ, shop.NOT_READ)
    background = Background("emea", shop.NOW, DriftSettings(revisions=100), NotRead("-"))
    ledgers = Ledgers(shop.shard(*seen, unread), {})
    found = of_revisions(ShardCase(plans.fleet([build.store()]), ledgers, background))
    assert [(one.code, one.subject, one.store) for one in found] == (
        [("REVISIONS_QUOTA", "telemetry-amd64", "")] if told else []
    )
    assert all("--profile emea-prod" in one.fix for one in found)


def test_a_half_connected_store_has_not_come_back() -> None:
    hosts = [host("tel-1"), dark("tel-2")]
    assert only(found_in(behind(), want={"owed": owed()}, hosts=hosts)).severity is Severity.INFO


def test_another_night_keeps_since_when_it_is_known() -> None:
    first = only(found_in(behind()))
    key = replace(first).key
    again = only(found_in(behind(), first_seen={key: ago(days=4)}))
    assert (again.since, again.since_known) == (ago(days=4), False)


def test_nothing_is_owed_by_hosts_that_are_not_registered() -> None:
    nobody = host(instances=(), connection=None)
    seen: Any = {"services": Reading((), shop.NOW)}
    assert found_in(want={"owed": owed()}, hosts=[nobody], seen=seen) == []


def test_since_when_it_is_by_hand_is_open_where_the_deployment_is_of_another_revision() -> None:
    made = deployment(shop.NEW, created_at=ago(hours=5))
    found = only(found_in(service(shop.HAND, deployments=(made,))))
    assert (found.since, found.since_known) == (shop.NOW, False)
