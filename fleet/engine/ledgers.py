"""Reads AWS's ledgers of one store: who we are there, ECS, SSM, and the room for more nodes."""

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.aws import observe
from fleet.aws.session import Shard
from fleet.decide.identity import activation_name
from fleet.errors import CredentialsError
from fleet.model.inventory import Host, Store
from fleet.model.observed import Caller, NodeTier
from fleet.model.onboarding import StoreLedgers


@dataclass(frozen=True, slots=True)
class ShardView:
    """What holds for a whole account and region: the caller and the room for nodes."""

    caller: Caller
    tier: NodeTier | None


def check_caller(shard: Shard) -> Caller:
    """Who we are there.

    Raises:
        CredentialsError: the credentials belong to another account than the inventory says.
            Everything after this would have happened to somebody else's shops.
    """
    caller = observe.caller(shard).value
    account = shard.account
    if caller.account_id != account.account_id:
        raise CredentialsError(
            f"account {account.name} is {account.account_id} in the inventory, but the "
            f"credentials are of {caller.account_id} ({caller.arn})",
            operation="sts:GetCallerIdentity",
            hint=f"check AWS_PROFILE, or `profile:` of {account.name} in inventory/fleet.yaml",
        )
    return caller


def read_store(
    shard: Shard,
    store: Store,
    hosts: Iterable[Host],
    vault_ids: Iterable[str],
    tier: NodeTier | None,
) -> StoreLedgers:
    """What ECS and SSM say about one store now.

    Args:
        hosts: whose activations to look for.
        vault_ids: node ids that the hosts themselves hold; those that carry no tag of ours are
            asked for by id, so that a foreign node is seen for what it is.
        tier: read once for the account and region, by the caller.
    """
    cluster = observe.clusters(shard, [store.cluster]).value.get(store.cluster)
    instances = observe.container_instances(shard, store.cluster).value if cluster else ()
    nodes = {n.id: n for n in observe.managed_instances_of_store(shard, store.id).value}
    missing = sorted(set(vault_ids) - nodes.keys())
    unknown: tuple[str, ...] = ()
    if missing:
        lookup = observe.managed_instances(shard, missing).value
        nodes.update({n.id: n for n in lookup.known})
        unknown = lookup.unknown
    names = [activation_name(host) for host in hosts]
    return StoreLedgers(
        cluster=cluster,
        container_instances=instances,
        managed_instances=tuple(nodes[id_] for id_ in sorted(nodes)),
        activations=observe.activations(shard, names).value,
        tier=tier,
        foreign_nodes=unknown,
    )
