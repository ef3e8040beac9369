"""Figures of measurements in several layers: which layer has which sample, and which rows are placed side by side."""

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
    """Draw which layer measured which blood draw (one person's day).

    Each layer's samples have the columns crew, timepoint, timepoint_days and phase.
    """
    known = pd.concat(list(layers.values()))[["crew", "timepoint", "timepoint_days", "phase"]]
    known = known.drop_duplicates(["crew", "timepoint_days"]).sort_values(["crew", "timepoint_days"])
    keys = pd.MultiIndex.from_frame(known[["crew", "timepoint_days"]])
    present = {name: keys.isin(pd.MultiIndex.from_frame(t[["crew", "timepoint_days"]])) for name, t in layers.items()}
    rows = {**present, "all layers": np.logical_and.reduce(list(present.values()))}
    fig, ax = new(9, 1.9 + 0.36 * len(rows))
    phases = known["phase"].to_numpy()
    for k, measured in enumerate(rows.values()):
        for phase in dict.fromkeys(phases):
            x = np.flatnonzero(measured & (phases == phase))
            ax.scatter(x, np.full(len(x), k), s=70, marker="s", color=COLOURS.get(phase, QUIET))
        x = np.flatnonzero(~measured)
        ax.scatter(x, np.full(len(x), k), s=30, marker="x", color="black", lw=1)
    for phase in dict.fromkeys(phases):
        ax.scatter([], [], s=70, marker="s", color=COLOURS.get(phase, QUIET), label=words(phase))
    ax.scatter([], [], s=30, marker="x", color="black", lw=1, label="not in this layer")
    ax.set_xticks(range(len(known)), known["timepoint"], rotation=90, fontsize=8)
    ax.set_yticks(range(len(rows)), [f"{name} (n = {measured.sum()})" for name, measured in rows.items()])
    ax.set(xlim=(-0.6, len(known) - 0.4), ylim=(len(rows) - 0.4, -0.6))
    ax.set_xlabel(f"day, person by person; N = {len(known)} draws")
    ax.set_title(f"{rows['all layers'].sum()} of {len(known)} draws are in all layers", pad=20)
    starts = np.flatnonzero((known["crew"] != known["crew"].shift()).to_numpy())
    for start, person in zip(starts, known["crew"].unique(), strict=True):
        ax.axvline(start - 0.5, color=QUIET, lw=1)
        ax.text(start - 0.4, -0.75, person, fontsize=9, weight="bold")
    ax.grid(False)
    fig.legend(loc="outside lower center", ncols=5, handletextpad=0.2)
    return fig


@figure
def blocks(parts: Mapping[str, pd.DataFrame], samples: pd.DataFrame) -> Figure:
    """Draw the first two principal components of each block of features (samples × features), side by side.

    `samples` has the columns phase and crew, and the index of every block.
    """
    fig, grid = new(9.5, 3.9, 1, len(parts), squeeze=False)
    tints = colours_of(dict.fromkeys(samples["phase"]))
    for ax, (name, X) in zip(grid.flat, parts.items(), strict=True):
        scaled = StandardScaler().fit_transform(SimpleImputer().fit_transform(X.loc[:, X.std() > 0]))
        pca = PCA(2, random_state=42).fit(scaled)
        points = pca.transform(scaled)
        points *= np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
        for (phase, crew), rows in samples.groupby(["phase", "crew"], sort=False):
            at = samples.index.get_indexer(rows.index)
            marker = MARKERS.get(str(crew), "o")
            ax.scatter(*points[at].T, color=tints[str(phase)], marker=marker, s=50, ec="white", lw=0.6)
        one, two = pca.explained_variance_ratio_
        ax.set(xlabel=f"component 1 ({one:.0%} of variance)", ylabel=f"component 2 ({two:.0%})")
        ax.set_title(f"{name}\n{X.shape[1]:,} features, N = {len(X)}", fontsize=10)
    for phase, tint in tints.items():
        n = (samples["phase"] == phase).sum()
        grid[0, 0].scatter([], [], color=tint, s=50, label=f"{words(phase)} (n = {n})")
    for crew in sorted(set(samples["crew"]) & set(MARKERS)):
        grid[0, 0].scatter([], [], color="white", ec="black", marker=MARKERS[crew], s=45, label=crew)
    fig.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=7, handletextpad=0.1)
    return fig


@figure
def pairing(joined: pd.DataFrame, used: pd.DataFrame, groups: pd.Series, names: Sequence[str]) -> Figure:
    """Draw, for the blocks `names`, whose block each row received: on the diagonal if it is its own.

    `joined` and `used` are features of the same rows and columns (``block:feature``), joined by identifier and as
    they were used; `groups` holds the person of each row.
    """
    fig, grid = new(9.5, 4.3, 1, len(names), squeeze=False, sharey=True)
    ids = list(joined.index)
    x = np.arange(len(ids))
    for ax, name in zip(grid.flat, names, strict=True):
        received = np.array(block_rows(joined, used, name))
        right = received == x
        ax.plot(x, x, color=QUIET, lw=1, zorder=1)
        ax.scatter(x[right], received[right], s=24, color=PALETTE[0], marker="o", label="its own row")
        ax.scatter(x[~right], received[~right], s=24, color=PALETTE[1], marker="D", label="another row")
        ax.set_title(f"{name}: {right.sum()} of {len(right)} rows got their own", fontsize=10)
        ax.set_xticks(x, ids, rotation=90, fontsize=7)
        for start in np.flatnonzero((groups != groups.shift()).to_numpy())[1:]:
            ax.axvline(start - 0.5, color=QUIET, lw=0.8, ls=":")
            ax.axhline(start - 0.5, color=QUIET, lw=0.8, ls=":")
        ax.grid(False)
    grid[0, 0].set_yticks(range(len(ids)), ids, fontsize=7)
    grid[0, 0].set_ylim(len(ids) - 0.4, -0.6)
    fig.supylabel("the row whose block it received", fontsize=10)
    fig.supxlabel(f"row (N = {len(ids)} draws)", fontsize=10)
    fig.legend(*grid[0, -1].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return fig


def block_rows(joined: pd.DataFrame, used: pd.DataFrame, name: str) -> list[int]:
    """Return, for each row of `used`, the position of the row of `joined` whose block `name` it received."""
    blocks, received = (table.filter(regex=f"^{name}:").fillna(-1.0).to_numpy() for table in (joined, used))
    return [int(np.abs(blocks - row).sum(axis=1).argmin()) for row in received]


@figure
def settings(table: pd.DataFrame, chance: float, n: int) -> Figure:
    """Draw each model's score in several settings, such as one layer against all.

    `table` has the columns setting, model, mean and sd, settings in the order to be drawn; `chance` is the chance
    level, `n` the number of rows of the task.
    """
    names, models = list(dict.fromkeys(table["setting"])), list(dict.fromkeys(table["model"]))
    tints = colours_of(models)
    fig, ax = new(8.5, 1.6 + 0.55 * len(names))
    for k, model in enumerate(models):
        rows = table[table["model"] == model].set_index("setting").reindex(names)
        places = np.arange(len(names)) + (k - (len(models) - 1) / 2) * 0.8 / len(models)
        ax.errorbar(rows["mean"], places, xerr=rows["sd"], fmt="o", ms=5, lw=1.2, color=tints[model], label=model)
    ax.axvline(chance, color="black", ls="--", lw=1, label="chance level")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="macro F1 (mean and standard deviation over people left out)", xlim=(-0.03, 1.03))
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_title(f"N = {n:,} rows; {len(models)} models in {len(names)} settings")
    ax.grid(False, axis="y")
    fig.legend(loc="outside lower center", ncols=4)
    return fig
