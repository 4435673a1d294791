"""Writes the folder of nightly reports: each file whole or not at all, the newest as ``latest.*``.

Only files with names that fleet makes are ever replaced or removed there.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

#: By ending, in the order in which they are written: the largest and last is the page.
ENDINGS = ("md", "json", "html")
_DATED = "drift-%Y-%m-%dT%H%MZ"
_OWN = re.compile(
    rf"\.?(?P<dated>drift-\d{{4}}-\d\d-\d\dT\d{{4}}Z)\.(?:{'|'.join(ENDINGS)})(?:\.tmp)?"
)
#: Permissions before the umask.
_MODE = 0o644


class ReportFolder:
    """Keeps a report per scan, and copies of the newest as ``latest.*``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def problem(self) -> str:
        """Make the folder; return why nothing can be written there, "" when it can."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with _whole(self.path / "latest.probe") as probe:
                probe.write("fleet can write here\n")
            (self.path / "latest.probe").unlink()
        except OSError as error:
            return folder_words(error, self.path)
        return ""

    def write(self, at: datetime, parts: Mapping[str, Callable[[], Iterable[str]]]) -> Path:
        """Write a report; what was there before stays until the new one is whole.

        Args:
            at: of the scan; names the files.
            parts: by ending, the text in pieces.

        Returns:
            The path of the page.

        Raises:
            OSError: the disk is full, or the folder is gone or not writable.
        """
        name = at.astimezone(UTC).strftime(_DATED)
        for ending in ENDINGS:
            with _whole(self.path / f"{name}.{ending}") as out:
                out.writelines(parts[ending]())
        for ending in ENDINGS:
            source = self.path / f"{name}.{ending}"
            with (
                source.open(encoding="utf-8", newline="") as read,
                _whole(self.path / f"latest.{ending}") as out,
            ):
                shutil.copyfileobj(read, out)
        return self.path / f"{name}.html"

    def prune(self, before: datetime) -> int:
        """Remove fleet's own reports of scans before a time; return how many files.

        A file that cannot be removed stays and is tried again the next night.
        """
        removed = 0
        with suppress(OSError):
            for path in sorted(self.path.iterdir()):
                made_at = _made_at(path.name)
                if made_at is not None and made_at < before:
                    with suppress(OSError):
                        path.unlink()
                        removed += 1
        return removed


def folder_words(error: OSError, folder: Path) -> str:
    """Say what went wrong with the folder."""
    path = error.filename if isinstance(error.filename, str) else str(folder)
    return f"no report can be written: {path}: {error.strerror or error}"


def _made_at(name: str) -> datetime | None:
    match = _OWN.fullmatch(name)
    if match is None:
        return None
    try:
        return datetime.strptime(match["dated"], _DATED).replace(tzinfo=UTC)
    except ValueError:  # digits that are no date
        return None


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """Open a file that appears under its name when it is whole and on the disk.

    What a killed run left of it is replaced: its name is the same.
    """
    partial = path.with_name(f".{path.name}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    descriptor = os.open(partial, flags, _MODE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
