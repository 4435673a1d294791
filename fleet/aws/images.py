"""Reads from ECR the digest behind an image tag, its platforms and its sizes.

A plan pins the digest, and only the digest is sent to shops: a tag that is moved afterwards
changes nothing. Everything here only reads; a lost reply means nothing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from fleet.aws.calls import Reply
from fleet.aws.replies import clean, in_batches, items, part_of, unreadable
from fleet.aws.session import Shard
from fleet.errors import AccessDenied, AwsError, AwsUnreachable
from fleet.model.aws_actions import BATCH_GET_IMAGE, GET_DOWNLOAD_URL
from fleet.model.desired import ImageFact
from fleet.model.inventory import Image
from fleet.model.observed import Reading

#: What an index is called, by OCI and by Docker.
INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
#: What the manifest of one platform is called. ECR converts what is not asked for, and a
#: converted manifest has another digest, so all that hosts can run are asked for.
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
#: Most image ids of one BatchGetImage call (ECR API reference).
IMAGES_PER_CALL = 100
#: Configs are a few KiB; more than this is not read.
LARGEST_CONFIG = 4 * 1024 * 1024
#: Variants that say no more than the architecture does.
PLAIN_VARIANTS = frozenset({("arm64", "v8"), ("amd64", "v1")})
_REFERENCE = re.compile(
    r"(?P<registry>(?P<account>[0-9]{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+)"
    r"/(?P<repository>[^@:\s]+)(?::(?P<tag>[^@\s]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class EcrReference:
    """A reference to an image in ECR, taken apart.

    Attributes:
        name: registry and repository, as a pinned reference begins.
        account_id: of the registry.
        region: of the registry; the images of a fleet may all lie in one.
        tag: "" when there is none.
        digest: "" when there is none; it wins over the tag.
    """

    name: str
    account_id: str
    region: str
    repository: str
    tag: str
    digest: str


def ecr_reference(reference: str) -> EcrReference | None:
    """Return the parts of a reference into a private ECR registry; None for any other."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return None
    return EcrReference(
        name=f"{match['registry']}/{match['repository']}",
        account_id=match["account"],
        region=match["region"],
        repository=match["repository"],
        tag=match["tag"] or ("" if match["digest"] else "latest"),
        digest=match["digest"] or "",
    )


def image_fact(shard: Shard, image: Image) -> Reading[ImageFact]:
    """Return digest, platforms and sizes of an image in ECR.

    Costs two calls for an index, and two and a download for the image of one platform. Where the
    platform of such an image cannot be read, what the inventory declares is believed; of an index
    it never is.

    Args:
        shard: in the registry's region. Its account is who asks; the registry may be another's,
            whose repository policy has to allow it then.
        image: with a reference into ECR.

    Raises:
        AwsError: there is no such repository or image, or its platform is unknown.
        AccessDenied: names what is not allowed.
        ValueError: the reference is not into ECR, or the shard is of another region.
    """
    where = ecr_reference(image.reference)
    if where is None or where.region != shard.region:
        raise ValueError(f"{image.reference} is not in ECR in {shard.region}")
    wanted = {"imageDigest": where.digest} if where.digest else {"imageTag": where.tag}
    reply = _ask(shard, image.reference, where, [wanted])
    held = _images(reply)
    if not held:
        raise _missing(reply, image.reference, where)
    digest, manifest = held[0]
    children = _platforms(manifest)
    if children is None:
        size = _bytes(manifest)
        platforms = _declared_or_read(shard, image, where, manifest)
        sizes = {platforms[0]: size} if size is not None and len(platforms) == 1 else {}
    else:
        platforms = tuple(dict.fromkeys(children.values()))
        sizes = _sizes(shard, image.reference, where, children)
    pinned = f"{where.name}@{where.digest or digest}"
    fact = ImageFact(image.reference, pinned, platforms, sizes, "ecr", tuple(children or ()))
    return Reading(fact, reply.at)


def _ask(
    shard: Shard, reference: str, where: EcrReference, ids: Sequence[Mapping[str, str]]
) -> Reply:
    try:
        return shard.call(
            BATCH_GET_IMAGE,
            registryId=where.account_id,
            repositoryName=where.repository,
            imageIds=list(ids),
            acceptedMediaTypes=[*INDEXES, *MANIFESTS],
        )
    except AccessDenied as error:
        # Whose policy is at fault shows only when the registry is another account's.
        foreign = where.account_id != shard.account.account_id
        also = f", and in the policy of the repository in {where.account_id}" if foreign else ""
        raise AccessDenied(
            f"image {reference}: {error}",
            operation=error.operation,
            code=error.code,
            request_id=error.request_id,
            hint=f"{error.hint}{also}",
        ) from None
    except AwsError as error:
        if error.code != "RepositoryNotFoundException":
            raise
        raise AwsError(
            f"image {reference}: the registry {where.account_id} in {where.region} has no"
            f" repository {where.repository}",
            operation=error.operation,
            code=error.code,
            request_id=error.request_id,
            hint="push the image, or correct its reference in the workload's `images:`",
        ) from None


def _missing(reply: Reply, reference: str, where: EcrReference) -> AwsError:
    failures = reply.body.get("failures") or [{}]
    code = clean(failures[0].get("failureCode"))
    what = f"digest {where.digest}" if where.digest else f"tag {where.tag}"
    text = f"image {reference}: the repository {where.repository} has no {what}"
    if code and code != "ImageNotFound":
        text = f"image {reference}: {code}: {clean(failures[0].get('failureReason'))}"
    return AwsError(
        text,
        operation=BATCH_GET_IMAGE.id,
        code=code,
        hint="push it, or choose one of `aws ecr describe-images --registry-id"
        f" {where.account_id} --region {where.region} --repository-name {where.repository}`",
    )


@part_of(BATCH_GET_IMAGE)
def _images(reply: Reply) -> list[tuple[str, Mapping[str, Any]]]:
    """Return digest and manifest of every image that was found, in no order."""
    found = []
    for raw in items(reply, BATCH_GET_IMAGE):
        manifest = json.loads(raw["imageManifest"])
        if not isinstance(manifest, Mapping):
            raise unreadable(BATCH_GET_IMAGE, "a manifest is no object")
        found.append((clean(raw["imageId"]["imageDigest"]), manifest))
    return found


@part_of(BATCH_GET_IMAGE)
def _platforms(manifest: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the platform by digest of an index's images; None for the manifest of one platform.

    Attestations (build provenance, SBOMs) lie in the index as images of platform unknown/unknown.
    """
    if "manifests" not in manifest:
        return None
    found = {}
    for one in manifest["manifests"]:
        platform = one.get("platform") or {}
        digest = clean(one["digest"])
        attests = "vnd.docker.reference.type" in (one.get("annotations") or {})
        if attests or not platform or "unknown" in {platform["os"], platform["architecture"]}:
            continue
        found[digest] = _platform(platform)
    return found


def _platform(raw: Mapping[str, Any]) -> str:
    """Return ``linux/arm64`` for an index's entry or an image's config."""
    architecture, variant = clean(raw["architecture"]), clean(raw.get("variant"))
    plain = not variant or (architecture, variant) in PLAIN_VARIANTS
    return f"{clean(raw['os'])}/{architecture}" + ("" if plain else f"/{variant}")


@part_of(BATCH_GET_IMAGE)
def _bytes(manifest: Mapping[str, Any]) -> int | None:
    """Return what a host without any layer of it downloads; None when sizes are missing."""
    if "layers" not in manifest:
        return None
    return sum(int(part["size"]) for part in (*manifest["layers"], manifest["config"]))


def _sizes(
    shard: Shard, reference: str, where: EcrReference, children: Mapping[str, str]
) -> dict[str, int]:
    """Return bytes by platform, of the images that the registry holds."""
    found: dict[str, int] = {}
    for batch in in_batches(children, IMAGES_PER_CALL):
        ids = [{"imageDigest": digest} for digest in batch]
        for digest, manifest in _images(_ask(shard, reference, where, ids)):
            size = _bytes(manifest)
            if digest in children and size is not None:
                found[children[digest]] = size
    return found


def _declared_or_read(
    shard: Shard, image: Image, where: EcrReference, manifest: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return the platform of an image that is no index, as the inventory or its config says."""
    if image.platforms:
        return image.platforms
    try:
        return (_platform(_config(shard, where, manifest)),)
    except (AwsUnreachable, KeyError, TypeError, ValueError) as error:
        why = str(error) if isinstance(error, AwsUnreachable) else "its config is not readable"
        raise AwsError(
            f"image {image.reference} is of one platform, and which one is unknown: {why}",
            operation=GET_DOWNLOAD_URL.id,
            hint="run the same command again, or write `platforms: [linux/arm64]` beside the image",
        ) from None


def _config(shard: Shard, where: EcrReference, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Download the image's config from where ECR says, and check it against its digest."""
    digest, size = str(manifest["config"]["digest"]), int(manifest["config"]["size"])
    if size > LARGEST_CONFIG:
        raise ValueError("too large")
    reply = shard.call(
        GET_DOWNLOAD_URL,
        registryId=where.account_id,
        repositoryName=where.repository,
        layerDigest=digest,
    )
    content = shard.download(str(reply.body["downloadUrl"]), size)
    if f"sha256:{sha256(content).hexdigest()}" != digest:
        raise ValueError("another digest")
    config = json.loads(content)
    if not isinstance(config, Mapping):
        raise TypeError("no object")
    return config
