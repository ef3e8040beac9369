"""Reading a CSV file, and the checks that a table passes before anything is computed from it."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.errors import SombError, printable
from somb_utils.tables.registry import TableInfo


def check_table(table: pd.DataFrame, info: TableInfo, *, exact: bool = False) -> pd.DataFrame:
    """Return `table` if its cells are plain and its identifiers present, complete, text and unique.

    If `exact`, its shape must be the published one too.
    """
    if table.columns.has_duplicates:
        first = printable(table.columns[table.columns.duplicated()][0])
        raise SombError(f"{info.file}: column '{first}' is duplicated")
    if exact and info.rows is not None and table.shape != (info.rows, info.columns):
        rows, columns = table.shape
        raise SombError(f"{info.file}: {rows} rows and {columns} columns, expected {info.rows} and {info.columns}")
    for column in table.columns[table.dtypes.map(pd.api.types.is_object_dtype)]:
        odd = next((value for value in table[column] if not _is_plain(value)), None)
        if odd is not None:
            raise SombError(
                f"{info.file}: column '{printable(column)}' has a cell that is neither text nor a number: {odd!r:.60}"
            )
    for column in info.id:
        if column not in table.columns:
            raise SombError(f"{info.file}: identifier column '{column}' is missing")
        empty = (table[column].isna() | (table[column] == "")).to_numpy()
        if empty.any():
            raise SombError(f"{info.file}: row {int(empty.argmax()) + 2} has no {column}")
        other = first_not_text(table[column])
        if other is not None:
            raise SombError(f"{info.file}: the identifier {other!r} in column '{column}' is not text")
    if info.id and (repeated := table.duplicated(list(info.id)).to_numpy()).any():
        row = int(repeated.argmax())
        identifier = printable("+".join(table[column].iloc[row] for column in info.id))
        raise SombError(
            f"{info.file}: row {row + 2} repeats the identifier {identifier} (column {'+'.join(info.id)}); "
            "identifiers must be unique"
        )
    return table


def first_not_text(column: pd.Series) -> Any:
    """Return the first cell of a column that is neither text nor missing; None if there is none."""
    if isinstance(column.dtype, pd.StringDtype):
        return None
    return next((value for value in column.dropna() if not isinstance(value, str)), None)


def numbers(table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a table's cells as numbers, and which of them are text that is not a number; blanks are missing."""
    if all(map(pd.api.types.is_numeric_dtype, table.dtypes)):
        return table, np.zeros(table.shape, dtype=bool)
    values = table.apply(lambda column: pd.to_numeric(column.astype(object), errors="coerce"))
    return values, (values.isna() & table.notna()).to_numpy()


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, int):
        return abs(value) < 10**300
    return value is None or value is pd.NA or isinstance(value, float | np.number | np.bool_)


def read_csv(path: Path, info: TableInfo) -> pd.DataFrame:
    """Return a table as it is in its file, identifiers as text."""
    ids = dict.fromkeys([*info.id, "Unnamed: 0"], str)
    try:  # only blank cells are missing; "NA" may be a gene
        with path.open(encoding="utf-8", newline="") as stream:
            names = Counter(next(csv.reader(stream), []))
        if repeated := [name for name, n in names.items() if n > 1 and name]:  # pandas would give it another name
            raise SombError(f"{path}: column '{printable(repeated[0])}' is duplicated")
        table = pd.read_csv(path, dtype=ids, keep_default_na=False, na_values=[""], low_memory=False)
        if info.id:  # of a table whose first column, the identifiers, has no name
            table = table.rename(columns={"Unnamed: 0": info.id[0]})
        return table.copy()  # one block per dtype, where reading leaves one per column, which is slow to use
    except ValueError as error:
        raise SombError(f"{path} cannot be read as CSV: {error}") from None
