"""What scores depend on besides the task's question: the day, missing values, constants, folds and relatives."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.metrics import f1_score

from somb_utils.runs.constant import constant_models
from somb_utils.runs.day_tests import stored_day_tests
from somb_utils.runs.fit import fit_fold, prepare
from somb_utils.runs.models import SEED, resolve_models
from somb_utils.runs.runner import run
from somb_utils.stats.bootstrap import all_replicates
from somb_utils.tasks import splits
from somb_utils.tasks.day import phase_days
from somb_utils.tasks.task_data import TaskData


def day_tests(protocol: str) -> pd.DataFrame | str:
    """Return the stored day tests of a protocol beside the p-value of labels permuted within persons, or a note."""
    stored = stored_day_tests().query("protocol == @protocol")
    if stored.empty:
        return f"no day test under {protocol} is stored yet: somb day makes them"
    shown = ["task", "model", "metric", "observed", "null_mean", "null_sd", "relabellings", "floor", "p_day"]
    return stored[[*shown, "p_within_person"]].set_index(["task", "model"])


def day_recognition(phase_tasks: Sequence[TaskData], model: str = "logreg", n_jobs: int = 1) -> pd.DataFrame:
    """Return how often a model recognises the exact day of sampling in a person whom it was not fitted on.

    Indexed by task: days, chance (1 / days) and recognised (share of the rows).
    """
    rows = {}
    for data in phase_tasks:
        days = phase_days(data)
        counts = days.value_counts().sort_index()
        task = data.task.model_copy(update={"classes": tuple(counts.index), "class_counts": counts.to_dict()})
        of_days = replace(data, task=task, y=days, ablation="days")
        tested = run([of_days], model, n_jobs=n_jobs).predictions
        rows[data.name] = [len(counts), 1 / len(counts), (tested["y_pred"] == tested["y_true"]).mean()]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["days", "chance", "recognised"]).rename_axis("task")


def missingness(zeros: pd.DataFrame, gaps: pd.DataFrame) -> tuple[float, float]:
    """Return how much of the variance is missingness, where missing values became 0.

    That is the share of the variance that lies between missing and observed values of a column, and the correlation of
    the first principal component with that of the mask of missing values.
    """
    mask, n = gaps.isna(), len(gaps)
    missing, observed = zeros.where(mask).mean().fillna(0.0), zeros.where(~mask).mean().fillna(0.0)
    between = mask.sum() * (n - mask.sum()) / n * (missing - observed) ** 2
    first, of_mask = (PCA(1).fit_transform(values)[:, 0] for values in (zeros, mask.astype(float)))
    return float(between.sum() / (n * zeros.var(ddof=0)).sum()), float(abs(np.corrcoef(first, of_mask)[0, 1]))


def macro_f1(data: TaskData, models: Any, n_jobs: int = 1) -> pd.Series:
    """Return the macro F1 of each model, whichever metric leads."""
    results = run([data], models, n_seeds=1, n_jobs=n_jobs).results
    return results[results["metric"] == "macro_f1"].groupby("model", sort=False)["value"].mean()


def readings(zeros: TaskData, gaps: TaskData, models: Any, n_jobs: int = 1) -> pd.DataFrame:
    """Return the macro F1 of models on a task with missing values as 0, on parts of it, and with gaps as gaps.

    Columns are models; rows: missing as 0, the mask of missing values alone, the number of features observed alone, and
    missing as missing.
    """
    mask = gaps.X.isna()
    observed = (~mask).sum(axis=1).astype(float).to_frame("observed")
    versions = {
        "missing values as zero": zeros,
        "mask of missing values alone": replace(zeros, X=mask.astype(float)),
        "number of values observed alone": replace(zeros, X=observed, task=zeros.task.model_copy(update={"pca": {}})),
        "missing values as missing": gaps,
    }
    scores = {name: macro_f1(data, models, n_jobs) for name, data in versions.items()}
    return pd.DataFrame(scores).T.rename_axis("features", axis=0).rename_axis(None, axis=1)


def best_constant(data: TaskData) -> float:
    """Return the micro F1 of giving every row of a fold the commonest label of its training rows alone."""
    scores = []
    for fold in data.folds:
        constant = np.zeros_like(data.codes[fold.test])
        constant[:, data.codes[fold.train].sum(axis=0).argmax()] = 1
        scores.append(f1_score(data.codes[fold.test], constant, average="micro", zero_division=0))
    return float(np.mean(scores))


def constants(tasks: Sequence[TaskData], model: str = "lightgbm", n_jobs: int = 1) -> pd.DataFrame:
    """Return on which tasks a gradient booster predicts the same for all rows of every fold, and why.

    Indexed by task: most_training_rows, min_child_samples (the fewest rows that a leaf may have; a split needs twice as
    many) and constant.
    """
    rows = {}
    for data in tasks:
        predictions = run([data], model, n_jobs=n_jobs).predictions
        (estimator, *_) = resolve_models(model)[0].check(data.task, SEED)
        most = max(len(fold.train) for fold in data.folds)
        rows[data.name] = [most, estimator.get_params()["min_child_samples"], bool(constant_models(predictions))]
    columns = ["most_training_rows", "min_child_samples", "constant"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("task")


def never_tested(data: TaskData) -> dict[str, Any]:
    """Return how many rows and positives of a binary task no test fold has."""
    tested = np.unique(np.concatenate([fold.test for fold in data.folds]))
    left = np.delete(data.codes, tested)
    return {
        "task": data.name, "rows": len(data.X), "never_tested": len(left),
        "positives": int(data.codes.sum()), "positives_never_tested": int(left.sum()),
    }  # fmt: skip


def by_folds(
    data: TaskData, models: Any, relatives: Mapping[str, pd.Series] | None = None, n_jobs: int = 1
) -> pd.DataFrame:
    """Score models by the task's own folds, by complete cross-validation, and by the same with relatives together.

    `relatives` gives, by a name for them, which rows belong together. Returns the primary score, models × folds.
    """
    folds: dict[str, tuple[splits.Fold, ...]] = {"first folds": data.folds}
    for name, together in {"all folds": None, **(relatives or {})}.items():
        groups = None if together is None else together.loc[data.X.index].to_numpy()
        folds[name] = tuple(splits.complete(data.codes, groups))
    scores = {
        name: run([replace(data, folds=those)], models, n_jobs=n_jobs).summary(0).set_index("model")["mean"]
        for name, those in folds.items()
    }
    return pd.DataFrame(scores).assign(task=data.name).set_index("task", append=True).swaplevel()


def saturated(data: TaskData, model: str = "logreg") -> dict[str, float]:
    """Return how many test rows get a probability of exactly 1, and AUPRC by probability and by decision score."""
    fitted = resolve_models(model)[0]
    folds = [prepare(data, number) for number in range(len(data.folds))]
    plain = [fit_fold(fold, fitted) for fold in folds]
    ordered = [fit_fold(replace(fold, saturated=True), fitted) for fold in folds]
    return {
        "rows": int(sum((outcome.y_score == 1).sum() for outcome in plain)),
        "auprc_by_probability": float(np.mean([outcome.scores["auprc"] for outcome in plain])),
        "auprc_by_decision_score": float(np.mean([outcome.scores["auprc"] for outcome in ordered])),
    }


def replicate_means(tasks: Sequence[TaskData], model: str = "logreg", n_jobs: int = 1) -> pd.DataFrame:
    """Return the mean of a score's bootstrap replicates beside the score, and their ratio, indexed by task."""
    fitted = run(list(tasks), model, n_jobs=n_jobs)
    table = fitted.summary(0).set_index("task")[["metric", "mean"]].set_axis(["metric", "score"], axis=1)
    draws = {task: float(scored.mean()) for (task, _), scored in all_replicates(fitted.predictions).items()}
    table["replicate_mean"] = pd.Series(draws)
    return table.assign(ratio=table["replicate_mean"] / table["score"])


def empty_rows(data: TaskData) -> pd.DataFrame:
    """Return label and test fold of the rows all of whose features are 0."""
    empty = (data.X == 0).all(axis=1)
    tested = {row: fold.label for fold in data.folds for row in data.X.index[fold.test]}
    return pd.DataFrame({"label": data.y[empty], "test_fold": [tested[row] for row in data.X.index[empty]]})
