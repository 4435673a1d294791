"""``fleet sandbox``: runs a local ECS Anywhere."""

import json
import logging
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sized
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from fleet.cli import sandbox_steering
from fleet.cli.command_class import CommandGroup
from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption, JsonOption
from fleet.cli.output import show
from fleet.cli.sandbox_steering import sandbox_client
from fleet.errors import EmptySelection, SandboxError, UsageError
from fleet.inventory.loader import load_fleet
from fleet.model.inventory import Fleet, Host, Lifecycle, Store
from fleet.runtime.state_dir import state_dir
from fleet.sandbox.client import SandboxClient, environment
from fleet.sandbox.control_plane.database import persisted_time
from fleet.sandbox.spec import (
    AccountSpec,
    HostSpec,
    SandboxSpec,
    StateDir,
    read_json,
    spec_as_json,
    spec_from_json,
)
from fleet.terminal.documents import document

app = CommandGroup(help="Run a local ECS Anywhere to try things on.", no_args_is_help=True)

_DEFAULT_RATE = 20.0
_READY_S = 30.0
_LOOK_S = 0.05
_TIMES = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"]
#: The key of hardware and hosts in the inventory that says what the sandbox pretends of them.
_KEY = "x-sandbox"
_KEYS = {
    "os_release",
    "cpus",
    "memory_mb",
    "disk_total_mb",
    "disk_free_mb",
    "docker",
    "l4t_release",
    "devices",
    "packages",
}
#: What an inventory that says nothing gets: a bare Ubuntu host.
_OS_RELEASE = {
    "ID": "ubuntu",
    "NAME": "Ubuntu",
    "VERSION_ID": "22.04",
    "PRETTY_NAME": "Ubuntu 22.04.4 LTS",
}
_LATENCY_MS = {"fibre": 10, "lte": 60}


@app.command()
def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once it is up, and leave it running.")
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Sandbox seconds per second; 0 stands still until told. [default: 20]",
            show_default=False,
        ),
    ] = None,
    throttling: Annotated[
        bool | None,
        typer.Option(
            "--throttling/--no-throttling",
            help="Refuse calls above AWS's published rates. [default: throttling]",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME",
            formats=_TIMES,
            help="Begin at this time, as 2026-11-23T20:30:00Z (UTC). [default: now]",
            show_default=False,
        ),
    ] = None,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Start the sandbox: AWS, and the hosts of the inventory.

    Stores that are closed are left out. Its state survives a restart. If the sandbox is up
    already, hosts that are new in the inventory are added to it.
    """
    client = sandbox_client()
    content = read_json(client.state.spec)
    before = spec_from_json(content) if content is not None else None
    spec = sandbox_spec(
        load_fleet(inventory, state_dir()),
        rate=rate if rate is not None else before.clock_rate if before else _DEFAULT_RATE,
        throttling=throttling if throttling is not None else before.throttling if before else True,
    )
    begin = start.replace(tzinfo=UTC).timestamp() if start else before.start if before else None
    spec = replace(spec, start=begin)
    if start is not None:
        _refuse_the_past(client, spec)
    if client.pid() is not None and before is not None:
        _grow(client, before, spec)
        return
    _write_spec(client.state, spec)
    if detach:
        _start_detached(client)
        _announce(client, spec, stop="fleet sandbox down")
    else:
        _run_here(client, spec)


@app.command()
def env() -> None:
    """Print the environment that points fleet and aws at it.

    For example, eval "$(fleet sandbox env)".
    """
    client = sandbox_client()
    for name, value in environment(client.state, client.url()).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Show its clock, and each host's state and link."""
    client = sandbox_client()
    clock, hosts = client.get("clock"), client.get("hosts")["hosts"]
    if as_json:
        fields = {
            "url": client.url(),
            "clock": clock,
            "hosts": hosts,
            "control_plane": client.get("status"),
        }
        show(document("sandbox-status", fields))
        return
    now = datetime.fromtimestamp(clock["now"], UTC)
    pace = f"{clock['rate']:g}x real time" if clock["rate"] else "standing still"
    typer.echo(f"sandbox at {client.url()}  clock {now:%Y-%m-%d %H:%M:%S}Z, {pace}")
    for line in _table(hosts):
        typer.echo(line)


@app.command()
def down(
    purge: Annotated[
        bool, typer.Option("--purge", help="Also forget everything it holds.")
    ] = False,
) -> None:
    """Stop the sandbox.

    Its state is kept for the next `up`, unless --purge is given.
    """
    client = sandbox_client()
    stopped = client.stop()
    typer.echo("the sandbox is down" if stopped else "no sandbox was up", err=True)
    if purge and client.state.spec.exists():
        shutil.rmtree(client.state.path)
        typer.echo(f"forgotten: {client.state.path}", err=True)


sandbox_steering.add_to(app)


def sandbox_spec(fleet: Fleet, *, rate: float, throttling: bool) -> SandboxSpec:
    """Return every host of every store that is not closed.

    Raises:
        EmptySelection: there is no such host.
        UsageError: an ``x-sandbox`` of the inventory cannot be used.
    """
    stores = [s for s in fleet.stores if s.lifecycle is not Lifecycle.CLOSED and s.hosts]
    if not stores:
        raise EmptySelection(
            f"the inventory {fleet.root} has no store with hosts that is not closed",
            hint="fleet inventory list",
        )
    accounts = {s.account.name: s.account for s in stores}
    return SandboxSpec(
        accounts=tuple(
            AccountSpec(a.account_id, a.profile or a.name, a.instance_role)
            for a in accounts.values()
        ),
        hosts=tuple(_host_spec(store, host) for store in stores for host in store.hosts),
        default_region=stores[0].region,
        clock_rate=rate,
        throttling=throttling,
    )


def _host_spec(store: Store, host: Host) -> HostSpec:
    given: dict[str, Any] = {}
    for source in (host.hardware.extras.get(_KEY), host.extras.get(_KEY)):
        given |= _checked(source or {}, host)
    try:
        return HostSpec(
            store=store.id,
            name=host.name,
            address=host.address,
            user=host.ssh.user,
            account_id=store.account.account_id,
            region=store.region,
            machine=host.hardware.architecture.uname,
            os_release={k: str(v) for k, v in (given.get("os_release") or _OS_RELEASE).items()},
            cpus=int(given.get("cpus", 4)),
            memory_mb=int(given.get("memory_mb", 8192)),
            disk_total_mb=int(given.get("disk_total_mb", 65536)),
            disk_free_mb=int(given.get("disk_free_mb", 40960)),
            docker=dict(given["docker"]) if given.get("docker") else None,
            l4t_release=str(given.get("l4t_release") or ""),
            devices=tuple(str(device) for device in given.get("devices", host.hardware.devices)),
            packages=tuple(str(name) for name in given.get("packages", ("gpg", "curl"))),
            link={"kind": store.link.kind, "latency_ms": _LATENCY_MS.get(store.link.kind, 30)},
            hardware=host.hardware.name,
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{host.hardware.source}: {_KEY} of {host.id}: {error}") from error


def _checked(source: Any, host: Host) -> Mapping[str, Any]:
    if not isinstance(source, Mapping):
        raise UsageError(f"{host.hardware.source}: {_KEY} of {host.id} must be a mapping")
    if unknown := sorted(set(source) - _KEYS):
        raise UsageError(
            f"{host.hardware.source}: {_KEY} of {host.id} has unknown keys: {', '.join(unknown)}",
            hint=f"there are: {', '.join(sorted(_KEYS))}",
        )
    return source


def _write_spec(state: StateDir, spec: SandboxSpec) -> None:
    state.path.mkdir(parents=True, exist_ok=True)
    part = state.spec.with_suffix(".part")
    part.write_text(json.dumps(spec_as_json(spec)), encoding="utf-8")
    part.replace(state.spec)


def _refuse_the_past(client: SandboxClient, spec: SandboxSpec) -> None:
    """Refuse a start before the time that the sandbox has reached."""
    reached = persisted_time(client.state.database)
    if reached is not None and spec.start is not None and spec.start < reached:
        raise UsageError(
            f"the sandbox has reached {datetime.fromtimestamp(reached, UTC):%Y-%m-%dT%H:%M:%SZ}, "
            "and time does not run backwards",
            hint="fleet sandbox down --purge, then the same again: it begins a new one",
        )


def _grow(client: SandboxClient, before: SandboxSpec, wanted: SandboxSpec) -> None:
    """Add what is new to a sandbox that is up; anything else needs a restart, and says so."""
    known = {host.id: host for host in before.hosts}
    new = [host for host in wanted.hosts if host.id not in known]
    kept = tuple(host for host in wanted.hosts if host.id in known)
    old = spec_as_json(replace(before, hosts=tuple(known[host.id] for host in kept)))
    if spec_as_json(replace(wanted, hosts=kept)) != old:
        raise UsageError(
            "a sandbox is up and differs from what is asked for; nothing was changed",
            hint="fleet sandbox down, then fleet sandbox up; what it holds stays",
        )
    if new:
        added = client.post("hosts", {"hosts": spec_as_json(wanted)["hosts"]})["added"]
        typer.echo(f"already up at {client.url()}; hosts added: {added}", err=True)
    else:
        typer.echo(f"already up at {client.url()}, nothing to add", err=True)


def _start_detached(client: SandboxClient) -> None:
    state = client.state
    with state.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fleet.sandbox", "--state", str(state.path.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    give_up = time.monotonic() + _READY_S
    while client.pid() != process.pid:
        if process.poll() is not None:
            lines = state.log.read_text(encoding="utf-8", errors="replace").splitlines()
            last = lines[-1] if lines else "it said nothing"
            raise SandboxError(f"the sandbox did not come up: {last}", hint=f"see {state.log}")
        if time.monotonic() > give_up:
            process.kill()
            process.wait()
            raise SandboxError(
                f"the sandbox was not ready after {_READY_S:.0f} s", hint=f"see {state.log}"
            )
        time.sleep(_LOOK_S)
    # It lives on; without this the interpreter warns at exit that nobody waited for it.
    process.returncode = 0


def _run_here(client: SandboxClient, spec: SandboxSpec) -> None:
    from fleet.sandbox.daemon import running  # its servers take half a second to import

    logging.basicConfig(
        filename=client.state.log, level=logging.INFO, format="%(asctime)s %(name)s %(message)s"
    )
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running(client.state) as daemon:
            _announce(client, spec, stop="Ctrl-C")
            daemon.wait()
    except KeyboardInterrupt:
        typer.echo("", err=True)
    typer.echo(f"the sandbox is down; what it holds stays in {client.state.path}", err=True)


def _announce(client: SandboxClient, spec: SandboxSpec, *, stop: str) -> None:
    stores = {host.store for host in spec.hosts}
    pace = (
        f"{spec.clock_rate:g} times real time" if spec.clock_rate else "a clock that stands still"
    )
    lines = [
        f"sandbox up at {client.url()}: {_count(spec.hosts, 'host')} in "
        f"{_count(stores, 'store')}, {pace}, throttling {'on' if spec.throttling else 'off'}",
        'point this shell at it: eval "$(fleet sandbox env)"',
        f"stop it: {stop}",
    ]
    for line in lines:
        typer.echo(line, err=True)


def _link(host: dict[str, Any]) -> str:
    if host["link"] == "cut" or not (host["flap"] or host["slow_to_mbps"]):
        return str(host["link"])
    return "flaps" if host["flap"] else "slow"


def _count(things: Sized, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _table(hosts: list[dict[str, Any]]) -> list[str]:
    rows = [("HOST", "LINK", "SSH", "NODE", "CONTAINER INSTANCE")]
    for host in hosts:
        arn = host["container_instance_arn"] or ""
        services = [name for name, state in host["units"].items() if state != "active"]
        detail = arn.rpartition("/")[2][:12] or (", ".join(f"{s} down" for s in services) or "-")
        rows.append(
            (
                f"{host['store']}/{host['name']}",
                _link(host),
                str(host["ssh_port"]),
                host["managed_instance_id"] or "-",
                detail,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
