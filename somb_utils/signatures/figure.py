"""The figure of a query: correlation and agreement in direction with each reference."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from somb_utils.plots.style import PALETTE, QUIET, figure, new, short
from somb_utils.signatures.genes import FEW

TINTS = {
    "same": "black",
    "alike": PALETTE[1],
    "opposite": PALETTE[0],
    "weak": "#7F7F7F",
    "none": QUIET,
    "unclear": PALETTE[3],
}
MEANINGS = {
    "same": "same: the reference itself",
    "alike": "alike: beyond unrelated references",
    "opposite": "opposite: beyond unrelated references",
    "weak": "weak: unrelated references reach it",
    "none": "none (q ≥ 0.05)",
    "unclear": "unclear: too few unrelated references",
}


@figure
def overview(table: pd.DataFrame, name: str) -> Figure:
    """Draw one row per reference: rank correlation beside that of unrelated references, and agreement in direction."""
    fig, axes = new(10, 1.9 + 0.27 * len(table), columns=2, sharey=True, width_ratios=(3, 2))
    left, right = axes
    rows = np.arange(len(table))
    left.barh(rows, 2 * table["unrelated"].fillna(0), left=-table["unrelated"].fillna(0), color="#ECECEC", height=0.8)
    left.hlines(rows, table["rho_low"], table["rho_high"], color="#7F7F7F", lw=1.5)
    for reading, tint in TINTS.items():
        chosen = (table["reading"] == reading).to_numpy()
        if chosen.any():
            left.scatter(table["rho"][chosen], rows[chosen], color=tint, s=36, zorder=3, label=MEANINGS[reading])
    left.axvline(0, color="black", lw=0.8)
    labels = [f"{row.reference}  ({row.n}; {row.ranked:,} genes)" for row in table.itertuples()]
    left.set_yticks(rows, labels, fontsize=8.5)
    left.set(
        ylim=(len(table) - 0.4, -0.6), xlabel="Spearman's ρ of all common genes\n(grey: |ρ| of unrelated references)"
    )
    left.set_title("Rank correlation")
    some = (table["both"] >= FEW).to_numpy()
    right.hlines(rows[some], 100 * table["low"][some], 100 * table["high"][some], color=QUIET, lw=2)
    right.scatter(
        100 * table["agreement"][some], rows[some], color=[TINTS[r] for r in table["reading"][some]], s=30, zorder=3
    )
    for row, (same, both) in enumerate(zip(table["same_direction"], table["both"], strict=True)):
        right.text(108, row, f"{same:,} of {both:,}" if both else "none", va="center", fontsize=8)
    right.axvline(50, color="black", lw=0.8)
    right.set(
        xlim=(-3, 165), xticks=(0, 25, 50, 75, 100), xlabel="same direction, % of the genes\nsignificant in both (95 %)"
    )
    right.set_title("Direction")
    for ax in axes:
        ax.grid(False, axis="y")
    fig.legend(loc="outside lower center", ncols=2, fontsize=8.5)
    fig.suptitle(short(f"Is {Path(name).name} like spaceflight?", 80), x=0.01, ha="left", weight="bold", fontsize=12)
    return fig
