"""The code of an activation is found nowhere but in the agent's own call on the host."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scenarios.conftest import HANGS_S, World
from tests.scenarios.test_register import NEW, TakeStore

#: Runs fleet as it is, but tells this test (and nobody else) the codes that AWS gave out.
EAVESDROP = """
import os, sys
from fleet.register import host_run
create = host_run.create_activation
told = open(os.environ["CODES_TO"], "a", buffering=1)
def create_and_tell(*args, **words):
    activation, code = create(*args, **words)
    told.write(code.reveal() + "\\n")
    return activation, code
host_run.create_activation = create_and_tell
sys.argv = ["fleet", *sys.argv[1:]]
from fleet.cli.main import main
main()
"""


@contextmanager
def watching_argument_lists() -> Iterator[set[str]]:
    """Collects the argument list of every process on this machine while inside."""
    seen: set[str] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_text(errors="replace"))
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(False, id="registered"),
        pytest.param(True, id="refused by AWS", marks=pytest.mark.long),
    ],
)
def test_the_code_is_found_nowhere(
    world: World, store: TakeStore, tmp_path: Path, refused: bool
) -> None:
    shop = store()
    codes_to = tmp_path / "codes"
    if refused:
        world.fault("ssm:RegisterManagedInstance", "InvalidActivation", status=400, count=2)

    with watching_argument_lists() as argument_lists:
        ran = subprocess.run(
            [sys.executable, "-c", EAVESDROP, "register", shop, *NEW],
            check=False,
            capture_output=True,
            text=True,
            cwd=world.folder,
            env={**world.env, "CODES_TO": str(codes_to)},
            timeout=HANGS_S,
        )
    world.control("faults", {"clear": True})

    assert ran.returncode == int(refused), ran.stderr
    codes = codes_to.read_text().split()
    assert len(codes) == 2
    for code in codes:
        assert len(code) >= 20
        assert code not in ran.stdout + ran.stderr
        ours = [words for words in argument_lists if code in words and "-register" not in words]
        assert ours == []
        held = [
            path
            for path in world.folder.rglob("*")
            if path.is_file() and code.encode() in path.read_bytes()
        ]
        assert held == []
    assert any(shop in words for words in argument_lists)
