"""Every test starts from a clean environment and never reaches AWS by accident."""

import itertools
import os
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import Phase, settings

# How long an example takes says more about the machine than about the code. Which examples are
# tried is the same in every run, so that a change and what it breaks are seen together; new ones
# are looked for with --hypothesis-profile=explore.
settings.register_profile("fleet", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
# What fails need not be made small to tell that a mutant is noticed.
settings.register_profile(
    "mutation", deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("fleet")

# A shell starts what it puts into the background with Ctrl-C ignored, and every process that the
# tests start would inherit that; those that are interrupted would wait for ever.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

_NUMBERS = itertools.count()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests marked long")
    parser.addoption("--longest", action="store_true", help="also run the tests marked longest")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for mark in ("long", "longest"):
        if config.getoption(f"--{mark}"):
            continue
        for item in items:
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=f"needs --{mark}"))


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the homes of all tests: pytest reads a whole folder to number a new one."""
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, homes: Path) -> Path:
    """No AWS or fleet variable of the developer's leaks in; home is an empty folder."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "FLEET_", "BOTO_")) or name == "SSH_AUTH_SOCK":
            monkeypatch.delenv(name)
    home = homes / str(next(_NUMBERS))
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return home
