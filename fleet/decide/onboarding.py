"""What to do with a store's hosts: classify, check, and name the steps, each with its reason.

The same value is printed by ``--plan`` and executed without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet.decide.classify import Evidence, best_instance, classify
from fleet.decide.identity import (
    activation_name,
    cluster_tags,
    declared_attributes,
    differing,
    host_tags,
)
from fleet.decide.preflight import Preflight, preflight
from fleet.model.inventory import Fleet, Host, Lifecycle, Pins, Store
from fleet.model.observed import HostFacts, Ping
from fleet.model.onboarding import (
    Activate,
    CheckResult,
    Classification,
    DeleteActivation,
    DeregisterOrphan,
    HostClass,
    HostPlan,
    HostStep,
    Install,
    PinMachine,
    PutAttributes,
    StoreLedgers,
    StorePlan,
    TagContainerInstance,
)


@dataclass(frozen=True, slots=True)
class Unread:
    """A host whose facts could not be read: what it counts as, why, and what to do."""

    host_class: HostClass
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class Case:
    """All that is known when a store is planned.

    Attributes:
        fleet: the inventory.
        store: which store.
        hosts: which of its hosts, all or those asked for.
        facts: by host name, what was read or why it was not.
        ledgers: what AWS says.
        pins: machine ids we know.
        machine_ids: host id -> machine id of every host of the fleet read in this run.
        nodes_ahead: nodes that stores before this one add to the same account and region.
        set_runtime: whether docker's default runtime may be set.
    """

    fleet: Fleet
    store: Store
    hosts: Sequence[Host]
    facts: Mapping[str, HostFacts | Unread]
    ledgers: StoreLedgers
    pins: Pins
    machine_ids: Mapping[str, str]
    nodes_ahead: int = 0
    set_runtime: bool = False


#: What to say to the classes that register does not touch.
REFUSALS: Mapping[HostClass, tuple[str, str]] = {
    HostClass.ASLEEP: (
        "registered, but not connected; nothing is reinstalled",
        "on the host: systemctl status docker amazon-ssm-agent ecs; "
        "journalctl -u ecs -n 50; then `fleet status {store}`",
    ),
    HostClass.ECS_GHOST: (
        "its container instance is gone; the agent will not register anew by itself",
        "on the host: systemctl stop ecs && rm /var/lib/ecs/data/agent.db && systemctl start ecs",
    ),
    HostClass.NODE_GHOST: (
        "its node was deregistered in SSM; its vault must be cleared first",
        "on the host: amazon-ssm-agent -register -clear; systemctl stop ecs; "
        "rm /var/lib/ecs/data/agent.db; then `fleet register {store} --host {host}`",
    ),
    HostClass.ELSEWHERE: (
        "not proved to be ours, so it is left alone",
        "find out whose it is; if it is yours, deregister it there, clear its vault "
        "(amazon-ssm-agent -register -clear) and remove /var/lib/ecs/data/agent.db",
    ),
    HostClass.STRANGER: (
        "not the box that the inventory describes",
        "if the box was replaced, correct the inventory or remove its line from "
        "inventory/pins.yaml, then register again",
    ),
}


def plan_store(case: Case) -> StorePlan:
    """The plan of a store; hosts in inventory order."""
    plans: list[HostPlan] = []
    ahead = case.nodes_ahead
    for host in case.hosts:
        plan = _plan_host(case, host, ahead)
        ahead += adds_node(plan)
        plans.append(plan)
    cluster = case.ledgers.cluster
    create = ""
    if cluster is None:
        create = f"cluster {case.store.cluster} does not exist"
    elif cluster.status != "ACTIVE":
        create = f"cluster {case.store.cluster} is {cluster.status}"
    if not any(isinstance(step, Install) for plan in plans for step in plan.steps):
        create = ""
    return StorePlan(case.store, tuple(plans), create, cluster_tags(case.fleet.name, case.store))


def adds_node(plan: HostPlan) -> bool:
    """Whether a plan adds a managed instance."""
    return any(isinstance(step, Activate) for step in plan.steps)


def _plan_host(case: Case, host: Host, nodes_ahead: int) -> HostPlan:
    facts = case.facts[host.name]
    if isinstance(facts, Unread):
        return HostPlan(
            host,
            Classification(facts.host_class, facts.reason),
            refusal="facts could not be read"
            if facts.host_class is HostClass.UNREACHABLE
            else REFUSALS[facts.host_class][0],
            fix=facts.fix,
        )
    evidence = Evidence(case.store, host, facts, case.ledgers, case.pins)
    found = classify(evidence)
    if case.store.lifecycle is Lifecycle.CLOSED:
        return HostPlan(
            host,
            found,
            refusal="the store is closed",
            fix=f"lifecycle of {case.store.id} in the inventory",
        )
    if found.host_class in REFUSALS:
        refusal, fix = REFUSALS[found.host_class]
        return HostPlan(
            host, found, refusal=refusal, fix=fix.format(store=host.store, host=host.name)
        )
    if found.host_class is HostClass.HERE:
        return HostPlan(host, found, steps=_repairs(case, host, evidence))
    return _plan_install(case, host, evidence, found, nodes_ahead)


def _plan_install(
    case: Case, host: Host, evidence: Evidence, found: Classification, nodes_ahead: int
) -> HostPlan:
    activate = evidence.vault_id is None
    online = [n for n in evidence.orphans if n.ping is Ping.ONLINE]
    if activate and online:
        return HostPlan(
            host,
            found,
            refusal=f"another box answers as this host: {online[0].id} is Online in SSM",
            fix="find the other box (a clone, or the one this replaces); if it is gone, wait until "
            "SSM shows ConnectionLost and register again",
        )
    kept = {i.managed_instance_id for i in case.ledgers.container_instances}
    held = [n for n in evidence.orphans if n.id in kept]
    if activate and held:
        return HostPlan(
            host,
            found,
            refusal=f"{held[0].id} was this host's node and still has a container instance",
            fix="if the box was wiped or replaced, deregister both: aws ecs "
            f"deregister-container-instance --cluster {case.store.cluster} --force, then aws ssm "
            f"deregister-managed-instance --instance-id {held[0].id}",
        )
    checks = preflight(
        Preflight(
            host=host,
            facts=evidence.facts,
            region=case.store.region,
            tier=case.ledgers.tier,
            needs_activation=activate,
            nodes_ahead=nodes_ahead,
            clones={**case.pins.machine_ids, **case.machine_ids, host.id: ""},
            set_runtime=case.set_runtime,
        )
    )
    failed = [c.name for c in checks if c.result is CheckResult.FAIL]
    if failed:
        return HostPlan(host, found, checks, refusal=f"preflight: {', '.join(failed)}")
    steps: list[HostStep] = list(_leftovers(case, host))
    if activate:
        steps += [
            DeregisterOrphan(n.id, f"{n.id} was made for this host, which does not hold it")
            for n in evidence.orphans
        ]
        steps.append(Activate("its vault holds no node"))
    steps.append(
        Install(
            activate=activate,
            set_runtime=_runtime_to_set(case, host, evidence.facts),
            docker_source="all" if evidence.facts.docker is None else "none",
            reason=found.reason,
        )
    )
    if host.id not in case.pins.machine_ids:
        steps.append(PinMachine(evidence.facts.machine_id, "first registration"))
    return HostPlan(host, found, checks, tuple(steps))


def _runtime_to_set(case: Case, host: Host, facts: HostFacts) -> str | None:
    wanted = host.hardware.default_runtime
    if not case.set_runtime or wanted is None or facts.docker is None:
        return None
    return wanted if facts.docker.default_runtime != wanted else None


def _leftovers(case: Case, host: Host) -> tuple[DeleteActivation, ...]:
    """Activations of earlier runs: their codes are lost, so nobody may use them any more."""
    return tuple(
        DeleteActivation(
            a.id,
            "used up" if a.count >= a.limit else "left open by an earlier run, its code is lost",
        )
        for a in case.ledgers.activations
        if a.name == activation_name(host)
    )


def _repairs(case: Case, host: Host, evidence: Evidence) -> tuple[HostStep, ...]:
    best = best_instance(evidence.instances)
    steps: list[HostStep] = list(_leftovers(case, host))
    attributes = differing(declared_attributes(case.store, host), best.attributes)
    if attributes:
        steps.append(
            PutAttributes(best.arn, attributes, f"missing or different: {', '.join(attributes)}")
        )
    tags = differing(host_tags(case.fleet.name, host), best.tags)
    if tags:
        steps.append(
            TagContainerInstance(best.arn, tags, f"missing or different: {', '.join(tags)}")
        )
    if host.id not in case.pins.machine_ids and evidence.facts.machine_id:
        steps.append(PinMachine(evidence.facts.machine_id, "registered before it was pinned"))
    return tuple(steps)
