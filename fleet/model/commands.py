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


def aws_command(words: str, region: str, profile: str | None, *, sends: bool = True) -> Command:
    """Return the command line of an AWS call; without region and profile it asks elsewhere."""
    of_profile = f" --profile {profile}" if profile else ""
    return Command(f"aws {words} --region {region}{of_profile}", sends=sends)


def text_of(proposal: Proposal) -> str:
    """Return the advice as people read it."""
    return "".join(map(str, proposal))


def commands_of(proposal: Proposal) -> tuple[Command, ...]:
    """Return the commands of an advice."""
    return tuple(part for part in proposal if isinstance(part, Command))


def in_turn(commands: Iterable[Command]) -> Proposal:
    """Propose commands one after the other."""
    parts: list[str | Command] = []
    for command in commands:
        parts += ["; ", command] if parts else [command]
    return tuple(parts)
