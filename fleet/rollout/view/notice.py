"""Renders what people are told of a rollout as a message."""

import textwrap

from fleet.model.notices import Notice
from fleet.model.notify import Message
from fleet.model.printable import printable
from fleet.model.spans import moment

WIDTH = 80
_SUBJECT_LENGTH = 100


def message_of(notice: Notice, title: str) -> Message:
    """Return the message: what happened, since when, and what to type."""
    head = printable(f"[fleet] {notice.rollout} {title}: {notice.kind.word}", limit=_SUBJECT_LENGTH)
    command = f"fleet rollout status {notice.rollout}"
    words = printable(notice.words, limit=1000)
    line = f"{moment(notice.at)}  {notice.rollout} {title}: {words}"
    text = "\n".join([*textwrap.wrap(printable(line), WIDTH), "", f"next  {command}", ""])
    markdown = f"{words}\n\n`{command}`"
    return Message(head, text, markdown, thread=notice.rollout)
