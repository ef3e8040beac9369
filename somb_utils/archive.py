"""A submission's one file: a zip of four members, packed the same way every time and unpacked with suspicion.

Nothing is ever extracted to disk. Each member is read into memory up to its limit, whatever size it declares.
"""

import re
import stat
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from somb_utils.card import MAX_BYTES as MAX_CARD
from somb_utils.errors import SombError, UsageError
from somb_utils.escape import listed
from somb_utils.parquet import read_bounded
from somb_utils.paths import read_file, replacing

MB = 2**20
# A run of one model on all 21 tasks takes 2 MB of predictions and 0.1 MB of results.
LIMITS = {"results.parquet": 8 * MB, "predictions.parquet": 48 * MB, "provenance.json": MB, "card.json": MAX_CARD}
MAX_BYTES = 64 * MB  # of the file itself
MAX_ROWS = 2_000_000
MAX_CHARACTERS = 64_000_000  # of a column
MAX_DIRECTORY = 4096
MAX_TEXT = 2000
_END = b"PK\x05\x06"
_END_SIZE = 22
_LOCATOR_64 = b"PK\x06\x07"
_LOCATOR_SIZE = 20


def write(members: Mapping[str, bytes], path: Path) -> None:
    """Write the members to `path`, all or nothing; equal members give equal bytes.

    Raises
    ------
    SombError
        If the file cannot be written; what stood there is intact.
    """
    with replacing(path) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = ZipInfo(name)
            info.compress_type = ZIP_DEFLATED
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)


def read(path: Path) -> dict[str, bytes]:
    """Return the members of a submission's file.

    Raises
    ------
    UsageError
        If there is no such file.
    SombError
        Naming all that is wrong: not a zip, a name that leads out, a link, a member too much, twice or missing, or
        larger, packed or unpacked, than a submission can be.
    """
    if not path.exists():
        raise UsageError(f"there is no file {path}; `somb submit pack RUN` makes one")
    try:
        content = read_file(path, MAX_BYTES)
        _check_end(content)
        with ZipFile(BytesIO(content)) as archive:
            lines = _member_problems(archive.infolist())
            if lines:
                raise SombError("\n".join(lines))
            return {name: _unpacked(archive, name, limit) for name, limit in LIMITS.items()}
    except SombError as error:
        raise SombError(f"{path}: refused\n{listed(str(error).splitlines())}") from None
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError) as error:
        raise SombError(f"{path}: refused\nis not a readable zip archive: {str(error)[:200]}") from None


def _check_end(content: bytes) -> None:
    """Refuse what is no plain zip, or lists so many members that reading the list alone would take long."""
    end = content[-_END_SIZE:]
    if not content.startswith(b"PK") or not end.startswith(_END) or len(end) != _END_SIZE:
        raise SombError("is not a zip archive as `somb submit pack` writes it")
    if content[-_END_SIZE - _LOCATOR_SIZE :].startswith(_LOCATOR_64) or int.from_bytes(end[12:16], "little") > (
        MAX_DIRECTORY
    ):
        raise SombError(f"lists too many members; a submission has {len(LIMITS)}: {', '.join(LIMITS)}")


def _member_problems(members: list[ZipInfo]) -> list[str]:
    names = [info.orig_filename for info in members]
    lines = [f"{name} is missing" for name in LIMITS if name not in names]
    lines += [f"{name!r} is there {names.count(name)} times" for name in dict.fromkeys(names) if names.count(name) > 1]
    for info in members:
        name = info.orig_filename
        kind = stat.S_IFMT(info.external_attr >> 16)
        if re.match(r"[/\\]|[A-Za-z]:", name):
            lines.append(f"{name!r} is an absolute path")
        elif ".." in re.split(r"[/\\]", name):
            lines.append(f"{name!r} leads out of the archive")
        elif name not in LIMITS:
            lines.append(f"{name!r} is no part of a submission, which has {', '.join(LIMITS)}")
        elif info.file_size > LIMITS[name]:
            lines.append(f"{name} unpacks to {info.file_size / MB:,.0f} MB; at most {LIMITS[name] / MB:g} MB is read")
        if kind not in (0, stat.S_IFREG):
            lines.append(f"{name!r} is {'a link' if kind == stat.S_IFLNK else 'not a regular file'}")
        if info.flag_bits & 1 or info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            lines.append(f"{name!r} is encrypted, or packed by another method than deflate")
    return lines


def _unpacked(archive: ZipFile, name: str, limit: int) -> bytes:
    with archive.open(name) as stream:
        content = stream.read(limit + 1)  # unpacks no more than that, and checks the CRC at the declared end
    if len(content) > limit:
        raise SombError(f"{name} unpacks to more than {limit / MB:g} MB")
    return content


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Return a data frame as the bytes of a Parquet file."""
    stream = BytesIO()
    frame.to_parquet(stream, index=False, compression="zstd")
    return stream.getvalue()


def from_parquet(content: bytes, columns: list[str], name: str) -> pd.DataFrame:
    """Return the columns of a Parquet file that came from elsewhere; those named ``value`` and ``y_score`` as float.

    Raises
    ------
    SombError
        If it cannot be read, lacks or adds a column, holds other than text and numbers, or would unpack to more than
        a submission can be.
    """
    numbers = {"value", "y_score"}

    def choose(found: list[str]) -> list[str]:
        if sorted(found) != sorted(columns):
            raise SombError(f"has the columns {', '.join(found)[:300]}; due are {', '.join(columns)}")
        return columns

    try:
        table = read_bounded(content, columns, choose, MAX_ROWS, 4 * LIMITS[name])
    except SombError as error:
        raise SombError(f"{name} {error}") from None
    return pd.DataFrame({c: _floats(table[c], name, c) if c in numbers else _texts(table[c], name, c) for c in columns})


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
