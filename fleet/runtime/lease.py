"""Holding leases while work proceeds, and knowing in time that they are somebody else's."""

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
from typing import Any

from fleet.errors import LeaseLost, Locked, RecordsError
from fleet.model.history import Lease
from fleet.records.store import Records

#: Seconds after which the leases of a dead owner are free.
TTL_S = 30.0
#: Seconds without any progress after which an owner that lives counts as stuck.
STALL_S = 900.0
#: Renewals in the time that one of them gives: two may fail.
RENEWALS = 3
# Goes on while the machine sleeps, where there is such a clock: what expired meanwhile is expired.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_OWNER = re.compile(r".*, pid (?P<pid>[1-9]\d*), (?P<realm>[0-9a-f]{8})-[0-9a-f]{4}")


def owner_name(what: str) -> str:
    """A name for a lease's owner that no other process has and that people understand.

    Args:
        what: as ``fleet controller``.
    """
    own = f"{_realm() or '0' * 8}-{secrets.token_hex(2)}"
    return f"{what} on {socket.gethostname()}, pid {os.getpid()}, {own}"


def is_gone(owner: str) -> bool:
    """Whether an owner is known to be a process of this machine that has ended.

    False for one of another machine or container, of which nothing can be known but by waiting,
    and where another process has got its number meanwhile.
    """
    named = _OWNER.fullmatch(owner)
    if named is None or named["realm"] != _realm():
        return False
    try:
        os.kill(int(named["pid"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return _is_zombie(named["pid"])


def _is_zombie(pid: str) -> bool:
    """Whether a process has ended and only waits for its parent to take note (proc(5), stat)."""
    try:
        stat = Path("/proc", pid, "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] in (["Z"], ["X"])


def holder_of(records: Records, name: str) -> Lease | None:
    """Who holds a lease; None also where that is a process that was killed on this machine."""
    lease = records.leases.holder(name)
    return None if lease is None or is_gone(lease.owner) else lease


def _realm() -> str:
    """What process ids are unique in, this boot and container, in 8 digits; "" if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        words = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
        return hashlib.sha256(words.encode()).hexdigest()[:8]
    except (OSError, ValueError):
        return ""


@contextmanager
def held(
    records: Records,
    names: Iterable[str],
    owner: str,
    *,
    ttl_s: float = TTL_S,
    stall_s: float = STALL_S,
) -> Iterator["Held"]:
    """Take all of these leases or none, renew them while the block proceeds, and give them back.

    A process that is killed or paused renews nothing and loses them after ``ttl_s``, or at once to
    another one of its machine that sees that it has ended; so does a block that reports no
    progress for ``stall_s``. A lease that cannot be given back because the
    database is away expires by itself; its state is then that of the last renewal.

    Args:
        names: of the leases.
        owner: from ``owner_name``.
        ttl_s: real seconds, whatever the run's clock.
        stall_s: likewise.

    Raises:
        Locked: somebody else holds one of them; says who and until when.
        RecordsError: the database is away.
    """
    own = Held(records, ttl_s=ttl_s, stall_s=stall_s)
    try:
        own.take(names, owner)
        yield own
    finally:
        own.end()


class Held:
    """Leases that one block of work holds. Thread-safe."""

    def __init__(self, records: Records, *, ttl_s: float, stall_s: float) -> None:
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
        """Whether one of them is known to be somebody else's."""
        return self._lost is not None

    def lease(self, name: str) -> Lease:
        """One of them, for a write that is fenced by it.

        Raises:
            LeaseLost: one of them is somebody else's.
        """
        self.check()
        return self._leases[name]

    def state(self, name: str) -> Mapping[str, Any]:
        """What travels with one of them, as the owner before left it or as kept since."""
        return self._states.get(name, self._leases[name].state)

    def keep(self, name: str, state: Mapping[str, Any]) -> None:
        """Let this travel with one of them from the next renewal on."""
        self._states[name] = state

    def proceed(self) -> None:
        """Report progress: the work is not stuck."""
        self._progress_at = _seconds()

    def check(self) -> None:
        """Make sure, before something is done that nobody can fence, that all are still held.

        Costs nothing while renewals succeed; asks the database when they are overdue.

        Raises:
            LeaseLost: one of them is somebody else's, or that cannot be ruled out.
        """
        for name in self._leases:
            if self._lost is None and self._overdue(name):
                self._renew(name)
            if self._lost is None and self._overdue(name):
                raise LeaseLost(
                    f"{name} could not be renewed for {self._ttl_s:.0f} s, so somebody else may "
                    "have taken it over"
                )
        if self._lost is not None:
            raise LeaseLost(str(self._lost))

    def take(self, names: Iterable[str], owner: str) -> None:
        """Take these, in an order that is the same for everybody, and begin to renew them."""
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
        """Give back in its name what a killed process of this machine held.

        Nobody else's: the release is fenced by the token of the lease that was looked at.
        """
        lease = self._records.leases.holder(name)
        return lease is not None and is_gone(lease.owner) and self._records.leases.release(lease)

    def end(self) -> None:
        """Stop renewing and give back what is still held."""
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
        """Renew one. A database that is away is asked again: the lease has some time left."""
        # One that hangs in the database must not make everybody else hang here.
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
