"""Fold jobs on a Dask cluster: by the address of its scheduler, or one started here for the run."""

import importlib
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from functools import partial
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, TypeVar

from somb_utils._extras import missing_extra
from somb_utils.errors import SombError, UsageError

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster, Security

Result = TypeVar("Result")
CONNECT_TIMEOUT = 10  # seconds
WORKERS_TIMEOUT = 60  # seconds without any worker
_CONTINUE = "fold jobs that were finished are kept in the run folder, and the same command continues from there"


def connect(cluster: str) -> "Client":
    """Return a client of ``tls://host:port``, or of a new local cluster of N processes for ``local:N``.

    A local cluster listens on this machine alone, and only to holders of its certificate, which is made for the run and
    never written to disk. An address uses the certificates of Dask's configuration (``distributed.comm.tls``).
    """
    try:
        from distributed import Client, Security

        kind, _, rest = cluster.partition(":")
        if kind == "local" and rest.isdigit() and int(rest) > 0:
            importlib.import_module("cryptography")  # which makes the certificate
            return Client(_local_cluster(int(rest), Security.temporary()))
    except ImportError as error:
        raise missing_extra("a cluster", "cluster", error) from None
    if kind not in ("tcp", "tls", "ucx", "ws", "wss"):
        raise UsageError(f"cluster '{cluster}' is neither local:N nor a scheduler's address such as tls://host:8786")
    configured = Security()
    certificates = configured.get_tls_config_for_role("client")
    if kind in ("tls", "wss") and not (certificates["ca_file"] and certificates["cert"]):
        raise UsageError(
            f"{cluster} needs certificates: set distributed.comm.tls in ~/.config/dask (ca-file, client.cert and "
            "client.key), as the book's page on many machines shows"
        )
    try:
        return Client(cluster, timeout=CONNECT_TIMEOUT, security=configured)
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise SombError(f"no Dask scheduler answers at {cluster}: {error}; is it running and reachable?") from None


def _local_cluster(n_workers: int, security: "Security") -> "LocalCluster":
    """Start processes here that only talk to holders of this run's certificate and serve no dashboard."""
    import dask
    from distributed import LocalCluster

    with dask.config.set({f"distributed.{part}.http.routes": [] for part in ("scheduler", "worker")}):
        return LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            security=security,
            silence_logs=logging.CRITICAL,
        )


def unordered(
    function: Callable[..., Result], calls: Iterator[tuple[Any, ...]], cluster: str
) -> Iterator[Result | tuple[tuple[Any, ...], Exception]]:
    """Yield the results of ``function(*call)`` as they finish; a call whose workers died gives (call, exception).

    Only twice as many calls as the cluster has threads are out at a time, so that their arguments never pile up on
    the scheduler. A call on a worker that dies runs again on another.
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
        local_cluster = client.cluster
        client.close()
        if cluster.startswith("local:"):
            local_cluster.close()


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
            if client.nthreads():
                seen = time.monotonic()
            elif time.monotonic() - seen >= WORKERS_TIMEOUT:
                message = f"the cluster {cluster} has had no worker for {WORKERS_TIMEOUT} s; {_CONTINUE}"
                raise SombError(message) from None
