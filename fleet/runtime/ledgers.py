"""Reads the ledgers of one store at AWS: caller identity, ECS, SSM, and the managed-node quota."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fleet.aws.account import get_caller_identity
from fleet.aws.activations import activations_named
from fleet.aws.clusters import describe_clusters
from fleet.aws.container_instances import read_container_instances
from fleet.aws.managed_instances import (
    describe_managed_instances,
    managed_instance_tags,
    managed_instances_tagged,
)
from fleet.aws.session import Shard
from fleet.errors import CredentialsError
from fleet.model.identity import TAG_STORE, activation_name
from fleet.model.inventory import Host, Store
from fleet.model.observed import Caller, NodeTier, Reading
from fleet.model.registration import StoreLedgers


@dataclass(frozen=True, slots=True)
class ShardView:
    """What is read once per account and region.

    Attributes:
        caller: the identity of the credentials.
        tier: the managed-node tier and its quota; None if not needed or not read.
    """

    caller: Caller
    tier: NodeTier | None = None


def check_caller(shard: Shard) -> Reading[Caller]:
    """Return the identity of the credentials, and check that it belongs to the account.

    Raises:
        CredentialsError: the credentials are of another account than the inventory says.
    """
    reading = get_caller_identity(shard)
    caller = reading.value
    account = shard.account
    if caller.account_id != account.account_id:
        raise CredentialsError(
            f"account {account.name} is {account.account_id} in the inventory, but the "
            f"credentials are of {caller.account_id} ({caller.arn})",
            operation="sts:GetCallerIdentity",
            hint=f"check AWS_PROFILE, or `profile:` of {account.name} in inventory/fleet.yaml",
        )
    return reading


def read_store(
    shard: Shard,
    store: Store,
    hosts: Iterable[Host],
    vault_ids: Iterable[str],
    tier: NodeTier | None,
) -> StoreLedgers:
    """Read what ECS and SSM say about one store now.

    Args:
        hosts: the hosts whose activations and other nodes are read; none for a verification.
        vault_ids: node ids that the hosts hold in their vaults. Those without our tag are read by
            id, so that a node of another owner is recognised.
        tier: read once per account and region by the caller.
    """
    cluster = describe_clusters(shard, [store.cluster]).value.get(store.cluster)
    instances = read_container_instances(shard, store.cluster).value if cluster else ()
    nodes = {n.id: n for n in managed_instances_tagged(shard, TAG_STORE, store.id).value}
    held = set(vault_ids)
    missing = sorted(held - nodes.keys())
    if missing:
        nodes.update({n.id: n for n in describe_managed_instances(shard, missing).value.known})
    names = [activation_name(host) for host in hosts]
    # Tags prove who owns a node, and cost a call per node. They are read only for a node without
    # the tag of the store, and for a node that may have to be deregistered.
    doubtful = [n for n in nodes.values() if n.id in missing or n.id not in held]
    for node in doubtful:
        if node.name in names:
            tags = managed_instance_tags(shard, node.id).value
            nodes[node.id] = replace(node, tags=tags)
    return StoreLedgers(
        cluster=cluster,
        container_instances=instances,
        managed_instances=tuple(nodes[id_] for id_ in sorted(nodes)),
        activations=activations_named(shard, names).value,
        tier=tier,
    )
