"""Writes the nightly scan for cron, systemd and logrotate, every word quoted for its reader.

Sources: crontab(5) of cronie and of Debian (``%``, CRON_TZ, at most 1,000 characters per command),
systemd.service(5), systemd.syntax(7) and systemd.timer(5), logrotate(8).
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet.errors import UsageError

#: Name of the units and files.
NAME = "fleet-drift"
#: Characters of a command in a crontab; vixie-cron and its heirs take no more.
LONGEST = 998
#: Exit code of a scan while another one runs; ``flock`` ends with the same.
LOCKED = 5
#: systemd starts no program whose path holds one of the first two, and puts no variable into it.
_NO_PROGRAM = frozenset("\"'$")
_ENDS = (
    "Ends with 0 in sync, 3 drift found, 1 something could not be read, written or told,",
    "2 wrong words, files or credentials, 5 another run is still at it.",
)


@dataclass(frozen=True, slots=True)
class Job:
    """A nightly scan on one machine; all paths are absolute.

    Attributes:
        fleet: words that start fleet, as ``/srv/venv/bin/fleet``.
        folder: where it runs; also what the lock is on, so that no lock file is needed.
        report: folder of reports; "" for none.
        log: file that cron's output goes to; systemd has its journal.
        secrets: file of NAME='value' lines that only its owner can read; it need not exist.
        state: FLEET_STATE; "" for ``.fleet`` in ``folder``.
        at: hour and minute.
        time_zone: IANA name; "" for the machine's own.
        jitter_s: begins at random within so many seconds after it.
        notify: whether channels are told.
        user: whose job it is.
        group: of that user.
        own: whether that user installs it, rather than root.
        looks: options of the scan, as ``("--digests",)``.
    """

    fleet: tuple[str, ...]
    folder: str
    inventory: str
    report: str
    log: str
    secrets: str
    state: str
    at: tuple[int, int]
    time_zone: str
    jitter_s: int
    notify: bool
    user: str
    group: str
    own: bool
    looks: tuple[str, ...] = ()

    def words(self, *, jitter: bool) -> tuple[str, ...]:
        """Return the command.

        Args:
            jitter: whether fleet itself waits; systemd does that without it.
        """
        report = ("--report", self.report) if self.report else ()
        waits = ("--jitter", f"{self.jitter_s}s") if jitter and self.jitter_s else ()
        tells = ("--notify",) if self.notify else ()
        scan = (*self.fleet, "drift", "--inventory", self.inventory, *self.looks)
        return (*scan, *report, *waits, *tells)

    @property
    def when(self) -> str:
        """Return ``03:30 Europe/London``."""
        hour, minute = self.at
        return f"{hour:02}:{minute:02} {self.time_zone}".rstrip()

    def check(self) -> None:
        """Refuse paths that cannot be written for the readers.

        Raises:
            UsageError: a path holds a backslash or a control character, or a blank at an end.
        """
        for path in (*self.fleet, *self._paths):
            if path != path.strip() or "\\" in path or not path.isprintable():
                raise UsageError(
                    f"the path {path!r} cannot be written for cron and systemd",
                    hint="use one without backslashes, control characters and blanks at its ends",
                )

    @property
    def _paths(self) -> Sequence[str]:
        return (self.folder, self.inventory, self.report, self.log, self.secrets, self.state)


def crontab(job: Job) -> str:
    """Return lines for ``crontab -e``.

    Raises:
        UsageError: the command is longer than cron takes.
    """
    command = _cron_command(job)
    if len(command) > LONGEST:
        raise UsageError(
            f"the command has {len(command)} characters, and cron takes {LONGEST}",
            hint="use --format systemd, or shorter paths",
        )
    hour, minute = job.at
    zone = (
        [
            "# CRON_TZ is cronie's, and holds for all lines below it. Debian's cron ignores it and",
            "# goes by the machine's zone: set that (timedatectl), or take the systemd timer.",
            f"CRON_TZ={job.time_zone}",
        ]
        if job.time_zone
        else []
    )
    return _lines(
        f"# fleet drift, every night at {job.when}; for `crontab -e` of {job.user}.",
        *(f"# {line}" for line in _ENDS),
        "# What is neither 0 nor 3 is printed too, which cron mails to MAILTO.",
        f"# Secrets and FLEET_DATABASE_URL are read from {job.secrets}",
        "# (NAME='value', mode 0600).",
        *zone,
        f"{minute} {hour} * * * {command}",
    )


def _cron_command(job: Job) -> str:
    """Return one line of /bin/sh; paths that it needs twice are variables, to keep it short."""
    names = {"d": job.folder, "e": job.secrets, "l": job.log}
    state = f"FLEET_STATE={shlex.quote(job.state)} " if job.state else ""
    steps = (
        'cd "$d"',
        'mkdir -p "${l%/*}"',
        'if [ -r "$e" ]; then set -a; . "$e"; set +a; fi',
        f'{state}flock -n -E {LOCKED} "$d" {shlex.join(job.words(jitter=True))} >>"$l" 2>&1',
    )
    whole = (
        f"{' '.join(f'{name}={shlex.quote(path)}' for name, path in names.items())}; "
        f"{' && '.join(steps)}; s=$?; "
        '[ $s = 0 ] || [ $s = 3 ] || echo "fleet drift ended with $s, see $l"; exit $s'
    )
    # Unescaped, cron takes it for the end of the line; within quotes too.
    return whole.replace("%", "\\%")


def service(job: Job) -> str:
    """Return the unit that runs one scan."""
    # Only a machine's units know whether it is on line; a person's have no such target.
    network = [] if job.own else ["Wants=network-online.target", "After=network-online.target"]
    user = [] if job.own else [f"User={job.user}"]
    state = [f"Environment={_unit_quote(f'FLEET_STATE={job.state}')}"] if job.state else []
    words = job.words(jitter=False)
    if set(words[0]) & _NO_PROGRAM:
        words = ("/usr/bin/env", *words)
    program = " ".join(_unit_quote(word, "$") for word in words)
    return _lines(
        f"# {_unit_folder(job)}/{NAME}.service",
        "[Unit]",
        "Description=fleet drift: the nightly scan of the shops",
        *network,
        "",
        "[Service]",
        "Type=oneshot",
        *user,
        f"WorkingDirectory={_percent(job.folder)}",
        "# Secrets and FLEET_DATABASE_URL: NAME='value', mode 0600. The - lets it be absent.",
        f"EnvironmentFile=-{_percent(_literal(job.secrets))}",
        *state,
        f"ExecStart={program}",
        *(f"# {line}" for line in _ENDS),
        "# Drift that was found is a scan that did its work; all else is a failed unit.",
        "SuccessExitStatus=3",
        "TimeoutStartSec=6h",
        "Nice=10",
        f"# What it says is in the journal, which rotates itself: {_journal(job)}",
    )


def timer(job: Job) -> str:
    """Return the unit that begins a scan every night."""
    hour, minute = job.at
    zone = f" {job.time_zone}" if job.time_zone else ""
    jitter = [f"RandomizedDelaySec={job.jitter_s}s"] if job.jitter_s else []
    own = " --user" if job.own else ""
    linger = [f"# and once: loginctl enable-linger {job.user}"] if job.own else []
    return _lines(
        f"# {_unit_folder(job)}/{NAME}.timer",
        f"# then: systemctl{own} daemon-reload && systemctl{own} enable --now {NAME}.timer",
        *linger,
        "[Unit]",
        f"Description=fleet drift, every night at {job.when}",
        "",
        "[Timer]",
        f"OnCalendar=*-*-* {hour:02}:{minute:02}:00{zone}",
        *jitter,
        "# A night that was missed because the machine was off is made up for.",
        "Persistent=true",
        "",
        "[Install]",
        "WantedBy=timers.target",
    )


def logrotate(job: Job) -> str:
    """Return the rule that keeps cron's log short.

    Raises:
        UsageError: logrotate takes no such path.
    """
    if set("{}") & set(job.log):
        raise UsageError(f"logrotate takes no path with braces: {job.log}", hint="use --log PATH")
    path = _literal(job.log).replace('"', '\\"')
    where = (
        f"# as {job.user}, weekly: logrotate --state {shlex.quote(job.log + '.rotated')} THIS-FILE"
        if job.own
        else f"# /etc/logrotate.d/{NAME}"
    )
    su = [] if job.own else [f"    su {job.user} {job.group}"]
    return _lines(
        where,
        f'"{path}" {{',
        *su,
        "    weekly",
        "    rotate 8",
        "    maxsize 10M",
        "    missingok",
        "    notifempty",
        "    nocreate",
        "    compress",
        "    # A scan that goes on meanwhile still writes into the newest old one.",
        "    delaycompress",
        "}",
    )


def secrets_template(names: Sequence[str]) -> str:
    """Return the file of secrets with empty values."""
    return _lines(
        "# Environment of the nightly fleet drift. Keep it readable by its owner alone: chmod 600.",
        "# cron's shell and systemd both read it: NAME='value', one per line.",
        *(f"#{name}=''" for name in names),
    )


def files(job: Job, form: str) -> Mapping[str, str]:
    """Return texts by file name, for one of ``crontab``, ``systemd``, ``logrotate`` and ``all``."""
    job.check()
    forms = {
        "crontab": {f"{NAME}.crontab": crontab},
        "systemd": {f"{NAME}.service": service, f"{NAME}.timer": timer},
        "logrotate": {f"{NAME}.logrotate": logrotate},
    }
    wanted = forms.values() if form == "all" else [forms[form]]
    return {name: make(job) for one in wanted for name, make in one.items()}


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def _percent(text: str) -> str:
    """Escape %, which begins a specifier in most of what units say."""
    return text.replace("%", "%%")


def _unit_quote(word: str, doubled: str = "") -> str:
    """Return a word in double quotes, with ``doubled`` written twice."""
    for mark in doubled:
        word = word.replace(mark, mark * 2)
    return '"' + _percent(word).replace('"', '\\"') + '"'


def _literal(path: str) -> str:
    """Escape a path where patterns are taken, so that it stands for itself alone."""
    return re.sub(r"[*?\[]", lambda mark: f"[{mark[0]}]", path)


def _unit_folder(job: Job) -> str:
    return "~/.config/systemd/user" if job.own else "/etc/systemd/system"


def _journal(job: Job) -> str:
    return f"journalctl{' --user' if job.own else ''} -u {NAME}"
