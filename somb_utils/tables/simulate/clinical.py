"""Blood counts, metabolic panel and cytokines: one row per crew member and timepoint.

``data/simulate/analytes.csv`` has the summary figures of each column of the real tables: median, deviation between
crew and within crew (both of the natural logarithm), decimals, missing values among the 28 rows, and whether values are
written as whole numbers.
"""

from itertools import cycle, islice
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.tables.simulate import core

DAYS = (-3, 1, 45, -44, 82, -92, 194)  # of the real samples; the first three cover every phase
MOST_TIMEPOINTS = 7 * 37  # with more, the days after R+45 would meet R+82
PANELS = {
    "clinical_cbc": ("cbc", "whole-blood", 0.6),
    "clinical_cmp": ("cmp", "serum", 0.6),
    "clinical_cytokines_eve": ("eve_immune", "serum", 0.55),
}
PUBLISHED_ROWS = 28


def schedule(n_timepoints: int) -> list[tuple[str, int, str]]:
    """Return name, day and phase of each timepoint, by name: the real ones, then the days that follow each of them."""
    timepoints = []
    for i in range(n_timepoints):
        later, nth = divmod(i, len(DAYS))
        published = DAYS[nth]
        days = published - later if published < 0 else published + later
        timepoints.append((core.timepoint(days), days, core.phase_of(published)))
    return sorted(timepoints)


def clinical_panel(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate one clinical panel: log-normal analytes with crew offsets and phase shifts."""
    prefix, tissue, strength = PANELS[name]
    rows = [
        (f"{crew}_{timepoint}", crew, tissue, timepoint, days, phase, core.MISSION)
        for crew in spec.crew
        for timepoint, days, phase in schedule(spec.n_timepoints)
    ]
    columns = ["sample_id", "crew", "tissue", "timepoint", "timepoint_days", "phase", "mission"]
    samples = pd.DataFrame(rows, columns=columns)
    analytes: list[Any] = list(core.figures("analytes").loc[name].itertuples())
    n = spec.size(len(analytes))
    chosen = list(islice(cycle(analytes), n))
    rng = core.stream(spec.seed, name)
    ratio = np.array([analyte.between / analyte.within for analyte in chosen])
    z = core.sample_latent(rng, samples, n, strength * spec.effect, ratio)
    names = [f"syn_{j + 1:04d}" if spec.n_features else analyte.analyte for j, analyte in enumerate(chosen)]
    values = {
        f"{prefix}_{column}": _values(rng, z[:, j], chosen[j], real=not spec.n_features)
        for j, column in enumerate(names)
    }
    return pd.concat([samples, pd.DataFrame(values)], axis=1)


def _values(rng: np.random.Generator, z: core.Floats, analyte: Any, real: bool) -> np.ndarray:
    values = core.significant(analyte.median * np.exp(analyte.within * z)).round(analyte.decimals)
    if real and analyte.missing:
        values[rng.permutation(len(z))[: round(analyte.missing / PUBLISHED_ROWS * len(z))]] = np.nan
    whole = analyte.whole if real else analyte.decimals == 0
    return values.astype(np.int64) if whole else values
