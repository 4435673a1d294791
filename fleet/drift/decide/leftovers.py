"""Reports nodes and container instances beside the one that is a host: leftovers, copies, others.

Nothing is called left over while it answers: two that answer at once are two boxes.
"""

from collections.abc import Mapping, Sequence

from fleet.drift.decide import host_codes as codes
from fleet.drift.decide.commands import (
    drop_instance,
    drop_node,
    instance_evidence,
    node_evidence,
    short_arn,
)
from fleet.drift.decide.host_connection import Pinged, pinged
from fleet.drift.decide.registration import elsewhere
from fleet.drift.decide.store_case import (
    NOT_OPEN,
    NOTHING,
    HostCase,
    Ledgers,
    Placed,
    ShardCase,
    StoreCase,
)
from fleet.model.commands import Command, Proposal, in_turn
from fleet.model.drift import Evidence, Finding
from fleet.model.identity import activation_name
from fleet.model.inventory import Store
from fleet.model.observed import ContainerInstance, ManagedInstance, NotRead, Ping, Reading
from fleet.model.printable import listed, printable
from fleet.register.decide.registration import DROP_CONTAINERS, as_root_on


def of_store(case: StoreCase, ledgers: Ledgers) -> list[Finding]:
    """Report twins, leftovers and copies of a store's hosts, and instances of nobody."""
    seen = case.seen.instances
    if case.store.lifecycle in NOT_OPEN or isinstance(seen, NotRead) or case.nodes_at is None:
        return []
    found: list[Finding] = []
    for host in case.hosts.values():
        found += _twins(case, host)
        found += _old_instances(case, host)
        found += _old_nodes(case, host)
    for instance in seen.value:
        owner = ledgers.owner(Placed(case.store.id, instance))
        is_own = owner and ledgers.hosts[owner].store == case.store.id
        if not is_own and not (owner and _is_reported_at_owner(owner, ledgers)):
            found.append(_foreign_instance(case, instance, owner))
    return found


def _scan(case: StoreCase) -> Command:
    return Command(f"fleet drift {case.store.id}", sends=False)


def _live(host: HostCase) -> tuple[ContainerInstance, ...]:
    """Return the container instances of the host's current node, the best one first."""
    if not host.instances:
        return ()
    current = host.node.id if host.node else host.instances[0].managed_instance_id
    return tuple(i for i in host.instances if i.managed_instance_id == current)


def _twins(case: StoreCase, host: HostCase) -> list[Finding]:
    live = _live(host)
    if len(live) <= 1:
        return []
    best, dead = live[0], live[1:]
    newest = max((one.registered_at for one in live if one.registered_at), default=None)
    which = "the newer one is" if best.registered_at == newest else "one is"
    state = f"{which} connected" if best.agent_connected else "none is connected now"
    return [
        case.found(
            codes.TWIN,
            f"{len(live)} container instances for {best.managed_instance_id} ({state})",
            *(instance_evidence(case, one) for one in live),
            host=host.host.name,
            fix=in_turn(drop_instance(case, one) for one in dead)
            if best.agent_connected
            else ("wait until its agent is connected; then ", _scan(case)),
            # Only the one that is connected proves which of them is in use.
            sure=best.agent_connected and not any(one.agent_connected for one in dead),
            data={"keep": best.arn, "arns": [one.arn for one in dead], "cluster": best.cluster},
        )
    ]


def _old_instances(case: StoreCase, host: HostCase) -> list[Finding]:
    live = _live(host)
    if not live or host.node is None:
        return []
    return [
        case.found(
            codes.GHOST_INSTANCE,
            f"{short_arn(one)} is of {one.managed_instance_id}, an earlier node of the host, and "
            f"no agent is connected to it; the host is {live[0].managed_instance_id} now",
            instance_evidence(case, one),
            instance_evidence(case, live[0]),
            host=host.host.name,
            subject=short_arn(one),
            fix=drop_instance(case, one),
            data={"arn": one.arn, "cluster": one.cluster, "node": one.managed_instance_id},
        )
        for one in host.instances
        if one not in live and not one.agent_connected and not _answers(case, host, one)
    ]


def _answers(case: StoreCase, host: HostCase, instance: ContainerInstance) -> bool:
    """Tell whether the node of another instance still answers, so that it is no leftover."""
    node = next((n for n in host.nodes if n.id == instance.managed_instance_id), None)
    return node is not None and _ping(case, node) is not Pinged.LOST


def _ping(case: StoreCase, node: ManagedInstance) -> Pinged:
    at = case.nodes_at or case.background.now
    return pinged(node, at, case.background.settings.hold_s)


def _old_nodes(case: StoreCase, host: HostCase) -> list[Finding]:
    """Report older nodes of the host's name: leftovers when lost, copies when they answer."""
    current, found = host.node, []
    if current is None:
        return []
    for node in host.nodes[1:]:
        if node.name != activation_name(host.host):
            continue
        ping = _ping(case, node)
        if ping is Pinged.LOST and node.ping is not Ping.ONLINE:
            found.append(_ghost_node(case, host, current, node))
        elif ping is Pinged.HERE and _answered_since(node, current):
            found.append(_two_boxes(case, host, current, node))
    return found


def _answered_since(one: ManagedInstance, other: ManagedInstance) -> bool:
    """Tell whether both have pinged since the later of them was registered.

    A box that was wiped and registered anew leaves a node that is "Online" for some minutes.
    """
    if one.last_ping_at is None or other.last_ping_at is None:
        return False
    begun = [node.registered_at for node in (one, other) if node.registered_at is not None]
    later = max(begun, default=None)
    return later is not None and min(one.last_ping_at, other.last_ping_at) > later


def _ghost_node(
    case: StoreCase, host: HostCase, current: ManagedInstance, node: ManagedInstance
) -> Finding:
    tagged = case.shard.tagged
    return case.found(
        codes.GHOST_NODE,
        f"{node.id} is an earlier node of the host, which is {current.id} now",
        node_evidence(case, node),
        node_evidence(case, current),
        host=host.host.name,
        subject=node.id,
        fix=drop_node(case, node.id),
        # Another fleet, or a person, may have used the name; the tag proves that it is ours.
        sure=isinstance(tagged, Reading) and node.id in tagged.value,
        data={"node": node.id},
    )


def _two_boxes(
    case: StoreCase, host: HostCase, current: ManagedInstance, node: ManagedInstance
) -> Finding:
    both = sorted((current.id, node.id))
    return case.found(
        codes.CLONE,
        f"two boxes answer as this host: {current.id} and {node.id} both ping SSM",
        node_evidence(case, current),
        node_evidence(case, node),
        host=host.host.name,
        subject=" ".join(both),
        fix=("find the other box; then ", drop_node(case, node.id)),
        data={"nodes": both},
    )


def clones(cases: Mapping[str, StoreCase], all_ledgers: Sequence[Ledgers]) -> list[Finding]:
    """Report hosts that share a node id or machine id, each id once, at the first of its hosts."""
    found = [
        _same_node(cases, ledgers, node_id, sorted(hosts))
        for ledgers in all_ledgers
        for node_id, hosts in sorted(ledgers.claims.items())
    ]
    by_machine: dict[str, list[HostCase]] = {}
    for case in cases.values():
        for host in case.hosts.values():
            id_ = _machine_id(case, host)
            if id_ and host.node is not None and not host.is_dark:
                by_machine.setdefault(id_, []).append(host)
    for id_, same in sorted(by_machine.items()):
        nodes = {host.node.id for host in same if host.node}
        if len(same) > 1 and len(nodes) > 1:
            found.append(_same_machine(cases, id_, sorted(same, key=lambda host: host.host.id)))
    return found


def _machine_id(case: StoreCase, host: HostCase) -> str:
    """Return the machine id that the host reported now, or when it was last visited."""
    probe = case.seen.probes.get(host.host.name)
    if isinstance(probe, Reading) and probe.value.machine_id:
        return probe.value.machine_id
    return host.memory.machine_id


def _same_node(
    cases: Mapping[str, StoreCase], ledgers: Ledgers, node_id: str, hosts: list[str]
) -> Finding:
    """Report the first host that the node is not named after: that one is the copy."""
    node = ledgers.by_id.get(node_id)
    copies = [host for host in hosts if node is None or host != node.name]
    copy = ledgers.hosts[copies[0]]
    case = cases[copy.store]
    others = " and by ".join(host for host in hosts if host != copies[0])
    return case.found(
        codes.CLONE,
        f"{node_id} is claimed by {copies[0]} and by {others}: one is a copy of the other's disk",
        *(instance_evidence(case, placed.instance) for placed in ledgers.of_node[node_id]),
        host=copy.name,
        subject=node_id,
        fix=_unclone(copies[0]),
        data={"node": node_id, "hosts": hosts},
    )


def _same_machine(cases: Mapping[str, StoreCase], id_: str, same: list[HostCase]) -> Finding:
    first, others = same[0].host, [one.host.id for one in same[1:]]
    shown = printable(id_, limit=40)
    return cases[first.store].found(
        codes.CLONE,
        f"machine id {shown} is that of {first.id} and of "
        f"{' and '.join(others)}: they were made from one image",
        *(Evidence("host", f"{one.host.id} says machine id {shown}") for one in same),
        host=first.name,
        subject=shown,
        fix=_unclone(others[0]),
        data={"machine_id": id_, "hosts": [first.id, *others]},
    )


def _unclone(host_id: str) -> Proposal:
    store, _, name = host_id.partition("/")
    return (
        f"{as_root_on(f'the copy ({host_id})')}systemctl stop ecs amazon-ssm-agent; "
        f"{DROP_CONTAINERS}; rm -f /etc/machine-id /var/lib/ecs/data/agent.db; "
        "systemd-machine-id-setup; amazon-ssm-agent -register -clear; then ",
        Command(f"fleet register {store} --host {name}"),
    )


def _foreign_instance(case: StoreCase, instance: ContainerInstance, owner: str) -> Finding:
    whose = f"it is {owner}'s" if owner else "the inventory has no such host"
    describe = case.aws(
        f"ecs describe-container-instances --cluster {case.store.cluster} "
        f"--container-instances {instance.arn}",
        sends=False,
    )
    hosts = listed([host.name for host in case.store.hosts]) or "no host"
    return case.found(
        codes.FOREIGN_INSTANCE,
        f"{short_arn(instance)} of {instance.managed_instance_id or 'no node'} is in the store's "
        f"cluster, and {whose}",
        instance_evidence(case, instance),
        Evidence("inventory", f"{case.store.id} has {hosts}"),
        subject=short_arn(instance),
        fix=(describe, "; if nobody's: ", drop_instance(case, instance)),
        data={"arn": instance.arn, "node": instance.managed_instance_id, "owner": owner},
    )


def _is_reported_at_owner(owner: str, ledgers: Ledgers) -> bool:
    """Tell whether the owner is reported as a clone, or as registered elsewhere."""
    if owner in ledgers.cloned:
        return True
    host = ledgers.hosts[owner]
    if host.store not in ledgers.shard.stores:
        return False
    nodes = tuple(ledgers.named.get(owner, ()))
    own = tuple(one.instance for one in ledgers.of_host[owner] if one.store == host.store)
    return elsewhere(HostCase(host, nodes, own, NOTHING), ledgers) is not None


def foreign_nodes(case: ShardCase) -> list[Finding]:
    """Report nodes that are ours by tag or name, and no host of the inventory.

    A node that a cluster still names is reported there, so nothing is reported unless every cluster
    of the account and region was read.
    """
    shard, found = case.shard, []
    if isinstance(shard.nodes, NotRead) or not case.is_whole:
        return []
    tagged = frozenset() if isinstance(shard.tagged, NotRead) else shard.tagged.value
    stores = {store.id: store for store in case.fleet.stores}
    for node in shard.nodes.value:
        is_tagged = node.id in tagged
        why = _why_foreign(case, stores, node, tagged=is_tagged)
        if not why or node.id in case.ledgers.of_node:
            continue
        ours = "carries the fleet's tag" if is_tagged else "is named like a host of the fleet"
        name = f'"{printable(node.name, limit=80)}"' if node.name else "without a name"
        found.append(
            case.found(
                codes.FOREIGN_NODE,
                f"{node.id} {name} {ours}, and {why}",
                Evidence("SSM", f"{node.id} {node.ping}", shard.nodes.at),
                subject=node.id,
                fix=case.aws(f"ssm deregister-managed-instance --instance-id {node.id}"),
                data={"node": node.id, "name": node.name},
            )
        )
    return found


def _why_foreign(
    case: ShardCase, stores: Mapping[str, Store], node: ManagedInstance, *, tagged: bool
) -> str:
    """Return why a node of ours is no host's here; "" where it is one, or is not ours."""
    host = case.ledgers.hosts.get(node.name)
    if host is not None:
        home = stores[host.store]
        place = f"{home.account.name}/{home.region}"
        return f"that host lives in {place}" if place != case.place else ""
    store, slash, _name = node.name.partition("/")
    is_ours = tagged or (bool(slash) and store in stores)
    return "the inventory has no such host" if is_ours else ""
