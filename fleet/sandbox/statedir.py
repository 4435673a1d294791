"""The folder a sandbox lives in: names of its files, and the spec that it was started with."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fleet.errors import SandboxError
from fleet.sandbox.spec import AccountSpec, HostSpec, SandboxSpec


@dataclass(frozen=True, slots=True)
class StateDir:
    """Where everything of one sandbox is kept.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def spec(self) -> Path:
        """What is simulated."""
        return self.path / "spec.json"

    @property
    def endpoint(self) -> Path:
        """Process id and address of the daemon; there while it is ready."""
        return self.path / "sandbox.json"

    @property
    def port(self) -> Path:
        """The port it had last, so that an exported environment outlives a restart."""
        return self.path / "port"

    @property
    def lock(self) -> Path:
        """Held by the daemon as long as it lives."""
        return self.path / "lock"

    @property
    def log(self) -> Path:
        """What the daemon has to say."""
        return self.path / "log"

    @property
    def database(self) -> Path:
        """The control plane's."""
        return self.path / "plane.db"

    @property
    def images(self) -> Path:
        """What container images are and do, as far as somebody told."""
        return self.path / "images.json"

    @property
    def ssh_config(self) -> Path:
        """For ``ssh -F``: addresses of the inventory to loopback ports."""
        return self.path / "ssh_config"

    @property
    def identity(self) -> Path:
        """The operator's private key, the only one that hosts accept."""
        return self.path / "id_ed25519"

    @property
    def aws_config(self) -> Path:
        """Profiles of the accounts, for AWS_CONFIG_FILE."""
        return self.path / "aws_config"

    @property
    def aws_credentials(self) -> Path:
        """Their dummy credentials, for AWS_SHARED_CREDENTIALS_FILE."""
        return self.path / "aws_credentials"

    @property
    def toolbox(self) -> Path:
        """The programs that all hosts share."""
        return self.path / "toolbox"

    def host(self, spec: HostSpec) -> Path:
        """The folder of one host."""
        return self.path / "hosts" / spec.store / spec.name


def spec_as_json(spec: SandboxSpec) -> dict[str, Any]:
    """The spec in JSON's own types."""
    content: dict[str, Any] = json.loads(json.dumps(asdict(spec), default=dict))
    return content


def spec_from_json(content: Mapping[str, Any]) -> SandboxSpec:
    """The spec that ``spec_as_json`` gave; SandboxError when it is something else."""
    try:
        return SandboxSpec(
            accounts=tuple(AccountSpec(**account) for account in content["accounts"]),
            hosts=tuple(host_from_json(host) for host in content["hosts"]),
            default_region=content["default_region"],
            clock_rate=float(content["clock_rate"]),
            throttling=bool(content["throttling"]),
            start=None if content.get("start") is None else float(content["start"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SandboxError(
            f"the sandbox's spec cannot be read: {type(error).__name__}: {error}",
            hint="fleet sandbox down --purge, then fleet sandbox up",
        ) from error


def host_from_json(content: Mapping[str, Any]) -> HostSpec:
    """One host of a spec."""
    fields = dict(content)
    for name in ("devices", "packages"):
        fields[name] = tuple(fields[name])
    return HostSpec(**fields)


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object from a file; None when there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
