"""What a piece of work takes, measured so that nothing else is measured with it."""

import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent

#: Runs a program and writes down what it used. A process of its own: Linux counts what whoever
#: starts a program has in memory as the program's.
_LAUNCH = """
import json, os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, took = os.wait4(pid, 0)
cpu_s = took.ru_utime + took.ru_stime
with open(sys.argv[1], "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), cpu_s, took.ru_maxrss], file)
"""


@dataclass(frozen=True, slots=True)
class Used:
    """What a program used.

    Attributes:
        code: it ended with.
        cpu_s: processor seconds.
        memory_mb: the most it had, in MiB.
    """

    code: int
    cpu_s: float
    memory_mb: float


def used(command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> Used:
    """Run a program to its end, with its output thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "used.json"
        launch = [sys.executable, "-c", _LAUNCH, str(file), *command]
        subprocess.run(launch, cwd=cwd, env=env, check=True, capture_output=True)
        code, cpu_s, kilobytes = json.loads(file.read_text())
    return Used(code, cpu_s, kilobytes / 1024)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def apart(measure: Callable[[int], str], size: int) -> str:
    """In a new process, whose memory is this measure's alone and goes with it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (size,))
