"""Calls in separate processes on this machine: one that crashes or hangs costs its own call alone."""

import os
import re
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from pathlib import Path
from typing import Any

import cloudpickle
import loky
from loky import process_executor
from loky.process_executor import ProcessPoolExecutor

from somb_utils.errors import SombError, UsageError

Call = tuple[Any, ...]

IDLE = 300  # seconds after which a worker without a call ends
POLL = 0.5  # seconds between looks at the time, when there is a limit
AHEAD = 2  # calls that a worker has been sent, so that it need not wait for the next
_THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB", "NUMEXPR", "NUMBA")


class WorkerDiedError(Exception):
    """The process that made a call ended before the call did."""


def count(n_jobs: int) -> int:
    """Return the number of workers for `n_jobs`; -1 means one per core that this process may use."""
    if n_jobs == 0 or n_jobs < -1:
        raise UsageError(f"{n_jobs} jobs: give a number of jobs, or -1 for one per core")
    return int(loky.cpu_count()) if n_jobs == -1 else n_jobs


def unordered(
    function: Callable[..., Any],
    calls: Iterator[Call],
    n_workers: int,
    *,
    timeout: float | None = None,
    memory: int | None = None,
    fresh: bool = False,
) -> Iterator[Any]:
    """Yield the results of ``function(*call)`` as they finish.

    A call that took longer than `timeout` seconds, whose arguments cannot be sent, or whose worker died, yields (call,
    exception) instead; a SombError that `function` raises is raised here. `memory` is how many bytes a worker may
    allocate beyond its libraries (Linux). `fresh` workers have imported nothing, and none is kept for later calls.
    """
    fresh = fresh or timeout is not None or memory is not None
    workers = [_Worker(memory) if fresh or not _idle else _idle.pop() for _ in range(n_workers)]
    again: deque[Call] = deque()  # calls that were waiting for a worker that died
    try:
        while True:
            for worker in workers:
                while len(worker.sent) < AHEAD and (call := again.popleft() if again else next(calls, None)):
                    try:
                        worker.send(function, call)
                    except Exception as error:  # pickle raises what it likes
                        yield call, error
            futures = {worker.sent[0][0]: worker for worker in workers if worker.sent}
            if not futures:
                return
            wait(futures, timeout=None if timeout is None else POLL, return_when=FIRST_COMPLETED)
            for future, worker in futures.items():
                if future.done() or worker.overdue(timeout):
                    result, left = worker.take(timeout)
                    again.extend(left)
                    yield result
    finally:
        for worker in workers:
            if fresh or worker.sent:
                worker.kill()
            else:
                _idle.append(worker)


class _Worker:
    """One process, and the calls sent to it, in their order."""

    def __init__(self, memory: int | None) -> None:
        self.memory = memory
        self.sent: deque[tuple[Future[Any], Call]] = deque()
        self.executor: ProcessPoolExecutor | None = None  # started with the first call

    def _start(self) -> ProcessPoolExecutor:
        self.executor = ProcessPoolExecutor(
            max_workers=1,
            timeout=IDLE,
            initializer=_prepare,
            initargs=(os.getpid(), self.memory),
            env={f"{library}_NUM_THREADS": "1" for library in _THREADS},
        )
        self.ready = self.executor.submit(os.getpid)
        self.since: float | None = None
        return self.executor

    def send(self, function: Callable[..., Any], call: Call) -> None:
        # As bytes, so that what cannot be read there fails as the call, not as the worker.
        content = cloudpickle.dumps((function, call))
        try:
            future = (self.executor or self._start()).submit(_call, content)
        except BrokenExecutor:  # it died while it had no call
            future = self._start().submit(_call, content)
        self.sent.append((future, call))

    def overdue(self, timeout: float | None) -> bool:
        """Tell whether the call that is being made has taken longer than `timeout`."""
        if timeout is None or not self.ready.done():
            return False
        self.since = self.since or time.monotonic()
        return time.monotonic() - self.since > timeout

    def take(self, timeout: float | None) -> tuple[Any, list[Call]]:
        """Return the first call's result, or why it has none, and the calls that must be sent again."""
        future, call = self.sent.popleft()
        if not future.done():
            return (call, TimeoutError(f"took longer than {timeout:g} s")), self._replace()
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            codes = re.search(r"\{(.*)\}", str(error))
            died = WorkerDiedError(
                f"the worker process ended ({codes[1] if codes else 'no exit code'}): it was killed, perhaps for lack "
                "of memory, or the model's code crashed or left it"
            )
            return (call, died), self._replace()
        self.since = time.monotonic()
        if isinstance(error, SombError):
            raise error
        return ((call, error) if error is not None else future.result()), []

    def _replace(self) -> list[Call]:
        self.kill()
        left = [call for _, call in self.sent]
        self.sent.clear()
        return left

    def kill(self) -> None:
        if self.executor is not None:
            self.executor.shutdown(wait=True, kill_workers=True)
            self.executor = None


_idle: list[_Worker] = []


def _call(content: bytes) -> Any:
    function, call = cloudpickle.loads(content)
    return function(*call)


def _prepare(parent: int, memory: int | None) -> None:
    """Prepare a new worker: leave Ctrl-C to the parent, end with it, import what fits need, limit the memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    import somb_utils.runs.fit  # noqa: F401  loaded before any time is taken

    process_executor._MAX_MEMORY_LEAK_SIZE = sys.maxsize  # a large fold is no leak, and no reason for a new worker
    if memory is not None:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
