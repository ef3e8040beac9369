"""Simulated tables: the schema and difficulty of the real ones, and nothing of their content.

Shapes and class counts are the real ones too, but for a quarter of the genes of cell-free RNA and a twentieth of the
taxa.

Identifiers are invented (`SYN00001`); crew and timepoints keep the real schema, the mission reads `SIM`.
Numbers are drawn from distributions whose summary figures are in the modules of this package and ``data/simulate/``.
"""

from collections.abc import Callable

import pandas as pd

from somb_utils._seeds import checked_seed
from somb_utils.errors import UsageError
from somb_utils.tables.simulate import (
    cfrna,
    clinical,
    conservation,
    metabolomics,
    microbiome,
    mouse,
    proteomics,
    spatial,
)
from somb_utils.tables.simulate.core import Spec

_TABLES: dict[str, Callable[[str, Spec], pd.DataFrame]] = {
    **dict.fromkeys(clinical.PANELS, clinical.clinical_panel),
    "cfrna_3group_de_noleak": cfrna.cfrna_3group_de_noleak,
    "cfrna_466drr": cfrna.cfrna_466drr,
    "gt_cfrna_correlation": cfrna.gt_cfrna_correlation,
    "gt_cfrna_cluster_labels": cfrna.gt_cfrna_cluster_labels,
    "proteomics_plasma_matrix": proteomics.proteomics_plasma_matrix,
    "proteomics_plasma_de_clean": proteomics.proteomics_plasma_de_clean,
    "proteomics_evp_de_clean": proteomics.proteomics_evp_de_clean,
    "metabolomics_spaceflight_response": metabolomics.metabolomics_spaceflight_response,
    "metabolomics_de": metabolomics.metabolomics_de,
    "metabolomics_anppos_matrix": metabolomics.metabolomics_anppos_matrix,
    "metabolomics_metadata": metabolomics.metabolomics_metadata,
    **{f"gt_spatial_de_{layer}": spatial.layer_table for layer in spatial.LAYERS},
    "microbiome_metadata": microbiome.microbiome_metadata,
    "microbiome_human_taxonomy_cpm": microbiome.microbiome_human_taxonomy_cpm,
    "microbiome_env_taxonomy_cpm": microbiome.microbiome_env_taxonomy_cpm,
    "microbiome_human_pathways_cpm": microbiome.microbiome_human_pathways_cpm,
    "microbiome_human_metaphlan": microbiome.microbiome_human_metaphlan,
    "conserved_pbmc_to_skin": conservation.conserved_pbmc_to_skin,
    "cross_mission_hemoglobin_de": cfrna.cross_mission_hemoglobin_de,
    "cross_mission_pathway_features": conservation.cross_mission_pathway_features,
    "gt_conserved_pathways_i4_pbmc": conservation.pathways_by_cell_type,
    "cross_mission_gene_de": cfrna.cross_mission_gene_de,
    **dict.fromkeys(mouse.tables(), mouse.mouse_table),
}
SIMULATED: tuple[str, ...] = tuple(_TABLES)
MOST_EFFECT = 20  # far beyond a perfect score; larger ones leave the range of floating-point numbers


def simulate_table(
    name: str,
    *,
    seed: int = 42,
    n_crew: int = 4,
    n_features: int | None = None,
    effect: float = 1.0,
    n_timepoints: int = 7,
) -> pd.DataFrame:
    """Simulate one table, as if read from the real file; equal seeds give equal bytes of CSV on every machine.

    `n_features` replaces the number of columns of a sample table, or of rows of a table of genes, proteins,
    compounds, taxa or pathways; tables that only accompany another keep their proportion to it. `effect` scales every
    planted effect, up to `MOST_EFFECT`; 0 makes labels independent of features. More than seven `n_timepoints` (of the
    clinical tables) repeat the phases of the seven on the days after them.
    """
    if name not in _TABLES:
        raise UsageError(f"no simulated table {name!r}; available: {', '.join(SIMULATED)}")
    if n_crew < 2:
        raise UsageError(f"n_crew is {n_crew}, but leaving one crew member out needs at least 2")
    if n_features is not None and n_features < 1:
        raise UsageError(f"n_features is {n_features}, but must be at least 1")
    if not 0 <= effect <= MOST_EFFECT:
        raise UsageError(f"effect is {effect}, but must be from 0 to {MOST_EFFECT}")
    if not 3 <= n_timepoints <= clinical.MOST_TIMEPOINTS:
        raise UsageError(f"n_timepoints is {n_timepoints}, but must be from 3 to {clinical.MOST_TIMEPOINTS}")
    return _TABLES[name](name, Spec(checked_seed(seed), n_crew, n_features, effect, n_timepoints))
