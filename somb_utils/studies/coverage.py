"""How often the 95 % interval covers the expected score, on predictions simulated from a known population.

No model is fitted. Crew members (or time points) differ in how hard they are, days of a crew member too, and rows
within them; genes differ in a part that all repetitions share and a part that each has for itself. Labels are fixed,
as in a study. The expected score is the mean over all missions of a setting: what the same fitted models score on
average on new crew or rows.
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
from somb_utils.stats.bootstrap import interval, replicates, student_factor
from somb_utils.stats.design import GROUPED, design
from somb_utils.stats.permutation import null_scores
from somb_utils.stats.reliability import wilson_interval
from somb_utils.studies import grid
from somb_utils.tasks.definitions import Task, get_task
from somb_utils.tasks.splits import repeated_first_fold

PLAN = DATA / "studies" / "coverage.csv"
FILE = DATA / "reference" / "coverage.csv"
COMMAND = "somb coverage"
N_BOOTSTRAP = 500
DAYS = ("pre_flight", "pre_flight", "pre_flight", "post_flight", "recovery", "recovery", "recovery")
SWABBED = ("pre_flight", "pre_flight", "in_flight", "in_flight", "post_flight", "recovery", "recovery")
DAY_SD = 0.7
ROW_SD = 1.0
REPETITION_SD = 0.5


@dataclass(frozen=True)
class Setting:
    """A design and a population, of which missions are simulated.

    A grouped task has `groups` (crew members or time points), a feature task `rows` and `positives`. `level` is how
    good the model is: the share of right predictions for an average crew member (F1), or the distance of positives
    from negatives in standard deviations of a row (rankings). `group_sd` is the standard deviation between groups of
    the log odds, or of that distance.
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


def plan() -> list[Setting]:
    """Return the settings of the stored table: each metric and design, from few crew or positives to many."""
    return grid.settings(PLAN, Setting)


Mission = Callable[[np.random.Generator], pd.DataFrame]


def missions_of(setting: Setting) -> Mission:
    """Return the function that draws one mission's predictions, in the shape that a run stores them."""
    task = get_task(setting.task)
    if task.type == "multilabel":
        return _labelled(setting, task)
    if task.split not in GROUPED:
        return _ranked(setting, task)
    return _time_points(setting, task) if task.split == "loto" else _crew(setting, task)


def _has_swabs(task: Task) -> bool:
    """Return whether rows of a day, which end in `_S` and a number here, are sampled as one."""
    return task.features.sampling_unit("C000_D0_S0") != "C000_D0_S0"


def _crew(setting: Setting, task: Task) -> Mission:
    swabs = _has_swabs(task)
    days = SWABBED if swabs else DAYS
    by_site = not set(days) <= set(task.classes)
    of_day = [list(task.classes) if by_site else [phase] * (10 if swabs else 1) for phase in days]
    frame = pd.DataFrame(
        [
            {"fold": f"C{c:03d}", "id": f"C{c:03d}_D{d}" + (f"_S{s}" if swabs else ""), "y_true": label}
            for c in range(setting.groups)
            for d, labels in enumerate(of_day)
            for s, label in enumerate(labels)
        ]
    ).assign(task=task.id, model="simulated", y_score=np.nan)
    names, k = np.array(task.classes, dtype=object), len(task.classes)
    truth = frame["y_true"].map(task.classes.index).to_numpy()
    of_crew = frame["fold"].factorize()[0]
    day = frame["id"].str[:7].factorize()[0]

    def draw(rng: np.random.Generator) -> pd.DataFrame:
        odds = logit(setting.level) + setting.group_sd * rng.standard_normal(setting.groups)[of_crew]
        if swabs:
            odds = odds + DAY_SD * rng.standard_normal(day.max() + 1)[day]
        wrong = rng.random(len(frame)) >= expit(odds)
        called = np.where(wrong, (truth + rng.integers(1, k, len(frame))) % k, truth)
        return frame.assign(y_pred=names[called])

    return draw


def _time_points(setting: Setting, task: Task) -> Mission:
    labels = [task.classes[0]] * 10 + [task.classes[1]] * 39
    frame = pd.DataFrame(
        [
            {"fold": f"T{t:02d}", "id": f"T{t:02d}:{s:02d}", "y_true": label, "y_pred": label}
            for t in range(setting.groups)
            for s, label in enumerate(labels)
        ]
    ).assign(task=task.id, model="simulated")
    positive = (frame["y_true"] == task.classes[1]).to_numpy()
    point = frame["fold"].factorize()[0]

    def draw(rng: np.random.Generator) -> pd.DataFrame:
        distance = setting.level + setting.group_sd * rng.standard_normal(setting.groups)[point]
        return frame.assign(y_score=positive * distance + rng.standard_normal(len(frame)))

    return draw


def _tested(stratify: np.ndarray) -> list[np.ndarray]:
    """Return the positions of the tested rows of each repetition."""
    return [fold.test for fold in repeated_first_fold(stratify)]


def _ranked(setting: Setting, task: Task) -> Mission:
    truth = np.arange(setting.rows) < setting.positives
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
        shared = setting.level * truth + ROW_SD * rng.standard_normal(setting.rows)
        return frame.assign(y_score=shared[row] + REPETITION_SD * rng.standard_normal(len(row)))

    return draw


def _labelled(setting: Setting, task: Task) -> Mission:
    share = np.array([task.class_counts[name] for name in task.classes]) / task.n_rows
    truth = np.random.default_rng(setting.seed).random((setting.rows, len(share))) < share
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
    false_positives = 0.05

    def draw(rng: np.random.Generator) -> pd.DataFrame:
        odds = np.where(truth, logit(setting.level), logit(false_positives)) + rng.standard_normal((setting.rows, 1))
        called = rng.random((len(row), len(share))) < expit(odds[row])
        return frame.assign(y_pred=called.ravel().astype(int).astype(str))

    return draw


def coverage_of(setting: Setting) -> dict[str, Any]:
    """Return how often the interval of a setting's missions covers their mean score.

    These are the metric; the mean score over missions (truth) and its SD; the number of missions whose interval
    covers it, their share (coverage) with its 95 % Wilson interval; the interval's mean width; and the coverage that
    plain percentiles would have, without Student's t.
    """
    task, draw = get_task(setting.task), missions_of(setting)
    scores, ends = [], []
    for rng in np.random.default_rng([setting.seed, setting.groups, setting.rows]).spawn(setting.missions):
        predictions, seed = draw(rng), int(rng.integers(2**32))
        scores.append(null_scores(design(predictions, task), predictions, 1)[0])
        ends.append(interval(replicates(predictions, task, N_BOOTSTRAP, seed)))
    truth, low, high = float(np.mean(scores)), *np.array(ends).T
    centre, factor = (low + high) / 2, student_factor(setting.groups) if setting.groups else 1.0
    covered = int(((low <= truth) & (truth <= high)).sum())
    least, most = wilson_interval(covered, setting.missions)
    return {
        "metric": task.metrics.primary,
        "truth": truth,
        "sd": float(np.std(scores)),
        "covered": covered,
        "coverage": covered / setting.missions,
        "low": least,
        "high": most,
        "width": float((np.clip(high, 0, 1) - np.clip(low, 0, 1)).mean()),
        "percentile": float((np.abs(truth - centre) <= (high - low) / 2 / factor).mean()),
    }


def coverage(
    settings: list[Setting] | None = None, file: Path = FILE, n_jobs: int = 1, **progress: Any
) -> pd.DataFrame:
    """Measure the coverage of each setting that `file` lacks; see :func:`somb_utils.studies.grid.measure`."""
    return grid.measure(plan() if settings is None else settings, coverage_of, file, n_jobs, **progress)


def stored() -> pd.DataFrame:
    """Return the stored table by metric and size: fields of :class:`Setting` and what :func:`coverage_of` returns."""
    table = grid.read(FILE, COMMAND)
    return table.sort_values(["metric", "groups", "positives", "rows", "truth"], ignore_index=True)


def design_of(row: Mapping[Any, Any]) -> str:
    """Return what a setting samples, in words."""
    task = get_task(row["task"])
    if not row["groups"]:
        what = "labelled genes" if task.type == "multilabel" else f"rows, {row['positives']} positive"
        return f"{row['rows']:,} {what}"
    rows = "swabs" if _has_swabs(task) else "one row per day"
    return f"{row['groups']} " + ("time points" if task.split == "loto" else f"crew, {rows}")


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return the stored table as text, one row per metric and design, with ranges over populations."""
    sampled = [design_of(row) for row in table.to_dict("records")]
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
