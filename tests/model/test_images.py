"""What the words of an image reference say."""

import pytest

from fleet.model.images import fits, images_of, is_by_digest, is_in_ecr
from fleet.model.inventory import Architecture

DIGEST = "sha256:" + "9b" * 32
ECR = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/vision"


@pytest.mark.parametrize(
    ("reference", "in_ecr", "by_digest"),
    [
        (f"{ECR}:1.9", True, False),
        (f"{ECR}@{DIGEST}", True, True),
        (f"{ECR}:1.9@{DIGEST}", True, True),
        (ECR, True, False),
        (f"images.example/vision@{DIGEST}", False, True),
        ("images.example/vision:1.9", False, False),
        (f"images.example/vision@{DIGEST[:-1]}", False, False),
        (f"evil.example/{ECR}:1", False, False),
    ],
)
def test_a_reference_says_where_an_image_is_and_whether_it_can_change(
    reference: str, in_ecr: bool, by_digest: bool
) -> None:
    assert (is_in_ecr(reference), is_by_digest(reference)) == (in_ecr, by_digest)


@pytest.mark.parametrize(
    ("platforms", "expected"),
    [
        (["linux/arm64"], True),
        (["linux/amd64", "linux/arm64/v8"], True),
        (["linux/amd64"], False),
        (["linux/arm64be"], False),
        (["windows/arm64"], False),
        ([], False),
    ],
)
def test_an_index_fits_an_architecture_in_any_variant(platforms: list[str], expected: bool) -> None:
    assert fits(platforms, Architecture.ARM64) is expected


def test_the_images_of_a_body_come_container_by_container() -> None:
    assert list(images_of({"containerDefinitions": [{"image": "b"}, {"image": "a"}]})) == ["b", "a"]
