"""A submission's one file: a zip of four members, packed the same way every time and unpacked with suspicion.

Nothing is ever extracted to disk. Each member is read into memory up to its limit, whatever size it declares.
"""

import re
import stat
import zlib
from collections import Counter
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from somb_utils._escape import listed
from somb_utils.errors import SombError, UsageError
from somb_utils.leaderboard.model_card import MAX_BYTES as MAX_CARD
from somb_utils.paths import read_file, replacing
from somb_utils.predictions.parquet_form import TABLES

MB = 2**20
LIMITS = {**TABLES, "provenance.json": MB, "card.json": MAX_CARD}
MAX_BYTES = 64 * MB  # of the file itself
MAX_DIRECTORY = 4096
_END = b"PK\x05\x06"
_END_SIZE = 22
_LOCATOR_64 = b"PK\x06\x07"
_LOCATOR_SIZE = 20


def write(members: Mapping[str, bytes], path: Path) -> None:
    """Write the members to `path`, all or nothing; equal members give equal bytes."""
    with replacing(path) as temporary, ZipFile(temporary, "w") as archive:
        for name, content in members.items():
            info = ZipInfo(name)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content, ZIP_DEFLATED)


def read(path: Path) -> dict[str, bytes]:
    """Return the members of a submission's file, or refuse it with every reason."""
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
    """Refuse what is no plain zip, or has so many members that reading their list alone would take long."""
    end = content[-_END_SIZE:]
    if not content.startswith(b"PK") or not end.startswith(_END) or len(end) != _END_SIZE:
        raise SombError("is not a zip archive as `somb submit pack` writes it")
    is_zip64 = content[-_END_SIZE - _LOCATOR_SIZE :].startswith(_LOCATOR_64)
    if is_zip64 or int.from_bytes(end[12:16], "little") > MAX_DIRECTORY:
        raise SombError(f"lists too many members; a submission has {len(LIMITS)}: {', '.join(LIMITS)}")


def _member_problems(members: list[ZipInfo]) -> list[str]:
    names = [info.orig_filename for info in members]
    lines = [f"{name} is missing" for name in LIMITS if name not in names]
    lines += [f"{name!r} is there {n} times" for name, n in Counter(names).items() if n > 1]
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
        content = stream.read(limit + 1)  # unpacks no more, and checks the CRC at the declared end
    if len(content) > limit:
        raise SombError(f"{name} unpacks to more than {limit / MB:g} MB")
    return content
