"""Spatial transcriptomics of the skin: one differential table a layer, over the same genes."""

import numpy as np
import pandas as pd
from scipy import special

from somb_utils.tables.simulate import core

GENES, UNIVERSE = 18_677, 26_845
# Of each real table: genes with adj_pval < 0.05, genes without adj_pval (the ones with the lowest baseMean),
# median lfcSE, and the inflation of its p-values.
LAYERS = {
    "all_skin": (220, 3_259, 0.229, 1.4),
    "outer_epidermis": (35, 0, 0.258, 1.3),
    "inner_epidermis": (11, 0, 0.262, 1.2),
    "outer_dermis": (18, 17_743, 0.221, 1.0),
    "epidermis": (40, 2_535, 0.173, 1.3),
}
# Log odds of a layer's genes a deviation of log baseMean, and a unit of the absolute all-skin statistic.
SIGNAL = {
    "all_skin": (0.6, 0.0),
    "outer_epidermis": (0.5, 0.5),
    "inner_epidermis": (0.5, 0.4),
    "outer_dermis": (0.0, 0.1),
    "epidermis": (0.5, 0.6),
}


def layer_table(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate one layer: the genes' common baseMean, the layer's own statistics."""
    layer = name.removeprefix("gt_spatial_de_")
    n = spec.size(GENES)
    shared = core.stream(spec.seed, "spatial")
    genes = core.gene_ids(core.subset(shared, core.scaled(UNIVERSE, n, GENES), n))
    # Real log baseMean: median 2.25, deviation 0.37, a long right tail to 7.4.
    body, tail = shared.standard_normal(n), shared.standard_exponential(n)
    log_base = np.sort(2.24 + 0.22 * body + 0.2 * (tail - np.log(2)) * (tail > 1))[shared.permutation(n)]
    expression = core.standardized(log_base)
    whole = _statistics("all_skin", spec, expression, np.zeros(n))
    own = whole
    if layer != "all_skin":
        own = _statistics(layer, spec, expression, np.abs(whole["stat"].to_numpy()))
    return core.rounded(pd.concat([pd.DataFrame({"gene": genes, "baseMean": np.exp(log_base)}), own], axis=1))


def _statistics(layer: str, spec: core.Spec, expression: core.Floats, whole: core.Floats) -> pd.DataFrame:
    n = len(expression)
    n_positive, n_missing, error, inflation = LAYERS[layer]
    rng = core.stream(spec.seed, "spatial", layer)
    k = core.positives(n_positive, n, GENES)
    missing = min(core.scaled(n_missing, n, GENES), n - k) if n_missing else 0
    by_expression, by_statistic = SIGNAL[layer]
    tested = np.argsort(np.argsort(expression, kind="stable"), kind="stable") >= missing
    logit = spec.effect * (by_expression * expression + by_statistic * whole + 12.0 * tested)
    positive = core.pick(rng, logit, k)
    hidden = _lowest(expression, ~positive, missing)
    p = np.empty(n)
    p[~hidden] = core.p_values(rng, positive[~hidden], 1.2, inflation)
    p[hidden] = rng.random(missing)
    stat = -core.signs(rng, n) * special.ndtri(p / 2)
    se = error * np.exp(0.11 * rng.standard_normal(n) - 0.06 * expression)
    adjusted = np.full(n, np.nan)
    adjusted[~hidden] = core.benjamini_hochberg(p[~hidden])
    return pd.DataFrame({"log2FoldChange": stat * se, "lfcSE": se, "stat": stat, "pval": p, "adj_pval": adjusted})


def _lowest(expression: core.Floats, allowed: core.Bools, k: int) -> core.Bools:
    """Return the k allowed genes with the lowest expression."""
    order = np.argsort(np.where(allowed, expression, np.inf), kind="stable")
    chosen = np.zeros(len(expression), dtype=bool)
    chosen[order[:k]] = True
    return chosen
