"""Works out where to connect for a host: the inventory, overruled by the user's ssh_config."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

from fleet.errors import UsageError
from fleet.model.inventory import Host
from fleet.model.printable import printable

#: What OpenSSH tries when no key is named, in its order, below the home folder.
USUAL_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
BOOLEANS = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True, slots=True)
class Route:
    """How to get to a host.

    Attributes:
        hostname: what to connect to.
        port: TCP port.
        user: login name.
        identity_files: private keys in the order to try; those that do not exist are passed over.
        named: whether somebody named these keys, so that a missing one is worth a word.
        use_agent: whether keys of a running ssh-agent may be tried.
        proxy_command: run by a shell, its standard input and output are the connection; or "".
    """

    hostname: str
    port: int
    user: str
    identity_files: tuple[Path, ...]
    named: bool
    use_agent: bool
    proxy_command: str = ""

    @property
    def place(self) -> str:
        """Return ``hostname:port`` for messages, and whether a ProxyCommand is used."""
        via = " through its ProxyCommand" if self.proxy_command else ""
        return f"{self.hostname}:{self.port}{via}"


def route_to(host: Host, ssh_config: Path | None) -> Route:
    """Join what the inventory says of a host with what ssh_config says of its address.

    ssh_config wins where it speaks, because the inventory is shared by the team and the
    configuration is this machine's: HostName, Port, User, IdentityFile, IdentitiesOnly and
    ProxyCommand are honoured, everything else is not. HostKeyAlias is not, on purpose: keys are
    pinned under the inventory's address.

    Raises:
        UsageError: ssh_config cannot be read or understood.
    """
    settings = _lookup(host.address, ssh_config) if ssh_config else {}
    files = [str(name) for name in settings.get("identityfile", ())]
    if host.ssh.identity_file:
        files.append(host.ssh.identity_file)
    named = bool(files)
    proxy = str(settings.get("proxycommand", ""))
    return Route(
        hostname=str(settings.get("hostname", host.address)),
        port=_port(settings.get("port", host.ssh.port), host, ssh_config),
        user=str(settings.get("user", host.ssh.user)),
        identity_files=tuple(Path(name).expanduser() for name in files or USUAL_KEYS),
        named=named,
        use_agent=not BOOLEANS.get(str(settings.get("identitiesonly", "no")).lower(), False),
        proxy_command="" if proxy.lower() == "none" else proxy,
    )


def _lookup(address: str, ssh_config: Path) -> dict[str, Any]:
    try:
        found = paramiko.SSHConfig.from_path(str(ssh_config)).lookup(address)
    except OSError as error:
        raise UsageError(
            f"cannot read the ssh_config {ssh_config}: {error.strerror}",
            hint="FLEET_SSH_CONFIG names it; unset it or correct it",
        ) from error
    except (paramiko.SSHException, ImportError, ValueError, UnicodeError) as error:
        # ImportError: "Match exec" and canonicalisation need a library that fleet does not have.
        raise UsageError(
            f"cannot understand the ssh_config {ssh_config}: {printable(str(error))}",
            hint="write a smaller one for fleet and name it in FLEET_SSH_CONFIG",
        ) from error
    return dict(found)


def _port(port: object, host: Host, ssh_config: Path | None) -> int:
    text = str(port)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 65535:  # noqa: PLR2004 - the largest TCP port
        raise UsageError(f"{host.id}: {printable(text)!r} is no TCP port, in {ssh_config}")
    return int(text)
