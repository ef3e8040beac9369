"""Checks of features, labels and folds: each returns the first problem as a sentence, or None."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from somb_utils.errors import printable
from somb_utils.tasks.definitions import Task
from somb_utils.tasks.splits import Fold

Labels = pd.Series | pd.DataFrame


def row_problem(X: pd.DataFrame, *others: Labels | None) -> str | None:
    """Check the rows of features, and of other parts that should have the same rows."""
    if X.index.has_duplicates:
        first = printable(X.index[X.index.duplicated()][0])
        return f"row identifiers (X.index) must be unique, but '{first}' is duplicated"
    if not all(part.index.equals(X.index) for part in others if part is not None):
        return "features, labels, groups, days and annotations are on different rows"
    return None


def table_problem(X: pd.DataFrame) -> str | None:
    """Check names and values of features."""
    for axis, names in (("row identifiers (X.index)", X.index), ("feature names (X.columns)", X.columns)):
        if len(names) and infer_dtype(names, skipna=False) != "string":
            return f"the {axis} must be text; .astype(str) makes them so"
        if names.has_duplicates:
            return f"the {axis} must be unique, but '{printable(names[names.duplicated()][0])}' is duplicated"
    if not X.size:
        return f"there are {len(X)} rows and {X.shape[1]} features"
    if not (X.dtypes == np.float64).all():
        return "the features must be numbers; X.astype(float) makes them so"
    if np.isinf(X.to_numpy()).any():
        row, column = np.argwhere(np.isinf(X.to_numpy()))[0]
        return f"feature '{printable(X.columns[column])}' of row '{printable(X.index[row])}' is infinite"
    return None


def label_problem(y: Labels, groups: pd.Series | None, task: Task) -> str | None:
    """Check labels and groups."""
    if isinstance(y, pd.DataFrame) != (task.type == "multilabel"):
        return f"y of a {task.type} task is a {type(y).__name__}"
    if isinstance(y, pd.DataFrame):
        if tuple(y.columns) != task.classes or not y.isin([0, 1]).all(axis=None):
            return "y must contain 0 and 1, with one column for each of the task's classes, in their order"
    elif not y.isin(task.classes).all():
        other = y[~y.isin(task.classes)].iloc[0]
        shown: str = "missing" if pd.isna(other) else printable(repr(other))
        return f"label {shown} is not one of {', '.join(task.classes)}"
    if groups is not None and not all(isinstance(group, str) for group in groups):
        row = next(row for row, group in groups.items() if not isinstance(group, str))
        return f"row '{printable(row)}' has no {groups.name}; the groups must be text"
    return None


def fold_problem(folds: Sequence[Fold], n_rows: int, groups: pd.Series | None) -> str | None:
    """Check labels and rows of folds."""
    labels = [fold.label for fold in folds]
    if not labels:
        return "there is no fold"
    if not all(isinstance(label, str) and label for label in labels):
        return "the folds' labels must be text, such as Fold('0', train, test)"
    if repeated := [label for label, count in Counter(labels).items() if count > 1]:
        return f"fold labels must be unique, but '{printable(repeated[0])}' is duplicated"
    for fold in folds:
        label, rows = printable(fold.label), (np.asarray(fold.train), np.asarray(fold.test))
        if not all(part.ndim == 1 and part.size and part.dtype.kind in "iu" for part in rows):
            return f"the train and test rows of fold {label} must be non-empty arrays of row positions"
        both = np.concatenate(rows)
        if both.min() < 0 or both.max() >= n_rows:
            return f"fold {label} names a row that is not among the {n_rows}"
        if len(np.unique(both)) < len(both):
            return f"fold {label} names a row more than once, or tests on a training row"
        if groups is not None and set(groups.iloc[rows[0]]) & set(groups.iloc[rows[1]]):
            return f"fold {label} trains and tests on rows of one group ({groups.name})"
    return None
