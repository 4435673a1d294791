"""Decides what is done with a store's hosts: classify, check, and choose steps with reasons.

``fleet register --plan`` prints the value that ``fleet register`` executes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet.errors import UsageError
from fleet.model.commands import aws_command
from fleet.model.identity import (
    activation_name,
    cluster_tags,
    declared_attributes,
    differing,
    host_tags,
    is_ours,
)
from fleet.model.inventory import Fleet, Host, Lifecycle, Pins, Store
from fleet.model.observed import HostFacts, ManagedInstance, Ping, Privilege, best_instance
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
from fleet.register.decide.preflight import PreflightFacts, preflight, run_check


@dataclass(frozen=True, slots=True)
class UnreadHost:
    """A host whose facts could not be read, and the class that it has therefore.

    Attributes:
        fix: what to do; "" for what is said to every host of the class.
    """

    host_class: HostClass
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class RegistrationFacts:
    """Everything that is known of a store when its registration is decided.

    Attributes:
        hosts: the selected hosts.
        facts: by host name.
        machine_ids: by host id, of every host that was read in this run.
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


#: An agent without its state does not know the containers it started before. They would run on and
#: keep their ports from the new tasks.
DROP_CONTAINERS = "docker ps -aq --filter label=com.amazonaws.ecs.task-arn | xargs -r docker rm -f"


def as_root_on(host: str) -> str:
    """Return the beginning of a fix that is typed on a host and stops its containers.

    Args:
        host: as ``the host``.
    """
    return f"on {host}, as root, in the store's window, since it stops all its containers: "


#: Reason and fix of the classes that are refused.
REFUSALS: Mapping[HostClass, tuple[str, str]] = {
    HostClass.ASLEEP: (
        "registered, but not connected; nothing is reinstalled",
        "on the host: systemctl status docker amazon-ssm-agent ecs; journalctl -n 50 -u UNIT of "
        "the one that is down; then `fleet register {store} --host {host}`",
    ),
    HostClass.ECS_GHOST: (
        "its container instance is gone; the agent will not register anew by itself",
        f"{as_root_on('the host')}systemctl stop ecs; {DROP_CONTAINERS}; "
        "rm -f /var/lib/ecs/data/agent.db; systemctl start ecs",
    ),
    HostClass.NODE_GHOST: (
        "its node was deregistered in SSM; its vault must be cleared first",
        f"{as_root_on('the host')}amazon-ssm-agent -register -clear; systemctl stop ecs; "
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


def decide_registration(given: RegistrationFacts) -> StoreRegistration:
    """Return what is done with a store; its hosts are in inventory order."""
    hosts: list[HostRegistration] = []
    nodes_ahead = given.nodes_ahead
    for host in given.hosts:
        decided = _decide_host(given, host, nodes_ahead)
        nodes_ahead += adds_node(decided)
        hosts.append(decided)
    name, cluster = given.store.cluster, given.ledgers.cluster
    create = ""
    if any(host.has(Install) for host in hosts):
        if cluster is None:
            create = f"cluster {name} does not exist"
        elif cluster.status != "ACTIVE":
            create = f"cluster {name} is {cluster.status}"
    tags = cluster_tags(given.fleet.name, given.store)
    return StoreRegistration(given.store, tuple(hosts), create, tags)


def adds_node(host: HostRegistration) -> bool:
    """Return whether the registration adds a managed instance."""
    return host.has(Activate)


def _decide_host(given: RegistrationFacts, host: Host, nodes_ahead: int) -> HostRegistration:
    facts = given.facts[host.name]
    if isinstance(facts, UnreadHost):
        return _refused(host, Classification(facts.host_class, facts.reason), facts.fix)
    checked = PreflightFacts(
        host=host,
        facts=facts,
        region=given.store.region,
        tier=given.ledgers.tier,
        nodes_ahead=nodes_ahead,
        machine_ids={**given.pins.machine_ids, **given.machine_ids, host.id: ""},
        set_runtime=given.set_runtime,
    )
    # The facts mean nothing if they were not read as root, or are read while an install runs.
    if facts.privilege is Privilege.NONE:
        check = run_check("root", checked)
        found = Classification(HostClass.UNREACHABLE, check.seen)
        return HostRegistration(
            host, found, (check,), refusal="its facts could not be read as root"
        )
    if facts.installing:
        found = Classification(HostClass.HALF, f"an install runs on it {facts.installing}")
        fix = f"wait for its end, then `fleet register {host.store} --host {host.name}`"
        refusal = "another run is at work on it"
        return HostRegistration(host, found, refusal=refusal, fix=fix, locked=True)
    evidence = HostEvidence(given.store, host, facts, given.ledgers, given.pins)
    found = classify(evidence)
    if given.store.lifecycle is Lifecycle.CLOSED:
        fix = f"lifecycle of {given.store.id} in the inventory"
        return HostRegistration(host, found, refusal="the store is closed", fix=fix)
    if found.host_class is HostClass.ASLEEP and not facts.inactive:
        # Agents that run may only need a moment: the SSM agent takes up to 30 minutes to come back
        # by itself, and a run that was stopped while verifying leaves a host like this.
        return HostRegistration(host, found, steps=(Await("all three services run on the host"),))
    if found.host_class in REFUSALS:
        return _refused(host, found)
    if found.host_class is HostClass.HERE:
        return _decide_registered(given, evidence, found)
    return _decide_install(given, evidence, found, checked)


def _refused(host: Host, found: Classification, fix: str = "") -> HostRegistration:
    refusal, usual_fix = REFUSALS[found.host_class]
    fix = fix or usual_fix.format(store=host.store, host=host.name)
    return HostRegistration(host, found, refusal=refusal, fix=fix)


def _decide_registered(
    given: RegistrationFacts, evidence: HostEvidence, found: Classification
) -> HostRegistration:
    """Return the repairs of a host that is registered and connected, or why it is refused."""
    host, cluster = evidence.host, given.store.cluster
    best = best_instance(evidence.instances)
    if len(evidence.instances) > 1:
        dead = [i.arn for i in evidence.instances if i is not best]
        drop = f"ecs deregister-container-instance --cluster {cluster} --force --container-instance"
        return HostRegistration(
            host,
            found,
            refusal="its node has more than one container instance",
            fix="; ".join(_aws(given.store, f"{drop} {arn}") for arn in dead),
        )
    if best.status != "ACTIVE":
        return HostRegistration(
            host,
            found,
            refusal=f"it is {best.status}: no task is placed on it",
            fix="if that is over: "
            + _aws(
                given.store,
                "ecs update-container-instances-state --status ACTIVE "
                f"--cluster {cluster} --container-instances {best.arn}",
            ),
        )
    steps: list[HostStep] = [*_old_activations(given, host)]
    attributes = differing(declared_attributes(given.store, host), best.attributes)
    if attributes:
        steps.append(PutAttributes(best.arn, attributes, _different(attributes)))
    declared_tags, node = host_tags(given.fleet.name, host), evidence.node
    if node is not None and node.tags is not None:
        tags = differing(declared_tags, node.tags)
        if tags:
            steps.append(TagNode(node.id, tags, _different(tags)))
    tags = differing(declared_tags, best.tags)
    if tags:
        steps.append(TagContainerInstance(best.arn, tags, _different(tags)))
    if host.id not in given.pins.machine_ids and evidence.facts.machine_id:
        steps.append(PinMachine(evidence.facts.machine_id, "registered before it was pinned"))
    return HostRegistration(host, found, steps=tuple(steps))


def _different(entries: Mapping[str, str]) -> str:
    return f"missing or different: {', '.join(entries)}"


def _decide_install(
    given: RegistrationFacts, evidence: HostEvidence, found: Classification, checked: PreflightFacts
) -> HostRegistration:
    """Return the steps that install a host, or why it is refused."""
    host, facts = evidence.host, evidence.facts
    activate = evidence.vault_id is None
    refused = _orphan_refusal(given, host, evidence.orphans) if activate else None
    if refused:
        refusal, fix = refused
        return HostRegistration(host, found, refusal=refusal, fix=fix)
    try:
        agent_config(given.fleet.name, given.store, host)
    except UsageError as error:
        fix = error.hint or str(host.source)
        return HostRegistration(host, found, refusal=str(error), fix=fix)
    checks = preflight(checked)
    failed = [check.name for check in checks if check.result is CheckResult.FAIL]
    if failed:
        return HostRegistration(host, found, checks, refusal=f"preflight: {', '.join(failed)}")
    steps: list[HostStep] = [*_old_activations(given, host)]
    if activate:
        steps += [
            DeregisterOrphan(n.id, f"{n.id} was made for this host, which does not hold it")
            for n in evidence.orphans
        ]
        steps.append(Activate("its vault holds no node"))
    docker_source = "all" if facts.docker is None else "none"
    steps.append(Install(activate, _runtime_to_set(checked), docker_source, found.reason))
    if host.id not in given.pins.machine_ids:
        steps.append(PinMachine(facts.machine_id, "first registration"))
    return HostRegistration(host, found, checks, tuple(steps))


def _orphan_refusal(
    given: RegistrationFacts, host: Host, orphans: Sequence[ManagedInstance]
) -> tuple[str, str] | None:
    """Return reason and fix if a node with the host's name must not be replaced by a new one."""
    arns = {i.managed_instance_id: i.arn for i in given.ledgers.container_instances}
    for node in orphans:
        if node.ping is Ping.ONLINE:
            return (
                f"another box answers as this host: {node.id} is Online in SSM",
                "find the other box (a clone, or the one this replaces); if it is gone, wait "
                "until SSM shows ConnectionLost and register again",
            )
    for node in orphans:
        if node.id in arns:
            return (
                f"{node.id} was this host's node and still has a container instance",
                "if the box was wiped or replaced, deregister both: "
                + _aws(
                    given.store,
                    f"ecs deregister-container-instance --cluster {given.store.cluster} --force "
                    f"--container-instance {arns[node.id]}",
                )
                + "; then "
                + _drop_node(given.store, node),
            )
    for node in orphans:
        if not is_ours(node.tags, given.fleet.name, host):
            return (
                f"{node.id} has this host's name, but not the tags of fleet {given.fleet.name}",
                f"find out whose it is; if nobody's: {_drop_node(given.store, node)}",
            )
    return None


def _drop_node(store: Store, node: ManagedInstance) -> str:
    return _aws(store, f"ssm deregister-managed-instance --instance-id {node.id}")


def _aws(store: Store, words: str) -> str:
    """Return an AWS call in the store's account and region; elsewhere it would find nothing."""
    return aws_command(words, store.region, store.account.profile).words


def _runtime_to_set(checked: PreflightFacts) -> str | None:
    wanted, docker = checked.host.hardware.default_runtime, checked.facts.docker
    differs = docker is not None and docker.default_runtime != wanted
    return wanted if checked.set_runtime and differs else None


def _old_activations(given: RegistrationFacts, host: Host) -> tuple[DeleteActivation, ...]:
    """Return the activations of earlier runs; their codes are lost, so nobody may use them."""
    return tuple(
        DeleteActivation(
            a.id,
            "used up" if a.count >= a.limit else "left open by an earlier run, its code is lost",
        )
        for a in given.ledgers.activations
        if a.name == activation_name(host) and is_ours(a.tags, given.fleet.name, host)
    )
