"""What a piece of work takes, measured so that nothing else is measured with it."""

import multiprocessing
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def apart(measure: Callable[[int], str], size: int) -> str:
    """In a new process, whose memory is this measure's alone and goes with it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (size,))
