"""Serves the programs of simulated hosts on a loopback socket, with one token per host.

One request per connection. The program sends NUL-ended fields: token, program, working directory,
1 when root, the number of arguments, the arguments. The daemon answers a line with exit status,
length of standard output and of standard error, and then both.
"""

import contextlib
import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from fleet.sandbox.agents.machine import write_whole
from fleet.sandbox.hosts.programs import measures, packaging
from fleet.sandbox.hosts.programs.amazon_ssm_agent import amazon_ssm_agent
from fleet.sandbox.hosts.programs.call import ProgramCall, ProgramReply, failed
from fleet.sandbox.hosts.programs.curl import curl
from fleet.sandbox.hosts.programs.docker import docker
from fleet.sandbox.hosts.programs.systemctl import systemctl
from fleet.sandbox.hosts.shop_host import ShopHost

_LOG = logging.getLogger(__name__)
_FIELDS = 5
_MOST_BYTES = 4 * 1024 * 1024
_PATIENCE_S = 10.0
_PROGRAMS: Mapping[str, Callable[[ShopHost, ProgramCall], ProgramReply]] = {
    "systemctl": systemctl,
    "docker": docker,
    "curl": curl,
    "df": measures.df,
    "sleep": measures.sleep,
    "sandbox-clock": measures.clock,
    "apt-get": packaging.apt_get,
    "dpkg": packaging.dpkg,
    "apt-key": packaging.apt_key,
    "add-apt-repository": packaging.add_apt_repository,
    "gpg": packaging.gpg,
    "amazon-ssm-agent": amazon_ssm_agent,
}


def _run(host: ShopHost, call: ProgramCall) -> ProgramReply:
    """Run a program; a bug in one ends that program, not the daemon."""
    program = _PROGRAMS.get(call.program)
    if program is None:
        return failed(127, f"{call.program}: the sandbox does not simulate this program")
    try:
        return program(host, call)
    except Exception:  # noqa: BLE001 - logged whole; one program must not end the others
        _LOG.exception("%s on %s failed", call.program, host.id)
        return failed(70, f"{call.program}: a bug in the sandbox, see its log")


class ProgramServer:
    """The server; hosts may join while it runs."""

    def __init__(self) -> None:
        self._hosts: dict[str, ShopHost] = {}
        server = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                server.answer(self.request)

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Return the loopback port."""
        return int(self._server.server_address[1])

    @property
    def hosts(self) -> Mapping[str, ShopHost]:
        """Return the hosts by token."""
        return self._hosts

    def join(self, host: ShopHost) -> None:
        """Let a host's programs in, and leave them the way here."""
        self._hosts[host.token] = host
        write_whole(host.path("/run/sandbox/bridge"), f"{self.port} {host.token}\n")

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="host programs",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop; programs that still wait get no answer."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()

    def answer(self, connection: socket.socket) -> None:
        """Read one request, run it, send what came of it."""
        connection.settimeout(_PATIENCE_S)
        with contextlib.suppress(OSError, ValueError):
            token, call = _read(connection)
            host = self._hosts.get(token)
            if host is None:
                reply = ProgramReply(126, b"", b"the sandbox does not know this host\n")
            else:
                reply = _run(host, call)
            head = f"{reply.status} {len(reply.out)} {len(reply.err)}\n".encode()
            connection.sendall(head + reply.out + reply.err)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
    # Programs may sleep for long; the daemon does not wait for them when it ends.
    block_on_close = False


def _read(connection: socket.socket) -> tuple[str, ProgramCall]:
    received = b""
    while True:
        fields = received.split(b"\0")
        if len(fields) > _FIELDS and len(fields) > _FIELDS + int(fields[_FIELDS - 1]):
            break
        chunk = connection.recv(65536)
        if not chunk or len(received) > _MOST_BYTES:
            message = "a request broke off"
            raise ValueError(message)
        received += chunk
    texts = [field.decode("utf-8", "surrogateescape") for field in fields]
    count = int(texts[_FIELDS - 1])
    call = ProgramCall(
        program=texts[1],
        args=tuple(texts[_FIELDS : _FIELDS + count]),
        cwd=Path(texts[2]),
        root=texts[3] == "1",
    )
    return texts[0], call
