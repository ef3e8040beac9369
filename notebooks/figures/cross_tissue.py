"""Figures of genes measured in several cell types and labelled in another tissue."""

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from somb_utils.plots.style import DIVERGING, PALETTE, figure, new, words
from somb_utils.tasks.task_data import TaskData

_LABEL = ("#EEEEEE", "#000000")
_SIDES = {"not tested": "#EEEEEE", "all copies in test": PALETTE[0], "copies in both": PALETTE[1]}


@figure
def cells(X: pd.DataFrame, changed: pd.Series) -> Figure:
    """Draw fold changes of genes in each cell type, genes sorted by their mean, with their label as a strip.

    Parameters
    ----------
    X
        Genes × cell types, log2 fold changes.
    changed
        Label a gene, same index.
    """
    order = X.mean(axis=1).argsort(kind="stable").to_numpy()
    made, (top, axes) = new(9, 4.2, 2, 1, height_ratios=[1, X.shape[1]], sharex=True)
    strip = ListedColormap(list(_LABEL))
    top.imshow(changed.to_numpy()[order][None], aspect="auto", cmap=strip, vmin=0, vmax=1, interpolation="nearest")
    limit = float(np.nanquantile(np.abs(X.to_numpy()), 0.99))
    values = X.to_numpy()[order].T
    image = axes.imshow(values, aspect="auto", cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest")
    made.colorbar(image, ax=axes, label="log2 fold change", extend="both")
    top.set_yticks([0], [f"skin: changed (n = {changed.sum():,})"])
    axes.set_yticks(range(X.shape[1]), [words(c) for c in X.columns])
    axes.set_xlabel(f"genes, sorted by mean fold change (N = {len(X):,} rows)")
    top.set_title(f"{X.shape[1]} cell types; colours end at the 99 % quantile")
    for part in (top, axes):
        part.grid(False)
    return made


@figure
def repeats(data: TaskData) -> Figure:
    """Draw, for genes that stand on several identical rows, whether a fold puts copies on both sides.

    Parameters
    ----------
    data
        The task.
    """
    same = data.X.groupby(list(data.X.columns), sort=False).ngroup()
    twice = same[same.duplicated(keep=False)]
    groups = list(dict.fromkeys(twice))
    names = [f"{twice.index[twice == g][0].split('#')[0]} ({(twice == g).sum()} rows)" for g in groups]
    role = np.zeros((len(groups), len(data.folds)))
    for k, fold in enumerate(data.folds):
        tested = same.index.isin(data.X.index[fold.test])
        for i, group in enumerate(groups):
            inside = tested[(same == group).to_numpy()]
            role[i, k] = 0 if not inside.any() else 1 if inside.all() else 2
    made, axes = new(7, 1.7 + 0.24 * max(len(groups), 1))
    axes.set_title(f"{len(groups)} genes stand on identical rows, N = {len(data.X):,} rows")
    axes.grid(False)
    axes.set_xlabel("fold")
    axes.set_xticks(range(len(data.folds)), [fold.label for fold in data.folds])
    if not groups:
        axes.set(yticks=[])
        axes.text(0.5, 0.5, "no row repeats another", transform=axes.transAxes, ha="center", va="center")
        return made
    axes.imshow(role, aspect="auto", cmap=ListedColormap(list(_SIDES.values())), vmin=0, vmax=2)
    axes.set_yticks(range(len(groups)), names, fontsize=8.5)
    axes.set_xticks(np.arange(0.5, len(data.folds) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(groups) - 1), minor=True)
    axes.grid(True, which="minor", color="white", lw=2)
    made.legend(handles=[Patch(color=c, label=n) for n, c in _SIDES.items()], loc="outside lower center", ncols=3)
    return made


@figure
def strip(values: pd.Series, labels: pd.Series, unit: str) -> Figure:
    """Draw one number a gene, a line of points for each label, with the median.

    Parameters
    ----------
    values
        A number a gene.
    labels
        Class names, same index.
    unit
        Label of the number.
    """
    classes = labels.value_counts().index
    made, axes = new(8, 2.6)
    rng = np.random.default_rng(0)
    for place, name in enumerate(classes):
        own = values[labels == name]
        axes.scatter(own, place + rng.uniform(-0.28, 0.28, len(own)), s=11, color=PALETTE[place], alpha=0.6, lw=0)
        axes.vlines(own.median(), place - 0.38, place + 0.38, color="black", lw=2, label="median" if place else None)
    axes.axvline(0, color="black", lw=0.7)
    axes.set_yticks(range(len(classes)), [f"{words(c)} (n = {(labels == c).sum():,})" for c in classes])
    axes.set(xlabel=unit, ylim=(-0.6, len(classes) - 0.4))
    axes.set_title(f"N = {len(values):,} genes")
    axes.grid(False, axis="y")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return made
