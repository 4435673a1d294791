"""Reads AWS's ledgers of one store: who we are there, ECS, SSM, and the room for more nodes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fleet.aws import observe
from fleet.aws.session import Shard
from fleet.errors import CredentialsError
from fleet.model.identity import activation_name
from fleet.model.inventory import Host, Store
from fleet.model.observed import Caller, NodeTier, Reading
from fleet.model.onboarding import StoreLedgers


@dataclass(frozen=True, slots=True)
class ShardView:
    """What holds for a whole account and region.

    Attributes:
        caller: who we are there.
        tier: the room for nodes; None where it was not needed or could not be read.
    """

    caller: Caller
    tier: NodeTier | None = None


def check_caller(shard: Shard) -> Reading[Caller]:
    """Who we are there, by AWS's clock.

    Raises:
        CredentialsError: the credentials belong to another account than the inventory says.
            Everything after this would have happened to somebody else's shops.
    """
    reading = observe.caller(shard)
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
    """What ECS and SSM say about one store now.

    Args:
        hosts: whose activations to look for, and whose nodes they do not hold; none to read only
            what verifying needs.
        vault_ids: node ids that the hosts themselves hold; those that carry no tag of ours are
            asked for by id, so that a foreign node is seen for what it is.
        tier: read once for the account and region, by the caller.
    """
    cluster = observe.clusters(shard, [store.cluster]).value.get(store.cluster)
    instances = observe.container_instances(shard, store.cluster).value if cluster else ()
    nodes = {n.id: n for n in observe.managed_instances_of_store(shard, store.id).value}
    held = set(vault_ids)
    missing = sorted(held - nodes.keys())
    if missing:
        nodes.update({n.id: n for n in observe.managed_instances(shard, missing).value.known})
    names = [activation_name(host) for host in hosts]
    # Tags prove whose a node is. They cost a call a node, so they are read only where the store's
    # own tag is missing, or where a node may have to be deregistered.
    doubtful = [n for n in nodes.values() if n.id in missing or n.id not in held]
    for node in doubtful:
        if node.name in names:
            tags = observe.managed_instance_tags(shard, node.id).value
            nodes[node.id] = replace(node, tags=tags)
    return StoreLedgers(
        cluster=cluster,
        container_instances=instances,
        managed_instances=tuple(nodes[id_] for id_ in sorted(nodes)),
        activations=observe.activations(shard, names).value,
        tier=tier,
    )
