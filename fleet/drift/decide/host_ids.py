"""Finds the ids and versions of hosts in what was read, for the next scan and the records."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fleet.model.drift import HostMemory, Probe, ShardSeen, Versions
from fleet.model.identity import HOST_ATTRIBUTE, STORE_ATTRIBUTE, activation_name
from fleet.model.inventory import Store
from fleet.model.observed import ContainerInstance, NotRead, Ping, Reading, best_instance

#: Store id and host name.
HostKey = tuple[str, str]


def ids_of(stores: Iterable[Store], shards: Iterable[ShardSeen]) -> dict[HostKey, tuple[str, str]]:
    """Return ``mi-`` id and container instance ARN by (store, host), of hosts that ECS knows.

    The instance's attribute names its host, or else its node's name does.
    """
    found: dict[HostKey, tuple[str, str]] = {}
    by_id = {store.id: store for store in stores}
    for shard in shards:
        nodes = () if isinstance(shard.nodes, NotRead) else shard.nodes.value
        named = {node.id: node.name for node in nodes}
        for store_id, seen in shard.stores.items():
            if isinstance(seen.instances, NotRead) or store_id not in by_id:
                continue
            hosts = {activation_name(host): host.name for host in by_id[store_id].hosts}
            of_host: dict[str, list[ContainerInstance]] = {}
            for one in seen.instances.value:
                if one.attributes.get(STORE_ATTRIBUTE, store_id) != store_id:
                    continue  # A host of another store that joined the wrong cluster.
                name = one.attributes.get(HOST_ATTRIBUTE) or hosts.get(
                    named.get(one.managed_instance_id, ""), ""
                )
                of_host.setdefault(name, []).append(one)
            for host in by_id[store_id].hosts:
                if host.name in of_host:
                    best = best_instance(tuple(of_host[host.name]))
                    found[store_id, host.name] = (best.managed_instance_id, best.arn)
    return found


def online_nodes(stores: Iterable[Store], shards: Iterable[ShardSeen]) -> dict[HostKey, str]:
    """Return ``mi-`` ids by (store, host) of the hosts whose SSM agent is online.

    A host that its cluster does not know, or knows by another node, is found by its node's name.
    """
    seen, scope = tuple(shards), tuple(stores)
    online = [
        node
        for shard in seen
        if not isinstance(shard.nodes, NotRead)
        for node in shard.nodes.value
        if node.ping is Ping.ONLINE
    ]
    ids, named = {node.id for node in online}, {node.name: node.id for node in online}
    of_ecs = ids_of(scope, seen)
    found: dict[HostKey, str] = {}
    for store in scope:
        for host in store.hosts:
            key = store.id, host.name
            id_ = of_ecs[key][0] if key in of_ecs else ""
            id_ = id_ if id_ in ids else named.get(activation_name(host), "")
            if id_:
                found[key] = id_
    return found


def with_probes(
    shards: Iterable[ShardSeen],
    answers: Mapping[HostKey, Reading[Probe] | NotRead],
) -> tuple[ShardSeen, ...]:
    """Return the shards with the answers of hosts that were asked, by (store, host)."""
    of_store: dict[str, dict[str, Reading[Probe] | NotRead]] = {}
    for (store, host), answer in answers.items():
        of_store.setdefault(store, {})[host] = answer
    return tuple(
        replace(
            shard,
            stores={
                store: replace(seen, probes=of_store.get(store, {}))
                for store, seen in shard.stores.items()
            },
        )
        for shard in shards
    )


def versions_of(
    ids: Mapping[HostKey, tuple[str, str]],
    shards: Iterable[ShardSeen],
    memory: Mapping[HostKey, HostMemory],
) -> dict[HostKey, Versions]:
    """Return versions by (store, host) of hosts that have ids; what is not read stays as it was.

    Args:
        ids: of a host its ``mi-`` id and the ARN of its container instance.
        memory: what was recorded before.
    """
    of_node: dict[str, str] = {}
    of_instance: dict[str, tuple[str, str]] = {}
    for shard in shards:
        if not isinstance(shard.nodes, NotRead):
            of_node.update({node.id: node.agent_version for node in shard.nodes.value})
        for seen in shard.stores.values():
            if not isinstance(seen.instances, NotRead):
                for one in seen.instances.value:
                    of_instance[one.arn] = one.agent_version, one.docker_version
    found = {}
    for key, (managed_instance, arn) in ids.items():
        before = memory[key].versions if key in memory else Versions()
        ecs_agent, docker = of_instance.get(arn, ("", ""))
        found[key] = Versions(
            ecs_agent=ecs_agent or before.ecs_agent,
            ssm_agent=of_node.get(managed_instance, "") or before.ssm_agent,
            docker=docker or before.docker,
        )
    return found
