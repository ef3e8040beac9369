"""Figures of the cell-free RNA notebook."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from somb_utils.plots.style import colours_of, figure, legend_below, new, words


@figure
def distribution(values: Mapping[str, pd.Series], unit: str, what: str = "rows", clip: float = 0.995) -> Figure:
    """Draw the density of one number in several groups, each scaled to its own size.

    Parameters
    ----------
    values
        Numbers by group.
    unit
        Label of the number.
    what
        What is counted.
    clip
        Quantile of absolute values beyond which bins are cut off.
    """
    made, axes = new(7.5, 3.8)
    finite = {key: series[np.isfinite(series)] for key, series in values.items()}
    pooled = pd.concat(list(finite.values()))
    low, high = pooled.quantile([1 - clip, clip])
    tints = colours_of(finite)
    for key, series in finite.items():
        weight = np.full(len(series), 100 / max(len(series), 1))
        axes.hist(
            series, np.linspace(low, high, 60), weights=weight, histtype="step", lw=1.8, color=tints[key],
            label=f"{words(key)} (n = {len(series):,}, median {series.median():.2g})",
        )  # fmt: skip
    axes.set(xlabel=unit, ylabel=f"% of the group's {what}")
    axes.set_title(f"N = {len(pooled):,} {what}; the outer {2 * (1 - clip):.1%} are not drawn")
    legend_below(axes, columns=3)
    return made
