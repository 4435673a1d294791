"""What the ledgers say of a host, as evidence, and what to type about its records."""

from fleet.drift.decide.case import StoreCase
from fleet.drift.decide.commands import aws_command
from fleet.model.drift import Evidence
from fleet.model.inventory import Host, Store
from fleet.model.observed import ContainerInstance, ManagedInstance, NotRead, Reading
from fleet.model.onboarding import HostClass
from fleet.model.spans import moment
from fleet.register.decide.ledgers import ecs_words
from fleet.register.decide.onboarding import DROP_CONTAINERS, REFUSALS, stopping


def short(instance: ContainerInstance) -> str:
    """The last part of its ARN, which is unique in its cluster."""
    return instance.arn.rsplit("/", 1)[-1]


def ssm_says(case: StoreCase, node: ManagedInstance) -> Evidence:
    """A node as SSM shows it."""
    nodes = case.shard.nodes
    at = None if isinstance(nodes, NotRead) else nodes.at
    heard = f"last ping {moment(node.last_ping_at)}" if node.last_ping_at else "never pinged"
    return Evidence("SSM", f"{node.id} {node.ping}, {heard}", at)


def ecs_says(case: StoreCase, instance: ContainerInstance) -> Evidence:
    """A container instance as ECS shows it, by the later look at it."""
    seen, again = case.seen.instances, case.seen.again
    at = None if isinstance(seen, NotRead) else seen.at
    if isinstance(again, Reading):
        for later in again.value:
            if later.arn == instance.arn:
                instance, at = later, again.at
    return Evidence("ECS", f"container instance {short(instance)}: {ecs_words(instance)}", at)


def no_node(case: StoreCase, words: str) -> Evidence:
    """That SSM has none."""
    nodes = case.shard.nodes
    return Evidence("SSM", words, None if isinstance(nodes, NotRead) else nodes.at)


def no_instance(case: StoreCase, words: str) -> Evidence:
    """That ECS has none."""
    seen = case.seen.instances
    return Evidence("ECS", words, None if isinstance(seen, NotRead) else seen.at)


def register(host: Host) -> str:
    """What to type to register a host, or to be told what is in the way."""
    return f"fleet register {host.store} --host {host.name}"


def on_the_box(host: Host, host_class: HostClass) -> str:
    """What to type on a host that ``fleet register`` leaves alone: what it would say itself."""
    _, fix = REFUSALS[host_class]
    return fix.format(store=host.store, host=host.name)


def move_here(store: Store, instance: ContainerInstance) -> str:
    """What to type to bring a host into its store's cluster; ``fleet register`` leaves it alone.

    The order of AWS's own steps (ECS developer guide, moving an external instance); what the old
    cluster still knows of it is deregistered last.
    """
    files = "/etc/ecs/ecs.config /var/lib/ecs/ecs.config"
    return (
        f"{stopping('the host')}systemctl stop ecs; "
        f"sed -i 's/^ECS_CLUSTER=.*/ECS_CLUSTER={store.cluster}/' {files}; {DROP_CONTAINERS}; "
        "rm -f /var/lib/ecs/data/agent.db; systemctl start ecs; "
        f"then {drop_instance(store, instance)}"
    )


def drop_instance(store: Store, instance: ContainerInstance) -> str:
    """What to type to deregister a container instance."""
    words = (
        f"ecs deregister-container-instance --force --cluster {instance.cluster} "
        f"--container-instance {instance.arn}"
    )
    return aws_command(store, words)


def drop_node(store: Store, node_id: str) -> str:
    """What to type to deregister a node."""
    return aws_command(store, f"ssm deregister-managed-instance --instance-id {node_id}")
