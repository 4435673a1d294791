"""The edges of one run: inventory, AWS, SSH, records and clock, connected to this fleet.

Paths and environment variables are turned into edges here and nowhere else.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.aws.session import Shard
from fleet.errors import UsageError
from fleet.inventory.loader import load_fleet
from fleet.inventory.pins import load_pins, save_machine_id
from fleet.model.clock import Clock
from fleet.model.inventory import Account, Fleet, Host, Pins
from fleet.model.progress import Event
from fleet.records.opening import open_records
from fleet.runtime.aws_access import ShardAccess, open_shard_access
from fleet.runtime.clock import clock_from_environment
from fleet.runtime.state_dir import state_dir
from fleet.runtime.stopping import leaves_at_once
from fleet.ssh.connection import Connection, open_connection

if TYPE_CHECKING:
    from fleet.records.records import Records

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
    records: "Records"
    connect: Callable[[Host, KeyAccepted | None], Connection]
    load_pins: Callable[[], Pins]
    pin_machine: Callable[[str, str], None]
    listen: Callable[[Event], None]
    stop: threading.Event = field(default_factory=threading.Event)
    workers: int = 16


def ssh_config_path() -> Path | None:
    """Return ``FLEET_SSH_CONFIG``, else the user's own OpenSSH configuration if there is one."""
    given = os.environ.get("FLEET_SSH_CONFIG")
    if given:
        path = Path(given)
        if not path.is_file():
            raise UsageError(f"FLEET_SSH_CONFIG names {given}, which is not a file")
        return path
    path = Path("~/.ssh/config").expanduser()
    return path if path.is_file() else None


def records_from_environment() -> "Records":
    """Return the records at ``FLEET_DATABASE_URL``, else those in the state folder.

    Raises:
        RecordsError: they cannot be opened.
    """
    return open_records(os.environ.get("FLEET_DATABASE_URL"), state_dir())


@contextmanager
def open_records_and_clock() -> Iterator[tuple["Records", Clock]]:
    """Open the records and the clock, for commands that need no inventory.

    Raises:
        RecordsError: the records cannot be opened.
    """
    clock = clock_from_environment()
    with records_from_environment() as records:
        yield records, clock


@contextmanager
def open_history(inventory: Path) -> Iterator[tuple[Fleet, "Records", Clock]]:
    """Open the inventory, the records and the clock, for commands that ask neither AWS nor hosts.

    A signal ends the process at once.

    Raises:
        InventoryError: with every problem of the inventory.
        RecordsError: the records cannot be opened.
    """
    clock = clock_from_environment()
    fleet = load_fleet(inventory, state_dir())
    with records_from_environment() as records, leaves_at_once(lambda: "interrupted while reading"):
        yield fleet, records, clock


def open_wiring(
    inventory: Path,
    *,
    listen: Callable[[Event], None],
    accept_new_host_keys: bool = False,
    pinned: Callable[[str], None] = lambda _host_id: None,
    stop: threading.Event | None = None,
    access: ShardAccess | None = None,
) -> Wiring:
    """Load the inventory and connect the edges to it; contacts nobody yet.

    Args:
        pinned: told the id of each host whose new SSH host key was accepted and pinned.
        access: the access to AWS; that of this process if None.

    Raises:
        InventoryError: with every problem of the inventory.
    """
    fleet = load_fleet(inventory, state_dir())
    access = access or open_shard_access()
    records = records_from_environment()
    ssh_config = ssh_config_path()

    def connect(host: Host, accepted: KeyAccepted | None) -> Connection:
        def on_new_key(host_id: str, key_type: str, fingerprint: str) -> None:
            pinned(host_id)
            if accepted is not None:
                accepted(host_id, key_type, fingerprint)

        return open_connection(
            host,
            ssh_config=ssh_config,
            known_hosts=inventory / "known_hosts",
            accept_new=accept_new_host_keys and accepted is not None,
            on_new_key=on_new_key,
        )

    return Wiring(
        fleet=fleet,
        clock=access.clock,
        shard=access.shard,
        records=records,
        connect=connect,
        load_pins=lambda: load_pins(inventory, state_dir()),
        pin_machine=lambda host_id, machine_id: save_machine_id(inventory, host_id, machine_id),
        listen=listen,
        stop=stop or threading.Event(),
    )


def command_line() -> str:
    """Return the command as typed, for the run's record."""
    return " ".join(["fleet", *sys.argv[1:]])
