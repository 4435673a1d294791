"""The command ``curl``: reaches the agent on :51678, and other addresses if the link is up."""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fleet.sandbox.agents import ssm
from fleet.sandbox.hosts.packages import (
    CATALOGUE,
    installer_bytes,
    key_bytes,
    package_bytes,
    signature_bytes,
)
from fleet.sandbox.hosts.programs.call import (
    ProgramCall,
    ProgramReply,
    failed,
    inside,
    unsupported,
    wait,
)
from fleet.sandbox.hosts.shop_host import ShopHost

# curl's own exit statuses.
_USAGE, _NO_NAME, _REFUSED, _HTTP, _WRITE, _TIMEOUT = 2, 6, 7, 22, 23, 28
_OK, _NOT_FOUND = 200, 404
_PATIENCE_S = 130.0
_WITH_VALUE = {
    "-o": "output",
    "--output": "output",
    "-w": "write_out",
    "-m": "patience",
    "--max-time": "patience",
}
_FLAGS = {"--fail": "f", "--silent": "s", "--show-error": "S", "--location": "L", "--head": "I"}
_PACKAGE = re.compile(r"(amazon-ssm-agent|amazon-ecs-init)[^/]*\.(deb|rpm)(\.sig|\.asc)?$")
#: Where a container asks the ECS agent about itself; ecs-init leads it there on the host too.
METADATA = "http://169.254.170.2/v4/"
_KNOWN_ENDS = (
    ".amazonaws.com",
    ".amazonaws.com.cn",
    "raw.githubusercontent.com",
    "github.com",
    "download.docker.com",
    "archive.ubuntu.com",
    "deb.debian.org",
)


@dataclass(slots=True)
class _Request:
    urls: list[str] = field(default_factory=list)
    flags: str = ""
    output: str | None = None
    write_out: str = ""
    patience_s: float = _PATIENCE_S


def curl(host: ShopHost, call: ProgramCall) -> ProgramReply:
    """Fetch one URL."""
    request = _parse(call)
    if isinstance(request, ProgramReply):
        return request
    if len(request.urls) != 1:
        return failed(_USAGE, "curl: the sandbox fetches one URL at a time")
    parts = urlsplit(request.urls[0] if "//" in request.urls[0] else f"http://{request.urls[0]}")
    name = parts.hostname or ""
    if name in {"localhost", "127.0.0.1", "::1"}:
        metadata = host.ecs_agent.metadata() if parts.port == 51678 else None  # noqa: PLR2004 - the agent's introspection port
        if metadata is None:
            return _complain(request, _REFUSED, f"Failed to connect to {name}: refused")
        found = parts.path == "/v1/metadata"
        body = json.dumps(metadata).encode() if found else b"404 page not found\n"
        return _deliver(host, call, request, _OK if found else _NOT_FOUND, body)
    if request.urls[0].startswith(METADATA):
        container = host.containers.find(request.urls[0].removeprefix(METADATA))
        if container is None or host.ecs_agent.metadata() is None:
            return _complain(request, _REFUSED, f"Failed to connect to {name}: refused")
        said = {"DockerId": container.id, "DockerName": container.name}
        restarts = host.ecs_agent.tasks.restarts(container.id)
        counted = {} if restarts is None else {"RestartCount": restarts}
        return _deliver(host, call, request, _OK, json.dumps({**said, **counted}).encode())
    if not name.endswith(_KNOWN_ENDS):
        return _complain(request, _NO_NAME, f"Could not resolve host: {name}")
    if host.conditions.blocks(name):
        wait(host.clock, request.patience_s)
        spent = int(request.patience_s * 1000)
        return _complain(request, _TIMEOUT, f"Connection timed out after {spent} milliseconds")
    content = content_of(host, name, parts.path)
    code = _NOT_FOUND if content is None else _OK
    return _deliver(host, call, request, code, b"not here\n" if content is None else content)


def content_of(host: ShopHost, name: str, path: str) -> bytes | None:
    """Return what lies at a path of the outside world; None for nothing, as at an API endpoint."""
    architecture = "arm64" if host.spec.machine == "aarch64" else "amd64"
    if path.endswith("ecs-anywhere-install-latest.sh"):
        return installer_bytes()
    if match := _PACKAGE.search(path):
        package = CATALOGUE[match[1]]
        content = package_bytes(package.name, package.version, architecture)
        signer = "amazon-ssm-agent" if match[1] == "amazon-ssm-agent" else "amazon-ecs-agent"
        return signature_bytes(signer, content) if match[3] else content
    if path.endswith(".gpg") or (name == "download.docker.com" and path.endswith("/gpg")):
        return key_bytes(path.rpartition("/")[2].removesuffix(".gpg"))
    if "amazon-ssm-agent-binaries" in path:
        return f"fleet sandbox exec binaries {ssm.VERSION}\n".encode()
    return None


def _parse(call: ProgramCall) -> _Request | ProgramReply:
    request = _Request()
    rest = iter(call.args)
    for word in rest:
        letters = word[1:] if word.startswith("-") and not word.startswith("--") else ""
        if not word.startswith("-"):
            request.urls.append(word)
            continue
        if word in _FLAGS or (letters and set(letters) <= set(_FLAGS.values())):
            request.flags += _FLAGS.get(word, letters)
            continue
        # An option with a value may end a group of flags, as in -fsSLo FILE.
        name = f"-{letters[-1]}" if letters else word
        if name not in _WITH_VALUE or not set(letters[:-1]) <= set(_FLAGS.values()):
            return unsupported(call, word)
        request.flags += letters[:-1]
        value = next(rest, "")
        match _WITH_VALUE[name]:
            case "output":
                request.output = value
            case "write_out":
                request.write_out = value
            case _ if value.replace(".", "", 1).isdigit():
                request.patience_s = min(request.patience_s, float(value))
            case _:
                return failed(_USAGE, f"curl: option {word}: expected a proper numerical parameter")
    return request


def _complain(request: _Request, status: int, text: str) -> ProgramReply:
    silent = "s" in request.flags and "S" not in request.flags
    err = b"" if silent else f"curl: ({status}) {text}\n".encode()
    return ProgramReply(status, _written_out(request, 0, 0), err)


def _written_out(request: _Request, code: int, size: int) -> bytes:
    text = request.write_out.replace("\\n", "\n").replace("\\t", "\t")
    text = text.replace("%{http_code}", f"{code:03d}").replace("%{response_code}", f"{code:03d}")
    return text.replace("%{size_download}", str(size)).encode()


def _deliver(
    host: ShopHost, call: ProgramCall, request: _Request, code: int, body: bytes
) -> ProgramReply:
    if code != _OK and "f" in request.flags:
        return _complain(request, _HTTP, f"The requested URL returned error: {code}")
    if "I" in request.flags:
        body = f"HTTP/1.1 {code}\r\n\r\n".encode()
    end = _written_out(request, code, len(body))
    if request.output in {None, "-"}:
        return ProgramReply(0, body + end)
    if request.output != "/dev/null":
        target = inside(host.root, call.cwd, request.output or "")
        try:
            if target is None:
                return _complain(request, _WRITE, "Failure writing output to destination")
            target.write_bytes(body)
        except OSError as error:
            return _complain(request, _WRITE, f"Failure writing output to destination: {error}")
    return ProgramReply(0, end)
