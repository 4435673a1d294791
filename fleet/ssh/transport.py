"""Opens an SSH transport to a host: byte stream, greeting, host key, login; and runs commands.

``fleet.ssh.connection`` imports it when the first connection is opened, because paramiko takes a
fifth of a second to import.
"""

import contextlib
import logging
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm

from fleet.errors import HostUnreachable, LoginRefused
from fleet.model.inventory import Host
from fleet.model.printable import printable
from fleet.ssh.known_hosts import HostKey, KnownHosts, entry_name
from fleet.ssh.route import Route, route_to

#: Seconds between keepalives; with the limit on unacknowledged bytes they notice a cut cable
#: within 45 s, at about 100 bytes a keepalive.
KEEPALIVE_S = 15
#: Seconds that sent bytes may go unacknowledged before the connection counts as lost.
UNACKNOWLEDGED_S = 30

# paramiko writes stack traces of every lost connection to its log, which without a handler is the
# operator's terminal. What matters of them is in our errors.
WIRE_LOG = "fleet.ssh.transport"
for _name in (WIRE_LOG, "paramiko"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
logging.getLogger(WIRE_LOG).propagate = False


class Transport:
    """An open transport, of which the host key has been verified and the login taken."""

    def __init__(self, transport: paramiko.Transport, link: "ByteStream") -> None:
        self._transport = transport
        self._link = link

    def run(self, command: str, stdin: bytes, take: Callable[[bytes], None]) -> int | None:
        """Run one command and return its exit status; None when the host gave none.

        Args:
            command: for the login shell of the host.
            stdin: all that it will be given, then end of file.
            take: gets both of its outputs as one, in the parts in which they come.

        Raises:
            OSError: the connection was lost.
        """
        try:
            with self._transport.open_session() as channel:
                channel.set_combine_stderr(True)
                channel.exec_command(command)
                # An error here is a command that ended before it had read everything; its status
                # and output say why.
                with contextlib.suppress(OSError):
                    channel.sendall(stdin)
                    channel.shutdown_write()
                while chunk := channel.recv(32768):
                    take(chunk)
                status = channel.recv_exit_status()
        except (paramiko.SSHException, EOFError) as error:
            raise ConnectionError(str(error)) from error
        return status if status >= 0 else None

    def is_lost(self) -> bool:
        """Say whether the connection is gone.

        A transport that lost its peer ends its channels just before itself, so this waits a little.
        """
        self._transport.join(1.0)
        return not self._transport.is_active()

    def close(self) -> None:
        """Hang up; safe to repeat."""
        self._transport.close()
        self._link.close()


def open_transport(
    host: Host,
    ssh_config: Path | None,
    pins: KnownHosts,
    *,
    accept_new: bool,
    on_new_key: Callable[[str, str, str], None],
) -> tuple[str, Transport]:
    """Return the fingerprint of the host's key and an open transport.

    See ``fleet.ssh.connection.open_connection``.
    """
    route = route_to(host, ssh_config)
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
    return key.fingerprint, Transport(transport, link)


class ByteStream:
    """The byte stream below SSH: a TCP socket, or one end of a ProxyCommand's."""

    def __init__(self, sock: socket.socket, proxy: subprocess.Popen[bytes] | None = None) -> None:
        self.sock = sock
        self._proxy = proxy

    def close(self) -> None:
        """Close it; safe to repeat."""
        self.sock.close()
        if self._proxy:
            self._proxy.terminate()
            try:
                self._proxy.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._proxy.kill()
                self._proxy.wait()


def dial(host: Host, route: Route) -> ByteStream:
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
    return ByteStream(sock)


def _through_proxy(command: str) -> ByteStream:
    """Start the user's own command, through a shell, with one socket for both directions.

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
    return ByteStream(ours, proxy)


def _greet(host: Host, route: Route, link: ByteStream, pinned: set[str]) -> paramiko.Transport:
    """Exchange banners and keys, asking first for the types of key that are pinned."""
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


def log_in(transport: paramiko.Transport, route: Route, *, host_id: str) -> None:
    """Try the keys of the route in order until the host takes one.

    Public keys only: never a password, never a forwarded agent.

    Raises:
        LoginRefused: it took none; the message says which were tried and which could not be.
        HostUnreachable: the connection was lost meanwhile.
    """
    tried: list[str] = []
    for name, key in _keys(route, tried):
        try:
            still_wanted = transport.auth_publickey(route.user, key)
        except paramiko.BadAuthenticationType as error:
            kinds = printable(", ".join(error.allowed_types))
            tried.append(f"{name} (the host allows only: {kinds})")
            break
        except paramiko.AuthenticationException as error:
            if "timeout" in str(error):
                # paramiko has no type of its own for a host that does not answer.
                raise HostUnreachable(
                    f"{host_id} at {route.place}: connected, but no answer to the login in time",
                    hint="the box may be overloaded, or its user directory unreachable",
                ) from error
            tried.append(name)
            if not transport.is_active():
                # OpenSSH hangs up after MaxAuthTries.
                tried.append("then it hung up")
                break
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise HostUnreachable(
                f"{host_id} at {route.place}: the connection was lost during login "
                f"({printable(str(error)) or type(error).__name__})"
            ) from error
        else:
            if not still_wanted:
                return
            tried.append(f"{name} (taken, but the host also wants: {', '.join(still_wanted)})")
            break
    raise LoginRefused(
        f"{host_id} at {route.place}: login as {route.user!r} refused, tried "
        + ("; ".join(tried) or "no key, for there is none"),
        hint=f"put a public key of yours into ~{route.user}/.ssh/authorized_keys on the host, or "
        "name the right key with ssh.identity_file in the inventory or in your ssh_config",
    )


def _keys(route: Route, tried: list[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    """Yield keys to offer, the files first; those that cannot be used are noted in ``tried``."""
    for path in route.identity_files:
        try:
            key = _load(path)
        except FileNotFoundError:
            if route.named:
                tried.append(f"{path} (no such file)")
        except (paramiko.SSHException, OSError, ValueError, UnsupportedAlgorithm) as error:
            tried.append(f"{path} (unreadable: {printable(str(error), limit=80)})")
        else:
            if key is None:
                tried.append(f"{path} (needs a passphrase: ssh-add it)")
            else:
                yield str(path), key
    if route.use_agent:
        yield from _agent_keys()


def _load(path: Path) -> paramiko.PKey | None:
    """Return the key in the file; None when a passphrase guards it."""
    try:
        return paramiko.PKey.from_path(path)
    except (paramiko.PasswordRequiredException, TypeError):
        # cryptography says TypeError for a key that needs a password that was not given.
        return None


def _agent_keys() -> Iterator[tuple[str, paramiko.PKey]]:
    try:
        agent = paramiko.Agent()
    except (paramiko.SSHException, OSError):
        return
    try:
        for key in agent.get_keys():
            yield f"agent key {printable(key.comment or key.fingerprint, limit=60)}", key
    finally:
        agent.close()
