"""Notifies channels of what happens to rollouts, beside the ticks, from the recorded events.

What is told follows from the database alone: events that a channel was not notified of. A process
that is killed between sending and recording repeats one message; none is lost. Only one process
sends at a time.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from fleet.errors import FleetError
from fleet.model.notices import Notice
from fleet.model.notify import Message, Occasion
from fleet.model.rollout import RolloutEvent
from fleet.rollout.decide.notices import (
    KINDS,
    TOO_OLD,
    notices_of,
    owed_notices,
    untold,
)
from fleet.runtime.lease import owner_name
from fleet.runtime.messages import AnyChannel, Senders, send_to
from fleet.runtime.wiring import Wiring

#: Name of the lease of the process that notifies.
LEASE = "notices"
#: Real seconds for which it is held; a message may take a third of that.
LEASE_S = 120.0
#: Real seconds between looks while nothing happens; what failed is tried again then.
EVERY_S = 20.0
#: Real seconds that the end of a command waits for messages that are under way.
LEAVE_WITHIN_S = 15.0


@contextmanager
def notifying(
    wiring: Wiring,
    senders: Senders,
    message_of: Callable[[Notice, str], Message],
    warn: Callable[[str], None],
) -> Iterator[Callable[[RolloutEvent], None]]:
    """Notify channels while the block lasts, in a thread of its own; nothing without channels.

    Args:
        message_of: makes the message of a notice and the title of its rollout.
        warn: is told once what could not be sent, without secrets; must not raise.

    Yields:
        What is called with every event; it returns at once.
    """
    if not wiring.fleet.channels:
        yield lambda _event: None
        return
    notifier = Notifier(wiring, senders, message_of, warn)
    thread = threading.Thread(target=notifier.run, name="notices", daemon=True)
    thread.start()
    try:
        yield notifier.wake
    finally:
        notifier.leave()
        thread.join(LEAVE_WITHIN_S)


class Notifier:
    """Sends what channels were not told of yet."""

    def __init__(
        self,
        wiring: Wiring,
        senders: Senders,
        message_of: Callable[[Notice, str], Message],
        warn: Callable[[str], None],
    ) -> None:
        self._wiring = wiring
        self._senders = senders
        self._message_of = message_of
        self._warn = warn
        self._owner = owner_name("notices")
        self._news = threading.Event()
        self._leaving = threading.Event()
        self._warned: set[str] = set()

    def wake(self, event: RolloutEvent) -> None:
        """Look at once, if there may be something to tell."""
        if event.kind in KINDS:
            self._news.set()

    def leave(self) -> None:
        """Look once more, then end."""
        self._leaving.set()
        self._news.set()

    def run(self) -> None:
        """Look for news until somebody wants to leave."""
        while True:
            self._news.wait(EVERY_S)
            self._news.clear()
            leaving = self._leaving.is_set()
            with suppress(FleetError):  # the database is away: the events stay there
                self.tell()
            if leaving:
                return

    def tell(self) -> None:
        """Tell every channel what it was not told, unless another process does so now.

        Raises:
            RecordsError: the database is away; nothing is lost.
        """
        leases = self._wiring.records.leases
        lease = leases.take(LEASE, self._owner, LEASE_S) if self._untold() else None
        if lease is None:
            return
        try:
            failed: set[str] = set()
            for channel, notice in self._untold():
                lease = leases.renew(lease)
                # One that is away does not keep the others waiting, and is told in order later.
                if channel.name not in failed and not self._send(channel, notice):
                    failed.add(channel.name)
        finally:
            with suppress(FleetError):
                leases.release(lease)

    def _untold(self) -> list[tuple[AnyChannel, Notice]]:
        records, now = self._wiring.records, self._wiring.clock.now()
        notices = [
            *notices_of(records.notices.events(KINDS, now - TOO_OLD)),
            *owed_notices(records.rollouts.owed(), now),
        ]
        channels = {channel.name: channel for channel in self._wiring.fleet.channels}
        sent = records.notices.sent({notice.rollout for notice in notices})
        return [
            (channels[one.name], notice) for one, notice in untold(notices, channels.values(), sent)
        ]

    def _send(self, channel: AnyChannel, notice: Notice) -> bool:
        """Send one message and record that; return whether the channel took it."""
        wiring, now = self._wiring, self._wiring.clock.now()
        title = wiring.records.rollouts.load(notice.rollout).spec.title
        message = self._message_of(notice, title)
        key = f"{notice.rollout}/{notice.key}"
        occasion = Occasion(wiring.fleet.name, key, now, thread=notice.rollout)
        try:
            send_to(self._senders, channel, message, occasion)
        except FleetError as error:
            self._warn_once(f"{channel.name} was not told: {error.in_full}")
            return False
        except Exception as error:  # noqa: BLE001 - a bug in one channel must not silence the others
            # Not its words: nobody has looked whether they hold a secret.
            self._warn_once(f"{channel.name} was not told: a bug in fleet: {type(error).__name__}")
            return False
        wiring.records.notices.note(notice.rollout, channel.name, notice.key, now)
        return True

    def _warn_once(self, words: str) -> None:
        if words not in self._warned:
            self._warned.add(words)
            self._warn(f"{words}; it is tried again for a day")
