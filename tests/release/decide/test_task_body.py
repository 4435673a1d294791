"""What fleet adds to a task definition, so that a shop that is offline goes on."""

from typing import Any

import pytest

from fleet.model.desired import LogGroup
from fleet.release.decide.task_body import blocking_logs, finished, log_groups, log_regions

PINS = {"a": "a@sha256:1"}


def container(**changes: Any) -> dict[str, Any]:
    made = finished({"containerDefinitions": [{"image": "a", **changes}]}, PINS)
    (one,) = made["containerDefinitions"]
    return dict(one)


def logged(**options: str) -> dict[str, Any]:
    return {"image": "a", "logConfiguration": {"logDriver": "awslogs", "options": options}}


@pytest.mark.parametrize("essential", [{}, {"essential": True}])
def test_an_essential_container_restarts_without_a_control_plane(essential: dict[str, Any]) -> None:
    assert container(**essential)["restartPolicy"] == {"enabled": True, "restartAttemptPeriod": 60}


@pytest.mark.parametrize(
    ("written", "kept"),
    [({"essential": False}, None), ({"restartPolicy": {"enabled": False}}, {"enabled": False})],
)
def test_what_the_template_says_of_restarts_holds(
    written: dict[str, Any], kept: dict[str, Any] | None
) -> None:
    assert container(**written).get("restartPolicy") == kept


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, {"mode": "non-blocking", "max-buffer-size": "10m"}),
        ({"max-buffer-size": "1m"}, {"mode": "non-blocking", "max-buffer-size": "1m"}),
        ({"mode": "blocking"}, {"mode": "blocking"}),
    ],
)
def test_logs_to_cloudwatch_do_not_block_unless_they_are_told_to(
    written: dict[str, str], expected: dict[str, str]
) -> None:
    assert container(**logged(**written))["logConfiguration"]["options"] == expected


def test_other_logs_are_left_as_they_are() -> None:
    log = {"logDriver": "json-file", "options": {"max-size": "1m"}}

    assert container(logConfiguration=log)["logConfiguration"] == log


def test_ecs_is_told_to_check_for_external_instances() -> None:
    assert finished({}, {})["requiresCompatibilities"] == ["EXTERNAL"]


def test_what_was_rendered_is_not_changed() -> None:
    body = {"containerDefinitions": [logged()]}

    finished(body, PINS)

    assert body == {"containerDefinitions": [logged()]}


def test_log_groups_regions_and_blocking_containers_are_found() -> None:
    one = {"name": "main", **logged(**{"awslogs-group": "/b", "awslogs-region": "eu-west-1"})}
    two = {"name": "side", **logged(**{"awslogs-group": "/a", "mode": "blocking"})}
    body = {"containerDefinitions": [one, two, {"name": "quiet", "image": "a"}]}

    assert log_groups(body, 7) == (LogGroup("/a", 7), LogGroup("/b", 7))
    assert log_regions(body) == {"eu-west-1"}
    assert blocking_logs(body) == ("side",)
