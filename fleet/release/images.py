"""Reads the images of a fleet from ECR."""

from fleet.aws.images import ecr_reference, image_fact
from fleet.model.desired import ImageFact
from fleet.model.inventory import Account, Image
from fleet.release.decide.desired import unread
from fleet.runtime.wiring import Wiring


def read_image(wiring: Wiring, reference: str, account: Account) -> ImageFact:
    """Return what ECR says of an image; one that is not in ECR stays unread.

    Args:
        account: asks if the registry's account is not in the inventory.

    Raises:
        AwsError: ECR could not be asked.
    """
    where = ecr_reference(reference)
    if where is None:
        return unread(reference)
    owners = {a.account_id: a for a in wiring.fleet.accounts.values()}
    images = {
        image.reference: image for one in wiring.fleet.workloads for image in one.images.values()
    }
    shard = wiring.shard(owners.get(where.account_id, account), where.region)
    return image_fact(shard, images.get(reference, Image(reference))).value
