"""DeLong's closed form for the AUROC: variance of one, covariance of several on the same rows."""

import numpy as np
from scipy import stats


def delong(y_true: np.ndarray, y_scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the AUROC of each score and their covariance (DeLong et al. 1988; by ranks, Sun & Xu 2014).

    Parameters
    ----------
    y_true : array of 0/1, shape (n,), both present, at least two of each
    y_scores : shape (n_scores, n)

    Returns
    -------
    auroc : shape (n_scores,)
    covariance : shape (n_scores, n_scores)
    """
    positive = np.asarray(y_true, dtype=bool)
    m, n = int(positive.sum()), int((~positive).sum())
    scores = np.atleast_2d(y_scores)
    overall = stats.rankdata(scores, axis=1)
    above = (overall[:, positive] - stats.rankdata(scores[:, positive], axis=1)) / n
    below = 1 - (overall[:, ~positive] - stats.rankdata(scores[:, ~positive], axis=1)) / m
    covariance = np.atleast_2d(np.cov(above)) / m + np.atleast_2d(np.cov(below)) / n
    return above.mean(axis=1), covariance


def delong_interval(y_true: np.ndarray, y_score: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of one AUROC on the logit scale, so that it stays within 0 and 1 (Pepe 2003, sec. 5.2).

    An AUROC of exactly 0 or 1 has no variance by this form: both ends are the value itself.
    """
    auroc, covariance = delong(y_true, y_score)
    a, sd = float(auroc[0]), float(np.sqrt(covariance[0, 0]))
    if a in (0.0, 1.0):
        return a, a
    logit, half = np.log(a / (1 - a)), stats.norm.ppf((1 + level) / 2) * sd / (a * (1 - a))
    low, high = 1 / (1 + np.exp(-(logit + np.array([-half, half]))))
    return float(low), float(high)
