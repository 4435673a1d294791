"""Holds leases while work proceeds, and notices in time when another process took them."""

import hashlib
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.errors import LeaseLost, Locked, RecordsError
from fleet.model.history import Lease
from fleet.model.spans import span

if TYPE_CHECKING:
    from fleet.records.records import Records

#: Seconds after which the leases of a dead owner expire.
TTL_S = 30.0
#: Seconds without progress after which a live owner counts as stuck and stops renewing.
STALL_S = 900.0
#: Renewals per lease lifetime, so that two may fail.
RENEWALS = 3
# This clock, where there is one, also counts the time that the machine was suspended.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_OWNER = re.compile(r".*, pid (?P<pid>[1-9]\d*), (?P<namespace>[0-9a-f]{8})-[0-9a-f]{4}")


def owner_name(what: str) -> str:
    """Return a readable owner name for leases that no other process has.

    Args:
        what: the command, for example ``fleet controller``.
    """
    own = f"{_pid_namespace() or '0' * 8}-{secrets.token_hex(2)}"
    return f"{what} on {socket.gethostname()}, pid {os.getpid()}, {own}"


def is_gone(owner: str) -> bool:
    """Return whether an owner is a process of this machine that has ended.

    Return False for a process of another machine or container, and when another process has the
    same id now.
    """
    named = _OWNER.fullmatch(owner)
    if named is None or named["namespace"] != _pid_namespace():
        return False
    try:
        os.kill(int(named["pid"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return _is_zombie(named["pid"])


def _is_zombie(pid: str) -> bool:
    """Return whether a process has ended and waits for its parent (proc(5), stat)."""
    try:
        stat = Path("/proc", pid, "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] in (["Z"], ["X"])


def holder_of(records: "Records", name: str) -> Lease | None:
    """Return the holder of a lease; None also for a process of this machine that has ended."""
    lease = records.leases.holder(name)
    return None if lease is None or is_gone(lease.owner) else lease


def _pid_namespace() -> str:
    """Return 8 digits for this boot and PID namespace, in which process ids are unique, or ""."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        words = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
        return hashlib.sha256(words.encode()).hexdigest()[:8]
    except (OSError, ValueError):
        return ""


@contextmanager
def held(
    records: "Records",
    names: Iterable[str],
    owner: str,
    *,
    ttl_s: float = TTL_S,
    stall_s: float = STALL_S,
) -> Iterator["Held"]:
    """Take all of these leases or none, renew them during the block, and release them.

    A process that was killed or paused does not renew and loses its leases after ``ttl_s``, or at
    once to a process of the same machine that sees that it has ended. A block that reports no
    progress for ``stall_s`` loses them too. A lease that cannot be released because the database
    is down expires; its state is then that of the last renewal.

    Args:
        names: names of the leases.
        owner: from ``owner_name``.
        ttl_s: lifetime in real seconds, independent of the run's clock.
        stall_s: longest time in real seconds without progress.

    Raises:
        Locked: another owner holds one of them; the message names it and the expiry.
        RecordsError: the database is down.
    """
    own = Held(records, ttl_s=ttl_s, stall_s=stall_s)
    try:
        own.take(names, owner)
        yield own
    finally:
        own.end()


class Held:
    """The leases that one block of work holds. Thread-safe."""

    def __init__(self, records: "Records", *, ttl_s: float, stall_s: float) -> None:
        self._records = records
        self._ttl_s = ttl_s
        self._stall_s = stall_s
        self._leases: dict[str, Lease] = {}
        self._states: dict[str, Mapping[str, Any]] = {}
        self._sure_until: dict[str, float] = {}
        self._lost: LeaseLost | None = None
        self._renewing = threading.Lock()
        self._stop = threading.Event()
        self._progress_at = _seconds()
        self._thread = threading.Thread(target=self._renew_all, name="leases", daemon=True)

    @property
    def lost(self) -> bool:
        """Return whether another owner is known to have taken one of them."""
        return self._lost is not None

    def lease(self, name: str) -> Lease:
        """Return one of the leases, for a write that checks its fencing token.

        Raises:
            LeaseLost: another owner has taken one of them.
        """
        self.check()
        return self._leases[name]

    def state(self, name: str) -> Mapping[str, Any]:
        """Return the state stored with a lease, from the owner before or from ``keep``."""
        return self._states.get(name, self._leases[name].state)

    def keep(self, name: str, state: Mapping[str, Any]) -> None:
        """Store this state with a lease at the next renewal."""
        self._states[name] = state

    def proceed(self) -> None:
        """Report progress, so that the work does not count as stuck."""
        self._progress_at = _seconds()

    def check(self) -> None:
        """Check that all leases are still held, before a call that has no fencing token.

        Asks the database only when a renewal is overdue.

        Raises:
            LeaseLost: another owner has taken one of them, or may have.
        """
        for name in self._leases:
            if self._lost is None and self._overdue(name):
                self._renew(name)
            if self._lost is None and self._overdue(name):
                raise LeaseLost(
                    f"{name} could not be renewed for {span(self._ttl_s)}, so somebody else may "
                    "have taken it over"
                )
        if self._lost is not None:
            raise LeaseLost(str(self._lost))

    def take(self, names: Iterable[str], owner: str) -> None:
        """Take these leases in sorted order, to avoid deadlocks, and start to renew them."""
        for name in sorted(set(names)):
            began = _seconds()
            lease = self._records.leases.take(name, owner, self._ttl_s)
            if lease is None and self._freed(name):
                began = _seconds()
                lease = self._records.leases.take(name, owner, self._ttl_s)
            if lease is None:
                raise self._locked(name)
            self._leases[name], self._sure_until[name] = lease, began + self._ttl_s
        self._thread.start()

    def _freed(self, name: str) -> bool:
        """Release a lease that an ended process of this machine held, and return whether it worked.

        The release checks the token of that lease, so it cannot free the lease of another owner.
        """
        lease = self._records.leases.holder(name)
        return lease is not None and is_gone(lease.owner) and self._records.leases.release(lease)

    def end(self) -> None:
        """Stop renewing and release the leases that are still held."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        for name, lease in self._leases.items():
            with suppress(RecordsError):
                self._records.leases.release(lease, state=self._states.get(name))

    def _renew_all(self) -> None:
        while not self._stop.wait(self._ttl_s / RENEWALS):
            if _seconds() - self._progress_at > self._stall_s:
                continue
            for name in self._leases:
                self._renew(name)
            if self._lost is not None:
                return

    def _renew(self, name: str) -> None:
        """Renew one lease. A database error is retried later: the lease has some time left."""
        # A renewal that hangs in the database must not block the other threads for longer.
        if not self._renewing.acquire(timeout=self._ttl_s):
            return
        try:
            began, state = _seconds(), self._states.get(name)
            renewed = self._records.leases.renew(self._leases[name], state=state)
            self._leases[name], self._sure_until[name] = renewed, began + self._ttl_s
        except LeaseLost as error:
            self._lost = error
        except RecordsError:
            return
        finally:
            self._renewing.release()

    def _overdue(self, name: str) -> bool:
        return _seconds() >= self._sure_until[name]

    def _locked(self, name: str) -> Locked:
        holder = self._records.leases.holder(name)
        if holder is None:
            return Locked(f"{name} was held until just now", hint="run the same command again")
        until = holder.expires_at.astimezone(UTC).strftime("%H:%M:%SZ")
        since = holder.taken_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        return Locked(
            f"{holder.owner} works on {name} since {since}",
            hint=f"wait for it; if it has died, {name} is free at {until}",
        )


def _seconds() -> float:
    return time.clock_gettime(_CLOCK)
