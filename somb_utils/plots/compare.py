"""Figures of a comparison: differences with intervals, ranks with the critical difference, reliability curves."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scikit_posthocs import critical_difference_diagram

from somb_utils import stats
from somb_utils.plots.style import colours_of, figure, new


@figure
def differences(table: pd.DataFrame, reference: str) -> Figure:
    """Draw each model's difference to the reference, task by task."""
    tasks, models = list(dict.fromkeys(table["task"])), list(dict.fromkeys(table["model"]))
    tints = colours_of(models)
    fig, ax = new(8, 1.6 + 0.16 * len(tasks) * (len(models) + 1))
    for k, model in enumerate(models):
        rows = table[table["model"] == model]
        places = rows["task"].map(tasks.index).to_numpy() + 0.8 * ((k + 0.5) / len(models) - 0.5)
        ax.hlines(places, rows["low"], rows["high"], color=tints[model], lw=2)
        ax.scatter(rows["difference"], places, s=26, color=tints[model], ec="white", zorder=3, label=model)
    ax.axvline(0, color="black", lw=1)
    ax.set_yticks(range(len(tasks)), tasks)
    ax.set_ylim(len(tasks) - 0.5, -0.5)
    for edge in np.arange(0.5, len(tasks) - 1):
        ax.axhline(edge, color="#DDDDDD", lw=0.8)
    ax.grid(False, axis="y")
    ax.set_xlabel(f"primary metric less that of {reference} (95 % paired bootstrap interval)")
    ax.set_title(f"Above {reference} to the right, below it to the left")
    fig.legend(loc="outside lower center", ncols=min(6, len(models)))
    return fig


@figure
def critical_difference(ranking: stats.Ranking) -> Figure:
    """Draw mean ranks over tasks; a bar joins models that do not differ significantly (Nemenyi)."""
    fig, ax = new(8, 1.4 + 0.28 * len(ranking.ranks))
    critical_difference_diagram(ranking.ranks, ranking.pairs, ax=ax, color_palette=colours_of(ranking.ranks.index))
    p = "< 0.001" if ranking.p < 0.001 else f"= {ranking.p:.3f}"
    ax.set_title(f"Mean rank over {len(ranking.scores)} tasks, 1 is best (Friedman p {p})")
    return fig


@figure
def reliability(curves: pd.DataFrame, task: str) -> Figure:
    """Draw the observed share of positives against the predicted probability, one line per model."""
    rows = curves[curves["task"] == task]
    models = list(dict.fromkeys(rows["model"]))
    tints = colours_of(models)
    fig, ax = new(5.5, 5)
    ax.plot([0, 1], [0, 1], color="black", ls="--", lw=1, label="calibrated")
    for model in models:
        curve = rows[rows["model"] == model]
        ax.vlines(curve["predicted"], curve["low"], curve["high"], color=tints[model], alpha=0.4)
        ax.plot(curve["predicted"], curve["observed"], marker="o", ms=4, color=tints[model], label=model)
    ax.set_xlabel("predicted probability (mean of a bin of equal counts)")
    ax.set_ylabel("observed share of positives (95 % Wilson interval)")
    ax.set_title(f"{task}: calibration (N = {curve['n'].sum():,} tested rows per model)")
    fig.legend(loc="outside lower center", ncols=4)
    return fig
