"""The open tables the project knows: ``data/tables.csv``, one row a table."""

import csv
from dataclasses import dataclass
from functools import cache

from somb_utils.errors import UsageError
from somb_utils.paths import DATA


@dataclass(frozen=True)
class TableInfo:
    """One open table as it was published.

    Attributes
    ----------
    name : file stem.
    path : place in the source repository.
    bytes, rows, columns : size, data rows and columns; None where unknown.
    sha256 : SHA-256 of the file; empty where only the git blob id is known.
    git_blob : git's id of the file, ``sha1("blob <size>\\0" + content)``.
    id : columns whose values together identify a row; empty where rows are not unique.
    study : mission or study the values come from; several joined by ``;``.
    accession : NASA OSDR accession, where certain.
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
        raise UsageError(f"no open table is called {name!r}; `somb data status` lists them") from None


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
