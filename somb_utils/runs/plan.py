"""What a run would do: every table, fold, model and folder checked, the fits counted and timed, nothing fitted."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from somb_utils.errors import SombError
from somb_utils.runs.cache import Job
from somb_utils.runs.fit import Outcome
from somb_utils.runs.folder import check_content
from somb_utils.runs.models import SEED, Model, resolve_models
from somb_utils.runs.names import split_names
from somb_utils.runs.runner import finished, fold_jobs, unavailable
from somb_utils.runs.workers import count
from somb_utils.tables.sources import SourceLike, resolve_source
from somb_utils.tasks.definitions import Protocol, Task, catalogue, select_tasks, task_tables
from somb_utils.tasks.task_data import TaskData, load_task

# Seconds per unit of `Job.cost`, measured with the baselines on one core of a small cloud machine.
ROUGH_RATE = 6e-6
_COLUMNS = ["task", "protocol", "source", "rows", "features", "classes", "folds", "gaps", "fits", "finished"]


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    # one row per task: shape, classes, folds, share of missing values, fits and how many of them are finished
    tasks: pd.DataFrame
    fits: int  # fold jobs that are left to do
    finished: int  # fold jobs whose outcome is in the run folder
    seconds: float  # expected time of the fits that are left
    measured: bool  # whether every model's rate comes from its finished folds; else the rough rate of a small machine
    left_out: tuple[str, ...]  # why tasks that were not named by their id are left out
    problems: tuple[str, ...]  # everything that stops the run


def plan(
    tasks: str | Sequence[str] | None = None,
    models: Any = None,
    *,
    model_params: Mapping[str, Mapping[str, Any]] | None = None,
    protocol: Protocol = "rigorous",
    source: SourceLike = "auto",
    seed: int = SEED,
    n_seeds: int | None = None,
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
    loaded = _tasks(tasks, protocol, source, problems, left_out)
    jobs: list[Job] = []
    for data in loaded:
        for model in chosen:
            with _noting(problems):
                jobs += fold_jobs([data], [model], seed, n_seeds)
    folder = Path(out).absolute() if out is not None else None
    if folder is not None:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            problems.append(f"{folder} cannot be written; name another folder with --out")
        else:
            with _noting(problems):
                check_content(folder, loaded, [model.name for model in chosen])
    done = finished(jobs, folder)
    rates = _rates(jobs, done)
    todo = [job for i, job in enumerate(jobs) if i not in done]
    seconds = sum(job.cost * rates.get(job.model.name, ROUGH_RATE) for job in todo)
    return Plan(
        tasks=pd.DataFrame([_row(data, jobs, done) for data in loaded], columns=_COLUMNS),
        fits=len(todo),
        finished=len(done),
        seconds=seconds / max(1, min(n_workers, len(todo))),
        measured={job.model.name for job in todo} <= set(rates),
        left_out=tuple(left_out),
        problems=tuple(dict.fromkeys(problems)),
    )


@contextmanager
def _noting(problems: list[str]) -> Iterator[None]:
    """Add the message of an error in the block to `problems` instead of raising it."""
    try:
        yield
    except SombError as error:
        problems.append(str(error))


def _models(models: Any, params: Mapping[str, Mapping[str, Any]], problems: list[str]) -> list[Model]:
    """Return the models that can be resolved, each by itself if not all can."""
    messages: list[str] = []
    with _noting(messages):
        return resolve_models(models, params)
    items = split_names(models) if isinstance(models, str) else models if isinstance(models, Sequence | set) else ()
    resolved: list[Model] = []
    for item in items:
        with _noting(messages):
            resolved += resolve_models(item)
    problems += messages[1:] or messages
    return [Model(model.name, model.target, params.get(model.name, {})) for model in resolved]


def _tasks(
    tasks: str | Sequence[str] | None, protocol: Protocol, source: SourceLike, problems: list[str], left_out: list[str]
) -> list[TaskData]:
    """Return the tasks that can be loaded; one that was not named by its id may lack its tables."""
    words = [word for word in (tasks.split(",") if isinstance(tasks, str) else tasks or ()) if word.strip()]
    selected: dict[str, Task] = {}
    for word in [None] if tasks is None else words or [""]:
        with _noting(problems):
            selected |= {task.id: task.under(protocol) for task in select_tasks(word)}
    where = resolve_source(source, task_tables(selected.values()) or None)
    lacking = unavailable(list(selected.values()), where)
    named = {word.strip().upper() for word in words}
    loaded = []
    for task in selected.values():
        if task.id in lacking:
            required = task.id in named or task.id not in catalogue() or len(lacking) == len(selected)
            (problems if required else left_out).append(lacking[task.id])
        else:
            with _noting(problems):
                loaded.append(load_task(task, protocol, where))
    return loaded


def _rates(jobs: Sequence[Job], done: Mapping[int, Outcome]) -> dict[str, float]:
    """Return the seconds per unit of cost of each model that has finished folds."""
    rows = [(jobs[i].model.name, outcome.seconds, jobs[i].cost) for i, outcome in done.items()]
    total = pd.DataFrame(rows, columns=["model", "seconds", "cost"]).groupby("model").sum()
    return dict(total["seconds"] / total["cost"])


def _row(data: TaskData, jobs: Sequence[Job], done: Mapping[int, Outcome]) -> tuple[Any, ...]:
    fits = [i in done for i, job in enumerate(jobs) if job.data is data]
    return (
        *(data.name, data.protocol, data.provenance["source"], *data.X.shape, len(data.task.classes), len(data.folds)),
        *(float(data.X.isna().to_numpy().mean()), fits.count(False), fits.count(True)),
    )
