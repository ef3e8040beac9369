"""Figures of differential expression in the layers of one tissue: agreement of effects, and which genes were tested."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

from somb_utils.plots.style import PALETTE, QUIET, figure, new

ALPHA = 0.05
UNTESTED = "#D9D9D9"


@figure
def layers(whole: pd.DataFrame, parts: Mapping[str, pd.DataFrame], name: str = "whole skin") -> Figure:
    """Draw the fold changes of the whole tissue against those of each layer, the layer's significant genes marked.

    `whole` has the columns gene and log2FoldChange; each of `parts`, by the layer's name, adj_pval as well.
    """
    rows = -(-len(parts) // 2)
    fig, grid = new(8.5, 3.9 * rows, rows, 2, squeeze=False, sharex=True, sharey=True)
    for ax in grid.flat[len(parts) :]:
        ax.set_visible(False)
    for ax, (layer, part) in zip(grid.flat, parts.items(), strict=False):
        both = whole[["gene", "log2FoldChange"]].merge(part, on="gene", suffixes=("_whole", ""))
        hit = both["adj_pval"] < ALPHA
        x, y = both["log2FoldChange_whole"], both["log2FoldChange"]
        ax.scatter(x[~hit], y[~hit], s=3, color=QUIET, lw=0, alpha=0.5, rasterized=True)
        ax.scatter(x[hit], y[hit], s=22, color=PALETTE[1], ec="white", lw=0.4, label=f"changed (n = {hit.sum():,})")
        ax.axhline(0, color="black", lw=0.7)
        ax.axvline(0, color="black", lw=0.7)
        ax.set_title(f"{layer}\nN = {len(both):,} genes; Spearman's ρ = {x.corr(y, method='spearman'):.2f}")
        ax.legend(loc="upper left", handletextpad=0.1, borderaxespad=0.1)
    fig.supxlabel(f"{name}: log2 fold change", fontsize=10)
    fig.supylabel("the layer: log2 fold change", fontsize=10)
    return fig


@figure
def tested(parts: Mapping[str, pd.DataFrame], n_bins: int = 40) -> Figure:
    """Draw genes by mean expression: without an adjusted p-value, with one, and significant; one panel per layer.

    Each of `parts`, by the layer's name, has the columns baseMean and adj_pval; bins are equal on the log scale.
    """
    rows = -(-len(parts) // 2)
    fig, grid = new(9, 0.9 + 2.6 * rows, rows, 2, squeeze=False, sharex=True, sharey=True)
    for ax in grid.flat[len(parts) :]:
        ax.set_visible(False)
    pooled = pd.concat([part["baseMean"] for part in parts.values()])
    bins = np.geomspace(pooled.min(), pooled.max(), n_bins)
    for ax, (layer, part) in zip(grid.flat, parts.items(), strict=False):
        has, hit = part["adj_pval"].notna(), part["adj_pval"] < ALPHA
        base = [part.loc[~has, "baseMean"], part.loc[has, "baseMean"]]
        ax.hist(base, bins, stacked=True, color=[UNTESTED, PALETTE[5]], label=["no adjusted p", "tested"], lw=0)
        low = part.loc[hit, "baseMean"]
        ax.scatter(low, np.full(len(low), 0.55), marker="|", color=PALETTE[1], s=45, lw=1.3, label="changed gene")
        ax.set(xscale="log", yscale="log", ylim=(0.4, None))
        ax.xaxis.set_major_locator(FixedLocator([5, 10, 20, 50, 100, 300, 1000]))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_title(f"{layer}\n{has.sum():,} of {len(part):,} tested, {hit.sum():,} changed", fontsize=10)
    fig.supxlabel("mean normalized count of the gene (baseMean)", fontsize=10)
    fig.supylabel("genes", fontsize=10)
    fig.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return fig
