"""Figures of differential expression in several layers of one tissue: agreement of effects, and who was tested."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

from somb_utils.plots.style import PALETTE, QUIET, figure, new

ALPHA = 0.05
_UNTESTED = "#D9D9D9"


@figure
def layers(whole: pd.DataFrame, parts: Mapping[str, pd.DataFrame], name: str = "whole skin") -> Figure:
    """Draw the fold changes of the whole tissue against those of each layer, the layer's significant genes marked.

    Parameters
    ----------
    whole
        Columns gene, log2FoldChange.
    parts
        Table by layer, with columns gene, log2FoldChange, adj_pval.
    name
        What `whole` is.
    """
    rows = -(-len(parts) // 2)
    made, grid = new(8.5, 3.9 * rows, rows, 2, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(parts) :]:
        axes.set_visible(False)
    for axes, (layer, part) in zip(grid.flat, parts.items(), strict=False):
        both = whole[["gene", "log2FoldChange"]].merge(part, on="gene", suffixes=("_whole", ""))
        hit = both["adj_pval"] < ALPHA
        x, y = both["log2FoldChange_whole"], both["log2FoldChange"]
        axes.scatter(x[~hit], y[~hit], s=3, color=QUIET, lw=0, alpha=0.5, rasterized=True)
        axes.scatter(x[hit], y[hit], s=22, color=PALETTE[1], ec="white", lw=0.4, label=f"changed (n = {hit.sum():,})")
        axes.axhline(0, color="black", lw=0.7)
        axes.axvline(0, color="black", lw=0.7)
        axes.set_title(f"{layer}\nN = {len(both):,} genes; Spearman's ρ = {x.corr(y, method='spearman'):.2f}")
        axes.legend(loc="upper left", handletextpad=0.1, borderaxespad=0.1)
    made.supxlabel(f"{name}: log2 fold change", fontsize=10)
    made.supylabel("the layer: log2 fold change", fontsize=10)
    return made


@figure
def tested(parts: Mapping[str, pd.DataFrame], n_bins: int = 40) -> Figure:
    """Draw genes by mean expression: without an adjusted p-value, with one, and significant, a panel a layer.

    Parameters
    ----------
    parts
        Table by layer, with columns baseMean, adj_pval.
    n_bins
        Bins of the logarithm of the mean expression.
    """
    rows = -(-len(parts) // 2)
    made, grid = new(9, 0.9 + 2.6 * rows, rows, 2, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(parts) :]:
        axes.set_visible(False)
    pooled = pd.concat([part["baseMean"] for part in parts.values()])
    bins = np.geomspace(pooled.min(), pooled.max(), n_bins)
    for axes, (layer, part) in zip(grid.flat, parts.items(), strict=False):
        has, hit = part["adj_pval"].notna(), part["adj_pval"] < ALPHA
        base = [part.loc[~has, "baseMean"], part.loc[has, "baseMean"]]
        axes.hist(base, bins, stacked=True, color=[_UNTESTED, PALETTE[5]], label=["no adjusted p", "tested"], lw=0)
        low = part.loc[hit, "baseMean"]
        axes.scatter(low, np.full(len(low), 0.55), marker="|", color=PALETTE[1], s=45, lw=1.3, label="changed gene")
        axes.set(xscale="log", yscale="log", ylim=(0.4, None))
        axes.xaxis.set_major_locator(FixedLocator([5, 10, 20, 50, 100, 300, 1000]))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title(f"{layer}\n{has.sum():,} of {len(part):,} tested, {hit.sum():,} changed", fontsize=10)
    made.supxlabel("mean normalized count of the gene (baseMean)", fontsize=10)
    made.supylabel("genes", fontsize=10)
    made.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return made
