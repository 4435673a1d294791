"""A way to bring about what a code of the catalogue means, and the table of all of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.scenarios.drift.spots import Make
from tests.scenarios.drift.town import HOUR


@dataclass(frozen=True, slots=True)
class Injection:
    """One way for something to be wrong.

    Attributes:
        make: makes it so, and says what a scan has to find.
        halves: of a shop, that it can be done to.
        whole: whether it takes the whole shop, so that nothing else can be wrong there.
        lasts_s: sandbox seconds from then to the scan.
        fresh: whether no scan may have seen the shop before.
        alone: whether it touches shops beside its own, and so goes with no other.
    """

    make: Make
    halves: tuple[str, ...] = ("cam", "tel")
    whole: bool = False
    lasts_s: float = 2 * HOUR
    fresh: bool = False
    alone: bool = False


class Table(dict[str, Injection]):
    """Injections by code."""

    def enter(self, code: str, **how: object) -> Callable[[Make], Make]:
        """Enter a way; ``how`` are fields of ``Injection``."""

        def entered(make: Make) -> Make:
            self[code] = replace(Injection(make), **how)  # type: ignore[arg-type] # by name
            return make

        return entered
