"""Commands as a person would type them, in one place so that what is advised really works."""

from collections.abc import Sequence
from dataclasses import dataclass

#: More stores than this are not named one by one.
MANY = 5


@dataclass(frozen=True, slots=True)
class Again:
    """The words of a register run that the command which goes on with it has to repeat.

    Attributes:
        hosts: ids of the hosts it was kept to; empty for all of its stores.
        set_runtime: whether docker's default runtime might be set.
        typed: the words that chose stores and hosts, as typed; used where there are too many to
            name, because a host that is healthy is left alone.
    """

    hosts: frozenset[str] = frozenset()
    set_runtime: bool = False
    typed: str = ""

    def command(self, stores: Sequence[str]) -> str:
        """``fleet register store-042 --host cam-1 --set-runtime``, for some of its stores."""
        end = ["--set-runtime"] if self.set_runtime else []
        if self.typed and len(stores) > MANY:
            return " ".join(["fleet register", self.typed, *end])
        words = ["fleet register", *stores]
        for name in sorted({id_.partition("/")[2] for id_ in self.hosts}):
            ids = [f"{store}/{name}" for store in stores if f"{store}/{name}" in self.hosts]
            # A bare name means that host in every store named, so it serves only if all are meant.
            words += [f"--host {w}" for w in ([name] if len(ids) == len(stores) else ids)]
        return " ".join([*words, *end])
