from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import UsageError
from fleet.sandbox.agents.images import (
    GOOD,
    Catalogue,
    ImageBehaviour,
    behaviour_from_json,
    behaviour_to_json,
    digest_of,
    registry_of,
)

DIGEST = "sha256:" + "a" * 64
ECR = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"

behaviours = st.builds(
    ImageBehaviour,
    size_mb=st.floats(0.5, 9000),
    architectures=st.lists(st.sampled_from(["amd64", "arm64"]), max_size=2).map(tuple),
    pull=st.sampled_from(["ok", "missing", "denied"]),
    pull_fails=st.integers(0, 9),
    run=st.sampled_from(["ok", "crash", "unhealthy", "kills-link"]),
    exit_code=st.integers(0, 255),
    log=st.text(),
    after_s=st.floats(0, 9999),
    on=st.lists(st.text(min_size=1), max_size=2).map(tuple),
)


@given(behaviours)
def test_a_behaviour_is_the_same_after_a_trip_through_json(behaviour: ImageBehaviour) -> None:
    assert behaviour_from_json(behaviour_to_json(behaviour)) == behaviour


def test_only_what_differs_from_a_good_image_is_told() -> None:
    assert behaviour_to_json(GOOD) == {}
    assert behaviour_to_json(ImageBehaviour(run="crash")) == {"run": "crash"}


@pytest.mark.parametrize(
    "content",
    [
        {"run": "explode"},
        {"size_mb": 0},
        {"size_mb": True},
        {"architectures": ["riscv"]},
        {"on": "arm64"},
        {"digest": "sha256:1"},
        {"pull_fails": 0.5},
        {"exit_code": 256},
        {"after_s": float("inf")},
        {"after": 3},
        "crash",
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(content: Any) -> None:
    catalogue = Catalogue()
    with pytest.raises(UsageError):
        catalogue.tell({"good": {"run": "crash"}, "bad": content})
    assert catalogue.as_json() == {}


@pytest.mark.parametrize(
    "name",
    [
        f"{ECR}/shops/vision:2@{DIGEST}",
        DIGEST,
        f"{ECR}/shops/vision:2",
        "shops/vision:2",
        f"{ECR}/shops/vision",
        "shops/vision",
    ],
)
def test_an_image_is_known_by_each_of_its_names(name: str) -> None:
    catalogue = Catalogue()
    catalogue.tell({name: {"run": "crash"}})
    assert catalogue.of(f"{ECR}/shops/vision:2@{DIGEST}").run == "crash"
    assert catalogue.of(f"{ECR}/shops/other:2").run == "ok"


def test_the_most_precise_name_counts() -> None:
    catalogue = Catalogue()
    catalogue.tell({"shops/vision": {"run": "crash"}, "shops/vision:2": {"run": "unhealthy"}})
    assert catalogue.of("shops/vision:2").run == "unhealthy"
    assert catalogue.of("shops/vision:1").run == "crash"


def test_a_registrys_port_is_no_tag() -> None:
    catalogue = Catalogue()
    catalogue.tell({"localhost:5000/vision": {"run": "crash"}})
    assert catalogue.of("localhost:5000/vision:3").run == "crash"


def test_nothing_makes_an_image_good_again() -> None:
    catalogue = Catalogue()
    catalogue.tell({"vision": {"run": "crash"}})
    catalogue.tell({"vision": None})
    assert catalogue.of("vision") == GOOD


def test_what_was_told_outlives_the_sandbox(tmp_path: Path) -> None:
    Catalogue(tmp_path / "images.json").tell({"vision": {"run": "crash", "on": ["arm64"]}})
    assert Catalogue(tmp_path / "images.json").as_json() == {
        "vision": {"run": "crash", "on": ["arm64"]}
    }


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "images.json").write_text("{")
    with pytest.raises(UsageError, match=r"images\.json"):
        Catalogue(tmp_path / "images.json")


def test_a_pinned_digest_is_the_digest() -> None:
    assert digest_of(f"vision@{DIGEST}") == DIGEST
    assert digest_of("vision:1") == digest_of("vision:1") != digest_of("vision:2")


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        (f"{ECR}/shops/vision:1", ECR),
        ("shops/vision", "registry-1.docker.io"),
        ("busybox", "registry-1.docker.io"),
        ("localhost:5000/vision", "localhost:5000"),
    ],
)
def test_an_image_comes_from_the_registry_in_its_name(reference: str, registry: str) -> None:
    assert registry_of(reference) == registry


def test_a_behaviour_holds_where_one_of_its_words_does() -> None:
    words = frozenset({"arm64", "aarch64", "orin", "store-042", "store-042/cam-1"})
    for word in words:
        assert ImageBehaviour(on=(word, "other")).affects(words)
    assert not ImageBehaviour(on=("amd64",)).affects(words)
    assert ImageBehaviour().affects(words)
