"""How a run folder grows with the number of models: predictions are simulated, the code that stores them is real."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from somb_utils.runs.cache import Job, ModelVersion
from somb_utils.runs.code import Code
from somb_utils.runs.fit import Outcome
from somb_utils.runs.folder import save
from somb_utils.runs.models import Model, resolve_models
from somb_utils.runs.record import outcome_rows, prediction_rows, provenance
from somb_utils.runs.results import RunResult
from somb_utils.runs.runner import Where, fold_jobs, outcomes
from somb_utils.tables.sources import SimulatedSource
from somb_utils.tasks.definitions import catalogue
from somb_utils.tasks.task_data import TaskData, load_task

SIZES = (10, 100, 1000)
REPETITIONS = 5
MEASURE = """
import resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""  # from a small process, since a new one starts with the memory of the one that starts it
AT_ONCE = 50  # models that one run adds, until the folder is full


def tasks() -> list[TaskData]:
    """Return every task on small simulated tables, 25 folds where the real tables have as many."""
    loaded = [load_task(task.id, source=SimulatedSource(n_features=60)) for task in catalogue().values()]
    return [_repeated(data) if data.task.split == "cv5x5" else data for data in loaded]


def _repeated(data: TaskData) -> TaskData:
    folds = [
        replace(fold, label=f"{r}.{fold.label.rpartition('.')[2]}") for r in range(REPETITIONS) for fold in data.folds
    ]
    return replace(data, folds=tuple(folds))


def fill(folder: Path, loaded: Sequence[TaskData], numbers: range) -> None:
    """Add simulated models to a run folder, as a run does when its fits are done."""
    scored = []
    for number in numbers:
        rng = np.random.default_rng(number)
        model = Model(f"simulated-{number}", "simulated")
        version = ModelVersion(model, 42, {}, Code({}, {}), False, f"simulated {number}")
        for data in loaded:
            scored += [
                (job, _outcome(job, rng)) for job in (Job(data, model, i, version) for i in range(len(data.folds)))
            ]
    folder.mkdir(exist_ok=True)
    record = provenance(loaded, [job for job, _ in scored])
    save(RunResult(outcome_rows(scored), prediction_rows(scored), record), folder)


def _outcome(job: Job, rng: np.random.Generator) -> Outcome:
    """Return predictions that are right somewhat more often than chance, and scores that are drawn by themselves."""
    data = job.data
    truth, n = data.codes[data.folds[job.number].test], len(data.task.classes)
    if data.task.type == "multilabel":
        score = np.clip(0.5 * rng.random(truth.shape) + 0.2 * truth, 0, 1)
        called = (score > 0.5).astype(int)
    elif data.task.type == "binary":
        score = np.clip(0.8 * rng.random(len(truth)) + 0.2 * truth, 0, 1)
        called = (score > 0.5).astype(int)
    else:
        score = rng.random((len(truth), n)) + 0.3 * np.eye(n)[truth]
        score /= score.sum(axis=1, keepdims=True)
        called = score.argmax(axis=1)
    metrics = data.task.metrics
    return Outcome(called, score, {name: rng.random() for name in (metrics.primary, *metrics.secondary)}, 0.0)


def command(*words: str) -> tuple[float, float]:
    """Return the seconds that ``somb`` takes, and its memory, in MB."""
    somb = str(Path(sys.executable).with_name("somb"))
    done = subprocess.run([sys.executable, "-c", MEASURE, somb, *words], check=True, capture_output=True, text=True)
    seconds, kilobytes = map(float, done.stdout.split())
    return seconds, kilobytes / 1024


def folders(sizes: Sequence[int] = SIZES) -> pd.DataFrame:
    """Time one more model, ten models compared, and the summary of ten, in folders of more and more models."""
    loaded, rows, held = tasks(), [], 0
    ten = ",".join(f"simulated-{number}" for number in range(10))
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "run"
        for size in sizes:
            while held < size - 1:
                fill(folder, loaded, range(held, held := min(size - 1, held + AT_ONCE)))
            started = time.perf_counter()
            fill(folder, loaded, range(held, held := size))
            added = time.perf_counter() - started
            compared, memory = min(command("compare", str(folder), "--models", ten) for _ in range(2))
            command("summary", str(folder), "--models", ten)
            summary, _ = command("summary", str(folder), "--models", ten)
            disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20
            rows.append((size, added, compared, memory, summary, disk))
    return pd.DataFrame(rows, columns=["models", "added", "compared", "memory", "summary", "disk"])


def overhead() -> float:
    """Return the seconds that a fold job takes beside its fit."""
    data = _repeated(load_task("D1", source=SimulatedSource(n_features=60)))
    jobs = fold_jobs([data], resolve_models(["majority", "random"]), 42)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        done = outcomes(jobs, Path(folder), Where(1, None, None, None), lambda *_: None, lambda *_: None)
        return (time.perf_counter() - started - sum(outcome.seconds for _, outcome in done)) / len(jobs)


def section(sizes: Sequence[int] = SIZES) -> str:
    """Return the measurements as Markdown."""
    from somb_utils.labels import markdown

    table, loaded = folders(sizes), tasks()
    n_folds = sum(len(data.folds) for data in loaded)
    names = {"added": "s to add one", "compared": "s to compare ten", "summary": "s to summarise ten again"}
    slopes = [
        f"{name}: {np.polyfit(np.log(table['models']), np.log(table[column]), 1)[0]:.2f}"
        for column, name in names.items()
    ]
    shown = pd.DataFrame({
        "models": table["models"].map("{:,}".format),
        **{name: table[column].map("{:.2f}".format) for column, name in names.items()},
        "most memory, MB": table["memory"].map("{:.0f}".format),
        "folder, MB": table["disk"].map("{:.0f}".format),
    })  # fmt: skip
    return f"""## A run folder of many models

Simulated predictions of {len(loaded)} tasks on small simulated tables, {n_folds} folds a model. Slopes of log time over
log models: {"; ".join(slopes)}. Aims for 1,000: ten compared in less than 10 s and 1,000 MB.

{markdown(shown)}

A fold job takes {1000 * overhead():.1f} ms beside its fit (aim: below 5 ms): preparing the fold, storing the outcome.
"""


if __name__ == "__main__":
    print(section(tuple(map(int, sys.argv[1:])) or SIZES))
