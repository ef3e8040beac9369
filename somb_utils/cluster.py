"""Fold jobs on a Dask cluster: by the address of its scheduler, or one started here for the run."""

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from somb_utils.errors import SombError, UsageError

if TYPE_CHECKING:
    from distributed import Client

Result = TypeVar("Result")
CONNECT_TIMEOUT = 10  # seconds


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
    except ImportError:
        raise UsageError("a cluster needs Dask; get it with: pip install 'somb-utils[dask]'") from None
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
    """
    from distributed import as_completed

    client = connect(cluster)
    try:
        waiting: dict[Any, tuple[Any, ...]] = {}
        running = as_completed()

        def submit() -> None:
            call = next(calls, None)
            if call is not None:
                future = client.submit(function, *call, pure=False)
                waiting[future.key] = call
                running.add(future)

        for _ in range(2 * max(1, sum(client.nthreads().values()))):
            submit()
        for future in running:
            call = waiting.pop(future.key)
            try:
                result: Any = future.result()
            except Exception as error:
                result = (call, error)
            future.release()
            submit()
            yield result
    finally:
        here = client.cluster if cluster.startswith("local:") else None
        client.close()
        if here is not None:
            here.close()
