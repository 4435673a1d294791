"""A request body, read with AWS's limits and refused in the words of the service."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fleet.sandbox.agents.session import AwsFault


class Fields:
    """What a caller sent, each part checked as it is read.

    botocore checks shapes before it sends, but other clients and hand-made requests do not; what
    the simulator would silently ignore is refused instead.

    Args:
        action: name of the call, for messages.
        body: as it came over the wire; a null is the same as nothing.
        invalid: the error code of this service for a bad value.
    """

    def __init__(self, action: str, body: Mapping[str, Any], invalid: str) -> None:
        self.action = action
        self._body = body
        self._invalid = invalid

    def only(self, *names: str) -> None:
        """Refuse whatever was sent beyond these names."""
        unknown = sorted(
            name
            for name, value in self._body.items()
            if name not in names and value not in (None, "", [], {}, False)
        )
        if unknown:
            raise self.bad(
                f"the fleet sandbox does not model {', '.join(unknown)} of {self.action}"
            )

    def bad(self, message: str) -> AwsFault:
        """The service's error for a bad value, to be raised."""
        return AwsFault(self._invalid, message)

    def question(self, *without: str) -> dict[str, Any]:
        """What was sent, without the named parts: the same for every page of a listing."""
        return {name: value for name, value in self._body.items() if name not in without}

    def text(self, name: str, *, most: int = 4096) -> str:
        """A string; "" when it was not sent."""
        value = self._body.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.bad(f"{name} must be a string, not {type(value).__name__}")
        if len(value) > most:
            raise self.bad(f"{name} is {len(value)} characters long; at most {most} are allowed")
        return value

    def needed_text(self, name: str, *, most: int = 4096) -> str:
        """A string that has to be there."""
        value = self.text(name, most=most)
        if not value:
            raise self.bad(f"{name} can not be blank.")
        return value

    def choice(self, name: str, options: Collection[str], default: str = "") -> str:
        """One of the words, or the default when none was sent."""
        value = self.text(name) or default
        if value and value not in options:
            allowed = ", ".join(options)
            raise self.bad(f"{name} has the value {value!r}; it must be one of {allowed}")
        return value

    def flag(self, name: str) -> bool:
        """A boolean; False when it was not sent."""
        value = self._body.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.bad(f"{name} must be true or false, not {value!r}")

    def integer(self, name: str, low: int, high: int, default: int) -> int:
        """A whole number between two limits, both allowed."""
        value = self._body.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.bad(f"{name} must be a whole number, not {value!r}")
        if not low <= value <= high:
            raise self.bad(f"{name} is {value}; it must be between {low} and {high}")
        return value

    def moment(self, name: str) -> float | None:
        """A time in epoch seconds, or None when it was not sent."""
        value = self._body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.bad(f"{name} must be a time in epoch seconds, not {value!r}")
        return float(value)

    def texts(self, name: str, *, most: int | None = None) -> list[str]:
        """A list of strings; empty when it was not sent."""
        value = self._list(name, most)
        for item in value:
            if not isinstance(item, str) or not item:
                raise self.bad(f"{name} holds {item!r}; it must hold non-empty strings")
        return list(value)

    def maps(self, name: str, *, most: int | None = None) -> list[Mapping[str, Any]]:
        """A list of objects; empty when it was not sent."""
        value = self._list(name, most)
        for item in value:
            if not isinstance(item, Mapping):
                raise self.bad(f"{name} holds {item!r}; it must hold objects")
        return list(value)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """An object; empty when it was not sent."""
        value = self._body.get(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.bad(f"{name} must be an object, not {type(value).__name__}")
        return value

    def includes(self, options: Collection[str]) -> frozenset[str]:
        """The words of ``include``, each one of ``options``."""
        asked = frozenset(self.texts("include"))
        if unknown := sorted(asked - frozenset(options)):
            raise self.bad(f"include has {', '.join(unknown)}; allowed are {', '.join(options)}")
        return asked

    def _list(self, name: str, most: int | None) -> Sequence[Any]:
        value = self._body.get(name)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise self.bad(f"{name} must be a list, not {type(value).__name__}")
        if most is not None and len(value) > most:
            raise self.bad(f"{name} cannot have more than {most} elements, has {len(value)}.")
        return value
