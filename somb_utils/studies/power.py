"""Power on simulated missions: how often a model's score passes the permutation test, and how wide its interval is."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.errors import SombError
from somb_utils.paths import DATA
from somb_utils.runs.runner import run
from somb_utils.stats import bootstrap_interval, permutation_p
from somb_utils.stats.design import GROUPED
from somb_utils.stats.reliability import wilson_interval
from somb_utils.studies import grid
from somb_utils.tables.simulate import simulate_table
from somb_utils.tables.sources import FrameSource
from somb_utils.tasks.definitions import get_task
from somb_utils.tasks.splits import REPETITIONS
from somb_utils.tasks.task_data import load_task

FILE = DATA / "reference" / "power.csv"
COMMAND = "somb power"
ALPHA = 0.05
N_PERMUTATIONS = 199
# Tasks of the stored table: rows are days of crew members, and metabolites.
CREW_TASK, ROW_TASK = "A1", "D1"
N_BOOTSTRAP = 500


@dataclass(frozen=True)
class Setting:
    """A kind of mission, and how many of it are simulated.

    `crew` members each gave samples on `timepoints` days (a task of metabolites has neither); `features` counts the
    columns of each sample table, or the rows of a table of metabolites. The planted `effect` is 1 in the simulated
    tables and 0 without signal. Missions of one number share their noise in all settings, so that curves are smooth.
    """

    task: str = CREW_TASK
    crew: int = 4
    timepoints: int = 7
    features: int = 20
    effect: float = 1.0
    model: str = "logreg"
    missions: int = 100
    seed: int = 42

    @property
    def cost(self) -> float:
        """Expected time, in arbitrary units."""
        folds = self.crew if get_task(self.task).split in GROUPED else REPETITIONS
        return self.missions * (3 + folds) * (8 if self.model == "rf" else 1)


def plan() -> list[Setting]:
    """Return the settings of the stored table."""
    return list(_plan())


def _plan() -> Iterator[Setting]:
    for crew, missions in {4: 120, 6: 60, 8: 60, 16: 40, 32: 20, 64: 8}.items():
        yield from (Setting(crew=crew, effect=effect, missions=missions) for effect in (0.0, 0.25, 0.5, 1.0))
    usual = Setting(effect=0.5, missions=120)
    yield from (replace(usual, timepoints=n, missions=60) for n in (4, 14, 28))
    yield from (replace(usual, features=n, missions=60) for n in (5, 40, 80))
    yield from (replace(usual, model="rf", crew=crew, missions=15) for crew in (4, 8))
    for rows in (216, 433, 1732):
        yield from (Setting(ROW_TASK, features=rows, effect=effect, missions=40) for effect in (0.0, 0.5, 1.0))


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
    result = run([data], [setting.model], seed=seed, n_jobs=1)
    failures = result.failures()
    if len(failures):
        raise SombError(f"{setting.model} failed on a simulated mission ({setting}): {failures['reason'].iloc[0]}")
    low, high = bootstrap_interval(result.predictions, setting.task, N_BOOTSTRAP, seed)
    return {
        "score": result.summary(0)["mean"].item(),
        "p": permutation_p(result.predictions, setting.task, N_PERMUTATIONS, seed),
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


def varied(table: pd.DataFrame, *columns: str, **base: Any) -> pd.DataFrame:
    """Return the settings that differ from a setting's defaults, or from `base`, in effect and these columns alone."""
    usual = {**asdict(Setting()), **base}
    fixed = {key: usual[key] for key in ("task", "crew", "timepoints", "features", "model") if key not in columns}
    return table[(table[list(fixed)] == pd.Series(fixed)).all(axis=1)]


def type_i_errors(table: pd.DataFrame) -> str:
    """Return, in words, how many missions without signal were significant."""
    null = table[table["effect"] == 0]
    errors, tests = int(null["significant"].sum()), int(null["missions"].sum())
    low, high = wilson_interval(errors, tests)
    return f"{errors} of {tests:,} ({100 * errors / tests:.1f} %; 95 % interval {100 * low:.1f} to {100 * high:.1f} %)"


def needed(table: pd.DataFrame, effect: float, power: float = 0.8) -> str:
    """Return, in words, the smallest crew that reaches this power."""
    crew = varied(table, "crew").query("effect == @effect and power >= @power")["crew"]
    return f"{crew.min()} crew" if len(crew) else "more crew than were simulated"


def share(row: pd.Series) -> str:
    """Return a setting's power in words, with its interval."""
    return f"{100 * row['power']:.0f} % [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"
