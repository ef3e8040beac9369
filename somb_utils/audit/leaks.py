"""Rows, features and labels of a task that give something away, or carry nothing."""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, QuantileTransformer, StandardScaler

from somb_utils.errors import UsageError
from somb_utils.runs.runner import run
from somb_utils.stats import bootstrap_interval
from somb_utils.tasks.task_data import TaskData

DIGITS = 9


def repeated_rows(data: TaskData) -> pd.DataFrame:
    """Return the rows whose features equal those of another row.

    Returns
    -------
    DataFrame
        Indexed by row identifier: set (rows of one set are equal), label (text; the labels joined if multilabel), and
        tested_beside_twin (in how many folds it is tested while an equal row is trained on), ordered by set.
    """
    values = _row_hash(data)
    twice = values.duplicated(keep=False)
    beside = np.zeros(len(values), dtype=int)
    for fold in data.folds:
        beside[fold.test] += values.iloc[fold.test].isin(values.iloc[fold.train]).to_numpy()
    table = pd.DataFrame(
        {"set": values.groupby(values, sort=False).ngroup(), "label": _label_text(data), "tested_beside_twin": beside}
    )[twice]
    return table.assign(set=table["set"].rank(method="dense").astype(int)).sort_values("set", kind="stable")


def feature_census(data: TaskData) -> dict[str, Any]:
    """Count a task's features that carry nothing, repeat another, or nearly name the row.

    Returns
    -------
    dict
        task, rows, features, constant (one value at most), repeated (equal to an earlier feature), unique (no two rows
        share a value), and missing and zero (shares of the cells).
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
    """Count a task's repeated rows, those tested beside an equal training row, and folds that lack a class.

    Returns
    -------
    dict
        task, rows, equal_rows, equal_label_differs (sets of equal rows with more than one label), beside_twin (tested
        rows, over all folds, that have an equal row in training), empty_rows (all features 0 or missing), and
        folds_lacking_class (test folds in which a class is absent).
    """
    equal = repeated_rows(data)
    codes = data.codes if data.codes.ndim == 2 else np.eye(len(data.task.classes))[data.codes]
    return {
        "task": data.name,
        "rows": len(data.X),
        "equal_rows": len(equal),
        "equal_label_differs": int((equal.groupby("set")["label"].nunique() > 1).sum()),
        "beside_twin": int(equal["tested_beside_twin"].sum()),
        "empty_rows": int((data.X.fillna(0.0) == 0).all(axis=1).sum()),
        "folds_lacking_class": sum(not codes[fold.test].any(axis=0).all() for fold in data.folds),
        "folds": len(data.folds),
    }


def missing_by_class(data: TaskData) -> pd.Series:
    """Return the mean share of cells that are missing or 0, by class.

    Raises
    ------
    UsageError
        If the task is multilabel: a row has no single class there.
    """
    if not isinstance(data.y, pd.Series):
        raise UsageError(f"{data.name} is multilabel, its rows have no single class")
    empty = (data.X.isna() | (data.X == 0)).mean(axis=1)
    return empty.groupby(data.y).mean().reindex(data.task.classes).rename(data.name)


def one_feature() -> Pipeline:
    """Make a model that sees a single feature: the one that separates the training classes best.

    Features are replaced by their ranks, the one with the largest F statistic is kept, and a
    class-weighted logistic regression takes it and its square, so that both ends may differ from the middle.
    """
    return make_pipeline(
        QuantileTransformer(n_quantiles=10, random_state=0),
        VarianceThreshold(),
        SelectKBest(f_classif, k=1),
        PolynomialFeatures(2, include_bias=False),
        StandardScaler(),
        LogisticRegression(class_weight="balanced", max_iter=1000),
    )


def one_feature_scores(tasks: Mapping[str, TaskData], n_bootstrap: int, seed: int, n_jobs: int = 1) -> pd.DataFrame:
    """Score :func:`one_feature` on every task but multilabel ones and those of more than 5,000 features.

    Returns
    -------
    DataFrame
        Indexed by task: metric, chance, one_feature (score), low and high (95 % interval).
    """
    chosen = [data for data in tasks.values() if data.task.type != "multilabel" and data.X.shape[1] <= 5_000]
    if not chosen:
        return pd.DataFrame(columns=["metric", "chance", "one_feature", "low", "high"])
    result = run(chosen, {"one feature": one_feature}, n_jobs=n_jobs)
    table = result.summary().rename(columns={"mean": "one_feature"}).set_index("task")
    rows = result.predictions.groupby("task")
    ends = {task: bootstrap_interval(part, str(task), n_bootstrap, seed) for task, part in rows}
    intervals = pd.DataFrame.from_dict(ends, orient="index", columns=["low", "high"])
    return table[["metric", "chance", "one_feature"]].join(intervals)


def column_auroc(X: pd.DataFrame, positive: np.ndarray) -> np.ndarray:
    """Return the AUROC of every column for `positive`, shape (n_columns,); NaN if all rows are of one kind.

    Missing cells stand at the column's mean, where the baselines' imputation puts them.
    """
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return np.full(X.shape[1], np.nan)
    ranks = rankdata(X.fillna(X.mean()).to_numpy(), axis=0)
    return (ranks[positive].sum(axis=0) - n * (n + 1) / 2) / (n * m)


def every_feature(data: TaskData) -> pd.DataFrame:
    """Return how well each feature of a binary task ranks its rows alone.

    Returns
    -------
    DataFrame
        task, feature, auroc (0.5 to 1, whichever end is positive), positive_end (``high`` or ``low``), best first.

    Raises
    ------
    UsageError
        If the task is not binary.
    """
    if data.task.type != "binary":
        raise UsageError(f"{data.name} is {data.task.type}; a single AUROC needs a binary task")
    auroc = column_auroc(data.X, data.codes == 1)
    table = pd.DataFrame(
        {
            "task": data.name,
            "feature": data.X.columns,
            "auroc": np.maximum(auroc, 1 - auroc),
            "positive_end": np.where(auroc >= 0.5, "high", "low"),
        }
    )
    return table.sort_values("auroc", ascending=False, kind="stable", ignore_index=True)


def labels_in_features(tasks: Mapping[str, TaskData], least: int = 20) -> pd.DataFrame:
    """Look for features of one binary task that are another's label.

    Parameters
    ----------
    tasks : by id; those that are not binary are passed over
    least : positives that two tasks must share

    Returns
    -------
    DataFrame
        features_of, label_of, shared (rows both have), positives, feature (the one that ranks best) and its auroc,
        highest first; ranks of single features, no fit.
    """
    binary = {name: data for name, data in tasks.items() if data.task.type == "binary"}
    rows = []
    for (one, first), (two, second) in permutations(binary.items(), 2):
        label = pd.Series(second.codes, second.X.index)
        shared = first.X.index.intersection(label.index)
        positive = label.loc[shared].to_numpy() == 1
        if least <= positive.sum() < len(shared):
            auroc = column_auroc(first.X.loc[shared], positive)
            auroc = np.maximum(auroc, 1 - auroc)
            best = int(auroc.argmax())
            found = {"feature": first.X.columns[best], "auroc": float(auroc[best])}
            rows.append(
                {"features_of": one, "label_of": two, "shared": len(shared), "positives": int(positive.sum()), **found}
            )
    columns = ["features_of", "label_of", "shared", "positives", "feature", "auroc"]
    return pd.DataFrame(rows, columns=columns).sort_values("auroc", ascending=False, kind="stable", ignore_index=True)


def shared_labels(tasks: Mapping[str, TaskData]) -> pd.DataFrame:
    """Compare the labels of binary tasks on the rows they share.

    Returns
    -------
    DataFrame
        one, two, shared (rows), positives_one, positives_two, both (positive in both), expected (if they were
        independent), most surprising first.
    """
    binary = [(name, data) for name, data in tasks.items() if data.task.type == "binary"]
    rows = []
    for i, (one, first) in enumerate(binary):
        for two, second in binary[i + 1 :]:
            a, b = (pd.Series(data.codes == 1, data.X.index) for data in (first, second))
            shared = a.index.intersection(b.index)
            if a.loc[shared].any() and b.loc[shared].any():
                rows.append((one, two, *_overlap(a.loc[shared], b.loc[shared])))
    columns = ["one", "two", "shared", "positives_one", "positives_two", "both", "expected"]
    table = pd.DataFrame(rows, columns=columns)
    surprise = (table["both"] - table["expected"]) / np.sqrt(table["expected"])
    return table.iloc[surprise.argsort()[::-1]].reset_index(drop=True)


def _overlap(a: pd.Series, b: pd.Series) -> tuple[int, int, int, int, float]:
    return len(a), int(a.sum()), int(b.sum()), int((a & b).sum()), float(a.sum() * b.sum() / len(a))


def _row_hash(data: TaskData) -> pd.Series:
    return pd.util.hash_pandas_object(data.X.fillna(0.0).round(DIGITS), index=False).set_axis(data.X.index)


def _label_text(data: TaskData) -> pd.Series:
    if isinstance(data.y, pd.Series):
        return data.y
    return data.y.apply(lambda row: ", ".join(row.index[row == 1]), axis=1)
