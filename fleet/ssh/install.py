"""Installs a host in one exec: uploads, installs, configures, starts, and waits for ECS."""

import hashlib
import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fleet.errors import FleetError, HostCommandFailed, Locked
from fleet.model.secret import Secret
from fleet.ssh.connection import Connection, Ended
from fleet.ssh.lines import shown
from fleet.ssh.script import whole_script

#: What the login shell runs, whichever it is: root's bash reads the rest from its input.
COMMAND = """sh -c 'if [ "$(id -u)" = 0 ]; then exec bash -s; else exec sudo -n bash -s; fi'"""

#: Seconds that a run waits on the host for another to end.
LOCK_WAIT_S = 5
LOCKED_STATUS = 75
#: Exit status of ``install.sh`` -> (where it stopped, what to do).
STOPPED: dict[int, tuple[str, str]] = {
    64: ("upload", "run the same again; nothing was changed on the host"),
    65: ("becoming root", "log in as root, or as a user that may run `sudo -n bash`"),
    67: ("docker's runtime", "correct docker on the host, then run the same again"),
    68: ("AWS's installer", "its last lines say why; run the same again, it resumes"),
    69: ("writing files", "is the disk full or read-only?"),
    70: ("starting services", "`journalctl -u UNIT` on the host says why"),
    71: ("registration in ECS", "run the same again; the activation is spent, not lost"),
    72: ("the SSM agent", "what the host holds has changed meanwhile: run the same again"),
}


@dataclass(frozen=True, slots=True)
class InstallOrder:
    """What a host is to be made into. Holds no secret: the activation code travels beside it.

    Attributes:
        region: AWS region, for both agents.
        cluster: name of the ECS cluster.
        activation_id: SSM activation to register with; None for a host that has its ``mi-`` id.
        installer: AWS's install script; checked against the pins by whoever made this.
        ecs_config: whole content of /etc/ecs/ecs.config.
        ecs_var_config: whole content of /var/lib/ecs/ecs.config.
        store_json: whole content of /etc/fleet/store.json.
        set_runtime: docker's default runtime to set first, or None; restarts docker if it differs.
        docker_source: ``all``, ``docker``, ``distro`` or ``none``: where the installer gets docker
            from when there is none.
        wait_s: how many times, a second apart, to ask the ECS agent whether it is registered.
    """

    region: str
    cluster: str
    activation_id: str | None
    installer: bytes = field(repr=False)
    ecs_config: str
    ecs_var_config: str
    store_json: str
    set_runtime: str | None = None
    docker_source: str = "all"
    wait_s: int = 180


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step that was taken, in order: upload, runtime, installer, config, the units, registration.

    Attributes:
        name: of the step; a unit's name for the start of a service.
        seconds: it took, seen from here.
    """

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class InstallReport:
    """What the host reported once its ECS agent was registered.

    Attributes:
        managed_instance_id: from the SSM agent's vault.
        container_instance_arn: from the ECS agent.
        ssm_agent_version: "" when unknown, as are the other two.
        steps: those taken; what was there already is left out.
        seconds: all of it.
    """

    managed_instance_id: str
    container_instance_arn: str
    ssm_agent_version: str
    ecs_agent_version: str
    docker_version: str
    steps: tuple[StepDone, ...]
    seconds: float


def install(
    connection: Connection,
    order: InstallOrder,
    *,
    code: Secret | None,
    on_line: Callable[[str], None],
    timeout_s: float,
    on_step: Callable[[str], None] = lambda _name: None,
) -> InstallReport:
    """Run ``install.sh`` on the host. Safe to repeat, also after it was cut off anywhere.

    Args:
        connection: to the host.
        order: what to make of it.
        code: of the activation in the order; given if and only if there is one.
        on_line: gets what installer and services print, cleaned, without the code.
        timeout_s: most seconds for all of it.
        on_step: gets the name of each step as it begins.

    Raises:
        HostUnreachable: the connection was lost. The install runs on to its end on the host, and
            a repetition waits for it or is refused with Locked.
        HostCommandFailed: it stopped; the message says at what and the output holds its last lines.
        Locked: another run is installing on this host.
    """
    script = _script(order, code)
    listener = _Listener(code, on_line, on_step)
    ended = connection.run(
        COMMAND, stdin=script, timeout_s=timeout_s, on_line=listener.hear, secret=code
    )
    report = listener.report(ended.seconds)
    if ended.status == 0 and report:
        return report
    raise _stopped(connection.host.id, ended, listener)


class _Listener:
    """Tells the script's own lines from those of the programs it runs."""

    def __init__(
        self, code: Secret | None, on_line: Callable[[str], None], on_step: Callable[[str], None]
    ) -> None:
        self._code = code
        self._on_line = on_line
        self._on_step = on_step
        self._steps: list[tuple[str, float]] = []
        self._results: dict[str, str] = {}
        self._done_at: float | None = None
        self.begun = False
        self.reason = ""

    def hear(self, raw: str) -> None:
        line = shown(raw, self._code)
        word, _, rest = line.partition(" ")
        match word:
            case "@begin":
                self.begun = True
            case "@step":
                self._steps.append((rest, time.monotonic()))
                self._on_step(rest)
            case "@result":
                name, _, value = rest.partition(" ")
                self._results[name] = value
            case "@fail":
                self.reason = rest
            case "@done":
                self._done_at = time.monotonic()
            case "|":
                if rest:
                    self._on_line(rest)
            case _:
                self._on_line(line)

    @property
    def last_step(self) -> str:
        return self._steps[-1][0] if self._steps else ""

    def report(self, seconds: float) -> InstallReport | None:
        """Return the report; None unless the script came to its end and printed both ids."""
        node = self._results.get("managed_instance_id", "")
        arn = self._results.get("container_instance_arn", "")
        if self._done_at is None or not node or not arn:
            return None
        # A host that had everything already tells no step.
        ends = [began for _, began in self._steps[1:]] + [self._done_at]
        return InstallReport(
            managed_instance_id=node,
            container_instance_arn=arn,
            ssm_agent_version=self._version("ssm_agent_version"),
            ecs_agent_version=self._version("ecs_agent_version"),
            docker_version=self._results.get("docker_version", ""),
            steps=tuple(
                StepDone(name, end - began)
                for (name, began), end in zip(self._steps, ends, strict=False)
            ),
            seconds=seconds,
        )

    def _version(self, name: str) -> str:
        """Return the number in the sentence that an agent prints as its version."""
        match = re.search(r"\d+(?:\.\d+)+", self._results.get(name, ""), re.ASCII)
        return match[0] if match else ""


def _stopped(host_id: str, ended: Ended, listener: _Listener) -> FleetError:
    if ended.status == LOCKED_STATUS and listener.reason:
        return Locked(
            f"{host_id}: {listener.reason}",
            hint="wait until it has ended, then run the same again",
        )
    output = "\n".join(ended.tail)
    if not listener.begun:
        return HostCommandFailed(
            f"{host_id}: could not start as root (status {ended.status})",
            status=ended.status,
            output=output,
            hint=STOPPED[65][1],
        )
    place, hint = STOPPED.get(ended.status, (listener.last_step or "start", "run the same again"))
    reason = listener.reason or f"it ended with status {ended.status}"
    return HostCommandFailed(
        f"{host_id}: the install stopped at {place}: {reason}",
        status=ended.status,
        output=output,
        hint=hint,
    )


def _script(order: InstallOrder, code: Secret | None) -> bytes:
    """Return what is sent to the host: assignments, script, uploads, activation code."""
    if (code is None) != (order.activation_id is None):
        raise ValueError("an activation id and its code come together or not at all")
    uploads = {
        "installer": order.installer,
        "ecs_config": order.ecs_config.encode(),
        "ecs_var_config": order.ecs_var_config.encode(),
        "store_json": order.store_json.encode(),
    }
    values = {
        "region": order.region,
        "cluster": order.cluster,
        "activation_id": order.activation_id or "",
        "docker_source": order.docker_source,
        "runtime": order.set_runtime or "",
        "wait_s": str(order.wait_s),
        "lock_wait_s": str(LOCK_WAIT_S),
    }
    for name, content in uploads.items():
        values[f"{name}_size"] = str(len(content))
        values[f"{name}_sha256"] = hashlib.sha256(content).hexdigest()
    head = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    stream = whole_script("install.sh", head) + b"".join(uploads.values())
    if code is None:
        return stream
    line = code.reveal().encode()
    if not line or b"\n" in line:
        raise ValueError("an activation code is one line")
    return stream + line + b"\n"
