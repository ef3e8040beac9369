"""How fast a run is, beside a plain loop and beside the limit that its own fits set. All ratios come from one call.

The reference is what a plain runner does: one task, model and fold after another, tables read anew for each model.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import psutil

from somb_utils.metrics import Scores
from somb_utils.runs.baselines import BASELINES
from somb_utils.runs.fit import fit_fold, prepare
from somb_utils.runs.models import Model, supports
from somb_utils.runs.runner import run as run_models
from somb_utils.tables.sources import FolderSource, SimulatedSource, Source
from somb_utils.tasks.definitions import PROTOCOLS
from somb_utils.tasks.task_data import load_task

Key = tuple[str, str, int]
MB = 2**20
IMPORT = "import time; start = time.perf_counter(); import somb_utils; print(time.perf_counter() - start)"
PLANS: dict[str, tuple[str, list[dict[str, int]]]] = {
    "features": ("C1", [{"n_features": n} for n in (1000, 4000, 16000)]),
    "rows (genes)": ("I3", [{"n_features": n} for n in (4000, 16000, 64000)]),
    "crew": ("F4", [{"n_crew": n} for n in (4, 8, 16)]),
}


def fresh(source: Source) -> Source:
    """Return the same source with nothing loaded."""
    return FolderSource(*source.folders) if isinstance(source, FolderSource) else SimulatedSource()


def reference(tasks: list[str], source: Source, models: tuple[str, ...] = tuple(BASELINES)) -> dict[Key, Scores]:
    """Run every model on every fold, one after another, loading the task anew for each model."""
    scores = {}
    for task in tasks:
        for name in models:
            data = load_task(task, "published", fresh(source))
            if supports(Model(name, name), data.task, data.protocol):
                for number in range(len(data.folds)):
                    scores[task, name, number] = fit_fold(prepare(data, number), Model(name, name)).scores
    return scores


def largest_difference(scores: dict[Key, Scores], results: pd.DataFrame) -> float:
    """Return the largest difference of any metric of any fold between the reference and the run.

    Raises
    ------
    ValueError
        If one has a score that the other lacks.
    """
    order = {task: list(dict.fromkeys(rows["fold"])) for task, rows in results.groupby("task")}
    ours = results.set_index(["task", "model", "fold", "metric"])["value"].sort_index()
    theirs = pd.Series(
        {
            (task, model, order[task][number], metric): value
            for (task, model, number), fold in scores.items()
            for metric, value in fold.items()
        }
    ).sort_index()
    if not ours.index.equals(theirs.index) or not (ours.isna() == theirs.isna()).all():
        raise ValueError("the reference and the run do not have the same scores")
    return float((ours - theirs).abs().max())


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the wall time of `call` in seconds, and what it returned."""
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def command_seconds(*words: str) -> float:
    """Return the best wall time of three calls of a command."""
    return min(timed(lambda: subprocess.run(words, check=True, capture_output=True))[0] for _ in range(3))


def import_seconds() -> float:
    """Return the best of three times that importing the package takes, the interpreter's own start left out."""
    command = [sys.executable, "-c", IMPORT]
    return min(float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(3))


def fit_seconds(folder: Path) -> float:
    """Return the summed seconds of the fits that a run folder keeps, each of one thread."""
    return sum(float(np.load(file)["seconds"]) for file in (folder / "jobs").glob("*.npz"))


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """Note the most memory, in MB, of the largest process and of all (shared pages once, where the system tells)."""
    most = [0.0, 0.0]
    ended = threading.Event()

    def watch() -> None:
        me = psutil.Process()
        while not ended.wait(0.5):
            sizes = []
            for process in (me, *me.children(recursive=True)):
                try:
                    sizes.append(process.memory_full_info())
                except psutil.NoSuchProcess:
                    continue
            largest = max(size.rss for size in sizes)
            together = sum(getattr(size, "pss", size.rss) for size in sizes)
            most[:] = max(most[0], largest / MB), max(most[1], together / MB)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def speed(tasks: list[str], source: Source) -> pd.DataFrame:
    """Time a cold run, a warm one, both as commands, and the reference loop."""
    cores = joblib.cpu_count()
    data = os.pathsep.join(map(str, source.folders)) if isinstance(source, FolderSource) else "simulated"
    somb = str(Path(sys.executable).with_name("somb"))
    with tempfile.TemporaryDirectory() as folder:
        options = {"protocol": "published", "out": folder}
        with peak_memory() as memory:
            cold, result = timed(lambda: run_models(tasks, source=fresh(source), **options))
        fits = fit_seconds(Path(folder))
        warm, _ = timed(lambda: run_models(tasks, source=fresh(source), **options))
        words = ["run", "--tasks", ",".join(tasks), "--protocol", "published", "--data", data, "--out", folder]
        subprocess.run([somb, *words], check=True, capture_output=True)  # draws the intervals
        command = command_seconds(somb, *words)
        summary = command_seconds(somb, "summary", folder)
        words[-1] = f"{folder}/whole"
        whole, _ = timed(lambda: subprocess.run([somb, *words], check=True, capture_output=True))
    loop, scores = timed(lambda: reference(tasks, source))
    limit = fits / cores
    rows = [
        ("reference loop", f"{loop:.1f} s", ""),
        ("run, nothing done yet", f"{cold:.1f} s", f"{loop / cold:.2f} times as fast as the loop; aim: 1.7"),
        ("the same as a command, with intervals", f"{whole:.1f} s", f"{loop / whole:.2f} times as fast; aim: 2"),
        (f"its fits, over {cores} cores", f"{limit:.1f} s", f"the run takes {cold / limit:.3f} times that; aim: 1.05"),
        ("run, nothing new to fit", f"{warm:.2f} s", "aim: below 3 s"),
        ("the same as a command, intervals drawn before", f"{command:.2f} s", "aim: below 3 s"),
        ("`somb summary` of that folder", f"{summary:.2f} s", "aim: below 1.5 s"),
        ("largest difference of any score from the loop's", f"{largest_difference(scores, result.results):.1e}", ""),
        ("most memory of one process", f"{memory[0]:.0f} MB", ""),
        ("most memory of all processes", f"{memory[1]:.0f} MB", "aim: below 1 GB"),
        ("`import somb_utils`", f"{import_seconds():.2f} s", "aim: below 0.3 s"),
        ("`somb --help`", f"{command_seconds(somb, '--help'):.2f} s", "aim: below 0.5 s"),
    ]
    return pd.DataFrame(rows, columns=["what", "measured", "beside"])


def default_protocol(tasks: list[str], source: Source) -> pd.DataFrame:
    """Time a cold run under the default protocol: complete folds, several seeds."""
    cores = joblib.cpu_count()
    with tempfile.TemporaryDirectory() as folder:
        cold, result = timed(lambda: run_models(tasks, source=fresh(source), out=folder))
        limit = fit_seconds(Path(folder)) / cores
    n_fits = len(result.results[["task", "model", "seed", "fold"]].drop_duplicates())
    rows = [
        (f"run of {n_fits:,} fits, nothing done yet", f"{cold / 60:.1f} min", "aim: below 15 min on 2 cores"),
        (f"its fits, over {cores} cores", f"{limit / 60:.1f} min", f"the run takes {cold / limit:.3f} times that"),
    ]
    return pd.DataFrame(rows, columns=["what", "measured", "beside"])


def scaling() -> pd.DataFrame:
    """Return how a fold's CPU time grows with features, rows and crew on simulated tables (log-log slope)."""
    rows = []
    for grows, (task, settings) in PLANS.items():
        sizes = [next(iter(setting.values())) for setting in settings]
        loaded = [load_task(task, source=SimulatedSource(**setting)) for setting in settings]
        for model in ("logreg", "rf", "lightgbm"):
            seconds = [min(_fold_seconds(data, model) for _ in range(2)) for data in loaded]
            slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
            times = ", ".join(f"{s:.2f}" for s in seconds)
            rows.append((grows, task, model, ", ".join(f"{size:,}" for size in sizes), times, f"{slope:.2f}"))
    return pd.DataFrame(rows, columns=["grows", "task", "model", "sizes", "CPU seconds a fold", "slope"])


def _fold_seconds(data: Any, model: str) -> float:
    started = time.process_time()
    fit_fold(prepare(data, 0), Model(model, model))
    return time.process_time() - started


def section(tasks: list[str], source: Source) -> str:
    """Return the measurements as Markdown."""
    from somb_utils.labels import markdown

    whole, rigorous = speed(tasks, source), default_protocol(tasks, source)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SOMB_CACHE"] = cache  # simulated tables of many sizes, of no use to anyone else
        grown = scaling()
    return f"""## A whole run

Protocol `published`, seven baselines, tasks {", ".join(tasks)}. The reference is a plain serial loop that reads the
tables anew for each model. The run loads each table once, prepares each fold once and starts the longest fits first,
one thread a fit, one process a core.

{markdown(whole)}

The same models and tasks under the default protocol, `{PROTOCOLS[0]}`:

{markdown(rigorous)}

## How a fit grows

Simulated tables; the slope of log time over log size is 1 where time grows in proportion.

{markdown(grown)}
"""
