"""The ECS agent of a simulated host: registers its container instance and keeps its ACS session.

Behaviour and figures are those of amazon-ecs-agent 1.105.1 (agent-protocol.md §2, §3, §5, §8;
ecs-anywhere.md §1.6). What it does with tasks is in ``tasks``.
"""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fleet.sandbox.agents import identity
from fleet.sandbox.agents.acs import Conversation
from fleet.sandbox.agents.containers import Containers
from fleet.sandbox.agents.machine import Facts, Machine, Steps, append_log
from fleet.sandbox.agents.outbox import NoCredentials, Outbox
from fleet.sandbox.agents.registration import (
    ConfigInvalid,
    SavedState,
    Settings,
    cluster_of,
    open_state,
    read_config,
    read_settings,
    register_body,
    write_state,
)
from fleet.sandbox.agents.session import AcsChannel, AwsFault, ConnectRequest, LinkDown, RoleToken
from fleet.sandbox.agents.tasks import TaskEngine

VERSION = "1.105.1"
UNIT = "ecs"
LOG = "/var/log/ecs/ecs-agent.log"
#: ecs-init loads and starts the agent's container first (simulator's figure).
START_S = 2.0
CREDENTIALS_RETRY_S = 10.0
SILENCE_S = 60.0
PLANNED_RECONNECT_S = 1800.0
INACTIVE_RETRY_S = 3600.0
LONGEST_RECONNECT_S = 120.0
LONGEST_REGISTER_S = 192.0
#: The agent's telemetry is sent this often; health that could not be told goes with the next.
TELEMETRY_S = 20.0
EXIT_ERROR = 1
EXIT_TERMINAL = 5
_TERMINAL = {"ClientException", "InvalidParameterException"}
_TRANSIENT = {"ServerException", "ThrottlingException", "LimitExceededException"}


class EcsAgent:
    """The running agent. Everything it does is a timer; ``start`` and ``stop`` return at once.

    Args:
        machine: its host.
        containers: the host's engine, in which its tasks run and outlive it.
    """

    def __init__(self, machine: Machine, containers: Containers) -> None:
        self._machine = machine
        self._random = random.Random(f"ecs {machine.id}")  # noqa: S311 - jitter, not a secret
        self._steps = Steps(machine)
        self._failures = 0
        self._channel: AcsChannel | None = None
        self._session = 0
        self._heard_at = 0.0
        self._region = ""
        self._state: SavedState | None = None
        self._health_due = False
        self._lock = containers.lock
        self.tasks = TaskEngine(
            machine,
            containers,
            outbox=Outbox(machine, self._submit, self.log),
            tell_health=self._tell_health,
            log=self.log,
        )

    def start(self) -> None:
        """Start.

        First comes the state file; :51678 answers only once the instance is registered
        (agent/app/agent.go, newAgent and doStart).
        """
        self._steps.renew()
        self._failures = 0
        self._steps.later(START_S, self._register)

    def stop(self) -> None:
        """End as on SIGTERM: the session is closed, containers and state stay."""
        self._steps.renew()
        self.tasks.stop()
        self._state = None
        self._health_due = False
        self._hang_up()

    def lose_session(self) -> None:
        """Break its session, so that AWS notices too; it connects again after its back-off."""
        if self._channel is not None:
            self._hang_up()
            self._reconnect_later("the connection was reset")

    @property
    def connected(self) -> bool:
        """Say whether it holds a session with AWS, as far as it knows."""
        return self._channel is not None

    def metadata(self) -> dict[str, str] | None:
        """Return what http://localhost:51678/v1/metadata says; None while nothing listens there."""
        state = self._state
        if state is None:
            return None
        return {
            "Cluster": state.cluster,
            "ContainerInstanceArn": state.container_instance_arn,
            "Version": f"Amazon ECS Agent - v{VERSION} (*00000000)",
        }

    def heard(self) -> None:
        """Note that AWS said something, which keeps the session open."""
        self._heard_at = self._machine.clock.now()

    def log(self, text: str) -> None:
        """Add a line to the agent's log on its host."""
        append_log(self._machine, LOG, text)

    def _exit(self, code: int, reason: str) -> None:
        self.log(f"exit {code}: {reason}")
        self.stop()
        self._machine.unit_ended(UNIT, code)

    def _register(self) -> None:
        machine, life = self._machine, self._steps.life
        facts = machine.facts()
        config = read_config(machine)
        obstacle = _obstacle(facts, config)
        saved = open_state(machine) if obstacle is None else None
        if (obstacle := obstacle or _mismatch(config, saved)) is not None:
            self._exit(*obstacle)
            return
        token = identity.read_credentials(machine, config)
        if token is None:
            self.log(f"no credentials found, looking again in {CREDENTIALS_RETRY_S:.0f} s")
            self._steps.later(CREDENTIALS_RETRY_S, self._register)
            return
        self._region = config["AWS_DEFAULT_REGION"]
        try:
            settings = read_settings(config)
            body = register_body(facts, config, saved)
            reply = machine.session(self._region).call(
                "ecs", "RegisterContainerInstance", body, token
            )
            arn = self._accepted(body, reply)
        except ConfigInvalid as error:
            self._exit(EXIT_ERROR, str(error))
        except LinkDown as error:
            self._register_again(error)
        except AwsFault as error:
            if error.code in _TRANSIENT:
                self._register_again(error)
            else:
                code = EXIT_TERMINAL if error.code in _TERMINAL else EXIT_ERROR
                self._exit(code, f"unable to register as a container instance: {error}")
        else:
            state = replace(
                saved or SavedState(cluster_of(config), arn), container_instance_arn=arn
            )
            write_state(machine, state)
            if life == self._steps.life:
                self._state = state
                self._failures = 0
                self.log(f"registered as {arn} in cluster {state.cluster}")
                self._take_up(state, settings)
                self._connect()

    def _take_up(self, state: SavedState, settings: Settings) -> None:
        tasks = [dict(task) for task in state.tasks]

        def save(changed: list[dict[str, Any]]) -> None:
            if self._state is not None:
                self._state = replace(self._state, tasks=tuple(changed))
                write_state(self._machine, self._state)

        self.tasks.start(state.cluster, settings, tasks, save)

    def _advance(self, number: int, keep: bool) -> bool:  # noqa: FBT001 - a callback
        """Say whether a sequence number is news; with ``keep`` it is taken and written down."""
        with self._lock:
            state = self._state
            if state is None or number <= state.sequence:
                return False
            self._state = replace(state, sequence=number)
            if keep:
                write_state(self._machine, self._state)
            return True

    def _credentials(self) -> RoleToken:
        token = identity.read_credentials(self._machine, read_config(self._machine))
        if token is None:
            raise NoCredentials("no credentials found")
        return token

    def _submit(self, body: Mapping[str, Any]) -> None:
        session = self._machine.session(self._region)
        session.call("ecs", "SubmitTaskStateChange", body, self._credentials())

    def _tell_health(self) -> None:
        if not self._health_due:
            self._health_due = True
            self._steps.later(0.0, self._publish_health)

    def _publish_health(self) -> None:
        self._health_due = False
        state, tasks = self._state, self.tasks.health()
        if state is None or not tasks:
            return
        body = {
            "cluster": state.cluster,
            "containerInstance": state.container_instance_arn,
            "tasks": tasks,
        }
        try:
            session = self._machine.session(self._region)
            session.call("tacs", "PublishHealth", body, self._credentials())
        except (LinkDown, AwsFault, NoCredentials) as error:
            refused = isinstance(error, AwsFault) and error.code == "InvalidParameterException"
            if refused or self._channel is None:
                # AWS wants none of it, or is told anew with the next connection.
                return
            self.log(f"health not published, next try in {TELEMETRY_S:.0f} s: {error}")
            self._health_due = True
            self._steps.later(TELEMETRY_S, self._publish_health)

    @staticmethod
    def _accepted(body: Mapping[str, Any], reply: Mapping[str, Any]) -> str:
        instance = reply["containerInstance"]
        echoed = {(a["name"], a.get("value") or "") for a in instance.get("attributes", ())}
        missing = [
            a["name"] for a in body["attributes"] if (a["name"], a.get("value") or "") not in echoed
        ]
        if missing:
            raise AwsFault("ClientException", f"attribute validation failed: {missing[0]}")
        return str(instance["containerInstanceArn"])

    def _register_again(self, error: Exception) -> None:
        wait = min(3.0 * 2.0 ** min(self._failures, 6), LONGEST_REGISTER_S)
        self._failures += 1
        self.log(f"unable to register, next try in {wait:.0f} s: {error}")
        self._steps.later(wait, self._register)

    def _connect(self) -> None:
        life, state = self._steps.life, self._state
        if state is None:
            return
        conversation = Conversation(
            self.tasks,
            {"cluster": state.cluster, "containerInstance": state.container_instance_arn},
            advance=self._advance,
            heard=self.heard,
            later=lambda step: self._steps.later(0.0, step),
            log=self.log,
        )
        try:
            channel = self._open(state, conversation)
        except (LinkDown, NoCredentials) as error:
            self._reconnect_later(str(error))
            return
        except AwsFault as error:
            if error.code == "InactiveInstanceException":
                self.log(f"instance is inactive, next try in {INACTIVE_RETRY_S:.0f} s")
                self._steps.later(INACTIVE_RETRY_S, self._connect)
            else:
                self._reconnect_later(str(error))
            return
        if life != self._steps.life:
            _close(channel)
            return
        self._session += 1
        self._channel = channel
        self.heard()
        conversation.open(channel)
        self._failures = 0
        self._watch(self._session)
        self._plan_reconnect(self._session)
        self._tell_health()

    def _open(self, state: SavedState, conversation: Conversation) -> AcsChannel:
        request = ConnectRequest(
            state.cluster,
            state.container_instance_arn,
            VERSION,
            f"DockerVersion: {self._machine.facts().docker_version}",
        )
        session = self._machine.session(self._region)
        return session.connect(self._credentials(), request, conversation.deliver)

    def _reconnect_later(self, reason: str) -> None:
        wait = min(0.25 * 1.5 ** min(self._failures, 20), LONGEST_RECONNECT_S)
        wait *= self._random.uniform(1.0, 1.2)
        self._failures += 1
        self.log(f"not connected, next try in {wait:.1f} s: {reason}")
        self._steps.later(wait, self._connect)

    def _watch(self, session: int) -> None:
        """Close the session after 60 to 120 s in which AWS said nothing."""
        patience = SILENCE_S + self._random.uniform(0.0, SILENCE_S)

        def look() -> None:
            if session != self._session or self._channel is None:
                return
            left = self._heard_at + patience - self._machine.clock.now()
            if left > 0:
                self._steps.later(left, look)
                return
            self.log("no message from AWS, closing the session")
            self._hang_up()
            self._connect()

        self._steps.later(patience, look)

    def _plan_reconnect(self, session: int) -> None:
        def renew() -> None:
            if session == self._session and self._channel is not None:
                self._hang_up()
                self._connect()

        self._steps.later(PLANNED_RECONNECT_S + self._random.uniform(0.0, 300.0), renew)

    def _hang_up(self) -> None:
        channel, self._channel = self._channel, None
        self._session += 1
        if channel is not None:
            _close(channel)


def _obstacle(facts: Facts, config: Mapping[str, str]) -> tuple[int, str] | None:
    """Return the exit code and reason for which it ends before it opens its state, or None."""
    if not facts.docker_version:
        return EXIT_ERROR, "could not connect to docker"
    if not config.get("AWS_DEFAULT_REGION"):
        return EXIT_ERROR, "unable to retrieve a region: AWS_DEFAULT_REGION is not set"
    return None


def _mismatch(config: Mapping[str, str], saved: SavedState | None) -> tuple[int, str] | None:
    """Return the exit code and reason for which it gives up on what it saved; else None."""
    if saved is not None and saved.cluster != cluster_of(config):
        return (
            EXIT_TERMINAL,
            f"data mismatch; saved cluster '{saved.cluster}' does not match configured cluster "
            f"'{cluster_of(config)}'",
        )
    return None


def _close(channel: AcsChannel) -> None:
    try:
        channel.close()
    except LinkDown:
        # The goodbye is lost with the link; AWS finds out by the silence.
        return
