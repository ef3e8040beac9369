"""Figures of tasks across missions: labels and the share of positives."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from somb_utils.plots.style import PALETTE, QUIET, figure, new, words


@figure
def shares(labels: Mapping[str, pd.Series], positive: Collection[str]) -> Figure:
    """Draw the share of positive rows in several sets of rows, with their counts.

    `labels` holds the class name of each row by the set's title; `positive` names the positive classes.
    """
    fig, ax = new(8.5, 1.3 + 0.5 * len(labels))
    ax.set_yticks(range(len(labels)), [f"{name}\n(N = {len(y):,})" for name, y in labels.items()], fontsize=9)
    for place, y in enumerate(labels.values()):
        yes = y.isin(list(positive))
        for rows, left, tint, at in ((~yes, 0.0, QUIET, 1), (yes, 100 * (~yes).mean(), PALETTE[1], 101)):
            share, names = 100 * rows.mean(), ", ".join(words(name) for name in y[rows].unique())
            ax.barh(place, share, left=left, height=0.62, color=tint)
            if rows.any():
                ax.text(at, place, f"{names}: {rows.sum():,} ({share:.1f} %)", va="center", fontsize=8.5)
    ax.set(xlabel="% of rows", xlim=(0, 140), ylim=(len(labels) - 0.4, -0.6))
    ax.set_xticks(np.arange(0, 101, 20))
    ax.set_title(f"N = {sum(map(len, labels.values())):,} rows; positives coloured")
    ax.grid(False, axis="y")
    return fig
