"""Bootstrap intervals of a score, and of the difference of two, from stored predictions."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from somb_utils._seeds import checked_seed
from somb_utils.errors import UsageError
from somb_utils.stats import kernels
from somb_utils.stats.design import OF_ANIMALS, Design, Rows, design, each_protocol, protocol_of, rows_of
from somb_utils.stats.intervals import LEVEL, N_BOOTSTRAP, SEED, Drawn, Draws, interval, student_factor
from somb_utils.tasks.definitions import Definitions, Task, task_of

Batch = tuple[str, Design, dict[str, pd.DataFrame]]  # a task, its tested rows, and predictions of them by model


def bootstrap_interval(
    predictions: pd.DataFrame,
    task: Task | str,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = SEED,
    level: float = LEVEL,
    these: bool = False,
) -> tuple[float, float]:
    """Return the bootstrap interval of one model's score on one task.

    Parameters
    ----------
    predictions
        The model's rows of :attr:`somb_utils.RunResult.predictions` for this task, in any order.
    task
        The definition or its id.
    n_bootstrap
        Number of replicates.
    seed
        The same seed draws the same units for every model (a paired bootstrap).
    level
        Nominal coverage.
    these
        Of a task that leaves out missions or tissues: whether the interval is for new animals on these missions or
        tissues, and not for new ones.

    Returns
    -------
    tuple of float
        Lower and upper end, between 0 and 1; NaN without replicates or predictions.

    Raises
    ------
    UsageError
        If the task's metric cannot be resampled, the predictions are of several models, `n_bootstrap` is negative, or
        `these` is asked of a task that leaves out neither missions nor tissues.
    SombError
        If the predictions repeat an id within a fold, or hold a class that the task does not have.

    Notes
    -----
    The percentile bootstrap (Efron and Tibshirani 1993, chapter 13) draws what was sampled: crew members, time
    points, missions or tissues, or row identifiers within class. A replicate's score is the mean over folds of the
    metric, folds that leave it undefined left out. Replicates of n groups (crew members, say) are spread about their
    mean by the ratio of Student's t with n - 1 degrees of freedom to the normal quantile, and by the square root of
    n / (n - 1) that their variance lacks; the factor is that of a 95 % interval, 1.87 for a crew of four.

    With `these`, animals are drawn within mission (or tissue) and label, each with all of its samples.

    The replicates keep the fitted models, so the interval lacks the variation that other training rows would bring.
    Its coverage of the expected score, with models fitted anew in each simulated study, is therefore below the
    nominal level, most of all with four crew members and for AUPRC with few positives; the book's page on metrics
    has the measured coverage. AUPRC replicates are too high, because a positive that is drawn twice ranks beside
    itself: the lower end of an AUPRC interval is no evidence that a score is above chance.

    Examples
    --------
    >>> import somb_utils as somb
    >>> result = somb.run("D1", "logreg", source="simulated", n_jobs=1)
    >>> low, high = bootstrap_interval(result.predictions, "D1", n_bootstrap=200)
    >>> bool(0 < low < result.summary(0)["mean"].item() < high < 1)
    True
    """
    low, high = np.clip(interval(replicates(predictions, task, n_bootstrap, seed, these), level), 0, 1)
    return float(low), float(high)


def replicates(
    predictions: pd.DataFrame,
    task: Task | str,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = SEED,
    these: bool = False,
) -> np.ndarray:
    """Return the bootstrap scores of one model on one task, shape (n_bootstrap,); those of few crew can pass 0 or 1."""
    if n_bootstrap == 0 or predictions.empty:
        return np.empty(0)
    plan = design(predictions, task)
    if these and plan.task.split not in OF_ANIMALS:
        raise UsageError(
            f"{plan.task.id} leaves out neither missions nor tissues: there is one interval, without these"
        )
    return _draw(plan, [predictions], n_bootstrap, seed, these)[0]


def all_replicates(
    predictions: pd.DataFrame,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = SEED,
    n_jobs: int | None = None,
    own: Definitions | None = None,
) -> Draws:
    """Return the bootstrap scores of every task and model of one protocol, all by the same draws.

    Each has shape (n_bootstrap,). Tasks run in `n_jobs` threads; in one when omitted, unless
    :class:`joblib.parallel_config` names threads.
    """
    return _of_batches(list(batches(predictions, own)), False, n_bootstrap, seed, n_jobs)


def draw_each_protocol(
    predictions: pd.DataFrame, n_bootstrap: int, seed: int, n_jobs: int | None, own: Definitions
) -> Drawn:
    """Return the bootstrap scores of predictions by protocol: for new groups, and for new animals on these."""
    drawn: Drawn = {}
    for rows, _ in each_protocol(predictions, predictions):
        parts = list(batches(rows, own))
        of_animals = [part for part in parts if part[1].task.split in OF_ANIMALS]
        new, these = (_of_batches(*of, n_bootstrap, seed, n_jobs) for of in ((parts, False), (of_animals, True)))
        drawn[protocol_of(rows)] = new, these
    return drawn


def _of_batches(parts: list[Batch], these: bool, n_bootstrap: int, seed: int, n_jobs: int | None) -> Draws:
    draws = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(_draw)(plan, list(models.values()), n_bootstrap, seed, these) for _, plan, models in parts
    )
    return {
        (task, model): scores
        for (task, _, models), drawn in zip(parts, draws, strict=True)
        for model, scores in zip(models, drawn, strict=True)
    }


def batches(predictions: pd.DataFrame, own: Definitions | None = None) -> Iterator[Batch]:
    """Yield task, design and the predictions by model, of models that were tested on the same ids.

    A task that is neither in the catalogue nor in `own` is left out: predictions do not say what its design is.
    """
    for name, rows in predictions.groupby("task", sort=False):
        task = task_of(str(name), protocol_of(rows), own)
        if task is None:
            continue
        parts: list[tuple[Design, dict[str, pd.DataFrame]]] = []
        for model, of_model in rows.groupby("model", sort=False):
            models = next((models for plan, models in parts if plan.fits(of_model)), None)
            if models is None:
                parts.append((design(of_model, task), models := {}))
            models[str(model)] = of_model
        yield from ((str(name), *part) for part in parts)


def _draw(plan: Design, predictions: list[pd.DataFrame], n_bootstrap: int, seed: int, these: bool) -> np.ndarray:
    if n_bootstrap < 1:
        raise UsageError(f"n_bootstrap is {n_bootstrap}; give 1 or more replicates")
    seed = checked_seed(seed)
    rows = [rows_of(plan, of_model) for of_model in predictions]
    if plan.task.leaves_groups_out and not these:
        scores = np.array([_group_scores(plan, r) for r in rows])
        return _of_groups(scores[:, np.isfinite(scores[0])], n_bootstrap, seed)
    row, *abc = (np.stack([r[i] for r in rows]) for i in range(4))
    of_rows = [plan.unit_of[row].astype(np.int32), *abc]
    return replicate_scores(plan.metric, plan.n_classes, rows[0].folds, plan.strata, of_rows, n_bootstrap, seed)


def _group_scores(plan: Design, rows: Rows) -> np.ndarray:
    """Return the score of each group, a mean over seeds, and over classes where each has a fold; NaN if undefined."""
    scores = kernels.fold_scores(plan.metric, plan.n_classes, rows.folds, *rows[1:4])
    return pd.Series(scores).groupby(rows.group).mean().to_numpy()


def replicate_scores(
    metric: int, n_classes: int, folds: np.ndarray, strata: np.ndarray, rows: Sequence[np.ndarray], n: int, seed: int
) -> np.ndarray:
    """Return the scores of n replicates, shape (n_models, n); `rows`: unit, a, b and c of :func:`kernels.bootstrap`."""
    unit, *abc = rows
    scores = [kernels.bootstrap(metric, n_classes, unit, folds, drawn, *abc) for drawn in draw_units(strata, n, seed)]
    return np.concatenate(scores, axis=1)


def draw_units(strata: np.ndarray, n_bootstrap: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the units of each replicate, as many from each stratum as it holds, shape (n_replicates, n_units)."""
    generators = np.random.default_rng(seed).spawn(len(strata) - 1)
    for n in batch_sizes(n_bootstrap, strata[-1]):
        strata_drawn = zip(generators, pairwise(strata), strict=True)
        yield np.concatenate([rng.integers(lo, hi, (n, hi - lo), np.int32) for rng, (lo, hi) in strata_drawn], axis=1)


def batch_sizes(replicates: int, width: int) -> list[int]:
    """Return how many replicates to draw at once, so that numbers of this width for each take 2 MB."""
    most = max(1, 2**18 // width)
    return [min(most, replicates - start) for start in range(0, replicates, most)]


def _of_groups(scores: np.ndarray, n_bootstrap: int, seed: int) -> np.ndarray:
    """Draw groups with their scores, shape (n_models, n_groups), and spread the means as so few groups ask."""
    n = scores.shape[1]
    if n < 2:
        return np.full((len(scores), n_bootstrap), np.nan)
    draws = scores[:, np.random.default_rng(seed).integers(n, size=(n_bootstrap, n))].mean(axis=2)
    centre = draws.mean(axis=1, keepdims=True)
    return centre + student_factor(n) * (draws - centre)
