"""What every store should run, of one committed inventory."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import InventoryError
from fleet.model.desired import ImageFact, Release, Rendering, Scheduling, content_of
from fleet.model.inventory import (
    Architecture,
    Fleet,
    Hardware,
    Image,
    Lifecycle,
    Source,
    Store,
    Workload,
)
from fleet.model.policy import Policy
from fleet.release.decide.desired import image_questions, release_of, unread
from tests import build

DIGEST = "sha256:" + "9b" * 32
OUTSIDE = f"images.example/vision@{DIGEST}"
ECR = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/vision"
ORIN = Hardware("orin", Architecture.ARM64, "arm64/jetpack6", accelerator="orin")
BOTH = ("linux/amd64", "linux/arm64/v8")


def workload(image: str = OUTSIDE, **changes: Any) -> Workload:
    value = Workload(
        "vision",
        "vision.j2",
        {},
        {"hardware": ("nuc",)},
        {"main": Image(image, BOTH)},
        source=Source("vision.yaml", 1),
    )
    return replace(value, **changes)


def rendering(
    box: Hardware = build.NUC, image: str = OUTSIDE, name: str = "vision", **changes: Any
) -> Rendering:
    family = f"{name}-{box.variant}".replace("/", "-")
    container = {"name": "main", "image": image, "memory": 64}
    body = {"family": family, "containerDefinitions": [container]}
    return replace(Rendering(name, box.variant, box.architecture, body), **changes)


def shop(id_: str = "store-042", *boxes: Hardware, **changes: Any) -> Store:
    hosts = tuple(
        build.host(f"h-{number}", box, id_) for number, box in enumerate(boxes or (build.NUC,))
    )
    return build.store(**{"id": id_, "hosts": hosts, **changes})


def fleet(*stores: Store, workloads: tuple[Workload, ...] = (workload(),)) -> Fleet:
    value = build.fleet(*stores or (shop(),))
    boxes = {box.name: box for box in (build.NUC, build.XAVIER, ORIN)}
    return replace(value, hardware=boxes, workloads=workloads, digest="abc")


def release(
    made: Fleet, *renderings: Rendering, images: Mapping[str, ImageFact] | None = None
) -> Release:
    return release_of(made, renderings or (rendering(),), images or {})


def refusal(made: Fleet, *renderings: Rendering, **images: ImageFact) -> str:
    with pytest.raises(InventoryError) as refused:
        release(made, *renderings, images=images)
    return str(refused.value)


def body_of(made: Release) -> Mapping[str, Any]:
    (definition,) = made.task_definitions.values()
    return definition.body


def test_a_store_runs_one_service_per_workload_and_variant() -> None:
    cameras = workload(name="vision", where={"architecture": ("arm64",)})
    made = release(
        fleet(shop("store-1", build.XAVIER, ORIN, build.XAVIER), workloads=(cameras,)),
        rendering(build.XAVIER),
        rendering(ORIN),
    )

    assert [(one.store, one.service, one.hosts) for one in made.services] == [
        ("store-1", "vision-arm64", ("h-0", "h-2")),
        ("store-1", "vision-arm64-jetpack6", ("h-1",)),
    ]


@pytest.mark.parametrize("life", [one for one in Lifecycle if one is not Lifecycle.OPEN])
def test_only_open_stores_are_to_run_anything(life: Lifecycle) -> None:
    made = release(fleet(shop("store-1", lifecycle=life), shop("store-2")))

    assert [one.store for one in made.services] == ["store-2"]


@pytest.mark.parametrize(
    ("where", "stores"),
    [
        ({"ring": ("canary",)}, ["s-1"]),
        ({"store": ("s-2", "s-3")}, ["s-2", "s-3"]),
        ({"label.market": ("uk",)}, ["s-2"]),
        ({"label.market": ("uk",), "ring": ("canary",)}, []),
        ({"hardware": ("nuc",), "architecture": ("amd64",)}, ["s-1", "s-2", "s-3"]),
    ],
)
def test_conditions_on_stores_choose_them(
    where: Mapping[str, tuple[str, ...]], stores: list[str]
) -> None:
    shops = (
        shop("s-1", ring="canary"),
        shop("s-2", labels={"market": "uk"}),
        shop("s-3", labels={"market": "de"}),
    )
    made = release(fleet(*shops, workloads=(workload(where=where),)))

    assert [one.store for one in made.services] == stores


def test_a_workload_that_no_open_store_has_a_host_for_is_said() -> None:
    made = release(fleet(shop("store-1", build.XAVIER)))

    assert made.notes == ("vision on amd64: no open store has such a host",)
    assert made.shapes == {}


def test_equal_bodies_share_one_address() -> None:
    made = release(fleet(shop("store-1"), shop("store-2")))

    (content,) = made.task_definitions
    assert {one.content for one in made.services} == {content}
    assert content == content_of(body_of(made))


def test_a_tag_becomes_the_digest_that_it_stands_for() -> None:
    facts = {f"{ECR}:1.9": ImageFact(f"{ECR}:1.9", f"{ECR}@{DIGEST}", BOTH, source="ecr")}
    made = release(
        fleet(workloads=(workload(f"{ECR}:1.9", images={}),)),
        rendering(image=f"{ECR}:1.9"),
        images=facts,
    )

    assert body_of(made)["containerDefinitions"][0]["image"] == f"{ECR}@{DIGEST}"
    assert made.images == facts


@pytest.mark.parametrize(
    ("image", "declared", "asked"),
    [
        (OUTSIDE, BOTH, False),
        (f"{ECR}:1.9", (), True),
        (f"{ECR}:1.9", BOTH, True),
        (f"{ECR}@{DIGEST}", (), True),
        (f"{ECR}@{DIGEST}", BOTH, False),
        (f"{ECR}:1.9@{DIGEST}", BOTH, False),
    ],
)
def test_ecr_is_asked_about_what_the_inventory_does_not_tell(
    image: str, declared: tuple[str, ...], asked: bool
) -> None:
    made = fleet(workloads=(workload(images={"main": Image(image, declared)}),))

    assert image_questions(made, [rendering(image=image)]) == ((image,) if asked else ())


def test_sizes_that_are_told_are_kept_in_bytes() -> None:
    told = workload(images={"main": Image(OUTSIDE, BOTH, size_mb=1.5)})

    assert release(fleet(workloads=(told,))).images[OUTSIDE].bytes == dict.fromkeys(BOTH, 1_500_000)


def test_an_image_that_lacks_an_architecture_is_refused() -> None:
    arm = Image(OUTSIDE, ("linux/arm64",))

    said = refusal(fleet(workloads=(workload(images={"main": arm}),)))

    assert "vision.yaml:1: vision: the image" in said
    assert f'"{OUTSIDE}" holds linux/arm64, not linux/amd64, which amd64 needs' in said


def test_an_index_that_holds_nothing_known_is_refused() -> None:
    fact = ImageFact(OUTSIDE, OUTSIDE, (), source="ecr")

    assert "holds nothing that could be told" in refusal(fleet(), **{OUTSIDE: fact})


def test_an_image_that_nobody_asked_about_is_refused() -> None:
    bare = fleet(workloads=(workload(f"{ECR}:1", images={}),))

    assert "nobody asked ECR" in refusal(bare, rendering(image=f"{ECR}:1"))


def test_an_answer_without_a_digest_is_refused() -> None:
    fact = ImageFact(f"{ECR}:1", f"{ECR}:1", BOTH, source="ecr")
    bare = fleet(workloads=(workload(images={}),))

    assert "has no digest" in refusal(bare, rendering(image=f"{ECR}:1"), **{f"{ECR}:1": fact})


def test_an_unread_image_is_good_for_looking_and_says_so() -> None:
    tag = f"{ECR}:1"
    made = release(
        fleet(workloads=(workload(images={}),)), rendering(image=tag), images={tag: unread(tag)}
    )

    assert made.notes == (f"{tag}: only a plan asks ECR for its digest",)


def test_all_refusals_come_at_once() -> None:
    two = (workload(images={}), workload(name="other", images={}))
    said = refusal(
        fleet(workloads=two),
        rendering(image=f"{ECR}:1"),
        rendering(image=f"{ECR}:2", name="other"),
    )

    assert "2 problems" in said


def test_two_services_of_one_name_are_refused() -> None:
    fine = Hardware("fine", Architecture.ARM64, "arm64/x")
    plain = workload(name="a", where={"hardware": ("fine",)})
    other = workload(name="a-arm64", where={"hardware": ("odd",)})
    odd = Hardware("odd", Architecture.ARM64, "x")
    made = replace(
        fleet(shop("s", fine, odd), workloads=(plain, other)),
        hardware={"fine": fine, "odd": odd},
    )

    said = refusal(made, rendering(fine, name="a"), rendering(odd, name="a-arm64"))

    assert 'the service "a-arm64-x" is also that of a on arm64/x' in said


def test_daemons_are_only_made_where_they_are_asked_for() -> None:
    replica = release(fleet()).shapes["vision-amd64"]
    daemon = release(fleet(workloads=(workload(daemon=True),))).shapes["vision-amd64"]

    assert (replica.scheduling, daemon.scheduling) == (Scheduling.REPLICA, Scheduling.DAEMON)
    assert {"type": "distinctInstance"} not in daemon.placement


def test_the_breaker_is_the_policys() -> None:
    careful = replace(
        fleet(workloads=(workload(policy="careful"),)),
        policies={"careful": Policy("careful", breaker_count=2)},
    )

    assert release(careful).shapes["vision-amd64"].breaker_count == 2


def per_store(*stores: Store, **options: str) -> Release:
    """A release whose bodies name the store in the log group."""
    made = []
    for one in stores:
        log = {"logDriver": "awslogs", "options": {"awslogs-group": f"/{one.id}", **options}}
        body = dict(rendering().body)
        body["containerDefinitions"] = [
            {**body["containerDefinitions"][0], "logConfiguration": log}
        ]
        made.append(rendering(body=body, store=one.id, uses=("store.id",)))
    return release(fleet(*stores), *made)


def test_bodies_of_their_own_are_counted_and_said() -> None:
    made = per_store(shop("s-1"), shop("s-2"))

    assert len(made.task_definitions) == 2
    assert made.notes == (
        "vision-amd64: its template uses store.id, which makes 2 task definitions",
    )
    assert [group.name for group in made.shapes["vision-amd64"].log_groups] == ["/s-1", "/s-2"]


def test_many_bodies_say_how_long_they_take_and_what_to_use_instead() -> None:
    (note,) = per_store(*(shop(f"s-{number}") for number in range(500))).notes

    assert "500 of them in emea-prod/eu-west-1" in note
    assert "at least 8m" in note
    assert "/etc/fleet/store.json" in note


def test_logs_that_go_to_another_region_than_the_stores_are_said() -> None:
    made = per_store(shop("s-1"), **{"awslogs-region": "us-east-1"})

    assert any("stores in eu-west-1 send their logs to us-east-1" in note for note in made.notes)


def test_logs_that_block_are_said() -> None:
    made = per_store(shop("s-1"), mode="blocking")

    assert any("the log of main is blocking" in note for note in made.notes)


def test_equal_releases_are_one_release_and_others_are_not() -> None:
    made = fleet(shop("s-1"), shop("s-2"))
    other = replace(made, stores=made.stores[:1])

    assert release(made).id == release(made).id
    assert release(made).id != release(other).id
    assert len(release(made).id) == 12


@given(st.permutations(["s-1", "s-2", "s-3"]))
def test_the_order_of_the_inventory_does_not_matter(order: list[str]) -> None:
    first = release(fleet(*(shop(name) for name in sorted(order))))

    assert release(fleet(*(shop(name) for name in order))) == first


def test_a_large_fleet_is_a_release_within_seconds() -> None:
    cameras = workload(name="cameras", where={"hardware": ("xavier-nx",)})
    made = fleet(
        *(shop(f"s-{number}", build.NUC, build.XAVIER) for number in range(10_000)),
        workloads=(workload(), cameras),
    )
    began = time.process_time()

    services = release(made, rendering(), rendering(build.XAVIER, name="cameras")).services

    assert len(services) == 20_000
    assert time.process_time() - began < 3
