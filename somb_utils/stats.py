"""Bootstrap intervals that resample what was sampled: crew and their rows, time points and rows, or rows."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from somb_utils.errors import UsageError
from somb_utils.tasks import Task, get_task

GROUPED = ("loco", "loto")


def bootstrap_interval(
    predictions: pd.DataFrame, task: Task | str, n_bootstrap: int = 200, seed: int = 42, level: float = 0.95
) -> tuple[float, float]:
    """Return the percentile interval of one model's score on one task.

    Parameters
    ----------
    predictions : the model's rows of :attr:`somb_utils.results.RunResult.predictions` for this task
    task : the definition or its id
    n_bootstrap : replicates
    seed : the same seed draws the same rows for every model, so that models compare in pairs
    level : coverage

    Returns
    -------
    tuple of float
        Lower and upper end; NaN without replicates or predictions.

    Notes
    -----
    LOCO and LOTO draw groups with replacement, then rows within each drawn group; the other splits draw rows within
    each repetition. A replicate's score is, as the task's, the mean over folds of the metric, folds that leave it
    undefined left out. With four crew the interval is rough: it can take only as many shapes as four people can.
    """
    draws = replicates(predictions, task, n_bootstrap, seed)
    if not np.isfinite(draws).any():
        return np.nan, np.nan
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def replicates(predictions: pd.DataFrame, task: Task | str, n_bootstrap: int, seed: int) -> np.ndarray:
    """Return the bootstrap scores of one model on one task, shape (n_bootstrap,)."""
    definition = get_task(task) if isinstance(task, str) else task
    metric = weighted_metric(definition)
    rng = np.random.default_rng(seed)
    folds = [rows for _, rows in predictions.groupby("fold", sort=True)]
    if not folds or n_bootstrap == 0:
        return np.empty(0)
    n_slots = len(folds) if definition.split in GROUPED else 1
    values = np.empty((len(folds), n_slots, n_bootstrap))
    for k, rows in enumerate(folds):
        n = rows["id"].nunique()
        weights = draw_weights(n, n_slots * n_bootstrap, rng)
        values[k] = metric(rows, weights).reshape(n_slots, n_bootstrap)
    if definition.split in GROUPED:
        drawn = rng.integers(len(folds), size=(n_slots, n_bootstrap))
        values = values[drawn, np.arange(n_slots)[:, None], np.arange(n_bootstrap)]
    else:
        values = values[:, 0]
    defined = np.isfinite(values).sum(axis=0)
    return np.where(defined > 0, np.nansum(values, axis=0) / np.maximum(defined, 1), np.nan)


def draw_weights(n: int, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each of `n` rows is drawn, shape (n_draws, n); each draw takes n rows with replacement."""
    rows = rng.integers(n, size=(n_draws, n))
    rows += n * np.arange(n_draws)[:, None]
    return np.bincount(rows.ravel(), minlength=n_draws * n).reshape(n_draws, n)


Weighted = Callable[[pd.DataFrame, np.ndarray], np.ndarray]


def weighted_metric(task: Task) -> Weighted:
    """Return the task's primary metric as a function of one fold's predictions and row weights (n_draws, n_rows).

    Raises
    ------
    UsageError
        If the metric has no weighted form.
    """
    forms: dict[str, Weighted] = {"auroc": _auroc, "auprc": _auprc, "micro_f1": _micro_f1}
    if task.metrics.primary == "macro_f1":
        return lambda rows, weights: _macro_f1(rows, weights, task.classes)
    if task.metrics.primary not in forms:
        raise UsageError(f"{task.id}: no bootstrap for the metric {task.metrics.primary}; use {', '.join(forms)}")
    if task.metrics.primary == "micro_f1":
        return _micro_f1
    positive = task.classes[1]
    return lambda rows, weights: forms[task.metrics.primary](
        rows.assign(y_true=rows["y_true"].to_numpy() == positive), weights
    )


def _macro_f1(rows: pd.DataFrame, weights: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    truth, predicted = (rows[c].to_numpy()[:, None] == np.array(classes, dtype=object) for c in ("y_true", "y_pred"))
    hits, true, called = (weights @ part.astype(float) for part in (truth & predicted, truth, predicted))
    return _f1(hits, true, called).mean(axis=1)


def _micro_f1(rows: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
    # Rows stand label by label within an id.
    n_labels = rows["label"].nunique()
    truth, predicted = (rows[c].to_numpy().reshape(-1, n_labels) == "1" for c in ("y_true", "y_pred"))
    hits, true, called = (weights @ part.sum(axis=1).astype(float) for part in (truth & predicted, truth, predicted))
    return _f1(hits, true, called)


def _f1(hits: np.ndarray, true: np.ndarray, called: np.ndarray) -> np.ndarray:
    return np.divide(2 * hits, true + called, out=np.zeros(hits.shape), where=true + called > 0)


def _cumulated(rows: pd.DataFrame, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return positives and negatives drawn at or above each distinct score, best first."""
    score = rows["y_score"].to_numpy()
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    truth = rows["y_true"].to_numpy()[order]
    drawn = weights[:, order]
    total = drawn.cumsum(axis=1)[:, last].astype(float)
    positives = (drawn * truth).cumsum(axis=1)[:, last].astype(float)
    return positives, total - positives


def _auroc(rows: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
    positives, negatives = _cumulated(rows, weights)
    gained = np.diff(negatives, axis=1, prepend=0)
    area = (gained * (positives - np.diff(positives, axis=1, prepend=0) / 2)).sum(axis=1)
    pairs = positives[:, -1] * negatives[:, -1]
    return np.divide(area, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def _auprc(rows: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
    positives, negatives = _cumulated(rows, weights)
    called = positives + negatives
    precision = np.divide(positives, called, out=np.zeros(called.shape), where=called > 0)
    area = (np.diff(positives, axis=1, prepend=0) * precision).sum(axis=1)
    found = positives[:, -1]
    return np.divide(area, found, out=np.full(len(weights), np.nan), where=found > 0)
