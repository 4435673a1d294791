"""Chooses which stores and groups of hosts are shown over thirty nights, and words them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from fleet.model.drift import StoreState
from fleet.model.printable import many, printable
from fleet.model.scan_result import Availability, Scan, ScanResult, StoreFacts
from fleet.model.spans import day

#: A letter per state of a store in a night, so that 30 nights fit in a line.
LETTERS = {
    StoreState.OK: ".",
    StoreState.INFO: "i",
    StoreState.LOW: "l",
    StoreState.MEDIUM: "m",
    StoreState.HIGH: "H",
    StoreState.DARK: "D",
    StoreState.NOT_VERIFIED: "?",
    StoreState.NOT_COUNTED: "-",
}
#: Stands for a night in which the store was not scanned.
NOT_IN_SCAN = " "
#: Stores, markets and groups that are shown one by one; nobody reads more.
STORES_SHOWN = 40
MARKETS_SHOWN = 16
GROUPS_SHOWN = 12

#: How much a night in this state counts when stores are ordered by trouble.
_WEIGHTS = {StoreState.DARK: 8, StoreState.HIGH: 6, StoreState.MEDIUM: 3, StoreState.LOW: 1}
#: Bottoms of the scale of availability: whole steps, so that nights can be compared.
_FLOORS = (0.98, 0.95, 0.9, 0.75, 0.5)


@dataclass(frozen=True, slots=True)
class Market:
    """The stores of a market, over the nights.

    Attributes:
        stores: all of them, most trouble first.
        cells: by night, the style of its cell ("" for none) and the number on it.
        shown: those of them that have a row.
    """

    name: str
    stores: tuple[StoreFacts, ...]
    cells: tuple[tuple[str, str], ...]
    shown: tuple[StoreFacts, ...]


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Stores by nights.

    Attributes:
        rows: by store: market, id, name, and its nights in trouble in words.
    """

    caption: str
    markets: tuple[Market, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Shares:
    """What share of the hosts was connected in each night, by groups of one kind.

    Attributes:
        kind: as ``market``.
        floor: the share at the bottom of the scale, which ends at 1.
        shown: the groups that have a row in the picture, the worst first.
        rows: by group: name, stores, tonight, mean, worst night, and nights not verified.
    """

    kind: str
    caption: str
    floor: float
    shown: tuple[Availability, ...]
    rows: tuple[tuple[str, ...], ...]


def letters_of(store: StoreFacts, result: ScanResult) -> str:
    """Return a letter per night, oldest first."""
    states = [scan.states.get(store.id) for scan in result.nights]
    return "".join(NOT_IN_SCAN if state is None else LETTERS[state] for state in states)


def heatmap_of(result: ScanResult) -> Heatmap | None:
    """Choose the stores with most trouble by market; None without a store or a night."""
    scans = result.nights
    if not scans or not result.stores:
        return None
    trouble = {store.id: _trouble(store, scans) for store in result.stores}
    ranked = sorted(result.stores, key=lambda store: (-trouble[store.id], store.id))
    shown = ranked
    if len(ranked) > STORES_SHOWN:
        shown = [store for store in ranked if trouble[store.id]][:STORES_SHOWN]
    markets = sorted(
        _markets(ranked, frozenset(store.id for store in shown), scans),
        key=lambda market: (-sum(trouble[store.id] for store in market.stores), market.name),
    )
    left = len(markets) - MARKETS_SHOWN
    del markets[MARKETS_SHOWN:]
    words = [
        f"{many(len(scans), 'night')}, the last at the right",
        _shown_words(sum(len(market.shown) for market in markets), trouble),
    ]
    words += [f"{many(left, 'market')} more, with less trouble, not shown"] if left > 0 else []
    rows = tuple(
        (market.name, store.id, printable(store.name), _nights_in_trouble(store, scans))
        for market in markets
        for store in market.shown
    )
    return Heatmap(". ".join(words) + ".", tuple(markets), rows)


def _trouble(store: StoreFacts, scans: Sequence[Scan]) -> int:
    """Weigh a store's nights; tonight weighs as much as a week."""
    weights = [_WEIGHTS.get(scan.states.get(store.id, StoreState.OK), 0) for scan in scans]
    return sum(weights) + 7 * weights[-1]


def _markets(
    ranked: Sequence[StoreFacts], shown: frozenset[str], scans: Sequence[Scan]
) -> list[Market]:
    by_name: dict[str, list[StoreFacts]] = defaultdict(list)
    for store in ranked:
        name = store.labels.get("market") or store.labels.get("region") or "no market"
        by_name[printable(name)].append(store)
    return [
        Market(
            name,
            tuple(stores),
            tuple(_market_cell(stores, scan) for scan in scans),
            tuple(store for store in stores if store.id in shown),
        )
        for name, stores in by_name.items()
    ]


def _market_cell(stores: Sequence[StoreFacts], scan: Scan) -> tuple[str, str]:
    """Count the stores of a market that were in trouble that night."""
    states = Counter(scan.states.get(store.id) for store in stores)
    counted = sum(states[state] for state in StoreState if state is not StoreState.NOT_COUNTED)
    number = sum(states[state] for state in _WEIGHTS)
    if not counted:
        return "", ""
    if not number:
        return ("not-verified", "?") if states[StoreState.NOT_VERIFIED] else ("ok", "")
    share = number / counted
    style = "some" if share < 0.05 else "many" if share < 0.2 else "most"  # noqa: PLR2004 - steps
    return style, str(number)


def _shown_words(shown: int, trouble: Mapping[str, int]) -> str:
    if shown == len(trouble):
        return f"All {shown:,} stores, most trouble first"
    calm = sum(not weight for weight in trouble.values())
    troubled = len(trouble) - calm
    words = f"The {shown} stores with most trouble of {troubled:,} with any"
    if shown == troubled:
        words = "The one store" if shown == 1 else f"All {shown} stores"
        words = f"{words} with any trouble" if shown else "No store had any trouble"
    return f"{words}; {calm:,} had none in all these nights"


def _nights_in_trouble(store: StoreFacts, scans: Sequence[Scan]) -> str:
    """Return ``dark 21 Nov to 23 Nov (3 nights), low 2 Nov``; ``none``."""
    parts = []
    for state, run in groupby(scans, key=lambda scan: scan.states.get(store.id)):
        same = list(run)
        if state in _WEIGHTS or state is StoreState.NOT_VERIFIED:
            first, last = day(same[0].started_at), day(same[-1].started_at)
            stretch = f"{first} to {last} ({len(same)} nights)" if len(same) > 1 else first
            parts.append(f"{state.value.replace('-', ' ')} {stretch}")
    return ", ".join(parts) or "none"


def shares_of(result: ScanResult) -> tuple[Shares, ...]:
    """Choose the worst groups of each kind."""
    by_kind: dict[str, list[Availability]] = defaultdict(list)
    for group in result.availability:
        by_kind[printable(group.kind)].append(group)
    return tuple(_shares(kind, groups, result.nights) for kind, groups in by_kind.items())


def _shares(kind: str, groups: Sequence[Availability], scans: Sequence[Scan]) -> Shares:
    worst = sorted(groups, key=lambda group: (min(group.known, default=2.0), group.group))
    shown = worst[:GROUPS_SHOWN]
    least = min((share for group in shown for share in group.known), default=1.0)
    floor = next((step for step in _FLOORS if least >= step), 0.0)
    left = f" The {len(shown)} worst of {len(groups)}." if len(groups) > len(shown) else ""
    caption = (
        f"Share of hosts connected by {kind}, from {floor:.0%} at the bottom of each line to 100% "
        f"at its top; a question mark where it was not verified; tonight at the right.{left}"
    )
    rows = tuple(_numbers(group, scans) for group in worst)
    return Shares(kind, caption, floor, tuple(shown), rows)


def _numbers(group: Availability, scans: Sequence[Scan]) -> tuple[str, ...]:
    known = group.known
    worst = min(known, default=None)
    is_dated = worst is not None and worst < 1
    at = f", {day(scans[group.nights.index(worst)].started_at)}" if is_dated else ""
    unseen = len(group.nights) - len(known)
    return (
        printable(group.group),
        f"{group.stores:,}",
        percent(group.nights[-1]),
        percent(sum(known) / len(known) if known else None),
        f"{percent(worst)}{at}",
        many(unseen, "night") if unseen else "none",
    )


def percent(share: float | None) -> str:
    """Return ``99.5 %``, rounded down, so that 100.0 % means all; ``not verified`` for None."""
    return "not verified" if share is None else f"{int(share * 1000) / 10:.1f} %"
