"""Figures of held-out missions: who flew, and how far flight shifts each pathway in each mission."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from somb_utils.plots.style import PALETTE, QUIET, figure, new, short, words

KINDS = {"Flight": (PALETTE[1], "flight"), "GC": (QUIET, "ground control"), "VC": ("#CCCCCC", "vivarium control")}


@figure
def animals(samples: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw how many samples of each kind the missions of each tissue have; `samples` has label and group by task."""
    counts = pd.concat({task: pd.crosstab(table["group"], table["label"]) for task, table in samples.items()})
    counts = counts.reindex(columns=list(KINDS), fill_value=0).fillna(0)
    fig, ax = new(8.5, 1.3 + 0.24 * len(counts))
    left = np.zeros(len(counts))
    for kind, (tint, name) in KINDS.items():
        ax.barh(range(len(counts)), counts[kind], left=left, color=tint, label=name)
        left += counts[kind].to_numpy()
    for place, total in enumerate(left):
        ax.text(total + 1, place, f"{total:.0f}", va="center", fontsize=8)
    ax.set_yticks(range(len(counts)), [f"{task}  {group}" for task, group in counts.index], fontsize=8)
    ax.set(xlabel="samples", ylim=(len(counts) - 0.4, -0.6))
    ax.set_title(f"N = {left.sum():.0f} samples, by tissue and mission")
    ax.grid(False, axis="y")
    ax.legend()
    return fig


@figure
def shifts(X: pd.DataFrame, flight: pd.Series, groups: pd.Series, title: str, n: int = 15) -> Figure:
    """Draw, mission by mission, flight less ground in SD of each of the `n` pathways that flight shifts most."""
    z = (X - X.groupby(groups).transform("mean")) / X.std()
    gaps = z[flight].groupby(groups[flight]).mean() - z[~flight].groupby(groups[~flight]).mean()
    chosen = gaps.mean().abs().sort_values(ascending=False, kind="stable").index[:n]
    most = float(gaps[chosen].abs().to_numpy().max())
    fig, ax = new(8.5, 1.5 + 0.28 * n)
    image = ax.imshow(gaps[chosen].T, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    ax.set_xticks(range(len(gaps)), gaps.index)
    ax.set_yticks(range(len(chosen)), [short(words(name), 46) for name in chosen], fontsize=8)
    ax.set_title(f"{title}, N = {len(X)} samples")
    ax.grid(False)
    fig.colorbar(image, label="flight less ground (SD)")
    return fig
