"""The install script from the public bucket in which AWS publishes it, read without credentials."""

from contextlib import closing
from typing import Any

import boto3
from botocore import UNSIGNED

from fleet.aws.calls import Line, Patience, send
from fleet.aws.faults import Caller, unstumbling
from fleet.aws.session import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, client_config, open_client
from fleet.errors import AwsError
from fleet.model.aws_actions import GET_OBJECT
from fleet.model.clock import Clock, SystemClock
from fleet.model.inventory import Account

#: The script has about 40 KiB; anything beyond this is not it.
LARGEST = 1024 * 1024
#: Stands in messages where an account would; the bucket is public.
NOBODY = Account(name="anonymous", account_id="public")


def fetch_installer(bucket: str, key: str, region: str, *, clock: Clock | None = None) -> bytes:
    """Read the object anonymously; whether it may be run is for the pins to say.

    Raises:
        AwsError: there is none, or it is empty or larger than 1 MiB.
        AwsUnreachable: no whole answer after every attempt.
    """
    where = f"s3://{bucket}/{key}"
    clients: list[Any] = []

    def request() -> dict[str, object]:
        if not clients:
            clients.append(_anonymous_s3(region))
        return unstumbling(lambda: _get(clients[0], bucket, key))

    line = Line(
        account=NOBODY.name,
        region=region,
        clock=clock or SystemClock(),
        budget=None,
        on_call=None,
        patience=Patience(),
    )
    try:
        content = send(line, GET_OBJECT, lambda: Caller(NOBODY, region), request).body["content"]
    except AwsError as error:
        error.hint = error.hint or f"check `installer:` in inventory/fleet.yaml ({where})"
        raise
    finally:
        for client in clients:
            client.close()
    if not content or len(content) > LARGEST:
        size = "is empty" if not content else f"is larger than {LARGEST // 1024} KiB"
        raise AwsError(
            f"{where} {size}, which the install script never is",
            operation=GET_OBJECT.id,
            hint="check `installer:` in inventory/fleet.yaml",
        )
    return bytes(content)


def _get(client: Any, bucket: str, key: str) -> dict[str, object]:
    reply = client.get_object(Bucket=bucket, Key=key)
    with closing(reply["Body"]) as body:
        # One more than allowed, so that an endless body cannot fill the memory; the second read
        # makes botocore compare what came with the length that was announced.
        content = body.read(LARGEST + 1) + body.read(1)
    return {"content": content, "ResponseMetadata": reply["ResponseMetadata"]}


def _anonymous_s3(region: str) -> Any:
    config = client_config(
        connect_timeout_s=CONNECT_TIMEOUT_S,
        read_timeout_s=READ_TIMEOUT_S,
        signature_version=UNSIGNED,
    )
    return open_client(boto3.Session(region_name=region), "s3", config)
