"""Figures of genes measured in several cell types and labelled in another tissue."""

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from somb_utils.plots.style import DIVERGING, PALETTE, figure, new, words
from somb_utils.tasks.task_data import TaskData

_LABEL = ("#EEEEEE", "#000000")
_SIDES = {"not tested": "#EEEEEE", "all copies in test": PALETTE[0], "copies on both sides": PALETTE[1]}


@figure
def cells(X: pd.DataFrame, changed: pd.Series) -> Figure:
    """Draw log2 fold changes (genes × cell types), genes sorted by their mean, with each gene's label as a strip."""
    order = X.mean(axis=1).argsort(kind="stable").to_numpy()
    fig, (top, ax) = new(9, 4.2, 2, 1, height_ratios=[1, X.shape[1]], sharex=True)
    label = changed.to_numpy()[order][None]
    top.imshow(label, aspect="auto", cmap=ListedColormap(list(_LABEL)), vmin=0, vmax=1, interpolation="nearest")
    limit = float(np.nanquantile(np.abs(X.to_numpy()), 0.99))
    values = X.to_numpy()[order].T
    image = ax.imshow(values, aspect="auto", cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest")
    fig.colorbar(image, ax=ax, label="log2 fold change", extend="both")
    top.set_yticks([0], [f"skin: changed (n = {changed.sum():,})"])
    ax.set_yticks(range(X.shape[1]), [words(c) for c in X.columns])
    ax.set_xlabel(f"genes, sorted by mean fold change (N = {len(X):,} rows)")
    top.set_title(f"{X.shape[1]} cell types; the colour scale ends at the 99th percentile")
    for part in (top, ax):
        part.grid(False)
    return fig


@figure
def repeats(data: TaskData) -> Figure:
    """Draw, for genes with several identical rows, whether a fold puts copies on both sides of the split."""
    copy_of = data.X.groupby(list(data.X.columns), sort=False).ngroup()
    copies = copy_of[copy_of.duplicated(keep=False)]
    groups = list(dict.fromkeys(copies))
    names = [f"{copies.index[copies == g][0].split('#')[0]} ({(copies == g).sum()} rows)" for g in groups]
    side = np.zeros((len(groups), len(data.folds)))
    for k, fold in enumerate(data.folds):
        tested = copy_of.index.isin(data.X.index[fold.test])
        for i, group in enumerate(groups):
            inside = tested[(copy_of == group).to_numpy()]
            side[i, k] = 0 if not inside.any() else 1 if inside.all() else 2
    fig, ax = new(7, 1.7 + 0.24 * max(len(groups), 1))
    ax.set_title(f"{len(groups)} genes have several identical rows, N = {len(data.X):,} rows")
    ax.grid(False)
    ax.set_xlabel("fold")
    ax.set_xticks(range(len(data.folds)), [fold.label for fold in data.folds])
    if not groups:
        ax.set(yticks=[])
        ax.text(0.5, 0.5, "no duplicated rows", transform=ax.transAxes, ha="center", va="center")
        return fig
    ax.imshow(side, aspect="auto", cmap=ListedColormap(list(_SIDES.values())), vmin=0, vmax=2)
    ax.set_yticks(range(len(groups)), names, fontsize=8.5)
    ax.set_xticks(np.arange(0.5, len(data.folds) - 1), minor=True)
    ax.set_yticks(np.arange(0.5, len(groups) - 1), minor=True)
    ax.grid(True, which="minor", color="white", lw=2)
    fig.legend(handles=[Patch(color=c, label=n) for n, c in _SIDES.items()], loc="outside lower center", ncols=3)
    return fig


@figure
def strip(values: pd.Series, labels: pd.Series, unit: str) -> Figure:
    """Draw one number per gene as points, one line for each label, with the median; `unit` names the number."""
    classes = labels.value_counts().index
    fig, ax = new(8, 2.6)
    rng = np.random.default_rng(0)
    for place, name in enumerate(classes):
        x = values[labels == name]
        ax.scatter(x, place + rng.uniform(-0.28, 0.28, len(x)), s=11, color=PALETTE[place], alpha=0.6, lw=0)
        ax.vlines(x.median(), place - 0.38, place + 0.38, color="black", lw=2, label="median" if place else None)
    ax.axvline(0, color="black", lw=0.7)
    ax.set_yticks(range(len(classes)), [f"{words(c)} (n = {(labels == c).sum():,})" for c in classes])
    ax.set(xlabel=unit, ylim=(-0.6, len(classes) - 0.4))
    ax.set_title(f"N = {len(values):,} genes")
    ax.grid(False, axis="y")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return fig
