"""A shop host to test against: a real SSH server in front of a real bash with a root of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from fleet.model.inventory import Architecture, Hardware, Host, SshAccess
from fleet.ssh.connection import Connection, open_connection

PROGRAMS = Path(__file__).parent / "programs"


class _Session(paramiko.ServerInterface):
    def __init__(self, server: "ShopServer") -> None:
        self._server = server

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._server.stall("login")
        taken = username == "fleet" and key.asbytes() == self._server.client_key.asbytes()
        return AUTH_SUCCESSFUL if taken else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if self._server.stall("exec"):
            return False
        self._server.execute(channel, command.decode())
        return True


class ShopServer:
    """Listens on a loopback port until closed.

    As OpenSSH does without a terminal, a lost connection closes the pipes of a running command and
    leaves the command itself alone; ``kill`` is the power cut.
    """

    def __init__(self, root: Path, environment: dict[str, str] | None = None) -> None:
        self.root = root
        self.environment = environment or {}
        self.host_key: paramiko.PKey = paramiko.ECDSAKey.generate()
        self.client_key: paramiko.PKey = paramiko.ECDSAKey.generate()
        self.identity = root.parent / "identity"
        self.client_key.write_private_key_file(str(self.identity))
        self.execs = 0
        self.stalls_at = ""
        self._closing = threading.Event()
        self.processes: list[subprocess.Popen[bytes]] = []
        self._transports: list[paramiko.Transport] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *args: Any) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(sock)
            transport.set_log_channel("tests.ssh.server")
            transport.add_server_key(self.host_key)
            self._transports.append(transport)
            with contextlib.suppress(paramiko.SSHException, EOFError):
                transport.start_server(event=threading.Event(), server=_Session(self))

    def execute(self, channel: paramiko.Channel, command: str) -> None:
        self.execs += 1
        process = subprocess.Popen(
            ["/bin/bash", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=self.root,
            env={
                "FLEET_ROOT": str(self.root),
                "HOME": str(self.root / "root"),
                "PATH": f"{self.root}/usr/sbin:{self.root}/usr/bin:/usr/bin:/bin",
                **self.environment,
            },
        )
        self.processes.append(process)
        # paramiko answers the request only after this returns, and nothing may come before that
        # answer; the client's first bytes show that it has arrived.
        answered = threading.Event()
        self._start(self._upload, channel, process, answered)
        self._start(self._download, channel, process, answered)

    @staticmethod
    def _upload(
        channel: paramiko.Channel, process: subprocess.Popen[bytes], answered: threading.Event
    ) -> None:
        assert process.stdin
        with contextlib.suppress(OSError):
            while chunk := channel.recv(32768):
                answered.set()
                process.stdin.write(chunk)
                process.stdin.flush()
        answered.set()
        with contextlib.suppress(OSError):
            process.stdin.close()

    @staticmethod
    def _download(
        channel: paramiko.Channel, process: subprocess.Popen[bytes], answered: threading.Event
    ) -> None:
        assert process.stdout
        answered.wait()
        with process.stdout as stdout, contextlib.suppress(OSError, EOFError):
            while chunk := os.read(stdout.fileno(), 32768):
                channel.sendall(chunk)
        status = process.wait()
        with contextlib.suppress(OSError, EOFError):
            if status >= 0:
                channel.send_exit_status(status)
            channel.close()

    def stall(self, place: str) -> bool:
        """Where ``stalls_at`` says so the server stands still, as a stopped process does."""
        return place == self.stalls_at and self._closing.wait(30)

    def cut(self) -> None:
        """Lose every connection, as a link that goes down does."""
        for transport in self._transports:
            transport.close()

    def kill(self) -> None:
        """Kill whatever runs, with its children, and lose every connection."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self.cut()

    def close(self) -> None:
        self._closing.set()
        # Closing a listener does not wake the thread that waits in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.kill()
        for process in self.processes:
            process.wait()
        for thread in self._threads:
            thread.join(10)
        for transport in self._transports:
            transport.join(10)
            transport.sock.close()


def a_host(port: int = 22, *, timeout_s: float = 10.0, identity: Path | None = None) -> Host:
    hardware = Hardware("nuc", Architecture.AMD64, "amd64")
    access = SshAccess("fleet", port, str(identity) if identity else None, timeout_s)
    return Host("tel-1", "store-042", "127.0.0.1", hardware, access)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root folder of a bare host, with programs that really act on it."""
    root = tmp_path / "root"
    for folder in ("usr/bin", "usr/sbin", "etc", "run/systemd/system", "var/tmp", "root", "state"):
        (root / folder).mkdir(parents=True)
    for program in ("id", "systemctl", "curl", "gpg", "apt-get", "sleep"):
        (root / "usr/bin" / program).symlink_to(PROGRAMS / program)
    (root / "etc/os-release").write_text('ID=ubuntu\nVERSION_ID="22.04"\nPRETTY_NAME="Ubuntu"\n')
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    return root


@pytest.fixture
def server(root: Path) -> Iterator[ShopServer]:
    server = ShopServer(root)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def host(server: ShopServer) -> Host:
    return a_host(server.port, identity=server.identity)


@pytest.fixture
def known_hosts(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


@pytest.fixture
def connect(host: Host, known_hosts: Path) -> Callable[[], Connection]:
    """Opens a connection to the server, pinning its key the first time."""

    def connect() -> Connection:
        return open_connection(
            host,
            ssh_config=None,
            known_hosts=known_hosts,
            accept_new=True,
            on_new_key=lambda *_: None,
        )

    return connect
