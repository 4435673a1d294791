"""``fleet cron`` from its words to what it prints. Imported when it runs, never for help."""

import grp
import os
import pwd
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import typer

from fleet.cli.options import seconds_of
from fleet.drift.view.cron import Job, files, secrets_template
from fleet.errors import FleetError, UsageError
from fleet.inventory.loader import load_fleet
from fleet.model.drift_settings import Severity
from fleet.model.inventory import Fleet
from fleet.model.notify import MailChannel, WebhookChannel
from fleet.runtime.state_dir import state_dir

#: What a scan is told by its surroundings, which are others under cron; those that the command
#: itself says already are left out.
_SURROUNDINGS = re.compile(
    r"(FLEET|AWS|BOTO)_\w+|(HTTPS?|NO|ALL)_PROXY|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|PG\w+"
)
_SAID = frozenset({"FLEET_INVENTORY", "FLEET_STATE"})
#: Nobody wants a scan to begin in the next shift.
_LONGEST_JITTER_S = 6 * 3600


@dataclass(frozen=True, slots=True)
class CronWords:
    """The words of the command, as its options explain them."""

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
    form: str = "all"
    write: Path | None = None


def schedule(words: CronWords) -> None:
    """Print or write what was asked for; on stderr what the person has to see to.

    Raises:
        UsageError: a word means nothing, or a path cannot be written down.
        FleetError: a file cannot be written.
    """
    fleet = load_fleet(words.inventory, state_dir())
    if words.notify and not fleet.channels:
        raise UsageError(
            "--notify, but the inventory names nobody to tell",
            hint="write down channels in fleet.yaml under notify:",
        )
    job = job_of(words)
    made = files(job, words.form)
    names = surroundings(fleet if words.notify else None, os.environ)
    if words.write is None:
        typer.echo("\n".join(made.values()), nl=False)
    else:
        _write(words.write, made, names)
    if names:
        typer.echo(
            f"it runs in surroundings of its own: put what it needs of {', '.join(names)} into "
            f"{job.secrets} (NAME='value', chmod 600)",
            err=True,
        )


def job_of(words: CronWords) -> Job:
    """The job with absolute paths, run as who runs this.

    Raises:
        UsageError: a word means nothing.
    """
    folder = Path.cwd()
    state = folder / state_dir()
    user, group = _person()
    return Job(
        fleet=_program(),
        folder=str(folder),
        inventory=str(folder / words.inventory),
        report=str(folder / words.report) if words.report else "",
        log=str(folder / words.log if words.log else state / "logs" / "drift.log"),
        secrets=str(folder / words.env_file if words.env_file else state / "cron.env"),
        state=str(state) if os.environ.get("FLEET_STATE") else "",
        at=_time(words.at),
        time_zone=_zone(words.time_zone),
        jitter_s=_jitter(words.jitter),
        notify=words.notify,
        user=user,
        group=group,
        own=words.own,
        looks=_looks(words),
    )


def _looks(words: CronWords) -> tuple[str, ...]:
    digests = ("--digests",) if words.digests else ()
    deep = ("--deep",) if words.deep else ()
    ends = ("--fail-on", words.fail_on.value) if words.fail_on else ()
    return (*digests, *deep, *ends)


def surroundings(fleet: Fleet | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Names of variables that a scan may need and cron does not have; never their values.

    Args:
        fleet: whose channels have secrets; None when nobody is told.
    """
    found = {name for name in environment if _SURROUNDINGS.fullmatch(name.upper())} - _SAID
    for channel in fleet.channels if fleet is not None else ():
        if isinstance(channel, MailChannel) and channel.password_env:
            found.add(channel.password_env)
        if isinstance(channel, WebhookChannel):
            found.add(channel.url_env)
    return tuple(sorted(found))


def _person() -> tuple[str, str]:
    """User and group of this process; their numbers where a container has no names for them."""
    try:
        person = pwd.getpwuid(os.getuid())
        return person.pw_name, grp.getgrgid(person.pw_gid).gr_name
    except KeyError:
        return str(os.getuid()), str(os.getgid())


def _program() -> tuple[str, ...]:
    """The ``fleet`` beside this Python, else this Python itself."""
    beside = Path(sys.executable).parent / "fleet"
    if os.access(beside, os.X_OK):
        return (str(beside),)
    return (sys.executable, "-m", "fleet")


def _time(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text)
    if match is None:
        raise UsageError(f'--at "{text}" is no time of day', hint="as 03:30")
    return int(match[1]), int(match[2])


def _zone(text: str) -> str:
    try:
        return ZoneInfo(text).key if text else ""
    except (OSError, ValueError, LookupError):
        raise UsageError(f'--tz "{text}" is no IANA time zone', hint="as Europe/London") from None


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
