"""Faults of a task's rows and features: repeated and empty rows, constant features, absent classes."""

from typing import Any

import numpy as np
import pandas as pd

from somb_utils.tasks.task_data import TaskData

DIGITS = 9  # decimals to which values are compared


def feature_census(data: TaskData) -> dict[str, Any]:
    """Count features that are constant, equal to another, or different in every row.

    Parameters
    ----------
    data
        A task with its features.

    Returns
    -------
    dict
        ``task``; ``rows`` and ``features`` (counts); ``constant`` (features of one value at most), ``repeated`` (equal
        to an earlier feature), ``unique`` (no two rows share a value, as in an identifier); ``missing`` and ``zero``
        (shares of all values).

    Examples
    --------
    >>> import somb_utils as somb
    >>> from somb_utils.audit import feature_census
    >>> feature_census(somb.load_task("A1", source="simulated"))["features"]
    39
    """
    X = data.X.round(DIGITS)
    distinct = X.nunique()
    columns = pd.util.hash_pandas_object(X.T, index=False)
    return {
        "task": data.name,
        "rows": len(X),
        "features": X.shape[1],
        "constant": int((distinct <= 1).sum()),
        "repeated": int((columns.duplicated() & (distinct > 1).to_numpy()).sum()),
        "unique": int((distinct == len(X)).sum()),
        "missing": float(X.isna().to_numpy().mean()),
        "zero": float((X == 0).to_numpy().mean()),
    }


def row_census(data: TaskData) -> dict[str, Any]:
    """Count repeated and empty rows, and test folds that lack a class.

    Parameters
    ----------
    data
        A task with its features, labels and folds.

    Returns
    -------
    dict
        ``task``; ``rows``; ``equal_rows`` (rows that equal another), ``equal_label_differs`` (sets of equal rows with
        more than one label), ``beside_twin`` (rows tested while an equal row is in training, over all folds),
        ``empty_rows`` (all features 0 or missing), ``folds_lacking_class`` (test folds without one of the classes) and
        ``folds``.
    """
    equal = repeated_rows(data)
    labels = data.codes if data.codes.ndim == 2 else np.eye(len(data.task.classes))[data.codes]
    return {
        "task": data.name,
        "rows": len(data.X),
        "equal_rows": len(equal),
        "equal_label_differs": int((equal.groupby("set")["label"].nunique() > 1).sum()),
        "beside_twin": int(equal["tested_beside_twin"].sum()),
        "empty_rows": int((data.X.fillna(0.0) == 0).all(axis=1).sum()),
        "folds_lacking_class": sum(not labels[fold.test].any(axis=0).all() for fold in data.folds),
        "folds": len(data.folds),
    }


def repeated_rows(data: TaskData) -> pd.DataFrame:
    """Return the rows whose features equal those of another row.

    Parameters
    ----------
    data
        A task with its features, labels and folds.

    Returns
    -------
    DataFrame
        Indexed by row identifier, ordered by set: ``set`` (rows of one set are equal), ``label`` (of a multilabel task,
        its labels joined) and ``tested_beside_twin`` (in how many folds the row is tested while an equal one is in
        training).
    """
    values = pd.util.hash_pandas_object(data.X.fillna(0.0).round(DIGITS), index=False).set_axis(data.X.index)
    repeated = values.duplicated(keep=False)
    beside_twin = np.zeros(len(values), dtype=int)
    for fold in data.folds:
        beside_twin[fold.test] += values.iloc[fold.test].isin(values.iloc[fold.train]).to_numpy()
    label = data.y
    if isinstance(label, pd.DataFrame):
        label = label.apply(lambda row: ", ".join(row.index[row == 1]), axis=1)
    sets = values.groupby(values, sort=False).ngroup()
    rows = pd.DataFrame({"set": sets, "label": label, "tested_beside_twin": beside_twin})[repeated]
    return rows.assign(set=rows["set"].rank(method="dense").astype(int)).sort_values("set", kind="stable")
