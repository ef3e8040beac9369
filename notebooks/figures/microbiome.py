"""Figures of swabs: which were taken, what is on them, how sites, days and surfaces differ."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from somb_utils.plots.samples import mission_order
from somb_utils.plots.style import COLOURS, MARKERS, PALETTE, PHASES, QUIET, colours_of, figure, in_order, new, words


@figure
def swab_calendar(samples: pd.DataFrame) -> Figure:
    """Draw which site of whom was swabbed when, a panel a person, missing swabs crossed.

    Parameters
    ----------
    samples
        Columns crew, timepoint, timepoint_days, phase, body_site, body_site_name; a row a swab.
    """
    times, crew = mission_order(samples), sorted(samples["crew"].unique())
    names = samples.drop_duplicates("body_site").set_index("body_site")["body_site_name"].sort_index()
    sites = list(names.index)
    made, grid = new(9, 1.7 + 0.26 * len(sites), 1, len(crew), sharey=True, squeeze=False)
    for axes, person in zip(grid.flat, crew, strict=True):
        own = samples[samples["crew"] == person]
        for phase in PHASES:
            rows = own[own["phase"] == phase]
            at = rows["timepoint"].map(times.index), rows["body_site"].map(sites.index)
            axes.scatter(*at, s=48, marker="s", color=COLOURS[phase], label=words(phase))
        taken = set(zip(own["timepoint"], own["body_site"], strict=True))
        gaps = [(i, k) for i, t in enumerate(times) for k, s in enumerate(sites) if (t, s) not in taken]
        axes.scatter(
            *np.array(gaps, dtype=float).reshape(-1, 2).T, marker="x", s=42, lw=1.6, color="black", label="missing"
        )
        axes.set_xticks(range(len(times)), times, rotation=90, fontsize=8)
        axes.set_title(f"{person} (n = {len(own)})", fontsize=10)
        axes.grid(False)
    grid[0, 0].set_yticks(range(len(sites)), [f"{words(name)} {site}" for site, name in names.items()], fontsize=8.5)
    grid[0, 0].set_ylim(len(sites) - 0.4, -0.6)
    made.supxlabel(f"day of the mission; N = {len(samples)} swabs of {len(crew)} crew", fontsize=10)
    made.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=5, handletextpad=0.2)
    return made


@figure
def composition(shares: pd.DataFrame, unit: str, sizes: pd.Series, n: int = 8) -> Figure:
    """Draw what groups of samples consist of: stacked bars of their mean shares, the rest as one.

    Parameters
    ----------
    shares
        Groups × parts, mean shares in per cent.
    unit
        Label of the shares.
    sizes
        Samples a group.
    n
        Parts that get a colour, those with the largest mean share.
    """
    top = shares.mean().sort_values(ascending=False, kind="stable").index[:n]
    drawn = shares[top].assign(**{"all others": shares.drop(columns=top).sum(axis=1)})
    made, axes = new(8.5, 1.7 + 0.32 * len(drawn) + 0.2 * (n // 3))
    left = np.zeros(len(drawn))
    for k, part in enumerate(drawn):
        # Every other part is hatched, so that neighbours differ without colour too.
        axes.barh(
            range(len(drawn)), drawn[part], left=left, height=0.8, ec="white", lw=0.6, label=words(part),
            color=QUIET if part == "all others" else PALETTE[k % len(PALETTE)], hatch="////" if k % 2 else None,
        )  # fmt: skip
        left += drawn[part].to_numpy()
    axes.set_yticks(range(len(drawn)), [f"{words(g)} (n = {sizes[g]})" for g in drawn.index], fontsize=9)
    axes.set(xlabel=unit, xlim=(0, max(100, left.max())), ylim=(len(drawn) - 0.4, -0.6))
    axes.set_title(f"N = {sizes.sum():,} samples; {n} largest of {shares.shape[1]:,} parts")
    axes.grid(False)
    made.legend(loc="outside lower center", ncols=3)
    return made


@figure
def highlights(X: pd.DataFrame, samples: pd.DataFrame, by: str = "body_site", what: str = "features") -> Figure:
    """Draw the first two principal components once for each group, its samples marked among all others.

    Small panels need no colour to tell ten groups apart; the marker is the person.

    Parameters
    ----------
    X
        Samples × features, numbers of one scale; centred here and not scaled, or rare kinds would lead.
    samples
        Columns crew and `by`, same index.
    what
        What the columns are.
    """
    fitted = PCA(2, random_state=42).fit(X.to_numpy())
    points = fitted.transform(X.to_numpy())
    points *= np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
    groups = sorted(samples[by].unique())
    columns = min(5, len(groups))
    lines = -(-len(groups) // columns)
    made, grid = new(9, 1.1 + 1.8 * lines, lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(groups) :]:
        axes.set_visible(False)
    tints = colours_of(sorted(samples["crew"].unique()))
    for axes, group in zip(grid.flat, groups, strict=False):
        own = (samples[by] == group).to_numpy()
        axes.scatter(*points[~own].T, s=4, color=QUIET, lw=0)
        for person, tint in tints.items():
            rows = own & (samples["crew"] == person).to_numpy()
            marker = MARKERS.get(person, "o")
            axes.scatter(*points[rows].T, s=26, color=tint, marker=marker, ec="white", lw=0.4, label=person)
        axes.set_title(f"{words(group)} (n = {own.sum()})", fontsize=9.5)
        axes.set_xticks([])
        axes.set_yticks([])
    one, two = fitted.explained_variance_ratio_
    made.supxlabel(f"component 1 ({one:.0%} of variance); N = {len(X)} swabs, {X.shape[1]:,} {what}", fontsize=10)
    made.supylabel(f"component 2 ({two:.0%})", fontsize=10)
    made.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=6, handletextpad=0.1)
    return made


@figure
def richness(numbers: pd.Series, samples: pd.DataFrame, what: str = "taxa") -> Figure:
    """Draw how many kinds each swab holds, people beside the spacecraft, by day.

    Parameters
    ----------
    numbers
        Kinds detected a swab.
    samples
        Columns timepoint, timepoint_days, phase, source; same index.
    what
        What is counted.
    """
    times, tints = mission_order(samples), {"human": PALETTE[0], "environmental": PALETTE[1]}
    made, axes = new(8, 3.9)
    rng = np.random.default_rng(0)
    for shift, (source, tint) in zip((-0.18, 0.18), tints.items(), strict=True):
        rows = samples[samples["source"] == source]
        x = rows["timepoint"].map(times.index) + shift
        said = {"human": "crew", "environmental": "capsule"}[source]
        axes.scatter(
            x + rng.uniform(-0.1, 0.1, len(x)), numbers[rows.index], s=16, color=tint, alpha=0.65, lw=0,
            marker="o" if source == "human" else "D", label=f"{said} (n = {len(rows)})",
        )  # fmt: skip
        for time, own in rows.groupby("timepoint"):
            middle, place = numbers[own.index].median(), times.index(str(time)) + shift
            axes.hlines(middle, place - 0.15, place + 0.15, color="black", lw=2, zorder=3)
    axes.plot([], [], color="black", lw=2, label="median")
    axes.set_xticks(range(len(times)), times)
    axes.set(xlabel="day of the mission", ylabel=f"{what} detected on a swab")
    axes.set_title(f"N = {len(samples)} swabs")
    axes.grid(False, axis="x")
    made.legend(loc="outside lower center", ncols=3)
    return made


@figure
def confusion(predictions: pd.DataFrame, classes: Sequence[str], title: str) -> Figure:
    """Draw which class each model prediction went to, in per cent of the true class.

    Parameters
    ----------
    predictions
        Columns y_true, y_pred of all folds of one model.
    classes
        Drawn in their order, phases in that of the mission.
    title
        What was predicted and by which model.
    """
    classes = in_order(classes)
    table = pd.crosstab(predictions["y_true"], predictions["y_pred"]).reindex(index=classes, columns=classes)
    counted = table.fillna(0).to_numpy()
    share = 100 * counted / np.maximum(counted.sum(axis=1, keepdims=True), 1)
    made, axes = new(2.8 + 0.55 * len(classes), 1.6 + 0.42 * len(classes))
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (i, k), value in np.ndenumerate(share):
        if value >= 0.5:
            axes.text(
                k, i, f"{value:.0f}", ha="center", va="center", fontsize=8, color="white" if value > 55 else "black"
            )
    axes.set_xticks(range(len(classes)), [words(c) for c in classes], rotation=45 if len(classes) < 6 else 0)
    axes.set_yticks(
        range(len(classes)), [f"{words(c)} (n = {n:.0f})" for c, n in zip(classes, counted.sum(axis=1), strict=True)]
    )
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(f"{title}, N = {counted.sum():,.0f}")
    axes.grid(False)
    made.colorbar(image, ax=axes, label="% of the true class")
    return made
