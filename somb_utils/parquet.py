"""Parquet files that came from elsewhere, read into no more memory than a limit.

A few kilobytes can unpack to gigabytes: by compression, by a dictionary, by prefixes that texts share, by lists. The
sizes in a file's footer are whatever its maker wrote, so the header of every page is read before any is unpacked.
"""

from collections.abc import Callable, Iterator
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from somb_utils.errors import SombError
from somb_utils.thrift import Struct, read_struct

Choose = Callable[[list[str]], list[str]]
# Numbers of fields in parquet.thrift: of the footer and a row group, a column chunk and its metadata, a page's header.
_ROWS, _GROUPS, _CHUNKS = 3, 4, 1
_CHUNK, _PATH, _COUNT, _LENGTH, _FIRST, _DICTIONARY = 3, 3, 5, 7, 9, 11
_UNPACKED, _PACKED, _DATA, _DATA_2 = 2, 3, 5, 8
# What pyarrow and read_struct raise for a damaged file (ArrowInvalid and others are the built-in ones).
_UNREADABLE = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, AttributeError, MemoryError)
_SHARED_PREFIXES = 7  # DELTA_BYTE_ARRAY: each text repeats a part of the one before


def read_bounded(content: bytes, choose: Choose, max_rows: int, max_bytes: int) -> pa.Table:
    """Return columns of plain text and numbers; text as dictionaries, however often it stands there.

    Parameters
    ----------
    content : the file's bytes.
    choose : given the file's column names, returns those to read, or raises SombError.
    max_rows, max_bytes : limits of rows, and of all pages of the chosen columns when unpacked.

    Raises
    ------
    SombError
        If it is not readable, larger than a limit, or holds anything but text, numbers and blanks.
    """
    try:
        with pq.ParquetFile(BytesIO(content)) as file:
            metadata, schema = file.metadata, file.schema_arrow
        columns = choose(schema.names)
        kinds = {name: schema.field(name).type for name in columns}
        odd = next((name for name, kind in kinds.items() if not (_is_text(kind) or _is_number(kind))), None)
        if odd:
            raise SombError(f"column '{odd}' is of type {kinds[odd]}; write text or numbers")
        _check_size(content, columns, max_rows, max_bytes)
        options = {
            "metadata": metadata,
            "read_dictionary": [name for name, kind in kinds.items() if _is_text(kind)],
            "page_checksum_verification": True,
        }
        with pq.ParquetFile(BytesIO(content), **options) as file:
            table = file.read(columns, use_threads=False)
        table.validate(full=True)  # reading alone lets places outside of a dictionary pass
        return table
    except _UNREADABLE as error:
        raise SombError(f"is not a readable Parquet file: {' '.join(str(error).split())[:120]}") from None


def _is_text(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


def _is_number(kind: pa.DataType) -> bool:
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return bool(number or pa.types.is_boolean(kind) or pa.types.is_null(kind))


def _check_size(content: bytes, columns: list[str], max_rows: int, max_bytes: int) -> None:
    # Read here and not by pyarrow, which aborts the process on some damaged footers.
    length = int.from_bytes(content[-8:-4], "little")
    footer, _ = read_struct(content, max(0, len(content) - 8 - length))
    groups: list[Struct] = footer[_GROUPS]
    n_rows = max(footer[_ROWS], sum(group[_ROWS] for group in groups))
    if n_rows > max_rows:
        raise SombError(f"has {n_rows:,} rows; at most {max_rows:,} are read")
    wanted = [[name.encode()] for name in columns]
    chunks = [chunk[_CHUNK] for group in groups for chunk in group[_CHUNKS] if chunk[_CHUNK][_PATH] in wanted]
    size = 0
    for chunk in chunks:
        for header in _page_headers(content, chunk):
            size += header[_UNPACKED]
            if _SHARED_PREFIXES in _encodings(header):
                raise SombError(f"column '{chunk[_PATH][0].decode()}' is encoded as DELTA_BYTE_ARRAY; write it plainly")
    if size > max_bytes:
        raise SombError(f"unpacks to {size / 2**20:,.0f} MB; at most {max_bytes / 2**20:,.0f} MB are read")


def _page_headers(content: bytes, chunk: Struct) -> Iterator[Struct]:
    """Yield the header of every page of a column chunk."""
    if chunk[_COUNT] <= 0:  # pyarrow then reads no page, and offsets may be anything
        return
    at = chunk[_FIRST]
    if 0 < chunk.get(_DICTIONARY, 0) < at:
        at = chunk[_DICTIONARY]
    end = at + chunk[_LENGTH]
    if not 0 <= at <= end <= len(content):
        raise ValueError("a column lies outside of the file")
    while at < end:
        header, at = read_struct(content, at)
        if header[_UNPACKED] < 0 or header[_PACKED] < 0:
            raise ValueError("a page is of negative size")
        yield header
        at += header[_PACKED]


def _encodings(header: Struct) -> list[int | None]:
    places = ((_DATA, 2), (_DATA_2, 4))
    return [part.get(place) for field, place in places if isinstance(part := header.get(field), dict)]
