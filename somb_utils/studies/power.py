"""Power on simulated missions: how often a model's score passes the permutation test, and how wide its interval is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.errors import SombError
from somb_utils.paths import DATA
from somb_utils.runs.runner import run
from somb_utils.stats import bootstrap_interval, permutation_p, wilson_interval
from somb_utils.studies import grid as measured
from somb_utils.tables.simulate import simulate_table
from somb_utils.tables.sources import FrameSource
from somb_utils.tasks.definitions import get_task
from somb_utils.tasks.task_data import load_task

FILE = DATA / "reference" / "power.csv"
COMMAND = "somb power"
ALPHA = 0.05
N_PERMUTATIONS = 199
N_BOOTSTRAP = 500


@dataclass(frozen=True)
class Cell:
    """A kind of mission, and how many of it are simulated.

    Attributes
    ----------
    task : id
    crew, timepoints : crew members, and days each gave samples (a task of metabolites has neither)
    features : columns of each sample table (A1 reads two), or rows of a table of metabolites
    effect : planted effect; 1 is that of the simulated tables, 0 is none
    model : a baseline's name
    missions : simulated missions
    seed : of the first mission; missions of one number share noise in all cells, so that curves are smooth
    """

    task: str = "A1"
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
        folds = self.crew if self.task == "A1" else 5
        return self.missions * (3 + folds) * (8 if self.model == "rf" else 1)


def grid() -> list[Cell]:
    """Return the cells of the stored table."""
    return list(_grid())


def _grid() -> Iterator[Cell]:
    for crew, missions in {4: 120, 6: 60, 8: 60, 16: 40, 32: 20, 64: 8}.items():
        yield from (Cell(crew=crew, effect=effect, missions=missions) for effect in (0.0, 0.25, 0.5, 1.0))
    usual = Cell(effect=0.5, missions=120)
    yield from (replace(usual, timepoints=n, missions=60) for n in (4, 14, 28))
    yield from (replace(usual, features=n, missions=60) for n in (5, 40, 80))
    yield from (replace(usual, model="rf", crew=crew, missions=15) for crew in (4, 8))
    for rows in (216, 433, 1732):
        yield from (Cell("D1", features=rows, effect=effect, missions=40) for effect in (0.0, 0.5, 1.0))


def mission(cell: Cell, number: int) -> dict[str, Any]:
    """Simulate one mission, fit the model on its folds, and return score, p, width, chance, rows and columns.

    Raises
    ------
    SombError
        If a fit fails.
    """
    seed = int(np.random.SeedSequence([cell.seed, number]).generate_state(1)[0])
    tables = {
        name: simulate_table(
            name,
            seed=seed,
            n_crew=cell.crew,
            n_features=cell.features,
            effect=cell.effect,
            n_timepoints=cell.timepoints,
        )
        for name in get_task(cell.task).tables
    }
    data = load_task(cell.task, source=FrameSource(tables))
    made = run([data], [cell.model], seed=seed, n_jobs=1)
    if len(made.failures()):
        raise SombError(f"{cell.model} failed on a simulated mission ({cell}): {made.failures()['reason'].iloc[0]}")
    low, high = bootstrap_interval(made.predictions, cell.task, N_BOOTSTRAP, seed)
    return {
        "score": made.summary(0)["mean"].item(),
        "p": permutation_p(made.predictions, cell.task, N_PERMUTATIONS, seed),
        "width": high - low,
        "chance": data.chance,
        "rows": len(data.X),
        "columns": data.X.shape[1],
    }


def cell_power(cell: Cell) -> dict[str, Any]:
    """Return what the missions of a cell gave.

    Returns
    -------
    dict
        rows and columns of the first mission's data; score (mean) and sd over missions, chance; found (missions with
        p ≤ 0.05), power (their share) and its 95 % interval low, high (Wilson); width (mean) of the score's interval.
    """
    made = pd.DataFrame([mission(cell, number) for number in range(cell.missions)])
    found = int((made["p"] <= ALPHA).sum())
    low, high = wilson_interval(found, cell.missions)
    return {
        "rows": int(made["rows"].iloc[0]),
        "columns": int(made["columns"].iloc[0]),
        "score": float(made["score"].mean()),
        "sd": float(made["score"].std()),
        "chance": float(made["chance"].mean()),
        "found": found,
        "power": found / cell.missions,
        "low": low,
        "high": high,
        "width": float(made["width"].mean()),
    }


def power(cells: list[Cell] | None = None, file: Path = FILE, n_jobs: int = 1, **progress: Any) -> pd.DataFrame:
    """Measure the power of each cell that `file` lacks; see :func:`somb_utils.studies.grid.measure`."""
    return measured.measure(grid() if cells is None else cells, cell_power, file, n_jobs, **progress)


def stored() -> pd.DataFrame:
    """Return the stored table: the fields of :class:`Cell` and what :func:`cell_power` returns."""
    return measured.read(FILE, COMMAND)


def varied(table: pd.DataFrame, *columns: str, **base: Any) -> pd.DataFrame:
    """Return the cells that differ from a cell's defaults, or from `base`, in effect and these columns alone."""
    usual = {"task": "A1", "crew": 4, "timepoints": 7, "features": 20, "model": "logreg", **base}
    fixed = {key: value for key, value in usual.items() if key not in columns}
    return table[(table[list(fixed)] == pd.Series(fixed)).all(axis=1)]


def false_alarms(table: pd.DataFrame) -> str:
    """Return, in words, how often missions without signal passed the test."""
    none = table[table["effect"] == 0]
    found, of = int(none["found"].sum()), int(none["missions"].sum())
    low, high = wilson_interval(found, of)
    return f"{found} of {of:,} ({100 * found / of:.1f} %; 95 % interval {100 * low:.1f} to {100 * high:.1f} %)"


def needed(table: pd.DataFrame, effect: float, power: float = 0.8) -> str:
    """Return, in words, the fewest crew whose missions pass the test often enough."""
    crew = varied(table, "crew").query("effect == @effect and power >= @power")["crew"]
    return f"{crew.min()} crew" if len(crew) else "more crew than were simulated"


def share(row: pd.Series) -> str:
    """Return a cell's power in words, with its interval."""
    return f"{100 * row['power']:.0f} % [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"
