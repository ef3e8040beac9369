"""Figures of the clinical notebook: each person against their own baseline."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from somb_utils.plots.samples import draw_flight, mission_order
from somb_utils.plots.style import MARKERS, colours_of, figure, new, words


@figure
def trajectories(X: pd.DataFrame, samples: pd.DataFrame, unit: str = "%", n: int = 6) -> Figure:
    """Draw the features that changed most alike in all crew the day after return, each against its own baseline.

    Parameters
    ----------
    X
        Samples × features, positive numbers.
    samples
        Columns crew, timepoint, timepoint_days, phase; same index.
    n
        How many features.
    """
    change = relative_change(X, samples)
    chosen = consistent_changes(change, samples).index[:n]
    times, colours = mission_order(samples), colours_of(sorted(samples["crew"].unique()))
    rows = -(-len(chosen) // 3)
    made, grid = new(9, 0.8 + 2.1 * rows, rows, 3, sharex=True, squeeze=False)
    for axes, feature in zip(grid.flat, chosen, strict=False):
        for crew, tint in colours.items():
            own = samples[samples["crew"] == crew].sort_values("timepoint_days")
            x, y = own["timepoint"].map(times.index), change.loc[own.index, feature]
            axes.plot(x, y, color=tint, marker=MARKERS.get(crew, "o"), ms=4, lw=1.2, label=crew)
        draw_flight(axes, samples, times)
        axes.axhline(0, color="black", lw=0.7)
        axes.set_title(words(feature), fontsize=10)
        axes.set_xticks(range(len(times)), times, rotation=90, fontsize=8)
    made.supylabel(f"change from own pre-flight mean ({unit})", fontsize=10)
    made.supxlabel(f"day of the mission; N = {len(samples)} samples of {len(colours)} crew", fontsize=10)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside upper left", ncols=6)
    return made


def relative_change(X: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Return each value's change, in per cent, from the mean of the same person's pre-flight values."""
    before = X[samples["phase"] == "pre_flight"].groupby(samples["crew"]).mean()
    own = before.reindex(samples["crew"]).set_axis(X.index)
    return 100 * (X / own.where(own != 0) - 1)


def consistent_changes(change: pd.DataFrame, samples: pd.DataFrame) -> pd.Series:
    """Return, best first, the mean over crew of the change after return divided by its spread over crew."""
    after = change[samples["phase"] == "post_flight"].groupby(samples["crew"]).mean().dropna(axis=1)
    ratio = after.mean() / (after.std() + after.abs().mean().median() * 0.1)
    return ratio.sort_values(key=np.abs, ascending=False, kind="stable")
