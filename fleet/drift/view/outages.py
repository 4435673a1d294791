"""Shows when hosts were away: lines for the picture, and the same in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from fleet.model.drift import HostConnection, Spell
from fleet.model.printable import many, printable
from fleet.model.scan_result import ScanResult
from fleet.model.spans import CLOCKS_DIFFER_S, day, moment, span

#: Lines that are shown one by one.
LINES_SHOWN = 30
#: Hosts of a store that lose their link together are not noticed in the same minute: SSM pings
#: every five.
TOGETHER = timedelta(minutes=15)
#: Outages of a host that are written out one by one.
OUTAGES_SHOWN = 5
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A spell with its end.

    Attributes:
        end: when the next spell began; for the last one, the time until which it is known.
        is_certain: whether it ended or was seen tonight.
    """

    spell: Spell
    end: datetime
    is_certain: bool

    @property
    def lasted_s(self) -> float:
        """Return its length in seconds."""
        return (self.end - self.spell.since).total_seconds()


@dataclass(frozen=True, slots=True)
class Bar:
    """How hosts were connected between two times, in days before the page was made."""

    connection: HostConnection
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Outages:
    """Outages of hosts on one scale of time, which ends when the page was made.

    Attributes:
        days: length of the scale.
        dates: midnights by how many days before the end they were.
        lines: of the picture, by host or hosts of a store that went together: name and bars,
            oldest first.
        rows: by host or hosts that went together, also those without a line: name, state now,
            time away in all, and outages, newest first.
    """

    caption: str
    days: float
    dates: tuple[tuple[float, datetime], ...]
    lines: tuple[tuple[str, tuple[Bar, ...]], ...]
    rows: tuple[tuple[str, ...], ...]


def outages_of(result: ScanResult, now: datetime) -> Outages | None:
    """Put hosts that went away together in one line, those still away first; None without any."""
    began = result.scan.started_at - timedelta(seconds=CLOCKS_DIFFER_S)
    away = {
        key: _stretches(spells, began, now)
        for key, spells in result.spells.items()
        if any(spell.is_away for spell in spells)
    }
    if not away:
        return None
    lines = sorted(
        _together(away).items(),
        key=lambda line: (not line[1][-1].spell.is_away, -_lost_s(line[1])),
    )
    shown = lines[:LINES_SHOWN]
    first = min((scan.started_at for scan in result.nights), default=now - _DAY)
    midnight = first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    midnights = [midnight + n * _DAY for n in range(1, (now - midnight).days + 1)]
    return Outages(
        _caption(away, len(lines), first),
        max(now - first, timedelta(seconds=1)) / _DAY,
        tuple(((now - at) / _DAY, at) for at in midnights),
        tuple((name, tuple(_bars(stretches, first, now))) for name, stretches in shown),
        tuple(_row(name, stretches, now) for name, stretches in lines),
    )


def _stretches(spells: Sequence[Spell], began: datetime, now: datetime) -> list[Stretch]:
    """Add ends; a last spell that the scan, which ``began`` then, did not see is not certain."""
    *before, last = spells
    made = [
        Stretch(spell, following.since, is_certain=True)
        for spell, following in zip(before, spells[1:], strict=True)
    ]
    is_certain = last.last_seen >= began
    end = now if is_certain else max(last.since, last.last_seen)
    return [*made, Stretch(last, end, is_certain)]


def _lost_s(stretches: Sequence[Stretch]) -> float:
    """Return the seconds without one connection or both."""
    return sum(stretch.lasted_s for stretch in stretches if stretch.spell.is_away)


def _together(
    away: Mapping[tuple[str, str], Sequence[Stretch]],
) -> dict[str, Sequence[Stretch]]:
    """Name a line for each host, or for hosts of a store that went together."""
    lines: dict[str, Sequence[Stretch]] = {}
    for store, keys in groupby(sorted(away), key=lambda key: key[0]):
        alike: list[list[str]] = []
        for _, host in keys:
            for hosts in alike:
                if _same(away[store, hosts[0]], away[store, host]):
                    hosts.append(host)
                    break
            else:
                alike.append([host])
        for hosts in alike:
            first = printable(hosts[0])
            line = f"{store}/{first}" if len(hosts) == 1 else f"{store} {len(hosts)} hosts"
            # Two groups of one size in one store are told apart by their first host.
            line = f"{line} with {first}" if line in lines else line
            lines[line] = away[store, hosts[0]]
    return lines


def _same(one: Sequence[Stretch], other: Sequence[Stretch]) -> bool:
    return len(one) == len(other) and all(
        a.connection is b.connection
        and abs(a.since - b.since) <= TOGETHER
        and abs(a.last_seen - b.last_seen) <= TOGETHER
        for a, b in ((a.spell, b.spell) for a, b in zip(one, other, strict=True))
    )


def _caption(away: Mapping[tuple[str, str], Sequence[Stretch]], lines: int, first: datetime) -> str:
    last = [stretches[-1] for stretches in away.values()]
    gone = sum(stretch.spell.is_away and stretch.is_certain for stretch in last)
    uncertain = sum(not stretch.is_certain for stretch in last)
    words = (
        f"{many(len(away), 'host')} lost a connection since {day(first)}, {gone:,} of them still "
        "without it"
    )
    words += f", of {uncertain:,} nothing certain is known tonight" if uncertain else ""
    words += ". Those away come first, then who was away longest."
    words += " Hosts of a store that went together share a line."
    left = lines - LINES_SHOWN
    return words + (f" {left:,} lines more, with less, are not shown." if left > 0 else "")


def _bars(stretches: Sequence[Stretch], first: datetime, now: datetime) -> list[Bar]:
    """Cut stretches to the scale."""
    return [
        Bar(
            stretch.spell.connection,
            (now - max(first, stretch.spell.since)) / _DAY,
            (now - min(now, stretch.end)) / _DAY,
        )
        for stretch in stretches
        if max(first, stretch.spell.since) < min(now, stretch.end)
    ]


def _row(name: str, stretches: Sequence[Stretch], now: datetime) -> tuple[str, ...]:
    last = stretches[-1]
    state = f"{_word(last.spell)} since {moment(last.spell.since, now)}"
    if not last.is_certain:
        state = f"not certain; {state} until last seen {moment(last.spell.last_seen, now)}"
    outages = [
        f"{_word(stretch.spell)} {moment(stretch.spell.since, now)} for {span(stretch.lasted_s)}"
        for stretch in reversed(stretches)
        if stretch.spell.is_away
    ]
    more = len(outages) - OUTAGES_SHOWN
    outages[OUTAGES_SHOWN:] = [f"{more} more"] if more > 0 else []
    return name, state, span(_lost_s(stretches)), "; ".join(outages)


def _word(spell: Spell) -> str:
    return spell.connection.value.replace("-", " ")
