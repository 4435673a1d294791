import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet import __version__, errors
from fleet.errors import AccessDenied, FleetError, UsageError
from fleet.runtime import executor
from fleet.runtime.executor import open_executor


def double(number: int) -> int:
    return 2 * number


def refuse(action: str) -> None:
    raise AccessDenied(f"you may not {action}", operation=action, code="Denied", hint="ask")


def test_without_an_address_jobs_run_on_threads_of_this_process() -> None:
    with open_executor(None, 4) as pool:
        assert pool.submit(os.getpid).result() == os.getpid()
        assert list(pool.map(double, range(5))) == [0, 2, 4, 6, 8]


def test_an_empty_address_is_none() -> None:
    with open_executor("", 1) as pool:
        assert pool.submit(double, 4).result() == 8


def test_no_more_threads_work_than_allowed() -> None:
    together = threading.Barrier(2)
    with open_executor(None, 2) as pool:
        both = [pool.submit(together.wait, 60) for _ in range(2)]
        assert sorted(done.result() for done in both) == [0, 1]
        assert len({pool.submit(threading.get_ident).result() for _ in range(9)}) <= 2


def test_a_block_that_raises_runs_nothing_that_had_not_begun() -> None:
    begun = threading.Event()
    free = threading.Event()
    ran: list[int] = []

    def first() -> None:
        begun.set()
        assert free.wait(60)

    def broken(pool: Executor) -> None:
        pool.submit(first)
        for number in range(5):
            pool.submit(ran.append, number)
        assert begun.wait(60)
        threading.Timer(0.05, free.set).start()
        raise FleetError("broken")

    with pytest.raises(FleetError, match="broken"), open_executor(None, 1) as pool:
        broken(pool)
    assert ran == []


@pytest.mark.parametrize(
    "url",
    [
        "host:8786",
        "tcp://host:8786",
        "dask://",
        "dask://host",
        "dask://host:x",
        "dask://:8786",
        "dask://host:8786/queue",
        "dask://me@host:8786",
        "dask://[::1:8786",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="no address of a Dask scheduler") as raised:
        enter(url)
    assert "dask://host:8786" in str(raised.value.hint)


def enter(url: str) -> None:
    with open_executor(url, 1):
        pytest.fail("it was let in")


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match="Dask, which is not installed") as raised:
        enter("dask://127.0.0.1:8786")
    assert raised.value.hint == "pip install 'fleet[dask]'"


def test_a_scheduler_that_is_not_up_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "SCHEDULER_S", 0.2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        with pytest.raises(FleetError, match="no Dask scheduler answers") as raised:
            enter(f"dask://127.0.0.1:{taken.getsockname()[1]}")
    assert "is it up?" in str(raised.value.hint)
    assert raised.value.exit_code == 1


ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, FleetError) and kind is not errors.InventoryError
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_comes_back_from_another_process_whole(kind: type[FleetError]) -> None:
    error = kind("it went wrong", hint="do this")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(back), str(back), back.hint) == (kind, "it went wrong", "do this")


def job_that_loses_its_first_worker(folder: str) -> int:
    """Like a machine that goes away midway: the first worker to take it is gone with it."""
    mark = Path(folder, "lost")
    if not mark.exists():
        mark.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def job_that_loses_every_worker() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


ROOT = Path(__file__).parents[2]
#: Loopback only, no dashboard, no second process that would start a lost worker again.
SCHEDULER = ("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
WORKER = ("worker", "--host", "127.0.0.1", "--no-nanny", "--no-dashboard", "--nthreads", "2")


@contextmanager
def process(folder: Path, words: tuple[str, ...], path: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "dask", *words]
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(path), "HOME": str(folder)}
    settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    with (folder / "log").open("a") as log:
        started = subprocess.Popen(
            command, env=kept | settings, stdout=log, stderr=log, text=True, cwd=folder
        )
    with started:
        try:
            yield started
        finally:
            started.kill()


@contextmanager
def cluster(folder: Path, workers: int = 2, path: Path = ROOT) -> Iterator["Cluster"]:
    """A scheduler and so many workers, each a process of its own, without any of ours."""
    with ExitStack() as stack:
        where = folder / "scheduler.json"
        told = (*SCHEDULER, "--scheduler-file", str(where))
        scheduler = stack.enter_context(process(folder, told, path))
        give_up = time.monotonic() + 60
        while (address := _address(where)) is None:
            assert time.monotonic() < give_up, (folder / "log").read_text()
            time.sleep(0.02)
        for _ in range(workers):
            worker = (*WORKER, address, "--local-directory", str(folder))
            stack.enter_context(process(folder, worker, path))
        yield Cluster(address.replace("tcp://", "dask://"), scheduler)


@dataclass(frozen=True)
class Cluster:
    url: str
    scheduler: "subprocess.Popen[str]"


def _address(where: Path) -> str | None:
    """What the scheduler wrote down, once it is there whole."""
    try:
        return str(json.loads(where.read_text())["address"])
    except (OSError, ValueError):
        return None


@pytest.mark.long
def test_jobs_run_on_the_workers_of_a_dask_cluster(tmp_path: Path) -> None:
    with cluster(tmp_path) as dask, open_executor(dask.url, 1) as pool:
        assert list(pool.map(double, range(20))) == [2 * n for n in range(20)]
        assert pool.submit(os.getpid).result(timeout=60) != os.getpid()


@pytest.mark.long
def test_an_error_of_a_job_on_dask_is_raised_here_as_it_was(tmp_path: Path) -> None:
    with cluster(tmp_path, workers=1) as dask, open_executor(dask.url, 1) as pool:
        with pytest.raises(AccessDenied, match="you may not") as raised:
            pool.submit(refuse, "ecs:UpdateService").result(timeout=60)
        assert (raised.value.operation, raised.value.hint) == ("ecs:UpdateService", "ask")


@pytest.mark.long
def test_the_same_job_is_run_again_when_it_is_asked_for_again(tmp_path: Path) -> None:
    with cluster(tmp_path, workers=1) as dask, open_executor(dask.url, 1) as pool:
        first = pool.submit(time.monotonic_ns)
        second = pool.submit(time.monotonic_ns)
        assert first.result(timeout=60) != second.result(timeout=60)


@pytest.mark.long
def test_what_a_lost_worker_held_is_run_by_another(tmp_path: Path) -> None:
    with cluster(tmp_path) as dask, open_executor(dask.url, 1) as pool:
        others = [pool.submit(double, number) for number in range(20)]
        survivor = pool.submit(job_that_loses_its_first_worker, str(tmp_path)).result(timeout=60)
        assert survivor != int((tmp_path / "lost").read_text())
        assert [done.result(timeout=60) for done in others] == [2 * n for n in range(20)]


@pytest.mark.long
def test_a_job_that_takes_every_worker_with_it_fails(tmp_path: Path) -> None:
    with cluster(tmp_path, workers=3) as dask, open_executor(dask.url, 1) as pool:
        error = pool.submit(job_that_loses_every_worker).exception(timeout=60)
        assert type(error).__name__ == "KilledWorker"


@pytest.mark.long
def test_a_scheduler_that_is_lost_ends_what_was_waited_for(tmp_path: Path) -> None:
    with cluster(tmp_path, workers=1) as dask, open_executor(dask.url, 1) as pool:
        waiting = pool.submit(time.sleep, 600)
        dask.scheduler.kill()
        with pytest.raises((CancelledError, FleetError)):
            waiting.result(timeout=60)


@pytest.mark.long
def test_a_cluster_without_workers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "WORKERS_S", 0.2)
    with cluster(tmp_path, workers=0) as dask:
        with pytest.raises(FleetError, match="has no workers") as raised:
            enter(dask.url)
        assert raised.value.hint == f"start some: dask worker {dask.url.replace('dask', 'tcp')}"


@pytest.mark.long
def test_workers_of_another_version_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "__version__", "9.9.9")
    with (
        cluster(tmp_path, workers=1) as dask,
        pytest.raises(FleetError, match=rf"has fleet {__version__}; this is 9\.9\.9"),
    ):
        enter(dask.url)


@pytest.mark.long
def test_workers_without_fleet_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "path" / "fleet"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    with (
        cluster(tmp_path, workers=1, path=other.parent) as dask,
        pytest.raises(FleetError, match="cannot run fleet's jobs") as raised,
    ):
        enter(dask.url)
    assert "install fleet" in str(raised.value.hint)
