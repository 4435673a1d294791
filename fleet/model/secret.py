"""A value that must not be seen: it can be revealed on purpose, never by accident."""

from typing import NoReturn


class Secret:
    """Holds an activation code or the like in memory only.

    ``str``, ``repr`` and formatting show ``<secret>``; pickling and copying are refused, so that it
    can reach neither a log, nor a traceback, nor another process.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself, for the one place that must hand it over."""
        return self._value

    def redact(self, text: str) -> str:
        """Return the text with every occurrence of the value replaced."""
        return text.replace(self._value, "<secret>") if self._value else text

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        message = "a secret is not to be pickled or copied"
        raise TypeError(message)
