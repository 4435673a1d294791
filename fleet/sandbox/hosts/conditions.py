"""Faults of one host that can be switched on; kept in a file, so that they survive a restart."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fleet.errors import UsageError
from fleet.sandbox.agents.machine import write_whole


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_flap(value: Any) -> bool:
    if not isinstance(value, list) or not all(map(_is_number, value)):
        return False
    match value:
        case []:
            return True
        case [period, down]:
            return bool(0 < down < period < float("inf"))
    return False


#: What each condition may be: in words, and as a test of a JSON value.
_FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "cut_by": ("a list of texts", _are_texts),
    "blocked": ("a list of texts", _are_texts),
    "clock_offset_s": ("a number", _is_number),
    "disk_free_mb": (
        "a whole number or nothing",
        lambda value: value is None or (isinstance(value, int) and _is_number(value)),
    ),
    "slow_to_mbps": (
        "a number above 0 or nothing",
        lambda value: value is None or (_is_number(value) and value > 0),
    ),
    "temperature_c": ("a number", _is_number),
    "flap": (
        "a list of two numbers of seconds, the period and the part of it that is down",
        _is_flap,
    ),
}


@dataclass(slots=True)
class Conditions:
    """The state of a host's surroundings.

    Attributes:
        cut_by: who cut its link: ``store``, ``host``, ``image`` (what runs on it) and ``flap``;
            empty while it is whole.
        blocked: host names (or their ends, as ``.s3.amazonaws.com``) that a firewall drops.
        clock_offset_s: how far the host's clock is ahead of the sandbox's.
        disk_free_mb: MiB free on /, or None for what the spec says.
        slow_to_mbps: what its link carries at most, in Mbit/s; None is what its kind does.
        temperature_c: of its hottest zone, degrees Celsius.
        flap: period and, at its end, time without a link, both in seconds; empty is a link that
            stays.
    """

    cut_by: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    clock_offset_s: float = 0.0
    disk_free_mb: int | None = None
    slow_to_mbps: float | None = None
    temperature_c: float = 45.0
    flap: list[float] = field(default_factory=list)

    @property
    def cut(self) -> bool:
        """Say whether nothing gets in or out."""
        return bool(self.cut_by)

    def blocks(self, name: str) -> bool:
        """Say whether packets to this host name are dropped."""
        return self.cut or any(name == end or name.endswith(end) for end in self.blocked)

    def set_conditions(self, settings: Mapping[str, Any]) -> None:
        """Set conditions by name; an unknown name is refused and changes nothing."""
        if unknown := sorted(set(settings) - set(_FIELDS)):
            raise UsageError(
                f"no such condition: {', '.join(unknown)}",
                hint=f"there are: {', '.join(sorted(_FIELDS))}",
            )
        for name, value in settings.items():
            words, fits = _FIELDS[name]
            if not fits(value):
                raise UsageError(f"condition {name} cannot be {value!r}", hint=f"it is {words}")
        for name, value in settings.items():
            setattr(self, name, value)

    def save(self, path: Path) -> None:
        """Write them down."""
        write_whole(path, json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "Conditions":
        """Read them; a missing or damaged file is a host with which nothing is wrong."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(**content)
        except (OSError, ValueError, TypeError):
            return cls()
