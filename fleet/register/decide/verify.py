"""Verifies that the host, SSM and ECS all show a host as registered."""

from fleet.model.identity import declared_attributes, differing
from fleet.model.inventory import Host, Store
from fleet.model.observed import Ping, best_instance
from fleet.model.registration import StoreLedgers, Verification, Verified


def verify(store: Store, host: Host, vault_id: str | None, ledgers: StoreLedgers) -> Verification:
    """Return the first ledger that does not agree, or YES.

    Args:
        vault_id: the node id that the host itself holds.
    """
    if not vault_id:
        return Verification(Verified.NOT_ON_HOST, "the host's vault holds no node id")
    node = ledgers.node(vault_id)
    if node is None:
        return Verification(Verified.NOT_ONLINE, f"SSM does not show {vault_id}")
    if node.ping is not Ping.ONLINE:
        return Verification(Verified.NOT_ONLINE, f"SSM shows {vault_id} as {node.ping}")
    mine = ledgers.instances_of(vault_id)
    if not mine:
        reason = f"cluster {store.cluster} has no container instance of {vault_id}"
        return Verification(Verified.NOT_IN_CLUSTER, reason)
    best = best_instance(mine)
    if len(mine) > 1:
        others = ", ".join(i.arn.rsplit("/", 1)[-1] for i in mine if i is not best)
        reason = f"{len(mine)} container instances of {vault_id}; not the living one: {others}"
        return Verification(Verified.TWINS, reason, best.arn)
    if best.status != "ACTIVE" or not best.agent_connected:
        state = f"{best.status}, agent {'' if best.agent_connected else 'not '}connected"
        return Verification(Verified.NOT_CONNECTED, f"ECS shows it {state}", best.arn)
    wrong = differing(declared_attributes(store, host), best.attributes)
    if wrong:
        reason = f"not as declared: {', '.join(wrong)}"
        return Verification(Verified.ATTRIBUTES_DIFFER, reason, best.arn)
    return Verification(Verified.YES, f"{vault_id}, ACTIVE, connected", best.arn)
