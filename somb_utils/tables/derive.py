"""Rebuild the derived task tables from their source tables, exactly: the same rows in the same order, equal values.

B1's features (the JAXA three-group comparison) and I3 (the NASA Twins differential expression entries) cannot be
rebuilt, since no open table contains their source.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from somb_utils.errors import SombError, UsageError

SIGNIFICANT = 0.05
PBMC_CELL_TYPES = ["CD4_T", "CD8_T", "other_T", "B", "NK", "CD14_Mono", "CD16_Mono", "DC", "other"]
METABOLITE_CHEMISTRY = ["SuperPathway", "SubPathway", "Formula", "Mass", "RT", "annotation_confidence"]
CONTRASTS = ["Pre vs Flight", "Pre vs Post", "Flight vs Post"]

Tables = Mapping[str, pd.DataFrame]


def derive_metabolomics_spaceflight_response(tables: Tables) -> pd.DataFrame:
    """Rebuild D1: the metabolites tested in `metabolomics_de`, with their chemistry.

    Rows are the metabolites of `metabolomics_anppos_matrix` that were tested, in its order; the label says
    whether the adjusted p-value is below 0.05 in any of the four contrasts.
    """
    tested = tables["metabolomics_de"]
    matrix = tables["metabolomics_anppos_matrix"]
    significant = tested.loc[tested["adj_pval"] < SIGNIFICANT, "metabolite"]
    rows = matrix[matrix["metabolite_name"].isin(tested["metabolite"])]
    table = rows[["metabolite_name", *METABOLITE_CHEMISTRY]].rename(columns={"metabolite_name": "metabolite"})
    table["is_spaceflight_de"] = table["metabolite"].isin(significant)
    return table.reset_index(drop=True)


def derive_cross_mission_hemoglobin_de(tables: Tables) -> pd.DataFrame:
    """Rebuild I1: the three fold changes of every gene, and whether it is a listed haemoglobin gene.

    Of the 58 names in `gt_hemoglobin_globin_genes`, 57 are measured; one row of that table is blank.
    """
    measured = tables["gt_hemoglobin_de"]
    listed = tables["gt_hemoglobin_globin_genes"]["gene"].dropna()
    table = measured[["gene"]].copy()
    for contrast in CONTRASTS:
        table[f"fc_{contrast.lower().replace(' ', '_')}"] = measured[f"{contrast} Fold Change"]
    table["label"] = table["gene"].isin(listed).astype("int64")
    return table


def derive_cross_mission_pathway_features(tables: Tables) -> pd.DataFrame:
    """Rebuild I2: each pathway enriched in Inspiration4 PBMC, summarised over its cell types.

    `std_NES` is the sample standard deviation, 0 for a single cell type; `direction_consistency` the share
    of cell types with the commoner sign of NES. The label: the pathway is listed for the NASA Twins.
    """
    enriched = tables["gt_conserved_pathways_i4_pbmc"]
    pathways = enriched.assign(up=enriched["NES"] > 0, down=enriched["NES"] < 0).groupby("pathway")
    table = pd.DataFrame(
        {
            "mean_NES": pathways["NES"].mean(),
            "std_NES": pathways["NES"].std().fillna(0.0),
            "mean_ES": pathways["ES"].mean(),
            "mean_padj": pathways["padj"].mean(),
            "min_padj": pathways["padj"].min(),
            "n_celltypes": pathways["celltype"].nunique(),
            "mean_size": pathways["size"].mean(),
            "direction_consistency": np.maximum(pathways["up"].mean(), pathways["down"].mean()),
        }
    ).reset_index()
    table["label"] = table["pathway"].isin(tables["gt_conserved_pathways_NASA_Twins"]["Pathway"]).astype("int64")
    return table


def derive_conserved_pbmc_to_skin(tables: Tables) -> pd.DataFrame:
    """Rebuild H1: the conserved genes tested in skin, their nine PBMC fold changes and the skin verdict.

    The source lists some human genes several times, differing in the GeneLab (mouse) columns alone; without
    those columns H1 has 21 rows that repeat another.
    """
    genes = tables["gt_conserved_degs"]
    tested = genes[genes["skin.padj"].notna()]
    table = tested[["human_gene", *PBMC_CELL_TYPES]].copy()
    table["skin_de"] = (tested["skin.padj"] < SIGNIFICANT).astype("int64")
    return table.reset_index(drop=True)


def membership(genes: pd.Series, responsive: pd.DataFrame) -> pd.Series:
    """Rebuild B1's label: 1 for a gene of `cfrna_466drr`, else 0, in the order of `genes`."""
    return genes.isin(responsive["gene"]).astype("int64")


def derive_gt_cfrna_cluster_labels(tables: Tables) -> pd.DataFrame:
    """Rebuild B2's labels: the leading rows of `gt_cfrna_clusters`, one per cluster, mark members with Y."""
    clusters, _ = _cluster_blocks(tables)
    members = (clusters.set_index("gene") == "Y").T.astype("int64")
    return members.rename_axis("gene").rename_axis(columns=None).reset_index()


def derive_gt_cfrna_correlation(tables: Tables) -> pd.DataFrame:
    """Rebuild B2's features: the rows of `gt_cfrna_clusters` below the clusters are the correlations."""
    _, correlations = _cluster_blocks(tables)
    return correlations.astype(dict.fromkeys(correlations.columns[1:], "float64")).reset_index(drop=True)


class Derivation(NamedTuple):
    """The source tables of a derived table, and the function that rebuilds it."""

    inputs: tuple[str, ...]
    function: Callable[[Tables], pd.DataFrame]


DERIVED: dict[str, Derivation] = {
    "metabolomics_spaceflight_response": Derivation(
        ("metabolomics_de", "metabolomics_anppos_matrix"), derive_metabolomics_spaceflight_response
    ),
    "cross_mission_hemoglobin_de": Derivation(
        ("gt_hemoglobin_de", "gt_hemoglobin_globin_genes"), derive_cross_mission_hemoglobin_de
    ),
    "cross_mission_pathway_features": Derivation(
        ("gt_conserved_pathways_i4_pbmc", "gt_conserved_pathways_NASA_Twins"),
        derive_cross_mission_pathway_features,
    ),
    "conserved_pbmc_to_skin": Derivation(("gt_conserved_degs",), derive_conserved_pbmc_to_skin),
    "gt_cfrna_cluster_labels": Derivation(("gt_cfrna_clusters",), derive_gt_cfrna_cluster_labels),
    "gt_cfrna_correlation": Derivation(("gt_cfrna_clusters",), derive_gt_cfrna_correlation),
}


def derive(name: str, load: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """Rebuild one derived table; `load` returns a table by name."""
    if name not in DERIVED:
        raise UsageError(f"no rule derives '{name}'; there are rules for {', '.join(DERIVED)}")
    derivation = DERIVED[name]
    tables = {table: load(table) for table in derivation.inputs}
    try:
        return derivation.function(tables)
    except KeyError as error:
        raise SombError(f"{name} cannot be derived: {' or '.join(tables)} has no column {error}") from error
    except (TypeError, ValueError) as error:
        raise SombError(f"{name} cannot be derived: {' or '.join(tables)} has text among numbers: {error}") from error


def derive_all(load: Callable[[str], pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Rebuild every derived table."""
    return {name: derive(name, load) for name in DERIVED}


def _cluster_blocks(tables: Tables) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split `gt_cfrna_clusters` into its rows of clusters and its rows of genes, which are its columns too."""
    table = tables["gt_cfrna_clusters"]
    is_gene = table["gene"].isin(table.columns[1:])
    return table[~is_gene], table[is_gene]
