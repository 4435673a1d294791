"""Inventory beside ECS and SSM: is every host that should be registered, and none that should not?

One answer per host, the first that matches. A host that is being registered while the ledgers are
read, which takes minutes and comes into SSM before it comes into ECS, is none of these.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from fleet.drift.decide import host_codes as codes
from fleet.drift.decide.case import HostCase, StoreCase
from fleet.drift.decide.commands import aws_command
from fleet.drift.decide.host_words import (
    drop_instance,
    drop_node,
    ecs_says,
    move_here,
    no_instance,
    no_node,
    on_the_box,
    register,
    short,
    ssm_says,
)
from fleet.drift.decide.join import Ledgers, Placed
from fleet.model.drift import Connection, Evidence, Finding
from fleet.model.drift_settings import Severity
from fleet.model.inventory import Lifecycle
from fleet.model.observed import NotRead
from fleet.model.onboarding import HostClass
from fleet.model.printable import listed, many
from fleet.model.spans import moment
from fleet.register.decide.ledgers import PING_DUE

#: A host that falls silent so soon after its registration has gone dark, and nobody forgot it.
FIRST_DAY = timedelta(days=1)
#: On-premises instances, all regions (Amazon ECS Anywhere pricing, September 2026).
DOLLARS_PER_HOUR = 0.01025
HOURS_PER_MONTH = 730
#: Lifecycles in which no host should be registered.
NOT_OPEN = frozenset({Lifecycle.CLOSED, Lifecycle.PLANNED})


def cluster_missing(case: StoreCase) -> Finding | None:
    """That an open store has no cluster, which explains all that is missing in it."""
    clusters, store = case.shard.clusters, case.store
    if isinstance(clusters, NotRead) or store.lifecycle is not Lifecycle.OPEN:
        return None
    cluster = clusters.value.get(store.cluster)
    if cluster is not None and cluster.status in {"ACTIVE", "PROVISIONING"}:
        return None
    state = "is not there" if cluster is None else f"is {cluster.status}"
    hosts = listed([host.name for host in store.hosts])
    return case.found(
        codes.CLUSTER_MISSING,
        f"the store is open and its cluster {state}, so nothing runs on {hosts} that ECS knows of",
        Evidence("ECS", f"cluster {store.cluster} {state}", clusters.at),
        Evidence("inventory", f"lifecycle {store.lifecycle}"),
        fix=f"fleet register {store.id}",
    )


def still_registered(case: StoreCase) -> Finding | None:
    """That a store which is not open has hosts in the ledgers."""
    store, seen, nodes = case.store, case.seen.instances, case.shard.nodes
    if store.lifecycle not in NOT_OPEN or isinstance(seen, NotRead) or isinstance(nodes, NotRead):
        return None
    left = sorted({node.id for host in case.hosts.values() for node in host.nodes})
    instances = sorted(seen.value, key=lambda one: one.arn)
    if not instances and not left:
        return None
    planned = store.lifecycle is Lifecycle.PLANNED
    bill = len(instances) * DOLLARS_PER_HOUR * HOURS_PER_MONTH
    cost = f", about ${bill:.0f} a month" if instances else ""
    held = f"{many(len(instances), 'container instance')} and {many(len(left), 'node')}"
    fixes = [drop_instance(store, one) for one in instances]
    fixes += [drop_node(store, node) for node in left]
    return case.found(
        codes.CLOSED_STILL_REGISTERED,
        f"the store is {store.lifecycle} and still has {held}{cost}",
        no_instance(case, f"{many(len(instances), 'container instance')} in {store.cluster}"),
        no_node(case, f"{many(len(left), 'node')} of its hosts"),
        Evidence("inventory", f"lifecycle {store.lifecycle}"),
        fix="" if planned else "; ".join(fixes),
        severity=Severity.INFO if planned else None,
        data={"instances": [one.arn for one in instances], "nodes": left},
    )


def of_hosts(case: StoreCase, ledgers: Ledgers) -> list[Finding]:
    """What is wrong with the registration of the hosts of an open store, at most one each."""
    if (
        case.store.lifecycle is not Lifecycle.OPEN
        or isinstance(case.seen.instances, NotRead)
        or isinstance(case.shard.nodes, NotRead)
        or isinstance(case.shard.clusters, NotRead)
    ):
        return []
    found = []
    for host in case.hosts.values():
        if host.host.id in ledgers.cloned:
            continue
        for rule in RULES:
            finding = rule(case, host, ledgers)
            if finding is not None:
                found.append(finding)
                break
    return found


def _elsewhere(case: StoreCase, host: HostCase, ledgers: Ledgers) -> Finding | None:
    placed = elsewhere(host, ledgers)
    if placed is None:
        return None
    return case.found(
        codes.HOST_ELSEWHERE,
        f"its container instance is in cluster {placed.instance.cluster}, not in "
        f"{case.store.cluster}",
        ecs_says(case, placed.instance),
        *([ssm_says(case, host.node)] if host.node else []),
        host=host.host.name,
        fix=move_here(case.store, placed.instance),
        data={"arn": placed.instance.arn, "cluster": placed.instance.cluster},
    )


def elsewhere(host: HostCase, ledgers: Ledgers) -> Placed | None:
    """The host's container instance in another store's cluster, when its own has none of it."""
    node = host.node
    if any(node is None or i.managed_instance_id == node.id for i in host.instances):
        return None
    others = [one for one in ledgers.of_host.get(host.host.id, ()) if one.store != host.host.store]
    return max(others, key=lambda one: one.instance.agent_connected, default=None)


def _unregistered(case: StoreCase, host: HostCase, _ledgers: Ledgers) -> Finding | None:
    if host.nodes or host.instances:
        return None
    return case.found(
        codes.HOST_UNREGISTERED,
        "neither SSM nor ECS knows the host, and the store is open",
        no_instance(case, f"no container instance of it in cluster {case.store.cluster}"),
        no_node(case, f'no node named "{host.host.id}"'),
        host=host.host.name,
        fix=register(host.host),
    )


def _not_in_ssm(case: StoreCase, host: HostCase, _ledgers: Ledgers) -> Finding | None:
    instance, nodes = host.instance, case.shard.nodes
    if host.nodes or instance is None or isinstance(nodes, NotRead):
        return None
    if instance.registered_at is not None and instance.registered_at >= nodes.at:
        return None
    # Credentials are good for an hour, so that the ECS agent outlives its node for so long.
    then = "its agents have got no credentials since"
    if instance.agent_connected:
        then = "the agents' credentials run out within the hour"
    return case.found(
        codes.HOST_NOT_IN_SSM,
        f"ECS names {instance.managed_instance_id or 'no node'}, which SSM does not know: it was "
        f"deregistered, and {then}",
        ecs_says(case, instance),
        no_node(case, f"no node {instance.managed_instance_id}"),
        host=host.host.name,
        fix=on_the_box(host.host, HostClass.NODE_GHOST),
        data={"arn": instance.arn, "node": instance.managed_instance_id},
    )


def _not_in_ecs(case: StoreCase, host: HostCase, _ledgers: Ledgers) -> Finding | None:
    node, nodes = host.node, case.shard.nodes
    if node is None or isinstance(nodes, NotRead):
        return None
    if any(i.managed_instance_id == node.id for i in host.instances):
        return None
    hold = timedelta(seconds=case.background.settings.hold_s)
    if node.registered_at is not None and nodes.at - node.registered_at < hold:
        return None
    old = f" but {short(host.instances[0])}, of an earlier node" if host.instances else ""
    return case.found(
        codes.HOST_NOT_IN_ECS,
        f"SSM knows {node.id}, and cluster {case.store.cluster} has no container instance of it",
        no_instance(case, f"no container instance of {node.id}{old}"),
        ssm_says(case, node),
        host=host.host.name,
        fix=on_the_box(host.host, HostClass.ECS_GHOST),
        data={"node": node.id},
    )


def _never_connected(case: StoreCase, host: HostCase, _ledgers: Ledgers) -> Finding | None:
    node, instance = host.node, host.instance
    if node is None or instance is None or not never_connected(host, case.background.now):
        return None
    begun = node.registered_at or instance.registered_at
    when = f"was registered {moment(begun)}" if begun else "was registered"
    return case.found(
        codes.NEVER_CONNECTED,
        f"it {when} and has not been heard of since the first ping",
        ssm_says(case, node),
        ecs_says(case, instance),
        host=host.host.name,
        fix=f"have the box plugged in at the shop; then fleet status {case.store.id}",
        since=begun,
    )


def never_connected(host: HostCase, now: datetime) -> bool:
    """Whether a dark host fell silent within a ping of its registration, and was never seen up.

    Not on its first day: then it has just gone dark like any other.
    """
    if host.connection is None or host.connection.connection is not Connection.DARK:
        return False
    if any(spell.connection is not Connection.DARK for spell in host.memory.spells):
        return False
    node, instance = host.node, host.instance
    begun = (node.registered_at if node else None) or (instance.registered_at if instance else None)
    if begun is not None and now - begun < FIRST_DAY:
        return False
    if node is None or node.last_ping_at is None:
        return True
    return node.registered_at is not None and node.last_ping_at - node.registered_at <= PING_DUE


def _draining(case: StoreCase, host: HostCase, _ledgers: Ledgers) -> Finding | None:
    instance = host.instance
    if instance is None or instance.status == "ACTIVE":
        return None
    words = (
        "ecs update-container-instances-state --status ACTIVE "
        f"--cluster {case.store.cluster} --container-instances {instance.arn}"
    )
    draining = instance.status == "DRAINING"
    return case.found(
        codes.HOST_DRAINING,
        f"it is {instance.status}: no task is placed on it, and it still has "
        f"{many(instance.running_tasks, 'task')}",
        ecs_says(case, instance),
        host=host.host.name,
        fix=aws_command(case.store, words) if draining else register(host.host),
        data={"arn": instance.arn, "status": instance.status},
    )


#: Ordered: the first that matches is what is told of a host.
RULES: tuple[Callable[[StoreCase, HostCase, Ledgers], Finding | None], ...] = (
    _elsewhere,
    _unregistered,
    _not_in_ssm,
    _not_in_ecs,
    _never_connected,
    _draining,
)
