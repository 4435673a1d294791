"""Reads the cluster and the services of one store."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fleet.aws.clusters import describe_clusters
from fleet.aws.services import describe_services, list_services
from fleet.aws.session import Shard
from fleet.errors import AwsError, AwsUnreachable, CredentialsError, Throttled
from fleet.model.observed import Cluster
from fleet.model.services import StoreView


def read_store(
    shard: Shard,
    store_id: str,
    cluster: str,
    *,
    services: Sequence[str] | None,
    known: Cluster | None = None,
) -> StoreView:
    """Return cluster and services of one store, in two calls; the rest is not read.

    Args:
        services: names to read; None for every service of the cluster.
        known: the cluster where the caller has read it just now, which saves a call:
            ``describe_clusters`` reads a hundred at once.

    Returns:
        With ``problem`` set, and everything that was not read None, when AWS refused something
        of this store alone, as a permission or an answer that makes no sense.

    Raises:
        CredentialsError, Throttled: concern the whole account and region.
        AwsUnreachable: AWS gave no answer at all, which does too.
    """
    times: list[datetime] = []
    parts: dict[str, Any] = {}
    try:
        _read_parts(shard, cluster, services, known, parts=parts, times=times)
    except (CredentialsError, Throttled):
        raise
    except AwsError as error:
        if isinstance(error, AwsUnreachable) and not error.code:
            raise
        parts["problem"] = str(error)
    return StoreView(store_id, shard.oldest(times), **parts)


def _read_parts(
    shard: Shard,
    name: str,
    services: Sequence[str] | None,
    cluster: Cluster | None,
    *,
    parts: dict[str, Any],
    times: list[datetime],
) -> None:
    """Fill in the parts of the view, and when each was read, as far as AWS answers."""
    if cluster is None:
        found = describe_clusters(shard, [name])
        times.append(found.at)
        cluster = found.value.get(name)
    if cluster is None or cluster.status == "INACTIVE":
        parts["services"] = ()
        return
    parts["cluster"] = cluster
    read = (
        list_services(shard, name) if services is None else describe_services(shard, name, services)
    )
    times.append(read.at)
    parts["services"] = tuple(one for one in read.value if one.status != "INACTIVE")
