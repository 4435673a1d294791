import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import boto3
import pytest

from fleet.aws.images import INDEXES, MANIFESTS, ecr_reference, image_fact
from fleet.aws.session import Shard
from fleet.errors import AccessDenied, AwsError, AwsUnreachable, CredentialsError, Throttled
from fleet.model.inventory import Account, Image
from tests.aws.canned import Answer, Canned, fault, html, reply, reset
from tests.aws.conftest import REGION, Open
from tests.sandbox.control_plane.rig import APAC, EMEA, Rig

NAME = f"{EMEA}.dkr.ecr.{REGION}.amazonaws.com/fleet/vision"
TAGGED = Image(f"{NAME}:1.9.0")
PASSING = [
    fault("ThrottlingException"),
    html(503),
    reset,
    reply(b'{"images": [', length=1000),
]


def digest_of(text: str) -> str:
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def manifest(*sizes: int, config: str = "{}") -> str:
    layers = [{"digest": digest_of(str(size)), "size": size} for size in sizes]
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFESTS[0],
            "config": {"digest": digest_of(config), "size": len(config)},
            "layers": layers,
        }
    )


def entry(text: str, os: str, architecture: str, **more: Any) -> dict[str, Any]:
    platform = {"os": os, "architecture": architecture, **more.pop("platform", {})}
    return {"digest": digest_of(text), "size": len(text), "platform": platform, **more}


def index(*entries: Mapping[str, Any], media_type: str = INDEXES[0]) -> str:
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": entries})


def answer(*manifests: str) -> Answer:
    images = [
        {"imageId": {"imageDigest": digest_of(text)}, "imageManifest": text} for text in manifests
    ]
    return reply({"images": images, "failures": []})


def not_found(code: str = "ImageNotFound") -> Answer:
    failure = {"imageId": {"imageTag": "1.9.0"}, "failureCode": code, "failureReason": "said so"}
    return reply({"images": [], "failures": [failure]})


ARM, AMD = manifest(1000, 200), manifest(3000)
BOTH = index(entry(ARM, "linux", "arm64"), entry(AMD, "linux", "amd64"))


@pytest.mark.parametrize("media_type", INDEXES)
def test_an_index_in_the_registry_is_pinned_with_its_platforms_and_sizes(
    shard: Shard, rig: Rig, media_type: str
) -> None:
    text = index(entry(ARM, "linux", "arm64"), entry(AMD, "linux", "amd64"), media_type=media_type)
    ecr = boto3.client("ecr", region_name=REGION)
    try:
        push(ecr, {"": ARM, "-": AMD, "1.9.0": text})
        fact = image_fact(shard, TAGGED).value
    finally:
        ecr.delete_repository(repositoryName="fleet/vision", force=True)
        ecr.close()
    assert fact.pinned == f"{NAME}@{digest_of(text)}"
    assert (fact.reference, fact.source) == (TAGGED.reference, "ecr")
    assert fact.platforms == ("linux/arm64", "linux/amd64")
    assert fact.bytes == {"linux/arm64": 1202, "linux/amd64": 3002}
    assert fact.manifests == (digest_of(ARM), digest_of(AMD))


def push(ecr: Any, by_tag: Mapping[str, str]) -> None:
    """Put manifests under their digests; the ones that an index names have no tag to be used."""
    ecr.create_repository(repositoryName="fleet/vision")
    for tag, text in by_tag.items():
        named = {"imageTag": tag} if tag.strip("-") else {}
        ecr.put_image(
            repositoryName="fleet/vision",
            imageManifest=text,
            imageManifestMediaType=json.loads(text)["mediaType"],
            imageDigest=digest_of(text),
            **named,
        )


def test_both_kinds_of_index_and_of_manifest_are_asked_for(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [answer(BOTH), answer(ARM, AMD)]
    image_fact(open_shard(), TAGGED)
    first, second = map(json.loads, canned.bodies)
    assert first == {
        "registryId": EMEA,
        "repositoryName": "fleet/vision",
        "imageIds": [{"imageTag": "1.9.0"}],
        "acceptedMediaTypes": [*INDEXES, *MANIFESTS],
    }
    assert second["imageIds"] == [
        {"imageDigest": digest_of(ARM)},
        {"imageDigest": digest_of(AMD)},
    ]


def test_attestations_are_no_platforms(canned: Canned, open_shard: Open) -> None:
    attests = {"vnd.docker.reference.type": "attestation-manifest"}
    text = index(
        entry(ARM, "linux", "arm64"),
        entry("provenance", "unknown", "unknown"),
        entry("sbom", "linux", "amd64", annotations=attests),
        {"digest": digest_of("bare"), "size": 1},
    )
    canned.answers = [answer(text), answer(ARM)]
    assert image_fact(open_shard(), TAGGED).value.platforms == ("linux/arm64",)


@pytest.mark.parametrize(
    ("architecture", "variant", "platform"),
    [
        ("arm64", "v8", "linux/arm64"),
        ("amd64", "v1", "linux/amd64"),
        ("amd64", "v3", "linux/amd64/v3"),
        ("arm", "v7", "linux/arm/v7"),
    ],
)
def test_a_variant_is_named_where_it_says_more_than_the_architecture(
    canned: Canned, open_shard: Open, architecture: str, variant: str, platform: str
) -> None:
    text = index(entry(ARM, "linux", architecture, platform={"variant": variant}))
    canned.answers = [answer(text), answer(ARM)]
    fact = image_fact(open_shard(), TAGGED).value
    assert (fact.platforms, fact.bytes) == ((platform,), {platform: 1202})


def test_an_index_whose_images_are_not_there_has_no_sizes(canned: Canned, open_shard: Open) -> None:
    canned.answers = [answer(BOTH), not_found()]
    fact = image_fact(open_shard(), TAGGED).value
    assert (fact.platforms, fact.bytes) == (("linux/arm64", "linux/amd64"), {})


def test_what_is_declared_is_not_believed_of_an_index(canned: Canned, open_shard: Open) -> None:
    canned.answers = [answer(index(entry(ARM, "linux", "arm64"))), answer(ARM)]
    image = Image(TAGGED.reference, platforms=("linux/amd64",))
    assert image_fact(open_shard(), image).value.platforms == ("linux/arm64",)


def test_a_digest_that_is_written_is_asked_for_and_wins_over_the_tag(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [answer(BOTH), answer(ARM, AMD)]
    image = Image(f"{NAME}:1.9.0@{digest_of(BOTH)}")
    fact = image_fact(open_shard(), image).value
    assert fact.pinned == f"{NAME}@{digest_of(BOTH)}"
    assert json.loads(canned.bodies[0])["imageIds"] == [{"imageDigest": digest_of(BOTH)}]


def test_an_image_of_one_platform_is_believed_to_be_what_is_declared(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [answer(ARM)]
    fact = image_fact(open_shard(), Image(TAGGED.reference, platforms=("linux/arm64",))).value
    assert (fact.platforms, fact.bytes) == (("linux/arm64",), {"linux/arm64": 1202})
    assert len(canned.asked) == 1


CONFIG = json.dumps({"os": "linux", "architecture": "arm64", "variant": "v8"})


def test_the_platform_of_an_image_is_read_from_its_config(canned: Canned, open_shard: Open) -> None:
    text = manifest(1000, config=CONFIG)
    where = reply({"downloadUrl": f"{canned.url}/config?X-Amz-Signature=hunter2"})
    canned.answers = [answer(text), where, reply(CONFIG.encode())]
    fact = image_fact(open_shard(), TAGGED).value
    assert fact.platforms == ("linux/arm64",)
    assert fact.bytes == {"linux/arm64": 1000 + len(CONFIG)}
    assert json.loads(canned.bodies[1])["layerDigest"] == digest_of(CONFIG)


@pytest.mark.parametrize(
    "download",
    [
        reply(b"{}" * 40),
        reply(CONFIG.replace("arm64", "amd64").encode()),
        reply(CONFIG.encode()[:20]),
        reply(b"", 403),
        reset,
    ],
    ids=["another", "another architecture", "short", "refused", "reset"],
)
def test_a_config_that_cannot_be_had_leaves_the_platform_unknown_and_says_what_to_write(
    canned: Canned, open_shard: Open, download: Answer
) -> None:
    where = reply({"downloadUrl": f"{canned.url}/config?X-Amz-Signature=hunter2"})
    canned.answers = [answer(manifest(1000, config=CONFIG)), where, download]
    with pytest.raises(AwsError, match="which one is unknown") as raised:
        image_fact(open_shard(), TAGGED)
    assert "platforms:" in str(raised.value.hint)
    assert "hunter2" not in str(raised.value)


def test_a_config_of_absurd_size_is_not_downloaded(canned: Canned, open_shard: Open) -> None:
    body = json.loads(manifest(1000))
    body["config"]["size"] = 10**12
    canned.answers = [answer(json.dumps(body))]
    with pytest.raises(AwsError, match="which one is unknown"):
        image_fact(open_shard(), TAGGED)
    assert len(canned.asked) == 1


def test_a_repository_that_is_not_there_is_named(canned: Canned, open_shard: Open) -> None:
    canned.answers = [fault("RepositoryNotFoundException", "no")]
    with pytest.raises(AwsError, match=rf"registry {EMEA} in {REGION} has no .* fleet/vision") as e:
        image_fact(open_shard(), TAGGED)
    assert e.value.hint


def test_a_tag_that_is_not_there_is_named_with_where_to_look(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [not_found()]
    with pytest.raises(AwsError, match=r"fleet/vision has no tag 1\.9\.0") as raised:
        image_fact(open_shard(), TAGGED)
    assert "aws ecr describe-images" in str(raised.value.hint)


def test_a_digest_that_is_not_there_is_named(canned: Canned, open_shard: Open) -> None:
    canned.answers = [not_found()]
    with pytest.raises(AwsError, match="has no digest sha256:"):
        image_fact(open_shard(), Image(f"{NAME}@{digest_of(ARM)}"))


def test_another_failure_is_told_in_the_registrys_words(canned: Canned, open_shard: Open) -> None:
    canned.answers = [not_found("KmsError")]
    with pytest.raises(AwsError, match="KmsError: said so"):
        image_fact(open_shard(), TAGGED)


def test_a_missing_permission_names_the_image_and_whose_policies_count(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [fault("AccessDeniedException", "no")]
    with pytest.raises(AccessDenied, match=r"image .*fleet/vision:1\.9\.0: not allowed: ecr:Batch"):
        image_fact(open_shard(), TAGGED)
    with pytest.raises(AccessDenied) as raised:
        image_fact(open_shard(Account("apac-prod", APAC)), TAGGED)
    assert f"policy of the repository in {EMEA}" in str(raised.value.hint)


@pytest.mark.parametrize(
    "text",
    ["[]", "5", "{", "", '{"manifests": 5}', '{"layers": [{}]}', '{"manifests": [{"p": 1}]}'],
)
def test_a_manifest_that_makes_no_sense_is_an_error(
    canned: Canned, open_shard: Open, text: str
) -> None:
    canned.answers = [answer(text)]
    with pytest.raises(AwsError):
        image_fact(open_shard(), TAGGED)


def test_a_read_outlives_passing_failures(canned: Canned, open_shard: Open) -> None:
    canned.answers = [*PASSING, answer(BOTH), *PASSING, answer(ARM, AMD)]
    assert len(image_fact(open_shard(), TAGGED).value.bytes) == 2


@pytest.mark.parametrize(
    ("failure", "kind", "calls"),
    [
        (fault("ExpiredTokenException"), CredentialsError, 1),
        (fault("ThrottlingException"), Throttled, 6),
        (reset, AwsUnreachable, 6),
    ],
    ids=["expired", "throttled", "lost"],
)
def test_what_does_not_pass_is_raised(
    canned: Canned, open_shard: Open, failure: Answer, kind: type[AwsError], calls: int
) -> None:
    canned.answers = [failure]
    with pytest.raises(kind):
        image_fact(open_shard(), TAGGED)
    assert len(canned.asked) == calls


def test_an_image_of_another_region_or_registry_is_not_asked_for_here(
    canned: Canned, open_shard: Open
) -> None:
    shard = open_shard()
    for reference in (TAGGED.reference.replace(REGION, "us-east-1"), "docker.io/library/redis"):
        with pytest.raises(ValueError, match="is not in ECR in eu-west-1"):
            image_fact(shard, Image(reference))
    assert canned.asked == []


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        (f"{NAME}:1.9.0", (EMEA, REGION, "fleet/vision", "1.9.0", "")),
        (NAME, (EMEA, REGION, "fleet/vision", "latest", "")),
        (
            f"{EMEA}.dkr.ecr-fips.us-gov-west-1.amazonaws.com/a",
            (EMEA, "us-gov-west-1", "a", "latest", ""),
        ),
        (f"{EMEA}.dkr-ecr.{REGION}.on.aws/a:b", (EMEA, REGION, "a", "b", "")),
        (
            f"{EMEA}.dkr.ecr.cn-north-1.amazonaws.com.cn/a@{digest_of('x')}",
            (EMEA, "cn-north-1", "a", "", digest_of("x")),
        ),
        (f"{NAME}:t@{digest_of('x')}", (EMEA, REGION, "fleet/vision", "t", digest_of("x"))),
    ],
)
def test_a_reference_into_ecr_is_taken_apart(
    reference: str, parts: tuple[str, str, str, str, str]
) -> None:
    found = ecr_reference(reference)
    assert found is not None
    assert (found.account_id, found.region, found.repository, found.tag, found.digest) == parts


@pytest.mark.parametrize(
    "reference", ["", "redis", "ghcr.io/a/b:1", f"public.ecr.aws/a@{digest_of('x')}", f"{NAME}:a b"]
)
def test_any_other_reference_is_not_into_ecr(reference: str) -> None:
    assert ecr_reference(reference) is None
