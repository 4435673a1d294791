"""``fleet cron``: prints crontab lines and systemd units that run ``fleet drift`` every night."""

import grp
import os
import pwd
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from fleet.cli.options import (
    DEFAULT_INVENTORY,
    DeepOption,
    DigestsOption,
    FailOnOption,
    InventoryOption,
    seconds_of,
)
from fleet.drift.view.cron import Job, files, secrets_template
from fleet.errors import FleetError, UsageError
from fleet.inventory.decide.checks import check_channels
from fleet.inventory.loader import load_fleet
from fleet.model.drift_settings import Severity
from fleet.model.inventory import Fleet
from fleet.model.notify import MailChannel, WebhookChannel
from fleet.runtime.state_dir import state_dir

#: Environment variables that a scan reads, which cron does not pass on.
_VARIABLES = re.compile(
    r"(FLEET|AWS|BOTO)_\w+|(HTTPS?|NO|ALL)_PROXY|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|PG\w+"
)
#: Those that the command line gives already.
_GIVEN = frozenset({"FLEET_INVENTORY", "FLEET_STATE"})
#: Longer, and the scan would start in the next shift.
_LONGEST_JITTER_S = 6 * 3600


class CronFormat(StrEnum):
    """What is printed."""

    ALL = "all"
    CRONTAB = "crontab"
    SYSTEMD = "systemd"
    LOGROTATE = "logrotate"


@dataclass(frozen=True, slots=True)
class CronRequest:
    """What ``fleet cron`` is asked for; ``own`` means one's own systemd."""

    inventory: Path
    at: str = "03:30"
    time_zone: str = ""
    jitter: str = "10m"
    report: Path | None = None
    notify: bool = False
    digests: bool = False
    deep: bool = False
    fail_on: Severity | None = None
    own: bool = False
    log: Path | None = None
    env_file: Path | None = None
    form: CronFormat = CronFormat.ALL
    write: Path | None = None


def cron(
    at: Annotated[
        str, typer.Option("--at", metavar="HH:MM", help="Time of day at which the scan starts.")
    ] = "03:30",
    tz: Annotated[
        str,
        typer.Option(
            "--tz",
            metavar="ZONE",
            help="Time zone of --at, as Europe/London; default the machine's own.",
            show_default=False,
        ),
    ] = "",
    jitter: Annotated[
        str,
        typer.Option(
            "--jitter",
            metavar="TIME",
            help="Start after a random delay of at most this long; 0 for none.",
        ),
    ] = "10m",
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Folder for the reports.", show_default=False),
    ] = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Notify the channels under notify: in fleet.yaml.")
    ] = False,
    digests: DigestsOption = False,
    deep: DeepOption = False,
    fail_on: FailOnOption = None,
    user: Annotated[
        bool,
        typer.Option("--user", help="Make units for your own systemd, instead of the machine's."),
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            metavar="PATH",
            help="File for cron's output; default logs/drift.log in the state folder.",
            show_default=False,
        ),
    ] = None,
    env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file",
            metavar="PATH",
            help="File of secrets, NAME='value'; default cron.env in the state folder.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[CronFormat, typer.Option("--format", help="What to print.")] = CronFormat.ALL,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            metavar="DIR",
            help="Write the files to this folder instead of printing them.",
            show_default=False,
        ),
    ] = None,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Print what runs `fleet drift` every night: crontab or systemd.

    Prints a crontab line, a systemd timer and service, and a logrotate rule. They run this
    installation in this folder, and work as they are. Two scans never overlap. Secrets are not
    printed: they are read from a file, which is named.
    """
    schedule(
        CronRequest(
            at=at,
            time_zone=tz,
            jitter=jitter,
            report=report,
            notify=notify,
            digests=digests,
            deep=deep,
            fail_on=fail_on,
            own=user,
            log=log,
            env_file=env_file,
            form=form,
            write=write,
            inventory=inventory,
        )
    )


def schedule(request: CronRequest) -> None:
    """Print or write what was asked for, and on stderr what the person has to do.

    Raises:
        UsageError: an option is wrong, or a path cannot be quoted.
        FleetError: a file cannot be written.
    """
    fleet = load_fleet(request.inventory, state_dir())
    if request.notify:
        check_channels(fleet)
    job = job_of(request)
    made = files(job, request.form.value)
    names = variables_needed(fleet if request.notify else None, os.environ)
    if request.write is None:
        typer.echo("\n".join(made.values()), nl=False)
    else:
        _write(request.write, made, names)
    if names:
        typer.echo(
            f"cron does not pass on your environment: put what the scan needs of "
            f"{', '.join(names)} into {job.secrets} (NAME='value', chmod 600)",
            err=True,
        )


def job_of(request: CronRequest) -> Job:
    """Return the job with absolute paths, for the user who runs this.

    Raises:
        UsageError: a word means nothing.
    """
    folder = Path.cwd()
    state = folder / state_dir()
    user, group = _user_and_group()
    return Job(
        fleet=_program(),
        folder=str(folder),
        inventory=str(folder / request.inventory),
        report=str(folder / request.report) if request.report else "",
        log=str(folder / request.log if request.log else state / "logs" / "drift.log"),
        secrets=str(folder / request.env_file if request.env_file else state / "cron.env"),
        state=str(state) if os.environ.get("FLEET_STATE") else "",
        at=_time(request.at),
        time_zone=_zone(request.time_zone),
        jitter_s=_jitter(request.jitter),
        notify=request.notify,
        user=user,
        group=group,
        own=request.own,
        looks=_scan_options(request),
    )


def _scan_options(request: CronRequest) -> tuple[str, ...]:
    digests = ("--digests",) if request.digests else ()
    deep = ("--deep",) if request.deep else ()
    ends = ("--fail-on", request.fail_on.value) if request.fail_on else ()
    return (*digests, *deep, *ends)


def variables_needed(fleet: Fleet | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of variables that a scan may need and cron does not have.

    Args:
        fleet: whose channels have secrets; None when nobody is told.
    """
    found = {name for name in environment if _VARIABLES.fullmatch(name.upper())} - _GIVEN
    for channel in fleet.channels if fleet is not None else ():
        if isinstance(channel, MailChannel) and channel.password_env:
            found.add(channel.password_env)
        if isinstance(channel, WebhookChannel):
            found.add(channel.url_env)
    return tuple(sorted(found))


def _user_and_group() -> tuple[str, str]:
    """Return user and group of this process, as numbers where they have no names."""
    try:
        person = pwd.getpwuid(os.getuid())
        return person.pw_name, grp.getgrgid(person.pw_gid).gr_name
    except KeyError:
        return str(os.getuid()), str(os.getgid())


def _program() -> tuple[str, ...]:
    """Return the ``fleet`` beside this Python, else this Python itself."""
    beside = Path(sys.executable).parent / "fleet"
    if os.access(beside, os.X_OK):
        return (str(beside),)
    return (sys.executable, "-m", "fleet")


def _time(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text)
    if match is None:
        raise UsageError(f'--at "{text}" is not a time of day', hint="as 03:30")
    return int(match[1]), int(match[2])


def _zone(text: str) -> str:
    try:
        return ZoneInfo(text).key if text else ""
    except (OSError, ValueError, LookupError):
        raise UsageError(
            f'--tz "{text}" is not an IANA time zone', hint="as Europe/London"
        ) from None


def _jitter(text: str) -> int:
    seconds = seconds_of(text)
    if seconds > _LONGEST_JITTER_S:
        raise UsageError(f"--jitter {text} is too long", hint="at most 6h")
    return round(seconds)


def _write(folder: Path, made: Mapping[str, str], names: tuple[str, ...]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            (folder / name).write_text(text, encoding="utf-8")
            typer.echo(str(folder / name))
        template = folder / "cron.env.example"
        template.write_text(secrets_template(names), encoding="utf-8")
        typer.echo(str(template))
    except OSError as error:
        raise FleetError(
            f"{folder} cannot be written: {error.strerror}", hint="name another --write DIR"
        ) from error
