"""Figures of measurements in several layers: which sample stands where, and which rows are set side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from somb_utils.plots.style import COLOURS, MARKERS, PALETTE, QUIET, colours_of, figure, new, words


@figure
def draws(layers: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw which blood draw stands in which layer; a draw is a person's day.

    Parameters
    ----------
    layers
        Samples by layer, with columns crew, timepoint, timepoint_days, phase.
    """
    known = pd.concat(list(layers.values()))[["crew", "timepoint", "timepoint_days", "phase"]]
    known = known.drop_duplicates(["crew", "timepoint_days"]).sort_values(["crew", "timepoint_days"])
    keys = pd.MultiIndex.from_frame(known[["crew", "timepoint_days"]])
    held = {name: keys.isin(pd.MultiIndex.from_frame(own[["crew", "timepoint_days"]])) for name, own in layers.items()}
    rows = {**held, "all layers": np.logical_and.reduce(list(held.values()))}
    made, axes = new(9, 1.9 + 0.36 * len(rows))
    phases = known["phase"].to_numpy()
    for k, has in enumerate(rows.values()):
        for phase in dict.fromkeys(phases):
            x = np.flatnonzero(has & (phases == phase))
            axes.scatter(x, np.full(len(x), k), s=70, marker="s", color=COLOURS.get(phase, QUIET))
        x = np.flatnonzero(~has)
        axes.scatter(x, np.full(len(x), k), s=30, marker="x", color="black", lw=1)
    for phase in dict.fromkeys(phases):
        axes.scatter([], [], s=70, marker="s", color=COLOURS.get(phase, QUIET), label=words(phase))
    axes.scatter([], [], s=30, marker="x", color="black", lw=1, label="not in this layer")
    axes.set_xticks(range(len(known)), known["timepoint"], rotation=90, fontsize=8)
    axes.set_yticks(range(len(rows)), [f"{name} (n = {has.sum()})" for name, has in rows.items()])
    axes.set(
        xlim=(-0.6, len(known) - 0.4),
        ylim=(len(rows) - 0.4, -0.6),
        xlabel=f"day, person by person; N = {len(known)} draws",
    )
    starts = np.flatnonzero((known["crew"] != known["crew"].shift()).to_numpy())
    for start, person in zip(starts, known["crew"].unique(), strict=True):
        axes.axvline(start - 0.5, color=QUIET, lw=1)
        axes.text(start - 0.4, -0.75, person, fontsize=9, weight="bold")
    axes.grid(False)
    made.legend(loc="outside lower center", ncols=5, handletextpad=0.2)
    return made


@figure
def blocks(parts: Mapping[str, pd.DataFrame], samples: pd.DataFrame) -> Figure:
    """Draw the first two principal components of each block of features, side by side.

    Parameters
    ----------
    parts
        Samples × features by block, all on the same rows.
    samples
        Columns phase and crew, same index.
    """
    made, grid = new(9.5, 3.9, 1, len(parts), squeeze=False)
    tints = colours_of(dict.fromkeys(samples["phase"]))
    for axes, (name, X) in zip(grid.flat, parts.items(), strict=True):
        filled = StandardScaler().fit_transform(SimpleImputer().fit_transform(X.loc[:, X.std() > 0]))
        fitted = PCA(2, random_state=42).fit(filled)
        points = fitted.transform(filled)
        points *= np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
        for (phase, crew), rows in samples.groupby(["phase", "crew"], sort=False):
            at = samples.index.get_indexer(rows.index)
            marker = MARKERS.get(str(crew), "o")
            axes.scatter(*points[at].T, color=tints[str(phase)], marker=marker, s=50, ec="white", lw=0.6)
        one, two = fitted.explained_variance_ratio_
        axes.set(xlabel=f"component 1 ({one:.0%} of variance)", ylabel=f"component 2 ({two:.0%})")
        axes.set_title(f"{name}\n{X.shape[1]:,} features, N = {len(X)}", fontsize=10)
    for phase, tint in tints.items():
        n = (samples["phase"] == phase).sum()
        grid[0, 0].scatter([], [], color=tint, s=50, label=f"{words(phase)} (n = {n})")
    for crew in sorted(set(samples["crew"]) & set(MARKERS)):
        grid[0, 0].scatter([], [], color="white", ec="black", marker=MARKERS[crew], s=45, label=crew)
    made.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=7, handletextpad=0.1)
    return made


@figure
def pairing(right: pd.DataFrame, used: pd.DataFrame, groups: pd.Series, names: Sequence[str]) -> Figure:
    """Draw beside which row's block each row was set: on the diagonal if beside its own.

    Parameters
    ----------
    right, used
        Features of the same rows and columns, joined by identifier and as they were used; columns are named
        ``block:feature``.
    groups
        The person a row, same index.
    names
        The blocks to draw.
    """
    made, grid = new(9.5, 4.3, 1, len(names), squeeze=False, sharey=True)
    ids = list(right.index)
    for axes, name in zip(grid.flat, names, strict=True):
        source = block_rows(right, used, name)
        own = np.array(source) == np.arange(len(ids))
        x = np.arange(len(ids))
        axes.plot(x, x, color=QUIET, lw=1, zorder=1)
        axes.scatter(x[own], np.array(source)[own], s=24, color=PALETTE[0], marker="o", label="its own row")
        axes.scatter(x[~own], np.array(source)[~own], s=24, color=PALETTE[1], marker="D", label="another row")
        axes.set_title(f"{name}: {own.sum()} of {len(own)} their own", fontsize=10)
        axes.set_xticks(range(len(ids)), ids, rotation=90, fontsize=7)
        for start in np.flatnonzero((groups != groups.shift()).to_numpy())[1:]:
            axes.axvline(start - 0.5, color=QUIET, lw=0.8, ls=":")
            axes.axhline(start - 0.5, color=QUIET, lw=0.8, ls=":")
        axes.grid(False)
    grid[0, 0].set_yticks(range(len(ids)), ids, fontsize=7)
    grid[0, 0].set_ylim(len(ids) - 0.4, -0.6)
    made.supylabel("the row whose block it got", fontsize=10)
    made.supxlabel(f"row (N = {len(ids)} draws)", fontsize=10)
    made.legend(*grid[0, -1].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return made


def block_rows(right: pd.DataFrame, used: pd.DataFrame, name: str) -> list[int]:
    """Return, for each row of `used`, the position of the row of `right` whose block `name` it holds."""
    mine, theirs = (table.filter(regex=f"^{name}:").fillna(-1.0).to_numpy() for table in (right, used))
    return [int(np.abs(mine - row).sum(axis=1).argmin()) for row in theirs]


@figure
def settings(table: pd.DataFrame, chance: float, n: int) -> Figure:
    """Draw one score a model in several settings, such as one layer against all.

    Parameters
    ----------
    table
        Columns setting, model, mean, sd; settings in the order to be drawn.
    chance
        The chance level.
    n
        Rows of the task.
    """
    names, models = list(dict.fromkeys(table["setting"])), list(dict.fromkeys(table["model"]))
    tints = colours_of(models)
    made, axes = new(8.5, 1.6 + 0.55 * len(names))
    for k, model in enumerate(models):
        rows = table[table["model"] == model].set_index("setting").reindex(names)
        places = np.arange(len(names)) + (k - (len(models) - 1) / 2) * 0.8 / len(models)
        axes.errorbar(
            rows["mean"], places, xerr=rows["sd"], fmt="o", ms=5, lw=1.2, color=tints[model], label=model
        )  # fmt: skip
    axes.axvline(chance, color="black", ls="--", lw=1, label="chance level")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="macro F1 (mean and standard deviation over people left out)", xlim=(-0.03, 1.03))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_title(f"N = {n:,} rows; {len(models)} models in {len(names)} settings")
    axes.grid(False, axis="y")
    made.legend(loc="outside lower center", ncols=4)
    return made
