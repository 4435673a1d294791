import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import UsageError
from fleet.model.inventory import (
    Account,
    Architecture,
    Fleet,
    Hardware,
    Host,
    Lifecycle,
    Link,
    Source,
    Store,
)
from fleet.register.decide.agent_config import (
    config_problems,
    ecs_config,
    store_json,
    var_ecs_config,
)


def a_host(settings: Mapping[str, str] | None = None) -> Host:
    hardware = Hardware(
        "nuc", Architecture.AMD64, "amd64", agent_settings=settings or {}, accelerator=None
    )
    return Host("tel-1", "store-042", "tel-1.store-042.example", hardware)


def a_store(labels: Mapping[str, str] | None = None) -> Store:
    return Store(
        id="store-042",
        name="Zürich Sihl",
        account=Account("emea-prod", "111122223333"),
        region="eu-west-1",
        cluster="store-042",
        time_zone="Europe/Zurich",
        hours={},
        ring="canary",
        lifecycle=Lifecycle.OPEN,
        labels=labels or {},
        link=Link("lte", metered=True),
        hosts=(),
    )


def settings_of(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_agent_file_names_cluster_attributes_and_tags() -> None:
    text = ecs_config(a_store(), a_host(), {"fleet.host": "tel-1"}, {"fleet:store": "store-042"})

    assert text == (
        "ECS_CLUSTER=store-042\n"
        'ECS_INSTANCE_ATTRIBUTES={"fleet.host":"tel-1"}\n'
        'ECS_CONTAINER_INSTANCE_TAGS={"fleet:store":"store-042"}\n'
        "ECS_IMAGE_PULL_BEHAVIOR=prefer-cached\n"
    )


def test_empty_attributes_and_tags_are_left_out() -> None:
    settings = settings_of(ecs_config(a_store(), a_host(), {}, {}))

    assert set(settings) == {"ECS_CLUSTER", "ECS_IMAGE_PULL_BEHAVIOR"}


def test_hardware_overrules_the_defaults_and_adds_its_own() -> None:
    host = a_host({"ECS_RESERVED_MEMORY": "512", "ECS_IMAGE_PULL_BEHAVIOR": "once"})

    settings = settings_of(ecs_config(a_store(), host, {}, {}))

    assert settings["ECS_IMAGE_PULL_BEHAVIOR"] == "once"
    assert settings["ECS_RESERVED_MEMORY"] == "512"


@pytest.mark.parametrize("name", ["ECS_CLUSTER", "ECS_INSTANCE_ATTRIBUTES", "AWS_ACCESS_KEY_ID"])
def test_hardware_may_not_set_what_identifies_the_host(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        ecs_config(a_store(), a_host({name: "x"}), {}, {})


@pytest.mark.parametrize("name", ["ecs_reserved", "A B", "", "1ST", "A=B"])
def test_a_name_that_is_no_setting_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not an agent setting"):
        ecs_config(a_store(), a_host({name: "x"}), {}, {})


@pytest.mark.parametrize(
    "value",
    ["a\nECS_CLUSTER=other", "a\rb", "a\\b", '"quoted"', "'quoted'", " led", "trailed ", "\0"],
)
def test_a_value_that_systemd_and_docker_read_differently_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="ECS_LOGLEVEL"):
        ecs_config(a_store(), a_host({"ECS_LOGLEVEL": value}), {}, {})


def test_a_quote_inside_an_attribute_is_refused_rather_than_escaped() -> None:
    with pytest.raises(UsageError, match="ECS_INSTANCE_ATTRIBUTES"):
        ecs_config(a_store(), a_host(), {"size": 'nine"'}, {})


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_attributes_come_back_whole_or_are_refused(attributes: dict[str, str]) -> None:
    try:
        text = ecs_config(a_store(), a_host(), attributes, {})
    except UsageError:
        return
    written = settings_of(text).get("ECS_INSTANCE_ATTRIBUTES", "{}")
    assert json.loads(written) == attributes
    assert len(text.split("\n")) == len(settings_of(text)) + 1


def test_the_external_file_names_region_and_launch_type() -> None:
    assert var_ecs_config("eu-west-1") == "AWS_DEFAULT_REGION=eu-west-1\nECS_EXTERNAL=true\n"


def test_a_region_with_a_line_break_is_refused() -> None:
    with pytest.raises(UsageError):
        var_ecs_config("eu-west-1\nECS_CLUSTER=other")


def test_store_json_tells_a_container_where_it_runs() -> None:
    document = json.loads(store_json(a_store({"market": "emea"}), a_host()))

    assert document["version"] == 1
    assert document["store"]["name"] == "Zürich Sihl"
    assert document["store"]["labels"] == {"market": "emea"}
    assert document["host"] == {
        "name": "tel-1",
        "hardware": "nuc",
        "architecture": "amd64",
        "variant": "amd64",
        "accelerator": None,
    }


def test_store_json_is_the_same_for_labels_in_any_order() -> None:
    one = store_json(a_store({"a": "1", "b": "2"}), a_host())

    assert one == store_json(a_store({"b": "2", "a": "1"}), a_host())


def a_fleet(*hosts: Host) -> Fleet:
    stores = tuple(replace(a_store(), hosts=(host,)) for host in hosts)
    return Fleet("shops", "inventory", {}, {}, stores)


def test_a_fleet_whose_agent_files_can_be_written_has_no_problems() -> None:
    assert config_problems(a_fleet(a_host())) == ()


def test_what_cannot_be_written_is_a_problem_of_the_hardware_and_said_once() -> None:
    wrong = a_host({"ECS_CLUSTER": "other"})
    wrong = replace(wrong, hardware=replace(wrong.hardware, source=Source("nuc.yaml", 1)))

    (problem,) = config_problems(a_fleet(wrong, replace(wrong, name="tel-2")))

    assert (problem.file, problem.line) == ("nuc.yaml", 1)
    assert problem.message.startswith("store-042/tel-1: hardware 'nuc' may not set ECS_CLUSTER")


def test_every_combination_of_attributes_is_tried() -> None:
    fine, wrong = a_host(), replace(a_host(), attributes={"size": 'nine"'})

    (problem,) = config_problems(a_fleet(fine, fine, wrong))

    assert "ECS_INSTANCE_ATTRIBUTES" in problem.message
