"""Ctrl-C, SIGTERM and SIGHUP: the first asks a run to end at a safe point, the second leaves."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Most wall seconds for what is done on the way out; a database may be locked, a clock far away.
LEAVE_WITHIN_S = 2.0

#: A redrawn table hides the cursor; this shows it again.
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
    """While inside, the first signal sets ``stop``; the second ends the process.

    Leaving at once is safe too: what is half done is found and finished by the next run.

    Args:
        resume: the command that finishes what is left.
        leaving: tried before the process ends at once; runs in a thread, and not for long.
        first: what the first signal waits for, for the person who sent it.
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
    """While inside, a signal sets ``stop``; for somebody who only looks on and goes away."""

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
    """While inside, a signal ends the process with a message; for work that changes no host.

    Threads that wait for a dark host cannot be interrupted, and there is nothing to clean up.

    Args:
        leaving: as of ``stops_safely``.
    """

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        _leave(message(), leaving)

    with _handling(on_signal):
        yield


def _say(text: str) -> None:
    """Say something from a signal handler, which may have interrupted somebody who speaks."""
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

    # In a thread: what was interrupted may hold the very lock that this needs.
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
    # A hang-up that is ignored stays so: that is what nohup asks for.
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
