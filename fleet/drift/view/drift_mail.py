"""A night as a message: a subject that is enough on most mornings, and a page of text."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from fleet.drift.view.drift_lines import (
    by_code,
    change_word,
    changed,
    evidence_line,
    expired_words,
    fix,
    headline,
    is_complete,
    kind,
    needs_somebody,
    not_read,
    place,
    reading,
    release_words,
    resolved_words,
    returned_words,
    scope,
    totals,
    what,
)
from fleet.model.drift_settings import Severity
from fleet.model.night import Change, Night, Told
from fleet.model.notify import Message
from fleet.model.printable import many, printable, some

SUBJECT_CELLS = 100
WIDTH = 80
#: Most lines of a kind; the page that goes with the mail has all.
UNREAD_SHOWN = 8
FINDINGS_SHOWN = 12
LINES_SHOWN = 6
#: Characters that chats show of one message before they cut it.
MARKDOWN_LIMIT = 2900


def message_of(night: Night, now: datetime, least: Severity) -> Message:
    """What people are told of a night.

    Args:
        least: findings below it are counted, not listed.
    """
    subject = subject_of(night)
    return Message(subject, _text(night, now, least), _markdown(night, now, least, subject))


def subject_of(night: Night) -> str:
    """At most 100 characters, the most important first.

    ``[fleet] ACTION 3: 2 new, 1 worse · 4 stores dark (was 2) · 792/800 verified · INCOMPLETE
    apac``; of a clean night ``[fleet] ok: verified 800 of 800``.
    """
    count = night.totals
    if night.is_clean and is_complete(night) and night.recorded:
        return f"[fleet] ok: verified {count.verified:,} of {count.open:,}"
    dark = f"{many(count.dark, 'store')} dark" if count.dark else ""
    was = count.dark_before
    before = f" (was {was:,})" if dark and was is not None and was != count.dark else ""
    share = f"{count.verified:,}/{count.open:,} verified"
    missing = "" if is_complete(night) else "INCOMPLETE"
    kept = "" if night.recorded else "NOT RECORDED"
    accounts = some(sorted({unread.account for unread in night.unread if unread.account}), 2)
    subject = ""
    # What is left out of a long line is in the text; that something is missing never is.
    for parts in (
        (_head(night), f"{dark}{before}", share, kept, f"{missing} {accounts}".strip()),
        (_head(night), f"{dark}{before}", share, kept, missing),
        (_head(night), dark, kept, missing),
    ):
        subject = printable(f"[fleet] {' · '.join(filter(None, parts))}", limit=2 * SUBJECT_CELLS)
        if len(subject) <= SUBJECT_CELLS:
            break
    return subject


def _head(night: Night) -> str:
    if not night.totals.verified and not is_complete(night):
        return "UNKNOWN: nothing verified"
    changes = [told.change for told in night.findings if told.finding.severity is not Severity.INFO]
    news = [
        f"{changes.count(change)} {change.value}"
        for change in (Change.NEW, Change.WORSE)
        if change in changes
    ]
    if news:
        return (
            f"ACTION {changes.count(Change.NEW) + changes.count(Change.WORSE)}: {', '.join(news)}"
        )
    if changes:
        return f"{len(changes)} open, none new or worse"
    return "ok" if is_complete(night) else "nothing found in what was read"


def _text(night: Night, now: datetime, least: Severity) -> str:
    lines = [*wrapped(headline(night)), *wrapped(f"{reading(night, now)} · {scope(night)}")]
    for line in not_read(night)[:UNREAD_SHOWN]:
        lines += _labelled("NOT READ", line.words)
        lines += _labelled("     fix", printable(line.fix)) if line.fix else []
    if len(not_read(night)) > UNREAD_SHOWN:
        lines += _labelled("NOT READ", f"{len(not_read(night)) - UNREAD_SHOWN:,} more reasons")
    lines += _labelled("VERIFIED", totals(night))
    for note in night.notes[:LINES_SHOWN]:
        lines += _labelled("NOTE", printable(note))
    shown, below = _chosen(night, least)
    lines += _do_first(shown, now)
    lines += _labelled("CHANGED SINCE LAST SCAN", changed(night))
    for title, told in (
        ("RESOLVED", [resolved_words(past, now) for past in night.resolved]),
        ("RETURNED", [returned_words(one) for one in night.returned]),
        ("RELEASES", [release_words(line) for line in night.releases]),
        ("EXPIRED", [expired_words(rule) for rule in night.expired]),
    ):
        lines += _few(title, told)
    lines += _counted(night, shown, least)
    if below:
        light = Counter(told.finding.code for told in below)
        words = ", ".join(f"{count:,} {code_}" for code_, count in light.most_common(LINES_SHOWN))
        lines += _labelled(
            f"BELOW {least.value.upper()}", f"{many(len(below), 'finding')}: {words}"
        )
    lines += wrapped(f"as {printable(night.caller, limit=200)}")
    return "\n".join(lines) + "\n"


def _chosen(night: Night, least: Severity) -> tuple[list[Told], list[Told]]:
    """The findings that are listed one by one, and those that are below what is asked for."""
    heavy = [told for told in night.findings if told.finding.severity.rank >= least.rank]
    below = [told for told in night.findings if told.finding.severity.rank < least.rank]
    return [told for told in heavy if needs_somebody(told)][:FINDINGS_SHOWN], below


def _do_first(shown: Sequence[Told], now: datetime) -> Iterator[str]:
    if shown:
        yield "DO FIRST"
    for number, told in enumerate(shown, 1):
        words = filter(
            None,
            (
                f"{number:<2}",
                change_word(told),
                told.finding.severity.value,
                place(told.finding),
                kind(told.finding),
            ),
        )
        yield from wrapped(" ".join(words), "   ")
        yield from wrapped(what(told, now), "   ", first="   ")
        seen, command = evidence_line(told.finding, now), fix(told.finding)
        yield from _labelled("   seen", seen) if seen else ()
        yield from _labelled("   fix ", command) if command else ()


def _counted(night: Night, shown: Sequence[Told], least: Severity) -> Iterable[str]:
    """What is open besides, by code."""
    listed = {told.finding.key for told in shown}
    rest = [
        told
        for told in night.findings
        if told.finding.severity.rank >= least.rank and told.finding.key not in listed
    ]
    if not rest:
        return []
    rows = [
        f"{count:,} {code_} {severity.value}: {where}"
        for code_, severity, count, where in by_code(rest)
    ]
    return _few("ALSO OPEN", rows, most=FINDINGS_SHOWN)


def _few(title: str, lines: Sequence[str], most: int = LINES_SHOWN) -> list[str]:
    found = [line for text in lines[:most] for line in _labelled(title, text)]
    more = len(lines) - most
    return found + (_labelled(title, f"and {more:,} more: see the report") if more > 0 else [])


def _labelled(label: str, text: str) -> list[str]:
    return wrapped(f"{label}  {text}", " " * min(len(label) + 2, 10))


def wrapped(text: str, indent: str = "", first: str = "") -> list[str]:
    """Lines of at most 80 columns; a longer word is broken, so that no mail server does it."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
    )


def _markdown(night: Night, now: datetime, least: Severity, subject: str) -> str:
    """For chats: short, with as many findings as they show before they cut it."""
    blocks = [f"*{chat(subject)}*", chat(reading(night, now))]
    blocks += [
        f"*NOT READ* {chat(gap.words)}{_command(gap.fix)}" for gap in not_read(night)[:UNREAD_SHOWN]
    ]
    blocks += [f"*Verified* {chat(totals(night))}", f"*Changed* {chat(changed(night))}"]
    shown, _ = _chosen(night, least)
    left = len(shown)
    for told in shown:
        head = (change_word(told), told.finding.severity.value, place(told.finding))
        line = f"• *{chat(' '.join(filter(None, head)))}* {chat(kind(told.finding))}: "
        line += f"{chat(what(told, now))}{_command(fix(told.finding))}"
        if len("\n".join([*blocks, line])) > MARKDOWN_LIMIT:
            break
        blocks.append(line)
        left -= 1
    if left:
        blocks.append(f"and {left:,} more: see the report")
    return "\n".join(blocks)


def _command(text: str) -> str:
    return f" `{chat(text)}`" if text else ""


def chat(text: str) -> str:
    """One printable line that a chat shows as it is.

    Slack's own Markdown knows no backslashes: its three characters are written as entities, which
    Markdown understands too, and nobody is called by ``<!channel>``.
    """
    clean = printable(text).replace("`", "'")
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
