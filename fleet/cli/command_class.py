"""The class of every command: it refuses words that are empty, before anything is read."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand
from typer.models import CommandFunctionType

from fleet.errors import UsageError


class FleetCommand(TyperCommand):
    """A command none of whose options and arguments takes an empty or blank word.

    ``--where "$CONDITION"`` is an empty word when the shell variable is not set. Taken for an
    option that was left out, it would select every store.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of the command line.

        Raises:
            UsageError: an option or argument was given an empty or blank word.
        """
        self._refuse_empty_words(ctx, list(args))
        return super().parse_args(ctx, args)

    def _refuse_empty_words(self, ctx: Any, args: list[str]) -> None:
        """Parse once as written: later, a default can no longer be told from an empty word."""
        given, unexpected, _order = self.make_parser(ctx).parse_args(args=args)
        for param in self.get_params(ctx):
            words = given.get(param.name or "")
            if not any(_is_blank(word) for word in _several(words)):
                continue
            is_option = param.param_type_name == "option"
            name = param.opts[-1] if is_option else param.make_metavar(ctx).strip("[].")
            _refuse(name, f"leave {name} out" if is_option else "leave the word out")
        if any(_is_blank(word) for word in unexpected):
            _refuse("a word", "leave it out")


def _refuse(name: str, otherwise: str) -> None:
    raise UsageError(
        f"{name} is empty; nothing was done",
        hint=f"is a shell variable not set? If nothing is meant, {otherwise}",
    )


def _several(words: Any) -> tuple[Any, ...]:
    return tuple(words) if isinstance(words, list | tuple) else (words,)


def _is_blank(word: Any) -> bool:
    return isinstance(word, str) and not word.strip()


class CommandGroup(typer.Typer):
    """Commands below another, as ``fleet rollout``; each is a :class:`FleetCommand`."""

    def command(
        self, *args: Any, **settings: Any
    ) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """Register a command."""
        return super().command(*args, **{"cls": FleetCommand, **settings})
