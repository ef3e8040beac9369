"""Power on simulated missions: how often a model's score passes its test, and how wide its interval is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.errors import SombError
from somb_utils.paths import DATA
from somb_utils.runs.baselines import BASELINES
from somb_utils.runs.day import day_test
from somb_utils.runs.runner import run
from somb_utils.stats import bootstrap_interval, permutation_p
from somb_utils.stats.reliability import wilson_interval
from somb_utils.studies import grid
from somb_utils.tables.simulate import simulate_table
from somb_utils.tables.sources import FrameSource
from somb_utils.tasks.definitions import get_task
from somb_utils.tasks.splits import REPETITIONS
from somb_utils.tasks.task_data import load_task

PLAN = DATA / "studies" / "power.csv"
FILE = DATA / "reference" / "power.csv"
COMMAND = "somb power"
ALPHA = 0.05
N_PERMUTATIONS = 199
N_RELABELLINGS = 19  # of the day test, which fits the model again for each
N_BOOTSTRAP = 500


@dataclass(frozen=True)
class Setting:
    """A kind of mission, and how many of it are simulated.

    `crew` members each gave samples on `timepoints` days (a task of metabolites has neither); `features` counts the
    columns of each sample table, or the rows of a table of metabolites. The planted `effect` is 1 in the simulated
    tables and 0 without signal. The `test` permutes ``labels`` within crew members, or ``days``. Missions of one number
    share their noise in all settings, so that curves are smooth.
    """

    task: str
    model: str
    crew: int = 4
    timepoints: int = 7
    features: int = 20
    effect: float = 1.0
    missions: int = 100
    seed: int = 42
    test: str = "labels"

    @property
    def cost(self) -> float:
        """Expected time, in arbitrary units."""
        folds = self.crew if get_task(self.task).leaves_groups_out else REPETITIONS
        fits = 1 + N_RELABELLINGS if self.test == "days" else 1
        return self.missions * (3 + folds * fits) * BASELINES[self.model].cost


def plan() -> list[Setting]:
    """Return the settings of the stored table."""
    return grid.settings(PLAN, Setting)


def mission(setting: Setting, number: int) -> dict[str, Any]:
    """Simulate one mission, fit the model on its folds, and return score, p, width, chance, rows and columns."""
    seed = int(np.random.SeedSequence([setting.seed, number]).generate_state(1)[0])
    tables = {
        name: simulate_table(
            name,
            seed=seed,
            n_crew=setting.crew,
            n_features=setting.features,
            effect=setting.effect,
            n_timepoints=setting.timepoints,
        )
        for name in get_task(setting.task).tables
    }
    data = load_task(setting.task, source=FrameSource(tables))
    result = run([data], [setting.model], seed=seed, n_seeds=1, n_jobs=1)
    failures = result.failures()
    if len(failures):
        raise SombError(f"{setting.model} failed on a simulated mission ({setting}): {failures['reason'].iloc[0]}")
    low, high = bootstrap_interval(result.predictions, setting.task, N_BOOTSTRAP, seed)
    if setting.test == "days":
        p = day_test(data, setting.model, seed=seed, n=N_RELABELLINGS, n_jobs=1).p_day
    else:
        p = permutation_p(result.predictions, setting.task, N_PERMUTATIONS, seed)
    return {
        "score": result.summary(0)["mean"].item(),
        "p": p,
        "width": high - low,
        "chance": data.chance,
        "rows": len(data.X),
        "columns": data.X.shape[1],
    }


def power_of(setting: Setting) -> dict[str, Any]:
    """Return the results of a setting's missions.

    These are rows and columns of the first mission's data; mean score, its SD over missions, and chance; the number
    of significant missions (p ≤ 0.05), their share (power) with its 95 % Wilson interval; and the mean width of the
    score's interval.
    """
    missions = pd.DataFrame([mission(setting, number) for number in range(setting.missions)])
    significant = int((missions["p"] <= ALPHA).sum())
    low, high = wilson_interval(significant, setting.missions)
    return {
        "rows": int(missions["rows"].iloc[0]),
        "columns": int(missions["columns"].iloc[0]),
        "score": float(missions["score"].mean()),
        "sd": float(missions["score"].std()),
        "chance": float(missions["chance"].mean()),
        "significant": significant,
        "power": significant / setting.missions,
        "low": low,
        "high": high,
        "width": float(missions["width"].mean()),
    }


def power(settings: list[Setting] | None = None, file: Path = FILE, n_jobs: int = 1, **progress: Any) -> pd.DataFrame:
    """Measure the power of each setting that `file` lacks; see :func:`somb_utils.studies.grid.measure`."""
    return grid.measure(plan() if settings is None else settings, power_of, file, n_jobs, **progress)


def stored() -> pd.DataFrame:
    """Return the stored table: the fields of :class:`Setting` and what :func:`power_of` returns."""
    return grid.read(FILE, COMMAND)
