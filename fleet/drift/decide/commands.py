"""What to type, in full, so that it works from the operator's shell as it stands."""

import shlex

from fleet.drift.decide.case import HostCase
from fleet.model.inventory import SshAccess, Store
from fleet.model.services import TaskState


def aws_command(store: Store, words: str) -> str:
    """An AWS call in the store's account and region."""
    profile = f" --profile {store.account.profile}" if store.account.profile else ""
    return f"aws {words} --region {store.region}{profile}"


def stop_task(store: Store, task: TaskState) -> str:
    """Stop a task; its service starts another one."""
    return aws_command(store, f"ecs stop-task --cluster {store.cluster} --task {task.id}")


def host_command(store: Store, host: HostCase, command: str) -> str:
    """A command for root of a host, by the way on which the inventory lets hosts be asked.

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
        return f"ssh {port}{shlex.quote(f'{box.ssh.user}@{box.address}')} {shlex.quote(become)}"
    parameters = shlex.quote(f'commands=["{command}"]')
    return aws_command(
        store,
        f"ssm send-command --document-name AWS-RunShellScript --instance-ids {node} "
        f"--parameters {parameters}",
    )
