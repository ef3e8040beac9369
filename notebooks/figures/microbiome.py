"""Figures of swabs: which were taken, what lives on them, how sites, days and surfaces differ."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from somb_utils.plots.samples import mission_order
from somb_utils.plots.style import COLOURS, MARKERS, PALETTE, PHASES, QUIET, colours_of, figure, in_order, new, words


@figure
def swab_calendar(samples: pd.DataFrame) -> Figure:
    """Draw which site of whom was swabbed when, one panel per person, missing swabs crossed.

    `samples` has one row per swab, with the columns crew, timepoint, timepoint_days, phase, body_site and
    body_site_name.
    """
    times, crew = mission_order(samples), sorted(samples["crew"].unique())
    names = samples.drop_duplicates("body_site").set_index("body_site")["body_site_name"].sort_index()
    sites = list(names.index)
    fig, grid = new(9, 1.7 + 0.26 * len(sites), 1, len(crew), sharey=True, squeeze=False)
    for ax, person in zip(grid.flat, crew, strict=True):
        swabs = samples[samples["crew"] == person]
        for phase in PHASES:
            rows = swabs[swabs["phase"] == phase]
            at = rows["timepoint"].map(times.index), rows["body_site"].map(sites.index)
            ax.scatter(*at, s=48, marker="s", color=COLOURS[phase], label=words(phase))
        taken = set(zip(swabs["timepoint"], swabs["body_site"], strict=True))
        gaps = [(i, k) for i, t in enumerate(times) for k, s in enumerate(sites) if (t, s) not in taken]
        ax.scatter(
            *np.array(gaps, dtype=float).reshape(-1, 2).T, marker="x", s=42, lw=1.6, color="black", label="missing"
        )
        ax.set_xticks(range(len(times)), times, rotation=90, fontsize=8)
        ax.set_title(f"{person} (n = {len(swabs)})", fontsize=10)
        ax.grid(False)
    grid[0, 0].set_yticks(range(len(sites)), [f"{words(name)} {site}" for site, name in names.items()], fontsize=8.5)
    grid[0, 0].set_ylim(len(sites) - 0.4, -0.6)
    fig.supxlabel(f"day of the mission; N = {len(samples)} swabs of {len(crew)} crew", fontsize=10)
    fig.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=5, handletextpad=0.2)
    return fig


@figure
def composition(shares: pd.DataFrame, unit: str, sizes: pd.Series, n: int = 8) -> Figure:
    """Draw what groups of samples consist of: stacked bars of their mean shares, the rest pooled.

    `shares` holds groups × parts, in per cent; the `n` parts with the largest mean share get a color. `sizes` is the
    number of samples in each group.
    """
    top = shares.mean().sort_values(ascending=False, kind="stable").index[:n]
    drawn = shares[top].assign(**{"all others": shares.drop(columns=top).sum(axis=1)})
    fig, ax = new(8.5, 1.7 + 0.32 * len(drawn) + 0.2 * (n // 3))
    left = np.zeros(len(drawn))
    for k, part in enumerate(drawn):
        # Every other part is hatched, so that neighbours differ without colour too.
        ax.barh(
            range(len(drawn)), drawn[part], left=left, height=0.8, ec="white", lw=0.6, label=words(part),
            color=QUIET if part == "all others" else PALETTE[k % len(PALETTE)], hatch="////" if k % 2 else None,
        )  # fmt: skip
        left += drawn[part].to_numpy()
    ax.set_yticks(range(len(drawn)), [f"{words(g)} (n = {sizes[g]})" for g in drawn.index], fontsize=9)
    ax.set(xlabel=unit, xlim=(0, max(100, left.max())), ylim=(len(drawn) - 0.4, -0.6))
    ax.set_title(f"N = {sizes.sum():,} samples; {n} largest of {shares.shape[1]:,} parts")
    ax.grid(False)
    fig.legend(loc="outside lower center", ncols=3)
    return fig


@figure
def highlights(X: pd.DataFrame, samples: pd.DataFrame, by: str = "body_site", what: str = "features") -> Figure:
    """Draw the first two principal components once for each group, its samples marked among all others.

    Small panels need no ten colors; the marker is the person. `X` holds samples × features on one scale, centered
    here but not standardized, or rare taxa would dominate. `samples` has the columns crew and `by`, with the index
    of `X`.
    """
    fitted = PCA(2, random_state=42).fit(X.to_numpy())
    points = fitted.transform(X.to_numpy())
    points *= np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
    groups = sorted(samples[by].unique())
    columns = min(5, len(groups))
    n_rows = -(-len(groups) // columns)
    fig, grid = new(9, 1.1 + 1.8 * n_rows, n_rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax in grid.flat[len(groups) :]:
        ax.set_visible(False)
    colors = colours_of(sorted(samples["crew"].unique()))
    for ax, group in zip(grid.flat, groups, strict=False):
        inside = (samples[by] == group).to_numpy()
        ax.scatter(*points[~inside].T, s=4, color=QUIET, lw=0)
        for person, color in colors.items():
            rows = inside & (samples["crew"] == person).to_numpy()
            marker = MARKERS.get(person, "o")
            ax.scatter(*points[rows].T, s=26, color=color, marker=marker, ec="white", lw=0.4, label=person)
        ax.set_title(f"{words(group)} (n = {inside.sum()})", fontsize=9.5)
        ax.set_xticks([])
        ax.set_yticks([])
    one, two = fitted.explained_variance_ratio_
    fig.supxlabel(f"component 1 ({one:.0%} of variance); N = {len(X)} swabs, {X.shape[1]:,} {what}", fontsize=10)
    fig.supylabel(f"component 2 ({two:.0%})", fontsize=10)
    fig.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=6, handletextpad=0.1)
    return fig


@figure
def richness(numbers: pd.Series, samples: pd.DataFrame, what: str = "taxa") -> Figure:
    """Draw how many taxa or pathways each swab holds, people beside the spacecraft, by day.

    `numbers` counts them for each swab; `samples` has the same index and the columns timepoint, timepoint_days,
    phase and source.
    """
    times, colors = mission_order(samples), {"human": PALETTE[0], "environmental": PALETTE[1]}
    fig, ax = new(8, 3.9)
    rng = np.random.default_rng(0)
    for shift, (source, color) in zip((-0.18, 0.18), colors.items(), strict=True):
        rows = samples[samples["source"] == source]
        x = rows["timepoint"].map(times.index) + shift
        surface = {"human": "crew", "environmental": "capsule"}[source]
        ax.scatter(
            x + rng.uniform(-0.1, 0.1, len(x)), numbers[rows.index], s=16, color=color, alpha=0.65, lw=0,
            marker="o" if source == "human" else "D", label=f"{surface} (n = {len(rows)})",
        )  # fmt: skip
        for time, on_day in rows.groupby("timepoint"):
            median, place = numbers[on_day.index].median(), times.index(str(time)) + shift
            ax.hlines(median, place - 0.15, place + 0.15, color="black", lw=2, zorder=3)
    ax.plot([], [], color="black", lw=2, label="median")
    ax.set_xticks(range(len(times)), times)
    ax.set(xlabel="day of the mission", ylabel=f"{what} detected on a swab")
    ax.set_title(f"N = {len(samples)} swabs")
    ax.grid(False, axis="x")
    fig.legend(loc="outside lower center", ncols=3)
    return fig


@figure
def confusion(predictions: pd.DataFrame, classes: Sequence[str], title: str) -> Figure:
    """Draw which class the predictions of each class went to, in per cent of the true class.

    `predictions` has the columns y_true and y_pred, over all folds of one model; `classes` are drawn in their order,
    phases in that of the mission.
    """
    classes = in_order(classes)
    table = pd.crosstab(predictions["y_true"], predictions["y_pred"]).reindex(index=classes, columns=classes)
    counted = table.fillna(0).to_numpy()
    share = 100 * counted / np.maximum(counted.sum(axis=1, keepdims=True), 1)
    fig, ax = new(2.8 + 0.55 * len(classes), 1.6 + 0.42 * len(classes))
    image = ax.imshow(share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (i, k), value in np.ndenumerate(share):
        if value >= 0.5:
            ax.text(
                k, i, f"{value:.0f}", ha="center", va="center", fontsize=8, color="white" if value > 55 else "black"
            )
    ax.set_xticks(range(len(classes)), [words(c) for c in classes], rotation=45 if len(classes) < 6 else 0)
    ax.set_yticks(
        range(len(classes)), [f"{words(c)} (n = {n:.0f})" for c, n in zip(classes, counted.sum(axis=1), strict=True)]
    )
    ax.set(xlabel="predicted", ylabel="true")
    ax.set_title(f"{title}, N = {counted.sum():,.0f}")
    ax.grid(False)
    fig.colorbar(image, ax=ax, label="% of the true class")
    return fig
