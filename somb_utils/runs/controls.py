"""Controls beside scores: an effect that must be found, labels that must not, and how well the group is recognised."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import balanced_accuracy_score

from somb_utils._seeds import SEED, checked_seed
from somb_utils.errors import UsageError
from somb_utils.runs.cache import Job
from somb_utils.runs.fit import Outcome
from somb_utils.runs.folder import add_controls, check_folder
from somb_utils.runs.models import NAMED, Model, resolve_models, supports
from somb_utils.runs.record import provenance
from somb_utils.runs.runner import Progress, TaskLike, Where, fold_jobs, load_tasks, outcomes
from somb_utils.tables.sources import SourceLike
from somb_utils.tasks import controls as make
from somb_utils.tasks.definitions import Protocol, TaskType
from somb_utils.tasks.task_data import TaskData

N_PERMUTATIONS = 20
LEVEL = 0.999  # of the interval of the negative control: one sound task in 1,000 is flagged
FOUND = 0.95  # the AUROC from which on a planted effect counts as found
FAILED = ("not found", "not at chance")
# The scores whose chance level is 0.5 whatever a model predicts and however unequal the classes are.
_RANKING: dict[TaskType, str] = {"binary": "auroc", "multiclass": "macro_auroc", "multilabel": "mean_auroc"}
_Fit = Sequence[tuple[Job, Outcome]]  # all folds of one control


def controls(
    tasks: TaskLike | Sequence[TaskLike] | None = None,
    models: Any = None,
    *,
    model_params: Mapping[str, Mapping[str, Any]] | None = None,
    protocol: Protocol | None = None,
    source: SourceLike = "auto",
    seed: int = SEED,
    n_permutations: int = N_PERMUTATIONS,
    n_jobs: int = -1,
    timeout: float | None = None,
    memory: int | None = None,
    cluster: str | None = None,
    out: str | Path | None = None,
    on_start: Callable[[int, float], None] = lambda jobs, cost: None,
    on_done: Progress = lambda cost, label: None,
) -> pd.DataFrame:
    """Check features, folds and scoring of tasks by a positive, a negative and a nuisance control of each.

    Parameters
    ----------
    tasks, protocol, source, n_jobs, timeout, memory, cluster, on_start, on_done
        As in :func:`somb_utils.run`.
    models, model_params
        As in :func:`somb_utils.run`. Controls are about the task, so one model does: for each task the cheapest that
        learns from features, which is logistic regression among the baselines.
    seed
        Of the model and of the permutations.
    n_permutations
        Number of permuted label sets of the negative control.
    out
        Run folder, which keeps finished fits, and the table with its provenance in ``controls.json``.

    Returns
    -------
    DataFrame
        Three rows per task, with columns task, protocol, source, model, control, metric, score, its interval (``low``,
        ``high``; negative control only), chance, permutations, group (the name of what the nuisance control
        recognises), verdict, seed and ``data_sha256``. Where a score is missing, the verdict says why.

    Raises
    ------
    UsageError
        If no model learns from features, `n_permutations` is below 2, or as in :func:`somb_utils.run`.
    SombError
        If a table is missing or changed, or `out` cannot be written.

    Notes
    -----
    Controls are not scores: no summary, composite or leaderboard contains them. The positive and the negative control
    use only folds that test no row again, and AUROC, averaged over classes or labels, because its chance level is 0.5
    whatever a model predicts.

    positive
        Each feature orders the classes in another way, five of its standard deviations apart (in a multilabel task it
        is raised by one of the labels). ``found`` if the score is at least 0.95.
    negative
        Labels are permuted among the rows that one fold tests, in a grouped task those of one group, and the model is
        fitted anew. The score is the mean over permutations; ``at chance`` if its 99.9 % interval (Student's t over
        permutations) contains 0.5. It finds leaks between folds in preparation, fitting and scoring; features that
        contain the label are for the audit to find.
    nuisance
        Balanced accuracy in recognising the group of a row, such as the crew member: on days left out of the training
        rows, or in stratified folds where days are unknown. It has no verdict: recognising the group harms a task only
        where groups and labels go together.

    Examples
    --------
    >>> table = controls("A1", "logreg", source="simulated", n_permutations=5, n_jobs=1)
    >>> table[["control", "chance", "verdict"]].values.tolist()
    [['positive', 0.5, 'found'], ['negative', 0.5, 'at chance'], ['nuisance', 0.25, '']]
    """
    seed = checked_seed(seed)
    if n_permutations < 2:
        raise UsageError(f"n_permutations is {n_permutations}; an interval over permutations needs 2 or more")
    where = Where(n_jobs, timeout, memory, cluster)
    learners = learning(resolve_models(models, model_params))
    pairs = [
        (data, min(able, key=lambda model: Job(data, model, 0).cost))
        for data in load_tasks(tasks, protocol, source)
        if (able := [model for model in learners if supports(model, data.task, data.protocol)])
    ]
    if not pairs:
        raise UsageError(f"{', '.join(model.name for model in learners)} cannot be run on these tasks")
    folder = Path(out).absolute() if out is not None else None
    if folder is not None:
        check_folder(folder, [data for data, _ in pairs], {model.name for _, model in pairs})

    def jobs_of(data: TaskData, model: Model) -> list[Job]:
        return fold_jobs([data], [model], seed, n_seeds=1)

    record = provenance([data for data, _ in pairs], [job for pair in pairs for job in jobs_of(*pair)])
    made = [(make.positive(data), make.negatives(data, n_permutations, seed), make.nuisance(data)) for data, _ in pairs]
    jobs: list[Job] = []
    for (_, model), (positive, negatives, nuisance) in zip(pairs, made, strict=True):
        for control in (positive, *negatives, *([nuisance] if nuisance else [])):
            jobs += jobs_of(control, model)
    fits: dict[int, list[tuple[Job, Outcome]]] = {}
    for job, outcome in outcomes(jobs, folder, where, on_start, on_done):
        fits.setdefault(id(job.data), []).append((job, outcome))
    rows = []
    for (data, model), (positive, negatives, nuisance) in zip(pairs, made, strict=True):
        same = {"task": data.name, "protocol": data.protocol, "source": data.provenance["source"], "model": model.name}
        rest = {"seed": seed, "data_sha256": data.fingerprint}
        rows += [
            {**same, **row, **rest}
            for row in (
                _positive(fits[id(positive)]),
                _negative(data, [fits[id(control)] for control in negatives]),
                _nuisance(data, fits[id(nuisance)] if nuisance else None),
            )
        ]
    table = pd.DataFrame(rows)
    if folder is not None:
        add_controls(folder, table, record)
    return table


def learning(models: Sequence[Model]) -> list[Model]:
    """Return the models that learn from features; UsageError if there is none."""
    learners = [model for model in models if not (model.is_baseline and NAMED[model.target].trivial)]
    if not learners:
        names = ", ".join(model.name for model in models)
        raise UsageError(f"controls need a model that learns from features, unlike {names}; name another")
    return learners


def mean_interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float, float]:
    """Return the mean of independent scores, and the interval that Student's t gives it, between 0 and 1."""
    mean, half = values.mean(), stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values)
    low, high = np.clip([mean - half, mean + half], 0, 1)
    return float(mean), float(low), float(high)


def _row(control: str, metric: str, verdict: str, chance: float = 0.5, **changes: Any) -> dict[str, Any]:
    empty = {"score": np.nan, "low": np.nan, "high": np.nan}
    kind = {"control": control, "metric": metric}
    return {**kind, **empty, "chance": chance, "permutations": 0, "group": None, **changes, "verdict": verdict}


def _auroc(fit: _Fit, metric: str) -> float:
    values = np.array([outcome.scores.get(metric, np.nan) for _, outcome in fit])
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def _problem(fits: Sequence[_Fit], scores: Sequence[float] | np.ndarray = ()) -> str:
    """Say why there is no score; empty if there is one."""
    errors = [outcome.error for fit in fits for _, outcome in fit if outcome.error]
    if errors:
        return f"failed: {errors[0]}"
    return "undefined: no fold has class scores and two classes" if np.isnan(scores).any() else ""


def _positive(fit: _Fit) -> dict[str, Any]:
    metric = _RANKING[fit[0][0].data.task.type]
    score = _auroc(fit, metric)
    verdict = _problem([fit], [score]) or ("found" if score >= FOUND else "not found")
    return _row("positive", metric, verdict, score=score)


def _negative(data: TaskData, fits: Sequence[_Fit]) -> dict[str, Any]:
    metric = _RANKING[data.task.type]
    if not fits:
        return _row("negative", metric, f"no label varies within a {'fold' if data.groups is None else 'group'}")
    scores = np.array([_auroc(fit, metric) for fit in fits])
    mean, low, high = mean_interval(scores)
    verdict = _problem(fits, scores) or ("at chance" if low <= 0.5 <= high else "not at chance")
    return _row("negative", metric, verdict, score=mean, low=low, high=high, permutations=len(fits))


def _nuisance(data: TaskData, fit: _Fit | None) -> dict[str, Any]:
    metric = "balanced_accuracy"
    if data.groups is None:
        return _row("nuisance", metric, "no groups", np.nan)
    group = str(data.groups.name)
    if fit is None:
        return _row("nuisance", metric, f"a {group} has a single row", np.nan, group=group)
    chance = 1 / data.groups.nunique()
    if problem := _problem([fit]):
        return _row("nuisance", metric, problem, chance, group=group)
    truth = np.concatenate([job.data.codes[job.data.folds[job.number].test] for job, _ in fit])
    called = np.concatenate([outcome.y_pred for _, outcome in fit])
    score = float(balanced_accuracy_score(truth, called))
    return _row("nuisance", metric, "", chance, group=group, score=score)
