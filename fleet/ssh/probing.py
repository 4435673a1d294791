"""Runs the probe of ``fleet drift --deep`` over SSH; Run Command sends the same script."""

from importlib import resources

from fleet.errors import HostCommandFailed
from fleet.ssh.connection import Connection

#: Seconds for the script on a small box that is busy.
TIMEOUT_S = 60.0
#: Far more than the script prints.
MOST_OUTPUT = 256 * 1024


def probe_script() -> str:
    """Return the whole script; it needs a POSIX shell, and root for what docker says."""
    text = resources.files("fleet.ssh").joinpath("probe_host.sh").read_text(encoding="utf-8")
    return f"{text}main; exit\n"


def run_probe(connection: Connection, *, timeout_s: float = TIMEOUT_S) -> str:
    """Run the probe and return what the host printed, which must not be shown unread.

    Raises:
        HostUnreachable: the connection was lost.
        HostCommandFailed: it failed there, or ran out of time.
    """
    lines: list[str] = []
    ended = connection.run(
        "sh -s",
        stdin=probe_script().encode(),
        timeout_s=timeout_s,
        on_line=lines.append,
        most_output=MOST_OUTPUT,
    )
    if ended.status != 0:
        raise HostCommandFailed(
            f"{connection.host.id}: the probe ended with status {ended.status}",
            hint=f"ssh to it and try: sudo docker ps; fleet status {connection.host.store}",
        )
    return "\n".join(lines)
