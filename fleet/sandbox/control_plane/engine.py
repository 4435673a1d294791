"""The control plane: runs every call under one lock and one clock."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fleet.errors import SandboxError
from fleet.sandbox.agents.session import AwsFault, ConnectRequest, Deliver, DeliverCommand
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.control_plane import (
    ecs_agent_calls,
    ecs_attributes,
    ecs_clusters,
    ecs_instances,
    ecs_service_deployments,
    ecs_services,
    ecs_task_definitions,
    ecs_tasks,
    ssm_activations,
    ssm_commands,
    ssm_nodes,
    sts,
)
from fleet.sandbox.control_plane.agent_sessions import AgentSessions
from fleet.sandbox.control_plane.call import Call, Operation, Principal, operations_in
from fleet.sandbox.control_plane.channels import AgentChannel
from fleet.sandbox.control_plane.faults import FaultRule, Faults, strike
from fleet.sandbox.control_plane.service_scheduler import ServiceScheduler
from fleet.sandbox.control_plane.throttle import Throttle
from fleet.sandbox.control_plane.world import RegionState, World
from fleet.sandbox.schedule import Schedule
from fleet.sandbox.spec import AccountSpec

_LOG = logging.getLogger(__name__)
_OPERATOR_KEY = "AKIASBX0"
_OPERATOR_ROLE = "assumed-role/fleet-operator/on-call"
_ECS = operations_in(
    ecs_clusters,
    ecs_instances,
    ecs_agent_calls,
    ecs_attributes,
    ecs_task_definitions,
    ecs_services,
    ecs_service_deployments,
    ecs_tasks,
)
_OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    "ecs": _ECS,
    # The telemetry session of agents, which is no AWS API; faults are asked for by this name.
    "tacs": {"PublishHealth": _ECS.pop("PublishHealth")},
    "ssm": operations_in(ssm_activations, ssm_commands, ssm_nodes),
    "sts": operations_in(sts),
}
# What the policies AmazonSSMManagedInstanceCore and AmazonEC2ContainerServiceforEC2Role let a
# host do, of the operations above.
_NODES_MAY = {
    "DiscoverPollEndpoint",
    "GetCallerIdentity",
    "PublishHealth",
    "RegisterContainerInstance",
    "SubmitTaskStateChange",
    "UpdateCommand",
    "UpdateInstanceInformation",
}
_UNSIGNED = "RegisterManagedInstance"
_NODE_SIGNED = "RequestManagedInstanceRoleToken"


def access_key_for(account_id: str) -> str:
    """Return the access key of an account's operator; any secret key goes with it."""
    return f"{_OPERATOR_KEY}{account_id}"


class ControlPlane:
    """ECS, SSM nodes and STS of several accounts and regions, in memory and on disk.

    Thread-safe; calls are answered one at a time, in well under a millisecond.

    Args:
        clock: where every time in every answer comes from.
        accounts: those that exist.
        throttling: whether the request rates of ``throttle`` apply; may be changed at any time.
        database: file that everything is kept in, or None to forget at the end. On a file that
            exists the world is as it was, only that no agent is connected.
        seed: of the ids; a file keeps the one it began with.
        public_objects: what S3 gives to everybody: ``bucket/key`` to bytes.

    Raises:
        SandboxError: the database cannot be used.
    """

    def __init__(
        self,
        clock: SandboxClock,
        accounts: Sequence[AccountSpec],
        *,
        throttling: bool = True,
        database: Path | None = None,
        seed: int = 0,
        public_objects: Mapping[str, bytes] | None = None,
    ) -> None:
        self.clock = clock
        self.accounts = tuple(accounts)
        self.throttling = throttling
        self.faults = Faults()
        self.public_objects = dict(public_objects or {})
        self.endpoint = ""
        self._world = World(clock, accounts, database, seed)
        self._throttle = Throttle()
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._throttled = 0
        self._sessions = AgentSessions(self._world, self._writing)
        self._scheduler = ServiceScheduler(self._world, self._writing, self._sessions)

    def call(
        self,
        service: str,
        action: str,
        body: Mapping[str, Any],
        *,
        region: str,
        account: str = "",
        access_key: str = "",
    ) -> dict[str, Any]:
        """Answer one AWS call.

        Args:
            service: ``ecs``, ``ssm`` or ``sts``; ``tacs`` for an agent's telemetry.
            action: as ``DescribeClusters``.
            body: in wire form.
            region: where it acts.
            account: whose operator calls, when no access key says so.
            access_key: of the caller; a ``mi-`` id for a node that asks for its token.

        Raises:
            AwsFault: what AWS answers instead.
            ConnectionDropped: a fault was asked for that gives no answer.
        """
        key = access_key or (access_key_for(account) if account else "")
        fault = self.faults.take(service, action, self.account_of(key) or account, region)
        if fault is not None and fault.delay_s:
            time.sleep(fault.delay_s)
        return self.perform(service, action, body, region=region, access_key=key, fault=fault)

    def perform(
        self,
        service: str,
        action: str,
        body: Mapping[str, Any],
        *,
        region: str,
        access_key: str,
        fault: FaultRule | None = None,
    ) -> dict[str, Any]:
        """Answer a call for which a fault was already taken (and its delay waited for)."""
        if fault is not None and fault.when == "before":
            strike(fault)
        with self._writing():
            self._calls[f"{service}:{action}"] += 1
            answer = self._answer(service, action, body, region, access_key)
        self._sessions.flush_soon()
        if fault is not None:
            strike(fault)
        return answer

    def models(self, service: str, action: str) -> bool:
        """Say whether this action is answered here."""
        return action in _OPERATIONS.get(service, {})

    def account_of(self, access_key: str) -> str:
        """Return the account an access key belongs to, or "" if it is unknown."""
        if access_key.startswith(_OPERATOR_KEY):
            account = access_key.removeprefix(_OPERATOR_KEY)
            return account if account in self._world.accounts else ""
        session = self._world.sessions.get(access_key)
        return session.account if session is not None else ""

    def store_time(self) -> float:
        """Return the sandbox's time now; after a restart it will not be earlier."""
        with self._lock:
            return self._world.store_time()

    def connect(
        self, access_key: str, region: str, request: ConnectRequest, deliver: Deliver
    ) -> AgentChannel:
        """Open an agent's ACS session: it is connected from now on, and its versions are known.

        The tasks it is to run or stop, a manifest under a new timeline and heartbeats follow
        through ``deliver``, from the thread of the schedule, the first of them a second of
        sandbox time later.

        Raises:
            AwsFault: InactiveInstanceException for an instance that is deregistered or unknown;
                otherwise what is wrong with the credentials.
            ConnectionDropped: a fault was asked for that gives no answer.
        """
        fault = self.faults.take("acs", "Connect", self.account_of(access_key), region)
        if fault is not None:
            strike(fault)
        with self._writing():
            caller = self._caller(access_key, "connect", self._world.store_time())
            state = self._world.region_state(caller.account, region)
            return self._sessions.open(caller, state, request, deliver)

    def open_commands(self, access_key: str, deliver: DeliverCommand) -> None:
        """Let an SSM agent take commands from now on; those that wait for it follow at once.

        Raises:
            AwsFault: what is wrong with the credentials.
        """
        with self._writing():
            caller = self._caller(access_key, "connect", self._world.store_time())
            self._sessions.open_commands(caller.managed_instance_id, deliver)
        self._sessions.flush_soon()

    def run_on(self, schedule: Schedule) -> None:
        """Let a schedule send what agents are sent, and run the service scheduler."""
        self._sessions.run_on(schedule)
        with self._lock:
            self._scheduler.run_on(schedule)

    def status(self) -> dict[str, Any]:
        """Return counts for people: what exists, who is connected, what was called."""
        with self._lock:
            now = self.clock.now()
            region_states = [
                {
                    "account": state.account,
                    "region": state.region,
                    "clusters": sum(c.status == "ACTIVE" for c in state.clusters.values()),
                    "container_instances": sum(
                        i.status != "INACTIVE" for i in state.instances.values()
                    ),
                    "managed_instances": len(state.nodes),
                    "activations": len(state.activations),
                }
                for state in self._world.region_states()
            ]
            return {
                "region_states": sorted(region_states, key=lambda r: (r["account"], r["region"])),
                "agents_connected": self._world.channels.count(now),
                "throttling": self.throttling,
                "calls": dict(sorted(self._calls.items())),
                "throttled": self._throttled,
            }

    def close(self) -> None:
        """Stop the heartbeats and close the database."""
        self._sessions.stop()
        with self._lock:
            self._world.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the lock; what was changed is on disk at the end, or the caller gets a 500."""
        with self._lock:
            try:
                yield
                self._world.commit()
            except AwsFault as error:
                self._throttled += error.code == "ThrottlingException"
                raise
            except SandboxError as error:
                _LOG.exception("a change could not be written")
                raise AwsFault("InternalServerError", str(error), 500) from error
            finally:
                self._scheduler.plan_queued()

    def _answer(
        self, service: str, action: str, body: Mapping[str, Any], region: str, access_key: str
    ) -> dict[str, Any]:
        now = self._world.store_time()
        operation = _OPERATIONS.get(service, {}).get(action)
        if operation is None:
            raise not_modelled(service, action)
        if action == _UNSIGNED:
            caller, state = self._unsigned(body, region)
        elif action == _NODE_SIGNED:
            caller, state = self._node(access_key, region)
        else:
            caller = self._caller(access_key, f"{service}:{action}", now)
            state = self._world.region_state(caller.account, region)
        if self.throttling:
            self._throttle.spend(service, action, state.account, state.region, now)
        sent = {name: value for name, value in body.items() if value is not None}
        call = Call(self._world, state, now, service, action, sent, caller, self.endpoint)
        operation.check(call)
        return operation.run(call)

    def _caller(self, access_key: str, what: str, now: float) -> Principal:
        account = self.account_of(access_key)
        if not account:
            raise unknown_key()
        session = self._world.sessions.get(access_key)
        if session is None:
            return Principal(account, f"arn:aws:sts::{account}:{_OPERATOR_ROLE}")
        if now >= session.expires_at:
            raise AwsFault(
                "ExpiredTokenException", "The security token included in the request is expired"
            )
        action = what.rpartition(":")[2]
        if session.managed_instance_id and action != "connect" and action not in _NODES_MAY:
            raise AwsFault(
                "AccessDeniedException",
                f"User: {session.arn} is not authorized to perform: {what}",
            )
        return Principal(account, session.arn, session.managed_instance_id)

    def _unsigned(self, body: Mapping[str, Any], region: str) -> tuple[Principal, RegionState]:
        """Find where an activation is: the caller of RegisterManagedInstance does not say."""
        activation = str(body.get("ActivationId"))
        state = self._find(lambda state: activation in state.activations, region)
        if state is None:
            raise AwsFault("InvalidActivation", "The activation is not valid: no such id and code.")
        return Principal("", ""), state

    def _node(self, managed_instance_id: str, region: str) -> tuple[Principal, RegionState]:
        state = self._find(lambda state: managed_instance_id in state.nodes, region)
        if state is None:
            raise AwsFault(
                "AccessDeniedException",
                f"{managed_instance_id} is not a registered managed instance.",
            )
        return Principal(state.account, "", managed_instance_id), state

    def _find(self, wanted: Callable[[RegionState], bool], region: str) -> RegionState | None:
        for state in self._world.region_states():
            if (not region or state.region == region) and wanted(state):
                return state
        return None


def not_modelled(service: str, action: str) -> AwsFault:
    """Return the loud refusal of something the sandbox does not do."""
    return AwsFault(
        "UnknownOperationException", f"the fleet sandbox does not model {service}:{action}"
    )


def unknown_key() -> AwsFault:
    """Return the refusal of an access key that nobody has."""
    return AwsFault(
        "UnrecognizedClientException", "The security token included in the request is invalid."
    )
