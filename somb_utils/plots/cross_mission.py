"""Figures of tasks across missions: labels and the share of positives."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from somb_utils.plots.style import PALETTE, QUIET, figure, new, words


@figure
def shares(labels: Mapping[str, pd.Series]) -> Figure:
    """Draw the shares of the classes in several sets of rows, with their counts.

    Parameters
    ----------
    labels : class names a row, by the set's title
    """
    made, axes = new(8.5, 1.3 + 0.5 * len(labels))
    axes.set_yticks(range(len(labels)), [f"{name}\n(N = {len(y):,})" for name, y in labels.items()], fontsize=9)
    for place, y in enumerate(labels.values()):
        sizes, left = y.value_counts(), 0.0
        for k, (name, n) in enumerate(sizes.items()):
            share = 100 * n / len(y)
            axes.barh(place, share, left=left, height=0.62, color=QUIET if k == 0 else PALETTE[1])
            said = f"{words(name)}: {n:,} ({share:.1f} %)"
            if k == 0:
                axes.text(1, place, said, va="center", fontsize=8.5)
            else:
                axes.text(101, place, said, va="center", fontsize=8.5)
            left += share
    axes.set(xlabel="% of rows", xlim=(0, 132), ylim=(len(labels) - 0.4, -0.6))
    axes.set_xticks(np.arange(0, 101, 20))
    axes.set_title(f"N = {sum(map(len, labels.values())):,} rows; the rarer class is coloured")
    axes.grid(False, axis="y")
    return made
