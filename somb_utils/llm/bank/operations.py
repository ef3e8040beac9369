"""The operations of checks: what each computes from the tables, and whether a check's value is what they give."""

import math
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.errors import SombError, printable
from somb_utils.llm.bank.checks import Check, Operation, Value
from somb_utils.llm.bank.conditions import rows
from somb_utils.tables.checks import numbers

Loader = Callable[[str], pd.DataFrame]


class NotEvaluable(SombError):  # noqa: N818
    """A table that the check reads is not available."""


def _numbers(frame: pd.DataFrame, check: Operation) -> pd.DataFrame:
    """Return the column or matching columns as numbers."""
    if check.match:
        chosen = [c for c in frame.columns if re.search(check.match, str(c))]
    else:
        chosen = [check.column] if check.column else []
    if not chosen or not set(chosen) <= set(frame.columns):
        raise SombError(f"{check.table} has no column {check.match or check.column!r}")
    return _as_numbers(frame[chosen], check.table)


def _as_numbers(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Return columns as numbers, blanks as missing; refuse text."""
    converted, wrong = numbers(frame)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise SombError(
            f"{table}.csv, row {frame.index[row] + 2}, column '{printable(frame.columns[column])}': "
            f"'{printable(frame.iat[row, column])}' is not a number (missing values are blank)"
        )
    return converted


def _column(frame: pd.DataFrame, name: str | None, table: str) -> pd.Series:
    if name not in frame.columns:
        raise SombError(f"{table} has no column {name!r}")
    return frame[name]


def _number(frame: pd.DataFrame, name: str | None, table: str) -> pd.Series:
    return _as_numbers(_column(frame, name, table).to_frame(), table).iloc[:, 0]


def _ids(frame: pd.DataFrame, on: str | tuple[str, ...] | None, table: str) -> pd.Series:
    """Return what identifies each row, a tuple if several columns do; rows with a blank there are left out."""
    if isinstance(on, tuple):
        columns = pd.concat([_column(frame, name, table) for name in on], axis=1).dropna()
        return pd.Series(list(columns.itertuples(index=False, name=None)), index=columns.index)
    return _column(frame, on, table).dropna()


def _paired(check: Operation, load: Loader) -> tuple[pd.Series, pd.Series]:
    """Return the two columns compared; two tables are joined by identifiers unique in each."""
    left = rows(load(check.table), check.where)
    if check.other is None:
        return _number(left, check.column, check.table), _number(left, check.other_column, check.table)
    right = rows(load(check.other), check.other_where)
    sides = []
    for frame, key, column, table in (
        (left, check.on, check.column, check.table),
        (right, check.other_on or check.on, check.other_column or check.column, check.other),
    ):
        ids = _ids(frame, key, table)
        once = ids[~ids.duplicated(keep=False)]
        sides.append(_number(frame.loc[once.index], column, table).set_axis(pd.Index(once)))
    shared = sides[0].index.intersection(sides[1].index)
    if shared.empty:
        raise SombError(f"{check.table} and {check.other} share no {check.on!r}")
    return sides[0].loc[shared], sides[1].loc[shared]


def _count(check: Operation, load: Loader) -> Value:
    return len(rows(load(check.table), check.where))


def _columns(check: Operation, load: Loader) -> Value:
    return sum(bool(re.search(check.match or "", str(c))) for c in load(check.table).columns)


def _nunique(check: Operation, load: Loader) -> Value:
    return int(_column(rows(load(check.table), check.where), check.column, check.table).nunique())


def _values(check: Operation, load: Loader) -> Value:
    values = _column(rows(load(check.table), check.where), check.column, check.table)
    return sorted(str(v) for v in values.dropna().unique())


def _value(check: Operation, load: Loader) -> Value:
    selected = rows(load(check.table), check.where)
    if len(selected) != 1:
        raise SombError(f"{check.table}: {check.where!r} gives {len(selected)} rows, not one")
    cell = _column(selected, check.column, check.table).iloc[0]
    return str(cell) if isinstance(cell, str) else float(cell)


def _fraction(check: Operation, load: Loader) -> Value:
    base = rows(load(check.table), check.given)
    if base.empty:
        raise SombError(f"{check.table}: no row meets {check.given!r}")
    return len(rows(base, check.where)) / len(base)


def _missing(check: Operation, load: Loader) -> Value:
    return float(_numbers(rows(load(check.table), check.where), check).isna().to_numpy().mean())


def _reduce(check: Operation, load: Loader) -> Value:
    values = _numbers(rows(load(check.table), check.where), check).to_numpy(dtype=float)
    flat = pd.Series(values[~np.isnan(values)])
    if flat.empty:
        raise SombError(f"{check.table}: no number to take the {check.op} of")
    return float(getattr(flat, check.op)())


def _groups(check: Operation, load: Loader) -> tuple[float, float]:
    base = rows(load(check.table), check.given)
    sides = ((check.where, check.column), (check.other_where, check.other_column or check.column))
    groups = [_number(rows(base, where), column, check.table) for where, column in sides]
    first, second = (float(getattr(group, check.method or "mean")()) for group in groups)
    return first, second


def _ratio(check: Operation, load: Loader) -> Value:
    first, second = _groups(check, load)
    return first / second


def _difference(check: Operation, load: Loader) -> Value:
    first, second = _groups(check, load)
    return first - second


def _higher(check: Operation, load: Loader) -> Value:
    """Return in how many columns the first group's mean or median is the higher one."""
    base = rows(load(check.table), check.given)
    first, second = (
        getattr(_numbers(rows(base, where), check), check.method or "mean")()
        for where in (check.where, check.other_where)
    )
    return int((first > second).sum())


def _corr(check: Operation, load: Loader) -> Value:
    pair = pd.concat(_paired(check, load), axis=1, keys=["a", "b"])
    if check.method == "spearman":
        pair = pair.dropna().rank()
    return float(pair["a"].corr(pair["b"]))


def _agreement(check: Operation, load: Loader) -> Value:
    """Return the share of joined rows whose two values have the same sign."""
    a, b = _paired(check, load)
    return float((np.sign(a.to_numpy(dtype=float)) == np.sign(b.to_numpy(dtype=float))).mean())


def _both(check: Operation, load: Loader) -> set[Any]:
    """Return the identifiers that stand in both tables."""
    other = check.other or ""
    a = _ids(rows(load(check.table), check.where), check.on, check.table)
    b = _ids(rows(load(other), check.other_where), check.other_on or check.on, other)
    return set(a) & set(b)


def _overlap(check: Operation, load: Loader) -> Value:
    return len(_both(check, load))


def _shared(check: Operation, load: Loader) -> Value:
    return sorted(str(v) for v in _both(check, load))


def _auroc(check: Operation, load: Loader) -> Value:
    """Return the probability that a row meeting `where` has a larger value than one that does not; ties count half."""
    base = rows(load(check.table), check.given)
    ranks = _numbers(base, check)[check.column].dropna().rank()
    base = base.loc[ranks.index]
    positive = base.index.isin(rows(base, check.where).index)
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        raise SombError(f"{check.table}: {check.where!r} does not split the rows into two groups")
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def _extreme(check: Operation, load: Loader) -> Value:
    selected = rows(load(check.table), check.where)
    values = _numbers(selected, check)[check.column]
    if values.isna().all():
        raise SombError(f"{check.table}: no number in {check.column!r}")
    ids = _column(selected, check.id, check.table)
    if check.method is not None:
        values = values.groupby(ids.to_numpy()).agg(check.method)
        ids = values.index.to_series()
    at = int((values if check.op == "top" else -values).to_numpy(dtype=float, na_value=-np.inf).argmax())
    return str(ids.iloc[at])


OPERATIONS: dict[str, Callable[[Operation, Loader], Value]] = {
    "count": _count, "columns": _columns, "nunique": _nunique, "values": _values, "value": _value,
    "fraction": _fraction, "missing": _missing,
    **dict.fromkeys(("mean", "median", "sum", "min", "max", "std"), _reduce),
    "ratio": _ratio, "difference": _difference, "higher": _higher, "corr": _corr, "agreement": _agreement,
    "overlap": _overlap, "shared": _shared, "auroc": _auroc, "top": _extreme, "bottom": _extreme,
}  # fmt: skip


def evaluate(check: Operation, load: Loader) -> Value:
    """Return what the check's operation gives; `NotEvaluable` if a table is not available."""
    return OPERATIONS[check.op](check, load)


def agrees(computed: Value, check: Check) -> bool:
    """Return whether a computed value is the check's: decimal numbers to four significant digits, others exactly."""
    stated = check.value
    if isinstance(computed, str | list) or isinstance(stated, str | list):
        return computed == stated
    exact = math.isclose(computed, stated, rel_tol=1e-9, abs_tol=1e-12)
    return exact or (isinstance(stated, float) and stated == float(f"{computed:.4g}"))


def folder_loader(folder: Path) -> Loader:
    """Return a loader of the CSV tables of one folder, each read once."""

    @cache
    def load(name: str) -> pd.DataFrame:
        path = folder / f"{name}.csv"
        if not path.is_file():
            raise NotEvaluable(f"{name} is not in {folder}")
        return pd.read_csv(path, low_memory=False).copy()  # of few blocks, so that rows are taken quickly

    return load


def failures(checks: Iterable[tuple[str, Check]], load: Loader) -> list[str]:
    """Return one line for each named check that does not hold; those that cannot be evaluated are left out."""
    lines = []
    for name, check in checks:
        try:
            computed = evaluate(check, load)
        except NotEvaluable:
            continue
        except SombError as error:
            lines.append(f"{name}: {error}")
            continue
        if not agrees(computed, check):
            lines.append(f"{name}: {check.op} gives {computed!r}, not {check.value!r}")
    return lines
