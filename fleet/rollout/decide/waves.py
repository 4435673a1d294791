"""Orders stores into waves: a canary per kind of store, then waves that are alike.

Nothing here depends on the order in which stores are listed: ties are broken by a hash of the seed
and the store's id, so a new seed is another draw and the same seed is the same plan.
"""

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from fleet.model.policy import Policy
from fleet.model.rollout import CANARY, WavePlan
from fleet.model.weights import weight_limit
from fleet.rollout.decide.weights import cut_by_weight

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Describes a store that the rollout changes.

    Attributes:
        store: id.
        stratum: what it is alike in: hardware that the rollout touches, and its link.
        hosts: how many hosts the store has; fewer are risked first.
        ring: as in the inventory.
        kin: what stores share that fail together beside their stratum: carrier, account, region.
        dark: why nothing can be sent to it now, in words; "" when its hosts are connected.
        next_at: the first moment at which it may be changed; None when nobody knows one.
        weight: how much it matters beside the others.
    """

    store: str
    stratum: str
    hosts: int
    ring: str = ""
    kin: tuple[str, ...] = ()
    dark: str = ""
    next_at: datetime | None = None
    weight: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Canary:
    """Holds the canary wave.

    Attributes:
        stores: in the order of sending.
        strata: every stratum -> the store that stands for it, or "".
        notes: what was decided otherwise than a person would expect, and why.
    """

    stores: tuple[str, ...]
    strata: Mapping[str, str]
    notes: tuple[str, ...] = ()


def tie(seed: int, store: str) -> str:
    """Return where a store comes among its equals; the same for ever for a seed."""
    return hashlib.sha256(f"{seed}/{store}".encode()).hexdigest()


def choose_canary(candidates: Sequence[Candidate], policy: Policy, seed: int) -> Canary:
    """Return one connected store per stratum, fewest hosts first; or the stores of ring ``canary``.

    A store that is dark is replaced by the next one of its stratum, and that is said. Where the
    policy allows fewer stores than there are strata, those with the most stores are covered. Stores
    by which the wave would become heavier than the policy allows come later.
    """
    ordered = sorted(candidates, key=lambda c: (c.hosts, tie(seed, c.store)))
    groups = _grouped(ordered)
    most = policy.canary.of(len(candidates))
    ring = [c for c in ordered if c.ring == CANARY]
    room = _WeightRoom(weight_limit(policy.max_weight_per_wave, _weight(ordered)))
    if ring:
        chosen, notes = _of_ring(ring, groups, most, room)
    else:
        chosen, notes = _of_strata(groups, most, room)
    connected = [c for c in ring or ordered if not c.dark]
    if policy.max_weight_per_wave is not None and most and not chosen and connected:
        # Every one is heavier than the wave may be; somebody has to be first.
        chosen = [min(connected, key=lambda c: c.weight)]
    stands: dict[str, str] = {}
    for candidate in chosen:
        stands.setdefault(candidate.stratum, candidate.store)
    strata = {stratum: stands.get(stratum, "") for stratum in sorted(groups)}
    notes += _uncovered(groups, strata, by_ring=bool(ring), most=most, chosen=len(chosen))
    return Canary(_in_sending_order(chosen, seed), strata, tuple(notes))


def plan_waves(
    candidates: Sequence[Candidate], policy: Policy, seed: int, canary: Canary | None
) -> tuple[WavePlan, ...]:
    """Return all stores in waves; those that would be empty are left out, and not counted.

    Each wave reaches the part of all stores that the policy says, the canary's included. Stores
    of every stratum, carrier, account and region come in each wave as often as among all. A wave
    that would be heavier than the policy allows is cut into several.
    """
    most = weight_limit(policy.max_weight_per_wave, _weight(candidates))
    first = canary.stores if canary else ()
    done = set(first)
    rest = _spread([c for c in candidates if c.store not in done], seed)
    waves = [WavePlan(CANARY, tuple(first))] if first else []
    numbers = itertools.count(1)
    taken = 0
    for place, amount in enumerate(policy.waves, start=1):
        last = place == len(policy.waves)
        reached = len(candidates) if last else amount.of(len(candidates))
        until = len(rest) if last else max(taken, reached - len(first))
        part = rest[taken:until]
        taken = until
        waves += [
            WavePlan(f"wave {next(numbers)}", _in_sending_order(cut, seed))
            for cut in cut_by_weight(part, lambda c: c.weight, most)
        ]
    return tuple(waves)


def _grouped(ordered: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    groups: dict[str, list[Candidate]] = {}
    for candidate in ordered:
        groups.setdefault(candidate.stratum, []).append(candidate)
    return groups


class _WeightRoom:
    """Adds up the weight of a wave.

    Args:
        most: that it may have; None for no limit.
    """

    def __init__(self, most: Decimal | None) -> None:
        self._most = most
        self._weighs = Decimal(0)

    def takes(self, candidate: Candidate) -> bool:
        """Count a store, and return True, if it fits."""
        if self._most is not None and self._weighs + candidate.weight > self._most:
            return False
        self._weighs += candidate.weight
        return True


def _weight(candidates: Iterable[Candidate]) -> Decimal:
    return sum((c.weight for c in candidates), Decimal(0))


def _of_strata(
    groups: Mapping[str, list[Candidate]], most: int, room: _WeightRoom
) -> tuple[list[Candidate], list[str]]:
    chosen: list[Candidate] = []
    notes: list[str] = []
    for stratum in sorted(groups, key=lambda s: (-len(groups[s]), s)):
        if len(chosen) >= most:
            continue
        found = next((c for c in groups[stratum] if not c.dark and room.takes(c)), None)
        if found is None:
            continue
        chosen.append(found)
        passed_over = groups[stratum][: groups[stratum].index(found)]
        notes += [_replaced(other, found) for other in passed_over if other.dark]
    return chosen, notes


def _of_ring(
    ring: Sequence[Candidate],
    groups: Mapping[str, list[Candidate]],
    most: int,
    room: _WeightRoom,
) -> tuple[list[Candidate], list[str]]:
    """Return the ring's stores, one per stratum first, with a substitute for each dark one."""
    firsts: dict[str, Candidate] = {}
    for candidate in ring:
        firsts.setdefault(candidate.stratum, candidate)
    covering = list(firsts.values())
    ordered = covering + [c for c in ring if c not in covering]
    chosen: list[Candidate] = []
    notes: list[str] = []
    for candidate in ordered[:most]:
        stand_in = candidate
        if candidate.dark:
            free = (c for c in groups[candidate.stratum] if not c.dark and c not in ordered[:most])
            found = next((c for c in free if c not in chosen), None)
            notes.append(_replaced(candidate, found))
            if found is None:
                continue
            stand_in = found
        if room.takes(stand_in):
            chosen.append(stand_in)
        else:
            notes.append(
                f"{stand_in.store} of ring {CANARY} comes later: the canary would be heavier than "
                "max_weight_per_wave"
            )
    left = len(ordered) - most
    if left > 0:
        notes.append(f"{left} more stores of ring {CANARY} come later: the policy takes {most}")
    return chosen, notes


def _replaced(dark: Candidate, by: Candidate | None) -> str:
    instead = f"replaced by {by.store} (same stratum)" if by else "nobody of its stratum is left"
    return f"{dark.store} {dark.dark}: parked, owes the release; {instead}"


def _uncovered(
    groups: Mapping[str, list[Candidate]],
    strata: Mapping[str, str],
    *,
    by_ring: bool,
    most: int,
    chosen: int,
) -> list[str]:
    notes = []
    for stratum, store in strata.items():
        if store:
            continue
        size = len(groups[stratum])
        what = f"no canary for {stratum} ({size} {'store' if size == 1 else 'stores'})"
        if all(c.dark for c in groups[stratum]):
            notes.append(f"{what}: none of them is connected")
        elif by_ring and not any(c.ring == CANARY for c in groups[stratum]):
            notes.append(f"{what}: no store of ring {CANARY} is of that kind")
        elif chosen < most:
            notes.append(f"{what}: the canary would be heavier than max_weight_per_wave")
        else:
            notes.append(f"{what}: the policy takes at most {most} canary stores")
    return notes


def _spread(candidates: Sequence[Candidate], seed: int) -> list[Candidate]:
    """Return an order of which every beginning is a fair sample of the whole.

    Each group's stores are spaced evenly over the interval from 0 to 1, and all are merged.
    """
    groups: dict[tuple[str, ...], list[Candidate]] = {}
    for candidate in sorted(candidates, key=lambda c: tie(seed, c.store)):
        groups.setdefault((candidate.stratum, *candidate.kin), []).append(candidate)
    placed = []
    for key, members in groups.items():
        shift = int(tie(seed, "\n".join(key))[:8], 16) / 2**32
        placed += [
            ((index + shift) / len(members), tie(seed, c.store), c)
            for index, c in enumerate(members)
        ]
    return [candidate for *_, candidate in sorted(placed, key=lambda item: item[:2])]


def _in_sending_order(stores: Sequence[Candidate], seed: int) -> tuple[str, ...]:
    """Return the stores by when their window opens; the seed decides among equals."""
    ordered = sorted(stores, key=lambda c: (c.next_at or _NEVER, tie(seed, c.store)))
    return tuple(c.store for c in ordered)
