"""The SSM agent of a simulated host: registers, renews its token, pings.

Figures are those of amazon-ssm-agent 3.3 (agent-protocol.md §6): a ping every 5 minutes, the token
rotated at half its life, AccessDenied and a wrong fingerprint slept on for 25 to 30 minutes, other
errors retried after 2^n (AWS's plus 10 to 20) seconds, never later than 30 minutes.
"""

import random
from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents import identity
from fleet.sandbox.agents.machine import Machine, Steps, append_log
from fleet.sandbox.agents.session import AwsFault, ControlPlaneSession, LinkDown, RoleToken

VERSION = "3.3.4108.0"
UNIT = "amazon-ssm-agent"
LOG = "/var/log/amazon/ssm/amazon-ssm-agent.log"
PING_S = 300.0
LONGEST_WAIT_S = 1800.0
_HIBERNATE = {"AccessDeniedException", "MachineFingerprintDoesNotMatch"}


def register(
    machine: Machine, *, activation_id: str, activation_code: str, region: str
) -> identity.Registration:
    """Spend one use of an activation and fill the vault; raises AwsFault or LinkDown."""
    body = {
        "ActivationId": activation_id,
        "ActivationCode": activation_code,
        "Fingerprint": identity.fingerprint(machine),
        "PublicKey": identity.public_key(machine),
        "PublicKeyType": "Rsa",
    }
    answer = machine.session(region).call("ssm", "RegisterManagedInstance", body, None)
    registration = identity.Registration(str(answer["InstanceId"]), region)
    identity.write_registration(machine, registration)
    return registration


def request_role_token(
    session: ControlPlaneSession, instance_id: str, fingerprint: str
) -> RoleToken:
    """Ask for an hour's credentials of a node; the key of the caller is its id."""
    own = RoleToken(instance_id, "", "", 0.0)
    body = {"Fingerprint": fingerprint}
    answer = session.call("ssm", "RequestManagedInstanceRoleToken", body, own)
    return RoleToken(
        answer["AccessKeyId"],
        answer["SecretAccessKey"],
        answer["SessionToken"],
        answer["TokenExpirationDate"],
    )


class SsmAgent:
    """The running agent. Everything it does is a timer; ``start`` and ``stop`` return at once."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._random = random.Random(f"ssm {machine.id}")  # noqa: S311 - jitter, not a secret
        self._steps = Steps(machine)
        self._token: RoleToken | None = None
        self._failures = 0
        self._listens = False
        self._taken: set[str] = set()
        self._unsaid: list[dict[str, Any]] = []

    def start(self) -> None:
        """Start; without a registration it idles, as the real one does off EC2."""
        self._steps.renew()
        self._failures = 0
        self._listens = False
        self._steps.later(0.0, self._renew)

    def stop(self) -> None:
        """Stop; AWS sees only that the pings stop."""
        self._steps.renew()
        self._token = None

    def _renew(self) -> None:
        machine, life = self._machine, self._steps.life
        registration = identity.read_registration(machine)
        if registration is None:
            append_log(machine, LOG, "agent is not registered, waiting for a registration")
            return
        try:
            session = machine.session(registration.region)
            fingerprint = identity.fingerprint(machine)
            token = request_role_token(session, registration.instance_id, fingerprint)
        except (AwsFault, LinkDown) as error:
            self._failures += 1
            wait = self._wait_after(error)
            append_log(machine, LOG, f"cannot get a role token, next try in {wait:.0f} s: {error}")
            self._steps.later(wait, self._renew)
            return
        if life != self._steps.life:
            return
        first = self._token is None
        self._failures = 0
        self._token = token
        identity.write_credentials(machine, token)
        self._steps.later(max(1.0, (token.expires_at - machine.clock.now()) / 2), self._renew)
        if first:
            self._report(full=False)
            self._ping()
        else:
            self._listen()

    def _wait_after(self, error: Exception) -> float:
        if isinstance(error, AwsFault) and error.code in _HIBERNATE:
            return self._random.uniform(1500.0, LONGEST_WAIT_S)
        wait = 2.0 ** min(self._failures, 11)
        if isinstance(error, AwsFault):
            wait += self._random.uniform(10.0, 20.0)
        return min(wait, LONGEST_WAIT_S)

    def _ping(self) -> None:
        self._report(full=True)
        self._steps.later(PING_S, self._ping)

    def _report(self, *, full: bool) -> None:
        machine, token = self._machine, self._token
        registration = identity.read_registration(machine)
        if registration is None or token is None:
            return
        body: dict[str, Any] = {
            "AgentName": "amazon-ssm-agent",
            "AgentVersion": VERSION,
            "InstanceId": registration.instance_id,
            "PlatformType": "Linux",
        }
        if full:
            facts = machine.facts()
            name, version = facts.platform
            body |= {
                "AgentStatus": "Active",
                "ComputerName": facts.hostname,
                "IPAddress": "10.0.0.10",
                "PlatformName": name,
                "PlatformVersion": version,
                "SSMConnectionChannel": "",
            }
        try:
            session = machine.session(registration.region)
            session.call("ssm", "UpdateInstanceInformation", body, token)
        except (AwsFault, LinkDown) as error:
            self._listens = False
            append_log(machine, LOG, f"health ping failed, next one in {PING_S:.0f} s: {error}")
            return
        if full and not self._listens:
            self._listen()

    def _listen(self) -> None:
        """Say where commands are taken, and how those ended of which AWS has not heard yet."""
        machine, token, life = self._machine, self._token, self._steps.life
        registration = identity.read_registration(machine)
        if registration is None or token is None:
            return

        def take(message: Mapping[str, Any]) -> None:
            if life == self._steps.life:
                self._steps.later(0.0, lambda: self._run(message))

        try:
            machine.session(registration.region).open_commands(token, take)
        except (AwsFault, LinkDown) as error:
            append_log(machine, LOG, f"cannot take commands: {error}")
            return
        self._listens = True
        unsaid, self._unsaid = self._unsaid, []
        for body in unsaid:
            self._say(body)

    def _run(self, message: Mapping[str, Any]) -> None:
        command = str(message["CommandId"])
        if command in self._taken:
            return
        if not self._say({"CommandId": command, "Status": "InProgress"}):
            return
        self._taken.add(command)

        def ended(status: int, out: str, err: str) -> None:
            said = {"Code": status, "Out": out, "Err": err}
            self._say({"CommandId": command, "Status": "Done", **said})

        self._machine.run_as_root(str(message["Script"]), float(message["TimeoutSeconds"]), ended)

    def _say(self, body: dict[str, Any]) -> bool:
        """Tell AWS; an end that it does not hear of is told when the agent listens anew."""
        machine, token = self._machine, self._token
        registration = identity.read_registration(machine)
        if registration is not None and token is not None:
            try:
                session = machine.session(registration.region)
                return bool(session.call("ssm", "UpdateCommand", body, token)["Run"])
            except (AwsFault, LinkDown) as error:
                append_log(machine, LOG, f"cannot tell of a command: {error}")
        if body["Status"] == "Done":
            self._listens = False
            self._unsaid.append(body)
        return False
