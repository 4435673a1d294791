"""Proving to a host who we are: public keys only, never a password, never a forwarded agent."""

from collections.abc import Iterator
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm

from fleet.errors import HostUnreachable, LoginRefused
from fleet.model.printable import printable
from fleet.ssh.route import Route


def log_in(transport: paramiko.Transport, route: Route, *, host_id: str) -> None:
    """Try the keys of the route in order until the host takes one.

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
    """Keys to offer, the files first; those that cannot be used are noted in ``tried``."""
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
    """The key in the file; None when a passphrase guards it."""
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
