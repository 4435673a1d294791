"""One host, one node, one container instance: what claims a host's place beside the one that lives.

Nothing is called left over while it answers: two that answer at once are two boxes, not leftovers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fleet.drift.decide import host_codes as codes
from fleet.drift.decide.case import HostCase, StoreCase
from fleet.drift.decide.host_words import (
    drop_instance,
    drop_node,
    ecs_says,
    short,
    ssm_says,
)
from fleet.drift.decide.join import Ledgers
from fleet.drift.decide.registration import NOT_OPEN
from fleet.drift.decide.spells import Pinged, pinged
from fleet.model.drift import Evidence, Finding, Probe
from fleet.model.identity import activation_name
from fleet.model.observed import ContainerInstance, ManagedInstance, NotRead, Ping, Reading
from fleet.model.printable import printable
from fleet.register.decide.onboarding import DROP_CONTAINERS, stopping


def of_store(case: StoreCase) -> list[Finding]:
    """Twins and ghosts of a store's hosts, and boxes that answer under one name."""
    if (
        case.store.lifecycle in NOT_OPEN
        or isinstance(case.seen.instances, NotRead)
        or isinstance(case.shard.nodes, NotRead)
    ):
        return []
    found: list[Finding] = []
    for host in case.hosts.values():
        found += _twins(case, host)
        found += _old_instances(case, host)
        found += _old_nodes(case, host)
    return found


def _live(host: HostCase) -> tuple[ContainerInstance, ...]:
    """The container instances of the host's current node, the best one first."""
    if not host.instances:
        return ()
    current = host.node.id if host.node else host.instances[0].managed_instance_id
    return tuple(i for i in host.instances if i.managed_instance_id == current)


def _twins(case: StoreCase, host: HostCase) -> list[Finding]:
    live = _live(host)
    if len(live) <= 1:
        return []
    best, dead = live[0], live[1:]
    which = "the newer one is" if best.registered_at == _newest(live) else "one is"
    state = f"{which} connected" if best.agent_connected else "none is connected now"
    finding = case.found(
        codes.TWIN,
        f"{len(live)} container instances for {best.managed_instance_id} ({state})",
        *(ecs_says(case, one) for one in live),
        host=host.host.name,
        fix="; ".join(drop_instance(case.store, one) for one in dead)
        if best.agent_connected
        else f"wait until its agent is connected; then fleet drift {case.store.id}",
        data={"keep": best.arn, "arns": [one.arn for one in dead], "cluster": best.cluster},
    )
    # Which of them lives is only proved by the one that is connected.
    sure = best.agent_connected and not any(one.agent_connected for one in dead)
    return [replace(finding, safe=finding.safe and sure)]


def _newest(live: Sequence[ContainerInstance]) -> object:
    return max((one.registered_at for one in live if one.registered_at), default=None)


def _old_instances(case: StoreCase, host: HostCase) -> list[Finding]:
    live = _live(host)
    if not live or host.node is None:
        return []
    return [
        case.found(
            codes.GHOST_INSTANCE,
            f"{short(one)} is of {one.managed_instance_id}, an earlier node of the host, and no "
            f"agent is connected to it; the host is {live[0].managed_instance_id} now",
            ecs_says(case, one),
            ecs_says(case, live[0]),
            host=host.host.name,
            subject=short(one),
            fix=drop_instance(case.store, one),
            data={"arn": one.arn, "cluster": one.cluster, "node": one.managed_instance_id},
        )
        for one in host.instances
        if one not in live and not one.agent_connected and not _answers(case, host, one)
    ]


def _answers(case: StoreCase, host: HostCase, instance: ContainerInstance) -> bool:
    """Whether the node of another instance still answers: then it is no ghost."""
    node = next((n for n in host.nodes if n.id == instance.managed_instance_id), None)
    return node is not None and _ping(case, node) is not Pinged.LOST


def _ping(case: StoreCase, node: ManagedInstance) -> Pinged:
    nodes = case.shard.nodes
    at = case.background.now if isinstance(nodes, NotRead) else nodes.at
    return pinged(node, at, case.background.settings.hold_s)


def _old_nodes(case: StoreCase, host: HostCase) -> list[Finding]:
    """Older nodes of the host's name: left over when they are lost, a clone's when they answer."""
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
    """Whether both have pinged after the later of them was registered: both are there now.

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
    finding = case.found(
        codes.GHOST_NODE,
        f"{node.id} is an earlier node of the host, which is {current.id} now",
        ssm_says(case, node),
        ssm_says(case, current),
        host=host.host.name,
        subject=node.id,
        fix=drop_node(case.store, node.id),
        data={"node": node.id},
    )
    # Another fleet, or a person, may have used the name; the tag says that it is ours.
    tagged = case.shard.tagged
    ours = isinstance(tagged, Reading) and node.id in tagged.value
    return replace(finding, safe=finding.safe and ours)


def _two_boxes(
    case: StoreCase, host: HostCase, current: ManagedInstance, node: ManagedInstance
) -> Finding:
    return case.found(
        codes.CLONE,
        f"two boxes answer as this host: {current.id} and {node.id} both ping SSM",
        ssm_says(case, current),
        ssm_says(case, node),
        host=host.host.name,
        subject=" ".join(sorted((current.id, node.id))),
        fix=f"find the other box; then {drop_node(case.store, node.id)}",
        data={"nodes": sorted((current.id, node.id))},
    )


def clones(cases: Mapping[str, StoreCase], all_ledgers: Sequence[Ledgers]) -> list[Finding]:
    """Hosts that share a node id or a machine id, one finding for each id at the first of them."""
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
    """As the host says now, or said when it was last visited."""
    probe: Reading[Probe] | NotRead | None = case.seen.probes.get(host.host.name)
    if isinstance(probe, Reading) and probe.value.machine_id:
        return probe.value.machine_id
    return host.memory.machine_id


def _same_node(
    cases: Mapping[str, StoreCase], ledgers: Ledgers, node_id: str, hosts: list[str]
) -> Finding:
    """Told at the first host that the node is not named after: that one is the copy."""
    node = ledgers.by_id.get(node_id)
    copies = [host for host in hosts if node is None or host != node.name]
    copy = ledgers.hosts[copies[0]]
    case = cases[copy.store]
    others = " and by ".join(host for host in hosts if host != copies[0])
    return case.found(
        codes.CLONE,
        f"{node_id} is claimed by {copies[0]} and by {others}: one is a copy of the other's disk",
        *(ecs_says(case, placed.instance) for placed in ledgers.of_node[node_id]),
        host=copy.name,
        subject=node_id,
        fix=_unclone(copies[0]),
        data={"node": node_id, "hosts": hosts},
    )


def _same_machine(cases: Mapping[str, StoreCase], id_: str, same: list[HostCase]) -> Finding:
    first, others = same[0].host, [one.host.id for one in same[1:]]
    shown = printable(id_, limit=40)
    case = cases[first.store]
    return case.found(
        codes.CLONE,
        f"machine id {shown} is that of {first.id} and of "
        f"{' and '.join(others)}: they were made from one image",
        *(
            Evidence("host", f"{one.host.id} says machine id {printable(id_, limit=40)}")
            for one in same
        ),
        host=first.name,
        subject=shown,
        fix=_unclone(others[0]),
        data={"machine_id": id_, "hosts": [first.id, *others]},
    )


def _unclone(host_id: str) -> str:
    store, _, name = host_id.partition("/")
    return (
        f"{stopping(f'the copy ({host_id})')}systemctl stop ecs amazon-ssm-agent; "
        f"{DROP_CONTAINERS}; rm -f /etc/machine-id /var/lib/ecs/data/agent.db; "
        "systemd-machine-id-setup; amazon-ssm-agent -register -clear; "
        f"then fleet register {store} --host {name}"
    )
