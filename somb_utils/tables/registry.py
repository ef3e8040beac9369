"""The open tables (``data/tables.csv``), their folder, and the verification of files."""

import codecs
import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from somb_utils.errors import SombError, UsageError, printable
from somb_utils.paths import DATA, cache_dir

HUMAN = "SpaceOmicsBench"  # the repository of the published benchmark
COMMITS = {
    HUMAN: "9720e4ec3bd68350b234c2cd36f03f5372896765",
    "GeneLab_benchmark": "2b472e4a9778a61698e6057fe24ee38d2f37c578",
}
BASE_URLS = {name: f"https://raw.githubusercontent.com/jang1563/{name}/{commit}" for name, commit in COMMITS.items()}
_MOST_BYTES = 1_000_000_000  # read of a table of unknown size


@dataclass(frozen=True)
class TableInfo:
    """One open table as it was published; a user's table has a name only."""

    name: str
    repository: str = ""  # one of `COMMITS`
    path: str = ""  # in the repository
    bytes: int | None = None
    sha256: str = ""  # empty where only the git blob id is known
    git_blob: str = ""
    rows: int | None = None
    columns: int | None = None
    id: tuple[str, ...] = ()  # columns whose values together identify a row
    study: str = ""  # several joined by ``;``
    accession: str = ""  # NASA OSDR, where certain; several joined by ``;``
    paper: str = ""  # citation key in ``book/references.bib``
    licence: str = ""
    tasks: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """Name of the table's file in a folder of tables."""
        return f"{self.name}.csv"

    @property
    def url(self) -> str:
        """Public address of the published file."""
        return f"{BASE_URLS[self.repository]}/{self.path}"


@cache
def registry() -> dict[str, TableInfo]:
    """Return every open table by name, in the order of ``data/tables.csv``."""
    with (DATA / "tables.csv").open(encoding="utf-8", newline="") as stream:
        return {row["name"]: _table(row) for row in csv.DictReader(stream)}


def _table(row: dict[str, Any]) -> TableInfo:
    row |= {name: int(row[name]) if row[name] else None for name in ("bytes", "rows", "columns")}
    row |= {"id": tuple(filter(None, row["id"].split("+"))), "tasks": tuple(row["tasks"].split())}
    return TableInfo(**row)


def table_info(name: str) -> TableInfo:
    """Return what is registered about one table."""
    try:
        return registry()[name]
    except KeyError:
        raise UsageError(
            f"unknown table '{printable(name)}'; `somb data status` lists the {len(registry())} open tables"
        ) from None


def open_folder() -> Path:
    """Return the folder of the downloaded tables, named after the commit of most of them."""
    return cache_dir() / "open" / COMMITS[HUMAN][:7]


def git_blob_id(content: bytes) -> str:
    """Return git's id of a file's content: SHA-1 of ``blob <size>``, a zero byte and the content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def file_problem(path: Path, info: TableInfo) -> str | None:
    """Describe how a file differs from the published table, or return None if it does not.

    The SHA-256 decides; where none is known, the git blob id.
    """
    if not path.is_file():
        return "is missing"
    try:
        size = path.stat().st_size
        if size > (_MOST_BYTES if info.bytes is None else 2 * info.bytes + 3):  # not worth reading
            return f"is too long: {size:,} bytes" + (f" for the published {info.bytes:,}" if info.bytes else "")
        content = path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    digest, published = _hash(content, info), info.sha256 or info.git_blob
    if digest == published:
        return None
    plain = content.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if plain != content and _hash(plain, info) == published:
        marks = ["a byte order mark"] * content.startswith(codecs.BOM_UTF8) + ["other line ends"] * (b"\r" in content)
        return f"has {' and '.join(marks)}; but for that it is the published table (a text editor or git changed it)"
    if info.bytes is not None and size != info.bytes:
        kind = "is truncated" if size < info.bytes else "is too long"
        return f"{kind}: {size:,} bytes for the published {info.bytes:,}"
    kind = "SHA-256" if info.sha256 else "git blob id"
    return f"is not the published table: its {kind} is {digest[:12]}…, published {published[:12]}…"


def _hash(content: bytes, info: TableInfo) -> str:
    return hashlib.sha256(content).hexdigest() if info.sha256 else git_blob_id(content)


def verify_file(path: Path, info: TableInfo) -> None:
    """Check that a file is the published table."""
    if problem := file_problem(path, info):
        raise SombError(f"{path} {problem}; {remedy([info], path.parent)}")


def remedy(tables: Iterable[TableInfo], folder: Path) -> str:
    """Say how to replace tables that are missing from a folder or differ from the published ones."""
    tables = list(tables)
    command = fetch_command(tables)
    if folder == open_folder():
        return f"get {'it' if len(tables) == 1 else 'them'} with: {command}"
    names = [t.url if t.url.endswith(f"/{t.file}") else f"{t.url} (as {t.file})" for t in tables[:3]]
    urls = ", ".join(names) + " and the others" * (len(tables) > 3)
    return f"put {urls} into that folder; or unset SOMB_DATA, leave out --data, and run: {command}"


def fetch_command(tables: Iterable[TableInfo]) -> str:
    """Return the command that downloads tables: by the first task that reads each, or all where these are many."""
    readers = list(dict.fromkeys((table.tasks or ("",))[0] for table in tables))
    few = "" not in readers and len(readers) <= 4
    return "somb data fetch" + (f" --tasks {','.join(readers)}" if few else "")
