"""Blood counts, metabolic panel and cytokines: one row per crew member and timepoint.

``data/simulate/analytes.csv`` holds the summary figures of each column of the real tables: median, deviation between
crew and within crew (both of the natural logarithm), decimals, missing values among the 28 rows, and whether values are
written as whole numbers.
"""

from functools import cache
from itertools import cycle, islice
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.paths import DATA
from somb_utils.tables.simulate import core

DAYS = (-3, 1, 45, -44, 82, -92, 194)  # of the real samples; the first three hold every phase
MOST_TIMEPOINTS = 7 * 37  # with more, the days after R+45 would meet R+82
PANELS = {
    "clinical_cbc": ("cbc", "whole-blood"),
    "clinical_cmp": ("cmp", "serum"),
    "clinical_cytokines_eve": ("eve_immune", "serum"),
}
PUBLISHED_ROWS = 28
STRENGTH = {"clinical_cbc": 0.6, "clinical_cmp": 0.6, "clinical_cytokines_eve": 0.55}


@cache
def _analytes() -> pd.DataFrame:
    return pd.read_csv(DATA / "simulate" / "analytes.csv")


def phase_of(days: int) -> str:
    """Return the phase of a ground timepoint: before flight, the day after it, or recovery."""
    if days < 0:
        return "pre_flight"
    return "post_flight" if days == 1 else "recovery"


def schedule(n_timepoints: int) -> list[tuple[str, int, str]]:
    """Return name, day and phase of each timepoint, by name: the real ones, then the days that follow each of them."""
    timepoints = []
    for i in range(n_timepoints):
        later, first = divmod(i, len(DAYS))
        day = abs(DAYS[first]) + later
        before = DAYS[first] < 0
        timepoints.append((f"L-{day}" if before else f"R+{day}", -day if before else day, phase_of(DAYS[first])))
    return sorted(timepoints)


def clinical_panel(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate one clinical panel: log-normal analytes with crew offsets and phase shifts."""
    prefix, tissue = PANELS[name]
    rows = [
        (f"{crew}_{timepoint}", crew, tissue, timepoint, day, phase, core.MISSION)
        for crew in core.crew_names(spec.n_crew)
        for timepoint, day, phase in schedule(spec.n_timepoints)
    ]
    columns = ["sample_id", "crew", "tissue", "timepoint", "timepoint_days", "phase", "mission"]
    meta = pd.DataFrame(rows, columns=columns)
    analytes: list[Any] = list(_analytes().query("panel == @name").itertuples())
    n = spec.size(len(analytes))
    chosen = list(islice(cycle(analytes), n))
    rng = core.stream(spec.seed, name)
    crew, phase = pd.factorize(meta["crew"])[0], pd.factorize(meta["phase"])[0]
    ratio = np.array([analyte.between / analyte.within for analyte in chosen])
    z = core.sample_latent(rng, crew, phase, n, STRENGTH[name] * spec.effect, ratio)
    names = [f"syn_{j + 1:04d}" if spec.n_features else analyte.analyte for j, analyte in enumerate(chosen)]
    values = [_values(rng, z[:, j], analyte, real=not spec.n_features) for j, analyte in enumerate(chosen)]
    return pd.concat([meta, pd.concat(values, axis=1).set_axis([f"{prefix}_{name}" for name in names], axis=1)], axis=1)


def _values(rng: np.random.Generator, z: core.Floats, analyte: Any, real: bool) -> pd.Series:
    values = core.significant(analyte.median * np.exp(analyte.within * z)).round(analyte.decimals)
    if real and analyte.missing:
        values[rng.permutation(len(z))[: round(analyte.missing / PUBLISHED_ROWS * len(z))]] = np.nan
    whole = analyte.whole if real else analyte.decimals == 0
    return pd.Series(values.astype(np.int64) if whole else values)
