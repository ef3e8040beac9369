"""Permutation p-values of a score against chance, and their correction over a table."""

from collections.abc import Collection, Mapping
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import false_discovery_control

from somb_utils._seeds import checked_seed
from somb_utils.errors import SombError, UsageError
from somb_utils.stats import kernels
from somb_utils.stats.bootstrap import batch_sizes, batches
from somb_utils.stats.design import (
    Design,
    constant_label,
    contiguous,
    design,
    each_protocol,
    protocol_of,
    rows_of,
    signatures,
)
from somb_utils.stats.intervals import SEED
from somb_utils.tasks.definitions import Definitions, Task

N_PERMUTATIONS = 999
ALPHA = 0.05


def permutation_p(
    predictions: pd.DataFrame, task: Task | str, n_permutations: int = N_PERMUTATIONS, seed: int = SEED
) -> float:
    """Return the one-sided permutation p-value of a score against chance.

    Parameters
    ----------
    predictions
        One model's rows of :attr:`somb_utils.RunResult.predictions` for this task, in any order.
    task
        The definition or its id.
    n_permutations
        Number of shuffles; the p-value is at least 1 / (1 + n_permutations).
    seed
        Of the shuffles.

    Returns
    -------
    float
        (1 + b) / (1 + n_permutations), where b shuffles score at least as high (Phipson and Smyth 2010); NaN if the
        score is undefined or there are no predictions.

    Raises
    ------
    UsageError
        If `n_permutations` is below 1, the metric cannot be resampled, or the predictions are of several models.

    Notes
    -----
    Predictions stay as they are and labels are exchanged among rows that were tested in the same folds (Good 2005),
    so each fold keeps its class counts, and an id that several repetitions test keeps one label. Complete
    cross-validation tests every row in each repetition: there, labels are exchanged among all rows. With
    leave-one-crew-out folds that is within a crew member. Swabs of a day that share a label are exchanged as one;
    where their labels differ (body site), swabs are exchanged within their day.

    Predictions that stay hide half of the variance that the score has without signal: rows that one fold tests train
    the models of the others, so two rows that resemble each other raise or lower both their scores. Were labels
    shuffled before the fits, the variance would be twice as large for a model whose predictions are linear in the
    training labels and in a symmetric similarity of rows. With several folds, shuffled scores are therefore spread
    about their mean by the square root of 2. Simulated without signal, that factor is 1.4 for logistic regression,
    1.3 for random forests and 1.1 for nearest neighbours, of which this test asks a little too much.

    Examples
    --------
    >>> import somb_utils as somb
    >>> result = somb.run("A1", "logreg", source="simulated", n_jobs=1)
    >>> permutation_p(result.predictions, "A1", n_permutations=99)
    0.01
    """
    if predictions.empty:
        return np.nan
    return p_value(null_scores(design(predictions, task), predictions, n_permutations, seed))


def p_value(scores: np.ndarray) -> float:
    """Return the share of scores at least as high as the first, which counts itself; NaN if it is undefined."""
    if np.isnan(scores[0]):
        return np.nan
    shuffled = scores[1:][np.isfinite(scores[1:])]
    return float((1 + (shuffled >= scores[0] - 1e-12).sum()) / (1 + len(shuffled)))


def null_scores(
    plan: Design, predictions: pd.DataFrame, n_permutations: int = N_PERMUTATIONS, seed: int = SEED
) -> np.ndarray:
    """Return the score, then those under shuffled labels, shape (1 + n_permutations,)."""
    if n_permutations < 1:
        raise UsageError(f"n_permutations is {n_permutations}; give 1 or more")
    seed = checked_seed(seed)
    if plan.metric == kernels.MICRO_F1:
        return _multilabel(plan, predictions, n_permutations, seed)
    rows, signature = rows_of(plan, predictions), signatures(plan)
    item_of, sets = _items(plan, signature)
    labels = np.zeros(sets[-1], dtype=np.int64)
    labels[item_of] = plan.label_row
    codes = (labels, rows.b, rows.c, plan.truth)
    score = partial(kernels.permute, plan.metric, plan.n_classes, item_of[rows.row], rows.folds, *codes)
    rng, n = np.random.default_rng(seed), len(labels)
    unshuffled = score(np.arange(n + 1), np.zeros((1, n)))
    shuffled = [score(sets, rng.random((size, n))) for size in batch_sizes(n_permutations, n)]
    return _spread(plan, np.concatenate([unshuffled, *shuffled]))


def _items(plan: Design, signature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what carries a label (a unit of one label, or an id), by id, and where each exchangeable set starts."""
    by_unit = constant_label(plan.label_row, plan.unit_of).min() >= 0
    if by_unit:
        of_unit = constant_label(signature, plan.unit_of)
        if of_unit.min() < 0:
            raise SombError(f"{plan.task.id}: what was sampled as one, by its id, is tested in two folds")
        order, sets = contiguous([of_unit])
    else:
        order, sets = contiguous([signature, plan.unit_of])
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return (place[plan.unit_of] if by_unit else place), sets


def _multilabel(plan: Design, predictions: pd.DataFrame, n_permutations: int, seed: int) -> np.ndarray:
    """Whole rows of labels are exchanged; the micro F1 of each fold is then averaged."""
    rows, rng = rows_of(plan, predictions), np.random.default_rng(seed)
    frame = predictions.iloc[plan.order]
    called = (frame["y_pred"].to_numpy() == "1").reshape(len(plan.row), -1)
    hits = called.astype(np.int64) @ plan.labels.T
    size = plan.labels.sum(axis=1)
    order, sets = contiguous([signatures(plan)])
    source, scores = np.arange(len(plan.ids)), np.empty(n_permutations + 1)
    for r in range(n_permutations + 1):
        if r:
            for lo, hi in pairwise(sets):
                source[order[lo:hi]] = rng.permutation(source[order[lo:hi]])
        labels_of = source[plan.row]
        parts = (hits[np.arange(len(labels_of)), labels_of], size[labels_of], rows.c)
        hit, true, call = (np.add.reduceat(part, plan.folds[:-1]) for part in parts)
        scores[r] = np.divide(2.0 * hit, true + call, out=np.zeros(len(hit)), where=true + call > 0).mean()
    return _spread(plan, scores)


def _spread(plan: Design, scores: np.ndarray) -> np.ndarray:
    """Spread shuffled scores about their mean, as they would be with models fitted to the shuffled labels."""
    shuffled = scores[1:]
    if plan.group.max() > 0 and np.isfinite(shuffled).any():  # what a single fold tests trains no model
        centre = np.nanmean(shuffled)
        scores[1:] = centre + np.sqrt(2) * (shuffled - centre)
    return scores


def with_p_values(
    summary: pd.DataFrame,
    predictions: pd.DataFrame,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = SEED,
    n_jobs: int | None = None,
    untested: Collection[str] = (),
    p_day: Mapping[tuple[str, str, str], float] | None = None,
    own: Definitions | None = None,
) -> pd.DataFrame:
    """Return a summary with each score's p-value against chance, and its correction over the table.

    Parameters
    ----------
    summary
        Columns task and model; and protocol, if there are several.
    predictions
        Of the same run.
    n_permutations, seed
        Shuffles behind each p-value, and their seed.
    n_jobs
        Scores tested at once, in threads; one when omitted, unless :class:`joblib.parallel_config` names threads.
    untested
        Models to leave out, such as the trivial baselines, so that they do not count as tests.
    p_day
        P-values of :func:`somb_utils.day_test` by task, protocol and model.
    own
        Definitions of your own tasks: :attr:`somb_utils.RunResult.own_tasks`.

    Returns
    -------
    DataFrame
        The summary with `p` and `q`, the smallest false discovery rate at which the score counts as above chance
        (Benjamini and Yekutieli 2001, valid under any dependence between tests), over all models and tasks of a
        protocol. NaN where there was no test. `p` is that of the day test where the label is a function of the day of
        sampling (``shuffled`` is "days"), and that of :func:`somb_utils.stats.permutation_p` elsewhere ("labels").

    Raises
    ------
    UsageError
        If `n_permutations` is below 1.
    """
    tested = predictions[~predictions["model"].isin(untested)]
    by_day = {key: p for key, p in (p_day or {}).items() if key[2] not in untested}
    parts = [
        _with_p_values(*part, n_permutations, seed, n_jobs, by_day, own) for part in each_protocol(summary, tested)
    ]
    return pd.concat(parts).loc[summary.index]


def _with_p_values(
    summary: pd.DataFrame,
    predictions: pd.DataFrame,
    n_permutations: int,
    seed: int,
    n_jobs: int | None,
    p_day: Mapping[tuple[str, str, str], float],
    own: Definitions | None,
) -> pd.DataFrame:
    parts = [batch for batch in batches(predictions, own) if not batch[1].task.label_by_day]
    calls = [(task, model, plan, rows) for task, plan, models in parts for model, rows in models.items()]
    tested = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(null_scores)(plan, rows, n_permutations, seed) for _, _, plan, rows in calls
    )
    p_of = {(task, model): p_value(scores) for (task, model, _, _), scores in zip(calls, tested, strict=True)}
    by_day = {(task, model): p for (task, protocol, model), p in p_day.items() if protocol == protocol_of(predictions)}
    keys = list(zip(summary["task"], summary["model"], strict=True))
    p = np.array([by_day.get(key, p_of.get(key, np.nan)) for key in keys])
    shuffled = [
        None if np.isnan(value) else "days" if key in by_day else "labels" for key, value in zip(keys, p, strict=True)
    ]
    return summary.assign(p=p, q=adjusted(p), shuffled=pd.Series(shuffled, summary.index, dtype=object))


def adjusted(p: np.ndarray) -> np.ndarray:
    """Return Benjamini-Yekutieli adjusted p-values; NaN stays NaN and is not counted as a test."""
    q = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    if known.any():
        q[known] = false_discovery_control(p[known], method="by")
    return q


def above_chance(summary: pd.DataFrame) -> pd.Series:
    """Tell which scores are above chance: those whose p-value, adjusted over the table, is below 0.05.

    Parameters
    ----------
    summary
        With the column `q` of :func:`with_p_values`.

    Returns
    -------
    Series
        Of dtype ``boolean``, indexed as the summary; missing where there was no test.

    Examples
    --------
    >>> import pandas as pd
    >>> above_chance(pd.DataFrame({"model": ["rf", "mlp", "random"], "q": [0.01, 0.2, None]})).tolist()
    [True, False, <NA>]
    """
    q = summary["q"].astype("Float64") if "q" in summary else pd.Series(pd.NA, summary.index, dtype="Float64")
    return q < ALPHA
