"""The inputs of CreateService and UpdateService, and the preview that `render` shows."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from fleet.model.desired import LogGroup, Rendering, Scheduling, ServiceShape
from fleet.model.identity import declared_attributes
from fleet.model.inventory import Architecture, Fleet, Hardware, Image, Lifecycle, Workload
from fleet.release.decide.desired import release_of
from fleet.release.decide.service_input import (
    fleet_of_one,
    placement,
    renderings_for,
    service_input,
    service_previews,
    service_settings,
    update_input,
)
from fleet.sandbox.control_plane.cluster_query import QuerySubject, parse
from tests import build

IMAGE = "images.example/a@sha256:" + "9b" * 32
LOG = {"logDriver": "awslogs", "options": {"awslogs-group": "/shops"}}
STORE = build.store(
    build.host("cam-1", build.XAVIER), build.host("tel-1"), lifecycle=Lifecycle.PLANNED
)


def workload(name: str, box: str) -> Workload:
    image = Image(IMAGE, ("linux/amd64", "linux/arm64"))
    return Workload(name, "t.j2", {}, {"hardware": (box,)}, {"main": image})


def fleet() -> Fleet:
    workloads = (workload("telemetry", "nuc"), workload("vision", "xavier-nx"))
    return replace(build.fleet(STORE), workloads=workloads)


def rendering(name: str, variant: str) -> Rendering:
    box = build.NUC if variant == "amd64" else build.XAVIER
    container = {"name": "main", "image": IMAGE, "logConfiguration": LOG}
    body = {"family": f"{name}-{variant}", "containerDefinitions": [container]}
    return Rendering(name, variant, box.architecture, body)


RENDERINGS = (rendering("telemetry", "amd64"), rendering("vision", "arm64"))


def test_a_preview_holds_the_inputs_that_a_rollout_sends() -> None:
    alone = fleet_of_one(fleet(), STORE, [])
    release = release_of(alone, RENDERINGS, {})

    telemetry, vision = service_previews(alone, release, STORE)

    assert telemetry.hosts == (("tel-1", "nuc"),)
    assert vision.hosts == (("cam-1", "xavier-nx"),)
    assert vision.log_groups == (LogGroup("/shops", 30),)
    assert [image.reference for image in vision.images] == [IMAGE]
    words = {"cluster": "store-042", "task_definition": "vision-arm64:REVISION"}
    assert vision.create == service_input(vision.shape, **words, desired_count=1)
    assert vision.update == update_input(vision.shape, **words, desired_count=1)


def test_a_store_that_is_not_open_yet_is_taken_for_open() -> None:
    assert fleet_of_one(fleet(), STORE, []).stores[0].lifecycle is Lifecycle.OPEN


def test_only_what_a_store_has_hosts_for_is_its_own() -> None:
    only_tel = replace(STORE, hosts=STORE.hosts[1:])

    assert renderings_for(fleet(), only_tel, RENDERINGS) == RENDERINGS[:1]
    assert renderings_for(fleet_of_one(fleet(), STORE, ["vision"]), STORE, RENDERINGS[1:])


ORIN = Hardware("orin", Architecture.ARM64, "arm64/jetpack6", accelerator="orin")


def shape(*, daemon: bool = False) -> ServiceShape:
    made = Scheduling.DAEMON if daemon else Scheduling.REPLICA
    return ServiceShape("vision-amd64", "vision", "amd64", "amd64", made, ())


def problems_at_aws(body: Mapping[str, Any]) -> str:
    model = ServiceModel(Loader().load_service_model("ecs", "service-2"), "ecs")
    members = model.operation_model("CreateService").input_shape
    return str(ParamValidator().validate(body, members).generate_report())


@pytest.mark.parametrize("daemon", [False, True])
def test_the_input_of_create_service_is_one_that_ecs_knows(daemon: bool) -> None:
    made = service_input(
        shape(daemon=daemon), cluster="store-1", task_definition="vision:3", desired_count=2
    )

    assert problems_at_aws(made) == ""
    assert (made["launchType"], made["serviceName"]) == ("EXTERNAL", "vision-amd64")
    assert made.get("desiredCount") == (None if daemon else 2)


def test_a_service_is_set_so_that_a_shop_heals_itself() -> None:
    deployment = service_settings(shape())["deploymentConfiguration"]

    assert deployment == {
        "maximumPercent": 100,
        "minimumHealthyPercent": 0,
        "deploymentCircuitBreaker": {
            "enable": True,
            "rollback": True,
            "thresholdConfiguration": {"type": "COUNT", "value": 1},
        },
    }


def cameras(**where: tuple[str, ...]) -> Workload:
    return Workload("vision", "t.j2", {}, where, {})


def test_tasks_land_on_the_hosts_that_are_meant_and_on_no_other() -> None:
    where = {"accelerator": ("orin", "tegra-xavier"), "hardware": ("orin",)}

    assert placement(cameras(**where), ORIN.variant, ORIN.architecture) == (
        {"type": "distinctInstance"},
        {"type": "memberOf", "expression": "attribute:ecs.cpu-architecture == arm64"},
        {"type": "memberOf", "expression": "attribute:fleet.variant == 'arm64/jetpack6'"},
        {"type": "memberOf", "expression": "attribute:fleet.hardware == orin"},
        {"type": "memberOf", "expression": "attribute:fleet.accelerator in [orin, tegra-xavier]"},
    )


def test_the_sandbox_finds_the_meant_host_by_the_constraints() -> None:
    meant = cameras(accelerator=("orin",), variant=(ORIN.variant,))
    constraints = placement(meant, ORIN.variant, ORIN.architecture)

    def lands_on(box: Hardware) -> bool:
        host = build.host("h", box)
        attributes = declared_attributes(build.store(host), host)
        agents = {**attributes, "ecs.cpu-architecture": box.architecture.ecs}
        seen = QuerySubject(
            agent_connected=True,
            attributes=dict(agents),
            ec2_instance_id=build.MI,
        )
        asked = [one["expression"] for one in constraints if "expression" in one]
        return all(parse(expression)(seen) for expression in asked)

    assert [lands_on(box) for box in (ORIN, build.XAVIER, build.NUC)] == [True, False, False]
