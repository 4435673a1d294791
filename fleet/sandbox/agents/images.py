"""Container images of the sandbox, and how their containers behave.

An image of which nothing was told is good: 200 MB, for every architecture, and healthy.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fleet.errors import UsageError
from fleet.sandbox.agents.machine import write_whole

DOCKER_HUB = "registry-1.docker.io"
#: Docker's word for what ``uname -m`` prints.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PULLS = ("ok", "missing", "denied")
RUNS = ("ok", "crash", "unhealthy", "kills-link", "hangs")
_DIGEST = re.compile(r"(sha256:[0-9a-f]{64})?")
_MOST_EXIT_CODE = 255


@dataclass(frozen=True, slots=True)
class ImageBehaviour:
    """An image, and what happens when it is pulled and run.

    Attributes:
        size_mb: what a host without it downloads, in MB.
        architectures: those it is built for, ``amd64`` and ``arm64``; empty is all.
        pull: ``ok``, ``missing`` (the registry does not know it) or ``denied``.
        pull_fails: so many pulls fail on each host before one succeeds; the agent's own quick
            retries are one pull.
        run: ``ok``; ``crash``: exits with ``exit_code`` and a last line ``log``; ``unhealthy``:
            its health check fails; ``kills-link``: cuts its host's link; ``hangs``: runs well and
            cannot be ended, not even by SIGKILL, as a process that waits for a broken device.
        exit_code: of a crash.
        log: what it writes at the end.
        after_s: seconds from the container's start until it does so.
        stop_s: seconds it needs to end once it is told to.
        digest: what docker reports for it instead of the one in the reference or made of its text,
            as where a stale copy is taken for it.
        on: hosts that ``pull``, ``pull_fails``, ``run`` and ``digest`` hold for: architectures
            (``arm64``, ``aarch64``), hardware names, stores, or ``STORE/HOST``; empty is all.
    """

    size_mb: float = 200.0
    architectures: tuple[str, ...] = ()
    pull: str = "ok"
    pull_fails: int = 0
    run: str = "ok"
    exit_code: int = 1
    log: str = ""
    after_s: float = 1.0
    stop_s: float = 1.0
    digest: str = ""
    on: tuple[str, ...] = ()

    def affects(self, words: frozenset[str]) -> bool:
        """Say whether a host that these words are true of gets the bad side of it."""
        return not self.on or not words.isdisjoint(self.on)

    def runs_on(self, architecture: str) -> bool:
        """Say whether there is a manifest for ``amd64`` or ``arm64``."""
        return not self.architectures or architecture in self.architectures


GOOD = ImageBehaviour()


def _is_number(value: Any) -> bool:
    right = isinstance(value, int | float) and not isinstance(value, bool)
    return right and 0 <= value < float("inf")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _are_words(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(w, str) and w for w in value)


#: What each field may be: in words, and as a test of a JSON value.
_FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "size_mb": ("a number above 0", lambda value: _is_number(value) and value > 0),
    "architectures": (
        "a list of amd64 and arm64",
        lambda value: _are_words(value) and set(value) <= set(ARCHITECTURES.values()),
    ),
    "pull": (f"one of {', '.join(PULLS)}", lambda value: value in PULLS),
    "pull_fails": ("a whole number of pulls, 0 or more", _is_whole),
    "run": (f"one of {', '.join(RUNS)}", lambda value: value in RUNS),
    "exit_code": (
        "a whole number from 0 to 255",
        lambda value: _is_whole(value) and value <= _MOST_EXIT_CODE,
    ),
    "log": ("a text", lambda value: isinstance(value, str)),
    "after_s": ("a number of seconds, 0 or more", _is_number),
    "stop_s": ("a number of seconds, 0 or more", _is_number),
    "digest": (
        "sha256: and 64 hex digits, or nothing",
        lambda value: isinstance(value, str) and _DIGEST.fullmatch(value) is not None,
    ),
    "on": ("a list of architectures, hardware, stores or hosts", _are_words),
}


def behaviour_from_json(content: Any) -> ImageBehaviour:
    """Read what a control request or a file says; UsageError names what is wrong with it."""
    if not isinstance(content, Mapping):
        raise UsageError(f"an image's behaviour is an object, not {content!r}")
    if unknown := sorted(set(content) - set(_FIELDS)):
        raise UsageError(
            f"images have no {', '.join(unknown)}", hint=f"there are: {', '.join(sorted(_FIELDS))}"
        )
    for name, value in content.items():
        words, fits = _FIELDS[name]
        if not fits(value):
            raise UsageError(f"{name} of an image cannot be {value!r}", hint=f"it is {words}")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
    return ImageBehaviour(**values)


def behaviour_to_json(behaviour: ImageBehaviour) -> dict[str, Any]:
    """Return what differs from a good image, in JSON's own types."""
    good = asdict(GOOD)
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(behaviour).items()
        if value != good[name]
    }


def registry_of(reference: str) -> str:
    """Return the host name that an image is pulled from."""
    first, slash, _ = reference.partition("/")
    return first if slash and ("." in first or ":" in first) else DOCKER_HUB


def digest_of(reference: str) -> str:
    """Return the digest a reference resolves to: its own, or one made of its text."""
    _, at, digest = reference.partition("@")
    return digest if at else f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"


def _names_of(reference: str) -> Iterator[str]:
    """Yield what a behaviour may be told under, the most precise first."""
    yield reference
    name, at, digest = reference.partition("@")
    if at:
        yield digest
        yield name
    short = name.removeprefix(f"{registry_of(reference)}/")
    yield short
    for text in (name, short):
        head, colon, tag = text.rpartition(":")
        if colon and "/" not in tag:
            yield head


class Catalogue:
    """The behaviours of images. Thread-safe; stored in a file if one is given.

    A behaviour is told under a whole reference, a digest (``sha256:...``), a repository with tag
    or a bare repository, each with or without the registry; the most precise one counts.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, ImageBehaviour] = {}
        if path is not None and path.exists():
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise UsageError(
                    f"the sandbox's images cannot be read from {path}: {error}",
                    hint="remove the file and tell the images again",
                ) from error
            self._known = {name: behaviour_from_json(value) for name, value in content.items()}

    def tell(self, images: Mapping[str, Any]) -> None:
        """Set behaviours by name, in JSON's types; None makes an image good again.

        All of them or none: UsageError when one cannot be used.
        """
        told = {
            name: None if value is None else behaviour_from_json(value)
            for name, value in images.items()
        }
        with self._lock:
            for name, behaviour in told.items():
                self._known.pop(name, None)
                if behaviour is not None:
                    self._known[name] = behaviour
            if self._path is not None:
                write_whole(self._path, json.dumps(self._as_json()))

    def of(self, reference: str) -> ImageBehaviour:
        """Return how an image behaves."""
        known = self._known
        if not known:
            return GOOD
        return next((known[name] for name in _names_of(reference) if name in known), GOOD)

    def as_json(self) -> dict[str, Any]:
        """Return everything that was told, by name."""
        with self._lock:
            return self._as_json()

    def _as_json(self) -> dict[str, Any]:
        return {name: behaviour_to_json(value) for name, value in sorted(self._known.items())}
