"""Compiled loops: score the folds of a task under resampled units or shuffled labels, both drawn with NumPy.

Counts stand for repeated rows, so a score is what scikit-learn gives on the resampled rows themselves. Every row is
touched once a replicate; nothing is sorted again, since resampling does not change the order of scores.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

AUROC, AUPRC, MACRO_F1, MICRO_F1 = range(4)


def _compiled(function: Callable[..., Any]) -> Any:
    try:
        return numba.njit(cache=True, nogil=True, boundscheck=False)(function)
    except RuntimeError:  # no folder to keep compiled code in: it is compiled in each process
        return numba.njit(nogil=True, boundscheck=False)(function)


@_compiled
def _ranking(metric: int, counts: np.ndarray, unit: np.ndarray, code: np.ndarray, lo: int, hi: int) -> float:
    """AUROC or average precision; rows stand best score first, code is 1 for a positive, plus 2 where a step ends.

    Each tie is a step; negatives alone may share one, since precision is read at positives only.
    """
    positives = negatives = drawn_positive = drawn_negative = area = 0
    precision = 0.0
    for i in range(lo, hi):
        if code[i] == 0:
            drawn_negative += counts[unit[i]]
            continue
        if code[i] & 1:
            drawn_positive += counts[unit[i]]
        else:
            drawn_negative += counts[unit[i]]
        if code[i] & 2:
            area += drawn_negative * (2 * positives + drawn_positive)
            positives += drawn_positive
            negatives += drawn_negative
            if drawn_positive:
                precision += drawn_positive * (positives / (positives + negatives))
            drawn_positive = drawn_negative = 0
    if metric == AUPRC:
        return precision / positives if positives else np.nan
    return area / (2 * positives * negatives) if positives and negatives else np.nan


@_compiled
def _f1(
    metric: int, counts: np.ndarray, unit: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray, lo: int, hi: int,
    tally: np.ndarray,
) -> float:  # fmt: skip
    """Macro F1 of true and predicted codes (a, b), or micro F1 of hits, true and called cells a row (a, b, c)."""
    tally[:] = 0
    for i in range(lo, hi):
        n = counts[unit[i]]
        if metric == MACRO_F1:
            tally[1, a[i]] += n
            tally[2, b[i]] += n
            if a[i] == b[i]:
                tally[0, a[i]] += n
        else:
            tally[0, 0] += n * a[i]
            tally[1, 0] += n * b[i]
            tally[2, 0] += n * c[i]
    total = 0.0
    for k in range(tally.shape[1]):
        if tally[1, k] + tally[2, k]:
            total += 2 * tally[0, k] / (tally[1, k] + tally[2, k])
    return total / tally.shape[1]


@_compiled
def score_fold(
    metric: int, counts: np.ndarray, unit: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray, lo: int, hi: int,
    tally: np.ndarray,
) -> float:  # fmt: skip
    """Return a fold's metric under the counts; NaN where they leave it undefined."""
    if metric <= AUPRC:
        return _ranking(metric, counts, unit, a, lo, hi)
    return _f1(metric, counts, unit, a, b, c, lo, hi, tally)


@_compiled
def fold_scores(
    metric: int, n_classes: int, folds: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray
) -> np.ndarray:
    """Return the metric of every fold as it was tested, shape (n_folds,)."""
    rows = np.arange(len(a))
    ones = np.ones(len(a), np.int32)
    tally = np.zeros((3, n_classes), np.int64)
    values = np.empty(len(folds) - 1)
    for f in range(len(values)):
        values[f] = score_fold(metric, ones, rows, a, b, c, folds[f], folds[f + 1], tally)
    return values


@_compiled
def _mean_score(
    metric: int, counts: np.ndarray, unit: np.ndarray, folds: np.ndarray,
    a: np.ndarray, b: np.ndarray, c: np.ndarray, tally: np.ndarray,
) -> float:  # fmt: skip
    """Return the mean of the folds' metrics, those that the counts leave undefined left out."""
    total, defined = 0.0, 0
    for f in range(len(folds) - 1):
        value = score_fold(metric, counts, unit, a, b, c, folds[f], folds[f + 1], tally)
        if not np.isnan(value):
            total += value
            defined += 1
    return total / defined if defined else np.nan


@_compiled
def bootstrap(
    metric: int, n_classes: int, unit: np.ndarray, folds: np.ndarray, drawn: np.ndarray,
    a: np.ndarray, b: np.ndarray, c: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return the mean over folds of the metric, shape (n_models, n_replicates); every model meets the same draws.

    `unit`, `a`, `b` and `c` have shape (n_models, n_rows); `drawn`, the units of each replicate, has shape
    (n_replicates, n_units); `folds` is as in :class:`somb_utils.stats.design.Design`.
    """
    counts = np.empty(drawn.shape[1], np.int32)
    tally = np.zeros((3, n_classes), np.int64)
    values = np.empty((len(unit), len(drawn)))
    for r in range(len(drawn)):
        counts[:] = 0
        for u in drawn[r]:
            counts[u] += 1
        for m in range(len(unit)):
            values[m, r] = _mean_score(metric, counts, unit[m], folds, a[m], b[m], c[m], tally)
    return values


@_compiled
def permute(
    metric: int, n_classes: int, item: np.ndarray, folds: np.ndarray, labels: np.ndarray, code: np.ndarray,
    sets: np.ndarray, uniform: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return the mean over folds of the metric after each shuffle of the items' labels within sets (Fisher & Yates).

    `uniform` has a number in [0, 1) for each item, shape (n_permutations, n_items). `code` holds what does not
    change: the end of a tie (2) for rankings, the predicted class for macro F1.
    """
    ones = np.ones(len(item), np.int32)
    rows = np.arange(len(item))
    tally = np.zeros((3, n_classes), np.int64)
    a = np.empty(len(item), np.int64)
    values = np.empty(len(uniform))
    for r in range(len(uniform)):
        shuffled = labels.copy()
        for s in range(len(sets) - 1):
            for i in range(sets[s + 1] - 1, sets[s], -1):
                j = sets[s] + int(uniform[r, i] * (i - sets[s] + 1))
                shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
        for i in range(len(item)):
            a[i] = shuffled[item[i]] + (code[i] if metric <= AUPRC else 0)
        values[r] = _mean_score(metric, ones, rows, folds, a, code, code, tally)
    return values
