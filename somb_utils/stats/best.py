"""Which models of a task may be its best: a multiple comparison with the best on the replicates of the bootstrap."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from somb_utils.stats.intervals import LEVEL, SEED, Draws, interval, t_to_normal
from somb_utils.tasks.definitions import Definitions, task_of

EPSILON = 1e-9


def best_set(scores: np.ndarray, draws: np.ndarray, n_groups: int = 0, seed: int = SEED) -> np.ndarray:
    """Return which models cannot be excluded from being the best, shape (n_models,).

    `scores` has shape (n_models,), `draws` shape (n_models, n_replicates), all models by the same draws; `n_groups` is
    the number of crew members or time points, if those were drawn.

    Model i is excluded if some model j is better by more than chance allows (Hsu 1981, multiple comparison with the
    best): t_ij, the difference over its standard deviation, exceeds the 95 % quantile of its largest value under
    equality, over all j and all models i that are not excluded yet. The excluded leave that maximum, and the quantile
    is taken again until it excludes none (step-down; Romano and Wolf 2005), so that the chance of excluding any of the
    truly best models is 5 %, however many there are. Where the standard deviation is 0, nothing is excluded.

    Equality is given by the replicates about their mean. Standard deviations from few groups are too uncertain for
    that: their t_ij are compared with those of normal scores of as many groups, with the covariance of the replicates.
    """
    draws = draws[:, np.isfinite(draws).all(axis=0)]
    if not draws.size:
        return np.zeros(len(scores), dtype=bool)
    spread = np.empty((len(scores), len(scores)))
    largest = np.empty(draws.shape)  # of t_ij over j, by i
    for i in range(len(scores)):  # one at a time, since all pairs of a thousand models would fill the memory
        gaps = draws - draws[i]
        spread[i] = gaps.std(axis=1)
        largest[i] = _studentised(gaps - gaps.mean(axis=1, keepdims=True), spread[i][:, None]).max(axis=0)
    if n_groups:
        spread = spread / t_to_normal(n_groups)
        largest = _of_normal_groups(draws, n_groups, seed)
    exceeds = _studentised(scores - scores[:, None], spread).max(axis=1)
    kept = np.ones(len(scores), dtype=bool)
    while (excluded := kept & (exceeds > np.quantile(largest[kept].max(axis=0), LEVEL))).any():
        kept &= ~excluded
    return kept


def _studentised(difference: np.ndarray, spread: np.ndarray) -> np.ndarray:
    known = np.broadcast_to(spread > EPSILON, difference.shape)
    return np.divide(difference, spread, out=np.zeros_like(difference), where=known)


def _of_normal_groups(draws: np.ndarray, n_groups: int, seed: int) -> np.ndarray:
    """Return the largest t_ij over j of normal scores of equal means, shape (n_models, n_replicates)."""
    n_models, n_draws = draws.shape
    scores = np.random.default_rng(seed).multivariate_normal(
        np.zeros(n_models), np.cov(draws).reshape(n_models, n_models), (n_draws, n_groups), method="eigh"
    )
    largest = np.empty(draws.shape)
    for i in range(n_models):
        gaps = scores - scores[:, :, [i]]
        largest[i] = _studentised(gaps.mean(axis=1), gaps.std(axis=1, ddof=1) / np.sqrt(n_groups)).max(axis=1)
    return largest


def marked(
    summary: pd.DataFrame,
    draws: Draws,
    trivial: Collection[str] = (),
    seed: int = SEED,
    own: Definitions | None = None,
    these: Draws | None = None,
) -> pd.DataFrame:
    """Return a summary of one protocol with 95 % intervals, `low` and `high`, and the set of `best` models by task.

    `draws` has the replicates of tasks and models; `these`, where tasks leave out missions or tissues, those of new
    animals on these, whose ends are `low_these` and `high_these`. A model is in the set if :func:`best_set` does not
    exclude it. Never in it are `trivial` models, those with failed folds, and those without replicates.
    """
    low, high = _ends(summary, draws)
    candidate = ~summary["model"].isin(trivial) & (summary["failed"] == 0) & np.isfinite(low)
    best = pd.Series(data=False, index=summary.index)
    for name, rows in summary[candidate].groupby("task"):
        task = task_of(str(name), rows["protocol"].iat[0], own)
        n_groups = int(rows["folds"].min()) if task is not None and task.leaves_groups_out else 0
        of_models = np.array([draws[str(name), model] for model in rows["model"]])
        best[rows.index] = best_set(rows["mean"].to_numpy(), of_models, n_groups, seed)
    summary = summary.assign(low=low, high=high)
    if these:
        summary["low_these"], summary["high_these"] = _ends(summary, these)
    return summary.assign(best=best)


def _ends(summary: pd.DataFrame, draws: Draws) -> np.ndarray:
    drawn = [draws.get(key, np.empty(0)) for key in zip(summary["task"], summary["model"], strict=True)]
    return np.clip([interval(of_model) for of_model in drawn], 0, 1).reshape(-1, 2).T
