"""One verified SSH connection to a host, and commands over it that always come to an end."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko

from fleet.errors import HostCommandFailed, HostUnreachable
from fleet.model.inventory import Host
from fleet.model.printable import printable
from fleet.model.secret import Secret
from fleet.ssh.known_hosts import HostKey, KnownHosts, entry_name
from fleet.ssh.lines import LineCutter, shown
from fleet.ssh.link import Link, dial
from fleet.ssh.login import log_in
from fleet.ssh.route import Route, route_to

#: Seconds between keepalives; with the link's own limit on unacknowledged bytes they notice a cut
#: cable within 45 s, at about 100 bytes a keepalive.
KEEPALIVE_S = 15
#: How many lines of output an error keeps.
TAIL_LINES = 20
#: Most bytes a command may print before it is cut off.
MOST_OUTPUT = 16 * 1024 * 1024

# paramiko writes stack traces of every lost connection to its log, which without a handler is the
# operator's terminal. What matters of them is in our errors.
WIRE_LOG = "fleet.ssh.wire"
for _name in (WIRE_LOG, "paramiko"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
logging.getLogger(WIRE_LOG).propagate = False


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


class Connection:
    """An open connection, of which the host key has been verified and the login taken.

    Attributes:
        host: whom we speak to.
        host_key: fingerprint of its key, ``SHA256:...``.
    """

    def __init__(
        self, host: Host, host_key: str, transport: paramiko.Transport, link: Link
    ) -> None:
        self.host = host
        self.host_key = host_key
        self._transport = transport
        self._link = link

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
        # paramiko waits without limit in several places; closing the transport ends each of them.
        out_of_time = threading.Event()

        def hear(line: str) -> None:
            tail.append(shown(line, secret))
            try:
                on_line(line)
            except (paramiko.SSHException, EOFError, OSError) as error:
                # Not the host's fault: as when the caller prints to a pipe that was closed.
                raise _ListenerFailed from error

        def expire() -> None:
            out_of_time.set()
            self._transport.close()

        watchdog = threading.Timer(timeout_s, expire)
        watchdog.daemon = True
        watchdog.start()
        try:
            status = self._exchange(command, stdin, hear=hear, most_output=most_output, tail=tail)
        except _ListenerFailed as failed:
            self._transport.close()
            raise failed.__cause__ or failed from None
        except (paramiko.SSHException, EOFError, OSError) as error:
            if not out_of_time.is_set():
                raise self._lost(error) from error
            status = -1
        finally:
            watchdog.cancel()
        if status >= 0:
            return Ended(status, tuple(tail), time.monotonic() - started)
        if out_of_time.is_set():
            raise self._cut_off(f"did not end within {timeout_s:g} s", tail)
        # A transport that lost its peer ends its channels just before itself.
        self._transport.join(1.0)
        if not self._transport.is_active():
            raise self._lost(None)
        raise self._cut_off("was killed on the host", tail)

    def close(self) -> None:
        """Hang up; safe to repeat."""
        self._transport.close()
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _exchange(
        self,
        command: str,
        stdin: bytes,
        *,
        hear: Callable[[str], None],
        most_output: int,
        tail: deque[str],
    ) -> int:
        """The exit status; -1 when the host gave none."""
        with self._transport.open_session() as channel:
            channel.set_combine_stderr(True)
            channel.exec_command(command)
            self._feed(channel, stdin)
            cutter = LineCutter()
            received = 0
            while chunk := channel.recv(32768):
                received += len(chunk)
                for line in cutter.feed(chunk):
                    hear(line)
                if received > most_output:
                    self._transport.close()
                    raise self._cut_off(f"printed more than {most_output // 1024} KiB", tail)
            for line in cutter.end():
                hear(line)
            return channel.recv_exit_status()

    @staticmethod
    def _feed(channel: paramiko.Channel, stdin: bytes) -> None:
        try:
            channel.sendall(stdin)
            channel.shutdown_write()
        except OSError:
            # It ended before it had read everything; its status and output say why.
            return

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
    route = route_to(host, ssh_config)
    pins = KnownHosts(known_hosts)
    name = entry_name(host.address, host.ssh.port)
    link = dial(host, route)
    transport: paramiko.Transport | None = None
    try:
        transport = _greet(host, route, link, {pin.key.kind for pin in pins.pinned(name)})
        remote = transport.get_remote_server_key()
        key = HostKey(remote.get_name(), remote.asbytes())
        if not accept_new:
            pins.verify(name, key, host_id=host.id)
        elif pins.pin(name, key, host_id=host.id):
            on_new_key(host.id, key.kind, key.fingerprint)
        log_in(transport, route, host_id=host.id)
    except BaseException:
        if transport:
            transport.close()
        link.close()
        raise
    transport.set_keepalive(KEEPALIVE_S)
    return Connection(host, key.fingerprint, transport, link)


def _greet(host: Host, route: Route, link: Link, pinned: set[str]) -> paramiko.Transport:
    """Banner and key exchange, with the types of key that are pinned asked for first."""
    wait_s = host.ssh.connect_timeout_s
    transport = paramiko.Transport(link.sock)
    transport.daemon = True
    transport.set_log_channel(WIRE_LOG)
    transport.banner_timeout = wait_s
    transport.handshake_timeout = wait_s
    transport.auth_timeout = wait_s
    options = transport.get_security_options()
    # A pinned "ssh-rsa" key signs as rsa-sha2-256 and -512.
    wanted = pinned | ({"rsa-sha2-512", "rsa-sha2-256"} if "ssh-rsa" in pinned else set())
    options.key_types = sorted(options.key_types, key=lambda kind: kind not in wanted)
    done = threading.Event()
    try:
        transport.start_client(event=done)
        done.wait(wait_s)
    except paramiko.SSHException as error:
        transport.close()
        raise HostUnreachable(f"{host.id} at {route.place}: {printable(str(error))}") from error
    if not transport.is_active():
        cause = transport.get_exception()
        why = printable(str(cause)) if cause else ""
        raise HostUnreachable(
            f"{host.id} at {route.place}: no SSH there: {why or 'it hung up'}"
        ) from cause
    if not done.is_set():
        transport.close()
        raise HostUnreachable(
            f"{host.id} at {route.place}: connected, but no SSH greeting within {wait_s:g} s",
            hint="something other than sshd may listen there, or the box is overloaded",
        )
    return transport
