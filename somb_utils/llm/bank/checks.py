"""Executable key facts: one named operation on one or two tables, and the value it must give.

A check is written in YAML: ``{op: count, table: clinical_cbc, where: "phase == 'recovery'", value: 8}``.
Operations are the functions of `OPERATIONS`; conditions hold column names, constants, comparisons, arithmetic
and boolean operators, and nothing else.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, model_validator

from somb_utils.errors import SombError, printable
from somb_utils.llm.bank.conditions import check_pattern, condition_columns, rows
from somb_utils.tables.checks import numbers

Value = int | float | str | list[str]
Loader = Callable[[str], pd.DataFrame]
Op = Literal[
    "count", "columns", "nunique", "values", "value", "fraction", "missing",
    "mean", "median", "sum", "min", "max", "std",
    "ratio", "difference", "corr", "agreement", "overlap", "auroc", "top", "bottom",
]  # fmt: skip


class NotEvaluable(SombError):  # noqa: N818
    """What the check reads is not here: a table that is not open."""


class Check(BaseModel):
    """An operation on open tables and the value it gives.

    Parameters
    ----------
    op
        Name of the operation (`OPERATIONS`).
    table, other
        Table stems, such as ``clinical_cbc``; `other` only for operations on two tables (default: `table`).
    where, other_where
        Row conditions. For `fraction` the rows counted, for `auroc` the positives; for `ratio` and `difference` the
        two groups compared.
    given
        Row condition applied first (`fraction`, `ratio`, `difference`, `auroc`): the rows it is about.
    column, other_column
        Columns read; `other_column` defaults to `column`.
    match
        Regular expression choosing several columns (searched), in place of `column`.
    on, other_on
        Columns that identify rows when two tables are joined; `id` is what `top` and `bottom` return.
    method
        ``pearson`` or ``spearman`` for `corr`; ``mean`` or ``median`` for `ratio` and `difference`.
    value
        What the operation gives.
    tolerance
        Largest accepted absolute difference; by default 0 for whole numbers, 1e-6 relative otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    op: Op
    value: Value
    table: str = ""
    other: str | None = None
    where: str | None = None
    other_where: str | None = None
    given: str | None = None
    column: str | None = None
    other_column: str | None = None
    match: str | None = None
    on: str | None = None
    other_on: str | None = None
    id: str | None = None
    method: Literal["pearson", "spearman", "mean", "median"] | None = None
    tolerance: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_on(cls, data: Any) -> Any:
        """Accept an unquoted ``on``, which YAML 1.1 reads as true."""
        return {"on" if k is True else k: v for k, v in data.items()} if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _complete(self) -> "Check":
        try:
            for condition in filter(None, (self.where, self.other_where, self.given)):
                condition_columns(condition)
            check_pattern(self.match or "")
        except SombError as error:
            raise ValueError(str(error)) from None
        missing = [name for name in NEEDS[self.op] if not getattr(self, name)]
        if missing:
            raise ValueError(f"a {self.op} check needs {', '.join(missing)}")
        return self

    @property
    def tables(self) -> tuple[str, ...]:
        """Return the stems of the tables read."""
        return tuple(dict.fromkeys(name for name in (self.table, self.other) if name))


NEEDS: dict[str, tuple[str, ...]] = {
    "count": ("table",),
    "columns": ("table", "match"),
    "nunique": ("table", "column"),
    "values": ("table", "column"),
    "value": ("table", "column", "where"),
    "fraction": ("table", "where"),
    "missing": ("table",),
    **dict.fromkeys(("mean", "median", "sum", "min", "max", "std"), ("table",)),
    "ratio": ("table", "column", "where", "other_where"),
    "difference": ("table", "column", "where", "other_where"),
    "corr": ("table", "column"),
    "agreement": ("table", "column", "on"),
    "overlap": ("table", "other", "on"),
    "auroc": ("table", "column", "where"),
    "top": ("table", "column", "id"),
    "bottom": ("table", "column", "id"),
}


def _numbers(frame: pd.DataFrame, check: Check) -> pd.DataFrame:
    """Return the column or matching columns as numbers."""
    if check.match:
        chosen = [c for c in frame.columns if re.search(check.match, str(c))]
    else:
        chosen = [check.column] if check.column else []
    if not chosen or not set(chosen) <= set(frame.columns):
        raise SombError(f"{check.table} has no column {check.match or check.column!r}")
    return _as_numbers(frame[chosen], check.table)


def _as_numbers(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Return columns as numbers, a blank as missing; refuse text, wherever it is."""
    found, wrong = numbers(frame)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise SombError(
            f"{table}.csv, row {frame.index[row] + 2}, column '{printable(frame.columns[column])}': "
            f"'{printable(frame.iat[row, column])}' is not a number (missing values are blank)"
        )
    return found


def _column(frame: pd.DataFrame, name: str | None, table: str) -> pd.Series:
    if name not in frame.columns:
        raise SombError(f"{table} has no column {name!r}")
    return frame[name]


def _number(frame: pd.DataFrame, name: str | None, table: str) -> pd.Series:
    return _as_numbers(_column(frame, name, table).to_frame(), table).iloc[:, 0]


def _paired(check: Check, load: Loader) -> tuple[pd.Series, pd.Series]:
    """Return the two columns compared; two tables are joined by identifiers that each holds once."""
    left = rows(load(check.table), check.where)
    if check.other is None:
        return _number(left, check.column, check.table), _number(left, check.other_column, check.table)
    right = rows(load(check.other), check.other_where)
    sides = []
    for frame, key, column, table in (
        (left, check.on, check.column, check.table),
        (right, check.other_on or check.on, check.other_column or check.column, check.other),
    ):
        ids = _column(frame, key, table)
        once = frame[~ids.duplicated(keep=False) & ids.notna()]
        sides.append(_number(once, column, table).set_axis(once[key]))
    shared = sides[0].index.intersection(sides[1].index)
    if shared.empty:
        raise SombError(f"{check.table} and {check.other} share no {check.on!r}")
    return sides[0].loc[shared], sides[1].loc[shared]


def _count(check: Check, load: Loader) -> Value:
    return len(rows(load(check.table), check.where))


def _columns(check: Check, load: Loader) -> Value:
    return sum(bool(re.search(check.match or "", str(c))) for c in load(check.table).columns)


def _nunique(check: Check, load: Loader) -> Value:
    return int(_column(rows(load(check.table), check.where), check.column, check.table).nunique())


def _values(check: Check, load: Loader) -> Value:
    found = _column(rows(load(check.table), check.where), check.column, check.table)
    return sorted(str(v) for v in found.dropna().unique())


def _value(check: Check, load: Loader) -> Value:
    found = rows(load(check.table), check.where)
    if len(found) != 1:
        raise SombError(f"{check.table}: {check.where!r} gives {len(found)} rows, not one")
    cell = _column(found, check.column, check.table).iloc[0]
    return str(cell) if isinstance(cell, str) else float(cell)


def _fraction(check: Check, load: Loader) -> Value:
    base = rows(load(check.table), check.given)
    if base.empty:
        raise SombError(f"{check.table}: no row meets {check.given!r}")
    return len(rows(base, check.where)) / len(base)


def _missing(check: Check, load: Loader) -> Value:
    return float(_numbers(rows(load(check.table), check.where), check).isna().to_numpy().mean())


def _reduce(check: Check, load: Loader) -> Value:
    values = _numbers(rows(load(check.table), check.where), check).to_numpy(dtype=float)
    flat = pd.Series(values[~np.isnan(values)])
    if flat.empty:
        raise SombError(f"{check.table}: no number to take the {check.op} of")
    return float(getattr(flat, check.op)())


def _groups(check: Check, load: Loader) -> tuple[float, float]:
    base = rows(load(check.table), check.given)
    groups = [_numbers(rows(base, w), check)[check.column] for w in (check.where, check.other_where)]
    first, second = (float(getattr(g, check.method or "mean")()) for g in groups)
    return first, second


def _ratio(check: Check, load: Loader) -> Value:
    first, second = _groups(check, load)
    return first / second


def _difference(check: Check, load: Loader) -> Value:
    first, second = _groups(check, load)
    return first - second


def _corr(check: Check, load: Loader) -> Value:
    pair = pd.concat(_paired(check, load), axis=1, keys=["a", "b"])
    if check.method == "spearman":
        pair = pair.dropna().rank()
    return float(pair["a"].corr(pair["b"]))


def _agreement(check: Check, load: Loader) -> Value:
    """Share of joined rows whose two values have one sign."""
    a, b = _paired(check, load)
    return float((np.sign(a.to_numpy(dtype=float)) == np.sign(b.to_numpy(dtype=float))).mean())


def _overlap(check: Check, load: Loader) -> Value:
    other = check.other or ""
    a = _column(rows(load(check.table), check.where), check.on, check.table)
    b = _column(rows(load(other), check.other_where), check.other_on or check.on, other)
    return len(set(a.dropna()) & set(b.dropna()))


def _auroc(check: Check, load: Loader) -> Value:
    """Chance that a row that meets `where` has a larger value than one that does not; ties count half, blanks not."""
    base = rows(load(check.table), check.given)
    ranks = _numbers(base, check)[check.column].dropna().rank()
    base = base.loc[ranks.index]
    positive = base.index.isin(rows(base, check.where).index)
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        raise SombError(f"{check.table}: {check.where!r} does not split the rows in two")
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def _extreme(check: Check, load: Loader) -> Value:
    found = rows(load(check.table), check.where)
    values = _numbers(found, check)[check.column]
    if values.isna().all():
        raise SombError(f"{check.table}: no number in {check.column!r}")
    at = int((values if check.op == "top" else -values).to_numpy(dtype=float, na_value=-np.inf).argmax())
    return str(_column(found, check.id, check.table).iloc[at])


OPERATIONS: dict[str, Callable[[Check, Loader], Value]] = {
    "count": _count, "columns": _columns, "nunique": _nunique, "values": _values, "value": _value,
    "fraction": _fraction, "missing": _missing,
    **dict.fromkeys(("mean", "median", "sum", "min", "max", "std"), _reduce),
    "ratio": _ratio, "difference": _difference, "corr": _corr, "agreement": _agreement, "overlap": _overlap,
    "auroc": _auroc, "top": _extreme, "bottom": _extreme,
}  # fmt: skip


def evaluate(check: Check, load: Loader) -> Value:
    """Return what the check's operation gives on the tables of `load`.

    Raises
    ------
    NotEvaluable
        If a table is not here.
    SombError
        If a column, row or condition does not fit the table.
    """
    return OPERATIONS[check.op](check, load)


def holds(check: Check, load: Loader) -> bool:
    """Tell whether the operation gives the check's value, within its tolerance."""
    return agrees(evaluate(check, load), check)


def agrees(found: Value, check: Check) -> bool:
    """Tell whether `found` is the check's value, within its tolerance."""
    if isinstance(found, str | list) or isinstance(check.value, str | list):
        return found == check.value
    default = 0.0 if isinstance(check.value, int) else 1e-6 * abs(check.value)
    return abs(found - check.value) <= (default if check.tolerance is None else check.tolerance)


def folder_loader(folder: Path) -> Loader:
    """Return a loader of the CSV tables of one folder, each read once."""

    @cache
    def load(name: str) -> pd.DataFrame:
        path = folder / f"{name}.csv"
        if not path.is_file():
            raise NotEvaluable(f"{name} is not in {folder}")
        return pd.read_csv(path, low_memory=False)

    return load


def failures(checks: Iterable[tuple[str, Check]], load: Loader) -> list[str]:
    """Return one line for each named check that does not hold; those that are not evaluable are left out."""
    lines = []
    for name, check in checks:
        try:
            found = evaluate(check, load)
        except NotEvaluable:
            continue
        except SombError as error:
            lines.append(f"{name}: {error}")
            continue
        if not agrees(found, check):
            lines.append(f"{name}: {check.op} gives {found!r}, not {check.value!r}")
    return lines
