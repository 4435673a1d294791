"""The byte stream below SSH: a TCP connection, or the operator's own ProxyCommand."""

import socket
import subprocess

from fleet.errors import HostUnreachable
from fleet.model.inventory import Host
from fleet.model.printable import printable
from fleet.ssh.route import Route

#: Seconds that sent bytes may go unacknowledged before the connection counts as lost.
UNACKNOWLEDGED_S = 30


class Link:
    """The byte stream below SSH: a TCP socket, or one end of a ProxyCommand's."""

    def __init__(self, sock: socket.socket, proxy: subprocess.Popen[bytes] | None = None) -> None:
        self.sock = sock
        self._proxy = proxy

    def close(self) -> None:
        """Let go of it; safe to repeat."""
        self.sock.close()
        if self._proxy:
            self._proxy.terminate()
            try:
                self._proxy.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._proxy.kill()
                self._proxy.wait()


def dial(host: Host, route: Route) -> Link:
    """Connect, by TCP or through the route's ProxyCommand.

    Raises:
        HostUnreachable: refused, no route, no such name, or no answer in time.
    """
    try:
        if route.proxy_command:
            return _through_proxy(route.proxy_command)
        sock = socket.create_connection(
            (route.hostname, route.port), timeout=host.ssh.connect_timeout_s
        )
    except TimeoutError as error:
        raise HostUnreachable(
            f"{host.id} at {route.place}: no answer within {host.ssh.connect_timeout_s:g} s",
            hint="is the shop's link up and the box powered?",
        ) from error
    except (OSError, UnicodeError) as error:
        # UnicodeError: a name that cannot be one, as "a..b".
        why = printable(getattr(error, "strerror", None) or str(error))
        raise HostUnreachable(f"{host.id} at {route.place}: {why}") from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Without it Linux retransmits into a dead link for a quarter of an hour.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_S * 1000)
    return Link(sock)


def _through_proxy(command: str) -> Link:
    """As OpenSSH does: the user's own command, through a shell, one socket for both directions.

    paramiko's ProxyCommand spins at full speed once the command has ended.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            proxy = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
    return Link(ours, proxy)
