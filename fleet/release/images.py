"""Asks ECR, with the credentials of one store's account, for the digests behind tags."""

from collections.abc import Iterable, Iterator

from fleet.aws.images import ecr_reference, image_fact
from fleet.model.desired import ImageFact
from fleet.model.inventory import Fleet, Image, Store
from fleet.runtime.wiring import Wiring


def ecr_facts(
    wiring: Wiring, fleet: Fleet, store: Store, references: Iterable[str]
) -> Iterator[tuple[str, ImageFact]]:
    """Yield what ECR says of each image that lies in ECR.

    Args:
        fleet: whose workloads may declare more about an image, for example its platforms.

    Raises:
        AwsError: ECR could not be asked.
    """
    declared = {image.reference: image for one in fleet.workloads for image in one.images.values()}
    for reference in references:
        where = ecr_reference(reference)
        if where is not None:
            shard = wiring.shard(store.account, where.region)
            yield reference, image_fact(shard, declared.get(reference, Image(reference))).value
