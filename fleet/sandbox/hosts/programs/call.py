"""One run of a program on a host: its arguments, output, exit code and waits."""

from dataclasses import dataclass
from pathlib import Path

from fleet.sandbox.clock import SandboxClock

_LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class ProgramCall:
    """How a program was started.

    Attributes:
        program: its name.
        args: what follows it; may hold an activation code, so it is never logged.
        cwd: where, as a path of this machine.
        root: whether by root.
    """

    program: str
    args: tuple[str, ...]
    cwd: Path
    root: bool

    def __repr__(self) -> str:
        return f"Call({self.program}, {len(self.args)} arguments)"


@dataclass(frozen=True, slots=True)
class ProgramReply:
    """How it ended: exit status and what it printed."""

    status: int = 0
    out: bytes = b""
    err: bytes = b""


def said(text: str) -> ProgramReply:
    """Return success, with a line of output."""
    return ProgramReply(0, f"{text}\n".encode())


def failed(status: int, text: str) -> ProgramReply:
    """Return failure, with a line of error output."""
    return ProgramReply(status, b"", f"{text}\n".encode())


def unsupported(call: ProgramCall, word: str) -> ProgramReply:
    """Return an option or verb that is not simulated: refused loudly instead of half done."""
    return failed(2, f"{call.program}: the sandbox does not simulate '{word}'")


def inside(root: Path, cwd: Path, given: str) -> Path | None:
    """Return a path as this machine has it, or None when it leaves the host's root folder.

    Scripts on hosts write paths with the root before them, so an absolute one is taken as it is.
    """
    path = (cwd / given).resolve()
    return path if path.is_relative_to(root.resolve()) else None


def wait(clock: SandboxClock, seconds: float) -> None:
    """Wait this many sandbox seconds; on a stepped clock that is until somebody moves it."""
    moment = clock.now() + seconds
    while not clock.wait_until(moment, timeout=_LOOK_S):
        continue
