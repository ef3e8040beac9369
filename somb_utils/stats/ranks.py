"""Ranks of models over tasks: Friedman's test, and which ranks differ (Demšar 2006)."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

from somb_utils.errors import UsageError
from somb_utils.stats.intervals import Draws, interval


class Ranking(NamedTuple):
    """Mean ranks of models over tasks, and their tests.

    Parameters
    ----------
    scores
        Tasks × models, those tasks alone on which every model has a score.
    ranks
        Mean rank of each model over these tasks, best (lowest) first; ties share a rank.
    p
        Of Friedman's test that all models rank alike.
    pairs
        Models × models, p-value of the Nemenyi test that two mean ranks are equal.
    uncertainty
        Indexed by model, best first: the 95 % interval of the mean rank, ``low`` and ``high``, and ``p_best``, the
        share of replicates in which it is the lowest; missing without replicates.
    """

    scores: pd.DataFrame
    ranks: pd.Series
    p: float
    pairs: pd.DataFrame
    uncertainty: pd.DataFrame


def ranking(summary: pd.DataFrame, draws: Draws | None = None) -> Ranking:
    """Rank models within each task by their mean score, and test the mean ranks (Demšar 2006).

    Parameters
    ----------
    summary
        Columns task, model and mean, of one protocol; a higher score is better.
    draws
        Bootstrap scores by task and model, shape (n_bootstrap,) each. A task without them keeps its ranks in all
        replicates. Replicates are noisier than the scores, so their mean ranks lie closer to the middle.

    Returns
    -------
    Ranking
        Mean ranks with Friedman's and Nemenyi's tests.

    Raises
    ------
    UsageError
        If fewer than three models share at least two tasks, so that there is nothing to test, or the summary is of
        several protocols.

    Notes
    -----
    The tests take tasks as independent. Tasks on the same samples are not: their p-values are too small.

    Examples
    --------
    >>> import pandas as pd
    >>> tasks, models = ["A1", "C2", "D1"], ["logreg", "rf", "mlp"]
    >>> scores = pd.DataFrame({"task": tasks * 3, "model": [m for m in models for _ in tasks]})
    >>> ranking(scores.assign(mean=[0.6, 0.7, 0.8, 0.5, 0.6, 0.9, 0.4, 0.5, 0.6])).ranks.round(2).to_dict()
    {'logreg': 1.33, 'rf': 1.67, 'mlp': 3.0}
    """
    if summary.duplicated(["task", "model"]).any():
        raise UsageError("ranks need one score per task and model; give the results of one protocol")
    scores = summary.pivot(index="task", columns="model", values="mean").dropna()
    if scores.shape[1] < 3 or len(scores) < 2:
        raise UsageError(
            f"ranks need three models with scores on the same two tasks; these are {scores.shape[1]} models on "
            f"{len(scores)} common tasks"
        )
    ranks = scores.rank(axis=1, ascending=False).mean().sort_values(kind="stable")
    p = float(scipy.stats.friedmanchisquare(*(scores[model] for model in scores)).pvalue)
    return Ranking(scores, ranks, p, _nemenyi(scores), _uncertainty(scores, draws or {}).loc[ranks.index])


def _uncertainty(scores: pd.DataFrame, draws: Draws) -> pd.DataFrame:
    drawn = drawn_scores(scores, draws)
    ranks = pd.DataFrame(scipy.stats.rankdata(-drawn, axis=1).mean(axis=0), scores.columns)
    low, high = np.transpose([interval(of_model) for of_model in ranks.to_numpy()])
    return pd.DataFrame({"low": low, "high": high, "p_best": share_best(-ranks)}, index=scores.columns)


def drawn_scores(scores: pd.DataFrame, draws: Draws) -> np.ndarray:
    """Return the scores of each replicate, shape (n_tasks, n_models, n_bootstrap), the score itself where undefined."""
    size = max((len(of_task) for of_task in draws.values()), default=0)
    none = np.full(size, np.nan)
    drawn = np.array([[draws.get((str(task), str(model)), none) for model in scores] for task in scores.index])
    return np.where(np.isfinite(drawn), drawn, scores.to_numpy()[..., None])


def share_best(drawn: pd.DataFrame) -> pd.Series:
    """Return the share of replicates (columns) in which each model (row) is highest, ties shared; NaN without any."""
    known = drawn.loc[:, drawn.notna().all()]
    first = known.eq(known.max())
    return (first / first.sum()).mean(axis=1)


def _nemenyi(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the p-value of each pair: mean ranks over their standard error, in the studentized range's upper tail."""
    n, k = scores.shape
    ranks = scores.rank(axis=1).mean().to_numpy()
    p = scipy.stats.studentized_range.sf(np.abs(ranks[:, None] - ranks) * np.sqrt(12 * n / (k * (k + 1))), k, np.inf)
    np.fill_diagonal(p, 1)
    models = scores.columns.rename(None)
    return pd.DataFrame(p, models, models)
