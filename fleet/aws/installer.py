"""Reads the install script, without credentials, from the bucket in which AWS publishes it."""

from fleet.aws.calls import ANONYMOUS, LARGEST_FILE
from fleet.aws.session import AwsAccess
from fleet.errors import AwsError
from fleet.model.aws_actions import GET_OBJECT
from fleet.model.clock import Clock, SystemClock


def fetch_installer(bucket: str, key: str, region: str, *, clock: Clock | None = None) -> bytes:
    """Return the script. Whether it may be run is for the pins to say.

    Raises:
        AwsError: there is none, or it is empty or larger than 1 MiB.
        AwsUnreachable: no whole answer after every attempt.
    """
    where = f"s3://{bucket}/{key}"
    try:
        with AwsAccess(clock or SystemClock()) as access:
            reply = access.shard(ANONYMOUS, region).call(GET_OBJECT, Bucket=bucket, Key=key)
    except AwsError as error:
        error.hint = error.hint or f"check `installer:` in inventory/fleet.yaml ({where})"
        raise
    content = bytes(reply.body["Body"])
    if not content or len(content) > LARGEST_FILE:
        size = "is empty" if not content else f"is larger than {LARGEST_FILE // 1024} KiB"
        raise AwsError(
            f"{where} {size}, which the install script never is",
            operation=GET_OBJECT.id,
            hint="check `installer:` in inventory/fleet.yaml",
        )
    return content
