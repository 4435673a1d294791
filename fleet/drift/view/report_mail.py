"""Renders the report of a scan as a message: subject, text for mail, a few lines for chats."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

from fleet.drift.view.finding_words import FindingRow
from fleet.drift.view.report import Line, Part, Report, Section, by_code
from fleet.model.drift_settings import Severity
from fleet.model.notify import Message
from fleet.model.printable import many, printable

WIDTH = 80
#: Most lines of a part, and of those that may have more; the page that goes with the mail has all.
LINES_SHOWN = 6
SHOWN = {Part.NOT_READ: 8, Part.DO_FIRST: 12, Part.ALSO_OPEN: 12}
#: Characters that chats show of one message before they cut it.
CHAT_LIMIT = 2900

_ELSEWHERE = "see the report"
#: What a chat has room for.
_IN_CHAT = (Part.NOT_READ, Part.VERIFIED, Part.DO_FIRST, Part.CHANGED)


def message_of(report: Report, least: Severity) -> Message:
    """Return what people are told of a scan.

    Args:
        least: findings below it are counted, not listed.
    """
    return Message(report.subject, _mail(report, least), _chat_message(report, least))


def _mail(report: Report, least: Severity) -> str:
    lines = [*wrapped(report.headline), *wrapped(f"{report.reading} · {report.scope}")]
    urgent, others, below = _chosen(report, least)
    first = urgent[: SHOWN[Part.DO_FIRST]]
    counted = [
        Line(f"{count:,} {code} {severity.value}: {where}")
        for code, severity, count, where in by_code([*urgent[len(first) :], *others])
    ]
    for part in Part:
        if part is Part.DO_FIRST:
            lines += _do_first(first)
        elif part is Part.ALSO_OPEN:
            lines += _lines(Section(part, tuple(counted)))
            lines += _below(below, least)
        else:
            lines += _lines(report.section(part))
    lines += wrapped(f"as {printable(report.result.caller, limit=200)}")
    return "\n".join(lines) + "\n"


def _chosen(
    report: Report, least: Severity
) -> tuple[list[FindingRow], list[FindingRow], list[FindingRow]]:
    """Return what is to do first, what else is open, and what is below what is asked for."""
    heavy = [row for row in report.findings if row.finding.severity.rank >= least.rank]
    below = [row for row in report.findings if row.finding.severity.rank < least.rank]
    urgent = [row for row in heavy if row.entry.is_urgent]
    return urgent, [row for row in heavy if not row.entry.is_urgent], below


def _lines(section: Section) -> Iterator[str]:
    title = section.part.value.upper()
    for line in section.first_lines(SHOWN.get(section.part, LINES_SHOWN), _ELSEWHERE):
        yield from _labelled(title, line.text)
        yield from _labelled("fix".rjust(len(title)), line.fix) if line.fix else ()


def _do_first(first: Sequence[FindingRow]) -> Iterator[str]:
    if first:
        yield Part.DO_FIRST.value.upper()
    for number, row in enumerate(first, 1):
        words = (f"{number:<2}", row.change, row.severity, row.place, row.kind)
        yield from wrapped(" ".join(filter(None, words)), "   ")
        yield from wrapped(row.what, "   ", first="   ")
        yield from _labelled("   seen", row.seen) if row.seen else ()
        yield from _labelled("   fix ", row.fix) if row.fix else ()


def _below(below: Sequence[FindingRow], least: Severity) -> list[str]:
    if not below:
        return []
    codes = Counter(row.finding.code for row in below).most_common(LINES_SHOWN)
    words = ", ".join(f"{count:,} {code}" for code, count in codes)
    title = f"BELOW {least.value.upper()}"
    return _labelled(title, f"{many(len(below), 'finding')}: {words}")


def _labelled(label: str, text: str) -> list[str]:
    return wrapped(f"{label}  {text}", " " * min(len(label) + 2, 10))


def wrapped(text: str, indent: str = "", first: str = "") -> list[str]:
    """Return lines of at most 80 columns; a longer word is broken: no mail server has to do it."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
    )


def _chat_message(report: Report, least: Severity) -> str:
    """Return what fits into a chat: as many findings as it shows before it cuts the message."""
    blocks = {part: list(_chat_lines(report.section(part))) for part in _IN_CHAT}
    title = [f"*{chat(report.subject)}*", chat(report.reading)]
    room = CHAT_LIMIT - sum(len(line) + 1 for line in chain(title, *blocks.values()))
    urgent, _, _ = _chosen(report, least)
    first = blocks[Part.DO_FIRST]
    for row in urgent[: SHOWN[Part.DO_FIRST]]:
        head = " ".join(filter(None, (row.change, row.severity, row.place)))
        line = f"• *{chat(head)}* {chat(row.kind)}: {chat(row.what)}{_command(row.fix)}"
        room -= len(line) + 1
        if room < 0:
            break
        first.append(line)
    if len(first) < len(urgent):
        first.append(f"and {len(urgent) - len(first):,} more: {_ELSEWHERE}")
    return "\n".join(chain(title, *blocks.values()))


def _chat_lines(section: Section) -> Iterator[str]:
    title = section.part.value.upper()
    for line in section.first_lines(SHOWN.get(section.part, LINES_SHOWN), _ELSEWHERE):
        yield f"*{title}* {chat(line.text)}{_command(line.fix)}"


def _command(text: str) -> str:
    return f" `{chat(text)}`" if text else ""


def chat(text: str) -> str:
    """Return one printable line that a chat shows as it is.

    Slack's own Markdown knows no backslashes: its three characters are written as entities, which
    Markdown understands too, and nobody is called by ``<!channel>``.
    """
    clean = printable(text).replace("`", "'")
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
