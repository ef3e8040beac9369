"""Figures of genes, proteins, compounds: effects, their distribution and agreement, groups and their sizes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from somb_utils.plots.style import DIVERGING, PALETTE, QUIET, colours_of, figure, legend_below, new, short, words


@figure
def volcano(
    panels: Mapping[str, pd.DataFrame],
    effect: str = "logFC",
    strength: str = "adj_pval",
    name: str = "gene",
    alpha: float = 0.05,
    label: int = 6,
    units: tuple[str, str] = ("log2 fold change", "−log10 adjusted p"),
) -> Figure:
    """Draw effect against strength of evidence, one panel per table, and name the strongest.

    Parameters
    ----------
    panels
        Table by title.
    effect, strength, name
        Columns; a `strength` of p-values is drawn as −log10.
    alpha
        Points below it are coloured.
    label
        How many of the strongest to name in each panel.
    units
        Axis labels.

    Returns
    -------
    Figure
        Of matplotlib.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    fig, grid = new(9 if columns > 1 else 7, 3.9 * rows, rows, columns, squeeze=False)
    for ax in grid.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (title, table) in zip(grid.flat, panels.items(), strict=False):
        kept = table.dropna(subset=[effect, strength])
        x, y = kept[effect].to_numpy(), -np.log10(kept[strength].clip(lower=1e-300).to_numpy())
        hit = kept[strength].to_numpy() < alpha
        up = hit & (x > 0)
        for rows_in, tint, said in (
            (~hit, QUIET, "not significant"),
            (up, PALETTE[1], "higher"),
            (hit & ~up, PALETTE[0], "lower"),
        ):
            ax.scatter(x[rows_in], y[rows_in], s=9, color=tint, lw=0, label=f"{said} (n = {rows_in.sum():,})")
        ax.axhline(-np.log10(alpha), color="black", lw=0.8, ls="--")
        ax.set(xlabel=units[0], ylabel=units[1], title=f"{title}\nN = {len(kept):,}")
        ax.margins(0.12)
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, columnspacing=0.8, handletextpad=0.1, fontsize=8
        )
        best = np.argsort(-np.where(hit, y, -np.inf), kind="stable")[: min(4 * label, int(hit.sum()))]
        annotate(fig, ax, x[best], y[best], kept[name].astype(str).iloc[best].tolist(), label)
    return fig


def annotate(fig: Figure, ax: Axes, x: np.ndarray, y: np.ndarray, names: Sequence[str], most: int) -> None:
    """Name points in the given order, leaving out those whose name would cover another."""
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    ax.set(xlim=(x0, x1), ylim=(y0, y1))
    per_letter = 4.4 / (ax.get_position().width * 72 * fig.get_figwidth())
    taken: list[tuple[float, float, float]] = []
    for px, py, name in zip(x, y, names, strict=True):
        u, v, text = (px - x0) / (x1 - x0), (py - y0) / (y1 - y0), short(name, 24)
        side = "right" if u > 0.5 else "left"
        width = per_letter * (len(text) + 2)
        left, right = (u - width, u) if side == "right" else (u, u + width)
        if len(taken) < most and all(abs(v - w) > 0.07 or left > r or right < k for w, k, r in taken):
            taken.append((v, left, right))
            offset = (-5 if side == "right" else 5, 2)
            ax.annotate(text, (px, py), offset, textcoords="offset points", ha=side, fontsize=7.5)


@figure
def scatter(
    table: pd.DataFrame,
    x: str,
    y: str,
    group: str | None = None,
    units: tuple[str, str] = ("", ""),
    name: str | None = None,
    label: int = 0,
    what: str = "rows",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw two columns against one another, coloured by group, with their rank correlation.

    Parameters
    ----------
    table
        One row per point.
    x, y
        Columns.
    group
        Column that colours points; its largest class is drawn first and grey.
    units
        Axis labels.
    name, label
        Column with names, and how many of the most distant points to name.
    what
        What the rows are.
    limits
        Quantiles that axes span, if outliers would squeeze the rest.

    Returns
    -------
    Figure
        Of matplotlib.
    """
    kept = table.dropna(subset=[x, y])
    fig, ax = new(7, 4.8)
    groups = kept[group].astype(str) if group else pd.Series("all", index=kept.index)
    sizes = groups.value_counts()
    tints: dict[str, Any] = {sizes.index[0]: QUIET if len(sizes) > 1 else PALETTE[0]}
    tints |= dict(zip(sizes.index[1:], PALETTE[1:], strict=False))
    for key in sizes.index:
        rows = kept[groups == key]
        said = f"{words(key)} (n = {len(rows):,})"
        ax.scatter(rows[x], rows[y], s=10 if len(kept) > 600 else 18, color=tints[key], lw=0, alpha=0.8, label=said)
    if kept[y].min() < 0 < kept[y].max():
        ax.axhline(0, color="black", lw=0.7)
    if kept[x].min() < 0 < kept[x].max():
        ax.axvline(0, color="black", lw=0.7)
    if limits:
        ax.set(xlim=kept[x].quantile(limits).to_numpy(), ylim=kept[y].quantile(limits).to_numpy())
    rho = kept[x].corr(kept[y], method="spearman")
    ax.set(xlabel=units[0] or words(x), ylabel=units[1] or words(y))
    ax.set_title(f"N = {len(kept):,} {what}; Spearman's ρ = {rho:.2f}")
    if name:
        far = (kept[[x, y]] / kept[[x, y]].std()).pow(2).sum(axis=1).sort_values(ascending=False, kind="stable")
        best = kept.loc[far.index[: 4 * label]]
        annotate(fig, ax, best[x].to_numpy(), best[y].to_numpy(), best[name].astype(str).tolist(), label)
    if len(sizes) > 1:
        legend_below(ax, columns=4, markerscale=2)
    return fig


@figure
def heatmap(
    table: pd.DataFrame, unit: str, groups: pd.Series | None = None, limit: float | None = None, what: str = "features"
) -> Figure:
    """Draw a matrix of signed numbers; `groups` names and separates blocks of rows that stand together.

    Parameters
    ----------
    table
        Numbers, rows and columns in the order to be drawn.
    unit
        Label of the colour bar.
    groups
        Group a row, same index and order as the rows.
    limit
        End of the colour scale; the largest absolute value if omitted.
    what
        What the rows are.

    Returns
    -------
    Figure
        Of matplotlib.
    """
    fig, ax = new(8.5, 6.2 if groups is not None else min(1.6 + 0.26 * len(table), 9))
    limit = limit or float(np.nanmax(np.abs(table.to_numpy())))
    image = ax.imshow(table, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    fig.colorbar(image, ax=ax, label=unit, shrink=0.7)
    ax.grid(False)
    ax.set_title(f"N = {table.shape[0]:,} × {table.shape[1]:,} {what}")
    if groups is None:
        ax.set_yticks(range(len(table)), [words(i) for i in table.index], fontsize=8)
        ax.set_xticks(range(table.shape[1]), [words(c) for c in table.columns], rotation=60, ha="right", fontsize=8)
        if table.size <= 150:
            _write_values(ax, table.to_numpy(), limit)
        return fig
    sizes = groups.value_counts(sort=False).loc[groups.drop_duplicates()]
    ends = sizes.cumsum().to_numpy()
    middles = ends - sizes.to_numpy() / 2 - 0.5
    ax.hlines(ends[:-1] - 0.5, -0.5, table.shape[1] - 0.5, color="black", lw=0.5)
    if table.shape[0] == table.shape[1]:
        ax.vlines(ends[:-1] - 0.5, -0.5, len(table) - 0.5, color="black", lw=0.5)
    ax.set_yticks(_spread(middles, len(table) / 30), [f"{short(g)} ({n})" for g, n in sizes.items()], fontsize=7.5)
    ax.set_xticks([])
    ax.set_xlabel(f"the same order, N = {table.shape[1]:,}")
    return fig


def _write_values(ax: Axes, values: np.ndarray, limit: float) -> None:
    """Write each number into its cell, in white where the cell is dark."""
    for (i, k), value in np.ndenumerate(values):
        if np.isfinite(value):
            tint = "white" if abs(value) > 0.65 * limit else "black"
            shown = f"{round(value, 2) + 0:.2f}"  # no minus before a zero
            ax.text(k, i, shown, ha="center", va="center", fontsize=7.5, color=tint)


def _spread(positions: np.ndarray, gap: float) -> np.ndarray:
    """Move positions apart until neighbours stand at least `gap` away, from the first on and then back."""
    moved = positions.astype(float).copy()
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    excess = max(0.0, moved[-1] - positions[-1])
    moved[-1] -= excess
    for i in range(len(moved) - 2, -1, -1):
        moved[i] = min(moved[i], moved[i + 1] - gap)
    return moved


@figure
def counts(table: pd.DataFrame, unit: str, title: str = "") -> Figure:
    """Draw stacked horizontal bars, one per row, with a colour per column.

    Parameters
    ----------
    table
        Counts; rows in the order to be drawn from the top.
    unit, title
        Labels of the counts and of the figure.

    Returns
    -------
    Figure
        Of matplotlib.
    """
    fig, ax = new(8, 1.5 + 0.27 * len(table))
    left = np.zeros(len(table))
    tints = colours_of(map(str, table.columns))
    for column in table:
        ax.barh(range(len(table)), table[column], left=left, color=tints[str(column)], label=words(column), height=0.75)
        left += table[column].to_numpy()
    for i, total in enumerate(left):
        ax.text(total, i, f" {total:,.0f}", va="center", fontsize=8)
    ax.set_yticks(range(len(table)), [short(words(i), 44) for i in table.index], fontsize=8.5)
    ax.set(xlabel=unit, ylim=(len(table) - 0.4, -0.6))
    ax.set_title(title or f"N = {left.sum():,.0f}")
    ax.margins(x=0.08)
    ax.grid(False, axis="y")
    if table.shape[1] > 1:
        legend_below(ax, columns=4)
    return fig
