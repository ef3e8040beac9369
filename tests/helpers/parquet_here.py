"""Parquet files from elsewhere, read in the tests' own process."""

from typing import Any

import pyarrow as pa

from somb_utils.errors import SombError
from somb_utils.predictions import _parquet_reader


def read_here(content: bytes, *options: Any) -> pa.Table:
    """Read a file as the reading process does, without one."""
    try:
        return _parquet_reader.read(content, *options)
    except ValueError as error:
        raise SombError(str(error)) from None
