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


Rule = Callable[[HostEvidence], Classification | None]


def classify(evidence: HostEvidence) -> Classification:
    """Return the class of a host with the values that decided it."""
    for rule in RULES:
        verdict = rule(evidence)
        if verdict is not None:
            return verdict
    return Classification(HostClass.FRESH, "nothing of ECS Anywhere is installed")


def _wrong_architecture(e: HostEvidence) -> Classification | None:
    wanted = e.host.hardware.architecture
    if e.facts.architecture is wanted:
        return None
    return Classification(
        HostClass.STRANGER,
        f'uname says {e.facts.machine}, the inventory says {wanted} ("{e.host.hardware.name}")',
    )


def _wrong_machine(e: HostEvidence) -> Classification | None:
    pinned = e.pins.machine_ids.get(e.host.id)
    if pinned is None or pinned == e.facts.machine_id:
        return None
    return Classification(
        HostClass.STRANGER, f"machine id is {e.facts.machine_id}, pinned is {pinned}"
    )


def _other_region(e: HostEvidence) -> Classification | None:
    region = e.facts.ssm.region
    if e.vault_id is None or e.node is not None or not region or region == e.store.region:
        return None
    return Classification(
        HostClass.ELSEWHERE, f"its vault holds {e.vault_id} of {region}, not {e.store.region}"
    )


def _other_cluster(e: HostEvidence) -> Classification | None:
    cluster = e.facts.ecs.cluster
    if cluster is None and e.facts.ecs.has_state:
        cluster = e.facts.ecs.config.get("ECS_CLUSTER", "default")
    if cluster is None or cluster == e.store.cluster:
        return None
    return Classification(
        HostClass.ELSEWHERE, f"its ECS agent belongs to cluster {cluster}, not {e.store.cluster}"
    )


def _unknown_node(e: HostEvidence) -> Classification | None:
    if e.vault_id is None or e.node is not None:
        return None
    if e.instances:
        return Classification(
            HostClass.NODE_GHOST, f"{e.vault_id} is in our cluster, but SSM has deregistered it"
        )
    return Classification(
        HostClass.ELSEWHERE,
        f"its vault holds {e.vault_id}, which SSM of {e.store.account.name}/{e.store.region} does "
        "not know: deregistered, or another account's",
    )


def _foreign_node(e: HostEvidence) -> Classification | None:
    if e.node is None or e.node.name == activation_name(e.host):
        return None
    name = f'named "{e.node.name}"' if e.node.name else "without a name"
    return Classification(
        HostClass.ELSEWHERE,
        f"its vault holds {e.node.id} {name}: registered by hand, or the disk of another host",
    )


def _state_without_node(e: HostEvidence) -> Classification | None:
    if e.vault_id is not None or not (e.facts.ecs.has_state or e.facts.ecs.container_instance_arn):
        return None
    return Classification(
        HostClass.ELSEWHERE,
        "its ECS agent has state, but the SSM vault is empty: whose it was cannot be proved",
    )


def _registered(e: HostEvidence) -> Classification | None:
    if not e.instances or e.node is None:
        return None
    best = best_instance(e.instances)
    connected = "connected" if best.agent_connected else "not connected"
    seen = f"{e.node.id} {e.node.ping}, {best.status}, agent {connected}"
    if len(e.instances) > 1:
        seen += f", {len(e.instances)} container instances"
    if best.agent_connected and e.node.ping is Ping.ONLINE:
        return Classification(HostClass.HERE, seen)
    if not e.complete:
        return Classification(HostClass.HALF, f"{seen}; {_missing(e)}")
    return Classification(HostClass.ASLEEP, seen)


def _instance_gone(e: HostEvidence) -> Classification | None:
    # State without an ARN is no ghost: the agent writes agent.db before it registers.
    if e.node is None or not e.facts.ecs.container_instance_arn:
        return None
    return Classification(
        HostClass.ECS_GHOST,
        f"{e.node.id} is alive in SSM, its container instance is not in cluster {e.store.cluster}",
    )


def _broken_off(e: HostEvidence) -> Classification | None:
    if e.node is not None:
        return Classification(HostClass.HALF, f"{e.node.id} is registered in SSM; {_missing(e)}")
    if e.orphans:
        return Classification(
            HostClass.HALF, f"SSM holds {e.orphans[0].id} for it, its own vault is empty"
        )
    if e.facts.ecs.installed:
        return Classification(HostClass.HALF, "the ECS agent is installed, nothing is registered")
    if e.facts.ecs.config:
        return Classification(HostClass.HALF, "an ECS configuration is there, but no agent")
    return None


def _missing(e: HostEvidence) -> str:
    facts = e.facts
    parts = {
        "docker is not installed": facts.docker is None,
        "the SSM agent does not start at boot": not facts.ssm.enabled,
        "the ECS agent is not installed": not facts.ecs.installed,
        "the ECS agent does not start at boot": facts.ecs.installed and not facts.ecs.enabled,
    }
    return ", ".join(text for text, holds in parts.items() if holds) or "not yet in its cluster"


RULES: tuple[Rule, ...] = (
    _wrong_architecture,
    _wrong_machine,
    _other_region,
    _other_cluster,
    _unknown_node,
    _foreign_node,
    _state_without_node,
    _registered,
    _instance_gone,
    _broken_off,
)
