"""Whether a score of 0.8 means eight in ten: reliability curve and Brier score of binary tasks."""

from math import sqrt
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from somb_utils.errors import UsageError
from somb_utils.stats.intervals import LEVEL
from somb_utils.tasks.definitions import Task, get_task


class Calibration(NamedTuple):
    """How a model's probabilities agree with the outcomes.

    Parameters
    ----------
    curve
        One row per bin of predicted probability: predicted (mean), observed (share of positives), low and high (95 %
        Wilson interval of that share), n.
    brier
        Mean squared distance of probability and outcome, over all tested rows.
    brier_of_prevalence
        The Brier score of always predicting the prevalence.
    skill
        1 - brier / brier_of_prevalence; above 0 is better than the prevalence.
    """

    curve: pd.DataFrame
    brier: float
    brier_of_prevalence: float
    skill: float


def calibration(predictions: pd.DataFrame, task: Task | str, n_bins: int = 10) -> Calibration:
    """Return the reliability curve and the Brier score of one model on a binary task.

    Parameters
    ----------
    predictions
        One model's rows of :attr:`somb_utils.RunResult.predictions` for this task.
    task
        The definition or its id.
    n_bins
        At most this many bins of equal counts; rows with one score stay together.

    Returns
    -------
    Calibration
        Curve with Wilson intervals (Wilson 1927), Brier score (Brier 1950) and skill.

    Raises
    ------
    UsageError
        If the task is not binary, or the scores are no probabilities.

    Examples
    --------
    >>> import somb_utils as somb
    >>> result = somb.run("D1", "logreg", source="simulated", n_jobs=1)
    >>> calibrated = calibration(result.predictions, "D1", n_bins=5)
    >>> len(calibrated.curve), round(calibrated.skill, 1) <= 1
    (5, True)
    """
    definition = get_task(task) if isinstance(task, str) else task
    if definition.type != "binary":
        raise UsageError(f"{definition.id} is a {definition.type} task; only binary ones have a calibration curve")
    score = predictions["y_score"].to_numpy(dtype=float)
    if not len(score) or not (np.isfinite(score).all() and score.min() >= 0 and score.max() <= 1):
        raise UsageError(f"{definition.id}: these scores are no probabilities between 0 and 1")
    outcome = (predictions["y_true"] == definition.classes[1]).to_numpy(dtype=float)
    edges = np.quantile(score, np.linspace(0, 1, n_bins + 1)[1:-1])
    bins = np.searchsorted(edges, score)  # an edge belongs to the bin below it
    n = np.bincount(bins)
    held, positive = n > 0, np.bincount(bins, outcome).astype(int)
    low, high = zip(*map(wilson_interval, positive[held], n[held]), strict=True)
    means = {"predicted": np.bincount(bins, score)[held] / n[held], "observed": positive[held] / n[held]}
    curve = pd.DataFrame({**means, "n": n[held], "low": low, "high": high})
    brier = float(((score - outcome) ** 2).mean())
    plain = float(outcome.mean() * (1 - outcome.mean()))
    return Calibration(curve, brier, plain, 1 - brier / plain if plain else np.nan)


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    z = float(ndtri((1 + LEVEL) / 2))
    centre = (successes + z**2 / 2) / (trials + z**2)
    half = z / (trials + z**2) * sqrt(successes * (trials - successes) / trials + z**2 / 4)
    return 0.0 if successes == 0 else centre - half, 1.0 if successes == trials else centre + half
