"""Parquet files that came from elsewhere, read in a separate process with limits on memory and time.

A few kilobytes can unpack to gigabytes, and some damaged files abort the process that reads them. Where the platform
cannot limit a process's memory (Windows, macOS), only what comes back is bounded, and the time.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow as pa

from somb_utils.errors import SombError
from somb_utils.predictions import _parquet_reader as parquet_reader

MB = 2**20
# Tables of a run, and how many bytes of each are read: one model on all 21 tasks takes 2 MB of predictions.
TABLES = {"results.parquet": 8 * MB, "predictions.parquet": 48 * MB}
MAX_ROWS = 2_000_000
MAX_CHARACTERS = 64_000_000  # of a column
MAX_TEXT = 2000
Choose = Callable[[list[str]], list[str]]
_TIMEOUT = 120  # seconds of the clock, where the limit is one of processor time


def read_bounded(content: bytes, known: Sequence[str], choose: Choose, max_rows: int, max_bytes: int) -> pa.Table:
    """Return columns of plain text and numbers; text as dictionaries, however often it is repeated.

    `choose` gets the file's column names and returns those to keep, or refuses the file. A file that is unreadable,
    larger than `max_rows` or `max_bytes` (in memory), or that has anything but text and numbers is refused.
    """
    table = _read_apart(content, list(known), max_rows, max_bytes)
    return table.select(choose(json.loads(table.schema.metadata[b"names"])))


def _read_apart(content: bytes, known: list[str], max_rows: int, max_bytes: int) -> pa.Table:
    options = [json.dumps(known), str(max_rows), str(max_bytes)]
    command = [sys.executable, "-I", parquet_reader.__file__, *options]
    try:
        process = subprocess.run(command, input=content, capture_output=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise SombError(f"is not a readable Parquet file: reading it takes over {_TIMEOUT} seconds") from None
    if process.returncode == parquet_reader.REFUSED:
        raise SombError(process.stderr.decode("utf-8", "replace"))
    if process.returncode:
        raise SombError("is not a readable Parquet file: it is damaged, or takes too much memory or time to unpack")
    return pa.ipc.open_stream(process.stdout).read_all()


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Return a data frame as the bytes of a Parquet file."""
    stream = BytesIO()
    frame.to_parquet(stream, index=False, compression="zstd")
    return stream.getvalue()


def from_parquet(content: bytes, columns: list[str], name: str) -> pd.DataFrame:
    """Return the columns of a Parquet file that came from elsewhere; those named ``value`` and ``y_score`` as float."""

    def choose(names: list[str]) -> list[str]:
        if sorted(names) != sorted(columns):
            raise SombError(f"has the columns {', '.join(names)[:300]}; expected are {', '.join(columns)}")
        return columns

    try:
        table = read_bounded(content, columns, choose, MAX_ROWS, 4 * TABLES[name])
    except SombError as error:
        raise SombError(f"{name} {error}") from None
    readers = {column: _floats if column in ("value", "y_score") else _texts for column in columns}
    return pd.DataFrame({column: read(table[column], name, column) for column, read in readers.items()})


def _floats(column: pa.ChunkedArray, name: str, label: str) -> np.ndarray:
    if not (pa.types.is_floating(column.type) or pa.types.is_null(column.type)):
        raise SombError(f"{name}: column '{label}' is of type {column.type}; write numbers")
    return np.array(column.cast(pa.float64()).to_numpy(), dtype=float)


def _texts(column: pa.ChunkedArray, name: str, label: str) -> pd.Series:
    text = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_null(text):
        return pd.Series(None, index=range(len(column)), dtype="str")
    if not (pa.types.is_string(text) or pa.types.is_large_string(text)):
        raise SombError(f"{name}: column '{label}' is of type {column.type}; write text")
    values = column.to_pandas()
    if any(len(word) > MAX_TEXT or not word.isprintable() for word in values.cat.categories):
        raise SombError(f"{name}: column '{label}' holds control characters, or a text of over {MAX_TEXT} characters")
    if values.cat.categories.str.len().to_numpy()[values.cat.codes[values.notna()]].sum() > MAX_CHARACTERS:
        raise SombError(f"{name}: column '{label}' unpacks to more than {MAX_CHARACTERS:,} characters")
    return values.astype("str")
