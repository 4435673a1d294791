"""``fleet sandbox cut|restore|slow|flap|image|clock``: changes a running sandbox."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from fleet.cli.options import JsonOption
from fleet.cli.output import show
from fleet.errors import UsageError
from fleet.runtime.state_dir import state_dir
from fleet.sandbox.client import SandboxClient
from fleet.sandbox.spec import StateDir
from fleet.terminal.documents import document

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
#: A jump is made in steps, each of which is answered well within the client's patience.
_STEP_S = 60.0


def span(value: Any) -> float:
    """Return a time span such as 90, 30s, 5m or 1h30m, in seconds."""
    if isinstance(value, int | float):
        return float(value)
    pieces = _PIECE.findall(value)
    if not pieces or "".join(f"{number}{unit}" for number, unit in pieces) != value:
        raise typer.BadParameter(f"{value!r} is no time span; write 30s, 5m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in pieces)


TargetArgument = Annotated[
    str, typer.Argument(metavar="STORE|STORE/HOST", help="A store, or one of its hosts.")
]


def sandbox_client() -> SandboxClient:
    """Return the sandbox of this state folder."""
    return SandboxClient(StateDir(state_dir() / "sandbox"))


def add_to(app: typer.Typer) -> None:
    """Add the commands to ``fleet sandbox``."""
    for command in (cut, restore, slow, flap, image, clock):
        app.command()(command)


def cut(target: TargetArgument) -> None:
    """Cut a link: SSH dies, agents no longer reach AWS."""
    hosts = sandbox_client().post("cut", {"target": target})["hosts"]
    typer.echo(f"cut: {', '.join(hosts)}", err=True)
    typer.echo(f"undo with: fleet sandbox restore {target}", err=True)


def restore(target: TargetArgument) -> None:
    """Restore a link, as it was cut; ends flapping, too."""
    sandbox = sandbox_client()
    hosts = sandbox.post("restore", {"target": target})["hosts"]
    still = [
        f"{host['store']}/{host['name']}"
        for host in sandbox.get("hosts")["hosts"]
        if f"{host['store']}/{host['name']}" in hosts and host["link"] == "cut"
    ]
    typer.echo(f"restored: {', '.join(h for h in hosts if h not in still) or 'none'}", err=True)
    if still:
        typer.echo(
            f"still cut: {', '.join(still)}, which was cut by itself or with its store", err=True
        )


def slow(
    target: TargetArgument,
    mbps: Annotated[float, typer.Option("--mbps", help="Mbit/s it carries at most.")] = 1.0,
    off: Annotated[bool, typer.Option("--off", help="Its own speed again.")] = False,
) -> None:
    """Slow a link: images take longer to arrive."""
    hosts = sandbox_client().post("slow", {"target": target, "mbps": None if off else mbps})[
        "hosts"
    ]
    pace = "at their own speed" if off else f"{mbps:g} Mbit/s"
    typer.echo(f"{pace}: {', '.join(hosts)}", err=True)
    if not off:
        typer.echo(f"undo with: fleet sandbox slow {target} --off", err=True)


def flap(
    target: TargetArgument,
    every: Annotated[
        float, typer.Option(parser=span, metavar="SPAN", help="Length of a period.")
    ] = 300.0,
    down: Annotated[
        float, typer.Option(parser=span, metavar="SPAN", help="Its part without a link.")
    ] = 120.0,
) -> None:
    """Let a link come and go, in the sandbox's time."""
    body = {"target": target, "every_s": every, "down_s": down}
    hosts = sandbox_client().post("flap", body)["hosts"]
    typer.echo(f"down {down:g} s in every {every:g} s: {', '.join(hosts)}", err=True)
    typer.echo(f"undo with: fleet sandbox restore {target}", err=True)


def image(
    reference: Annotated[
        str | None,
        typer.Argument(
            help="Whole reference, digest (sha256:...), or repository with or without tag; "
            "without one, list what was told."
        ),
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="What it does: ok, crash, unhealthy or kills-link.")
    ] = None,
    after: Annotated[
        float | None,
        typer.Option(parser=span, metavar="SPAN", help="So long after its start."),
    ] = None,
    exit_code: Annotated[int | None, typer.Option(help="Of a crash.")] = None,
    log: Annotated[str | None, typer.Option(help="Its last line.")] = None,
    pull: Annotated[
        str | None, typer.Option(help="How a pull ends: ok, missing or denied.")
    ] = None,
    pull_fails: Annotated[
        int | None, typer.Option(help="So many pulls fail on each host first.")
    ] = None,
    size_mb: Annotated[float | None, typer.Option(help="What a host downloads, in MB.")] = None,
    architecture: Annotated[
        list[str] | None, typer.Option(help="It is built for: amd64, arm64; may be repeated.")
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD",
            help="Only there: an architecture, hardware, store or STORE/HOST; may be repeated.",
        ),
    ] = None,
    good: Annotated[bool, typer.Option("--good", help="A good image again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what an image is and does when it runs.

    Holds for pulls and starts from now on, and replaces what was said of it before.
    """
    given = {
        "run": run,
        "after_s": after,
        "exit_code": exit_code,
        "log": log,
        "pull": pull,
        "pull_fails": pull_fails,
        "size_mb": size_mb,
        "architectures": architecture or None,
        "on": on or None,
    }
    behaviour = {name: value for name, value in given.items() if value is not None}
    sandbox = sandbox_client()
    if reference is not None and (behaviour or good):
        sandbox.tell_images({reference: None if good else behaviour})
    elif behaviour or good:
        raise UsageError(
            "which image is meant?", hint="fleet sandbox image REFERENCE --run crash, for example"
        )
    images = sandbox.images()
    if as_json:
        show(document("sandbox-images", {"images": images}))
        return
    for name, told in images.items():
        if reference in {None, name}:
            typer.echo(f"{name}  {', '.join(f'{key} {_word(told[key])}' for key in told)}")
    if reference not in {None, *images}:
        typer.echo(f"{reference}  good")


def clock(
    rate: Annotated[
        float | None,
        typer.Option(min=0, help="Sandbox seconds per second from now on; 0 stands still."),
    ] = None,
    advance: Annotated[
        float | None,
        typer.Option(parser=span, metavar="SPAN", help="Jump ahead, as 30m or 2h."),
    ] = None,
) -> None:
    """Show the clock, set its pace, or jump ahead.

    What is due on the way of a jump happens.
    """
    sandbox = sandbox_client()
    if rate is not None:
        sandbox.put("clock", {"rate": rate})
    left = advance or 0.0
    while left > 0:
        sandbox.post("clock/advance", {"seconds": min(left, _STEP_S)})
        left -= _STEP_S
    told = sandbox.get("clock")
    now = datetime.fromtimestamp(told["now"], UTC)
    pace = f"{told['rate']:g}x real time" if told["rate"] else "standing still"
    typer.echo(f"{now:%Y-%m-%dT%H:%M:%SZ}  {pace}")


def _word(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)
