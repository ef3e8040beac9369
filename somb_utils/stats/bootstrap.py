"""Bootstrap intervals of a score, and of the difference of two, from stored predictions."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import stats

from somb_utils._seeds import checked_seed
from somb_utils.errors import UsageError
from somb_utils.stats import kernels
from somb_utils.stats.design import GROUPED, Design, design, each_protocol, rows_of
from somb_utils.tasks.definitions import Task, task_of

N_BOOTSTRAP = 1000
SEED = 42
LEVEL = 0.95


def bootstrap_interval(
    predictions: pd.DataFrame,
    task: Task | str,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = SEED,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Return the percentile interval of one model's score on one task (Efron & Tibshirani 1993, ch. 13).

    Parameters
    ----------
    predictions : the model's rows of :attr:`somb_utils.runs.results.RunResult.predictions` for this task
    task : the definition or its id
    n_bootstrap : replicates
    seed : the same seed draws the same rows for every model, so that models compare in pairs
    level : coverage

    Returns
    -------
    tuple of float
        Lower and upper end; NaN without replicates or predictions.

    Notes
    -----
    What is drawn is what was sampled (see :mod:`somb_utils.stats.design`). A replicate's score is, as the task's, the
    mean over folds of the metric, folds that leave it undefined left out. Replicates of n crew or time points are
    spread by Student's t with n - 1 degrees of freedom over the normal quantile, and by the square root of n / (n - 1)
    that their variance lacks; the factor is that of a 95 % interval, 1.87 for four crew.

    The interval speaks of these fitted models on new crew, days or genes; that other training rows would have made
    other models is not in it. How often it holds the truth is measured in :mod:`somb_utils.studies.coverage`.
    """
    return _of_score(replicates(predictions, task, n_bootstrap, seed), level)


def _of_score(draws: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    low, high = np.clip(interval(draws, level), 0, 1)
    return float(low), float(high)


def interval(draws: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Return the central interval of replicates, NaN where none is defined."""
    if not np.isfinite(draws).any():
        return np.nan, np.nan
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def replicates(
    predictions: pd.DataFrame, task: Task | str, n_bootstrap: int = N_BOOTSTRAP, seed: int = SEED
) -> np.ndarray:
    """Return the bootstrap scores of one model on one task, shape (n_bootstrap,); those of few crew can pass 0 or 1."""
    if n_bootstrap == 0 or predictions.empty:
        return np.empty(0)
    return _draw(design(predictions, task), [predictions], n_bootstrap, seed)[0]


def all_replicates(
    predictions: pd.DataFrame, n_bootstrap: int = N_BOOTSTRAP, seed: int = SEED, n_jobs: int | None = None
) -> dict[tuple[str, str], np.ndarray]:
    """Return the bootstrap scores of every task and model, each of shape (n_bootstrap,), by one and the same draws.

    Parameters
    ----------
    predictions
        Of one protocol, as :attr:`somb_utils.runs.results.RunResult.predictions` holds them.
    n_bootstrap, seed
        Replicates, and the seed of their draws.
    n_jobs
        Tasks at once, in threads. None: as :class:`joblib.parallel_config` says, which is one unless set.
    """
    parts = list(batches(predictions))
    draws = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(_draw)(made, list(models.values()), n_bootstrap, seed) for _, made, models in parts
    )
    return {
        (task, model): scores
        for (task, _, models), drawn in zip(parts, draws, strict=True)
        for model, scores in zip(models, drawn, strict=True)
    }


def batches(predictions: pd.DataFrame) -> Iterator[tuple[str, Design, dict[str, pd.DataFrame]]]:
    """Yield task, design and the predictions by model, of models that were tested on the same ids.

    A task that is not in the catalogue is left out: predictions do not say what its design is.
    """
    for name, rows in predictions.groupby("task", sort=False):
        task = task_of(str(name))
        if task is None:
            continue
        made: list[tuple[Design, dict[str, pd.DataFrame]]] = []
        for model, own in rows.groupby("model", sort=False):
            same = next((models for other, models in made if other.fits(own)), None)
            if same is None:
                made.append((design(own, task), same := {}))
            same[str(model)] = own
        yield from ((str(name), *part) for part in made)


def _draw(made: Design, predictions: list[pd.DataFrame], n_bootstrap: int, seed: int) -> np.ndarray:
    if n_bootstrap < 1:
        raise UsageError(f"n_bootstrap is {n_bootstrap}; give 0 or more replicates")
    seed = checked_seed(seed)
    rows = [rows_of(made, own) for own in predictions]
    if made.task.split in GROUPED:
        folds = np.array([kernels.fold_scores(made.metric, made.n_classes, made.folds, *r[1:]) for r in rows])
        return _of_groups(folds[:, np.isfinite(folds[0])], n_bootstrap, seed)
    row, a, b, c = (np.stack(part) for part in zip(*rows, strict=True))
    unit = made.unit_of[row].astype(np.int32)
    return kernels.bootstrap(
        made.metric, made.n_classes, unit, made.folds, made.strata, a, b, c, n_bootstrap, np.uint64(seed)
    )


def _of_groups(scores: np.ndarray, n_bootstrap: int, seed: int) -> np.ndarray:
    """Draw groups with their scores, shape (n_models, n_groups), and spread the means as so few groups ask."""
    n = scores.shape[1]
    if n < 2:
        return np.full((len(scores), n_bootstrap), np.nan)
    draws = scores[:, np.random.default_rng(seed).integers(n, size=(n_bootstrap, n))].mean(axis=2)
    centre = draws.mean(axis=1, keepdims=True)
    return centre + student_factor(n) * (draws - centre)


def student_factor(n: int) -> float:
    """Return how much wider than its percentiles a 95 % interval of n groups is, n at least 2."""
    end = (1 + LEVEL) / 2
    return float(stats.t.ppf(end, n - 1) / stats.norm.ppf(end) * np.sqrt(n / (n - 1)))


def with_intervals(
    summary: pd.DataFrame,
    predictions: pd.DataFrame,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = SEED,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Return a summary with each score's 95 % interval and whether it differs significantly from its task's best.

    Parameters
    ----------
    summary
        Columns task, model, mean, failed; and protocol, if there are several.
    predictions
        Of the same run.
    n_bootstrap, seed
        Replicates, and the seed of their draws.
    n_jobs
        Tasks at once, in threads. None: as :class:`joblib.parallel_config` says, which is one unless set.

    Returns
    -------
    DataFrame
        The summary with `low` and `high`, NaN where there is no interval (as for a task of your own), and `tied`:
        the model has the best mean of its task and protocol, or the interval of its paired difference to the best
        holds 0. Models with failed folds are neither.
    """
    parts = [_with_intervals(*part, n_bootstrap, seed, n_jobs) for part in each_protocol(summary, predictions)]
    return pd.concat(parts).loc[summary.index]


def _with_intervals(
    summary: pd.DataFrame, predictions: pd.DataFrame, n_bootstrap: int, seed: int, n_jobs: int | None
) -> pd.DataFrame:
    draws = all_replicates(predictions, n_bootstrap, seed, n_jobs) if n_bootstrap else {}
    keys = list(zip(summary["task"], summary["model"], strict=True))
    ends = [_of_score(draws.get(key, np.empty(0))) for key in keys]
    whole = summary[summary["mean"].notna() & (summary["failed"] == 0)]
    best = set(whole.groupby("task")["mean"].idxmax())
    lead = {key[0]: draws.get(key) for i, key in zip(summary.index, keys, strict=True) if i in best}
    tied = [
        i in best or (i in whole.index and key in draws and interval(lead[key[0]] - draws[key])[0] <= 0)
        for i, key in zip(summary.index, keys, strict=True)
    ]
    return summary.assign(low=[low for low, _ in ends], high=[high for _, high in ends], tied=tied)
