"""Statistics of scores: means with intervals over questions, paired comparisons, breakdowns, length.

Everything is resampled by question, the unit that was sampled: a question that is drawn brings the answers of all
models (and judges), so differences are paired. Repeats of a question are averaged first.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from somb_utils.llm.report.panel import Bools, Floats, Panel, interval, panel, resample_weights

MEANS = ["mean", "low", "high", "n"]


def estimates(of: Panel, questions: Bools, n_bootstrap: int, seed: int) -> tuple[pd.DataFrame, Floats]:
    """Return each model's mean over these questions with its 95 % interval, and the means of each resample.

    The questions are resampled, the same for all models (Efron & Tibshirani 1993).
    """
    use = of.present & questions[:, None]
    draws = of.means(use, resample_weights(len(use), n_bootstrap, seed))
    (mean,) = of.means(use, np.ones((1, len(use))))
    low, high = interval(draws, use.sum(axis=0))
    frame = pd.DataFrame({"mean": mean, "low": low, "high": high, "n": use.sum(axis=0)}, index=of.scores.columns)
    return frame, draws


def ranking(of: Panel, n_bootstrap: int = 2000, seed: int = 42) -> pd.DataFrame:
    """Return mean, 95 % interval and rank with its interval, one row per model, best first.

    Over the questions that all models have in common. Without any, or if their judges cannot be compared, each model's
    mean is over its own questions and nothing is ranked.
    """
    frame, draws = estimates(of, of.questions, n_bootstrap, seed)
    if not of.rankable:
        return frame.assign(rank=np.nan, rank_low=np.nan, rank_high=np.nan)
    low, high = interval(stats.rankdata(-draws, axis=1, method="min", nan_policy="omit"), frame["n"].to_numpy())
    frame["rank"] = frame["mean"].round(9).rank(ascending=False, method="min")
    return frame.assign(rank_low=np.floor(low), rank_high=np.ceil(high)).sort_values("mean", ascending=False)


def pairs(of: Panel, n_bootstrap: int = 2000, seed: int = 42) -> pd.DataFrame:
    """Return for each pair of models the mean difference over common questions, with wins, ties and losses.

    The interval is a paired bootstrap: each question that is drawn brings the scores of both models. A pair without a
    common question, or whose judges cannot be compared, is left out.
    """
    rows = []
    weights = resample_weights(len(of.scores), n_bootstrap, seed)
    for first, second in combinations(of.scores[of.questions].mean().sort_values(ascending=False).index, 2):
        two = of.of([first, second])
        if not two.rankable:
            continue
        difference = (two.scores[first] - two.scores[second]).dropna().round(9)
        draws = two.means(two.present & two.common[:, None], weights)
        low, high = interval(draws[:, 0] - draws[:, 1], len(difference))
        rows.append(
            {
                "model": first, "against": second, "difference": difference.mean(), "low": low, "high": high,
                "wins": int((difference > 0).sum()), "ties": int((difference == 0).sum()),
                "losses": int((difference < 0).sum()), "n": len(difference),
            }
        )  # fmt: skip
    columns = ["model", "against", "difference", "low", "high", "wins", "ties", "losses", "n"]
    return pd.DataFrame(rows, columns=columns)


def _long(parts: dict[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """Return estimates by the level of a group in long form."""
    frames = [part.rename_axis("model").reset_index().assign(**{name: level}) for level, part in parts.items()]
    return pd.concat(frames)[[name, "model", *MEANS]].reset_index(drop=True)


def by_group(
    scored: pd.DataFrame, group: str, order: tuple[str, ...], n_bootstrap: int = 2000, seed: int = 42
) -> pd.DataFrame:
    """Return mean and 95 % interval for each model and level of a grouping of the questions, in long form.

    Over the questions of the ranking; a judge's leniency is estimated from all answers.
    """
    of = panel(scored)
    level = scored.drop_duplicates("question_id").set_index("question_id")[group].reindex(of.scores.index)
    known = [name for name in order if name in set(level)]
    parts = {}
    for name in [*known, *sorted(set(level) - set(known))]:
        questions = of.questions & (level == name).to_numpy()
        if questions.any():
            parts[name] = estimates(of, questions, n_bootstrap, seed)[0]
    return _long(parts, group)


def by_judge(scored: pd.DataFrame, n_bootstrap: int = 2000, seed: int = 42) -> pd.DataFrame:
    """Return mean and 95 % interval for each model and judge, over the questions that the judge graded for all."""
    parts = {str(name): ranking(panel(rows), n_bootstrap, seed)[MEANS] for name, rows in scored.groupby("judge")}
    return _long(parts, "judge")


def by_dimension(
    scored: pd.DataFrame, dimensions: tuple[str, ...], n_bootstrap: int = 2000, seed: int = 42
) -> pd.DataFrame:
    """Return mean and 95 % interval for each model and dimension, in long form."""
    return _long({n: ranking(panel(scored, n), n_bootstrap, seed)[MEANS] for n in dimensions}, "dimension")


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
