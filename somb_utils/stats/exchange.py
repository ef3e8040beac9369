"""Two models on these crew: a permutation test that exchanges their predictions, day by day."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from somb_utils._seeds import checked_seed
from somb_utils.stats import kernels
from somb_utils.stats.design import Design, Rows, ranked, rows_of


class FoldRanks(NamedTuple):
    """What a model's ranking exchanges: of each row twice its rank among all rows, one fold after the other.

    `beats` has a row for each class, negatives first: how many of its rows a doubled rank beats, ties counting half.
    `unit` is the sampling unit of each row, `folds` holds the first row of each fold, and the number of rows.
    """

    rank: np.ndarray
    beats: np.ndarray
    positive: np.ndarray
    unit: np.ndarray
    folds: np.ndarray


def exchangeable(plan: Design, predictions: pd.DataFrame) -> FoldRanks | Rows | None:
    """Return what :func:`exchange_p` needs of one model's predictions; None if their metric has no such test."""
    if plan.metric == kernels.MACRO_F1:
        return rows_of(plan, predictions)
    if plan.metric != kernels.AUROC:
        return None  # no task of crew or time points has such a metric
    cells = ranked(plan, predictions.iloc[plan.order])
    by_fold = np.argsort(cells.fold, kind="stable")
    positive, unit = cells.positive(plan)[by_fold] == 1, plan.unit_of[cells.row][by_fold]
    return fold_ranks(cells.score[by_fold], positive, unit, cells.folds)


def fold_ranks(scores: np.ndarray, positive: np.ndarray, unit: np.ndarray, folds: np.ndarray) -> FoldRanks:
    """Rank scores, shape (n_rows,), within their folds, which follow each other."""
    fold = np.repeat(np.arange(len(folds) - 1), np.diff(folds))
    rank = (2 * rankdata(fold * (len(fold) + 1) + rankdata(scores))).astype(np.int64)
    held = np.stack([np.bincount(rank[positive == of_class], minlength=2 * len(fold) + 1) for of_class in (0, 1)])
    return FoldRanks(rank, held.cumsum(axis=1) - held / 2, positive, unit, folds)


def exchange_p(
    plan: Design, a: FoldRanks | Rows | None, b: FoldRanks | Rows | None, n_permutations: int, seed: int
) -> float:
    """Return the two-sided p-value of the difference of two models on the tested rows of a design, crew as they are.

    If the models are equally good on these crew, their predictions may be exchanged in any sampling unit (a day of a
    crew member; a sample of a time point). What rankings exchange is the rank of each row within its fold, since
    scores of two models have no common scale (Bandos, Rockette and Gur 2005). NaN if the metric has no such test.
    """
    swap = _exchanges(n_permutations, int(plan.strata[-1]), checked_seed(seed))
    if isinstance(a, FoldRanks) and isinstance(b, FoldRanks):
        gaps = (0.5 - swap) @ np.bincount(a.unit, auroc_gains(a, b), plan.strata[-1])
    elif isinstance(a, Rows) and isinstance(b, Rows):
        gaps = kernels.exchange(plan.n_classes, plan.unit_of[a.row], plan.folds, a.a, a.b, b.b, swap)
    else:
        return np.nan
    return float((np.abs(gaps) >= abs(gaps[0]) - 1e-12).mean())


@lru_cache(maxsize=8)
def _exchanges(n: int, n_units: int, seed: int) -> np.ndarray:
    """Return which units each permutation exchanges, shape (n + 1, n_units); the first exchanges none."""
    swap = np.random.default_rng(seed).random((n + 1, n_units)) < 0.5
    swap[0] = False
    return swap


def auroc_gains(a: FoldRanks, b: FoldRanks) -> np.ndarray:
    """Return what exchanging a row takes from the difference of two models' mean AUROC, shape (n_rows,).

    It is the same whatever else is exchanged: of the other class, ranked by either model, how many rows the row's rank
    by the first model beats and that by the second does not. Half of the sum is the difference itself. Folds of one
    class are left out.
    """
    fold = np.repeat(np.arange(len(a.folds) - 1), np.diff(a.folds))
    pairs = np.bincount(fold, a.positive) * np.bincount(fold, ~a.positive)
    beats, other = a.beats + b.beats, 1 - a.positive
    gain = np.where(a.positive, 1, -1) * (beats[other, a.rank] - beats[other, b.rank])
    return gain / np.where(pairs, pairs, np.inf)[fold] / np.count_nonzero(pairs)
