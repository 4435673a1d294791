"""Keeps stdin, stdout and stderr usable when a pipe closes or a terminal hangs up."""

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def hold_standard_streams() -> None:
    """Point every standard stream that was closed before the start at nothing.

    Python leaves such a stream None, and the next file that is opened, a database for instance,
    would take its number and whatever is written to it.
    """
    for number, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def let_go(stream: TextIO) -> None:
    """From now on what is written to a stream that nobody reads goes nowhere, without an error."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def settle() -> None:
    """Flush what was said, so that the interpreter has nothing to complain about at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            let_go(stream)


class Talk(io.TextIOBase):
    """Passes text on to a stream for as long as somebody listens there; never raises.

    What is said while a command works is an offer. Work on hosts is never broken off because the
    reader went away.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Pass text on, if somebody listens."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            let_go(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush, if somebody listens."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            let_go(self._stream)

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's own."""
        return self._stream.fileno()
