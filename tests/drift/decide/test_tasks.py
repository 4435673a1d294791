"""Tasks: the image, the revision, the service they belong to, and whether they stop."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.drift.decide.tasks import of_digests
from fleet.model.desired import ImageFact, Release
from fleet.model.drift import Finding
from fleet.model.drift_settings import Severity
from fleet.model.inventory import SshAccess
from fleet.model.observed import Reading
from fleet.model.services import TaskState
from tests import build
from tests.drift.decide import shop
from tests.drift.decide.shop import ago, case, container, dark, host, only, service, task
from tests.rollout.decide import plans

OTHER = "sha256:" + "e" * 64
OLD_DIGEST = plans.OLD_IMAGE.rpartition("@")[2]
TAG = "images.shops.example/telemetry:latest"


def found_in(*tasks: TaskState, **changes: Any) -> list[Finding]:
    seen = {"tasks": Reading(tasks, shop.NOW), **changes.pop("seen", {})}
    return of_digests(case(**{"seen": seen, "digests": True, **changes}))


def running(digest: str, image: str = plans.NEW_IMAGE) -> TaskState:
    return task(containers=(container(image_digest=digest, image=image),))


def knowing(*facts: ImageFact) -> Release:
    release = plans.release([build.store()])
    return replace(release, images={fact.reference: fact for fact in facts})


def test_the_pinned_digest_is_no_finding() -> None:
    assert found_in(task()) == []


@pytest.mark.parametrize(
    "changes",
    [{"digests": False}, {"seen": {"tasks": shop.NOT_READ}}, {"seen": {"tasks": None}}],
    ids=["not asked for", "not read", "not there"],
)
def test_without_tasks_nothing_is_concluded(changes: dict[str, Any]) -> None:
    assert found_in(running(OLD_DIGEST), **changes) == []


def test_an_image_that_the_release_knows_as_another_is_drift() -> None:
    release = knowing(ImageFact("new", plans.NEW_IMAGE, ()), ImageFact("old", plans.OLD_IMAGE, ()))
    found = only(found_in(running(OLD_DIGEST), release=release))
    assert (found.code, found.severity) == ("IMAGE_DRIFT", Severity.MEDIUM)
    assert found.subject == "telemetry-amd64/ingest"
    assert found.fix == (
        "aws ecs stop-task --cluster store-042 --task t1 --region eu-west-1 --profile emea-prod"
    )


def test_a_digest_that_nobody_knows_is_only_told() -> None:
    found = only(found_in(running(OTHER)))
    assert (found.code, found.severity) == ("IMAGE_DRIFT", Severity.INFO)
    assert "docker may report the platform's own" in found.cause


def test_the_digest_of_the_images_own_platform_is_the_image() -> None:
    release = knowing(ImageFact("new", plans.NEW_IMAGE, (), manifests=(OTHER,)))
    assert found_in(running(OTHER), release=release) == []


def test_a_digest_that_a_known_index_does_not_hold_is_drift() -> None:
    release = knowing(ImageFact("new", plans.NEW_IMAGE, (), manifests=("sha256:" + "d" * 64,)))
    assert only(found_in(running(OTHER), release=release)).severity is Severity.MEDIUM


def test_a_task_definition_that_names_a_tag_is_compared_with_the_release() -> None:
    found = only(found_in(running(OTHER, TAG)))
    assert found.severity is Severity.MEDIUM
    assert found_in(running(plans.NEW_IMAGE.rpartition("@")[2], TAG)) == []


def test_a_container_whose_digest_nobody_says_is_no_finding() -> None:
    assert found_in(running("")) == []


def test_an_older_pinned_revision_has_its_own_digest() -> None:
    old = task(containers=(container(image_digest=OLD_DIGEST, image=plans.OLD_IMAGE),))
    assert found_in(old) == []


@pytest.mark.parametrize("away", [dark(), host(connection=None)], ids=["dark", "not certain"])
def test_what_ecs_last_heard_of_a_host_that_is_away_is_no_finding(away: Any) -> None:
    orphan = task("t2", service="")
    assert found_in(running(OTHER), orphan, hosts=[away]) == []


def test_two_containers_that_drift_alike_are_one_finding() -> None:
    both = [running(OTHER), replace(running(OTHER), arn="arn/task/t2")]
    assert only(found_in(*both)).data["task"].endswith("/t1")


def test_a_task_of_an_older_revision_than_its_service_is_told() -> None:
    found = only(found_in(task(runs=shop.OLD, containers=())))
    assert (found.code, found.since) == ("TASK_OLD_REVISION", ago(days=3))
    assert found.cause == (
        "a task of telemetry-amd64 on tel-1 runs telemetry-amd64:41, and the service has "
        "telemetry-amd64:42 for 3d"
    )


@pytest.mark.parametrize(
    "deployment",
    [
        shop.deployment(rollout_state="IN_PROGRESS"),
        shop.deployment(updated_at=ago(minutes=20)),
    ],
    ids=["in progress", "just complete"],
)
def test_an_older_task_is_let_be_while_its_deployment_is_young(deployment: Any) -> None:
    services = Reading((service(deployments=(deployment,)),), shop.NOW)
    assert found_in(task(runs=shop.OLD, containers=()), seen={"services": services}) == []


def test_an_older_task_is_let_be_while_a_rollout_is_at_work() -> None:
    old = task(runs=shop.OLD, containers=())
    assert found_in(old, want={"rolling": {shop.SERVICE: "ro-118"}}) == []


def test_a_task_of_no_service_is_told_with_how_to_stop_it() -> None:
    found = only(found_in(task("t9", service="", runs=shop.HAND)))
    assert (found.code, found.severity, found.subject) == ("TASK_ORPHAN", Severity.INFO, "t9")
    assert "--task t9" in found.fix
    assert found.since == ago(days=3)


def test_a_task_of_a_service_that_is_gone_is_an_orphan() -> None:
    found = only(found_in(task("t9", service="till")))
    assert "of till, which the cluster does not have," in found.cause


def test_a_task_of_an_unwanted_service_is_told_with_its_service_and_not_here() -> None:
    services = Reading((service(), service(name="till")), shop.NOW)
    assert found_in(task("t9", service="till"), seen={"services": services}) == []


def stopping(**span: float) -> TaskState:
    return task(desired_status="STOPPED", stopping_at=ago(**span), stopped_reason="scaling")


def test_a_task_that_should_have_stopped_on_a_connected_host_is_stuck() -> None:
    found = only(found_in(stopping(minutes=16)))
    assert (found.code, found.since) == ("TASK_STUCK_STOPPING", ago(minutes=16))
    assert found.fix == (
        "aws ssm send-command --document-name AWS-RunShellScript --instance-ids "
        f"{build.MI} --parameters 'commands=[\"systemctl restart ecs\"]' "
        "--region eu-west-1 --profile emea-prod"
    )


def test_a_host_that_is_asked_by_ssh_is_mended_by_ssh() -> None:
    box = replace(build.host(), probe="ssh", ssh=SshAccess("ops", port=2222))
    found = only(found_in(stopping(hours=1), hosts=[host(host=box)]))
    assert found.fix == (
        "ssh -p 2222 ops@tel-1.store-042.shops.example "
        "'sudo sh -c '\"'\"'systemctl restart ecs'\"'\"''"
    )


@pytest.mark.parametrize(
    ("stuck", "changes"),
    [
        (stopping(minutes=15), {}),
        (task(desired_status="STOPPED"), {}),
        (replace(stopping(hours=3), last_status="STOPPED"), {}),
        (stopping(hours=3), {"hosts": [dark()]}),
        (stopping(hours=30), {"hosts": [shop.back(connection=shop.spell(minutes=10))]}),
        (stopping(hours=3), {"want": {"rolling": {shop.SERVICE: "ro-118"}}}),
    ],
    ids=["young", "since nobody knows when", "stopped", "dark host", "just back", "rollout"],
)
def test_a_task_that_stops_is_let_be(stuck: TaskState, changes: dict[str, Any]) -> None:
    assert found_in(stuck, **changes) == []


def test_an_older_task_on_a_host_that_is_just_back_is_let_be() -> None:
    old = task(runs=shop.OLD, containers=())
    assert found_in(old, hosts=[shop.back(connection=shop.spell(minutes=29))]) == []
    late = found_in(old, hosts=[shop.back(connection=shop.spell(minutes=30))])
    assert only(late).code == "TASK_OLD_REVISION"
