"""Statistics of scores: means with intervals over questions, paired comparisons, breakdowns, length.

Everything is resampled by question, the unit that was sampled: a question that is drawn brings the answers of all
models (and judges), so differences are paired. Repeats of a question are averaged first.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from somb_utils._seeds import checked_seed

Floats = NDArray[np.float64]


def question_means(scored: pd.DataFrame, value: str = "weighted_score") -> pd.DataFrame:
    """Return a score of the judgements as questions x models: repeats averaged first, then judges."""
    by_judge = scored.groupby(["question_id", "model", "judge"], sort=True)[value].mean()
    return by_judge.groupby(["question_id", "model"]).mean().unstack("model")


def resample_weights(n_questions: int, n_bootstrap: int, seed: int) -> Floats:
    """Return how often each question is drawn in each bootstrap resample (resamples x questions)."""
    rng = np.random.default_rng(checked_seed(seed))
    shares = np.full(n_questions, 1 / n_questions)
    return rng.multinomial(n_questions, shares, size=n_bootstrap).astype(float)


def _resampled_means(table: pd.DataFrame, n_bootstrap: int, seed: int) -> Floats:
    """Return the column means of each resample, missing scores left out."""
    values = table.to_numpy(dtype=float)
    present = np.isfinite(values)
    weights = resample_weights(len(values), n_bootstrap, seed)
    totals = weights @ present
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(totals > 0, (weights @ np.where(present, values, 0.0)) / totals, np.nan)


def interval(draws: Floats) -> Floats:
    """Return the 2.5 and 97.5 percentiles along the first axis (percentile bootstrap, Efron 1979)."""
    with np.errstate(all="ignore"):
        return np.asarray(np.nanpercentile(draws, [2.5, 97.5], axis=0))


def ranking(table: pd.DataFrame, n_bootstrap: int = 2000, seed: int = 42) -> pd.DataFrame:
    """Return mean, 95 % interval and rank with its interval, one row per model, best first.

    The questions of `table` (questions x models) are resampled, the same for all models (Efron & Tibshirani 1993).
    """
    if table.empty:
        return pd.DataFrame(columns=["mean", "low", "high", "n", "rank", "rank_low", "rank_high"])
    draws = _resampled_means(table, n_bootstrap, seed)
    low, high = interval(draws)
    ranks = interval(stats.rankdata(-draws, axis=1, method="min", nan_policy="omit"))
    frame = pd.DataFrame(
        {"mean": table.mean(), "low": low, "high": high, "n": table.notna().sum()}, index=table.columns
    )
    frame["rank"] = frame["mean"].rank(ascending=False, method="min")
    frame["rank_low"], frame["rank_high"] = np.floor(ranks[0]), np.ceil(ranks[1])
    return frame.sort_values(["mean"], ascending=False)


def pairs(table: pd.DataFrame, n_bootstrap: int = 2000, seed: int = 42) -> pd.DataFrame:
    """Return for each pair of models the mean difference over common questions, with wins, ties and losses.

    The interval is a paired bootstrap: each question that is drawn brings the scores of both models.
    """
    rows = []
    for first, second in combinations(table.mean().sort_values(ascending=False).index, 2):
        common = table[[first, second]].dropna()
        difference = (common[first] - common[second]).round(9)
        if difference.empty:
            continue
        draws = _resampled_means(difference.to_frame(), n_bootstrap, seed)[:, 0]
        low, high = interval(draws)
        rows.append(
            {
                "model": first, "against": second, "difference": difference.mean(), "low": low, "high": high,
                "wins": int((difference > 0).sum()), "ties": int((difference == 0).sum()),
                "losses": int((difference < 0).sum()), "n": len(difference),
            }
        )  # fmt: skip
    columns = ["model", "against", "difference", "low", "high", "wins", "ties", "losses", "n"]
    return pd.DataFrame(rows, columns=columns)


def by_group(
    scored: pd.DataFrame, group: str, value: str = "weighted_score", n_bootstrap: int = 2000, seed: int = 42
) -> pd.DataFrame:
    """Return mean and 95 % interval for each model and level of `group`, in long form."""
    parts = []
    for level, rows in scored.groupby(group, sort=False, observed=True):
        part = ranking(question_means(rows, value), n_bootstrap, seed)[["mean", "low", "high", "n"]]
        parts.append(part.rename_axis("model").reset_index().assign(**{group: level}))
    columns = [group, "model", "mean", "low", "high", "n"]
    return pd.concat(parts)[columns].reset_index(drop=True) if parts else pd.DataFrame(columns=columns)


def by_dimension(
    scored: pd.DataFrame, dimensions: tuple[str, ...], n_bootstrap: int = 2000, seed: int = 42
) -> pd.DataFrame:
    """Return mean and 95 % interval for each model and dimension, in long form."""
    parts = []
    for name in dimensions:
        part = ranking(question_means(scored, name), n_bootstrap, seed)[["mean", "low", "high", "n"]]
        parts.append(part.rename_axis("model").reset_index().assign(dimension=name))
    return pd.concat(parts)[["dimension", "model", "mean", "low", "high", "n"]].reset_index(drop=True)


def words(texts: pd.Series) -> pd.Series:
    """Return the number of words of each text."""
    return texts.map(lambda text: float(len(str(text).split())))


def spearman(x: Floats, y: Floats) -> float:
    """Return Spearman's rank correlation, NaN if either is constant."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(stats.spearmanr(x, y).statistic)


def _within(frame: pd.DataFrame, column: str) -> pd.Series:
    """Return a column less its model's and its question's mean (plus the grand mean)."""
    by_model = frame.groupby("model")[column].transform("mean")
    by_question = frame.groupby("question_id")[column].transform("mean")
    return frame[column] - by_model - by_question + frame[column].mean()


def length_effect(frame: pd.DataFrame) -> dict[str, float]:
    """Return how score and answer length (`words`) are related, from one row per answer.

    ``spearman`` is over all answers; ``within`` is the same with each model's and each question's mean removed;
    ``slope`` is the number of points per doubling of length, within models and questions.
    """
    data = frame.assign(log=np.log2(frame["words"].clip(lower=1)))
    score, log = _within(data, "score"), _within(data, "log")
    spread = float((log**2).sum())
    return {
        "spearman": spearman(data["words"].to_numpy(), data["score"].to_numpy()),
        "within": spearman(log.round(9).to_numpy(), score.round(9).to_numpy()),
        "slope": float((log * score).sum() / spread) if spread > 1e-9 else 0.0,
    }


def length_adjusted(frame: pd.DataFrame) -> pd.DataFrame:
    """Return each model's mean score as if all models had written equally long answers.

    The slope is that of `length_effect`, within models and questions, so that a model is not penalised for being
    both longer and better; compare the length-controlled win rate of Dubois et al. 2024 (arXiv:2404.04475).
    """
    slope = length_effect(frame)["slope"]
    data = frame.assign(log=np.log2(frame["words"].clip(lower=1)))
    means = data.groupby("model").agg(mean=("score", "mean"), words=("words", "mean"), log=("log", "mean"))
    means["adjusted"] = means["mean"] - slope * (means["log"] - means["log"].mean())
    means["rank"] = means["mean"].rank(ascending=False, method="min")
    means["adjusted_rank"] = means["adjusted"].rank(ascending=False, method="min")
    return means.drop(columns="log").sort_values("adjusted", ascending=False)
