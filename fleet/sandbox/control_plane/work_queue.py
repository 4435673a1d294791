"""What a call or a context leaves to be done after it: services to look at, agents to talk to."""

from fleet.sandbox.control_plane.region_state import RegionState
from fleet.sandbox.control_plane.workloads import Service, Task

ServiceKey = tuple[str, str, str]


class WorkQueue:
    """Collected under the plane's lock and picked up before it is released.

    Attributes:
        services: account, region and key of each service that something happened to.
        messages: by ARN of the container instance, the ids of the tasks whose intent its agent
            has to be told.
        commands: ids of the nodes that a command waits for.
    """

    def __init__(self) -> None:
        self.commands: dict[str, None] = {}
        self.services: dict[ServiceKey, None] = {}
        self.messages: dict[str, dict[str, None]] = {}

    def look_at(self, service: Service) -> None:
        """The scheduler has to look at a service."""
        self.services[service.account, service.region, service.key] = None

    def look_at_cluster(self, state: RegionState, cluster: str) -> None:
        """The scheduler has to look at every service of a cluster."""
        for service in state.services_of.get(cluster, {}).values():
            if service.status != "INACTIVE":
                self.look_at(service)

    def tell(self, task: Task) -> None:
        """The agent of a task has to be told what is wanted of it."""
        self.messages.setdefault(task.instance_arn, {})[task.id] = None

    def run_on(self, node: str) -> None:
        """A command waits for a node."""
        self.commands[node] = None

    def take_commands(self) -> tuple[str, ...]:
        """The nodes that commands wait for, taken off the list."""
        taken, self.commands = tuple(self.commands), {}
        return taken

    def take_services(self) -> tuple[ServiceKey, ...]:
        """The services, taken off the list."""
        taken, self.services = tuple(self.services), {}
        return taken

    def take_messages(self) -> dict[str, dict[str, None]]:
        """The messages, taken off the list."""
        taken, self.messages = self.messages, {}
        return taken
