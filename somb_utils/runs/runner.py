"""Run models on tasks: fold jobs in parallel, each kept by content, so that a rerun does only what is new."""

import hashlib
import math
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from somb_utils._seeds import checked_seed, seeds_from
from somb_utils.errors import SombError, UsageError
from somb_utils.runs import cluster as dask_cluster
from somb_utils.runs import workers
from somb_utils.runs.cache import Job, ModelVersion, code_fingerprint, restore, store
from somb_utils.runs.code import Code, code_of, verify
from somb_utils.runs.constant import constant_models
from somb_utils.runs.fit import Outcome, PreparedFold, fit_fold, prepare
from somb_utils.runs.folder import add, check_folder, held, replaced
from somb_utils.runs.models import SEED, Model, resolve_models, supports
from somb_utils.runs.record import outcome_rows, prediction_rows, prediction_table, provenance
from somb_utils.runs.results import RunResult, keys_of
from somb_utils.tables.sources import Source, SourceLike, missing_tables, resolve_source
from somb_utils.tasks.definitions import (
    PROTOCOLS,
    Protocol,
    Task,
    catalogue,
    check_own_id,
    select_tasks,
    task_of,
    task_tables,
)
from somb_utils.tasks.task_data import TaskData, load_task, missing_message

Progress = Callable[[float, str], None]
TaskLike = str | Task | TaskData
N_SEEDS = 5  # of a stochastic model under the protocol ``rigorous``


@dataclass(frozen=True)
class Where:
    """Where fold jobs are done; see :func:`run`.

    With an infinite `timeout` there is no limit, and yet fits are done in separate processes, so that a crash costs one
    fit alone.
    """

    n_jobs: int
    timeout: float | None
    memory: int | None
    cluster: str | None

    def __post_init__(self) -> None:
        workers.count(self.n_jobs)
        if self.memory is not None and sys.platform != "linux":
            raise UsageError("a memory limit of a fit needs Linux; leave it out here")
        if self.memory is not None and self.memory <= 0:
            raise UsageError("a memory limit must be above 0")
        if self.timeout is not None and not self.timeout > 0:
            raise UsageError(f"a time limit of {self.timeout:g} s: give more than 0")
        limited = self.memory is not None or (self.timeout is not None and math.isfinite(self.timeout))
        if self.cluster is not None and limited:
            raise UsageError(
                "limits of time and memory are for fits on this machine; a cluster's workers set their own"
            )


def run(
    tasks: TaskLike | Sequence[TaskLike] | None = None,
    models: Any = None,
    *,
    model_params: Mapping[str, Mapping[str, Any]] | None = None,
    protocol: Protocol | None = None,
    source: SourceLike = "auto",
    seed: int = SEED,
    n_seeds: int | None = None,
    n_jobs: int = -1,
    timeout: float | None = None,
    memory: int | None = None,
    cluster: str | None = None,
    out: str | Path | None = None,
    on_start: Callable[[int, float], None] = lambda jobs, cost: None,
    on_done: Progress = lambda cost, label: None,
) -> RunResult:
    """Fit models on all folds of tasks and score them.

    Parameters
    ----------
    tasks
        Ids, wildcards, paths of definitions (``.json``), definitions, or tasks from :func:`somb_utils.load_task` or
        :func:`somb_utils.task_from_frames`, or a list of these, mixed; all 21 when omitted.
    models
        Baseline names, ``"package.module:object"``, estimators or factories, or a list of these, mixed; a mapping gives
        each its name. ``"strong"`` stands for the strong baselines, ``"all"`` for these and the seven, which are run
        when omitted. An estimator takes prepared arrays, or the raw fold after :func:`somb_utils.raw`.
    model_params
        Parameters by model name.
    protocol
        ``"rigorous"`` (the default), ``"aligned"`` or ``"published"``; see :func:`somb_utils.load_task`. A loaded task
        has its own.
    source
        See :func:`somb_utils.tables.resolve_source`. A loaded task has its own.
    seed
        Seed of the baselines, of each ``random_state`` that is None in an estimator of your own, and of the global
        generators of NumPy and Python while it is fitted. Folds do not depend on it.
    n_seeds
        Seeds with which a stochastic model is fitted, from `seed` on in steps of 100; its score is the mean over them.
        Repetitions of complete cross-validation share them: of 5 seeds, each of 5 repetitions has one. When omitted, 5
        under ``rigorous`` on real tables, else 1. Your own estimator is stochastic if it has a ``random_state`` that is
        None.
    n_jobs
        Fold jobs at once; -1 for one per core. Scores do not depend on it. A single one is done in this process.
    timeout
        Seconds that a fit may take. One that takes longer has failed, and the run goes on.
    memory
        Bytes that a fit may allocate, on Linux.
    cluster
        Address of a Dask scheduler (``tls://host:8786``) or ``local:N``, to run the jobs there instead.
    out
        Folder for results, predictions, provenance and finished jobs. A rerun into it continues.
    on_start, on_done
        Called with the number and cost of the jobs to do, and with cost and name of each that is done.

    Returns
    -------
    RunResult
        Results, predictions and provenance.

    Raises
    ------
    UsageError
        If a task, model or parameter is unknown, tasks contradict one another, `out` holds results of other data, or a
        model's file was edited after it was imported.
    SombError
        If a table is missing or changed, or `out` cannot be written.

    Examples
    --------
    >>> result = run("A1", ["majority"], source="simulated", n_jobs=1)
    >>> result.summary()[["task", "model", "metric"]].values.tolist()
    [['A1', 'majority', 'macro_auroc']]
    """
    seed = checked_seed(seed)
    where = Where(n_jobs, timeout, memory, cluster)
    chosen = resolve_models(models, model_params)
    loaded = load_tasks(tasks, protocol, source)
    folder = Path(out).absolute() if out is not None else None
    jobs = fold_jobs(loaded, chosen, seed, n_seeds)
    if not jobs:
        raise UsageError(f"{', '.join(m.name for m in chosen)} cannot be run on {', '.join(d.name for d in loaded)}")
    record = provenance(loaded, jobs)
    if folder is not None:
        before = check_folder(folder, loaded, [model.name for model in chosen])
        if before is not None and (same := held(before, record)) is not None:
            on_start(0, 0.0)
            return same
        for sentence in replaced(before.provenance, record) if before else ():
            print(f"NOTE: {folder.name}: {sentence}", file=sys.stderr)
    scored = outcomes(jobs, folder, where, on_start, on_done)
    if folder is None:
        return RunResult(outcome_rows(scored), prediction_rows(scored), record)
    of_model: dict[str, list[tuple[Job, Outcome]]] = {}
    for job, outcome in scored:
        of_model.setdefault(job.model.name, []).append((job, outcome))
    for (task, under, model), entry in zip(keys_of(record), record["models"], strict=True):
        those = [pair for pair in of_model[model] if (pair[0].data.name, pair[0].data.protocol) == (task, under)]
        entry["constant"] = bool(constant_models(prediction_rows(those)))
    return add(outcome_rows(scored), lambda model: prediction_table(of_model[model]), record, folder)


def outcomes(
    jobs: Sequence[Job], folder: Path | None, where: Where, on_start: Callable[[int, float], None], on_done: Progress
) -> list[tuple[Job, Outcome]]:
    """Do the jobs whose outcomes the folder does not have, keep each as it finishes, and return all, in order."""
    done = finished(jobs, folder)
    todo = sorted((i for i in range(len(jobs)) if i not in done), key=lambda i: -jobs[i].cost)
    on_start(len(todo), sum(jobs[i].cost for i in todo))
    for i, outcome in _outcomes(jobs, todo, where) if todo else ():
        done[i] = outcome
        if folder is not None and (key := jobs[i].key) and not outcome.error:
            store(outcome, folder, key)
        on_done(jobs[i].cost, f"{jobs[i].data.name} {jobs[i].model.name}")
    return [(job, done[i]) for i, job in enumerate(jobs)]


def load_tasks(
    tasks: TaskLike | Sequence[TaskLike] | None, protocol: Protocol | None, source: SourceLike
) -> list[TaskData]:
    """Load every selected task whose tables the source has.

    A task named by its id must have its tables; one matched by a wildcard or by default is left out without them.
    """
    items: list[Any] = [tasks] if isinstance(tasks, str | Task | TaskData) else list(tasks or ())
    if not items and tasks is not None:
        raise UsageError("no task named; leave `tasks` out for all of them")
    names = [item for item in items if not isinstance(item, TaskData)]
    loaded = _load_named(names, protocol or "rigorous", source) if names or tasks is None else {}
    for data in (item for item in items if isinstance(item, TaskData)):
        data.check()
        if protocol not in (None, data.protocol):
            raise UsageError(f"{data.name} was loaded under protocol {data.protocol}, the run asks for {protocol}")
        twin = loaded.setdefault((data.name, data.protocol), data)
        if twin.fingerprint != data.fingerprint:
            raise UsageError(f"{data.name} is given twice, with other features, labels or folds; run one at a time")
    kinds = {data.provenance["source"] for data in loaded.values()}
    if len(kinds) > 1:
        raise UsageError(f"one run has one data source, these tasks are of {' and '.join(sorted(kinds))} tables")
    return list(loaded.values())


def _load_named(names: Sequence[Any], protocol: Protocol, source: SourceLike) -> dict[tuple[str, Protocol], TaskData]:
    definitions = [name for name in names if isinstance(name, Task)]
    for definition in definitions:
        if definition not in (catalogue().get(definition.id), *(task_of(definition.id, each) for each in PROTOCOLS)):
            check_own_id(definition.id, "a definition")
    words = [word.strip() for name in names if not isinstance(name, Task) for word in str(name).split(",")]
    chosen = [*definitions, *(select_tasks(words) if words else ())] if names else select_tasks()
    selected = [task.under(protocol) for task in chosen]
    where = resolve_source(source, task_tables(selected))
    lacking = unavailable(selected, where)
    named = {word.upper() for word in words} | {task.id for task in definitions}
    for task, message in lacking.items():
        if task in named or task not in catalogue() or len(lacking) == len(selected):
            raise SombError(message)
    loaded = [load_task(task, protocol, where) for task in selected if task.id not in lacking]
    return {(data.name, data.protocol): data for data in loaded}


def unavailable(tasks: Sequence[Task], source: Source) -> dict[str, str]:
    """Return, for each task whose tables `source` lacks, what is missing and how to get it."""
    absent = [(task, missing_tables(task.tables, source)) for task in tasks]
    return {task.id: missing_message(task, names, source) for task, names in absent if names}


def fold_jobs(loaded: Sequence[TaskData], models: Sequence[Model], seed: int, n_seeds: int | None = None) -> list[Job]:
    """Return the jobs of every model, seed and fold, after making each model once, to report a bad parameter now."""
    if n_seeds is not None and n_seeds < 1:
        raise UsageError(f"n_seeds is {n_seeds}; give 1 or more")
    jobs = []
    versions: dict[tuple[str, str, int], ModelVersion] = {}

    def version(model: Model, task: Task, of_seed: int) -> ModelVersion:
        key = model.name, task.type, of_seed
        if key not in versions:
            versions[key] = _version(model, task, of_seed)
        return versions[key]

    for data in loaded:
        for model in (model for model in models if supports(model, data.task, data.protocol)):
            first = version(model, data.task, seed)
            several = data.protocol == "rigorous" and data.provenance["source"] != "simulated"
            seeds = seeds_from(seed, n_seeds or (N_SEEDS if several else 1)) if first.stochastic else [seed]
            seeds_of_fold = _seeds_of_fold(data, seeds)
            for each in seeds:
                made = version(model, data.task, each)
                jobs += [Job(data, model, number, made) for number, those in enumerate(seeds_of_fold) if each in those]
    return jobs


def _seeds_of_fold(data: TaskData, seeds: list[int]) -> list[list[int]]:
    """Return the seeds of each fold: all of them, or those of its repetition in complete cross-validation."""
    if data.task.split != "cv5x5":
        return [seeds] * len(data.folds)
    repetitions = [int(fold.label.partition(".")[0]) for fold in data.folds]
    return [seeds[r :: 1 + max(repetitions)] or [seeds[r % len(seeds)]] for r in repetitions]


def _version(model: Model, task: Task, seed: int) -> ModelVersion:
    estimator, states, raw = model.check(task, seed)
    parts = [estimator, dict(model.params), None if model.is_baseline else model.imported()]
    try:
        code = Code({}, {}) if model.is_baseline and not model.params else code_of(*parts)
    except UsageError as error:
        raise UsageError(f"model '{model.name}': {error}") from None
    if code is None:
        return ModelVersion(model, seed, states, None, raw, None)
    hashes = [joblib.hash(part) for part in (model.target, dict(model.params), estimator)]
    text = f"{hashes} {seed} {raw} {dict(code.modules)} {dict(code.distributions)}"
    return ModelVersion(model, seed, states, code, raw, hashlib.sha256(text.encode()).hexdigest())


def finished(jobs: Sequence[Job], folder: Path | None) -> dict[int, Outcome]:
    """Return the outcomes that a run's folder has, by the position of their jobs."""
    stored = {i: restore(folder, job.key) for i, job in enumerate(jobs) if job.key} if folder is not None else {}
    return {i: outcome for i, outcome in stored.items() if outcome}


def _outcomes(jobs: Sequence[Job], todo: Sequence[int], where: Where) -> Iterator[tuple[int, Outcome]]:
    """Do the jobs `todo`, in their order as far as workers are free, and yield each as it finishes."""

    def fold(job: Job) -> tuple[int, int, bool]:
        return id(job.data), job.number, job.version is not None and job.version.raw

    left = Counter(fold(jobs[i]) for i in todo)
    kept: dict[tuple[int, int, bool], PreparedFold] = {}

    def prepared(job: Job) -> PreparedFold:  # once a fold, and kept until its last model is under way
        key = fold(job)
        if key not in kept:
            kept[key] = prepare(job.data, *key[1:])
        left[key] -= 1
        return kept[key] if left[key] else kept.pop(key)

    calls: Iterator[workers.Call] = ((i, prepared(jobs[i]), jobs[i].version) for i in todo)
    if where.cluster is not None:
        code = code_fingerprint()
        yield from map(_survived, dask_cluster.unordered(_do_there, ((*call, code) for call in calls), where.cluster))
    elif where.n_jobs == 1 and where.timeout is None and where.memory is None:
        yield from (_do(*call) for call in calls)
    else:
        n_workers = min(workers.count(where.n_jobs), len(todo))
        fresh = any(not jobs[i].model.is_baseline for i in todo)
        timeout = None if where.timeout == math.inf else where.timeout
        results = workers.unordered(_do, calls, n_workers, timeout=timeout, memory=where.memory, fresh=fresh)
        yield from map(_survived, results)


def _do(i: int, fold: PreparedFold, version: ModelVersion) -> tuple[int, Outcome]:
    outcome = fit_fold(fold, version.model, version.seed)
    if version.code is not None:
        verify(version.code)
    return i, outcome


def _do_there(i: int, fold: PreparedFold, version: ModelVersion, code: str) -> tuple[int, Outcome]:
    if code_fingerprint() != code:
        raise SombError(
            f"the worker on {platform.node()} has other versions of somb_utils or its libraries than this process; "
            "install the same requirements.lock on both"
        )
    return _do(i, fold, version)


def _survived(result: Any) -> tuple[int, Outcome]:
    """Turn a call that has no result into a failed outcome."""
    first, second = result
    if isinstance(second, SombError):
        raise second
    if isinstance(second, BaseException):
        return first[0], Outcome(np.empty(0), np.empty(0), {}, 0.0, f"{type(second).__name__}: {second}")
    return first, second
