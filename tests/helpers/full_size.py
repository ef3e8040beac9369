"""Simulated tables with as many genes or taxa as the real ones have; by default fewer are simulated."""

import pandas as pd

from somb_utils.tables.simulate import simulate_table

FULL = {
    **dict.fromkeys(("cfrna_3group_de_noleak", "cfrna_466drr", "cross_mission_hemoglobin_de"), 26_845),
    **dict.fromkeys(("gt_cfrna_correlation", "gt_cfrna_cluster_labels"), 466),
    **dict.fromkeys(("microbiome_human_taxonomy_cpm", "microbiome_env_taxonomy_cpm"), 16_172),
    "cross_mission_gene_de": 15_540,
}


def full_table(name: str, effect: float = 1.0) -> pd.DataFrame:
    """Simulate a table of the real size."""
    return simulate_table(name, effect=effect, n_features=FULL.get(name))
