"""Thirty nights for the page: which stores and hosts are shown one by one, and in what words."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from fleet.drift.view.drift_lines import day, percent
from fleet.drift.view.drift_markdown import LETTERS
from fleet.drift.view.page.picture import FEW_NIGHTS, NARROW, WIDE, Picture
from fleet.drift.view.pictures import (
    Curve,
    Frame,
    Row,
    curves_picture,
    nights_picture,
)
from fleet.model.drift import StoreState
from fleet.model.night import Availability, Night, Scan, StoreFacts
from fleet.model.printable import many, printable

#: Stores and groups that a picture shows one by one; nobody reads more.
STORES_SHOWN = 40
GROUPS_SHOWN = 16
CURVES_SHOWN = 12

#: How much a night in this state counts when stores are ordered by trouble.
_WEIGHTS = {
    StoreState.DARK: 8,
    StoreState.HIGH: 6,
    StoreState.MEDIUM: 3,
    StoreState.LOW: 1,
}
_TROUBLE = frozenset(_WEIGHTS)


@dataclass(frozen=True, slots=True)
class _Group:
    """The stores of a market."""

    name: str
    stores: tuple[StoreFacts, ...]
    shown: tuple[StoreFacts, ...]


def nights_of(night: Night) -> Picture | None:
    """The heatmap of stores by nights; None when there is no store or no night to show."""
    scans = night.nights
    if not scans or not night.stores:
        return None
    groups, left = _groups(night)
    rows = _rows(groups, scans)
    wide = nights_picture(Frame(WIDE, 220, "nights-wide", "nights-caption"), _dates(scans, 4), rows)
    few = scans[-FEW_NIGHTS:]
    narrow = nights_picture(
        Frame(NARROW, 128, "nights-narrow", "nights-caption"), _dates(few, 5), _rows(groups, few)
    )
    shown = sum(len(group.shown) for group in groups)
    words = [f"{many(len(scans), 'night')}, the last at the right"]
    words.append(_shown_words(night, shown))
    words += [f"{many(left, 'market')} more, with less trouble, not shown"] if left else []
    table = [
        (group.name, store.id, printable(store.name), _runs(store, scans))
        for group in groups
        for store in group.shown
    ]
    heads = ("Market", "Store", "Name", "Nights in trouble")
    return Picture(wide, narrow, ". ".join(words) + ".", heads, tuple(table))


def _shown_words(night: Night, shown: int) -> str:
    if shown == len(night.stores):
        return f"All {shown:,} stores, most trouble first"
    calm = sum(not _trouble(store, night.nights) for store in night.stores)
    troubled = len(night.stores) - calm
    words = f"The {shown} stores with most trouble of {troubled:,} with any"
    if shown == troubled:
        words = "The one store" if shown == 1 else f"All {shown} stores"
        words = f"{words} with any trouble" if shown else "No store had any trouble"
    return f"{words}; {calm:,} had none in all these nights"


def _groups(night: Night) -> tuple[tuple[_Group, ...], int]:
    """Markets by trouble with the stores shown of each, and how many markets are left out."""
    by_market: dict[str, list[StoreFacts]] = defaultdict(list)
    weight = {store.id: _trouble(store, night.nights) for store in night.stores}
    for store in night.stores:
        name = store.labels.get("market") or store.labels.get("region") or "no market"
        by_market[printable(name)].append(store)
    ranked = sorted(night.stores, key=lambda store: (-weight[store.id], store.id))
    if len(ranked) > STORES_SHOWN:
        ranked = [store for store in ranked if weight[store.id]][:STORES_SHOWN]
    order = {store.id: number for number, store in enumerate(ranked)}
    groups = [
        _Group(
            name,
            tuple(stores),
            tuple(sorted((s for s in stores if s.id in order), key=lambda s: order[s.id])),
        )
        for name, stores in by_market.items()
    ]
    groups.sort(key=lambda group: (-sum(weight[s.id] for s in group.stores), group.name))
    return tuple(groups[:GROUPS_SHOWN]), max(0, len(groups) - GROUPS_SHOWN)


def _trouble(store: StoreFacts, scans: Sequence[Scan]) -> int:
    """How bad a store's nights were; tonight weighs as much as a week."""
    weights = [_WEIGHTS.get(scan.states.get(store.id, StoreState.OK), 0) for scan in scans]
    return sum(weights) + 7 * weights[-1]


def _rows(groups: Iterable[_Group], scans: Sequence[Scan]) -> list[Row]:
    rows = []
    for group in groups:
        cells = [_share_cell(group, scan) for scan in scans]
        name = f"{group.name} · {len(group.stores):,} stores"
        rows.append(Row(name, cells, strong=True))
        rows += [
            Row(
                f"  {store.id} {store.name}",
                [_state_cell(scan.states.get(store.id)) for scan in scans],
            )
            for store in group.shown
        ]
    return rows


def _state_cell(state: StoreState | None) -> tuple[str, str]:
    if state is None:
        return "", ""
    letter = LETTERS[state]
    return state.value, "" if state is StoreState.OK else letter


def _share_cell(group: _Group, scan: Scan) -> tuple[str, str]:
    """How many stores of a market were in trouble that night."""
    states = Counter(scan.states.get(store.id) for store in group.stores)
    counted = sum(states[state] for state in StoreState if state is not StoreState.NOT_COUNTED)
    number = sum(states[state] for state in _TROUBLE)
    if not counted:
        return "", ""
    if not number:
        unseen = states[StoreState.NOT_VERIFIED]
        return ("not-verified", "?") if unseen else ("ok", "")
    share = number / counted
    role = "some" if share < 0.05 else "many" if share < 0.2 else "most"  # noqa: PLR2004 - steps
    return role, str(number)


def _dates(scans: Sequence[Scan], every: int) -> list[str]:
    """A date above every few columns, the last one always."""
    last = len(scans) - 1
    return [
        day(scan.started_at) if (last - number) % every == 0 else ""
        for number, scan in enumerate(scans)
    ]


def _runs(store: StoreFacts, scans: Sequence[Scan]) -> str:
    """``dark 21 Nov to 23 Nov (3 nights), low 2 Nov``; ``none``."""
    parts = []
    for state, run in groupby(scans, key=lambda scan: scan.states.get(store.id)):
        same = list(run)
        if state in _TROUBLE or state is StoreState.NOT_VERIFIED:
            first, last = day(same[0].started_at), day(same[-1].started_at)
            stretch = f"{first} to {last} ({len(same)} nights)" if len(same) > 1 else first
            parts.append(f"{state.value.replace('-', ' ')} {stretch}")
    return ", ".join(parts) or "none"


def availability_of(night: Night) -> tuple[tuple[str, Picture], ...]:
    """By kind of group, as ``market``: what share of the hosts was connected, night by night."""
    kinds: dict[str, list[Availability]] = defaultdict(list)
    for one in night.availability:
        kinds[printable(one.kind)].append(one)
    return tuple((kind, _curves(kind, kinds[kind], night.nights)) for kind in kinds)


def _curves(kind: str, groups: Sequence[Availability], scans: Sequence[Scan]) -> Picture:
    worst = sorted(groups, key=lambda one: (min(one.known, default=2.0), one.group))
    shown = worst[:CURVES_SHOWN]
    least = min((share for one in shown for share in one.known), default=1.0)
    # Whole steps, so that one night's picture is compared with another's.
    floor = next((step for step in (0.98, 0.95, 0.9, 0.75, 0.5) if least >= step), 0.0)
    curves = [Curve(f"{one.group} · {one.stores:,}", one.nights, _last_words(one)) for one in shown]
    few = [Curve(c.name, c.shares[-FEW_NIGHTS:], c.words) for c in curves]
    name, caption = f"{kind}-curves", f"{kind}-caption"
    dates = _dates(scans, 4)
    left = f" The {len(shown)} worst of {len(groups)}." if len(groups) > len(shown) else ""
    rows = tuple(_numbers(one, scans) for one in worst)
    return Picture(
        curves_picture(Frame(WIDE, 160, f"{name}-wide", caption), dates, curves, floor),
        curves_picture(
            Frame(NARROW, 110, f"{name}-narrow", caption),
            _dates(scans[-FEW_NIGHTS:], 5),
            few,
            floor,
        ),
        f"Share of hosts connected by {kind}, from {floor:.0%} at the bottom of each line to 100% "
        f"at its top; a question mark where it was not verified; tonight at the right.{left}",
        (kind.capitalize(), "Stores", "Tonight", "Mean", "Worst night", "Not verified"),
        rows,
    )


def _last(one: Availability) -> float | None:
    return one.nights[-1] if one.nights else None


def _last_words(one: Availability) -> str:
    share = _last(one)
    return "?" if share is None else percent(share)


def _numbers(one: Availability, scans: Sequence[Scan]) -> tuple[str, ...]:
    known = one.known
    worst = min(known, default=None)
    at = ""
    if worst is not None and len(scans) == len(one.nights) and worst < 1:
        at = f", {day(scans[one.nights.index(worst)].started_at)}"
    unseen = len(one.nights) - len(known)
    return (
        printable(one.group),
        f"{one.stores:,}",
        percent(_last(one)),
        percent(sum(known) / len(known) if known else None),
        f"{percent(worst)}{at}",
        many(unseen, "night") if unseen else "none",
    )
