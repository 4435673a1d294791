"""Compares the registered hosts and clusters with the inventory.

A host gets one answer, the first that matches. A host that is being registered while AWS is read
gets none: that takes minutes, and SSM knows the host before ECS does.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from fleet.drift.decide import host_codes as codes
from fleet.drift.decide.commands import (
    drop_instance,
    drop_node,
    host_evidence,
    instance_evidence,
    move_here,
    node_evidence,
    on_the_box,
    register,
    short_arn,
    status,
)
from fleet.drift.decide.store_case import NOT_OPEN, HostCase, Ledgers, Placed, StoreCase
from fleet.drift.decide.store_status import PING_DUE
from fleet.model.commands import Command, in_turn
from fleet.model.drift import Evidence, Finding, HostConnection
from fleet.model.drift_settings import Severity
from fleet.model.inventory import Lifecycle
from fleet.model.observed import NotRead
from fleet.model.printable import listed, many
from fleet.model.registration import HostClass
from fleet.model.spans import moment

#: A host that is first dark so soon after its registration has gone dark; it was not forgotten.
FIRST_DAY = timedelta(days=1)
#: On-premises instances, all regions (Amazon ECS Anywhere pricing, September 2026).
DOLLARS_PER_HOUR = 0.01025
HOURS_PER_MONTH = 730


def cluster_missing(case: StoreCase) -> Finding | None:
    """Report an open store without a cluster, which explains everything else that it lacks."""
    clusters, store = case.shard.clusters, case.store
    if isinstance(clusters, NotRead) or not case.is_open:
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
        fix=Command(f"fleet register {store.id}"),
    )


def still_registered(case: StoreCase) -> list[Finding]:
    """Report a store that is not open and still has registered hosts."""
    store, seen = case.store, case.seen.instances
    if store.lifecycle not in NOT_OPEN or isinstance(seen, NotRead) or case.nodes_at is None:
        return []
    left = sorted({node.id for host in case.hosts.values() for node in host.nodes})
    instances = sorted(seen.value, key=lambda one: one.arn)
    if not instances and not left:
        return []
    planned = store.lifecycle is Lifecycle.PLANNED
    bill = len(instances) * DOLLARS_PER_HOUR * HOURS_PER_MONTH
    cost = f", about ${bill:.0f} a month" if instances else ""
    counted = many(len(instances), "container instance")
    fixes = [drop_instance(case, one) for one in instances]
    fixes += [drop_node(case, node) for node in left]
    return [
        case.found(
            codes.CLOSED_STILL_REGISTERED,
            f"the store is {store.lifecycle} and still has {counted} and "
            f"{many(len(left), 'node')}{cost}",
            Evidence("ECS", f"{counted} in {store.cluster}", seen.at),
            Evidence("SSM", f"{many(len(left), 'node')} of its hosts", case.nodes_at),
            Evidence("inventory", f"lifecycle {store.lifecycle}"),
            fix=() if planned else in_turn(fixes),
            severity=Severity.INFO if planned else None,
            data={"instances": [one.arn for one in instances], "nodes": left},
        )
    ]


def of_hosts(case: StoreCase, ledgers: Ledgers) -> list[Finding]:
    """Report what is wrong with the registration of an open store's hosts, at most one each."""
    if not case.is_open or not case.has_hosts_read or isinstance(case.shard.clusters, NotRead):
        return []
    found = []
    for host in case.hosts.values():
        if host.host.id in ledgers.cloned:
            continue
        first = next((one for rule in RULES if (one := rule(case, host, ledgers))), None)
        if first is not None:
            found.append(first)
    return found


def _elsewhere(case: StoreCase, host: HostCase, ledgers: Ledgers) -> Finding | None:
    placed = elsewhere(host, ledgers)
    if placed is None:
        return None
    return case.found(
        codes.HOST_ELSEWHERE,
        f"its container instance is in cluster {placed.instance.cluster}, not in "
        f"{case.store.cluster}",
        instance_evidence(case, placed.instance),
        *([node_evidence(case, host.node)] if host.node else []),
        host=host.host.name,
        fix=move_here(case, placed.instance),
        data={"arn": placed.instance.arn, "cluster": placed.instance.cluster},
    )


def elsewhere(host: HostCase, ledgers: Ledgers) -> Placed | None:
    """Return the host's container instance in another store's cluster, if its own has none."""
    node = host.node
    if any(node is None or i.managed_instance_id == node.id for i in host.instances):
        return None
    others = [one for one in ledgers.of_host.get(host.host.id, ()) if one.store != host.host.store]
    return max(others, key=lambda one: one.instance.agent_connected, default=None)


def _unregistered(case: StoreCase, host: HostCase, _ledgers: Ledgers) -> Finding | None:
    if host.nodes or host.instances:
        return None
    none_here = f"no container instance of it in cluster {case.store.cluster}"
    return case.found(
        codes.HOST_UNREGISTERED,
        "neither SSM nor ECS knows the host, and the store is open",
        Evidence("ECS", none_here, case.instances_at),
        Evidence("SSM", f'no node named "{host.host.id}"', case.nodes_at),
        host=host.host.name,
        fix=register(host.host),
    )


def _not_in_ssm(case: StoreCase, host: HostCase, _ledgers: Ledgers) -> Finding | None:
    instance, nodes = host.instance, case.shard.nodes
    if host.nodes or instance is None or isinstance(nodes, NotRead):
        return None
    if instance.registered_at is not None and instance.registered_at >= nodes.at:
        return None
    # Credentials are good for an hour, so the ECS agent stays connected for that long.
    then = "its agents have got no credentials since"
    if instance.agent_connected:
        then = "the agents' credentials run out within the hour"
    return case.found(
        codes.HOST_NOT_IN_SSM,
        f"ECS names {instance.managed_instance_id or 'no node'}, which SSM does not know: it was "
        f"deregistered, and {then}",
        instance_evidence(case, instance),
        Evidence("SSM", f"no node {instance.managed_instance_id}", nodes.at),
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
    old = f" but {short_arn(host.instances[0])}, of an earlier node" if host.instances else ""
    return case.found(
        codes.HOST_NOT_IN_ECS,
        f"SSM knows {node.id}, and cluster {case.store.cluster} has no container instance of it",
        Evidence("ECS", f"no container instance of {node.id}{old}", case.instances_at),
        node_evidence(case, node),
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
        *reversed(host_evidence(case, host)),
        host=host.host.name,
        fix=("have the box plugged in at the shop; then ", status(case.store)),
        since=begun,
    )


def never_connected(host: HostCase, now: datetime) -> bool:
    """Tell whether a dark host fell silent within a ping of its registration, and stayed so.

    On its first day it counts as one that has just gone dark.
    """
    if not host.is_dark:
        return False
    if any(spell.connection is not HostConnection.DARK for spell in host.memory.spells):
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
    activate = case.aws(
        "ecs update-container-instances-state --status ACTIVE "
        f"--cluster {case.store.cluster} --container-instances {instance.arn}"
    )
    return case.found(
        codes.HOST_DRAINING,
        f"it is {instance.status}: no task is placed on it, and it still has "
        f"{many(instance.running_tasks, 'task')}",
        instance_evidence(case, instance),
        host=host.host.name,
        fix=activate if instance.status == "DRAINING" else register(host.host),
        data={"arn": instance.arn, "status": instance.status},
    )


#: The first rule that matches is reported of a host.
RULES: tuple[Callable[[StoreCase, HostCase, Ledgers], Finding | None], ...] = (
    _elsewhere,
    _unregistered,
    _not_in_ssm,
    _not_in_ecs,
    _never_connected,
    _draining,
)
