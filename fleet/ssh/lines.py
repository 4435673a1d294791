"""Cuts what a host prints into lines, without trusting it to be short, text or harmless."""

import codecs
from collections.abc import Iterator

from fleet.model.printable import printable
from fleet.model.secret import Secret

#: Longest line kept, in characters; what is beyond is dropped up to the next line break.
LONGEST_LINE = 16 * 1024
#: Longest line shown, in characters.
LONGEST_SHOWN = 500


class LineCutter:
    """Turns chunks of bytes into lines; holds at most one line, and that one is bounded.

    Both line feed and carriage return end a line, so that a progress bar is many short lines.
    Bytes that are not UTF-8 become U+FFFD. Empty lines are left out.
    """

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._held = ""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the lines that this chunk completes."""
        yield from self._cut(self._decode(chunk))

    def end(self) -> Iterator[str]:
        """Yield what was left without a line break, once nothing more comes."""
        yield from self._cut(self._decode(b"", final=True) + "\n")

    def _cut(self, text: str) -> Iterator[str]:
        *whole, rest = text.replace("\r", "\n").split("\n")
        for piece in whole:
            line, self._held = (self._held + piece)[:LONGEST_LINE], ""
            if line:
                yield line
        self._held = (self._held + rest)[:LONGEST_LINE]


def shown(line: str, secret: Secret | None = None) -> str:
    """Return the line as it may be shown: printable, without the secret, of bounded length.

    The secret is taken out after the control characters are, because a host could print it with
    one between every two letters; and before the line is cut, so that no half of it is left over.
    """
    clean = printable(line, limit=len(line) + 1)
    return printable(secret.redact(clean) if secret else clean, limit=LONGEST_SHOWN)
