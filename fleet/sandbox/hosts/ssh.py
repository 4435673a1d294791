"""The SSH servers of simulated hosts: one accept loop, one thread per connection."""

import contextlib
import logging
import os
import selectors
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import paramiko
import paramiko.common
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from fleet.sandbox.agents.machine import write_whole
from fleet.sandbox.hosts.shop_host import ShopHost

_LOG = logging.getLogger(__name__)
_BACKLOG = 64
_BANNER = "SSH-2.0-OpenSSH_8.9p1"
_CHUNK = 65536
_LOOK_S = 0.1
#: After a hang-up a process has this long before it is killed (a liberty: a real sshd without a
#: terminal leaves it running until it writes to the closed pipe).
_GRACE_S = 1.0
_CANNOT_RUN = 126
#: paramiko answers the client's request just after the command was begun, from another thread. A
#: command that ends at once must not close the channel before that answer; the client's first
#: bytes, or its end of input, show that it is there, and a client that sends neither waits so long.
_ANSWERED_WITHIN_S = 0.2


def make_key(path: Path) -> paramiko.Ed25519Key:
    """Return the ed25519 key in this file, made if there is none; mode 0600."""
    if not path.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
        )
        write_whole(path, pem.decode())
    return paramiko.Ed25519Key.from_private_key_file(str(path))


class Shell:
    """Runs one command with its streams on a channel, and ends it when the channel dies.

    Args:
        channel: where its input comes from and its output goes.
        alive: whether the connection below the channel still stands.
    """

    def __init__(self, channel: paramiko.Channel, alive: Callable[[], bool]) -> None:
        self._channel = channel
        self._alive = alive
        self._answered = threading.Event()

    def run(self, command: str, *, environment: dict[str, str], cwd: str) -> None:
        """Run it to its end; in the caller's thread, with three more for the streams."""
        try:
            process = subprocess.Popen(
                ["/bin/bash", "-c", command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                cwd=cwd,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            with contextlib.suppress(OSError, EOFError):
                self._channel.sendall_stderr(f"the host cannot run anything: {error}\n".encode())
            self._say_goodbye(_CANNOT_RUN)
            return
        # Each stream is closed by the thread that pumps it and by nobody else: closed under a
        # reader, its number could be given to another connection.
        outputs = [
            _begin(self._pump_out, process.stdout, self._channel.sendall),
            _begin(self._pump_out, process.stderr, self._channel.sendall_stderr),
        ]
        _begin(self._pump_in, process.stdin)
        self._await(process, outputs)
        self._say_goodbye(process.returncode)

    def _await(self, process: "subprocess.Popen[bytes]", outputs: list[threading.Thread]) -> None:
        """Wait until the process has ended and, as sshd does, nobody holds its output any more."""
        hung_up: float | None = None
        while process.poll() is None or any(thread.is_alive() for thread in outputs):
            if hung_up is None and (self._channel.closed or not self._alive()):
                hung_up = time.monotonic()
                _signal_group(process, signal.SIGHUP)
            if hung_up is not None and time.monotonic() - hung_up > _GRACE_S:
                _signal_group(process, signal.SIGKILL)
                process.wait()
                return
            if process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_S)
            else:
                outputs[0].join(_LOOK_S)
                outputs[1].join(_LOOK_S)

    def _pump_in(self, stdin: IO[bytes] | None) -> None:
        if stdin is None:
            return
        with contextlib.suppress(OSError, EOFError):
            while data := self._channel.recv(_CHUNK):
                self._answered.set()
                view = memoryview(data)
                while view:
                    view = view[stdin.write(view) :]
        self._answered.set()
        with contextlib.suppress(OSError):
            stdin.close()

    def _pump_out(self, stream: IO[bytes] | None, send: Callable[[bytes], None]) -> None:
        if stream is None:
            return
        with stream, contextlib.suppress(OSError, EOFError):
            while data := os.read(stream.fileno(), _CHUNK):
                send(data)

    def _say_goodbye(self, returncode: int) -> None:
        self._answered.wait(_ANSWERED_WITHIN_S)
        # A process that a signal ended has a negative code; shells report 128 + signal.
        status = returncode if returncode >= 0 else 128 - returncode
        with contextlib.suppress(OSError, EOFError):
            self._channel.send_exit_status(status)
        with contextlib.suppress(OSError, EOFError):
            self._channel.close()


def _begin(run: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=run, args=arguments, name="ssh stream", daemon=True)
    thread.start()
    return thread


def _signal_group(process: "subprocess.Popen[bytes]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@dataclass(slots=True)
class _Door:
    """A host's SSH port: listening, or only held while its link is cut."""

    host: ShopHost
    key: paramiko.PKey
    listener: socket.socket
    port: int
    transports: set[paramiko.Transport] = field(default_factory=set)


class SshServers:
    """Lets people and programs in to hosts, with the operator's key.

    Args:
        operator_key: the only key that any host accepts.
    """

    def __init__(self, operator_key: paramiko.PKey) -> None:
        self._operator_key = operator_key
        self._doors: dict[str, _Door] = {}
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._stopping = False
        self._thread: threading.Thread | None = None

    def open(self, host: ShopHost) -> int:
        """Listen for a host, on the port it had before if that is free; returns the port."""
        kept = host.folder / "ssh_port"
        key = make_key(host.folder / "ssh_host_ed25519_key")
        try:
            wanted = int(kept.read_text(encoding="ascii"))
        except (OSError, ValueError):
            wanted = 0
        listener = _bind(wanted)
        port = int(listener.getsockname()[1])
        if port != wanted:
            write_whole(kept, str(port))
        door = _Door(host, key, listener, port)
        with self._lock:
            self._doors[host.id] = door
        self.follow_link(host)
        return port

    def port(self, host: ShopHost) -> int:
        """Return its loopback port."""
        return self._doors[host.id].port

    def follow_link(self, host: ShopHost) -> None:
        """Open or close the port as the host's link is; closing ends its connections at once."""
        with self._lock:
            door = self._doors[host.id]
            with contextlib.suppress(KeyError):
                self._selector.unregister(door.listener)
            if not host.conditions.cut:
                door.listener.listen(_BACKLOG)
                self._selector.register(door.listener, selectors.EVENT_READ, door)
            else:
                # Bound and not listening: connections are refused and nobody else gets the port.
                door.listener.close()
                door.listener = _bind(door.port)
        if host.conditions.cut:
            self.drop(host)
        self._wake()

    def drop(self, host: ShopHost) -> None:
        """End the host's connections, as when the line goes dead."""
        door = self._doors[host.id]
        for transport in list(door.transports):
            _cut_off(transport)

    def start(self) -> None:
        """Accept in a thread of its own."""
        self._thread = threading.Thread(target=self._loop, name="ssh accept", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End all connections and close all ports."""
        self._stopping = True
        self._wake()
        if self._thread is not None:
            self._thread.join()
        transports = [t for door in self._doors.values() for t in list(door.transports)]
        for door in self._doors.values():
            door.listener.close()
        for transport in transports:
            _cut_off(transport)
        for transport in transports:
            transport.join(2.0)
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_write.send(b"x")

    def _loop(self) -> None:
        while not self._stopping:
            for ready, _ in self._selector.select():
                if ready.data is None:
                    with contextlib.suppress(OSError):
                        self._wake_read.recv(4096)
                    continue
                with contextlib.suppress(OSError):
                    connection, _address = ready.data.listener.accept()
                    self._welcome(ready.data, connection)

    def _welcome(self, door: _Door, connection: socket.socket) -> None:
        try:
            transport = paramiko.Transport(connection)
        except (OSError, paramiko.SSHException):
            connection.close()
            return
        transport.local_version = _BANNER
        transport.add_server_key(door.key)
        transport.daemon = True
        door.transports = {t for t in door.transports if t.is_alive()} | {transport}
        try:
            # With an event it returns at once; the transport's own thread does the rest.
            transport.start_server(
                event=threading.Event(), server=_Login(door.host, self._operator_key, transport)
            )
        except (OSError, EOFError, paramiko.SSHException):
            _LOG.debug("a connection to %s ended before it began", door.host.id)
            transport.close()


class _Login(paramiko.ServerInterface):
    """What one connection to one host may do: log in with the operator's key, run commands.

    What it does not name (terminals, subsystems, forwarding) paramiko refuses.
    """

    def __init__(
        self, host: ShopHost, operator_key: paramiko.PKey, transport: paramiko.Transport
    ) -> None:
        self._host = host
        self._operator_key = operator_key
        self._transport = transport

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002 - paramiko's signature
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if username != self._host.spec.user or key != self._operator_key:
            return paramiko.common.AUTH_FAILED
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002 - as above
        if kind != "session":
            return paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        return self._run(channel, "exec /bin/bash -l")

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return self._run(channel, command.decode("utf-8", "surrogateescape"))

    def _run(self, channel: paramiko.Channel, command: str) -> bool:
        latency = float(self._host.spec.link.get("latency_ms") or 0) / 1000
        if latency and self._host.clock.rate:
            time.sleep(latency / self._host.clock.rate)
        shell = Shell(channel, self._transport.is_active)
        threading.Thread(
            target=shell.run,
            args=(command,),
            kwargs={
                "environment": self._host.environment(self._host.spec.user),
                "cwd": str(self._host.path(f"/home/{self._host.spec.user}")),
            },
            name=f"ssh {self._host.id}",
            daemon=True,
        ).start()
        return True


def _bind(port: int) -> socket.socket:
    """Return a socket bound to a loopback port, or to another one if that is taken."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        if port == 0:
            raise
        bound.bind(("127.0.0.1", 0))
    return bound


def _cut_off(transport: paramiko.Transport) -> None:
    """End a connection without a goodbye, as a dead line or a crashed host does."""
    line = transport.sock
    if isinstance(line, socket.socket):
        with contextlib.suppress(OSError):
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.close()
