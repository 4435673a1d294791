"""When hosts were away, for the page: who is shown, and the same in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from fleet.drift.view.drift_lines import day, when
from fleet.drift.view.page.picture import FEW_NIGHTS, NARROW, WIDE, Picture
from fleet.drift.view.pictures import Bar, Frame, timelines_picture
from fleet.model.drift import Spell
from fleet.model.night import Night
from fleet.model.printable import many, printable
from fleet.terminal.times import CLOCKS_DIFFER_S, span

#: Lines that are shown one by one.
LINES_SHOWN = 30
#: Hosts of a store that lose their link together are not noticed in the same minute: SSM pings
#: every five.
TOGETHER = timedelta(minutes=15)
#: Outages of a host that are told one by one.
OUTAGES_TOLD = 5


@dataclass(frozen=True, slots=True)
class _Tonight:
    """Until when something is known.

    Attributes:
        began: a spell that was last seen before that was not seen tonight.
    """

    began: datetime
    now: datetime

    def holds(self, spell: Spell) -> bool:
        """Whether it was seen tonight, and so still goes on as far as anybody knows."""
        return spell.last_seen >= self.began

    def end(self, spells: Sequence[Spell], index: int) -> datetime:
        """When a spell ended: it went on until the next one, the last as long as it is known to."""
        if index + 1 < len(spells):
            return spells[index + 1].since
        last = spells[index]
        return self.now if self.holds(last) else max(last.since, last.last_seen)

    def lost(self, spells: Sequence[Spell]) -> float:
        """Seconds without one connection or both."""
        away = [n for n, spell in enumerate(spells) if spell.is_away]
        return sum((self.end(spells, n) - spells[n].since).total_seconds() for n in away)


def timelines_of(night: Night, now: datetime) -> Picture | None:
    """When hosts were away, those that went together in one line; None when none was."""
    away = {
        key: spells
        for key, spells in night.spells.items()
        if any(spell.is_away for spell in spells)
    }
    if not away:
        return None
    tonight = _Tonight(night.scan.started_at - timedelta(seconds=CLOCKS_DIFFER_S), now)
    lines = _together(away)
    order = sorted(
        lines, key=lambda line: (not lines[line][-1].is_away, -tonight.lost(lines[line]))
    )
    shown = {line: lines[line] for line in order[:LINES_SHOWN]}
    first = min((scan.started_at for scan in night.nights), default=now - timedelta(days=1))
    near = max(first, now - timedelta(days=FEW_NIGHTS))
    frame = Frame(WIDE, 220, "away-wide", "away-caption")
    wide = _timeline(frame, shown, tonight, first, 4)
    frame = Frame(NARROW, 128, "away-narrow", "away-caption")
    narrow = _timeline(frame, shown, tonight, near, 5)
    rows = tuple(
        (line, _now_words(spells[-1], tonight), span(tonight.lost(spells)), _told(spells, tonight))
        for line, spells in shown.items()
    )
    heads = ("Hosts", "Now", "Away in all", "Outages, newest first")
    return Picture(wide, narrow, _caption(away, len(order), first, tonight), heads, rows)


def _caption(
    away: Mapping[tuple[str, str], Sequence[Spell]], lines: int, first: datetime, tonight: _Tonight
) -> str:
    last = [spells[-1] for spells in away.values()]
    gone = sum(spell.is_away and tonight.holds(spell) for spell in last)
    unseen = sum(not tonight.holds(spell) for spell in last)
    words = [
        f"{many(len(away), 'host')} lost a connection since {day(first)}, {gone:,} of them still "
        "without it"
    ]
    words += [f"of {unseen:,} nothing certain is known tonight"] if unseen else []
    words = [", ".join(words)]
    words.append("Those away come first, then who was away longest")
    words.append("Hosts of a store that went together share a line")
    left = lines - LINES_SHOWN
    words += [f"{left:,} lines more, with less, are not shown"] if left > 0 else []
    return ". ".join(words) + "."


def _together(
    away: Mapping[tuple[str, str], Sequence[Spell]],
) -> dict[str, Sequence[Spell]]:
    """Spells by line: a host, or the hosts of a store whose spells are the same but for minutes."""
    lines: dict[str, Sequence[Spell]] = {}
    for store, keys in groupby(sorted(away), key=lambda key: key[0]):
        alike: list[list[str]] = []
        for _, host in keys:
            same = (names for names in alike if _same(away[store, names[0]], away[store, host]))
            names = next(same, None)
            if names is None:
                alike.append([host])
            else:
                names.append(host)
        for names in alike:
            alone = len(names) == 1
            line = f"{store}/{printable(names[0])}" if alone else f"{store} {len(names)} hosts"
            # Two groups of one size in one store are told apart by their first host.
            line = f"{line} with {printable(names[0])}" if line in lines else line
            lines[line] = away[store, names[0]]
    return lines


def _same(one: Sequence[Spell], other: Sequence[Spell]) -> bool:
    return len(one) == len(other) and all(
        a.connection is b.connection
        and abs(a.since - b.since) <= TOGETHER
        and abs(a.last_seen - b.last_seen) <= TOGETHER
        for a, b in zip(one, other, strict=True)
    )


def _timeline(
    frame: Frame,
    lines: Mapping[str, Sequence[Spell]],
    tonight: _Tonight,
    began: datetime,
    every: int,
) -> str:
    whole = max(1.0, (tonight.now - began).total_seconds())

    def share(at: datetime) -> float:
        return min(1.0, max(0.0, (at - began).total_seconds() / whole))

    midnight = began.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [midnight + timedelta(days=n) for n in range(1, (tonight.now - midnight).days + 1)]
    # A date too near the right edge would be cut off.
    dates = [(share(at), day(at)) for at in days[::every] if share(at) < 0.93]  # noqa: PLR2004
    rows = []
    for line, spells in lines.items():
        bars = [
            Bar(share(spell.since), share(tonight.end(spells, n)), spell.connection)
            for n, spell in enumerate(spells)
        ]
        rows.append((line, [bar for bar in bars if bar.end > bar.start]))
    return timelines_picture(frame, dates, rows)


def _now_words(spell: Spell, tonight: _Tonight) -> str:
    since = f"{_word(spell)} since {when(spell.since, tonight.now)}"
    if tonight.holds(spell):
        return since
    return f"not certain; {since} until last seen {when(spell.last_seen, tonight.now)}"


def _told(spells: Sequence[Spell], tonight: _Tonight) -> str:
    outages = [
        f"{_word(spell)} {when(spell.since, tonight.now)} for "
        f"{span((tonight.end(spells, n) - spell.since).total_seconds())}"
        for n, spell in enumerate(spells)
        if spell.is_away
    ][::-1]
    more = len(outages) - OUTAGES_TOLD
    return "; ".join([*outages[:OUTAGES_TOLD], *([f"{more} more"] if more > 0 else [])])


def _word(spell: Spell) -> str:
    return spell.connection.value.replace("-", " ")
