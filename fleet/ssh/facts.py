"""Everything there is to know of a host before acting on it, in one exec."""

import shlex
from collections.abc import Callable, Sequence
from datetime import datetime

from fleet.errors import HostCommandFailed
from fleet.model.observed import HostFacts
from fleet.ssh.answer import Garbled, parse_clock, parse_facts
from fleet.ssh.connection import Connection
from fleet.ssh.script import whole_script

#: Seconds for the script; its own limits add up to some 20 where nothing answers.
TIMEOUT_S = 60.0
#: Far more than the script can print; what it reads of each file is bounded too.
MOST_OUTPUT = 4 * 1024 * 1024
#: Status of a shell that did not find the program.
NOT_FOUND = 127


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
            raise Garbled("it did not tell its time")  # noqa: TRY301 - one handler says it all
        return parse_facts(lines, clock_offset_s=offsets[0], host_key=connection.host_key)
    except Garbled as error:
        raise HostCommandFailed(
            f"{connection.host.id}: the host's answer cannot be understood: {error}",
            status=ended.status,
            output="\n".join(ended.tail),
            hint="log in with ssh and run `bash -s` there: does it start and print nothing?",
        ) from error


def _script(endpoints: Sequence[str], devices: Sequence[str]) -> bytes:
    values = f"endpoints=({shlex.join(endpoints)})\ndevices=({shlex.join(devices)})\n"
    return whole_script("facts.sh", values)
