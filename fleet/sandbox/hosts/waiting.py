"""Waiting on a host, in the sandbox's time."""

from collections.abc import Callable

from fleet.sandbox.agents.machine import Clock

_LOOK_S = 0.25


def wait(clock: Clock, seconds: float, wanted: Callable[[], bool] = lambda: True) -> bool:
    """Wait this many sandbox seconds; False as soon as it is no longer ``wanted``.

    On a stepped clock that is until somebody moves it.
    """
    moment = clock.now() + seconds
    while wanted():
        if clock.wait_until(moment, timeout=_LOOK_S):
            return True
    return False
