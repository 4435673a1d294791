"""``fleet cron``: prints what makes a machine run ``fleet drift`` every night."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fleet.cli.options import (
    DEFAULT_INVENTORY,
    DeepOption,
    DigestsOption,
    FailOnOption,
    InventoryOption,
)


class CronFormat(StrEnum):
    """What is printed."""

    ALL = "all"
    CRONTAB = "crontab"
    SYSTEMD = "systemd"
    LOGROTATE = "logrotate"


def cron(
    at: Annotated[str, typer.Option("--at", metavar="HH:MM", help="When it begins.")] = "03:30",
    tz: Annotated[
        str,
        typer.Option(
            "--tz",
            metavar="ZONE",
            help="Time zone of --at, as Europe/London; without it the machine's own.",
            show_default=False,
        ),
    ] = "",
    jitter: Annotated[
        str,
        typer.Option(
            "--jitter", metavar="TIME", help="Begin at random within so long; 0 for none."
        ),
    ] = "10m",
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Folder of the reports.", show_default=False),
    ] = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Tell the channels of fleet.yaml's notify:.")
    ] = False,
    digests: DigestsOption = False,
    deep: DeepOption = False,
    fail_on: FailOnOption = None,
    user: Annotated[
        bool, typer.Option("--user", help="For your own systemd, instead of the machine's.")
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            metavar="PATH",
            help="Where cron's output goes; without it logs/drift.log in the state folder.",
            show_default=False,
        ),
    ] = None,
    env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file",
            metavar="PATH",
            help="File of secrets, NAME='value'; without it cron.env in the state folder.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[CronFormat, typer.Option("--format", help="What to print.")] = CronFormat.ALL,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            metavar="DIR",
            help="Write the files there instead of printing them.",
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
    from fleet.cli.scheduling import CronWords, schedule

    schedule(
        CronWords(
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
            form=form.value,
            write=write,
            inventory=inventory,
        )
    )
