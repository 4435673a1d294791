"""Classifies a host by an ordered table of rules over three ledgers; the first match wins.

Ownership is read from the host (the node id in the SSM agent's vault, the container instance that
its ECS agent names) and compared with AWS. A host that cannot be proved to be ours is ``elsewhere``
and is never cleaned.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fleet.model.identity import activation_name
from fleet.model.inventory import Host, Pins, Store
from fleet.model.observed import (
    ContainerInstance,
    HostFacts,
    ManagedInstance,
    Ping,
    best_instance,
)
from fleet.model.registration import Classification, HostClass, StoreLedgers


@dataclass(frozen=True, slots=True)
class HostEvidence:
    """What the inventory, the host and AWS say about one host."""

    store: Store
    host: Host
    facts: HostFacts
    ledgers: StoreLedgers
    pins: Pins

    @property
    def vault_id(self) -> str | None:
        """Return the node id that the host itself holds."""
        return self.facts.ssm.instance_id

    @property
    def node(self) -> ManagedInstance | None:
        """Return SSM's record of the id in the host's vault."""
        return self.ledgers.node(self.vault_id)

    @property
    def instances(self) -> tuple[ContainerInstance, ...]:
        """Return the cluster's container instances of the id in the host's vault."""
        return self.ledgers.instances_of(self.vault_id)

    @property
    def orphans(self) -> tuple[ManagedInstance, ...]:
        """Return the nodes that have this host's name and that it does not hold."""
        name = activation_name(self.host)
        return tuple(
            n for n in self.ledgers.managed_instances if n.name == name and n.id != self.vault_id
        )

    @property
    def complete(self) -> bool:
        """Return whether docker and both agents are installed and start at boot."""
        facts = self.facts
        return (
            facts.docker is not None
            and facts.ssm.installed
            and facts.ssm.enabled
            and facts.ecs.installed
            and facts.ecs.enabled
        )


def classify(evidence: HostEvidence) -> Classification:
    """Return the class of a host with the values that decided it."""
    for host_class, rule in RULES:
        reason = rule(evidence)
        if reason:
            return Classification(host_class, reason)
    return Classification(HostClass.FRESH, "nothing of ECS Anywhere is installed")


def _wrong_architecture(e: HostEvidence) -> str:
    wanted = e.host.hardware.architecture
    if e.facts.architecture is wanted:
        return ""
    return f'uname says {e.facts.machine}, the inventory says {wanted} ("{e.host.hardware.name}")'


def _wrong_machine(e: HostEvidence) -> str:
    pinned = e.pins.machine_ids.get(e.host.id)
    if pinned is None or pinned == e.facts.machine_id:
        return ""
    return f"machine id is {e.facts.machine_id}, pinned is {pinned}"


def _other_region(e: HostEvidence) -> str:
    region = e.facts.ssm.region
    if e.vault_id is None or e.node is not None or not region or region == e.store.region:
        return ""
    return f"its vault holds {e.vault_id} of {region}, not {e.store.region}"


def _other_cluster(e: HostEvidence) -> str:
    cluster = e.facts.ecs.cluster
    if cluster is None and e.facts.ecs.has_state:
        cluster = e.facts.ecs.config.get("ECS_CLUSTER", "default")
    if cluster is None or cluster == e.store.cluster:
        return ""
    return f"its ECS agent belongs to cluster {cluster}, not {e.store.cluster}"


def _deregistered_node(e: HostEvidence) -> str:
    if e.vault_id is None or e.node is not None or not e.instances:
        return ""
    return f"{e.vault_id} is in our cluster, but SSM has deregistered it"


def _unknown_node(e: HostEvidence) -> str:
    if e.vault_id is None or e.node is not None:
        return ""
    place = f"{e.store.account.name}/{e.store.region}"
    return (
        f"its vault holds {e.vault_id}, which SSM of {place} does not know: deregistered, or "
        "another account's"
    )


def _foreign_node(e: HostEvidence) -> str:
    if e.node is None or e.node.name == activation_name(e.host):
        return ""
    name = f'named "{e.node.name}"' if e.node.name else "without a name"
    return f"its vault holds {e.node.id} {name}: registered by hand, or the disk of another host"


def _state_without_node(e: HostEvidence) -> str:
    if e.vault_id is not None or not (e.facts.ecs.has_state or e.facts.ecs.container_instance_arn):
        return ""
    return "its ECS agent has state, but the SSM vault is empty: whose it was cannot be proved"


def _connected(e: HostEvidence) -> str:
    if not e.instances or e.node is None or e.node.ping is not Ping.ONLINE:
        return ""
    return _seen_in_aws(e) if best_instance(e.instances).agent_connected else ""


def _incomplete(e: HostEvidence) -> str:
    return f"{_seen_in_aws(e)}; {_missing(e)}" if e.instances and not e.complete else ""


def _disconnected(e: HostEvidence) -> str:
    return _seen_in_aws(e) if e.instances else ""


def _seen_in_aws(e: HostEvidence) -> str:
    best = best_instance(e.instances)
    node = f"{e.node.id} {e.node.ping}, " if e.node else ""
    seen = f"{node}{best.status}, agent {'' if best.agent_connected else 'not '}connected"
    return f"{seen}, {len(e.instances)} container instances" if len(e.instances) > 1 else seen


def _instance_gone(e: HostEvidence) -> str:
    # State without an ARN is no ghost: the agent writes agent.db before it registers.
    if e.node is None or not e.facts.ecs.container_instance_arn:
        return ""
    cluster = e.store.cluster
    return f"{e.node.id} is alive in SSM, its container instance is not in cluster {cluster}"


def _broken_off(e: HostEvidence) -> str:
    if e.node is not None:
        return f"{e.node.id} is registered in SSM; {_missing(e)}"
    if e.orphans:
        return f"SSM holds {e.orphans[0].id} for it, its own vault is empty"
    if e.facts.ecs.installed:
        return "the ECS agent is installed, nothing is registered"
    return "an ECS configuration is there, but no agent" if e.facts.ecs.config else ""


def _missing(e: HostEvidence) -> str:
    facts = e.facts
    parts = {
        "docker is not installed": facts.docker is None,
        "the SSM agent does not start at boot": not facts.ssm.enabled,
        "the ECS agent is not installed": not facts.ecs.installed,
        "the ECS agent does not start at boot": facts.ecs.installed and not facts.ecs.enabled,
    }
    return ", ".join(text for text, holds in parts.items() if holds) or "not yet in its cluster"


#: Each rule returns its reason, or "" if it does not match; the first that matches wins.
RULES: tuple[tuple[HostClass, Callable[[HostEvidence], str]], ...] = (
    (HostClass.STRANGER, _wrong_architecture),
    (HostClass.STRANGER, _wrong_machine),
    (HostClass.ELSEWHERE, _other_region),
    (HostClass.ELSEWHERE, _other_cluster),
    (HostClass.NODE_GHOST, _deregistered_node),
    (HostClass.ELSEWHERE, _unknown_node),
    (HostClass.ELSEWHERE, _foreign_node),
    (HostClass.ELSEWHERE, _state_without_node),
    (HostClass.HERE, _connected),
    (HostClass.HALF, _incomplete),
    (HostClass.ASLEEP, _disconnected),
    (HostClass.ECS_GHOST, _instance_gone),
    (HostClass.HALF, _broken_off),
)
