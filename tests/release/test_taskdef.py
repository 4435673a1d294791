"""What ECS and external instances refuse, one rule each."""

from typing import Any

import pytest

from fleet.inventory.document import dotted
from fleet.model.inventory import Architecture, Hardware
from fleet.release.taskdef import external_problems, shape_problems

NUC = Hardware("nuc", Architecture.AMD64, "amd64")
JETSON = Hardware("xavier-nx", Architecture.ARM64, "arm64", default_runtime="nvidia")


def body(container: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    main = {"name": "main", "image": "a", "memory": 64, **(container or {})}
    return {"family": "vision-arm64", "containerDefinitions": [main], **changes}


def external(value: dict[str, Any], hardware: Hardware = NUC) -> list[tuple[str, str]]:
    found = external_problems(value, hardware.architecture, [hardware])
    return [(dotted(one.path), one.message) for one in found]


def test_a_plain_body_has_no_problems() -> None:
    assert shape_problems(body()) == []
    assert external(body()) == []


def test_one_container_at_least_is_essential() -> None:
    side = {"name": "side", "image": "b", "memory": 64, "essential": False}
    none = body({"essential": False})
    none["containerDefinitions"].append(side)
    one = body()
    one["containerDefinitions"].append(side)

    assert external(one) == []
    [(path, message)] = external(none)
    assert path == "containerDefinitions"
    assert message == "ECS refuses a task definition in which no container is essential"


@pytest.mark.parametrize(
    ("value", "path", "message", "hint"),
    [
        (
            body({"enviroment": []}),
            "containerDefinitions[0].enviroment",
            'RegisterTaskDefinition has no key "enviroment" here',
            'did you mean "environment"?',
        ),
        (
            body({"environment": [{"name": "PORT", "value": 8080}]}),
            "containerDefinitions[0].environment[0].value",
            "text expected, found a whole number",
            "quote it, or write {{ x | string }}",
        ),
        (
            body({"memory": "64"}),
            "containerDefinitions[0].memory",
            "a whole number expected, found text",
            None,
        ),
        (
            body({"links": "a"}),
            "containerDefinitions[0].links",
            "a list expected, found text",
            None,
        ),
        (
            body({"image": None}),
            "containerDefinitions[0].image",
            "text expected, found nothing",
            None,
        ),
        (body(volumes=["a"]), "volumes[0]", "keys and values expected, found text", None),
        (
            body({"logConfiguration": {"options": {}}}),
            "containerDefinitions[0].logConfiguration",
            'the key "logDriver" is missing',
            None,
        ),
        (
            body(networkMode="brigde"),
            "networkMode",
            '"brigde" is not a word that ECS knows here',
            'did you mean "bridge"?',
        ),
        (
            {"family": "a"},
            "",
            'the key "containerDefinitions" is missing',
            None,
        ),
    ],
)
def test_the_request_model_refuses(
    value: dict[str, Any], path: str, message: str, hint: str | None
) -> None:
    (problem,) = shape_problems(value)

    assert (dotted(problem.path), problem.message, problem.hint) == (path, message, hint)


def test_every_problem_is_found_and_one_with_line_breaks_stays_one() -> None:
    found = shape_problems(body({"memory": "a\nMissing required", "cpu": "b"}))

    assert [one.path[-1] for one in found] == ["memory", "cpu"]


def test_a_value_that_is_too_short_names_the_least() -> None:
    (problem,) = shape_problems(body(tags=[{"key": "", "value": "a"}]))

    assert (dotted(problem.path), problem.message) == ("tags[0].key", "invalid length: at least 1")


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        (body(networkMode="awsvpc"), "networkMode", 'no network mode "awsvpc"'),
        (
            body(requiresCompatibilities=["FARGATE"]),
            "requiresCompatibilities",
            "must be [EXTERNAL]",
        ),
        (
            body(requiresCompatibilities=["EC2", "EXTERNAL"]),
            "requiresCompatibilities",
            "must be [EXTERNAL]",
        ),
        (body(proxyConfiguration={"containerName": "a"}), "proxyConfiguration", "App Mesh"),
        (body(ephemeralStorage={"sizeInGiB": 30}), "ephemeralStorage", "Fargate"),
        (body(inferenceAccelerators=[{}]), "inferenceAccelerators", "Elastic Inference"),
        (body(enableFaultInjection=True), "enableFaultInjection", "fault injection"),
        (
            body(runtimePlatform={"cpuArchitecture": "ARM64"}),
            "runtimePlatform.cpuArchitecture",
            "must be X86_64",
        ),
        (body(family="a/b"), "family", "1 to 255 letters"),
        (
            body(volumes=[{"name": "a"}, {"name": "b", "efsVolumeConfiguration": {"x": 1}}]),
            "volumes[1].efsVolumeConfiguration",
            "EFS volumes",
        ),
        (
            body(volumes=[{"name": "a", "configuredAtLaunch": True}]),
            "volumes[0].configuredAtLaunch",
            "EBS volumes",
        ),
        (body({"memory": None}), "containerDefinitions[0]", "needs memory or memoryReservation"),
        (
            body({"logConfiguration": {"logDriver": "journald"}}),
            "containerDefinitions[0].logConfiguration.logDriver",
            'does not offer the log driver "journald"',
        ),
        (
            body({"logConfiguration": {"logDriver": "awslogs"}}),
            "containerDefinitions[0].logConfiguration.logDriver",
            "needs an executionRoleArn",
        ),
        (
            body({"resourceRequirements": [{"type": "InferenceAccelerator", "value": "a"}]}),
            "containerDefinitions[0].resourceRequirements[0]",
            "Elastic Inference",
        ),
    ],
)
def test_an_external_instance_refuses(value: dict[str, Any], path: str, message: str) -> None:
    ((found_path, found),) = external(value)

    assert found_path == path
    assert message in found


@pytest.mark.parametrize(
    "value",
    [
        body(networkMode="host", requiresCompatibilities=["EXTERNAL"]),
        body({"memory": None, "memoryReservation": 64}),
        body({"memory": None}, memory="512"),
        body(
            {"logConfiguration": {"logDriver": "awslogs"}}, executionRoleArn="arn:aws:iam::1:role/x"
        ),
        body({"resourceRequirements": [{"type": "GPU", "value": "1"}]}),
        body(runtimePlatform={"cpuArchitecture": "X86_64"}),
        body(volumes=[{"name": "a", "host": {"sourcePath": "/a"}}]),
    ],
)
def test_an_external_instance_takes(value: dict[str, Any]) -> None:
    assert external(value) == []


def test_a_jetson_has_no_gpu_resource() -> None:
    gpu = body({"resourceRequirements": [{"type": "GPU", "value": "1"}]})

    ((path, message),) = external(gpu, JETSON)

    assert path == "containerDefinitions[0].resourceRequirements[0]"
    assert "placed nowhere" in message


def test_a_log_driver_that_every_box_offers_is_taken() -> None:
    setting = {"ECS_AVAILABLE_LOGGING_DRIVERS": '["journald"]'}
    box = Hardware("nuc", Architecture.AMD64, "amd64", agent_settings=setting)
    value = body({"logConfiguration": {"logDriver": "journald"}})

    assert external_problems(value, box.architecture, [box]) == []
    assert len(external_problems(value, box.architecture, [box, NUC])) == 1


def test_two_containers_must_not_share_a_name() -> None:
    twice = body()
    twice["containerDefinitions"] *= 2

    assert external(twice) == [("containerDefinitions[1].name", '"main" is used twice')]


@pytest.mark.parametrize("wrong", ["text", 7, None, ["text"], {"a": 1}, [None]])
def test_whatever_shape_it_has_it_is_refused_and_never_crashes(wrong: Any) -> None:
    value = {"family": "a", "containerDefinitions": wrong, "volumes": wrong}

    external(value)
    assert shape_problems(value)
