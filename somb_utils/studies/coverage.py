"""How often the 95 % interval holds the truth: predictions simulated from a population whose expected score is known.

No model is fitted. Crew members (or time points) differ in how hard they are, days of a crew member too, and rows
within them; genes differ in a part that all repetitions share and a part that each has for itself. Labels are fixed,
as in a study. The truth is the mean score over all missions of a cell, which is the score that the same fitted models
have on average on new crew or rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from somb_utils.labels import metric_name
from somb_utils.paths import DATA
from somb_utils.stats import interval, replicates, wilson_interval
from somb_utils.stats.bootstrap import student_factor
from somb_utils.stats.design import GROUPED, design
from somb_utils.stats.permutation import null_scores
from somb_utils.studies import grid as measured
from somb_utils.tasks.definitions import Task, get_task
from somb_utils.tasks.splits import repeated_first_fold

FILE = DATA / "reference" / "coverage.csv"
COMMAND = "somb coverage"
N_BOOTSTRAP = 500
DAYS = ("pre_flight", "pre_flight", "pre_flight", "post_flight", "recovery", "recovery", "recovery")
SWABBED = ("pre_flight", "pre_flight", "in_flight", "in_flight", "post_flight", "recovery", "recovery")
DAY_SD = 0.7
ROW_SD = 1.0
REPETITION_SD = 0.5


@dataclass(frozen=True)
class Cell:
    """A design and a population.

    Attributes
    ----------
    task : id; its metric, split and classes
    groups : crew members or time points; 0 in a feature task
    rows, positives : of a feature task; 0 in a grouped one
    level : how good the model is: share of right calls where crew are average (F1), distance of positives from
        negatives in standard deviations of a row (rankings)
    group_sd : deviation between groups, of the log odds or of that distance
    missions : simulated missions
    seed : of the missions
    """

    task: str
    groups: int = 0
    rows: int = 0
    positives: int = 0
    level: float = 0.6
    group_sd: float = 0.0
    missions: int = 500
    seed: int = 42

    @property
    def cost(self) -> float:
        """Expected time, in arbitrary units."""
        return self.missions * (10 + 0.01 * self.rows + 0.2 * self.groups)


def grid() -> list[Cell]:
    """Return the cells of the stored table: each metric and design, from few crew or positives to many."""
    crew = [
        Cell(task, groups=n, level=level, group_sd=sd)
        for task, level in (("A1", 0.55), ("A1", 0.8), ("F5", 0.55), ("F4", 0.6))
        for sd in (0.0, 1.0)
        for n in (4, 8, 16, 32)
        if n <= 16 or task == "A1"
    ]
    days = [Cell("F3", groups=n, level=1.5, group_sd=0.5) for n in (4, 8, 16)]
    ranked = [
        Cell("C2", rows=380, positives=131, level=0.3),
        Cell("C2", rows=380, positives=131, level=1.0),
        Cell("C2", rows=1600, positives=400, level=1.0),
        Cell("H1", rows=731, positives=32, level=1.0),
        Cell("E2", rows=3000, positives=11, level=1.5),
        Cell("E1", rows=3000, positives=35, level=1.5),
        Cell("I3", rows=3000, positives=300, level=1.0),
        Cell("B2", rows=466, level=0.6),
    ]
    return crew + days + ranked


Mission = Callable[[np.random.Generator], pd.DataFrame]


def missions_of(cell: Cell) -> Mission:
    """Return the function that draws one mission's predictions, in the shape that a run stores them."""
    task = get_task(cell.task)
    if task.type == "multilabel":
        return _labelled(cell, task)
    if task.split not in GROUPED:
        return _ranked(cell, task)
    return _time_points(cell, task) if task.split == "loto" else _crew(cell, task)


def _crew(cell: Cell, task: Task) -> Mission:
    swabs = task.features.recipe == "sample_columns"
    days = SWABBED if swabs else DAYS
    by_site = "ARM" in task.classes
    of_day = [list(task.classes) if by_site else [phase] * (10 if swabs else 1) for phase in days]
    frame = pd.DataFrame(
        [
            {"fold": f"C{c:03d}", "id": f"C{c:03d}_D{d}" + (f"_S{s}" if swabs else ""), "y_true": label}
            for c in range(cell.groups)
            for d, labels in enumerate(of_day)
            for s, label in enumerate(labels)
        ]
    ).assign(task=task.id, model="simulated", y_score=np.nan)
    names, k = np.array(task.classes, dtype=object), len(task.classes)
    truth = frame["y_true"].map(task.classes.index).to_numpy()
    of_crew = frame["fold"].factorize()[0]
    day = frame["id"].str[:7].factorize()[0]

    def draw(rng: np.random.Generator) -> pd.DataFrame:
        odds = logit(cell.level) + cell.group_sd * rng.standard_normal(cell.groups)[of_crew]
        if swabs:
            odds = odds + DAY_SD * rng.standard_normal(day.max() + 1)[day]
        wrong = rng.random(len(frame)) >= expit(odds)
        called = np.where(wrong, (truth + rng.integers(1, k, len(frame))) % k, truth)
        return frame.assign(y_pred=names[called])

    return draw


def _time_points(cell: Cell, task: Task) -> Mission:
    labels = [task.classes[0]] * 10 + [task.classes[1]] * 39
    frame = pd.DataFrame(
        [
            {"fold": f"T{t:02d}", "id": f"T{t:02d}:{s:02d}", "y_true": label, "y_pred": label}
            for t in range(cell.groups)
            for s, label in enumerate(labels)
        ]
    ).assign(task=task.id, model="simulated")
    positive = (frame["y_true"] == task.classes[1]).to_numpy()
    point = frame["fold"].factorize()[0]

    def draw(rng: np.random.Generator) -> pd.DataFrame:
        distance = cell.level + cell.group_sd * rng.standard_normal(cell.groups)[point]
        return frame.assign(y_score=positive * distance + rng.standard_normal(len(frame)))

    return draw


def _tested(stratify: np.ndarray) -> list[np.ndarray]:
    """Return the positions of the tested rows of each repetition."""
    return [fold.test for fold in repeated_first_fold(stratify)]


def _ranked(cell: Cell, task: Task) -> Mission:
    truth = np.arange(cell.rows) < cell.positives
    tests = _tested(truth)
    row = np.concatenate(tests)
    frame = pd.DataFrame(
        {
            "fold": np.repeat([str(r) for r in range(5)], [len(test) for test in tests]),
            "id": [f"R{i:05d}" for i in row],
            "y_true": np.array(task.classes, dtype=object)[truth[row].astype(int)],
        }
    ).assign(task=task.id, model="simulated", y_pred=task.classes[0])

    def draw(rng: np.random.Generator) -> pd.DataFrame:
        shared = cell.level * truth + ROW_SD * rng.standard_normal(cell.rows)
        return frame.assign(y_score=shared[row] + REPETITION_SD * rng.standard_normal(len(row)))

    return draw


def _labelled(cell: Cell, task: Task) -> Mission:
    share = np.array([task.class_counts[name] for name in task.classes]) / task.n_rows
    truth = np.random.default_rng(cell.seed).random((cell.rows, len(share))) < share
    tests = _tested(np.asarray(truth.any(axis=1)))
    row = np.concatenate(tests)
    frame = pd.DataFrame(
        {
            "fold": np.repeat([str(r) for r in range(5)], [len(test) * len(share) for test in tests]),
            "id": np.repeat([f"R{i:05d}" for i in row], len(share)),
            "label": np.tile(np.array(task.classes, dtype=object), len(row)),
            "y_true": truth[row].ravel().astype(int).astype(str),
        }
    ).assign(task=task.id, model="simulated", y_score=np.nan)
    false_alarm = 0.05

    def draw(rng: np.random.Generator) -> pd.DataFrame:
        odds = np.where(truth, logit(cell.level), logit(false_alarm)) + rng.standard_normal((cell.rows, 1))
        called = rng.random((len(row), len(share))) < expit(odds[row])
        return frame.assign(y_pred=called.ravel().astype(int).astype(str))

    return draw


def cell_coverage(cell: Cell) -> dict[str, Any]:
    """Return how often the interval of a cell's missions holds their mean score.

    Returns
    -------
    dict
        metric; truth (mean score over missions) and sd; held (missions whose interval holds it), coverage (their
        share) and its 95 % interval low, high (Wilson); width (mean) of the interval; percentile, the coverage had
        the replicates of groups not been spread by Student's t.
    """
    task, draw = get_task(cell.task), missions_of(cell)
    scores, ends = [], []
    for rng in np.random.default_rng([cell.seed, cell.groups, cell.rows]).spawn(cell.missions):
        predictions, seed = draw(rng), int(rng.integers(2**32))
        scores.append(null_scores(design(predictions, task), predictions, 1)[0])
        ends.append(interval(replicates(predictions, task, N_BOOTSTRAP, seed)))
    truth, low, high = float(np.mean(scores)), *np.array(ends).T
    centre, factor = (low + high) / 2, student_factor(cell.groups) if cell.groups else 1.0
    held = int(((low <= truth) & (truth <= high)).sum())
    least, most = wilson_interval(held, cell.missions)
    return {
        "metric": task.metrics.primary,
        "truth": truth,
        "sd": float(np.std(scores)),
        "held": held,
        "coverage": held / cell.missions,
        "low": least,
        "high": most,
        "width": float((np.clip(high, 0, 1) - np.clip(low, 0, 1)).mean()),
        "percentile": float((np.abs(truth - centre) <= (high - low) / 2 / factor).mean()),
    }


def coverage(cells: list[Cell] | None = None, file: Path = FILE, n_jobs: int = 1, **progress: Any) -> pd.DataFrame:
    """Measure the coverage of each cell that `file` lacks; see :func:`somb_utils.studies.grid.measure`."""
    return measured.measure(grid() if cells is None else cells, cell_coverage, file, n_jobs, **progress)


def stored() -> pd.DataFrame:
    """Return the stored table by metric and size: fields of :class:`Cell` and what :func:`cell_coverage` returns."""
    table = measured.read(FILE, COMMAND)
    return table.sort_values(["metric", "groups", "positives", "rows", "truth"], ignore_index=True)


def _design(row: Mapping[Any, Any]) -> str:
    task = get_task(row["task"])
    if not row["groups"]:
        what = "labelled genes" if task.type == "multilabel" else f"rows, {row['positives']} positive"
        return f"{row['rows']:,} {what}"
    rows = "swabs" if task.features.recipe == "sample_columns" else "a row a day"
    return f"{row['groups']} " + ("time points" if task.split == "loto" else f"crew, {rows}")


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return the stored table as text, a row a metric and what was sampled, with ranges over populations.

    Returns
    -------
    DataFrame
        metric, sampled, coverage (%), plain percentiles (%), mean width.
    """
    sampled = [_design(row) for row in table.to_dict("records")]
    named = table.assign(metric=table["metric"].map(metric_name), sampled=sampled)
    parts = named.groupby(["metric", "sampled"], sort=False)
    return pd.DataFrame(
        [
            {
                "metric": metric,
                "sampled": what,
                "coverage (%)": _range(100 * part["coverage"], 1),
                "plain percentiles (%)": _range(100 * part["percentile"], 1),
                "mean width": _range(part["width"], 2),
            }
            for (metric, what), part in parts
        ]
    )


def _range(values: pd.Series, digits: int) -> str:
    least, most = f"{values.min():.{digits}f}", f"{values.max():.{digits}f}"
    return least if least == most else f"{least} to {most}"


def lines(table: pd.DataFrame) -> list[str]:
    """Return each cell of the stored table in words: metric and truth, what is sampled, whether groups are alike."""
    made = []
    for row in table.to_dict("records"):
        groups = (", unlike" if row["group_sd"] else ", alike") if row["groups"] else ""
        made.append(f"{metric_name(row['metric'])} {row['truth']:.2f}: {_design(row)}{groups}")
    return made
