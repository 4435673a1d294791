"""The simulated AWS: accounts, regions, access keys and pending work.

A change is saved here, written to the database when the call ends, and may leave work behind: a
service to look at, an agent to send a message to.
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fleet.errors import SandboxError
from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.control_plane.assumptions import STOPPED_TASKS_SEEN_S
from fleet.sandbox.control_plane.channels import Channels
from fleet.sandbox.control_plane.database import EntityDatabase
from fleet.sandbox.control_plane.entities import (
    ActivationEntity,
    ClusterEntity,
    ContainerInstanceEntity,
    DeploymentEntity,
    Entity,
    Invocation,
    ManagedInstanceEntity,
    RoleSession,
    ServiceDeploymentEntity,
    ServiceEntity,
    ServiceRevision,
    ServiceSetting,
    TaskDefinitionEntity,
    TaskEntity,
    is_region,
)
from fleet.sandbox.spec import AccountSpec

_ACCOUNT_DIGITS = 12
# The stored time is ahead of the clock by this much real time, so that it need not be written on
# every call.
_STORE_AHEAD_S = 2.0

ServiceKey = tuple[str, str, str]


class RegionState:
    """Everything of one account in one region.

    Attributes:
        instances_of: the container instances of each cluster name, INACTIVE ones included.
        task_definitions: by family and revision.
        services_of: the services of each cluster name, INACTIVE ones included.
        deployments_of: by key of the service and number, oldest first.
        records_of: service deployments by key of the service and id.
        tasks_of: the tasks of each cluster name, stopped ones too while they can be described.
        tasks_on: by id of the container instance, those that have not stopped.
        live_tasks_of: by key of the service, those that have not stopped.
        invocations: of Run Command, by command and node.
    """

    def __init__(self, account: str, region: str) -> None:
        self.account = account
        self.region = region
        self.clusters: dict[str, ClusterEntity] = {}
        self.instances: dict[str, ContainerInstanceEntity] = {}
        self.instances_of: dict[str, dict[str, ContainerInstanceEntity]] = defaultdict(dict)
        self.activations: dict[str, ActivationEntity] = {}
        self.nodes: dict[str, ManagedInstanceEntity] = {}
        self.settings: dict[str, ServiceSetting] = {}
        self.task_definitions: dict[str, dict[int, TaskDefinitionEntity]] = defaultdict(dict)
        self.services_of: dict[str, dict[str, ServiceEntity]] = defaultdict(dict)
        self.deployments_of: dict[str, dict[str, DeploymentEntity]] = defaultdict(dict)
        self.revisions: dict[str, ServiceRevision] = {}
        self.records_of: dict[str, dict[str, ServiceDeploymentEntity]] = defaultdict(dict)
        self.tasks_of: dict[str, dict[str, TaskEntity]] = defaultdict(dict)
        self.tasks_on: dict[str, dict[str, TaskEntity]] = defaultdict(dict)
        self.live_tasks_of: dict[str, dict[str, TaskEntity]] = defaultdict(dict)
        self.invocations: dict[str, dict[str, Invocation]] = defaultdict(dict)

    def hold(self, entity: Entity) -> None:
        """Take an entity in, new or changed. A task that has stopped is in ``tasks_of`` only."""
        for table, key in self._tables(entity):
            table[key] = entity
        if isinstance(entity, TaskEntity) and entity.last_status == "STOPPED":
            for table, key in self._tables(entity)[1:]:
                table.pop(key, None)

    def drop(self, entity: Entity) -> None:
        """Forget an entity."""
        for table, key in self._tables(entity):
            table.pop(key, None)

    def service(self, key: str) -> ServiceEntity | None:
        """Return the service of a key."""
        cluster, _, name = key.partition("/")
        return self.services_of.get(cluster, {}).get(name)

    def task_definition(self, arn: str) -> TaskDefinitionEntity | None:
        """Return the task definition of an ARN."""
        family, _, revision = arn.rpartition("/")[2].partition(":")
        revisions = self.task_definitions.get(family, {})
        return revisions.get(int(revision)) if revision.isdecimal() else None

    def _tables(self, entity: Entity) -> list[tuple[dict[Any, Any], Any]]:
        """Return the tables that an entity belongs in, each with its key there."""
        match entity:
            case TaskEntity():
                return [
                    (self.tasks_of[entity.cluster], entity.id),
                    (self.tasks_on[entity.instance], entity.id),
                    (self.live_tasks_of[entity.service], entity.id),
                ]
            case ContainerInstanceEntity():
                of_cluster = self.instances_of[entity.cluster]
                return [(self.instances, entity.id), (of_cluster, entity.id)]
            case TaskDefinitionEntity():
                return [(self.task_definitions[entity.family], entity.revision)]
            case ServiceEntity():
                return [(self.services_of[entity.cluster], entity.name)]
            case DeploymentEntity():
                return [(self.deployments_of[entity.service], entity.number)]
            case ServiceDeploymentEntity():
                return [(self.records_of[entity.service], entity.id)]
            case Invocation():
                return [(self.invocations[entity.command], entity.node)]
            case _:
                return [(self._flat_tables()[type(entity)], entity.key)]

    def _flat_tables(self) -> dict[type[Entity], dict[str, Any]]:
        return {
            ClusterEntity: self.clusters,
            ActivationEntity: self.activations,
            ManagedInstanceEntity: self.nodes,
            ServiceSetting: self.settings,
            ServiceRevision: self.revisions,
        }


class WorkQueue:
    """What a call leaves to be done after it.

    It is filled under the control plane's lock, and emptied before or after that is released.

    Attributes:
        services: account, region and key of each service that the scheduler has to look at.
        messages: by ARN of the container instance, the ids of the tasks that its agent has to be
            sent.
        nodes: ids of the nodes that a command waits for.
    """

    def __init__(self) -> None:
        self.services: dict[ServiceKey, None] = {}
        self.messages: dict[str, dict[str, None]] = {}
        self.nodes: dict[str, None] = {}

    def reconcile(self, service: ServiceEntity) -> None:
        """Let the scheduler look at a service."""
        self.services[service.account, service.region, service.key] = None

    def reconcile_cluster(self, state: RegionState, cluster: str) -> None:
        """Let the scheduler look at every service of a cluster."""
        for service in state.services_of.get(cluster, {}).values():
            if service.status != "INACTIVE":
                self.reconcile(service)

    def send_task(self, task: TaskEntity) -> None:
        """Let the agent of a task be sent its desired status."""
        self.messages.setdefault(task.instance_arn, {})[task.id] = None

    def send_command(self, node: str) -> None:
        """Let a node be sent the commands that wait for it."""
        self.nodes[node] = None

    def take_nodes(self) -> tuple[str, ...]:
        """Remove and return the nodes that commands wait for."""
        taken, self.nodes = tuple(self.nodes), {}
        return taken

    def take_services(self) -> tuple[ServiceKey, ...]:
        """Remove and return the services."""
        taken, self.services = tuple(self.services), {}
        return taken

    def take_messages(self) -> dict[str, dict[str, None]]:
        """Remove and return the messages."""
        taken, self.messages = self.messages, {}
        return taken


class World:
    """All accounts and regions, and every credential; loaded from the database and written to it.

    Not thread-safe: the control plane holds its lock around every use.

    Attributes:
        sessions: temporary credentials by access key.
        work: what the present call leaves to be done.
    """

    def __init__(
        self,
        clock: SandboxClock,
        accounts: Sequence[AccountSpec],
        database: Path | None,
        seed: int,
    ) -> None:
        self.clock = clock
        self.accounts = {spec.account_id: spec for spec in accounts}
        for account in self.accounts:
            if len(account) != _ACCOUNT_DIGITS or not account.isdecimal():
                raise SandboxError(
                    f"{account!r} is no AWS account id",
                    hint="account ids are twelve digits; quote them where they begin with a zero",
                )
        self.sessions: dict[str, RoleSession] = {}
        self.channels = Channels()
        self.work = WorkQueue()
        self._keys_of: dict[str, set[str]] = {}
        self._stopped: deque[TaskEntity] = deque()
        self._states: dict[tuple[str, str], RegionState] = {}
        self._seed = seed
        self._drawn = 0
        self._stored_until = 0.0
        self._changes: dict[tuple[str, str, str, str], tuple[Entity, bool]] = {}
        self._database = EntityDatabase(database) if database else None
        if self._database is not None:
            self._load(self._database)

    def _load(self, database: EntityDatabase) -> None:
        meta = database.meta()
        self._seed = int(meta.get("seed", self._seed))
        self._drawn = int(meta.get("drawn", 0))
        for entity in database.load():
            self._hold(entity)
        stopped = [
            task
            for state in self._states.values()
            for tasks in state.tasks_of.values()
            for task in tasks.values()
            if task.last_status == "STOPPED"
        ]
        self._stopped.extend(sorted(stopped, key=lambda task: task.times["stoppedAt"]))

    def region_state(self, account: str, region: str) -> RegionState:
        """Return the state of an account and region; an empty one where there is none yet."""
        found = self._states.get((account, region))
        if found is None:
            if not is_region(region):
                raise AwsFault("InvalidParameterException", f"{region!r} is not an AWS region")
            found = self._states[account, region] = RegionState(account, region)
        return found

    def region_states(self) -> Iterator[RegionState]:
        """Iterate over the states of all accounts and regions that were named so far."""
        return iter(tuple(self._states.values()))

    def save(self, entity: Entity) -> None:
        """Take in a new or changed entity; it is on disk before the call is answered."""
        self._hold(entity)
        self._note(entity, kept=True)

    def forget(self, entity: Entity) -> None:
        """Remove an entity for good."""
        if isinstance(entity, RoleSession):
            self.sessions.pop(entity.access_key, None)
            self._keys_of.get(entity.managed_instance_id, set()).discard(entity.access_key)
        else:
            self.region_state(entity.account, entity.region).drop(entity)
        self._note(entity, kept=False)

    def forget_expired(self, managed_instance_id: str) -> None:
        """Remove a node's credentials that have expired; "" means those of people."""
        now = self.clock.now()
        for key in tuple(self._keys_of.get(managed_instance_id, ())):
            if self.sessions[key].expires_at <= now:
                self.forget(self.sessions[key])

    def remember_stopped(self, task: TaskEntity) -> None:
        """Note that a task has stopped: it can be described for an hour from now."""
        self._stopped.append(task)

    def forget_stopped(self) -> None:
        """Remove the tasks that stopped more than an hour ago."""
        limit = self.clock.now() - STOPPED_TASKS_SEEN_S
        while self._stopped and self._stopped[0].times["stoppedAt"] <= limit:
            self.forget(self._stopped.popleft())

    def commit(self) -> None:
        """Write what changed. What could not be written is written with the next call."""
        if self._changes and self._database is not None:
            meta = {"seed": str(self._seed), "drawn": str(self._drawn)}
            self._database.write(self._changes, meta)
        self._changes.clear()

    def store_time(self) -> float:
        """Return the time now, after making sure that a restart will not begin before it."""
        now = self.clock.now()
        if self._database is not None and now > self._stored_until:
            self._stored_until = now + self.clock.rate * _STORE_AHEAD_S
            self._database.write({}, {"reached": repr(self._stored_until)})
        return now

    def instance(self, arn: str) -> tuple[RegionState, ContainerInstanceEntity] | None:
        """Return the container instance of an ARN with the state of its region."""
        account, region = arn.split(":")[4], arn.split(":")[3]
        state = self.region_state(account, region)
        found = state.instances.get(arn.rpartition("/")[2])
        return None if found is None else (state, found)

    def hex_id(self, digits: int) -> str:
        """Return a new id that the seed determines; the count is stored, so none repeats."""
        self._drawn += 1
        text = f"{self._seed}:{self._drawn}"
        return hashlib.sha256(text.encode()).hexdigest()[:digits]

    def close(self) -> None:
        """Write what is left and close the database."""
        if self._database is not None:
            self.commit()
            self._database.write({}, {"reached": repr(self.clock.now())})
            self._database.close()
            self._database = None

    def _hold(self, entity: Entity) -> None:
        if isinstance(entity, RoleSession):
            self.sessions[entity.access_key] = entity
            self._keys_of.setdefault(entity.managed_instance_id, set()).add(entity.access_key)
        else:
            self.region_state(entity.account, entity.region).hold(entity)

    def _note(self, entity: Entity, *, kept: bool) -> None:
        key = (entity.KIND, entity.account, entity.region, entity.key)
        self._changes[key] = (entity, kept)
