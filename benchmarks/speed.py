"""How fast a run is, beside a plain loop and beside the limit that its own fits set. All ratios come from one call.

    python benchmarks/speed.py [--tasks A1,C2] [--out book/benchmarks.md]

The reference is what a plain runner does: one task, model and fold after another, tables read anew for each model.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from somb_utils.fit import fit_fold, prepare
from somb_utils.load import load_task
from somb_utils.metrics import Scores
from somb_utils.models import BASELINES, Model, supports
from somb_utils.paths import replacing
from somb_utils.runner import LIBRARIES, load_tasks
from somb_utils.runner import run as run_models
from somb_utils.tables import FolderSource, SimulatedSource, Source, resolve_source

ROOT = Path(__file__).parent.parent


def fresh(source: Source) -> Source:
    """Return the same source with nothing loaded."""
    return FolderSource(source.folder) if isinstance(source, FolderSource) else SimulatedSource()


def reference(tasks: list[str], source: Source) -> dict[tuple[str, str, int], Scores]:
    """Run every model on every fold, one after another, loading the task anew for each model."""
    scores = {}
    for task in tasks:
        for name in BASELINES:
            data = load_task(task, "published", fresh(source))
            if supports(Model(name, name), data.task, data.protocol):
                for number in range(len(data.folds)):
                    scores[task, name, number] = fit_fold(prepare(data, number), Model(name, name)).scores
    return scores


def timed(call: Callable[[], object]) -> tuple[float, object]:
    """Return the wall time of `call` in seconds, and what it returned."""
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def command_seconds(*words: str) -> float:
    """Return the best wall time of three calls of a command."""
    return min(timed(lambda: subprocess.run(words, check=True, capture_output=True))[0] for _ in range(3))


def fit_seconds(folder: Path) -> float:
    """Return the summed wall time of the fits that a run folder keeps."""
    return sum(float(np.load(file)["seconds"]) for file in (folder / "jobs").glob("*.npz"))


def largest_difference(scores: dict[tuple[str, str, int], Scores], results: pd.DataFrame) -> float:
    """Return the largest difference of any metric of any fold between the reference and the run."""
    order = {task: list(dict.fromkeys(rows["fold"])) for task, rows in results.groupby("task")}
    ours = results.set_index(["task", "model", "fold", "metric"])["value"]
    pairs = [
        (value, ours[task, model, order[task][number], metric])
        for (task, model, number), fold in scores.items()
        for metric, value in fold.items()
    ]
    difference = np.array([abs(a - b) for a, b in pairs if not np.isnan(a)])
    return float(difference.max())


def speed(tasks: list[str], source: Source) -> pd.DataFrame:
    """Time the reference loop, a cold run, and a warm one."""
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        options = {"protocol": "published", "out": folder}
        cold, result = timed(lambda: run_models(tasks, source=fresh(source), **options))
        fits = fit_seconds(Path(folder))
        warm, _ = timed(lambda: run_models(tasks, source=fresh(source), **options))
    loop, scores = timed(lambda: reference(tasks, source))
    somb = str(Path(sys.executable).with_name("somb"))
    rows = [
        ("reference loop", f"{loop:.1f} s", ""),
        ("run, cold", f"{cold:.1f} s", f"{loop / cold:.2f} times as fast as the loop"),
        ("its fits, summed", f"{fits:.1f} s", f"run / (fits / {cores} cores) = {cold / (fits / cores):.3f}"),
        ("run, nothing new to fit", f"{warm:.2f} s", ""),
        ("largest difference of any score", f"{largest_difference(scores, result.results):.1e}", ""),  # type: ignore[attr-defined]
        ("import somb_utils", f"{command_seconds(sys.executable, '-c', 'import somb_utils'):.2f} s", ""),
        ("somb --help", f"{command_seconds(somb, '--help'):.2f} s", ""),
        ("peak memory of one process", f"{peak_memory(tasks, somb, source):.0f} MB", ""),
    ]
    return pd.DataFrame(rows, columns=["what", "value", "ratio"])


def peak_memory(tasks: list[str], somb: str, source: Source) -> float:
    """Return the largest resident set, in MB, of any process of a run."""
    import resource

    data = str(source.folder) if isinstance(source, FolderSource) else "simulated"
    with tempfile.TemporaryDirectory() as folder:
        words = [somb, "run", "--tasks", ",".join(tasks), "--models", "logreg", "--data", data, "--out", folder]
        subprocess.run(words, check=True, capture_output=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def scaling() -> pd.DataFrame:
    """Return how a fit's time grows with features, rows and crew on simulated tables (log-log slope)."""
    plans = {
        "features": ("C1", [{"n_features": n} for n in (1000, 4000, 16000)]),
        "genes": ("I3", [{"n_features": n} for n in (4000, 16000, 64000)]),
        "crew": ("F4", [{"n_crew": n} for n in (4, 8, 16)]),
    }
    rows = []
    for grows, (task, settings) in plans.items():
        sizes = [next(iter(setting.values())) for setting in settings]
        loaded = [load_task(task, source=SimulatedSource(**setting)) for setting in settings]
        for model in ("logreg", "rf", "lightgbm"):
            seconds = [timed(lambda d=d, m=model: fit_fold(prepare(d, 0), Model(m, m)))[0] for d in loaded]
            slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
            times = ", ".join(f"{s:.2f}" for s in seconds)
            rows.append((grows, task, model, ", ".join(map(str, sizes)), times, f"{slope:.2f}"))
    return pd.DataFrame(rows, columns=["grows", "task", "model", "sizes", "seconds a fold", "slope"])


def main() -> None:
    """Measure, print and write the page."""
    from importlib.metadata import version

    from somb_utils.cli.console import markdown

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", help="ids or wildcards; all that have tables: omit")
    parser.add_argument("--data", default="auto", help="as for somb run")
    parser.add_argument("--out", type=Path, default=ROOT / "book" / "benchmarks.md")
    options = parser.parse_args()
    source = resolve_source(options.data)
    tasks = [data.task.id for data in load_tasks(options.tasks, "published", source)]
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    page = f"""# Benchmarks

Written by `python benchmarks/speed.py` on {platform.platform()} with {os.cpu_count()} cores,
Python {platform.python_version()}, {libraries}. Data: {source.describe().split(" in ")[0]}; tasks {", ".join(tasks)};
seven baselines, protocol `published`.

## A whole run

The reference is a plain serial loop that reads the tables anew for each model. The run loads each table once,
prepares each fold once, and starts the longest fits first, one thread a fit, one process a core.

{markdown(speed(tasks, source))}

## How a fit grows

Simulated tables; the slope of log time over log size is 1 where time grows in proportion.

{markdown(scaling())}
"""
    with replacing(options.out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
