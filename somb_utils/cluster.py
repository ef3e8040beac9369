"""Fold jobs on a Dask cluster: by the address of its scheduler, or one started here for the run."""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from functools import partial
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, TypeVar

from somb_utils.errors import SombError, UsageError
from somb_utils.extras import missing_extra

if TYPE_CHECKING:
    from distributed import Client, Future

Result = TypeVar("Result")
CONNECT_TIMEOUT = 10  # seconds
WORKERS_TIMEOUT = 60  # seconds without any worker
_CONTINUE = "fold jobs that were finished are kept in the run folder, and the same command continues from there"


def connect(cluster: str) -> "Client":
    """Return a client of ``tcp://host:port``, or of a new local cluster of N processes for ``local:N``.

    Raises
    ------
    UsageError
        If the address is of another form, or Dask is not installed.
    SombError
        If no scheduler answers there.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise missing_extra("a cluster", "dask", error) from None
    kind, _, rest = cluster.partition(":")
    if kind == "local" and rest.isdigit() and int(rest) > 0:
        here = LocalCluster(
            n_workers=int(rest), threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
        )
        return Client(here)
    if kind not in ("tcp", "tls", "ucx", "ws", "wss"):
        raise UsageError(f"cluster '{cluster}' is neither local:N nor a scheduler's address such as tcp://host:8786")
    try:
        return Client(cluster, timeout=CONNECT_TIMEOUT)
    except (OSError, TimeoutError, ValueError) as error:
        raise SombError(f"no Dask scheduler answers at {cluster}: {error}; is it running and reachable?") from None


def unordered(
    function: Callable[..., Result], calls: Iterator[tuple[Any, ...]], cluster: str
) -> Iterator[Result | tuple[tuple[Any, ...], Exception]]:
    """Yield the results of ``function(*call)`` as they finish; a call whose workers died gives (call, exception).

    Only twice as many calls as the cluster has threads are out at a time, so that their arguments never pile up on
    the scheduler. A call on a worker that dies runs again on another.

    Raises
    ------
    SombError
        If the scheduler goes away, or every worker does and none comes back within `WORKERS_TIMEOUT`.
    """
    client = connect(cluster)
    finished: Queue[Any] = Queue()
    waiting: dict[Any, tuple[Any, ...]] = {}

    def submit() -> None:
        call = next(calls, None)
        if call is not None:
            future = client.submit(function, *call, pure=False)
            waiting[future.key] = call
            future.add_done_callback(finished.put)

    try:
        for _ in range(2 * max(1, sum(client.nthreads().values()))):
            submit()
        while waiting:
            future = _patiently(lambda seconds: finished.get(timeout=seconds), client, cluster)
            call = waiting.pop(future.key)
            result = _patiently(partial(_answer, future, call), client, cluster)
            future.release()
            submit()
            yield result
    except (OSError, CancelledError):
        raise SombError(f"the Dask scheduler at {cluster} is gone; {_CONTINUE}") from None
    finally:
        here = client.cluster if cluster.startswith("local:") else None
        client.close()
        if here is not None:
            here.close()


def _answer(future: "Future", call: tuple[Any, ...], seconds: float) -> Any:
    """Return a call's result, which its worker may have taken along, or the call and why it failed."""
    error = future.exception(timeout=seconds)
    return future.result(timeout=seconds) if error is None else (call, error)


def _patiently(attempt: Callable[[float], Any], client: "Client", cluster: str) -> Any:
    """Repeat an attempt that waits for some seconds, as long as there are workers."""
    seen = time.monotonic()
    while True:
        try:
            return attempt(min(5, WORKERS_TIMEOUT))
        except (Empty, TimeoutError):
            now = time.monotonic()
            if client.nthreads():
                seen = now
            elif now - seen >= WORKERS_TIMEOUT:
                raise SombError(
                    f"the cluster {cluster} has had no worker for {WORKERS_TIMEOUT} s; {_CONTINUE}"
                ) from None
