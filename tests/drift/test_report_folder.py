"""Reports on disk: whole or not at all, readable by others, and no more of them than wanted."""

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from fleet.drift.report_folder import ENDINGS, ReportFolder, folder_words

AT = datetime(2026, 11, 23, 3, 31, 2, tzinfo=UTC)
Parts = Mapping[str, Callable[[], Iterable[str]]]


def parts(text: str = "one") -> Parts:
    return {ending: partial(tuple, (text, f" {ending}\n")) for ending in ENDINGS}


def made(path: Path) -> ReportFolder:
    """A folder that was tried before the scan, as the command does."""
    folder = ReportFolder(path)
    assert folder.problem() == ""
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_report_is_there_under_its_date_and_as_the_latest(tmp_path: Path) -> None:
    page = made(tmp_path / "out" / "deep").write(AT, parts())

    assert page.name == "drift-2026-11-23T0331Z.html"
    assert names(page.parent) == [
        *(f"drift-2026-11-23T0331Z.{ending}" for ending in ("html", "json", "md")),
        *(f"latest.{ending}" for ending in ("html", "json", "md")),
    ]
    assert (page.parent / "latest.html").read_text() == page.read_text() == "one html\n"


def test_the_latest_is_the_newer_one_and_the_older_one_stays(tmp_path: Path) -> None:
    folder = ReportFolder(tmp_path)
    first = folder.write(AT, parts("one"))
    folder.write(AT + timedelta(days=1), parts("two"))

    assert first.read_text() == "one html\n"
    assert (tmp_path / "latest.md").read_text() == "two md\n"


def test_files_are_for_everybody_whom_the_umask_lets(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        page = ReportFolder(tmp_path).write(AT, parts())
    finally:
        os.umask(before)

    assert stat.S_IMODE(page.stat().st_mode) == 0o640


def test_a_report_that_breaks_off_leaves_the_latest_as_it_was(tmp_path: Path) -> None:
    folder = ReportFolder(tmp_path)
    folder.write(AT, parts("one"))

    def broken() -> Iterable[str]:
        yield "half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        folder.write(AT + timedelta(days=1), {**parts("two"), "html": broken})

    assert (tmp_path / "latest.html").read_text() == "one html\n"
    assert (tmp_path / "latest.json").read_text() == "one json\n"
    assert not [name for name in names(tmp_path) if name.endswith(".tmp")]


def test_what_a_killed_run_left_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".drift-2026-11-23T0331Z.html.tmp").write_text("half of another one, much longer")

    page = ReportFolder(tmp_path).write(AT, parts())

    assert page.read_text() == "one html\n"
    assert ".drift-2026-11-23T0331Z.html.tmp" not in names(tmp_path)


def test_a_link_laid_in_its_way_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "precious"
    other.write_text("kept")
    out = tmp_path / "out"
    out.mkdir()
    (out / ".latest.html.tmp").symlink_to(other)

    with pytest.raises(OSError, match=r"symbolic links|Too many levels"):
        ReportFolder(out).write(AT, parts())

    assert other.read_text() == "kept"


def test_a_folder_that_is_a_file_is_said_before_anything_is_scanned(tmp_path: Path) -> None:
    taken = tmp_path / "out"
    taken.write_text("a file")

    problem = ReportFolder(taken).problem()

    assert problem.startswith("no report can be written: ")
    assert str(taken) in problem


def test_trying_leaves_nothing_behind(tmp_path: Path) -> None:
    assert ReportFolder(tmp_path / "new").problem() == ""
    assert names(tmp_path / "new") == []


def test_only_old_reports_of_fleets_own_making_are_removed(tmp_path: Path) -> None:
    folder = ReportFolder(tmp_path)
    folder.write(AT - timedelta(days=100), parts())
    folder.write(AT, parts())
    others = ["notes.txt", "drift-2020.html", "drift-2020-13-45T9999Z.html", "drift-plan.md"]
    for name in others:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".drift-2020-01-01T0000Z.html.tmp").write_text("half")

    removed = folder.prune(AT - timedelta(days=90))

    assert removed == 4
    assert set(others) <= set(names(tmp_path))
    assert [n for n in names(tmp_path) if n.startswith(("drift-2026-08", "."))] == []
    assert "drift-2026-11-23T0331Z.html" in names(tmp_path)


def test_a_folder_that_went_away_is_no_reason_to_fail(tmp_path: Path) -> None:
    assert ReportFolder(tmp_path / "gone").prune(AT) == 0


def test_an_error_names_the_file() -> None:
    assert folder_words(PermissionError(13, "Permission denied", "/out/x"), Path("/out")) == (
        "no report can be written: /out/x: Permission denied"
    )
