"""Run models on tasks: fold jobs in parallel, each kept by content, so that a rerun does only what is new."""

import hashlib
import inspect
import json
import platform
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from somb_utils.cluster import unordered
from somb_utils.errors import SombError, UsageError
from somb_utils.fit import Outcome, PreparedFold, fit_fold, prepare
from somb_utils.load import TaskData, load_task, missing_message
from somb_utils.models import SEED, Model, resolve_models, supports
from somb_utils.paths import replacing
from somb_utils.results import RunResult, outcome_rows, prediction_rows, provenance, save
from somb_utils.tables import Source, SourceLike, missing_tables, resolve_source
from somb_utils.tasks import Protocol, Task, select_tasks, task_tables

LIBRARIES = ("numpy", "pandas", "scikit-learn", "scipy", "xgboost", "lightgbm")

# Rough fit times relative to one another, to start the longest jobs first and to tell the time left.
_WEIGHTS = {"random": 0.01, "majority": 0.01, "logreg": 1.0, "rf": 8.0, "mlp": 6.0, "xgboost": 8.0, "lightgbm": 4.0}

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Job:
    """One model on one fold of one task."""

    data: TaskData
    model: Model
    number: int

    @property
    def cost(self) -> float:
        """Expected fit time, in arbitrary units."""
        rows, columns = self.data.X.shape
        if self.data.task.pca:
            columns = sum(self.data.task.pca.values()) + 40
        n_outputs = 1 if self.data.task.type == "binary" else len(self.data.task.classes)
        weight = _WEIGHTS.get(self.model.target if isinstance(self.model.target, str) else "", 8.0)
        return weight * (2000 + rows * columns**0.5 * n_outputs)


def run(
    tasks: str | Sequence[str] | Sequence[TaskData] | None = None,
    models: Any = None,
    *,
    model_params: Mapping[str, Mapping[str, Any]] | None = None,
    protocol: Protocol = "aligned",
    source: SourceLike = "auto",
    seed: int = SEED,
    n_jobs: int = -1,
    cluster: str | None = None,
    out: str | Path | None = None,
    on_start: Callable[[int, float], None] = lambda jobs, cost: None,
    on_done: Progress = lambda cost, label: None,
) -> RunResult:
    """Fit models on all folds of tasks and score them.

    Parameters
    ----------
    tasks : ids, wildcards, or tasks loaded with :func:`load_task`; all 21 when omitted.
    models : see :func:`somb_utils.models.resolve_models`; the seven baselines when omitted.
    model_params : parameters by model name.
    protocol, source : see :func:`load_task`.
    seed : seed of every model; folds do not depend on it.
    n_jobs : fold jobs at once; -1 for one a core. Scores do not depend on it.
    cluster : address of a Dask scheduler (``tcp://host:8786``) or ``local:N``, to run the jobs there instead.
    out : folder for results, predictions, provenance and finished jobs. A rerun into it continues.
    on_start, on_done : called with the number and cost of the jobs to do, and after each.

    Returns
    -------
    RunResult
        Results, predictions and provenance as data frames.

    Raises
    ------
    UsageError
        If a task, model or parameter is unknown.
    SombError
        If a table is missing or changed, or `out` cannot be written or holds results of other data.

    Examples
    --------
    >>> result = run("A1", ["majority"], source="simulated", n_jobs=1)
    >>> result.summary()[["task", "model", "metric"]].values.tolist()
    [['A1', 'majority', 'macro_f1']]
    """
    chosen = resolve_models(models, model_params)
    loaded = load_tasks(tasks, protocol, source)
    folder = Path(out) if out is not None else None
    if folder is not None:
        check_folder(folder, loaded)
    jobs = [
        Job(data, model, number)
        for data in loaded
        for model in chosen
        if supports(model, data.task, data.protocol)
        for number in range(len(data.folds))
    ]
    _try_models(jobs, seed)
    done = dict(_finished(jobs, folder, seed))
    todo = sorted((i for i in range(len(jobs)) if i not in done), key=lambda i: -jobs[i].cost)
    on_start(len(todo), sum(jobs[i].cost for i in todo))
    for i, outcome in _outcomes(jobs, todo, seed, n_jobs, cluster) if todo else ():
        done[i] = outcome
        file = _job_file(jobs[i], folder, seed)
        if file is not None and not outcome.error:
            _store(outcome, file)
        on_done(jobs[i].cost, f"{jobs[i].data.name} {jobs[i].model.name}")
    scored = [(job, done[i]) for i, job in enumerate(jobs)]
    result = RunResult(
        results=outcome_rows(scored),
        predictions=prediction_rows(scored),
        provenance=provenance(loaded, chosen, seed, {name: version(name) for name in LIBRARIES}),
    )
    if folder is not None:
        save(result, folder)
    return result


def load_tasks(
    tasks: str | Sequence[str] | Sequence[TaskData] | None, protocol: Protocol, source: SourceLike
) -> list[TaskData]:
    """Load every selected task whose tables the source holds.

    A task named by its id must have its tables; one matched by a wildcard or by default is left out without them
    (see :func:`unavailable`).

    Raises
    ------
    SombError
        If a task named by id lacks a table, or no task is left.
    """
    if tasks is not None and not isinstance(tasks, str) and all(isinstance(task, TaskData) for task in tasks):
        return list(tasks)  # type: ignore[arg-type]
    selected = select_tasks(tasks)  # type: ignore[arg-type]
    where = resolve_source(source, task_tables(selected))
    lacking = unavailable(selected, where)
    words = tasks.split(",") if isinstance(tasks, str) else tasks or ()
    for task, message in lacking.items():
        if task in {str(word).strip().upper() for word in words} or len(lacking) == len(selected):
            raise SombError(message)
    return [load_task(task, protocol, where) for task in selected if task.id not in lacking]


def unavailable(tasks: Sequence[Task], source: Source) -> dict[str, str]:
    """Return, for each task whose tables `source` lacks, what is missing and how to get it."""
    absent = [(task, missing_tables(task.tables, source)) for task in tasks]
    return {task.id: missing_message(task, names, source) for task, names in absent if names}


def check_folder(folder: Path, loaded: Sequence[TaskData]) -> None:
    """Make the run folder, and refuse one that holds results of another data source.

    Raises
    ------
    SombError
        If the folder cannot be made or written.
    UsageError
        If it holds results of simulated tables and these are real, or the other way round.
    """
    with replacing(folder / ".writable"):
        pass
    (folder / ".writable").unlink()
    stored = folder / "provenance.json"
    if stored.is_file():
        before = json.loads(stored.read_text(encoding="utf-8"))["source"]
        now = loaded[0].provenance["source"]
        if before != now:
            raise UsageError(
                f"{folder} holds results of {before} tables, this run uses {now} ones, and the two never share a "
                "folder; choose another with --out"
            )


def _try_models(jobs: Sequence[Job], seed: int) -> None:
    """Make each model once before anything runs, so that a bad parameter is told at once."""
    for job in {(job.model.name, job.data.task.type): job for job in jobs}.values():
        try:
            job.model.make(job.data.task, 0, seed)
        except SombError:
            raise
        except Exception as error:
            raise UsageError(f"model '{job.model.name}' cannot be made: {type(error).__name__}: {error}") from None


def _outcomes(
    jobs: Sequence[Job], todo: Sequence[int], seed: int, n_jobs: int, cluster: str | None
) -> Iterator[tuple[int, Outcome]]:
    """Do the jobs `todo`, in their order as far as workers are free, and yield each as it finishes."""
    left = Counter((id(jobs[i].data), jobs[i].number) for i in todo)
    kept: dict[tuple[int, int], PreparedFold] = {}

    def prepared(job: Job) -> PreparedFold:  # once a fold, and kept until its last model is under way
        key = id(job.data), job.number
        if key not in kept:
            kept[key] = prepare(job.data, job.number)
        left[key] -= 1
        return kept[key] if left[key] else kept.pop(key)

    calls = ((i, prepared(jobs[i]), jobs[i].model, seed) for i in todo)
    if cluster is not None:
        code = _code_fingerprint()
        yield from map(_survived, unordered(_do_there, ((*call, code) for call in calls), cluster))
        return
    # When the run stops early, joblib says how many fits it cancelled; the user knows.
    warnings.filterwarnings("ignore", message=".* which were still being processed by the workers")
    with joblib.parallel_config(backend="loky", n_jobs=n_jobs, inner_max_num_threads=1):
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
        yield from parallel(joblib.delayed(_do)(*call) for call in calls)


def _do(i: int, fold: PreparedFold, model: Model, seed: int) -> tuple[int, Outcome]:
    return i, fit_fold(fold, model, seed)


def _do_there(i: int, fold: PreparedFold, model: Model, seed: int, code: str) -> tuple[int, Outcome]:
    if _code_fingerprint() != code:
        raise SombError(
            f"the worker on {platform.node()} has other versions of somb_utils or its libraries than this process; "
            "install the same requirements.lock on both"
        )
    return _do(i, fold, model, seed)


def _survived(result: Any) -> tuple[int, Outcome]:
    """Turn a call that no worker survived into a failed outcome."""
    first, second = result
    if isinstance(second, SombError):
        raise second
    if isinstance(second, Exception):
        return first[0], Outcome(np.empty(0), np.empty(0), {}, 0.0, f"{type(second).__name__}: {second}")
    return first, second


def _finished(jobs: Sequence[Job], folder: Path | None, seed: int) -> Iterator[tuple[int, Outcome]]:
    for i, job in enumerate(jobs):
        file = _job_file(job, folder, seed)
        if file is not None and file.is_file():
            outcome = _restore(file)
            if outcome is not None:
                yield i, outcome


def _job_file(job: Job, folder: Path | None, seed: int) -> Path | None:
    if folder is None:
        return None
    text = f"{job.data.fingerprint} {job.number} {_model_fingerprint(job.model)} {seed} {_code_fingerprint()}"
    return folder / "jobs" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"


def _model_fingerprint(model: Model) -> str:
    text = f"{model.target if isinstance(model.target, str) else joblib.hash(model.target)} {dict(model.params)}"
    if isinstance(model.target, str) and ":" not in model.target:
        return text
    # Their own code decides what they predict, so a change of it makes the job new.
    target = model.target
    if isinstance(target, str):
        module: Any = sys.modules[target.partition(":")[0]]
    else:
        module = inspect.getmodule(target if inspect.isroutine(target) or isinstance(target, type) else type(target))
    file = getattr(module, "__file__", None)
    return f"{text} {hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ''}"


@cache
def _code_fingerprint() -> str:
    code = b"".join((Path(__file__).parent / f"{name}.py").read_bytes() for name in ("fit", "models", "metrics"))
    versions = " ".join(version(name) for name in LIBRARIES)
    return f"{hashlib.sha256(code).hexdigest()} {versions}"


def _store(outcome: Outcome, file: Path) -> None:
    with replacing(file) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            y_pred=outcome.y_pred,
            y_score=outcome.y_score,
            metrics=np.array(list(outcome.scores)),
            values=np.array(list(outcome.scores.values())),
            seconds=outcome.seconds,
        )


def _restore(file: Path) -> Outcome | None:
    try:
        with np.load(file, allow_pickle=False) as saved:
            scores = dict(zip(saved["metrics"].tolist(), saved["values"].tolist(), strict=True))
            return Outcome(saved["y_pred"], saved["y_score"], scores, float(saved["seconds"]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # damaged on disk: do the job again
