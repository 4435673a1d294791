"""What a plan is asked for: workloads, stores, policy; checked against the inventory's words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from fleet.cli.rollout_group import VERBS
from fleet.cli.selecting import choice_of, stores_to_change
from fleet.errors import UsageError
from fleet.inventory.decide.selection import Choice, describe
from fleet.model.inventory import Fleet, Store


@dataclass(frozen=True, slots=True)
class Chosen:
    """The words that ``fleet plan`` and ``fleet rollout`` have in common."""

    workloads: Sequence[str]
    stores: Sequence[str]
    where: str
    ring: str
    every: bool
    canary: bool
    policy: str
    seed: int | None
    override_freeze: str
    overwrite: bool
    inventory: Path

    @property
    def choice(self) -> Choice:
        """The stores; all of them if none are chosen."""
        given = choice_of(self.stores, self.where, self.ring, self.every)
        return given if given.is_given else Choice(all=True)

    @property
    def says_what(self) -> bool:
        """Whether any word says what is rolled out, where or how."""
        where = choice_of(self.stores, self.where, self.ring, self.every).is_given
        seeded = self.seed is not None
        return bool(where or self.workloads or self.policy or self.canary or seeded)

    @property
    def selection(self) -> str:
        """The words that choose stores, as they could be typed again."""
        return describe(self.choice)


def check_workloads(fleet: Fleet, words: Sequence[str]) -> None:
    """Refuse words that are no workload; a verb that does not come first is told where it goes.

    Raises:
        UsageError: names the nearest workload or verb.
    """
    known = [workload.name for workload in fleet.workloads]
    for word in words:
        if word in known:
            continue
        if word in VERBS:
            raise UsageError(
                f"{word!r} is a verb and no workload", hint=f"it comes first: fleet rollout {word}"
            )
        near = get_close_matches(word, [*known, *VERBS], n=3)
        raise UsageError(
            f"no workload {word!r} in the inventory",
            hint=f"did you mean {', '.join(near)}?" if near else f"workloads: {', '.join(known)}",
        )
    if not known:
        raise UsageError(
            "the inventory has no workloads", hint="write one: inventory/workloads/NAME.yaml"
        )


def stores_of(fleet: Fleet, chosen: Chosen, *, tell: Callable[[str], None]) -> tuple[Store, ...]:
    """The stores to plan for; those that are not open are left out unless they were named."""
    return stores_to_change(fleet, chosen.choice, tell)
