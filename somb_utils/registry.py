"""The open tables (``data/tables.csv``), where they are kept, and how a file is verified."""

import csv
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from somb_utils.errors import SombError, UsageError
from somb_utils.paths import DATA, cache_dir

COMMIT = "9720e4ec3bd68350b234c2cd36f03f5372896765"
BASE_URL = f"https://raw.githubusercontent.com/jang1563/SpaceOmicsBench/{COMMIT}"


@dataclass(frozen=True)
class TableInfo:
    """One open table as it was published.

    Attributes
    ----------
    name : file stem.
    path : place in the source repository, after `BASE_URL`.
    bytes, rows, columns : size, data rows and columns; None where unknown.
    sha256 : SHA-256 of the file; empty where only the git blob id is known.
    git_blob : git's id of the file.
    id : columns whose values together identify a row; empty where no such columns exist.
    study : mission or study the values come from; several joined by ``;``.
    accession : NASA OSDR accession, where certain; several joined by ``;``.
    paper : citation key in ``book/references.bib``.
    licence : licence of the data.
    tasks : tasks that read the table.
    """

    name: str
    path: str
    bytes: int | None
    sha256: str
    git_blob: str
    rows: int | None
    columns: int | None
    id: tuple[str, ...]
    study: str
    accession: str
    paper: str
    licence: str
    tasks: tuple[str, ...]

    @property
    def file(self) -> str:
        """Name of the table's file in a folder of tables."""
        return f"{self.name}.csv"


@cache
def registry() -> dict[str, TableInfo]:
    """Return every open table by name, in the order of ``data/tables.csv``."""
    with (DATA / "tables.csv").open(encoding="utf-8", newline="") as stream:
        return {row["name"]: _table(row) for row in csv.DictReader(stream)}


def table_info(name: str) -> TableInfo:
    """Return one table's row.

    Raises
    ------
    UsageError
        If no open table has this name.
    """
    try:
        return registry()[name]
    except KeyError:
        raise UsageError(
            f"unknown table '{name}'; `somb data status` lists the {len(registry())} open tables"
        ) from None


def open_folder() -> Path:
    """Return the folder that holds the downloaded tables of the pinned commit."""
    return cache_dir() / "open" / COMMIT[:7]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def git_blob_id(path: Path) -> str:
    """Return git's id of a file: SHA-1 of ``blob <size>``, a zero byte and the content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def file_problem(path: Path, info: TableInfo) -> str | None:
    """Say how a file differs from the published table, or return None if it does not.

    The SHA-256 decides; where none is known, the git blob id.
    """
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if info.bytes is not None and size != info.bytes:
        kind = "is truncated" if size < info.bytes else "is too long"
        return f"{kind}: {size:,} bytes for the published {info.bytes:,}"
    found, published = (sha256(path), info.sha256) if info.sha256 else (git_blob_id(path), info.git_blob)
    if found != published:
        kind = "SHA-256" if info.sha256 else "git blob id"
        return f"is not the published table: its {kind} is {found[:12]}…, published {published[:12]}…"
    return None


def verify_file(path: Path, info: TableInfo) -> None:
    """Check that a file is the published table.

    Raises
    ------
    SombError
        If it is missing, of another size or of other content; names the file and the remedy.
    """
    if problem := file_problem(path, info):
        only = f" --tasks {info.tasks[0]}" if info.tasks else ""
        advice = "get it with" if not path.exists() else "remove it and get it again with"
        raise SombError(f"{path} {problem}; {advice}: somb data fetch{only}")


def _table(row: dict[str, str]) -> TableInfo:
    return TableInfo(
        name=row["name"],
        path=row["path"],
        bytes=_number(row["bytes"]),
        sha256=row["sha256"],
        git_blob=row["git_blob"],
        rows=_number(row["rows"]),
        columns=_number(row["columns"]),
        id=tuple(part for part in row["id"].split("+") if part),
        study=row["study"],
        accession=row["accession"],
        paper=row["paper"],
        licence=row["licence"],
        tasks=tuple(row["tasks"].split()),
    )


def _number(text: str) -> int | None:
    return int(text) if text else None
