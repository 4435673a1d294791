"""Compares two task definitions, in lines for people.

Values that look like secrets are never shown.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fleet.model.desired import ADDED_BY_ECS
from fleet.model.normal_form import default_of, normal_form
from fleet.model.printable import printable

#: Keys that are not compared.
IGNORED = ADDED_BY_ECS | {"tags"}
#: Keys that identify an entry of a list, in the order in which they are tried.
_NAMED_BY = ("name", "containerPath", "containerPort", "sourceContainer", "containerName")
_SECRET_NAME = re.compile(
    r"secret|token|passw|passphrase|pwd|credential|api[-_.]?key|access[-_.]?key|private|auth"
    r"|dsn|salt|cookie|signature|webhook|(?:^|[-_.])(?:key|pass|pin|sas)$",
    re.IGNORECASE,
)
#: ``https://user:pass@...`` and ``--password=...``.
_SECRET_VALUE = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@|-----BEGIN|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|(?:secret|token|passw\w*|pwd"
    r"|api[-_]?key)[\"']?\s*[=:]\s*\S|--?(?:\w+-)?(?:secret|token|password|pwd|api-key)\b",
    re.IGNORECASE,
)
_HIDDEN = "(not shown)"
_DIGEST = re.compile(r"(?P<name>.+?)@sha256:(?P<digest>[0-9a-f]{64})")
#: Length of the longest value that is shown in full.
LONGEST = 80
_MISSING = object()


def task_diff(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return lines ``~ path  old -> new``, ``+ path  new`` and ``- path  old``, in path order.

    Paths name containers and variables, as ``inference.environment.MODEL``; images are shown by
    name and short digest. A default that ECS fills in is not a change.

    Args:
        before: None for a new service; then only its images and sizes are shown.
    """
    if before is None:
        return tuple(_new_lines(dict(_leaves(after))))
    old, new = dict(_leaves(normal_form(before))), dict(_leaves(normal_form(after)))
    lines = []
    for path in sorted(old.keys() | new.keys()):
        one, other = old.get(path, _MISSING), new.get(path, _MISSING)
        if _normal(path, one) != _normal(path, other):
            lines.append(_line(path, one, other))
    return tuple(lines)


def short_image(reference: str) -> str:
    """Return an image as ``images.shops.example/vision@sha256:9b1c5a3e…``, or unchanged."""
    match = _DIGEST.fullmatch(reference)
    return f"{match['name']}@sha256:{match['digest'][:8]}…" if match else reference


def _new_lines(leaves: Mapping[tuple[str, ...], Any]) -> Iterator[str]:
    for path, value in sorted(leaves.items()):
        if path[-1] in {"image", "memory", "memoryReservation", "cpu"}:
            yield _line(path, _MISSING, value)


def _leaves(body: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every value with its path; a list of plain values is one value."""
    if isinstance(body, Mapping):
        for key, value in body.items():
            if path or key not in IGNORED:
                inner = path if key == "containerDefinitions" and not path else (*path, str(key))
                yield from _leaves(value, inner)
    elif _is_list(body) and body and all(isinstance(entry, Mapping) for entry in body):
        for name, entry in _by_name(body):
            pair = set(entry) - {"name"}
            if "name" in entry and pair and pair <= {"value", "valueFrom"}:
                yield (*path, name), entry[pair.pop()]
            else:
                yield from _leaves({k: v for k, v in entry.items() if k != "name"}, (*path, name))
    else:
        yield path, body


def _by_name(entries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield entries with a unique name: from one of their keys, else their index in the list."""
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        key = next((key for key in _NAMED_BY if key in entry), None)
        name = str(entry[key]) if key else str(index)
        if name in seen:
            name = f"{name}#{index}"
        seen.add(name)
        yield name, entry


def _normal(path: tuple[str, ...], value: Any) -> Any:
    """Return a value with ECS's default filled in, and None for every empty value."""
    if value is _MISSING:
        value = default_of(path[-1]) if path else None
    if _is_list(value):
        return list(value) or None
    return None if value in ("", 0, {}) and value is not False else value


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _line(path: tuple[str, ...], old: Any, new: Any) -> str:
    where = ".".join(printable(part) for part in path)
    if _normal(path, old) is None:
        return f"+ {where}  {_words(path, new)}"
    if _normal(path, new) is None:
        return f"- {where}  {_words(path, old)}"
    before, after = _words(path, old), _words(path, new)
    if before == after:
        return f"~ {where}  changed {before if before == _HIDDEN else ''}".rstrip()
    return f"~ {where}  {before} -> {after}"


def _words(path: tuple[str, ...], value: Any) -> str:
    if value is _MISSING:
        value = default_of(path[-1]) if path else None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if _is_secret(path, text):
        return _HIDDEN
    if path and path[-1] == "image":
        return printable(short_image(text))
    text = printable(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _is_secret(path: tuple[str, ...], text: str) -> bool:
    # The ``valueFrom`` of a secret is only the name of a parameter, which readers want to see.
    if "secrets" in path or "secretOptions" in path:
        return False
    named = any(_SECRET_NAME.search(part) for part in path if part not in _ECS_WORDS)
    return named or bool(_SECRET_VALUE.search(text))


#: Keys of ECS that sound like secrets and are not.
_ECS_WORDS = frozenset({"authorizationConfig", "privileged", "repositoryCredentials"})
