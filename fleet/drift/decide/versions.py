"""Which agents and which docker run on hosts, as far as ECS and SSM say."""

from collections.abc import Iterable, Mapping

from fleet.model.drift import HostMemory, ShardSeen, Versions
from fleet.model.observed import NotRead

HostKey = tuple[str, str]


def versions_of(
    ids: Mapping[HostKey, tuple[str, str]],
    shards: Iterable[ShardSeen],
    memory: Mapping[HostKey, HostMemory],
) -> dict[HostKey, Versions]:
    """By (store, host), of the hosts that have ids; what is not said now is as it was.

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
