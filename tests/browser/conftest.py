"""A headless Chromium that the machine has: nothing is downloaded for it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from fleet.drift.view.page.document import page_of
from fleet.drift.view.report import report_of
from fleet.model.scan_result import ScanResult
from tests.nights import NOW, night

#: Read at once: the tests themselves run without variables of fleet's.
NEEDED = bool(os.environ.get("FLEET_TEST_NEEDS_CHROMIUM"))

_ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # it opens files of these tests only, and root has no sandbox
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

#: Opens a night in a page of its own, with options of Playwright's contexts.
Open = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = "there is no chromium on this machine"
        if NEEDED:
            pytest.fail(f"FLEET_TEST_NEEDS_CHROMIUM is set, but {reason}", pytrace=False)
        pytest.skip(reason)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of ten thousand stores and thirty nights, which takes seconds to make."""
    return written(night(10_000, 30), tmp_path_factory.mktemp("large"))


#: Pages that were made already, with their nights, so that no other gets the same id.
_MADE: dict[int, tuple[ScanResult, str]] = {}


def written(made: ScanResult, folder: Path) -> Path:
    if id(made) not in _MADE:
        _MADE[id(made)] = (made, page_of(report_of(made, NOW)))
    file = folder / "drift.html"
    file.write_text(_MADE[id(made)][1], encoding="utf-8")
    return file


@pytest.fixture
def opened(chromium: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens files or nights; whatever a page asks of a network or complains of fails the test."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def open_(what: ScanResult | Path, *, fragment: str = "", **options: object) -> Page:
        file = what if isinstance(what, Path) else written(what, tmp_path)
        context = chromium.new_context(**options)  # type: ignore[arg-type] # as Playwright has them
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: _own(request.url, file, wrong))
        page.on("console", lambda said: wrong.append(said.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(file.as_uri() + fragment)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


def _own(url: str, file: Path, wrong: list[str]) -> None:
    if url.partition("#")[0] != file.as_uri():
        wrong.append(f"asked for {url}")
