"""Writes the evidence of a host's records, and the commands that repair them, ready to be run."""

import shlex

from fleet.drift.decide.store_case import HostCase, StoreCase
from fleet.model.commands import Command, Proposal
from fleet.model.drift import Evidence
from fleet.model.inventory import Host, SshAccess, Store
from fleet.model.observed import ContainerInstance, ManagedInstance, Reading
from fleet.model.registration import HostClass
from fleet.model.services import TaskState
from fleet.model.spans import moment
from fleet.register.decide.registration import DROP_CONTAINERS, REFUSALS, as_root_on


def short_arn(instance: ContainerInstance) -> str:
    """Return the last part of its ARN, which is unique in its cluster."""
    return instance.arn.rsplit("/", 1)[-1]


def node_evidence(case: StoreCase, node: ManagedInstance) -> Evidence:
    """Return a node as SSM shows it."""
    heard = f"last ping {moment(node.last_ping_at)}" if node.last_ping_at else "never pinged"
    return Evidence("SSM", f"{node.id} {node.ping}, {heard}", case.nodes_at)


def instance_evidence(case: StoreCase, instance: ContainerInstance) -> Evidence:
    """Return a container instance as ECS shows it, by the second look where there was one."""
    at, again = case.instances_at, case.seen.again
    if isinstance(again, Reading):
        for later in again.value:
            if later.arn == instance.arn:
                instance, at = later, again.at
    words = f"container instance {short_arn(instance)}: {instance.state}"
    return Evidence("ECS", words, at)


def host_evidence(case: StoreCase, host: HostCase) -> list[Evidence]:
    """Return a host's container instance and node, as far as it has them."""
    said = []
    if host.instance is not None:
        said.append(instance_evidence(case, host.instance))
    if host.node is not None:
        said.append(node_evidence(case, host.node))
    return said


def register(host: Host) -> Command:
    """Return the command that registers a host, or says what is in the way."""
    return Command(f"fleet register {host.store} --host {host.name}")


def status(store: Store) -> Command:
    """Return the command that asks SSM and ECS about a store again."""
    return Command(f"fleet status {store.id}", sends=False)


def on_the_box(host: Host, host_class: HostClass) -> Proposal:
    """Return the cure that ``fleet register`` names for a host of a class that it refuses."""
    _, fix = REFUSALS[host_class]
    return (fix.format(store=host.store, host=host.name),)


def move_here(case: StoreCase, instance: ContainerInstance) -> Proposal:
    """Return the commands that bring a host, refused by ``fleet register``, into its cluster.

    They follow AWS's own steps (ECS developer guide, moving an external instance). What the old
    cluster still knows of the host is deregistered last.
    """
    files = "/etc/ecs/ecs.config /var/lib/ecs/ecs.config"
    return (
        f"{as_root_on('the host')}systemctl stop ecs; "
        f"sed -i 's/^ECS_CLUSTER=.*/ECS_CLUSTER={case.store.cluster}/' {files}; {DROP_CONTAINERS}; "
        "rm -f /var/lib/ecs/data/agent.db; systemctl start ecs; then ",
        drop_instance(case, instance),
    )


def drop_instance(case: StoreCase, instance: ContainerInstance) -> Command:
    """Return the command that deregisters a container instance."""
    return case.aws(
        f"ecs deregister-container-instance --force --cluster {instance.cluster} "
        f"--container-instance {instance.arn}"
    )


def drop_node(case: StoreCase, node_id: str) -> Command:
    """Return the command that deregisters a node."""
    return case.aws(f"ssm deregister-managed-instance --instance-id {node_id}")


def stop_task(case: StoreCase, task: TaskState) -> Command:
    """Return the command that stops a task; its service starts another one."""
    return case.aws(f"ecs stop-task --cluster {case.store.cluster} --task {task.id}")


def host_command(case: StoreCase, host: HostCase, command: str, *, sends: bool = True) -> Command:
    """Return a command for root of a host, sent the way that the inventory lets hosts be asked.

    Args:
        command: of fleet's making, with no quotes in it; nothing that a host or AWS said.
    """
    box = host.host
    node = host.node.id if host.node else ""
    if not node and host.instance is not None:
        node = host.instance.managed_instance_id
    if box.probe == "ssh" or not node:
        port = "" if box.ssh.port == SshAccess().port else f"-p {box.ssh.port} "
        become = command if box.ssh.user == "root" else f"sudo sh -c {shlex.quote(command)}"
        target = shlex.quote(f"{box.ssh.user}@{box.address}")
        return Command(f"ssh {port}{target} {shlex.quote(become)}", sends=sends)
    parameters = shlex.quote(f'commands=["{command}"]')
    return case.aws(
        f"ssm send-command --document-name AWS-RunShellScript --instance-ids {node} "
        f"--parameters {parameters}",
        sends=sends,
    )
