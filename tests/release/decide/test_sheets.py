"""What would be sent for one store is what a rollout would send."""

from dataclasses import replace

from fleet.model.desired import LogGroup, Rendering
from fleet.model.inventory import Fleet, Image, Lifecycle, Workload
from fleet.release.decide.desired import release_of, service_input, update_input
from fleet.release.decide.sheets import fleet_of_one, renderings_for, sheets
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


def test_a_sheet_holds_the_inputs_that_a_rollout_sends() -> None:
    alone = fleet_of_one(fleet(), STORE, [])
    release = release_of(alone, RENDERINGS, {})

    telemetry, vision = sheets(alone, release, STORE)

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
