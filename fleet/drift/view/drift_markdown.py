"""A night for a pull request, a wiki or a chat: all that the page holds, as Markdown."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from fleet.drift.view.drift_lines import (
    change_word,
    changed,
    evidence_words,
    expired_words,
    fix,
    headline,
    ignored_words,
    kind,
    needs_somebody,
    not_read,
    percent,
    place,
    reading,
    release_words,
    resolved_words,
    returned_words,
    scope,
    totals,
    what,
)
from fleet.model.drift import Spell, StoreState
from fleet.model.night import Night, Told
from fleet.model.printable import many, printable
from fleet.model.spans import moment, span

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
NOT_IN_SCAN = " "

_MEANT = ", ".join(f"`{letter}` {state.value}" for state, letter in LETTERS.items())
_QUIET = frozenset({StoreState.OK, StoreState.NOT_COUNTED, None})
_SPECIAL = frozenset("\\`*_[]<>#|~!")


def night_markdown(night: Night, now: datetime) -> str:
    """The whole night; what could not be read comes first."""
    return "\n\n".join(filter(None, _blocks(night, now))) + "\n"


def _blocks(night: Night, now: datetime) -> Iterable[str]:
    first = [told for told in night.findings if needs_somebody(told)]
    rest = [told for told in night.findings if not needs_somebody(told)]
    yield f"# {escaped(headline(night))}"
    yield escaped(f"{reading(night, now)} · {scope(night)} · as {night.caller}")
    yield _listed("Not read", _unread(night))
    yield _listed("Notes", [escaped(printable(note)) for note in night.notes])
    yield f"**Verified** {escaped(totals(night))}"
    yield f"**Changed since the last scan** {escaped(changed(night))}"
    yield _findings("Do first", first, now)
    yield _plain("Returned", [returned_words(one) for one in night.returned])
    yield _plain("Resolved", [resolved_words(past, now) for past in night.resolved])
    yield _plain("Releases", [release_words(line) for line in night.releases])
    yield _findings("Also open", rest, now)
    yield _plain("Ignored", [ignored_words(*pair) for pair in night.ignored])
    yield _plain("Ignore rules that are over", [expired_words(rule) for rule in night.expired])
    yield _nights(night)
    yield _outages(night, now)
    yield _availability(night)


def _unread(night: Night) -> list[str]:
    return [
        escaped(line.words) + (f" — fix: {code(line.fix)}" if line.fix else "")
        for line in not_read(night)
    ]


def _plain(title: str, lines: Sequence[str]) -> str:
    return _listed(title, [escaped(line) for line in lines])


def _listed(title: str, lines: Sequence[str]) -> str:
    """A heading and a list of lines that are Markdown already; "" when there are none."""
    return "\n".join([f"## {title}", "", *(f"- {line}" for line in lines)]) if lines else ""


def _findings(title: str, findings: Sequence[Told], now: datetime) -> str:
    rows = [
        (
            escaped(change_word(told)),
            told.finding.severity.value,
            escaped(place(told.finding)),
            escaped(kind(told.finding)),
            escaped(what(told, now)),
            "<br>".join(escaped(evidence_words(one, now)) for one in told.finding.evidence),
            code(fix(told.finding)) if told.finding.fix else "",
        )
        for told in findings
    ]
    heads = ("Change", "Severity", "Where", "What", "Why", "Seen", "Fix")
    return _table(f"{title}: {many(len(rows), 'finding')}", heads, rows) if rows else ""


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join([f"## {title}", "", *(f"| {' | '.join(line)} |" for line in lines)])


def _nights(night: Night) -> str:
    """A row per store that was not well all through; the rest is counted."""
    rows, well = [], 0
    for store in night.stores:
        states = [scan.states.get(store.id) for scan in night.nights]
        if _QUIET.issuperset(states):
            well += 1
            continue
        # No blanks at the ends: Markdown would take them away and move the nights.
        letters = "".join(LETTERS[state] if state else NOT_IN_SCAN for state in states)
        rows.append((escaped(store.id), escaped(store.name), f"`{letters.replace(' ', '_')}`"))
    if not rows:
        return ""
    title = f"Stores by nights, oldest left: {many(len(night.nights), 'night')}"
    hidden = f" {many(well, 'store')} without trouble not shown." if well else ""
    key = f"{_MEANT}, `_` not scanned.{hidden}"
    return _table(title, ("Store", "Name", "Nights"), rows) + f"\n\n{key}"


def _outages(night: Night, now: datetime) -> str:
    lines = []
    for (store, host), spells in sorted(night.spells.items()):
        away = [
            _outage(spells, n, night.scan.started_at, now)
            for n in range(len(spells))
            if spells[n].is_away
        ]
        if away:
            lines.append(escaped(f"{store}/{printable(host)}: {'; '.join(away)}"))
    return _listed("Hosts that were away", lines)


def _outage(spells: Sequence[Spell], index: int, began: datetime, now: datetime) -> str:
    """One outage; one that tonight's scan, which ``began`` then, did not see is not certain."""
    spell = spells[index]
    if index + 1 == len(spells) and spell.last_seen < began:
        seen = moment(spell.last_seen, now)
        return f"{spell.connection.value} since {moment(spell.since, now)}, last certain {seen}"
    if index + 1 == len(spells):
        lasted = span((now - spell.since).total_seconds())
        return f"{spell.connection.value} since {moment(spell.since, now)} ({lasted} so far)"
    until = spells[index + 1].since
    lasted = span((until - spell.since).total_seconds())
    return f"{spell.connection.value} {moment(spell.since, now)} for {lasted}"


def _availability(night: Night) -> str:
    rows = [
        (
            escaped(one.kind),
            escaped(one.group),
            f"{one.stores:,}",
            percent(one.nights[-1] if one.nights else None),
            percent(min(one.known, default=None)),
            percent(sum(one.known) / len(one.known) if one.known else None),
            str(len(one.nights) - len(one.known)),
        )
        for one in night.availability
    ]
    heads = ("By", "Group", "Stores", "Tonight", "Worst night", "Mean", "Nights not verified")
    return _table("Hosts connected", heads, rows) if rows else ""


def escaped(text: str) -> str:
    """One printable line that Markdown leaves as it is."""
    return "".join(f"\\{c}" if c in _SPECIAL else c for c in printable(text))


def code(text: str) -> str:
    """A command as code; bars would end the cell of a table, backticks the code."""
    clean = printable(text).replace("|", "\\|")
    fence = "``" if "`" in clean else "`"
    pad = " " if fence == "``" else ""
    return f"{fence}{pad}{clean}{pad}{fence}"
