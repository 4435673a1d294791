"""Commands that are proposed to the reader, as values."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """A command line that is proposed to the reader, complete for the operator's shell.

    Attributes:
        words: as they are typed.
        sends: whether it changes something in AWS or on a host, after asking where fleet asks.
        accepts: what it accepts that would otherwise be refused, as a change by hand; "" for
            nothing.
    """

    words: str
    sends: bool = True
    accepts: str = ""

    def __str__(self) -> str:
        return self.words


#: Advice with the commands in it, in the order of reading.
Proposal = tuple[str | Command, ...]


def in_turn(commands: Iterable[Command]) -> Proposal:
    """Propose commands one after the other."""
    parts: list[str | Command] = []
    for command in commands:
        parts += ["; ", command] if parts else [command]
    return tuple(parts)
