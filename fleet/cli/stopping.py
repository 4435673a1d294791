"""Ctrl-C and SIGTERM: the first asks a run to end at a safe point, the second leaves at once."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stops_safely(stop: threading.Event, *, resume: str) -> Iterator[None]:
    """While inside, the first signal sets ``stop``; the second ends the process.

    Leaving at once is safe too: what is half done is found and finished by the next run.

    Args:
        resume: the command that finishes what is left.
    """

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            _leave(f"\nleft at once; resume with: {resume}\n")
        stop.set()
        sys.stderr.write(
            "\nstopping: hosts in the middle of installing finish first; "
            "Ctrl-C again leaves at once\n"
        )

    with _handling(on_signal):
        yield


@contextmanager
def leaves_at_once(message: str) -> Iterator[None]:
    """While inside, a signal ends the process with ``message``; for work that touches nothing.

    Threads that wait for a dark host cannot be interrupted, and there is nothing to clean up.
    """

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        _leave(f"\n{message}\n")

    with _handling(on_signal):
        yield


def _leave(message: str) -> None:
    sys.stderr.write(message)
    sys.stderr.flush()
    os._exit(130)


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
