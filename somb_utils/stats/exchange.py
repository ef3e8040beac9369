"""Two models on these crew: a permutation test that exchanges their predictions, day by day."""

from itertools import pairwise

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
    swap = np.random.default_rng(checked_seed(seed)).random((n_permutations + 1, plan.strata[-1])) < 0.5
    swap[0] = False
    if plan.metric == kernels.AUROC:
        first, second = (ranked(plan, of_model.iloc[plan.order]) for of_model in (a, b))
        by_fold = np.argsort(first.fold, kind="stable")
        scores, unit = np.stack([first.score, second.score])[:, by_fold], plan.unit_of[first.row][by_fold]
        gaps = auroc_gaps(scores, first.positive(plan)[by_fold] == 1, first.folds, swap[:, unit])
    elif plan.metric == kernels.MACRO_F1:
        rows, other = rows_of(plan, a), rows_of(plan, b)
        gaps = kernels.exchange(plan.n_classes, plan.unit_of[rows.row], plan.folds, rows.a, rows.b, other.b, swap)
    else:
        return np.nan  # no task of crew or time points has such a metric
    return float((np.abs(gaps) >= abs(gaps[0]) - 1e-12).mean())


def auroc_gaps(scores: np.ndarray, positive: np.ndarray, folds: np.ndarray, swap: np.ndarray) -> np.ndarray:
    """Return the difference of two models' mean AUROC over folds after each exchange, shape (n_exchanges,).

    `scores` has shape (2, n_rows), `swap` shape (n_exchanges, n_rows); folds of one class are left out.
    """
    gaps = []
    for lo, hi in pairwise(folds):
        is_positive, n = positive[lo:hi], hi - lo
        n_positive = is_positive.sum()
        if 0 < n_positive < n:
            first, second = rankdata(scores[:, lo:hi], axis=1)
            swapped = swap[:, lo:hi]
            mixed = np.where(swapped, second, first), np.where(swapped, first, second)
            sums = [rankdata(ranks, axis=1)[:, is_positive].sum(axis=1) for ranks in mixed]
            gaps.append((sums[0] - sums[1]) / (n_positive * (n - n_positive)))
    return np.mean(gaps, axis=0) if gaps else np.full(len(swap), np.nan)
