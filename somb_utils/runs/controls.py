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
from somb_utils.tasks.controls import NEGATIVE, NUISANCE, POSITIVE, controls_of
from somb_utils.tasks.definitions import Protocol, TaskType
from somb_utils.tasks.splits import LEFT_OUT
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
    tasks
        As in :func:`somb_utils.run`.
    models, model_params
        As in :func:`somb_utils.run`. Controls are about the task, so one model does: for each task the cheapest that
        learns from features, which is logistic regression among the baselines.
    protocol, source
        As in :func:`somb_utils.run`.
    seed
        Of the model and of the permutations.
    n_permutations
        Number of permuted label sets of the negative control.
    n_jobs, timeout, memory, cluster
        As in :func:`somb_utils.run`.
    out
        Run folder, which keeps finished fits, and the table with its provenance in ``controls.json``.
    on_start, on_done
        As in :func:`somb_utils.run`.

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

    record = provenance([data for data, _ in pairs], [job for pair in pairs for job in _jobs(*pair, seed)])
    made = [(data, model, controls_of(data, n_permutations, seed)) for data, model in pairs]
    jobs = [job for _, model, kinds in made for those in kinds.values() for c in those for job in _jobs(c, model, seed)]
    fits: dict[int, list[tuple[Job, Outcome]]] = {}
    for job, outcome in outcomes(jobs, folder, where, on_start, on_done):
        fits.setdefault(id(job.data), []).append((job, outcome))
    rows = [
        {
            **{"task": data.name, "protocol": data.protocol, "source": data.provenance["source"], "model": model.name},
            **_row(kind, data, [fits[id(control)] for control in those]),
            **{"seed": seed, "data_sha256": data.fingerprint},
        }
        for data, model, kinds in made
        for kind, those in kinds.items()
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


def _jobs(data: TaskData, model: Model, seed: int) -> list[Job]:
    return fold_jobs([data], [model], seed, n_seeds=1)


def _row(control: str, data: TaskData, fits: Sequence[_Fit]) -> dict[str, Any]:
    """Return score and verdict of a control of a task, from its fits: one for each permutation, else one or none."""
    ranking = _RANKING[data.task.type]
    group = "" if data.groups is None else LEFT_OUT.get(data.task.split, str(data.groups.name))
    row = {"control": control, "metric": ranking, "score": np.nan, "low": np.nan, "high": np.nan, "chance": 0.5}
    row |= {"permutations": len(fits) if control == NEGATIVE else 0, "group": None}
    if control == NUISANCE:
        row |= {"metric": "balanced_accuracy", "chance": np.nan}
        row |= {} if data.groups is None else {"chance": 1 / data.groups.nunique(), "group": group}
    if not fits:
        lacking = f"a {group} has a single row" if group else "no groups"
        return {**row, "verdict": f"no label varies within a {group or 'fold'}" if control == NEGATIVE else lacking}
    if errors := [outcome.error for fit in fits for _, outcome in fit if outcome.error]:
        return {**row, "verdict": f"failed: {errors[0]}"}
    if control == NUISANCE:
        truth = np.concatenate([job.data.codes[job.data.folds[job.number].test] for fit in fits for job, _ in fit])
        called = np.concatenate([outcome.y_pred for fit in fits for _, outcome in fit])
        return {**row, "score": float(balanced_accuracy_score(truth, called)), "verdict": ""}
    by_fold = pd.DataFrame([[outcome.scores.get(ranking, np.nan) for _, outcome in fit] for fit in fits])
    scores = by_fold.mean(axis=1).to_numpy()
    if np.isnan(scores).any():
        return {**row, "verdict": "undefined: no fold has class scores and two classes"}
    if control == POSITIVE:
        return {**row, "score": float(scores[0]), "verdict": "found" if scores[0] >= FOUND else "not found"}
    mean, low, high = mean_interval(scores)
    verdict = "at chance" if low <= 0.5 <= high else "not at chance"
    return {**row, "score": mean, "low": low, "high": high, "verdict": verdict}
