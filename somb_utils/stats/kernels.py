"""Compiled loops: draw how often each unit is resampled, and score the folds under those counts.

Counts stand for repeated rows, so a score is what scikit-learn gives on the resampled rows themselves. Every row is
touched once a replicate; nothing is sorted again, since resampling does not change the order of scores.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

AUROC, AUPRC, MACRO_F1, MICRO_F1 = range(4)

_LOW = np.uint64(0xFFFFFFFF)


def _compiled(function: Callable[..., Any]) -> Any:
    try:
        return numba.njit(cache=True, nogil=True, boundscheck=False)(function)
    except RuntimeError:  # no folder to keep compiled code in: it is compiled in each process
        return numba.njit(nogil=True, boundscheck=False)(function)


@_compiled
def _next(state: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return the generator's next state and output: SplitMix64 (Steele, Lea & Flood 2014)."""
    state += np.uint64(0x9E3779B97F4A7C15)
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state, z ^ (z >> np.uint64(31))


@_compiled
def _below(state: np.uint64, n: np.uint64) -> tuple[np.uint64, np.int64]:
    """Return the next state and a uniform integer below n < 2**32, without bias (Lemire 2019)."""
    state, z = _next(state)
    product = (z >> np.uint64(32)) * n
    if (product & _LOW) < n:
        threshold = (np.uint64(1 << 32) - n) % n
        while (product & _LOW) < threshold:
            state, z = _next(state)
            product = (z >> np.uint64(32)) * n
    return state, np.int64(product >> np.uint64(32))


@_compiled
def _stream(seed: np.uint64, replicate: int) -> np.uint64:
    """Return the state from which a replicate draws, whatever was drawn before it."""
    _, mixed = _next(seed)
    _, state = _next(mixed + np.uint64(replicate))
    return state


@_compiled
def _draw(state: np.uint64, counts: np.ndarray, strata: np.ndarray) -> None:
    """Draw as many units from each stratum as it holds."""
    counts[:] = 0
    for s in range(len(strata) - 1):
        lo, size = strata[s], strata[s + 1] - strata[s]
        n = np.uint64(size)
        threshold = (np.uint64(1 << 32) - n) % n
        drawn = 0
        while drawn < size:
            state, z = _next(state)
            for half in (z >> np.uint64(32), z & _LOW):
                product = half * n
                if (product & _LOW) >= threshold and drawn < size:
                    counts[lo + np.int64(product >> np.uint64(32))] += 1
                    drawn += 1


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
def bootstrap(
    metric: int, n_classes: int, unit: np.ndarray, folds: np.ndarray, strata: np.ndarray,
    a: np.ndarray, b: np.ndarray, c: np.ndarray, n_bootstrap: int, seed: np.uint64,
) -> np.ndarray:  # fmt: skip
    """Return the mean over folds of the metric, shape (n_models, n_bootstrap); every model meets the same draws.

    `unit`, `a`, `b` and `c` have shape (n_models, n_rows); the rest is as in :class:`somb_utils.stats.design.Design`.
    """
    n_models = len(unit)
    counts = np.zeros(strata[-1], np.int32)
    tally = np.zeros((3, n_classes), np.int64)
    values = np.empty((n_models, n_bootstrap))
    for r in range(n_bootstrap):
        _draw(_stream(seed, r), counts, strata)
        for m in range(n_models):
            total, defined = 0.0, 0
            for f in range(len(folds) - 1):
                value = score_fold(metric, counts, unit[m], a[m], b[m], c[m], folds[f], folds[f + 1], tally)
                if not np.isnan(value):
                    total += value
                    defined += 1
            values[m, r] = total / defined if defined else np.nan
    return values


@_compiled
def permute(
    metric: int, n_classes: int, item: np.ndarray, folds: np.ndarray, sets: np.ndarray, labels: np.ndarray,
    code: np.ndarray, n_permutations: int, seed: np.uint64,
) -> np.ndarray:  # fmt: skip
    """Return the mean over folds of the metric after shuffling the items' labels within sets; the first is unshuffled.

    `code` holds what does not change: the end of a tie (2) for rankings, the predicted class for macro F1.
    """
    ones = np.ones(len(item), np.int32)
    rows = np.arange(len(item))
    tally = np.zeros((3, n_classes), np.int64)
    shuffled = labels.copy()
    a = np.empty(len(item), np.int64)
    values = np.empty(n_permutations + 1)
    for r in range(n_permutations + 1):
        if r:
            state = _stream(seed, r)
            for s in range(len(sets) - 1):
                for i in range(sets[s + 1] - 1, sets[s], -1):
                    state, drawn = _below(state, np.uint64(i - sets[s] + 1))
                    j = sets[s] + drawn
                    shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
        for i in range(len(item)):
            a[i] = shuffled[item[i]] + (code[i] if metric <= AUPRC else 0)
        total, defined = 0.0, 0
        for f in range(len(folds) - 1):
            value = score_fold(metric, ones, rows, a, code, code, folds[f], folds[f + 1], tally)
            if not np.isnan(value):
                total += value
                defined += 1
        values[r] = total / defined if defined else np.nan
    return values
