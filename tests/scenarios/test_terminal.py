"""Register where the terminal hangs up, the pipe closes, or the person changes their mind."""

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleet.model.history import Run
from fleet.records.opening import open_records
from tests.scenarios.conftest import FLEET, HANGS_S, World
from tests.scenarios.test_register import NEW, TakeStore
from tests.scenarios.witness import truth


class Terminal:
    """A command on a terminal of its own, and everything that it drew there."""

    def __init__(self, world: World, *words: str) -> None:
        self._screen, inner = pty.openpty()
        self.drawn = ""
        try:
            self._process = subprocess.Popen(
                [*FLEET, *words],
                cwd=world.folder,
                env={**world.env, "TERM": "xterm"},
                stdin=inner,
                stdout=inner,
                stderr=inner,
                start_new_session=True,
            )
        finally:
            os.close(inner)

    def wait_for(self, words: str) -> None:
        """Until it has drawn these words."""
        self._read_until(lambda: words in self.drawn)
        assert words in self.drawn, f"never drew {words!r}: {self.drawn}"

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._screen, keys.encode())

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def interrupt(self) -> int:
        """Press Ctrl-C, again every second until it has ended; returns the exit code.

        Python sees a signal that comes between a prompt and the read behind it only with the next.
        """
        deadline = time.monotonic() + HANGS_S
        while self._process.poll() is None:
            assert time.monotonic() < deadline, self.drawn
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
        return self.end()

    def hang_up(self) -> None:
        """Close the window."""
        self.close()
        self._process.send_signal(signal.SIGHUP)

    def end(self) -> int:
        """Wait for its end; returns the exit code."""
        if self._screen >= 0:
            self._read_until(lambda: False)
        return self._process.wait(HANGS_S)

    def close(self) -> None:
        """Let go of the terminal."""
        if self._screen >= 0:
            os.close(self._screen)
            self._screen = -1

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        self._process.wait()
        self.close()

    def _read_until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + HANGS_S
        while not done():
            left = deadline - time.monotonic()
            assert left > 0, self.drawn
            if select.select([self._screen], [], [], left)[0]:
                try:
                    read = os.read(self._screen, 65536)
                except OSError:  # what Linux says once the last process has left a terminal
                    return
                self.drawn += read.decode(errors="replace")


@contextmanager
def terminal(world: World, *words: str) -> Iterator[Terminal]:
    shown = Terminal(world, *words)
    try:
        yield shown
    finally:
        shown.kill()


def last_run(world: World, shop: str) -> Run:
    with open_records(None, world.folder / ".fleet") as records:
        return next(run for run in records.runs(limit=200) if shop in run.command.split())


def outcome(world: World, shop: str) -> str:
    run = last_run(world, shop)
    assert run.finished_at is not None
    return run.outcome


def test_a_pipe_that_closes_loses_no_host_and_no_exit_code(world: World, store: TakeStore) -> None:
    shop = store()
    command = " ".join([*FLEET, "register", shop, *NEW])

    ran = subprocess.run(
        ["bash", "-c", f"{command} 2>&1 | head -3; exit ${{PIPESTATUS[0]}}"],
        check=False,
        cwd=world.folder,
        env=world.env,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
    )

    assert len(ran.stdout.splitlines()) == 3
    assert (ran.returncode, ran.stderr) == (0, "")
    truth(world, shop).assert_registered_once(world.hosts(shop))
    assert outcome(world, shop) == "done"


def test_a_reader_that_goes_away_before_the_status_comes_is_no_error(world: World) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = subprocess.run(
            [*FLEET, "status"],
            check=False,
            cwd=world.folder,
            env=world.env,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=HANGS_S,
        )
    finally:
        os.close(writer)

    assert (ran.returncode, ran.stderr) == (141, "")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("\x04", id="ctrl-d", marks=pytest.mark.long),
        pytest.param("n\r", id="no", marks=pytest.mark.long),
        pytest.param("\r", id="return"),
    ],
)
def test_whoever_does_not_agree_has_changed_no_host(
    world: World, store: TakeStore, answer: str
) -> None:
    shop = store()
    with terminal(world, "register", shop, "--accept-new-host-keys") as shown:
        shown.wait_for("Go on? [y/N]: ")
        shown.type(answer)

        assert shown.end() == 130

    assert shown.drawn.rstrip().endswith("\nno host was changed; 2 host keys were pinned")
    assert truth(world, shop).nodes == {}
    assert outcome(world, shop) == "declined"


@pytest.mark.long
def test_a_run_that_is_declined_with_all_keys_known_has_done_nothing(
    world: World, store: TakeStore
) -> None:
    shop = store()
    world.fleet("register", shop, "--plan", "--accept-new-host-keys")
    with terminal(world, "register", shop) as shown:
        shown.wait_for("Go on? [y/N]: ")
        shown.type("n\r")

        assert shown.end() == 130

    assert shown.drawn.rstrip().endswith("\nnothing was done")


def test_ctrl_c_at_the_question_ends_the_run_and_its_row(world: World, store: TakeStore) -> None:
    shop = store()
    with terminal(world, "register", shop, "--accept-new-host-keys") as shown:
        shown.wait_for("Go on? [y/N]: ")

        assert shown.interrupt() == 130

    assert "no host was changed; 2 host keys were pinned" in shown.drawn
    assert outcome(world, shop) == "interrupted"


@pytest.mark.long
def test_a_plan_says_how_many_keys_it_pinned(world: World, store: TakeStore) -> None:
    shop = store()

    first = world.fleet("register", shop, "--plan", "--accept-new-host-keys")
    again = world.fleet("register", shop, "--plan", "--accept-new-host-keys")

    assert "no host was changed; 2 host keys were pinned" in first.err
    assert "pinned" not in again.err
    assert outcome(world, shop) == "planned"


def test_a_run_that_must_not_ask_ends_its_row_as_refused(world: World, store: TakeStore) -> None:
    shop = store()

    ran = world.fleet("register", shop, "--accept-new-host-keys")

    assert ran.code == 2
    assert "no host was changed; 2 host keys were pinned" in ran.err
    assert outcome(world, shop) == "refused"


@pytest.mark.long
def test_an_install_script_that_is_not_pinned_ends_the_row_as_refused(
    world: World, store: TakeStore, tmp_path: Path
) -> None:
    shop = store()
    shutil.copytree(world.folder / "inventory", tmp_path / "inventory")
    shutil.copytree(world.folder / "templates", tmp_path / "templates")
    (tmp_path / "inventory" / "pins.yaml").unlink()

    ran = world.fleet("register", shop, *NEW, "--inventory", str(tmp_path / "inventory"))

    assert ran.code == 2, ran.out + ran.err
    assert "no host was changed; 2 host keys were pinned" in ran.err
    assert outcome(world, shop) == "refused"
    assert truth(world, shop).nodes == {}


def test_a_second_ctrl_c_gives_the_terminal_back_and_names_what_resumes(
    world: World, store: TakeStore
) -> None:
    shop = store()
    world.fault("ssm:CreateActivation", "", delay_s=60.0)
    with terminal(world, "register", shop, "--host", "tel-1", *NEW) as shown:
        shown.wait_for("activating")
        shown.signal(signal.SIGINT)
        shown.wait_for("Ctrl-C again leaves at once")
        shown.signal(signal.SIGINT)

        assert shown.end() == 130

    world.control("faults", {"clear": True})
    last = shown.drawn.rstrip().splitlines()[-1]
    assert last == f"left at once; resume with: fleet register {shop} --host tel-1"
    assert shown.drawn.rfind("\x1b[?25h") > shown.drawn.rfind("\x1b[?25l") > 0
    assert outcome(world, shop) == "left"


@pytest.mark.long
def test_ctrl_c_before_a_host_is_touched_names_the_command_that_goes_on_with_it(
    world: World, store: TakeStore
) -> None:
    shop = store()
    world.fault("ssm:CreateActivation", "", delay_s=2.0)
    words = ("register", shop, "--host", f"{shop}/cam-1", "--set-runtime")
    started = world.start(*words, *NEW)
    started.wait_for("activating")
    started.kill(signal.SIGINT)

    ran = started.end()

    assert ran.code == 130, ran.out + ran.err
    assert f"next  fleet register {shop} --host cam-1 --set-runtime\n" in ran.out
    assert truth(world, shop).activations == []
    assert outcome(world, shop) == "stopped"


@pytest.mark.long
def test_a_window_that_is_closed_stops_the_run_at_a_safe_point(
    world: World, store: TakeStore
) -> None:
    shop = store()
    with terminal(world, "register", shop, *NEW) as shown:
        shown.wait_for("installing")
        shown.hang_up()

        code = shown.end()

    seen = truth(world, shop)
    assert seen.activations == []
    assert code == (0 if len(seen.nodes) == 2 else 130)
    assert outcome(world, shop) == ("stopped" if code else "done")
    assert world.fleet("register", shop, *NEW).code == 0
    truth(world, shop).assert_registered_once(world.hosts(shop))


@pytest.mark.long
def test_only_the_named_host_of_the_named_store_is_touched(world: World, store: TakeStore) -> None:
    shop, other = store(), store()

    ran = world.fleet("register", shop, other, "--host", f"{shop}/tel-1", *NEW)

    assert ran.code == 0, ran.out + ran.err
    assert list(truth(world, shop).nodes) == [f"{shop}/tel-1"]
    assert truth(world, other).nodes == {}


def test_a_host_of_a_store_that_was_not_named_is_refused(world: World, store: TakeStore) -> None:
    shop, other = store(), store()

    ran = world.fleet("register", shop, "--host", f"{other}/tel-1", *NEW)

    assert ran.code == 2
    assert truth(world, shop).nodes == {}
