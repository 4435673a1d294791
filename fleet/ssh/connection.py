"""Opens a verified SSH connection to a host, and runs commands over it with a time limit."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fleet.errors import HostCommandFailed, HostUnreachable
from fleet.model.inventory import Host
from fleet.model.printable import printable
from fleet.model.secret import Secret
from fleet.ssh.known_hosts import KnownHosts
from fleet.ssh.lines import LineCutter, shown

if TYPE_CHECKING:
    from fleet.ssh.transport import Transport

#: How many lines of output an error keeps.
TAIL_LINES = 20
#: Most bytes a command may print before it is cut off.
MOST_OUTPUT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        status: its exit status.
        tail: the last lines that it printed, as they may be shown.
        seconds: from the request to the end, on our clock.
    """

    status: int
    tail: tuple[str, ...]
    seconds: float


class _ListenerFailed(Exception):
    """Carries an error of the caller's past the handlers for errors of the connection."""


class _TooMuchOutput(Exception):
    pass


class _Output:
    """Cuts what a command prints into lines, hands these over and keeps the last ones."""

    def __init__(
        self,
        on_line: Callable[[str], None],
        most_bytes: int,
        tail: deque[str],
        secret: Secret | None,
    ) -> None:
        self._on_line = on_line
        self._left = most_bytes
        self._tail = tail
        self._secret = secret
        self._cutter = LineCutter()

    def take(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        for line in self._cutter.feed(chunk):
            self._hear(line)
        if self._left < 0:
            raise _TooMuchOutput

    def end(self) -> None:
        for line in self._cutter.end():
            self._hear(line)

    def _hear(self, line: str) -> None:
        self._tail.append(shown(line, self._secret))
        try:
            self._on_line(line)
        except (EOFError, OSError) as error:
            # Not the host's fault: as when the caller prints to a pipe that was closed.
            raise _ListenerFailed from error


class Connection:
    """An open connection, of which the host key has been verified and the login taken.

    Attributes:
        host: whom we speak to.
        host_key: fingerprint of its key, ``SHA256:...``.
    """

    def __init__(self, host: Host, host_key: str, transport: "Transport") -> None:
        self.host = host
        self.host_key = host_key
        self._transport = transport

    def run(
        self,
        command: str,
        *,
        stdin: bytes,
        timeout_s: float,
        on_line: Callable[[str], None],
        secret: Secret | None = None,
        most_output: int = MOST_OUTPUT,
    ) -> Ended:
        """Run one command: feed it, hand over each line that it prints, wait for its end.

        Both of its outputs come as one. A command that fails is not an error here: the caller
        knows what the status means.

        Args:
            command: for the login shell of the host; carries no secret and no inventory text.
            stdin: all that it will be given, then end of file.
            timeout_s: when it is over, the connection is closed. The command may run on: sshd
                leaves it alone until it next writes.
            on_line: gets raw lines, which must not be shown before they went through ``shown``.
            secret: taken out of what errors keep.
            most_output: bytes, after which the connection is closed.

        Raises:
            HostUnreachable: the connection was lost; whether the command ended is unknown.
            HostCommandFailed: with status None: out of time, too much output, or killed.
        """
        started = time.monotonic()
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        output = _Output(on_line, most_output, tail, secret)
        # paramiko waits without limit in several places; closing the transport ends each of them.
        out_of_time = threading.Event()

        def expire() -> None:
            out_of_time.set()
            self._transport.close()

        watchdog = threading.Timer(timeout_s, expire)
        watchdog.daemon = True
        watchdog.start()
        try:
            status = self._transport.run(command, stdin, output.take)
            output.end()
        except _ListenerFailed as failed:
            self._transport.close()
            raise failed.__cause__ or failed from None
        except _TooMuchOutput:
            self._transport.close()
            raise self._cut_off(f"printed more than {most_output // 1024} KiB", tail) from None
        except OSError as error:
            if not out_of_time.is_set():
                raise self._lost(error) from error
            status = None
        finally:
            watchdog.cancel()
        if status is not None:
            return Ended(status, tuple(tail), time.monotonic() - started)
        if out_of_time.is_set():
            raise self._cut_off(f"did not end within {timeout_s:g} s", tail)
        if self._transport.is_lost():
            raise self._lost(None)
        raise self._cut_off("was killed on the host", tail)

    def close(self) -> None:
        """Hang up; safe to repeat."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _lost(self, error: BaseException | None) -> HostUnreachable:
        why = printable(str(error)) if error else ""
        return HostUnreachable(
            f"{self.host.id}: the connection was lost while a command ran"
            + (f" ({why})" if why else ""),
            hint="run the same again: it looks first at what is really there",
        )

    def _cut_off(self, what: str, tail: deque[str]) -> HostCommandFailed:
        return HostCommandFailed(f"{self.host.id}: the command {what}", output="\n".join(tail))


def open_connection(
    host: Host,
    *,
    ssh_config: Path | None,
    known_hosts: Path,
    accept_new: bool,
    on_new_key: Callable[[str, str, str], None],
) -> Connection:
    """Connect, verify the host key against ``known_hosts`` and nothing else, log in.

    Args:
        host: whom to connect to.
        ssh_config: an OpenSSH configuration that may overrule where and as whom to connect.
        known_hosts: the pinned keys; see ``fleet.ssh.known_hosts``.
        accept_new: whether a host without a pinned key gets the one it shows now pinned. A changed
            key is refused all the same.
        on_new_key: told host id, key type and fingerprint after a key was pinned.

    Raises:
        HostUnreachable: no TCP connection, no SSH behind it, or lost while connecting.
        HostKeyUnknown: nothing pinned and ``accept_new`` is false; nothing was sent.
        HostKeyChanged: another key is pinned; nothing was sent.
        LoginRefused: no key of ours was taken.
        UsageError: ssh_config or known_hosts cannot be read, or the new key not be written.
    """
    # Here and nowhere else: paramiko takes a fifth of a second to import.
    from fleet.ssh.transport import open_transport

    pins = KnownHosts(known_hosts)
    return Connection(
        host,
        *open_transport(host, ssh_config, pins, accept_new=accept_new, on_new_key=on_new_key),
    )
