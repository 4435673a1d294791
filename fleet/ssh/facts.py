"""Reads everything there is to know of a host before acting on it, in one exec.

What ``facts.sh`` printed becomes HostFacts; nothing in it is trusted.
"""

import base64
import json
import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fleet.errors import HostCommandFailed
from fleet.model.inventory import Architecture
from fleet.model.observed import (
    DockerFacts,
    EcsAgentFacts,
    HostFacts,
    Privilege,
    SsmAgentFacts,
)
from fleet.model.printable import printable
from fleet.ssh.connection import Connection
from fleet.ssh.script import whole_script

#: Seconds for the script; its own limits add up to some 20 where nothing answers.
TIMEOUT_S = 60.0
#: Far more than the script can print; what it reads of each file is bounded too.
MOST_OUTPUT = 4 * 1024 * 1024
#: Status of a shell that did not find the program.
NOT_FOUND = 127
#: Units of docker's human sizes, which are decimal, in bytes.
SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
ARCHITECTURES = {architecture.uname: architecture for architecture in Architecture}
SNAP_UNIT = "snap.amazon-ssm-agent.amazon-ssm-agent.service"
#: Digits beyond which a number is nonsense; also keeps int() away from huge strings.
LONGEST_NUMBER = 18


class GarbledFacts(ValueError):
    """The answer is not one, or only a part of one; the message says in which way."""


def read_facts(
    connection: Connection,
    *,
    endpoints: Sequence[str],
    devices: Sequence[str],
    now: Callable[[], datetime],
    timeout_s: float = TIMEOUT_S,
) -> HostFacts:
    """Run ``facts.sh`` on the host and read its answer. Changes nothing there.

    Args:
        connection: to the host.
        endpoints: URLs that the host should be able to reach; each becomes a key of ``egress``.
        devices: absolute device paths that may exist.
        now: our clock; the host's is compared with the middle of the round trip.
        timeout_s: most seconds for all of it.

    Raises:
        HostUnreachable: the connection was lost.
        HostCommandFailed: no bash there, out of time, or an answer that cannot be understood.
    """
    lines: list[str] = []
    offsets: list[float] = []
    asked_at = now()

    def on_line(line: str) -> None:
        lines.append(line)
        if not offsets and (theirs := parse_clock(line)) is not None:
            middle = asked_at + (now() - asked_at) / 2
            offsets.append(theirs - middle.timestamp())

    ended = connection.run(
        "bash -s",
        stdin=_script(endpoints, devices),
        timeout_s=timeout_s,
        on_line=on_line,
        most_output=MOST_OUTPUT,
    )
    if ended.status == NOT_FOUND:
        raise HostCommandFailed(
            f"{connection.host.id}: the host has no bash",
            status=ended.status,
            output="\n".join(ended.tail),
            hint="AWS's installer needs bash as well: install it on the host",
        )
    try:
        if not offsets:
            raise GarbledFacts("it did not tell its time")  # noqa: TRY301 - one handler says it all
        return parse_facts(lines, clock_offset_s=offsets[0], host_key=connection.host_key)
    except GarbledFacts as error:
        raise HostCommandFailed(
            f"{connection.host.id}: the host's answer cannot be understood: {error}",
            status=ended.status,
            output="\n".join(ended.tail),
            hint="log in with ssh and run `bash -s` there: does it start and print nothing?",
        ) from error


def _script(endpoints: Sequence[str], devices: Sequence[str]) -> bytes:
    values = f"endpoints=({shlex.join(endpoints)})\ndevices=({shlex.join(devices)})\n"
    return whole_script("facts.sh", values)


def parse_clock(line: str) -> float | None:
    """Return the host's time from the ``@clock`` line in epoch seconds; None when it tells none.

    busybox's date knows no ``%N`` and prints it as it is, or nothing.
    """
    match = re.match(r"@clock (\d{1,12})(\.\d{1,9})?", line, re.ASCII)
    return float(match[1] + (match[2] or "")) if match else None


def parse_facts(lines: Sequence[str], *, clock_offset_s: float, host_key: str) -> HostFacts:
    """Return the facts in the lines that the host printed.

    Args:
        lines: all of them; what stands outside the block is noise.
        clock_offset_s: host minus our clock, measured by the caller.
        host_key: fingerprint of the key we spoke to.

    Raises:
        GarbledFacts: no block, not base64, or its end is missing.
    """
    answer = _Answer.of(lines)
    memory = re.search(
        r"^MemTotal:\s*(\d{1,18}) kB", answer.text("memory"), re.MULTILINE | re.ASCII
    )
    disk_total, disk_free = _disk(answer.text("disk"))
    release = _assignments(answer.text("os_release"))
    machine = printable(answer.text("machine"), limit=64)
    units = _units(answer.text("units"))
    return HostFacts(
        machine=machine,
        architecture=ARCHITECTURES.get(machine),
        hostname=printable(answer.text("hostname"), limit=253),
        os_id=release.get("ID", ""),
        os_version=release.get("VERSION_ID", ""),
        os_name=release.get("PRETTY_NAME", ""),
        machine_id=printable(answer.text("machine_id"), limit=64),
        privilege=_privilege(answer.text("privilege")),
        systemd=answer.has("systemd"),
        cpus=_number(answer.text("cpus")),
        memory_mb=_number(memory[1]) // 1024 if memory else 0,
        disk_free_mb=disk_free,
        disk_total_mb=disk_total,
        clock_offset_s=clock_offset_s,
        package_manager=printable(answer.text("package_manager"), limit=16),
        gpg=answer.has("gpg"),
        curl=answer.has("curl"),
        egress=_egress(answer.all("egress")),
        shadow_credentials=tuple(printable(text, limit=200) for text in answer.all("shadow")),
        docker=_docker(answer, units),
        ssm=_ssm(answer, units),
        ecs=_ecs(answer, units),
        devices=tuple(printable(text, limit=200) for text in answer.all("device")),
        l4t_release=_l4t(answer.text("l4t")),
        unused_image_mb=_unused_image_mb(answer.output("docker_space")),
        host_key=host_key,
        installing=_installing(answer.all("install_lock")),
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """Pairs of key and text in the order printed; a key may come several times."""

    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, lines: Sequence[str]) -> "_Answer":
        try:
            start = lines.index("@facts")
            block = "".join(lines[start + 1 : lines.index("@end", start)])
        except ValueError:
            raise GarbledFacts("it printed no facts, or not to their end") from None
        try:
            texts = base64.b64decode(block, validate=True).decode("utf-8", "replace").split("\0")
        except ValueError:
            raise GarbledFacts("what it printed as facts is not base64") from None
        answer = cls(tuple(zip(texts[:-1:2], texts[1::2], strict=False)))
        if not answer.has("complete"):
            raise GarbledFacts("its facts break off in the middle")
        return answer

    def has(self, key: str) -> bool:
        return any(name == key for name, _ in self.pairs)

    def all(self, key: str) -> tuple[str, ...]:
        return tuple(text for name, text in self.pairs if name == key)

    def text(self, key: str) -> str:
        """Return the first text of this key; "" when there is none."""
        return next(iter(self.all(key)), "")

    def output(self, key: str) -> str:
        """Return what a command printed; "" unless it ran and succeeded."""
        output, status = _output(self.text(key))
        return output if status == 0 else ""


def _output(text: str) -> tuple[str, int | None]:
    """Return a command's output and its exit status, which is the last line."""
    output, _, status = text.rpartition("\n")
    return output, int(status) if re.fullmatch(r"\d{1,3}", status, re.ASCII) else None


def _installing(texts: Sequence[str]) -> str:
    """Say since when somebody installs; the lock is empty for a moment after it was taken."""
    if not texts:
        return ""
    return f"since {printable(texts[-1], limit=80).strip() or 'a moment ago'}"


def _privilege(text: str) -> Privilege:
    try:
        return Privilege(text)
    except ValueError:
        return Privilege.NONE


def _number(text: str) -> int:
    """Return a count; 0 when it is none."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER else 0


def _disk(text: str) -> tuple[int, int]:
    """Return total and available MiB from ``df -Pk``, whose columns POSIX fixes."""
    match = re.search(r"\s(\d{1,18})\s+\d+\s+(-?\d{1,18})\s+\d+%\s", text, re.ASCII)
    return (int(match[1]) // 1024, max(0, int(match[2])) // 1024) if match else (0, 0)


def _assignments(text: str) -> dict[str, str]:
    """Parse KEY=VALUE lines with shell quoting, as in os-release(5)."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if not equals or key.startswith("#"):
            continue
        try:
            words = shlex.split(value)
        except ValueError:
            words = [value]
        found[printable(key, limit=80)] = printable(" ".join(words), limit=200)
    return found


def _settings(text: str) -> dict[str, str]:
    """Parse KEY=VALUE lines as the ECS agent takes them: no quoting, the last one wins."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            found[printable(key, limit=80)] = printable(value)
    return found


def _units(text: str) -> dict[str, Mapping[str, str]]:
    """Return the properties of each unit, from the blocks of ``systemctl show``."""
    blocks = (
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in re.split(r"\n\s*\n", text)
    )
    return {block["Id"]: block for block in blocks if "Id" in block}


def _is_active(unit: Mapping[str, str] | None) -> bool:
    return unit is not None and unit.get("ActiveState") == "active"


def _is_enabled(unit: Mapping[str, str] | None) -> bool:
    return unit is not None and unit.get("UnitFileState", "").startswith("enabled")


def _egress(texts: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        endpoint, _, rest = text.partition("\n")
        output, status = _output(rest)
        why = "" if status == 0 else printable(output, limit=200) or f"curl ended with {status}"
        found[printable(endpoint, limit=300)] = why
    return dict(sorted(found.items()))


def _json_object(text: str) -> dict[str, Any]:
    """Return the JSON object in the text; empty when it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _string(body: Mapping[str, Any], key: str, limit: int = 200) -> str:
    value = body.get(key)
    return printable(value, limit=limit) if isinstance(value, str) else ""


def _docker(answer: _Answer, units: Mapping[str, Mapping[str, str]]) -> DockerFacts | None:
    if not answer.has("docker"):
        return None
    # Some versions fail and still print what the client alone knows; the engine's keys are empty.
    info = _json_object(_output(answer.text("docker_info"))[0])
    runtimes = info.get("Runtimes")
    return DockerFacts(
        version=_string(info, "ServerVersion", limit=64),
        active=_is_active(units.get("docker.service")),
        default_runtime=_string(info, "DefaultRuntime", limit=64)
        or printable(answer.text("docker_default"), limit=64),
        runtimes=tuple(sorted(printable(name, limit=64) for name in runtimes))
        if isinstance(runtimes, dict)
        else (),
        running=tuple(printable(name, limit=128) for name in answer.output("docker_names").split()),
    )


def _unused_image_mb(text: str) -> int | None:
    """Parse the line ``Images=6.4GB (53%)`` of docker system df."""
    match = re.search(
        r"^Images=(\d{1,9}(?:\.\d{1,9})?)(B|kB|MB|GB|TB)\b", text, re.MULTILINE | re.ASCII
    )
    return math.floor(float(match[1]) * SIZES[match[2]] / 2**20) if match else None


def _ssm(answer: _Answer, units: Mapping[str, Mapping[str, str]]) -> SsmAgentFacts:
    unit = units.get(SNAP_UNIT)
    if unit is None or unit.get("LoadState") != "loaded":
        unit = units.get("amazon-ssm-agent.service")
    version = re.search(r"\d+(?:\.\d+)+", answer.text("ssm_version"), re.ASCII)
    return SsmAgentFacts(
        installed=answer.has("ssm_version"),
        enabled=_is_enabled(unit),
        active=_is_active(unit),
        version=version[0][:32] if version else "",
        instance_id=printable(answer.text("vault_id"), limit=64) or None,
        region=printable(answer.text("vault_region"), limit=64) or None,
    )


def _ecs(answer: _Answer, units: Mapping[str, Mapping[str, str]]) -> EcsAgentFacts:
    unit = units.get("ecs.service")
    metadata = _json_object(answer.output("metadata"))
    settings = _settings(answer.text("ecs_config")) | _settings(answer.text("ecs_var_config"))
    version = re.search(r"\d+(?:\.\d+)+", _string(metadata, "Version"), re.ASCII)
    return EcsAgentFacts(
        installed=answer.has("ecs_installed"),
        enabled=_is_enabled(unit),
        active=_is_active(unit),
        version=version[0] if version else "",
        config=settings,
        has_state=answer.has("ecs_state"),
        cluster=_string(metadata, "Cluster") or None,
        container_instance_arn=_string(metadata, "ContainerInstanceArn", limit=300) or None,
    )


def _l4t(text: str) -> str:
    """Return ``R35.4.1`` from ``# R35 (release), REVISION: 4.1, GCID: ...``."""
    match = re.search(r"R(\d{1,4}) \(release\), REVISION: (\d[\d.]{0,15})", text, re.ASCII)
    return f"R{match[1]}.{match[2]}" if match else ""
