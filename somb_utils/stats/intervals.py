"""Intervals from replicates."""

import numpy as np
from scipy.special import ndtri, stdtrit

N_BOOTSTRAP = 1000
SEED = 42
LEVEL = 0.95

Draws = dict[tuple[str, str], np.ndarray]  # bootstrap scores of each task and model, shape (n_bootstrap,)
Drawn = dict[str, tuple[Draws, Draws]]  # by protocol: for new groups, and for new animals on these


def interval(draws: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Return the central interval of replicates, NaN where none is defined."""
    if not np.isfinite(draws).any():
        return np.nan, np.nan
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def student_factor(n: int) -> float:
    """Return how much wider than its percentiles a 95 % interval of n groups is, n at least 2."""
    return float(t_to_normal(n) * np.sqrt(n / (n - 1)))


def t_to_normal(n: int) -> float:
    """Return the ratio of the 95 % quantile of Student's t with n - 1 degrees of freedom to the normal one."""
    end = (1 + LEVEL) / 2
    return float(stdtrit(n - 1, end) / ndtri(end))
