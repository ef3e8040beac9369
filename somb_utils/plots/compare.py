"""Figures of a comparison: differences with intervals, ranks with the critical difference, reliability curves."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from somb_utils import stats
from somb_utils.plots.style import colours_of, figure, new
from somb_utils.stats.ranks import draw_critical_difference


@figure
def differences(table: pd.DataFrame, reference: str) -> Figure:
    """Draw each model's difference to the reference, task by task."""
    tasks, models = list(dict.fromkeys(table["task"])), list(dict.fromkeys(table["model"]))
    tints = colours_of(models)
    made, axes = new(8, 1.6 + 0.16 * len(tasks) * (len(models) + 1))
    for k, model in enumerate(models):
        rows = table[table["model"] == model]
        places = rows["task"].map(tasks.index).to_numpy() + 0.8 * ((k + 0.5) / len(models) - 0.5)
        axes.hlines(places, rows["low"], rows["high"], color=tints[model], lw=2)
        axes.scatter(rows["difference"], places, s=26, color=tints[model], ec="white", zorder=3, label=model)
    axes.axvline(0, color="black", lw=1)
    axes.set_yticks(range(len(tasks)), tasks)
    axes.set_ylim(len(tasks) - 0.5, -0.5)
    for edge in np.arange(0.5, len(tasks) - 1):
        axes.axhline(edge, color="#DDDDDD", lw=0.8)
    axes.grid(False, axis="y")
    axes.set_xlabel(f"primary metric less that of {reference} (95 % paired bootstrap interval)")
    axes.set_title(f"Above {reference} to the right, below it to the left")
    made.legend(loc="outside lower center", ncols=min(6, len(models)))
    return made


@figure
def critical_difference(made_of: stats.Ranking) -> Figure:
    """Draw mean ranks over tasks; a bar joins models that the Nemenyi test does not tell apart."""
    made, axes = new(8, 1.4 + 0.28 * len(made_of.ranks))
    draw_critical_difference(made_of, axes, colours_of(made_of.ranks.index))
    p = "< 0.001" if made_of.p < 0.001 else f"= {made_of.p:.3f}"
    axes.set_title(f"Mean rank over {len(made_of.scores)} tasks, 1 is best (Friedman p {p})")
    return made


@figure
def reliability(curves: pd.DataFrame, task: str) -> Figure:
    """Draw the observed share of positives against the predicted probability, a line a model."""
    rows = curves[curves["task"] == task]
    models = list(dict.fromkeys(rows["model"]))
    tints = colours_of(models)
    made, axes = new(5.5, 5)
    axes.plot([0, 1], [0, 1], color="black", ls="--", lw=1, label="calibrated")
    for model in models:
        own = rows[rows["model"] == model]
        axes.vlines(own["predicted"], own["low"], own["high"], color=tints[model], alpha=0.4)
        axes.plot(own["predicted"], own["observed"], marker="o", ms=4, color=tints[model], label=model)
    axes.set_xlabel("predicted probability (mean of a bin of equal counts)")
    axes.set_ylabel("observed share of positives (95 % Wilson interval)")
    axes.set_title(f"{task}: calibration (N = {own['n'].sum():,} tested rows a model)")
    made.legend(loc="outside lower center", ncols=4)
    return made
