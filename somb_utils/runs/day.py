"""The day of sampling: what a score on phase is worth beside the scores on every other assignment of phases to days."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import factorial, prod
from typing import Any

import numpy as np
from joblib import Parallel, delayed, parallel_config
from sklearn.metrics import balanced_accuracy_score

from somb_utils._seeds import SEED, checked_seed
from somb_utils.errors import SombError, UsageError
from somb_utils.runs import workers
from somb_utils.runs.day_tests import model_sha256
from somb_utils.runs.fit import PreparedFold, fit_fold, prepare
from somb_utils.runs.models import Model, resolve_models
from somb_utils.runs.record import provenance
from somb_utils.runs.runner import Progress, TaskLike, fold_jobs, load_tasks, run
from somb_utils.stats.permutation import p_value
from somb_utils.tables.sources import SourceLike
from somb_utils.tasks import splits
from somb_utils.tasks.day import loco_day, phase_days
from somb_utils.tasks.definitions import Protocol
from somb_utils.tasks.task_data import TaskData


@dataclass(frozen=True)
class DayTest:
    """A model's score on phase, and its scores with the phases assigned to the days in other ways.

    Parameters
    ----------
    data
        The phase task.
    model
        Name of the model.
    observed
        Primary metric with the true phases, as a mean over folds; NaN if a fit failed.
    null
        The same for each relabelling, shape (n_relabellings,); NaN where a fit failed.
    errors
        Why fits failed, one message per relabelling in which one did.
    seed
        Of the fits, and of the draw of relabellings where there are too many.
    model_sha256
        Hash of what the model is, by which its runs are recognised.
    """

    data: TaskData
    model: str
    observed: float
    null: np.ndarray
    errors: tuple[str, ...]
    seed: int
    model_sha256: str

    @property
    def p_day(self) -> float:
        """(1 + b) / (1 + N), where b of N relabellings score at least as high; NaN if the true phases have no score."""
        return p_value(np.array([self.observed, *self.null]))

    @property
    def floor(self) -> float:
        """The smallest p-value that the number of relabellings allows, 1 / (1 + N)."""
        return float(1 / (1 + np.isfinite(self.null).sum()))

    def row(self) -> dict[str, Any]:
        """Return the test as one row of a table; failed relabellings are counted, and left out of all other columns.

        Returns
        -------
        dict
            As in ``data/reference/day_tests.csv``.
        """
        null = self.null[np.isfinite(self.null)]
        return {
            "task": self.data.name,
            "protocol": self.data.protocol,
            "model": self.model,
            "metric": self.data.task.metrics.primary,
            "observed": self.observed,
            "null_mean": float(null.mean()) if len(null) else np.nan,
            "null_sd": float(null.std()) if len(null) else np.nan,
            "relabellings": len(null),
            "p_day": self.p_day,
            "floor": self.floor,
            "failed": len(self.errors),
            "seed": self.seed,
            "data_sha256": self.data.fingerprint,
            "model_sha256": self.model_sha256,
        }


def day_test(
    task: TaskLike,
    model: Any,
    *,
    protocol: Protocol | None = None,
    source: SourceLike = "auto",
    seed: int = SEED,
    n: int = 999,
    n_jobs: int = -1,
    on_start: Callable[[int, float], None] = lambda jobs, cost: None,
    on_done: Progress = lambda cost, label: None,
) -> DayTest:
    """Test whether a model recognises phase, or no more than the days of sampling.

    Parameters
    ----------
    task
        Id, definition or loaded task, in which all crew were sampled on the same days and the label (phase) is a
        function of the day.
    model
        A single model, as in :func:`somb_utils.run`.
    protocol, source
        As in :func:`somb_utils.run`.
    seed
        Of the model, and of the draw of relabellings.
    n
        At most this many relabellings. Where there are no more, all are done and the test is exact; else as many
        distinct ones are drawn at random.
    n_jobs
        Processes; -1 for one per core. The result does not depend on it.
    on_start, on_done
        Called with the number and cost of the relabellings, and with cost and name of each that is done.

    Returns
    -------
    DayTest
        Observed score, scores of the relabellings, and the p-value ``p_day``.

    Raises
    ------
    UsageError
        If it is no phase task, `model` is several models, or a parameter is invalid.
    SombError
        If a table is missing or changed.

    Notes
    -----
    The crew share every day: what a batch, a season or a device does to the samples of one day looks alike in all of
    them, and a model that has seen the day in other crew recognises it. So the day is the unit: the phases are
    assigned to the days in every other way, alike for all crew, and the model is fitted again each time. Without an
    effect of phase, the true assignment is exchangeable with the others, whatever the days have in common
    (Winkler et al. 2015 call it whole-block exchangeability). What drifts with time is not exchangeable between days:
    one mission, whose phases follow one another, cannot tell it from phase.

    Examples
    --------
    >>> result = day_test("A1", "logreg", source="simulated", n=19, n_jobs=1)
    >>> len(result.null), result.p_day, result.floor
    (19, 0.05, 0.05)
    """
    data, chosen, takes_raw = _one(task, model, protocol, source, checked_seed(seed))
    days, codes = np.unique(phase_days(data).to_numpy(), return_inverse=True)
    of_day = np.zeros(len(days), dtype=np.int64)
    of_day[codes] = data.codes
    labels = relabellings(of_day, n, seed)
    folds = [prepare(data, number, takes_raw) for number in range(len(data.folds))]
    calls = ((i, data, folds, phases[codes], chosen, seed) for i, phases in enumerate(labels))
    scores, errors = np.full(len(labels), np.nan), dict[int, str]()
    on_start(len(labels), len(labels))
    with parallel_config(backend="loky", n_jobs=workers.count(n_jobs), inner_max_num_threads=1):
        for i, score, error in Parallel(return_as="generator_unordered")(delayed(_score)(*call) for call in calls):
            scores[i] = score
            if error:
                errors[i] = error
            on_done(1.0, f"{data.name} {chosen.name}")
    failures = tuple(errors[i] for i in sorted(errors))
    (record,) = provenance([data], fold_jobs([data], [chosen], seed, n_seeds=1))["models"]
    return DayTest(data, chosen.name, float(scores[0]), scores[1:], failures, seed, model_sha256(record))


def relabellings(labels: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Return the labels of the days, shape (n_days,), then up to `n` distinct other orders of them, all if possible."""
    if n < 1:
        raise UsageError(f"n is {n}; give 1 or more relabellings")
    distinct = factorial(len(labels)) // prod(factorial(int(count)) for count in np.bincount(labels))
    rng, orders = np.random.default_rng(seed), {tuple(labels.tolist()): None}
    while len(orders) < min(distinct, 1 + n):
        orders[tuple(rng.permutation(labels).tolist())] = None
    return np.array(list(orders))


def _score(
    i: int, data: TaskData, folds: Sequence[PreparedFold], codes: np.ndarray, model: Model, seed: int
) -> tuple[int, float, str]:
    """Fit every fold with other labels; return the mean primary score, or NaN and why a fit failed."""
    scores = []
    for fold in folds:
        rows = data.folds[fold.number]
        outcome = fit_fold(replace(fold, y_train=codes[rows.train], y_test=codes[rows.test]), model, seed)
        if outcome.error:
            return i, np.nan, outcome.error
        scores.append(outcome.scores[data.task.metrics.primary])
    return i, float(np.nanmean(scores)), ""


def day_accuracy(
    task: TaskLike,
    model: Any,
    *,
    protocol: Protocol | None = None,
    source: SourceLike = "auto",
    seed: int = SEED,
    n_jobs: int = -1,
) -> tuple[float, float]:
    """Measure how well a model recognises phase on new crew, and on new crew and new days.

    Parameters
    ----------
    task, model, protocol, source, seed, n_jobs
        As in :func:`somb_utils.day_test`.

    Returns
    -------
    float
        Balanced accuracy over all test rows, each crew member left out in turn.
    float
        The same, each crew member left out together with the day that is tested (:func:`somb_utils.loco_day`), on the
        same rows and classes. Chance is 1 divided by the number of classes.

    Raises
    ------
    UsageError
        If it is no phase task, or fewer than two of its classes were sampled on two days.
    SombError
        If a table is missing or changed, or a fit fails.

    Examples
    --------
    >>> day_accuracy("A1", "logreg", source="simulated", n_jobs=1)
    (0.9583333333333333, 0.9166666666666666)
    """
    data, chosen, _ = _one(task, model, protocol, source, checked_seed(seed))
    both = loco_day(data)
    assert both.groups is not None  # of a phase task
    crew = replace(both, folds=tuple(splits.leave_one_group_out(both.groups.to_numpy())), ablation="loco")
    result = run([crew, both], chosen, seed=seed, n_jobs=n_jobs)
    if len(failures := result.failures()):
        raise SombError(f"{failures['task'].iloc[0]}, {chosen.name}: {failures['reason'].iloc[0]}")
    tested = result.predictions.groupby("task")[["y_true", "y_pred"]]
    accuracy = tested.apply(lambda rows: balanced_accuracy_score(rows["y_true"], rows["y_pred"]))
    return float(accuracy[crew.name]), float(accuracy[both.name])


def _one(
    task: TaskLike, model: Any, protocol: Protocol | None, source: SourceLike, seed: int
) -> tuple[TaskData, Model, bool]:
    """Return the task, the model, and whether it takes the raw fold."""
    loaded, models = load_tasks(task, protocol, source), resolve_models(model)
    if len(loaded) != 1 or len(models) != 1:
        raise UsageError("the day test is of one model on one task")
    *_, takes_raw = models[0].check(loaded[0].task, seed)
    return loaded[0], models[0], takes_raw
