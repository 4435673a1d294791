"""A diff says what changes, nothing that ECS fills in, and never a secret."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.images import images_of
from fleet.release.decide.task_diff import LONGEST, short_image, task_diff

OLD = "images.shops.example/vision@sha256:" + "a" * 64
NEW = "images.shops.example/vision@sha256:" + "b" * 64


def body(**container: Any) -> dict[str, Any]:
    return {
        "family": "vision-arm64",
        "containerDefinitions": [{"name": "inference", "image": OLD, **container}],
    }


def env(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def test_equal_bodies_differ_in_nothing() -> None:
    assert task_diff(body(memory=512), body(memory=512)) == ()


def test_an_image_is_shown_by_name_and_short_digest() -> None:
    assert task_diff(body(), body(image=NEW)) == (
        "~ inference.image  images.shops.example/vision@sha256:aaaaaaaa… -> "
        "images.shops.example/vision@sha256:bbbbbbbb…",
    )


def test_variables_are_known_by_name_whatever_their_order() -> None:
    before = body(environment=env(MODEL="v7", FPS="12"))
    after = body(environment=env(FPS="15", MODEL="v7"))
    assert task_diff(before, after) == ("~ inference.environment.FPS  12 -> 15",)


def test_what_is_added_and_what_goes_is_marked() -> None:
    before, after = body(environment=env(OLD="1")), body(environment=env(NEWER="2"))
    assert task_diff(before, after) == (
        "+ inference.environment.NEWER  2",
        "- inference.environment.OLD  1",
    )


def test_what_ecs_fills_in_is_no_change() -> None:
    registered = body(cpu=0, environment=[], mountPoints=[], volumesFrom=[], essential=True)
    registered |= {"taskDefinitionArn": "arn", "revision": 7, "status": "ACTIVE", "volumes": []}
    assert task_diff(registered, body()) == ()


def test_a_value_that_was_a_default_is_told_as_one() -> None:
    assert task_diff(body(), body(essential=False)) == ("~ inference.essential  true -> false",)


def test_a_container_that_is_new_is_told_by_its_parts() -> None:
    after = body()
    after["containerDefinitions"].append({"name": "side", "image": NEW})
    assert "+ side.image  images.shops.example/vision@sha256:bbbbbbbb…" in task_diff(body(), after)


def test_a_new_service_is_told_by_its_images_and_sizes() -> None:
    assert task_diff(None, body(memory=512, environment=env(A="1"))) == (
        "+ inference.image  images.shops.example/vision@sha256:aaaaaaaa…",
        "+ inference.memory  512",
    )


@pytest.mark.parametrize(
    "name", ["DB_PASSWORD", "API_KEY", "apikey", "AUTH_TOKEN", "SENTRY_DSN", "client_secret", "KEY"]
)
def test_the_value_of_what_is_named_like_a_secret_is_not_shown(name: str) -> None:
    before, after = (body(environment=env(**{name: f"hunter{n}"})) for n in (1, 2))
    (line,) = task_diff(before, after)
    assert line == f"~ inference.environment.{name}  changed (not shown)"


@pytest.mark.parametrize(
    "value", ["https://me:hunter2@host/x", "--password=hunter2", "token: hunter2"]
)
def test_a_value_that_holds_a_secret_is_not_shown(value: str) -> None:
    lines = task_diff(body(), body(environment=env(ENDPOINT=value), command=["run", value]))
    assert lines
    assert "hunter2" not in "".join(lines)


def test_the_name_of_a_stored_secret_is_shown() -> None:
    after = body(secrets=[{"name": "DB_PASSWORD", "valueFrom": "arn:aws:ssm:::parameter/db"}])
    assert task_diff(body(), after) == (
        "+ inference.secrets.DB_PASSWORD  arn:aws:ssm:::parameter/db",
    )


def test_options_of_the_log_driver_are_secrets_too() -> None:
    after = body(logConfiguration={"logDriver": "splunk", "options": {"splunk-token": "hunter2"}})
    assert "hunter2" not in "".join(task_diff(body(), after))


def test_two_entries_of_one_name_are_both_told() -> None:
    doubled = [*env(A="1"), *env(A="2")]
    assert len(task_diff(body(), body(environment=doubled))) == 2


def test_long_values_are_cut_and_control_characters_do_not_pass() -> None:
    (line,) = task_diff(body(), body(environment=env(NOTE="\x1b[31m" + "x" * 500)))
    assert "\x1b" not in line
    assert len(line) < LONGEST + 60


def test_a_reference_by_tag_stays_as_it_is() -> None:
    assert short_image("repo/vision:1.9") == "repo/vision:1.9"


def test_the_images_of_a_body_are_named_once() -> None:
    two = {"containerDefinitions": [{"image": OLD}, {"image": NEW}, {"image": OLD}, {}]}
    assert images_of(two) == (OLD, NEW)


PLAIN = st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=5)
BODIES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("name", "value", "image", "cpu", "x")), inner)
    ),
    max_leaves=12,
).map(lambda value: {"family": "f", "containerDefinitions": [{"name": "c", "extra": value}]})


@given(BODIES)
def test_any_body_differs_from_itself_in_nothing(one: dict[str, Any]) -> None:
    assert task_diff(one, one) == ()
