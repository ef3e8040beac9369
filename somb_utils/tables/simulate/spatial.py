"""Spatial transcriptomics of the skin: one differential table per layer, over the same genes.

``data/simulate/skin_layers.csv`` has the summary figures of each real table: genes with adj_pval < 0.05, genes without
adj_pval (the ones with the lowest baseMean), median lfcSE, inflation of the p-values, and log odds of the layer's genes
per deviation of log baseMean and per unit of the absolute all-skin statistic.
"""

import numpy as np
import pandas as pd
from scipy import special, stats

from somb_utils.tables.simulate import core

GENES = 18_677
LAYERS = tuple(core.figures("skin_layers").index)


def layer_table(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate one layer: the genes' common baseMean, the statistics of the layer."""
    layer = name.removeprefix("gt_spatial_de_")
    n = spec.size(GENES)
    shared = core.stream(spec.seed, "spatial")
    genes = core.gene_ids(core.subset(shared, core.scaled(core.UNIVERSE, n, GENES), n))
    # Real log baseMean: median 2.25, deviation 0.37, a long right tail to 7.4.
    body, tail = shared.standard_normal(n), shared.standard_exponential(n)
    log_base = np.sort(2.24 + 0.22 * body + 0.2 * (tail - np.log(2)) * (tail > 1))[shared.permutation(n)]
    expression = core.standardized(log_base)
    statistics = _statistics("all_skin", spec, expression, np.zeros(n))
    if layer != "all_skin":
        statistics = _statistics(layer, spec, expression, np.abs(statistics["stat"].to_numpy()))
    return core.rounded(pd.DataFrame({"gene": genes, "baseMean": np.exp(log_base)}).join(statistics))


def _statistics(layer: str, spec: core.Spec, expression: core.Floats, all_skin: core.Floats) -> pd.DataFrame:
    n, of = len(expression), core.figures("skin_layers").to_dict("index")[layer]
    rng = core.stream(spec.seed, "spatial", layer)
    k = core.positives(of["positive"], n, GENES)
    missing = min(core.scaled(of["untested"], n, GENES), n - k) if of["untested"] else 0
    tested = ~core.first(missing, expression)
    logit = spec.effect * (of["by_expression"] * expression + of["by_statistic"] * all_skin + 12.0 * tested)
    positive = core.pick(rng, logit, k)
    hidden = core.first(missing, np.where(positive, np.inf, expression))
    p, adjusted = np.empty(n), np.full(n, np.nan)
    p[~hidden] = core.p_values(rng, positive[~hidden], 1.2, of["inflation"])
    p[hidden] = rng.random(missing)
    adjusted[~hidden] = stats.false_discovery_control(p[~hidden])
    stat = -core.signs(rng, n) * special.ndtri(p / 2)
    se = of["lfc_se"] * np.exp(0.11 * rng.standard_normal(n) - 0.06 * expression)
    return pd.DataFrame({"log2FoldChange": stat * se, "lfcSE": se, "stat": stat, "pval": p, "adj_pval": adjusted})
