"""Cross-tissue genes (H1) and cross-mission pathways (I2)."""

import numpy as np
import pandas as pd

from somb_utils.tables.derive import PBMC_CELL_TYPES
from somb_utils.tables.simulate import core

GENES, SKIN = 731, 32
# Of the real columns, by cell type: median of the rising genes, and of the falling quarter.
RISING = (0.20, 0.20, 0.22, 0.23, 0.21, 0.30, 0.31, 0.27, 0.23)
FALLING = (-0.75, -0.75, -0.8, -0.75, -0.7, -0.45, -0.95, -1.05, -0.45)
PATHWAYS, CONSERVED = 452, 146


def conserved_pbmc_to_skin(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate H1: one common response in nine cell types; skin follows where it falls."""
    n = spec.size(GENES)
    rng = core.stream(spec.seed, name)
    genes = core.gene_ids(core.subset(rng, max(core.UNIVERSE, n), n))
    falls = rng.random((n, 1)) < 0.27
    size = np.exp(0.35 * rng.standard_normal((n, 1)))
    values = np.where(falls, FALLING, RISING) * size
    values += np.where(falls, 0.25, 0.1) * rng.standard_normal(values.shape)
    fall = np.where(falls[:, 0], np.clip(-values.mean(axis=1), 0, 2), 0)
    window = (fall > 0.5) & (fall < 0.8)
    label = core.pick(rng, spec.effect * (1.6 * falls[:, 0] + 1.8 * window), core.positives(SKIN, n, GENES))
    frame = pd.DataFrame(core.significant(values), columns=PBMC_CELL_TYPES)
    frame.insert(0, "human_gene", genes)
    return frame.assign(skin_de=label.astype(np.int64))


def cross_mission_pathway_features(name: str, spec: core.Spec) -> pd.DataFrame:
    """Simulate I2: enrichment of a pathway over cell types; size decides which are conserved."""
    n = spec.size(PATHWAYS)
    rng = core.stream(spec.seed, name)
    size = np.exp(5.2 + 1.25 * rng.standard_normal(n)).clip(4, 1824)
    down = rng.random(n) < 0.7
    strength = rng.standard_normal(n)
    log_size = core.standardized(np.log(size))
    cells = np.clip(np.rint(6.6 + 2.0 * strength + 1.5 * rng.standard_normal(n)), 1, 9)
    min_padj = np.minimum(10.0 ** (-4 - 1.8 * strength + rng.standard_normal(n)), 0.0499)
    mean_padj = np.minimum(min_padj + 0.012 * rng.standard_exponential(n) * (cells > 1), 0.0499)
    nes = np.where(down, -1.78 - 0.2 * strength, 1.42 + 0.08 * strength)
    es = np.where(down, -0.82, 0.6) - 0.12 * log_size * np.where(down, -1, 1) + 0.05 * rng.standard_normal(n)
    frame = pd.DataFrame(
        {
            "pathway": [f"SYN-PWY-{20_000 + i}" for i in range(n)],
            "mean_NES": nes + 0.05 * rng.standard_normal(n),
            "std_NES": np.where(cells > 1, np.abs(0.07 + 0.03 * rng.standard_normal(n)), 0.0),
            "mean_ES": np.clip(es, -0.999, 0.999),
            "mean_padj": mean_padj,
            "min_padj": min_padj,
            "n_celltypes": cells.astype(np.int64),
            "mean_size": np.rint(size),
            "direction_consistency": 1.0,
        }
    )
    middle = np.abs(log_size - 0.3) < 0.7
    logit = spec.effect * (1.6 * middle + 0.3 * log_size + 0.3 * strength)
    label = core.pick(rng, logit, core.positives(CONSERVED, n, PATHWAYS))
    return core.rounded(frame).assign(label=label.astype(np.int64))
