"""Parquet files that came from elsewhere, read by a process of its own that may take only so much memory and time.

A few kilobytes can unpack to gigabytes, and some damaged files abort the process that reads them. Where the platform
cannot limit a process's memory (Windows, macOS), only what comes back is bounded, and the time.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence

import pyarrow as pa

from somb_utils import parquet_reader
from somb_utils.errors import SombError

Choose = Callable[[list[str]], list[str]]
_TIMEOUT = 120  # seconds of the clock, where the limit is one of processor time


def read_bounded(content: bytes, known: Sequence[str], choose: Choose, max_rows: int, max_bytes: int) -> pa.Table:
    """Return columns of plain text and numbers; text as dictionaries, however often it is repeated.

    Parameters
    ----------
    content : bytes
        The file.
    known : sequence of str
        Names of columns that may be read.
    choose : callable
        Given the file's column names, returns those to keep, or raises SombError.
    max_rows, max_bytes : int
        Limits of rows and of the columns' size in memory.

    Raises
    ------
    SombError
        If it is not readable, larger than a limit, or holds anything but text, numbers and blanks.
    """
    table = _read_apart(content, list(known), max_rows, max_bytes)
    return table.select(choose(json.loads(table.schema.metadata[b"names"])))


def _read_apart(content: bytes, known: list[str], max_rows: int, max_bytes: int) -> pa.Table:
    options = [json.dumps(known), str(max_rows), str(max_bytes)]
    command = [sys.executable, "-I", parquet_reader.__file__, *options]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise SombError(f"is not a readable Parquet file: reading it takes over {_TIMEOUT} seconds") from None
    if done.returncode == parquet_reader.REFUSED:
        raise SombError(done.stderr.decode("utf-8", "replace"))
    if done.returncode:
        raise SombError("is not a readable Parquet file: it is damaged, or takes too much memory or time to unpack")
    return pa.ipc.open_stream(done.stdout).read_all()
