"""Verifies that the host, SSM and ECS all show a host as registered."""

from fleet.model.identity import declared_attributes, differing
from fleet.model.inventory import Host, Store
from fleet.model.observed import Ping, best_instance
from fleet.model.registration import StoreLedgers, Verification, Verified


def verify(store: Store, host: Host, vault_id: str | None, ledgers: StoreLedgers) -> Verification:
    """Return the first ledger that does not agree, or YES with the ids that join them.

    Args:
        vault_id: the node id that the host itself holds.
    """
    if not vault_id:
        return Verification(Verified.NOT_ON_HOST, "the host's vault holds no node id")
    node = ledgers.node(vault_id)
    if node is None:
        return Verification(Verified.NOT_ONLINE, f"SSM does not show {vault_id}", vault_id)
    if node.ping is not Ping.ONLINE:
        return Verification(Verified.NOT_ONLINE, f"SSM shows {vault_id} as {node.ping}", vault_id)
    mine = ledgers.instances_of(vault_id)
    if not mine:
        return Verification(
            Verified.NOT_IN_CLUSTER,
            f"cluster {store.cluster} has no container instance of {vault_id}",
            vault_id,
        )
    best = best_instance(mine)
    if len(mine) > 1:
        others = ", ".join(i.arn.rsplit("/", 1)[-1] for i in mine if i is not best)
        return Verification(
            Verified.TWINS,
            f"{len(mine)} container instances of {vault_id}; not the living one: {others}",
            vault_id,
            best.arn,
        )
    if best.status != "ACTIVE" or not best.agent_connected:
        state = f"{best.status}, agent {'' if best.agent_connected else 'not '}connected"
        return Verification(Verified.NOT_CONNECTED, f"ECS shows it {state}", vault_id, best.arn)
    wrong = differing(declared_attributes(store, host), best.attributes)
    if wrong:
        return Verification(
            Verified.ATTRIBUTES_DIFFER, f"not as declared: {', '.join(wrong)}", vault_id, best.arn
        )
    return Verification(Verified.YES, f"{vault_id}, ACTIVE, connected", vault_id, best.arn)
