"""What a run would do: every table, fold, model and folder checked, the fits counted and timed, nothing fitted."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from somb_utils.errors import SombError
from somb_utils.runs.cache import Job
from somb_utils.runs.folder import check_content
from somb_utils.runs.models import SEED, Model, resolve_models
from somb_utils.runs.names import split_names
from somb_utils.runs.runner import finished, fold_jobs, unavailable
from somb_utils.runs.workers import count
from somb_utils.tables.sources import Source, SourceLike, resolve_source
from somb_utils.tasks.definitions import Protocol, Task, select_tasks
from somb_utils.tasks.task_data import TaskData, load_task

# Seconds a unit of `Job.cost`, measured with the baselines on one core of a small cloud machine.
ROUGH_RATE = 6e-6


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    # one row a task: shape, classes, folds, share of missing values, fits and how many of them are finished
    tasks: pd.DataFrame
    fits: int  # fold jobs that are left to do
    finished: int  # fold jobs whose outcome is in the run folder
    seconds: float  # about how long the fits that are left take
    measured: bool  # whether every model's rate comes from its finished folds; else the rough rate of a small machine
    left_out: tuple[str, ...]  # why tasks that were not named by their id are left out
    problems: tuple[str, ...]  # all that stops the run


def plan(
    tasks: str | Sequence[str] | None = None,
    models: Any = None,
    *,
    model_params: Mapping[str, Mapping[str, Any]] | None = None,
    protocol: Protocol = "aligned",
    source: SourceLike = "auto",
    seed: int = SEED,
    n_jobs: int = -1,
    out: str | Path | None = None,
) -> Plan:
    """Load and check all that a run needs, and fit nothing.

    >>> plan("A1", "logreg", source="simulated").tasks[["task", "rows", "features", "folds"]].values.tolist()
    [['A1', 28, 39, 4]]
    """
    n_workers = count(n_jobs)
    problems: list[str] = []
    left_out: list[str] = []
    chosen = _models(models, model_params or {}, problems)
    loaded = _tasks(tasks, protocol, resolve_source(source), problems, left_out)
    jobs = [job for data in loaded for model in chosen for job in _jobs(data, model, seed, problems)]
    folder = Path(out).absolute() if out is not None else None
    if folder is not None:
        _check_folder(folder, loaded, chosen, problems)
    done = finished(jobs, folder)
    rates = _rates(jobs, {i: outcome.seconds for i, outcome in done.items()})
    todo = [job for i, job in enumerate(jobs) if i not in done]
    return Plan(
        tasks=pd.DataFrame([_row(data, jobs, done) for data in loaded], columns=_COLUMNS),
        fits=len(todo),
        finished=len(done),
        seconds=_seconds(todo, rates) / max(1, min(n_workers, len(todo))),
        measured={job.model.name for job in todo} <= set(rates),
        left_out=tuple(left_out),
        problems=tuple(dict.fromkeys(problems)),
    )


def _models(models: Any, params: Mapping[str, Mapping[str, Any]], problems: list[str]) -> list[Model]:
    """Return the models that can be resolved, each by itself if not all can."""
    try:
        return resolve_models(models, params)
    except SombError as error:
        whole = str(error)
    items = split_names(models) if isinstance(models, str) else list(models or ()) if _is_list(models) else []
    alone: list[Model] = []
    told = []
    for item in items:
        try:
            alone += resolve_models(item)
        except SombError as error:
            told.append(str(error))
    problems += told or [whole]
    return [Model(model.name, model.target, params.get(model.name, {})) for model in alone]


def _is_list(models: Any) -> bool:
    return isinstance(models, Sequence | set)


def _tasks(
    tasks: str | Sequence[str] | None, protocol: Protocol, source: Source, problems: list[str], left_out: list[str]
) -> list[TaskData]:
    """Return the tasks that can be loaded; one that was not named by its id may lack its tables."""
    words = [word for word in (tasks.split(",") if isinstance(tasks, str) else tasks or ["*"]) if word.strip()]
    selected: dict[str, Task] = {}
    for word in words or [""]:
        try:
            selected |= {task.id: task for task in select_tasks(word)}
        except SombError as error:
            problems.append(str(error))
    lacking = unavailable(list(selected.values()), source)
    named = {word.strip().upper() for word in words}
    loaded = []
    for task in selected.values():
        if task.id in lacking:
            must = task.id in named or len(lacking) == len(selected)
            (problems if must else left_out).append(lacking[task.id])
            continue
        try:
            loaded.append(load_task(task, protocol, source))
        except SombError as error:
            problems.append(str(error))
    return loaded


def _jobs(data: TaskData, model: Model, seed: int, problems: list[str]) -> list[Job]:
    try:
        return fold_jobs([data], [model], seed)
    except SombError as error:
        problems.append(str(error))
        return []


def _check_folder(folder: Path, loaded: list[TaskData], models: list[Model], problems: list[str]) -> None:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        problems.append(f"{folder} cannot be written; name another folder with --out")
        return
    try:
        check_content(folder, loaded, [model.name for model in models])
    except SombError as error:
        problems.append(str(error))


def _rates(jobs: Sequence[Job], seconds: Mapping[int, float]) -> dict[str, float]:
    """Return the seconds a unit of cost of each model that has finished folds."""
    spent: dict[str, list[float]] = {}
    for i, time in seconds.items():
        total = spent.setdefault(jobs[i].model.name, [0.0, 0.0])
        total[0] += time
        total[1] += jobs[i].cost
    return {name: time / cost for name, (time, cost) in spent.items()}


def _seconds(todo: Sequence[Job], rates: Mapping[str, float]) -> float:
    return sum(job.cost * rates.get(job.model.name, ROUGH_RATE) for job in todo)


_COLUMNS = ["task", "protocol", "source", "rows", "features", "classes", "folds", "gaps", "fits", "finished"]


def _row(data: TaskData, jobs: Sequence[Job], done: Mapping[int, Any]) -> tuple[Any, ...]:
    own = [i for i, job in enumerate(jobs) if job.data is data]
    kept = sum(i in done for i in own)
    return (
        *(data.name, data.protocol, data.provenance["source"], *data.X.shape, len(data.task.classes), len(data.folds)),
        *(float(data.X.isna().to_numpy().mean()), len(own) - kept, kept),
    )
