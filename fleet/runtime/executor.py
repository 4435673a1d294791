"""Where shard jobs run: on threads of this process, or on the workers of a Dask cluster.

Jobs are functions at the top level of a module of fleet, with plain values in and out: they may be
pickled, and may run again from the start on another worker when theirs was lost. Dask's workers
bring their own AWS credentials and network; nothing secret is sent to them.
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

#: Seconds for a scheduler to answer, and then for its first worker to be there.
SCHEDULER_S = 10.0
WORKERS_S = 10.0


@contextmanager
def open_executor(url: str | None, workers: int) -> Iterator[Executor]:
    """An executor that ends with the block; a block that raises cancels what has not begun.

    On Dask, the scheduler runs what a lost worker held on another one, and gives up on a job that
    takes several workers with it (``distributed.scheduler.allowed-failures``): its future raises
    ``KilledWorker``. When the scheduler itself is lost, futures are cancelled. Either way whoever
    waits looks at the world again before it decides anything.

    Args:
        url: ``FLEET_EXECUTOR``, as ``dask://host:8786``; None or "" for threads.
        workers: most threads; a Dask cluster has as many as it has.

    Raises:
        UsageError: that is no address of a scheduler, or Dask's library is not installed.
        FleetError: the scheduler does not answer, has no workers, or they are not of this version.
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
        # Pure calls would be answered from memory when the same one was made before.
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
    """The version of fleet where this runs."""
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
    except Exception as error:  # what a worker could not do comes as one without a kind
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
    """Dask's messages go where those of fleet go, not onto the terminal between them."""
    logger = logging.getLogger("distributed")
    logger.handlers[:] = [logging.NullHandler()]
    logger.propagate = True
