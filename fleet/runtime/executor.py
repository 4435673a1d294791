"""Runs shard jobs on threads of this process or on the workers of a Dask cluster.

A job is a top-level function with plain values in and out: it may be pickled, and may run again
on another worker when its worker was lost. Dask workers use their own AWS credentials and network;
no secret is sent to them.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fleet import __version__
from fleet.errors import FleetError, UsageError
from fleet.model.printable import printable

if TYPE_CHECKING:
    from distributed import Client

#: Longest waits in seconds: for the scheduler to answer, then for its first worker.
SCHEDULER_S = 10.0
WORKERS_S = 10.0


@contextmanager
def open_executor(url: str | None, workers: int) -> Iterator[Executor]:
    """Open an executor for the block; an exception in the block cancels jobs that have not begun.

    The Dask scheduler reruns the jobs of a lost worker, and gives up on a job that several workers
    died on (``distributed.scheduler.allowed-failures``): its future raises ``KilledWorker``. When
    the scheduler is lost, futures are cancelled. In both cases the caller observes again before it
    decides anything.

    Args:
        url: ``FLEET_EXECUTOR``, for example ``dask://host:8786``; None or "" for threads.
        workers: largest number of threads; not used for Dask.

    Raises:
        UsageError: the URL is not a scheduler address, or Dask is not installed.
        FleetError: the scheduler does not answer, has no workers, or a worker has another version.
    """
    if not url:
        pool = ThreadPoolExecutor(workers, thread_name_prefix="shard")
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return
    client = _connected(_address(url), url)
    try:
        _check_workers(client, url)
        # Dask would return the result of an earlier equal call for a pure function.
        executor: Executor = client.get_executor(pure=False)
        finished = False
        try:
            yield executor
            finished = True
        finally:
            executor.shutdown(wait=finished)
    finally:
        client.close()


def worker_version() -> str:
    """Return the version of fleet in the process that calls this."""
    return __version__


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        port = host = None
        parts = urlsplit("")
    if parts.scheme != "dask" or not host or not port or parts.path.strip("/") or parts.username:
        raise UsageError(
            f"FLEET_EXECUTOR={url!r} is no address of a Dask scheduler",
            hint="dask://host:8786; unset it for threads of this process",
        )
    return f"tcp://{parts.netloc}"


def _connected(address: str, url: str) -> "Client":
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise UsageError(
            f"FLEET_EXECUTOR={url} needs Dask, which is not installed",
            hint="pip install 'fleet[dask]'",
        ) from error
    _quiet()
    try:
        return Client(address, timeout=SCHEDULER_S, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise FleetError(
            f"no Dask scheduler answers at {url} within {SCHEDULER_S:.0f} s",
            hint="is it up? `dask scheduler`; unset FLEET_EXECUTOR for threads of this process",
        ) from error


def _check_workers(client: "Client", url: str) -> None:
    try:
        client.wait_for_workers(1, timeout=WORKERS_S)
        versions = client.run(worker_version)
    except TimeoutError as error:
        raise FleetError(
            f"the Dask scheduler at {url} has no workers",
            hint=f"start some: dask worker {_address(url)}",
        ) from error
    except Exception as error:  # Dask raises whatever the worker raised
        raise FleetError(
            f"a worker of {url} cannot run fleet's jobs: {printable(str(error), limit=200)}",
            hint=f"install fleet {__version__} where the workers run",
        ) from error
    others = {name: version for name, version in versions.items() if version != __version__}
    if others:
        name, version = min(others.items())
        raise FleetError(
            f"worker {name} of {url} has fleet {version}; this is {__version__}",
            hint="install the same version where the workers run",
        )


def _quiet() -> None:
    """Send the log messages of Dask to the root logger, not to the terminal."""
    logger = logging.getLogger("distributed")
    logger.handlers[:] = [logging.NullHandler()]
    logger.propagate = True
