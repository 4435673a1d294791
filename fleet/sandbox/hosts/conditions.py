"""What can be made to go wrong with one host; kept in a file, so that it outlives a restart."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from fleet.errors import UsageError
from fleet.sandbox.agents.machine import write_whole

_KINDS = {
    "cut_by": "a list of texts",
    "blocked": "a list of texts",
    "clock_offset_s": "a number",
    "disk_free_mb": "a whole number or nothing",
    "kill_after_s": "a number or nothing",
    "kill_after_bytes": "a whole number or nothing",
    "slow_to_mbps": "a number or nothing",
    "temperature_c": "a number",
    "flap": "a list of two numbers of seconds, the period and the part of it that is down",
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
        kill_after_s: end the next SSH connection this many real seconds after its first command
            began; once.
        kill_after_bytes: end the next SSH connection when it has sent this many bytes to a
            command; once.
        slow_to_mbps: what its link carries at most, in Mbit/s; None is what its kind does.
        temperature_c: of its hottest zone, degrees Celsius.
        flap: period and, at its end, time without a link, both in seconds; empty is a link that
            stays.
    """

    cut_by: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    clock_offset_s: float = 0.0
    disk_free_mb: int | None = None
    kill_after_s: float | None = None
    kill_after_bytes: int | None = None
    slow_to_mbps: float | None = None
    temperature_c: float = 45.0
    flap: list[float] = field(default_factory=list)

    @property
    def cut(self) -> bool:
        """Whether nothing gets in or out."""
        return bool(self.cut_by)

    def blocks(self, name: str) -> bool:
        """Whether packets to this host name are dropped."""
        return self.cut or any(name == end or name.endswith(end) for end in self.blocked)

    def set_conditions(self, settings: Mapping[str, Any]) -> None:
        """Set conditions by name; an unknown name is refused and changes nothing."""
        known = {each.name for each in fields(self)}
        if unknown := sorted(set(settings) - known):
            raise UsageError(
                f"no such condition: {', '.join(unknown)}",
                hint=f"there are: {', '.join(sorted(known))}",
            )
        for name, value in settings.items():
            if not _fits(name, value):
                raise UsageError(
                    f"condition {name} cannot be {value!r}", hint=f"it is {_KINDS[name]}"
                )
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


def _fits(name: str, value: Any) -> bool:
    kind = _KINDS[name]
    if value is None:
        return kind.endswith("or nothing")
    if kind == "a list of texts":
        return isinstance(value, list) and all(isinstance(text, str) for text in value)
    if name == "flap":
        return value == [] or _is_flap(value)
    if isinstance(value, bool) or (name == "slow_to_mbps" and value <= 0):
        return False
    return isinstance(value, int) or (isinstance(value, float) and kind.startswith("a number"))


def _is_flap(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 - period and down time
        return False
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in value):
        return False
    period, down = value
    return bool(0 < down < period < float("inf"))
