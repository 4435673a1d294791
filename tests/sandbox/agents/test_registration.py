import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.sandbox.agents.machine import Facts
from fleet.sandbox.agents.registration import (
    ConfigInvalid,
    SavedState,
    Settings,
    read_config,
    read_settings,
    read_state,
    register_body,
)
from tests.sandbox.shop import Shop

FACTS = Facts("box", "aarch64", ("Ubuntu", "20.04"), 6, 6854, "24.0.7")


def attributes(body: dict[str, Any]) -> dict[str, str]:
    return {a["name"]: a.get("value", "") for a in body["attributes"]}


def test_the_later_config_file_wins(shop: Shop) -> None:
    host = shop.host()
    shop.configure(host, "AWS_DEFAULT_REGION=us-east-1")
    assert read_config(host)["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert read_config(host)["ECS_CLUSTER"] == "store-042"


def test_a_first_registration_names_its_attributes_and_tags() -> None:
    config = {
        "ECS_CLUSTER": "store-042",
        "ECS_INSTANCE_ATTRIBUTES": json.dumps({"fleet.variant": "arm64"}),
        "ECS_CONTAINER_INSTANCE_TAGS": json.dumps({"fleet:store": "store-042"}),
    }
    body = register_body(FACTS, config, None)
    assert attributes(body)["fleet.variant"] == "arm64"
    assert body["tags"] == [{"key": "fleet:store", "value": "store-042"}]
    assert "containerInstanceArn" not in body


def test_a_later_registration_names_itself_and_none_of_them() -> None:
    config = {"ECS_CLUSTER": "c", "ECS_INSTANCE_ATTRIBUTES": json.dumps({"fleet.variant": "a"})}
    body = register_body(FACTS, config, SavedState("c", "arn:x"))
    assert "fleet.variant" not in attributes(body)
    assert "tags" not in body
    assert body["containerInstanceArn"] == "arn:x"


def test_a_jetson_calls_itself_arm64_and_external() -> None:
    own = attributes(register_body(FACTS, {}, None))
    assert own["ecs.cpu-architecture"] == "arm64"
    assert "ecs.capability.external" in own


def test_reserved_memory_is_taken_off() -> None:
    body = register_body(FACTS, {"ECS_RESERVED_MEMORY": "512"}, None)
    memory = next(r for r in body["totalResources"] if r["name"] == "MEMORY")
    assert memory["integerValue"] == 6854 - 512


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', "a=b"])
def test_attributes_that_are_no_hash_of_strings_are_invalid(text: str) -> None:
    with pytest.raises(ConfigInvalid):
        register_body(FACTS, {"ECS_INSTANCE_ATTRIBUTES": text}, None)


@given(st.text(max_size=300))
def test_no_saved_state_however_damaged_crashes_the_agent(text: str) -> None:
    class Machine:
        def kept(self, _absolute: str) -> str:
            return text

    read_state(Machine())  # type: ignore[arg-type]  # only the reading of its file is used


def test_an_empty_configuration_has_the_agents_defaults() -> None:
    assert read_settings({}) == Settings()


def test_durations_are_read_as_go_writes_them() -> None:
    settings = read_settings(
        {"ECS_CONTAINER_STOP_TIMEOUT": "1m30s", "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION": "2h"}
    )
    assert (settings.stop_timeout_s, settings.task_cleanup_s) == (90, 7200)


@pytest.mark.parametrize("text", ["30", "soon", "5m later", "-3s"])
def test_a_duration_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigInvalid, match="ECS_CONTAINER_STOP_TIMEOUT"):
        read_settings({"ECS_CONTAINER_STOP_TIMEOUT": text})


def test_an_unknown_pull_behaviour_is_the_default_one() -> None:
    assert read_settings({"ECS_IMAGE_PULL_BEHAVIOR": "sometimes"}).pull == "default"
