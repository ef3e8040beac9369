"""Two models on these crew: a permutation test that exchanges their predictions, day by day."""

from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from somb_utils._seeds import checked_seed
from somb_utils.stats import kernels
from somb_utils.stats.design import Design, ranked, rows_of


def exchange_p(plan: Design, a: pd.DataFrame, b: pd.DataFrame, n_permutations: int, seed: int) -> float:
    """Return the two-sided p-value of the difference of two models on the tested rows of a design, crew as they are.

    If the models are equally good on these crew, their predictions may be exchanged in any sampling unit (a day of a
    crew member; a sample of a time point). What rankings exchange is the rank of each row within its fold, since
    scores of two models have no common scale (Bandos, Rockette and Gur 2005).
    """
    swap = _exchanges(n_permutations, int(plan.strata[-1]), checked_seed(seed))
    if plan.metric == kernels.AUROC:
        first, second = (ranked(plan, of_model.iloc[plan.order]) for of_model in (a, b))
        by_fold = np.argsort(first.fold, kind="stable")
        scores = np.stack([first.score, second.score])[:, by_fold]
        gains = auroc_gains(scores, first.positive(plan)[by_fold] == 1, first.folds)
        gaps = (0.5 - swap) @ np.bincount(plan.unit_of[first.row][by_fold], gains, plan.strata[-1])
    elif plan.metric == kernels.MACRO_F1:
        rows, other = rows_of(plan, a), rows_of(plan, b)
        gaps = kernels.exchange(plan.n_classes, plan.unit_of[rows.row], plan.folds, rows.a, rows.b, other.b, swap)
    else:
        return np.nan  # no task of crew or time points has such a metric
    return float((np.abs(gaps) >= abs(gaps[0]) - 1e-12).mean())


@lru_cache(maxsize=8)
def _exchanges(n: int, n_units: int, seed: int) -> np.ndarray:
    """Return which units each permutation exchanges, shape (n + 1, n_units); the first exchanges none."""
    swap = np.random.default_rng(seed).random((n + 1, n_units)) < 0.5
    swap[0] = False
    return swap


def auroc_gains(scores: np.ndarray, positive: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return what exchanging a row takes from the difference of two models' mean AUROC, shape (n_rows,).

    It is the same whatever else is exchanged: of the other class, ranked by either model, how many rows the row's rank
    by the first model beats and that by the second does not. Half of the sum is the difference itself. `scores` has
    shape (2, n_rows); folds of one class are left out.
    """
    fold = np.repeat(np.arange(len(folds) - 1), np.diff(folds))
    pairs = np.bincount(fold, positive) * np.bincount(fold, ~positive)
    ranks = rankdata(fold * (len(fold) + 1) + rankdata(scores, axis=1), axis=1)  # within folds, which follow each other
    beaten = _pooled(ranks)
    for of_class in (positive, ~positive):
        beaten[:, of_class] -= _pooled(ranks[:, of_class])
    gain = np.where(positive, 1, -1) * (beaten[0] - beaten[1])
    return gain / np.where(pairs, pairs, np.inf)[fold] / np.count_nonzero(pairs)


def _pooled(ranks: np.ndarray) -> np.ndarray:
    """Return the rank of each value among those of both models."""
    return rankdata(ranks).reshape(ranks.shape)
