"""What the conductor is handed: edges already pointed at this fleet, a clock, and who listens."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from fleet.aws.session import Shard
from fleet.model.clock import Clock
from fleet.model.inventory import Account, Fleet, Host, Pins
from fleet.model.progress import Event
from fleet.records.store import Records
from fleet.ssh.connection import Connection

KeyAccepted = Callable[[str, str, str], None]


@dataclass(frozen=True, slots=True)
class Wiring:
    """The edges of one run.

    Attributes:
        fleet: the inventory.
        clock: the run's time.
        shard: an account and region at AWS.
        records: the database.
        connect: opens a verified SSH connection to a host. A new host key is accepted only where
            the run was asked to and the caller gives somebody to tell: host id, key type and
            fingerprint.
        load_pins: reads machine ids and installer checksums as they are now.
        pin_machine: writes one machine id.
        listen: told of everything that moves; must not raise.
        stop: set when a person wants the run to end at a safe point.
        workers: most hosts that are worked on at once.
    """

    fleet: Fleet
    clock: Clock
    shard: Callable[[Account, str], Shard]
    records: Records
    connect: Callable[[Host, KeyAccepted | None], Connection]
    load_pins: Callable[[], Pins]
    pin_machine: Callable[[str, str], None]
    listen: Callable[[Event], None]
    stop: threading.Event = field(default_factory=threading.Event)
    workers: int = 16
