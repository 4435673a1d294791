"""Handles Ctrl-C, SIGTERM and SIGHUP: the first stops at a safe point, the second at once."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Longest time in seconds for cleaning up before exit; the database may be locked.
LEAVE_WITHIN_S = 2.0

#: Terminal sequence that shows the cursor, which a live table hides.
SHOW_CURSOR = "\x1b[?25h"

INTERRUPTED = 130

INSTALLS_FINISH = "hosts in the middle of installing finish first"


def _nothing() -> None:
    pass


@contextmanager
def stops_safely(
    stop: threading.Event,
    *,
    resume: str,
    leaving: Callable[[], None] = _nothing,
    first: str = INSTALLS_FINISH,
) -> Iterator[None]:
    """Set ``stop`` on the first signal and end the process on the second.

    Ending at once is safe too: the next run finds what is half done and finishes it.

    Args:
        resume: the command that finishes the work; printed.
        leaving: clean-up before the process ends at once; runs in a thread for at most
            ``LEAVE_WITHIN_S``.
        first: what the first signal waits for; printed.
    """

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            _leave(f"left at once; resume with: {resume}", leaving)
        stop.set()
        _say(f"\nstopping: {first}; Ctrl-C again leaves at once\n")

    with _handling(on_signal):
        yield


@contextmanager
def stops_quietly(stop: threading.Event) -> Iterator[None]:
    """Set ``stop`` on a signal, without a message; for commands that only watch."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            _leave("left", _nothing)
        stop.set()

    with _handling(on_signal):
        yield


@contextmanager
def leaves_at_once(
    message: Callable[[], str], leaving: Callable[[], None] = _nothing
) -> Iterator[None]:
    """End the process with a message on a signal; for work that changes no host.

    Threads that wait for a host cannot be interrupted, and there is nothing to clean up.

    Args:
        message: returns the text to print.
        leaving: as for ``stops_safely``.
    """

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        _leave(message(), leaving)

    with _handling(on_signal):
        yield


def _say(text: str) -> None:
    """Write to stderr from a signal handler, which may have interrupted another write."""
    with suppress(OSError, ValueError, RuntimeError):
        sys.stderr.write(text)
        sys.stderr.flush()


def _leave(message: str, leaving: Callable[[], None]) -> NoReturn:
    def on_signal(_number: int, _frame: FrameType | None) -> None:
        _exit(message)

    for number in SIGNALS:
        signal.signal(number, on_signal)

    def tidy_up() -> None:
        with suppress(Exception):
            leaving()

    # In a thread: the interrupted code may hold a lock that the clean-up needs.
    thread = threading.Thread(target=tidy_up, daemon=True)
    thread.start()
    thread.join(LEAVE_WITHIN_S)
    _exit(message)


def _exit(message: str) -> NoReturn:
    with suppress(OSError):
        cursor = SHOW_CURSOR if os.isatty(2) else ""
        os.write(2, f"{cursor}\n{message}\n".encode())
    os._exit(INTERRUPTED)


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    # An ignored SIGHUP stays ignored, as nohup(1) expects.
    mine = [
        number
        for number in SIGNALS
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    ]
    before = {number: signal.signal(number, handler) for number in mine}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
