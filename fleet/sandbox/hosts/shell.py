"""A command on a simulated host: a real process, joined to an SSH channel."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import IO, Protocol

_CHUNK = 65536
_LOOK_S = 0.1
#: After a hang-up a process has this long before it is killed (a liberty: a real sshd without a
#: terminal leaves it running until it writes to the closed pipe).
_GRACE_S = 1.0
_CANNOT_RUN = 126
#: paramiko answers the client's request just after the command was begun, from another thread. A
#: command that ends at once must not close the channel before that answer; the client's first
#: bytes, or its end of input, show that it is there, and a client that sends neither waits so long.
_ANSWERED_WITHIN_S = 0.2


class Channel(Protocol):
    """What is needed of an SSH channel."""

    closed: bool

    def recv(self, nbytes: int) -> bytes:
        """Bytes from the client; empty at the end."""
        ...

    def sendall(self, data: bytes) -> None:
        """Send as standard output."""
        ...

    def sendall_stderr(self, data: bytes) -> None:
        """Send as standard error."""
        ...

    def send_exit_status(self, status: int) -> None:
        """Say how it ended."""
        ...

    def close(self) -> None:
        """End the channel."""
        ...


class Shell:
    """Runs one command with its streams on a channel, and ends it when the channel dies.

    Args:
        channel: where its input comes from and its output goes.
        alive: whether the connection below the channel still stands.
        count: told how many bytes the client sent, as they arrive.
    """

    def __init__(
        self, channel: Channel, alive: Callable[[], bool], count: Callable[[int], None]
    ) -> None:
        self._channel = channel
        self._alive = alive
        self._count = count
        self._answered = threading.Event()

    def run(self, command: str, *, environment: dict[str, str], cwd: str) -> None:
        """Run it to its end; in the caller's thread, with three more for the streams."""
        try:
            process = subprocess.Popen(
                ["/bin/bash", "-c", command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                cwd=cwd,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            with contextlib.suppress(OSError, EOFError):
                self._channel.sendall_stderr(f"the host cannot run anything: {error}\n".encode())
            self._say_goodbye(_CANNOT_RUN)
            return
        # Each stream is closed by the thread that pumps it and by nobody else: closed under a
        # reader, its number could be given to another connection.
        outputs = [
            _begin(self._pump_out, process.stdout, self._channel.sendall),
            _begin(self._pump_out, process.stderr, self._channel.sendall_stderr),
        ]
        _begin(self._pump_in, process.stdin)
        self._await(process, outputs)
        self._say_goodbye(process.returncode)

    def _await(self, process: "subprocess.Popen[bytes]", outputs: list[threading.Thread]) -> None:
        """Until the process is over and, as sshd does, until nobody holds its output any more."""
        hung_up: float | None = None
        while process.poll() is None or any(thread.is_alive() for thread in outputs):
            if hung_up is None and (self._channel.closed or not self._alive()):
                hung_up = time.monotonic()
                _signal_group(process, signal.SIGHUP)
            if hung_up is not None and time.monotonic() - hung_up > _GRACE_S:
                _signal_group(process, signal.SIGKILL)
                process.wait()
                return
            if process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_S)
            else:
                outputs[0].join(_LOOK_S)
                outputs[1].join(_LOOK_S)

    def _pump_in(self, stdin: IO[bytes] | None) -> None:
        if stdin is None:
            return
        with contextlib.suppress(OSError, EOFError):
            while data := self._channel.recv(_CHUNK):
                self._answered.set()
                self._count(len(data))
                view = memoryview(data)
                while view:
                    view = view[stdin.write(view) :]
        self._answered.set()
        with contextlib.suppress(OSError):
            stdin.close()

    def _pump_out(self, stream: IO[bytes] | None, send: Callable[[bytes], None]) -> None:
        if stream is None:
            return
        with stream, contextlib.suppress(OSError, EOFError):
            while data := os.read(stream.fileno(), _CHUNK):
                send(data)

    def _say_goodbye(self, returncode: int) -> None:
        self._answered.wait(_ANSWERED_WITHIN_S)
        # A process that a signal ended has a negative code; shells report 128 + signal.
        status = returncode if returncode >= 0 else 128 - returncode
        with contextlib.suppress(OSError, EOFError):
            self._channel.send_exit_status(status)
        with contextlib.suppress(OSError, EOFError):
            self._channel.close()


def _begin(run: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=run, args=arguments, name="ssh stream", daemon=True)
    thread.start()
    return thread


def _signal_group(process: "subprocess.Popen[bytes]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
