"""What to do with a store's hosts: classify, check, and name the steps, each with its reason.

The same value is printed by ``--plan`` and executed without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet.errors import UsageError
from fleet.model.identity import (
    activation_name,
    cluster_tags,
    declared_attributes,
    differing,
    host_tags,
    is_ours,
)
from fleet.model.inventory import Fleet, Host, Lifecycle, Pins, Store
from fleet.model.observed import HostFacts, Ping, Privilege, best_instance
from fleet.model.registration import (
    Activate,
    Await,
    CheckResult,
    Classification,
    DeleteActivation,
    DeregisterOrphan,
    HostClass,
    HostRegistration,
    HostStep,
    Install,
    PinMachine,
    PutAttributes,
    StoreLedgers,
    StoreRegistration,
    TagContainerInstance,
    TagNode,
)
from fleet.register.decide.agent_config import agent_config
from fleet.register.decide.classify import HostEvidence, classify
from fleet.register.decide.preflight import PreflightFacts, preflight, root_check


@dataclass(frozen=True, slots=True)
class UnreadHost:
    """A host whose facts could not be read: what it counts as, why, and what to do."""

    host_class: HostClass
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class StoreFacts:
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
    facts: Mapping[str, HostFacts | UnreadHost]
    ledgers: StoreLedgers
    pins: Pins
    machine_ids: Mapping[str, str]
    nodes_ahead: int = 0
    set_runtime: bool = False


#: An agent without its state knows no container of its own from before: they would run on, unseen,
#: and keep their ports from the new tasks.
DROP_CONTAINERS = "docker ps -aq --filter label=com.amazonaws.ecs.task-arn | xargs -r docker rm -f"


def stopping(box: str) -> str:
    """Where that is to be typed, and what it costs.

    Args:
        box: as ``the host``.
    """
    return f"on {box}, as root, in the store's window, since it stops all its containers: "


#: What to say to the classes that register does not touch.
REFUSALS: Mapping[HostClass, tuple[str, str]] = {
    HostClass.ASLEEP: (
        "registered, but not connected; nothing is reinstalled",
        "on the host: systemctl status docker amazon-ssm-agent ecs; journalctl -n 50 -u UNIT of "
        "the one that is down; then `fleet register {store} --host {host}`",
    ),
    HostClass.ECS_GHOST: (
        "its container instance is gone; the agent will not register anew by itself",
        f"{stopping('the host')}systemctl stop ecs; {DROP_CONTAINERS}; "
        "rm -f /var/lib/ecs/data/agent.db; systemctl start ecs",
    ),
    HostClass.NODE_GHOST: (
        "its node was deregistered in SSM; its vault must be cleared first",
        f"{stopping('the host')}amazon-ssm-agent -register -clear; systemctl stop ecs; "
        f"{DROP_CONTAINERS}; "
        "rm -f /var/lib/ecs/data/agent.db; then `fleet register {store} --host {host}`",
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
    HostClass.UNPINNED: (
        "first contact: its SSH host key is not pinned",
        "fleet register {store} --host {host} --accept-new-host-keys",
    ),
    HostClass.UNREACHABLE: ("its facts could not be read", "fleet status {store}"),
}


def decide_registration(case: StoreFacts) -> StoreRegistration:
    """The plan of a store; hosts in inventory order."""
    plans: list[HostRegistration] = []
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
    return StoreRegistration(
        case.store, tuple(plans), create, cluster_tags(case.fleet.name, case.store)
    )


def adds_node(plan: HostRegistration) -> bool:
    """Whether a plan adds a managed instance."""
    return any(isinstance(step, Activate) for step in plan.steps)


def _plan_host(case: StoreFacts, host: Host, nodes_ahead: int) -> HostRegistration:
    facts = case.facts[host.name]
    if isinstance(facts, UnreadHost):
        found = Classification(facts.host_class, facts.reason)
        return _refused(host, found, *REFUSALS[facts.host_class], fix=facts.fix)
    unfit = _unfit(host, facts)
    if unfit is not None:
        return unfit
    evidence = HostEvidence(case.store, host, facts, case.ledgers, case.pins)
    found = classify(evidence)
    if case.store.lifecycle is Lifecycle.CLOSED:
        fix = f"lifecycle of {case.store.id} in the inventory"
        return HostRegistration(host, found, refusal="the store is closed", fix=fix)
    if found.host_class is HostClass.ASLEEP and not evidence.facts.inactive:
        # Agents that run may only need a moment: it takes the SSM agent up to 30 minutes to come
        # back by itself, and a run that was stopped while verifying left just this.
        return HostRegistration(host, found, steps=(Await("all three services run on the host"),))
    if found.host_class in REFUSALS:
        return _refused(host, found, *REFUSALS[found.host_class])
    if found.host_class is HostClass.HERE:
        return _plan_here(case, host, evidence, found)
    return _plan_install(case, host, evidence, found, nodes_ahead)


def _refused(
    host: Host, found: Classification, refusal: str, default_fix: str, *, fix: str = ""
) -> HostRegistration:
    fix = fix or default_fix.format(store=host.store, host=host.name)
    return HostRegistration(host, found, refusal=refusal, fix=fix)


def _unfit(host: Host, facts: HostFacts) -> HostRegistration | None:
    """A refusal where facts mean nothing: not read as root, or read while they change."""
    if facts.privilege is Privilege.NONE:
        check = root_check(host, facts)
        found = Classification(HostClass.UNREACHABLE, check.seen)
        return HostRegistration(
            host, found, (check,), refusal="its facts could not be read as root"
        )
    if facts.installing:
        found = Classification(HostClass.HALF, f"an install runs on it {facts.installing}")
        return HostRegistration(
            host,
            found,
            refusal="another run is at work on it",
            fix=f"wait for its end, then `fleet register {host.store} --host {host.name}`",
            locked=True,
        )
    return None


def _plan_here(
    case: StoreFacts, host: Host, evidence: HostEvidence, found: Classification
) -> HostRegistration:
    best = best_instance(evidence.instances)
    cluster = case.store.cluster
    if len(evidence.instances) > 1:
        dead = [i.arn for i in evidence.instances if i is not best]
        return HostRegistration(
            host,
            found,
            refusal="its node has more than one container instance",
            fix=f"aws ecs deregister-container-instance --cluster {cluster} --force "
            f"--container-instance {' and '.join(dead)}",
        )
    if best.status != "ACTIVE":
        return HostRegistration(
            host,
            found,
            refusal=f"it is {best.status}: no task is placed on it",
            fix="if that is over: aws ecs update-container-instances-state --status ACTIVE "
            f"--cluster {cluster} --container-instances {best.arn}",
        )
    return HostRegistration(host, found, steps=_repairs(case, host, evidence))


def _plan_install(
    case: StoreFacts, host: Host, evidence: HostEvidence, found: Classification, nodes_ahead: int
) -> HostRegistration:
    activate = evidence.vault_id is None
    online = [n for n in evidence.orphans if n.ping is Ping.ONLINE]
    if activate and online:
        return HostRegistration(
            host,
            found,
            refusal=f"another box answers as this host: {online[0].id} is Online in SSM",
            fix="find the other box (a clone, or the one this replaces); if it is gone, wait until "
            "SSM shows ConnectionLost and register again",
        )
    kept = {i.managed_instance_id: i.arn for i in case.ledgers.container_instances}
    held = [n for n in evidence.orphans if n.id in kept]
    if activate and held:
        return HostRegistration(
            host,
            found,
            refusal=f"{held[0].id} was this host's node and still has a container instance",
            fix="if the box was wiped or replaced, deregister both: aws ecs "
            f"deregister-container-instance --cluster {case.store.cluster} --force "
            f"--container-instance {kept[held[0].id]}, then aws ssm "
            f"deregister-managed-instance --instance-id {held[0].id}",
        )
    foreign = [n for n in evidence.orphans if not is_ours(n.tags, case.fleet.name, host)]
    if activate and foreign:
        return HostRegistration(
            host,
            found,
            refusal=f"{foreign[0].id} has this host's name, but not the tags of fleet "
            f"{case.fleet.name}",
            fix="find out whose it is; if nobody's: aws ssm deregister-managed-instance "
            f"--instance-id {foreign[0].id}",
        )
    try:
        agent_config(case.fleet.name, case.store, host)
    except UsageError as error:
        return HostRegistration(host, found, refusal=str(error), fix=error.hint or str(host.source))
    checks = preflight(
        PreflightFacts(
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
        return HostRegistration(host, found, checks, refusal=f"preflight: {', '.join(failed)}")
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
    return HostRegistration(host, found, checks, tuple(steps))


def _runtime_to_set(case: StoreFacts, host: Host, facts: HostFacts) -> str | None:
    wanted = host.hardware.default_runtime
    if not case.set_runtime or wanted is None or facts.docker is None:
        return None
    return wanted if facts.docker.default_runtime != wanted else None


def _leftovers(case: StoreFacts, host: Host) -> tuple[DeleteActivation, ...]:
    """Activations of earlier runs: their codes are lost, so nobody may use them any more."""
    return tuple(
        DeleteActivation(
            a.id,
            "used up" if a.count >= a.limit else "left open by an earlier run, its code is lost",
        )
        for a in case.ledgers.activations
        if a.name == activation_name(host) and is_ours(a.tags, case.fleet.name, host)
    )


def _repairs(case: StoreFacts, host: Host, evidence: HostEvidence) -> tuple[HostStep, ...]:
    best = best_instance(evidence.instances)
    steps: list[HostStep] = list(_leftovers(case, host))
    attributes = differing(declared_attributes(case.store, host), best.attributes)
    if attributes:
        steps.append(
            PutAttributes(best.arn, attributes, f"missing or different: {', '.join(attributes)}")
        )
    node = evidence.node
    if node is not None and node.tags is not None:
        lacking = differing(host_tags(case.fleet.name, host), node.tags)
        if lacking:
            steps.append(TagNode(node.id, lacking, f"missing or different: {', '.join(lacking)}"))
    tags = differing(host_tags(case.fleet.name, host), best.tags)
    if tags:
        steps.append(
            TagContainerInstance(best.arn, tags, f"missing or different: {', '.join(tags)}")
        )
    if host.id not in case.pins.machine_ids and evidence.facts.machine_id:
        steps.append(PinMachine(evidence.facts.machine_id, "registered before it was pinned"))
    return tuple(steps)
