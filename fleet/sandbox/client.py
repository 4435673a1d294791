"""Talks to a running sandbox from another process; imports nothing heavy."""

import fcntl
import http.client
import json
import os
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from fleet.errors import SandboxError, UsageError
from fleet.sandbox.spec import StateDir, read_json

_PATIENCE_S = 10.0
_STOP_S = 15.0
_LOOK_S = 0.05
_BAD_REQUEST = 400


def environment(state: StateDir, url: str) -> dict[str, str]:
    """Return what a process needs to take the sandbox for AWS, and its hosts for shops."""
    folder = state.path.resolve()
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_CONFIG_FILE": str(folder / state.aws_config.name),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / state.aws_credentials.name),
        "AWS_EC2_METADATA_DISABLED": "true",
        "FLEET_CLOCK": f"{url}/_sandbox/clock",
        "FLEET_SSH_CONFIG": str(folder / state.ssh_config.name),
    }


class SandboxClient:
    """The sandbox in a state folder, as far as another process can see it."""

    def __init__(self, state: StateDir) -> None:
        self.state = state

    def pid(self) -> int | None:
        """Return the daemon's process id, or None when none is up, as after a kill."""
        content = read_json(self.state.endpoint)
        pid = content.get("pid") if content else None
        return pid if isinstance(pid, int) and is_locked(self.state) else None

    def url(self) -> str:
        """Return where it listens; SandboxError when it is not up."""
        content = read_json(self.state.endpoint)
        if content is None or self.pid() is None:
            raise SandboxError(
                f"no sandbox is up in {self.state.path}", hint="fleet sandbox up --detach"
            )
        return str(content["url"])

    def get(self, path: str) -> dict[str, Any]:
        """Ask the control API; SandboxError when there is no answer."""
        return self._call(urllib.request.Request(f"{self.url()}/_sandbox/{path}"))  # noqa: S310 - a loopback URL that the daemon wrote

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Tell the control API; UsageError when it refuses, SandboxError without an answer."""
        return self._send("POST", path, body)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Replace something by the control API: ``images``, ``clock``."""
        return self._send("PUT", path, body)

    def images(self) -> dict[str, Any]:
        """Return what was told of container images, by reference."""
        found: dict[str, Any] = self.get("images")["images"]
        return found

    def tell_images(self, images: dict[str, Any]) -> None:
        """Say what images are and do (``ImageBehaviour`` in JSON); None makes one good again."""
        self.put("images", images)

    def _send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - as in get
            f"{self.url()}/_sandbox/{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "X-Fleet-Sandbox": "1"},
            method=method,
        )
        return self._call(request)

    def stop(self) -> bool:
        """Ask it to stop and wait until it did; False when none was up."""
        pid = self.pid()
        if pid is None:
            return False
        try:
            self.post("stop", {})
        except SandboxError:
            # It may be stuck: a signal needs no answer.
            os.kill(pid, signal.SIGTERM)
        give_up = time.monotonic() + _STOP_S
        while is_locked(self.state) and time.monotonic() < give_up:
            time.sleep(_LOOK_S)
        if is_locked(self.state):
            raise SandboxError(
                f"the sandbox (process {pid}) has not ended in {_STOP_S:.0f} s",
                hint=f"kill -9 {pid}; nothing is lost by it",
            )
        return True

    def _call(self, request: urllib.request.Request) -> dict[str, Any]:
        # Loopback only: a proxy of the environment has no business here.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_PATIENCE_S) as answer:
                content = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise SandboxError(
                f"the sandbox in {self.state.path} does not answer: {error}",
                hint=f"see {self.state.log}, then fleet sandbox down and up",
            ) from error
        return content if isinstance(content, dict) else {}


def _refusal(error: urllib.error.HTTPError) -> SandboxError | UsageError:
    try:
        content = json.load(error)
        message, hint = str(content["error"]), content.get("hint")
    except (ValueError, KeyError, TypeError, OSError):
        return SandboxError(f"the sandbox answered {error.code}", hint="see its log")
    kind = UsageError if error.code == _BAD_REQUEST else SandboxError
    return kind(message, hint=hint if isinstance(hint, str) else None)


def is_locked(state: StateDir) -> bool:
    """Say whether a daemon lives in the folder; a killed one holds nothing any more."""
    try:
        descriptor = os.open(state.lock, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
