"""A user's features, labels and groups on the same rows, and every reason why they do not fit, all in one list."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.errors import printable
from somb_utils.tables.checks import numbers
from somb_utils.tasks.recipes._base import GROUPED, Features, Split

N_FOLDS = 5  # of each repetition of complete cross-validation
_SHOWN = 3


@dataclass(frozen=True)
class Part:
    """Values by row identifier, and how messages name them; rows of a file have a line number too."""

    values: Any  # Series or DataFrame
    name: str
    is_file: bool = False

    def places(self, rows: np.ndarray) -> str:
        """Return identifiers of the first few of these rows and, in a file, their lines."""
        ids = [f"'{printable(self.values.index[row])}'" + f" (row {row + 2})" * self.is_file for row in rows[:_SHOWN]]
        return _more(ids, len(rows))


def _more(shown: Sequence[str], n: int) -> str:
    return ", ".join(shown) + (f" and {n - len(shown):,} more" if n > len(shown) else "")


def quoted(names: Collection[Any]) -> str:
    """Return the first few names in quotation marks, and how many more there are."""
    return _more([f"'{printable(name)}'" for name in islice(names, _SHOWN)], len(names))


def counted(n: int, noun: str) -> str:
    """Return a number and its noun, in the plural where it is not 1."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}{'es' if noun.endswith('s') else 's'}"


def listing(problems: Sequence[str]) -> str:
    """Return problems as lines below their number."""
    return counted(len(problems), "problem") + "".join(f"\n  {problem}" for problem in problems)


def assemble(X: Part, y: Part, groups: Part | None = None, days: Part | None = None) -> Features:
    """Return the parts on the rows that all of them have, with every problem that was found.

    `y` is a Series of class names, or a DataFrame of 0 and 1, one column for each label. Identifiers, classes and
    groups become text; a categorical keeps its categories.
    """
    parts = [
        replace(part, values=part.values.set_axis(part.values.index.to_flat_index()))
        for part in (X, y, groups, days)
        if part is not None
    ]
    problems: list[str] = []
    for n, part in enumerate(parts):
        if not any(part.values.index.equals(other.values.index) for other in parts[:n]):
            problems += _id_problems(part)
    X, *others = [replace(part, values=part.values.set_axis(part.values.index.map(str))) for part in parts]
    for part in others:
        problems += _disagreements(X, part)
    features, wrong = _features(X)
    unusable = list(_label_problems(others[0]))
    problems += [*wrong, *unusable, *(problem for part in others for problem in _missing(part))]
    named = [_once(part.values).dropna() for part in others]
    rows = _once(features).index if not unusable else pd.Index([])
    for values in named:
        rows = rows[rows.isin(values.index)]
    labels, *rest = [values.loc[rows] if values.ndim == 2 else as_text(values.loc[rows]) for values in named]
    names = [name for name, part in (("groups", groups), ("days", days)) if part is not None]
    given: dict[str, Any] = dict(zip(names, rest, strict=True))
    return Features(_once(features).loc[rows], labels, problems=tuple(problems), **given)


def as_text(values: pd.Series) -> pd.Series:
    """Return names as text, whole numbers without decimals; missing ones stay missing."""
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")
    return values.astype(object).map(str, na_action="ignore")


def class_names(y: pd.Series | pd.DataFrame) -> tuple[str, ...]:
    """Return the classes: columns of a multilabel task, categories in their order, or sorted numbers or names."""
    if isinstance(y, pd.DataFrame):
        return tuple(map(str, y.columns))
    if isinstance(y.dtype, pd.CategoricalDtype):
        return tuple(map(str, y.cat.remove_unused_categories().cat.categories))
    known = y.dropna().drop_duplicates()
    return tuple(as_text(known.sort_values())) if is_number(y) else tuple(sorted(as_text(known)))


def is_number(values: pd.Series) -> bool:
    """Return whether values are numbers and no truth values."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _once(values: Any) -> Any:
    return values[~values.index.duplicated()]


def _id_problems(part: Part) -> Iterator[str]:
    index = part.values.index
    if not len(index):
        yield f"{part.name} has no row"
    blank = np.flatnonzero(index.isna() | (index == ""))
    if len(blank):
        lines = [str(row + 2 * part.is_file) for row in blank]
        yield f"{part.name} has no identifier in row {_more(lines[:_SHOWN], len(lines))}"
    repeated = index[index.duplicated() & ~index.isna()].unique()
    if len(repeated):
        yield f"{part.name} has {counted(len(repeated), 'duplicated identifier')}: {quoted(repeated)}"


def _disagreements(X: Part, part: Part) -> Iterator[str]:
    ids, others = X.values.index.unique(), part.values.index.unique()
    lacking, extra = ids.difference(others, sort=False), others.difference(ids, sort=False)
    if len(lacking):
        yield f"{part.name} lacks {counted(len(lacking), 'row')} of {X.name}: {quoted(lacking)}"
    if len(extra):
        yield f"{part.name} has {counted(len(extra), 'row')} that {X.name} lacks: {quoted(extra)}"
    if 0 < len(lacking) == len(ids) == len(others) and not part.is_file:
        yield f"if the rows of {part.name} are in the order of {X.name}, pass {part.name}.to_numpy()"


def _missing(part: Part) -> Iterator[str]:
    missing = part.values.isna()
    missing = missing.any(axis=1) if missing.ndim == 2 else missing
    if missing.any():
        rows = np.flatnonzero(missing)
        yield f"{part.name} is missing in {counted(len(rows), 'row')}: {part.places(rows)}"


def _features(X: Part) -> tuple[pd.DataFrame, list[str]]:
    """Return features as float64, those that are no numbers as NaN, and what is wrong with names and values."""
    frame, problems = X.values, []
    unnamed = [n for n, name in enumerate(frame.columns) if _is_unnamed(name)]
    if unnamed:
        shown = [str(n + 1) for n in unnamed[:_SHOWN]]
        problems.append(
            f"{X.name} has {counted(len(unnamed), 'column')} without a name: number {_more(shown, len(unnamed))}"
        )
    frame = frame.set_axis(frame.columns.map(str), axis=1)
    if len(repeated := frame.columns[frame.columns.duplicated()].unique()):
        problems.append(f"{X.name} has {counted(len(repeated), 'duplicated column name')}: {quoted(repeated)}")
        frame = frame.loc[:, ~frame.columns.duplicated()]
    if complex_numbers := {name: str for name, dtype in frame.dtypes.items() if dtype.kind == "c"}:
        frame = frame.astype(complex_numbers)
    if not frame.shape[1]:
        problems.append(f"{X.name} has no feature")
    values, wrong = numbers(frame)
    text = np.flatnonzero(wrong.any(axis=0))
    if len(text):
        shown = []
        for column in text[:_SHOWN]:
            rows = np.flatnonzero(wrong[:, column])
            cell = printable(frame.iat[rows[0], column])
            shown.append(f"'{printable(frame.columns[column])}' ({cell!r} in {X.places(rows)})")
        problems.append(
            f"{X.name} has {counted(len(text), 'column')} with cells that are not numbers: {_more(shown, len(text))}; "
            "leave them out, or encode them as numbers (missing values are blank or NaN)"
        )
    values = values.mask(wrong) if wrong.any() else values
    values = pd.DataFrame(values.to_numpy(dtype=np.float64, na_value=np.nan), frame.index, frame.columns)
    infinite = np.argwhere(np.isinf(values.to_numpy()))
    if len(infinite):
        shown = [f"'{printable(values.columns[c])}' in {X.places(np.array([r]))}" for r, c in infinite[:_SHOWN]]
        problems.append(f"{X.name} has {counted(len(infinite), 'infinite value')}: {_more(shown, len(infinite))}")
    return values, problems


def _is_unnamed(name: Any) -> bool:
    return bool(pd.isna(name)) or not str(name).strip() or re.fullmatch(r"Unnamed: \d+", str(name)) is not None


def _label_problems(y: Part) -> Iterator[str]:
    values = y.values
    if isinstance(values, pd.DataFrame):
        wrong = values.columns[~values.isin([0, 1]).where(values.notna(), True).all()]
        if len(wrong):
            yield f"{y.name} has columns with other values than 0 and 1: {quoted(wrong)}"
        return
    known = values.dropna()
    if is_number(values) and (len(set(known)) > max(2, len(known) / 2) or (known % 1 != 0).any()):
        yield (
            f"{y.name} has {len(set(known)):,} different numbers in {counted(len(known), 'row')}: predicting a number "
            "(regression) is not offered; give classes, for example those of pandas.cut"
        )


def design_problems(features: Features, split: Split) -> Iterator[str]:
    """Yield why labels and groups cannot be split so that every fold trains on and tests all that it must."""
    y, groups = features.y, features.groups
    if not len(y):
        return
    if isinstance(y, pd.DataFrame):
        constant = y.columns[y.nunique() < 2]
        if len(constant):
            yield f"labels are constant: {quoted(constant)}"
        if groups is not None:
            yield "several labels at once are not offered with groups"
        return
    if y.nunique() == 1:
        yield f"the label is constant: '{printable(y.iloc[0])}' in all {len(y):,} rows"
        return
    units = y.groupby(y).size() if groups is None or split != "cv5x5" else groups.groupby(y).nunique()
    unit = "row" if groups is None or split != "cv5x5" else "group"
    least = N_FOLDS if split == "cv5x5" else 2
    if few := [f"'{printable(name)}' ({counted(n, unit)})" for name, n in units.items() if n < least]:
        shown = _more(few[:_SHOWN], len(few))
        yield f"{counted(len(few), 'class')} with fewer than {least} {unit}s: {shown}; merge or drop them"
    if split not in GROUPED or groups is None:
        return
    if groups.nunique() < 2:
        yield f"there is one group, '{printable(groups.iloc[0])}'; leaving it out leaves no row to train on"
        return
    single = groups.groupby(groups).size().index[y.groupby(groups).nunique() == 1]
    if len(single):
        yield (
            f"{counted(len(single), 'group')} with one class alone: {quoted(single)}; no score is defined on such a "
            "fold. The split repeated (cv5x5 in a file) keeps the rows of a group together instead"
        )
    within = groups.groupby(y).nunique()
    if len(only := within.index[within == 1]):
        yield f"{counted(len(only), 'class')} in one group alone: {quoted(only)}; left out, it leaves none to train on"
