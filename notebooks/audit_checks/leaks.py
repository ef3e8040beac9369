"""Features and labels of a task that give something away, and scores that one group carries."""

from collections.abc import Mapping
from itertools import combinations, permutations

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, QuantileTransformer, StandardScaler

from somb_utils.errors import UsageError
from somb_utils.runs.results import RunResult
from somb_utils.runs.runner import run
from somb_utils.stats import bootstrap_interval
from somb_utils.tasks.definitions import get_task
from somb_utils.tasks.task_data import TaskData

MOST_FEATURES = 5_000  # of a task whose single features are searched


def missing_by_class(data: TaskData) -> pd.Series:
    """Return the mean share of values that are missing or 0, by class, of a task whose rows have one class each."""
    if not isinstance(data.y, pd.Series):
        raise UsageError(f"{data.name} is multilabel, its rows have no single class")
    empty = (data.X.isna() | (data.X == 0)).mean(axis=1)
    return empty.groupby(data.y).mean().reindex(data.task.classes).rename(data.name)


def one_feature() -> Pipeline:
    """Make a model of a single feature: the one that separates the training classes best.

    Features are replaced by their ranks, the one with the largest F statistic is kept, and a class-weighted logistic
    regression takes it and its square, so that both ends may differ from the middle.
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
    """Score `one_feature` on every task but multilabel ones and those of more than `MOST_FEATURES`.

    Returns metric, chance, one_feature (score), low and high (ends of its interval), indexed by task.
    """
    chosen = [data for data in tasks.values() if data.task.type != "multilabel" and data.X.shape[1] <= MOST_FEATURES]
    if not chosen:
        return pd.DataFrame(columns=["metric", "chance", "one_feature", "low", "high"])
    result = run(chosen, {"one feature": one_feature}, n_jobs=n_jobs)
    table = result.summary().rename(columns={"mean": "one_feature"}).set_index("task")
    rows = result.predictions.groupby("task")
    ends = {task: bootstrap_interval(part, str(task), n_bootstrap, seed) for task, part in rows}
    intervals = pd.DataFrame.from_dict(ends, orient="index", columns=["low", "high"])
    return table[["metric", "chance", "one_feature"]].join(intervals)


def column_auroc(X: pd.DataFrame, positive: np.ndarray) -> np.ndarray:
    """Return the AUROC of every column for `positive`, shape (n_columns,); NaN if all rows are of one class.

    Missing values are replaced by the column's mean, as the baselines impute them.
    """
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return np.full(X.shape[1], np.nan)
    ranks = rankdata(X.fillna(X.mean()).to_numpy(), axis=0)
    return (ranks[positive].sum(axis=0) - n * (n + 1) / 2) / (n * m)


def every_feature(data: TaskData) -> pd.DataFrame:
    """Return how well each single feature of a binary task ranks its rows, best first.

    Columns: task, feature, auroc (0.5 to 1, whichever end is positive) and positive_end (``high`` or ``low``).
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
    """Return, for each pair of binary tasks that share `least` positives, the feature of one that ranks the other best.

    Columns: features_of, label_of, shared (rows), positives, feature and its auroc, highest first. Nothing is fitted.
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
            rows.append((one, two, len(shared), int(positive.sum()), first.X.columns[best], float(auroc[best])))
    columns = ["features_of", "label_of", "shared", "positives", "feature", "auroc"]
    return pd.DataFrame(rows, columns=columns).sort_values("auroc", ascending=False, kind="stable", ignore_index=True)


def shared_labels(tasks: Mapping[str, TaskData]) -> pd.DataFrame:
    """Compare the labels of binary tasks on the rows they share, most surprising pair first.

    Columns: one, two, shared (rows), positives_one, positives_two, both (positive in both tasks) and expected (how many
    would be if the labels were independent).
    """
    positive = {name: pd.Series(d.codes == 1, d.X.index) for name, d in tasks.items() if d.task.type == "binary"}
    rows = []
    for one, two in combinations(positive, 2):
        shared = positive[one].index.intersection(positive[two].index)
        a, b = positive[one].loc[shared], positive[two].loc[shared]
        if a.any() and b.any():
            rows.append((one, two, len(a), int(a.sum()), int(b.sum()), int((a & b).sum()), a.sum() * b.sum() / len(a)))
    columns = ["one", "two", "shared", "positives_one", "positives_two", "both", "expected"]
    table = pd.DataFrame(rows, columns=columns)
    surprise = (table["both"] - table["expected"]) / np.sqrt(table["expected"])
    return table.iloc[surprise.argsort()[::-1]].reset_index(drop=True)


def without_one_group(result: RunResult) -> pd.DataFrame:
    """Return how low each primary score falls when one group (crew member or time point) is left out of its mean.

    Columns: task, protocol, model, metric, chance, mean, lowest (the mean without the group that adds most), without
    (that group) and carried (whether the mean is above chance with that group, and not without it).
    """
    key = ["task", "protocol", "model", "metric"]
    summary = result.summary(0)
    grouped = summary[[get_task(task).leaves_groups_out for task in summary["task"]]]
    of_fold = result.results.groupby([*key, "fold"], sort=False)["value"].mean().dropna().reset_index()  # over seeds
    folds = of_fold.merge(grouped[[*key, "chance", "mean"]], on=key)
    values = folds.groupby(key, sort=False)["value"]
    folds["lowest"] = (values.transform("sum") - folds["value"]) / (values.transform("count") - 1)
    table = folds.dropna(subset="lowest").sort_values("lowest", kind="stable").drop_duplicates(key)
    table = table.assign(carried=(table["mean"] > table["chance"]) & (table["lowest"] <= table["chance"]))
    table = table.rename(columns={"fold": "without"}).set_index(key)
    order = grouped.set_index(key).index.intersection(table.index)
    return table.loc[order, ["chance", "mean", "lowest", "without", "carried"]].reset_index()
