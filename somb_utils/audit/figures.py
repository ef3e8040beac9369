"""The audit's figures, each computed from the real tables, as the book states them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.audit import evidence, leaks, pairing, stability
from somb_utils.errors import SombError, UsageError
from somb_utils.paths import DATA, replacing
from somb_utils.reference.published import published_primary
from somb_utils.runs.runner import run
from somb_utils.tables.sources import Source, SourceLike, resolve_source
from somb_utils.tasks.task_data import TaskData, load_task

STORED = DATA / "reference" / "audit_figures.json"
I1_MEANS = {
    "fc_pre_vs_flight": ("pre_norm_mean", "flight_norm_mean"),
    "fc_pre_vs_post": ("pre_norm_mean", "post_norm_mean"),
    "fc_flight_vs_post": ("flight_norm_mean", "post_norm_mean"),
}


@dataclass(frozen=True)
class Tables:
    """Real tables and the tasks made of them, each loaded once."""

    source: Source
    _tasks: dict[tuple[str, str], TaskData] = field(default_factory=dict)

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Return a table."""
        return self.source.load(name)

    def task(self, name: str, protocol: Any = "aligned") -> TaskData:
        """Return a task."""
        if (name, protocol) not in self._tasks:
            self._tasks[name, protocol] = load_task(name, protocol, self.source)
        return self._tasks[name, protocol]

    def both(self, name: str) -> tuple[TaskData, TaskData]:
        """Return a task aligned and as published."""
        return self.task(name), self.task(name, "published")


Figures = dict[str, Any]


def _pairing(tables: Tables) -> Figures:
    own = {task: pairing.pairing(*tables.both(task)).set_index("features")["own"] for task in ("F4", "F5", "G1")}
    found = {"f4_own": own["F4"]["all"], "f5_own": own["F5"]["all"], "f4_rows": len(tables.task("F4").X)}
    return {**found, **{f"g1_{block}_own": count for block, count in own["G1"].items()}}


def _folds_of_c2(tables: Tables) -> Figures:
    shares = pairing.fold_shares(*tables.both("C2"))
    ends = {f"c2_{p}_{end}": shares[p].agg(end) for p in ("published", "aligned") for end in ("min", "max")}
    return {**ends, "c2_all": 100 * float(tables.task("C2").codes.mean())}


def _atoms_of_d1(tables: Tables) -> Figures:
    atoms = pairing.atom_counts(*tables.both("D1"))["metabolites"]
    network = pairing.by_column_order(*tables.both("D1"), "mlp").loc["mlp"]
    return {
        **{f"d1_{str(element).lower()}": count for element, count in atoms.items()},
        **{f"d1_mlp_{order}": score for order, score in network.items()},
    }


def _descriptions(tables: Tables) -> Figures:
    c1 = tables.task("C1")
    origin = evidence.fold_change_origin(
        tables["cross_mission_hemoglobin_de"].set_index("gene"), tables["cfrna_466drr"].set_index("gene"), I1_MEANS
    )
    responsive = tables["cross_mission_gene_de"].merge(tables["cfrna_466drr"][["gene"]])
    return {
        **{f"c1_{phase}": count for phase, count in c1.y.value_counts().items()},
        "c1_proteins": c1.X.shape[1],
        "i1_genes": origin["genes"].min(),
        "i1_lowest": origin["correlation"].min(),
        "i1_highest": origin["correlation"].max(),
        "i3_responsive": len(responsive),
        "i3_responsive_positive": responsive["label"].sum(),
    }


def _random_draws(tables: Tables) -> Figures:
    draws = published_primary().query("model == 'random'").set_index("task")["mean"]
    return {"f3_draw": draws["F3"], "a1_draw": draws["A1"], "a1_chance": tables.task("A1").chance}


def _rows(tables: Tables) -> Figures:
    h1 = tables.task("H1")
    genes = tables["conserved_pbmc_to_skin"]["human_gene"]
    equal = leaks.repeated_rows(h1)
    forest = evidence.scored_on(h1, "rf", {"unrepeated": h1.X.index.difference(equal.index)})["auprc"]
    census = leaks.row_census(tables.task("F4"))
    return {
        "h1_genes": genes.nunique(),
        "h1_equal": len(equal),
        "h1_beside_twin": equal["tested_beside_twin"].sum(),
        "h1_rf": forest["all", "rf"],
        "h1_rf_without": forest["unrepeated", "rf"],
        "f4_empty": census["empty_rows"],
        "b2_folds_lacking": leaks.row_census(tables.task("B2"))["folds_lacking_class"],
        "f3_folds_lacking": _one_sided_days(tables["microbiome_metadata"]),
    }


def _one_sided_days(metadata: pd.DataFrame) -> int:
    swabs = metadata[metadata["source"].isin(["human", "environmental"])]
    return int((pd.crosstab(swabs["timepoint"], swabs["source"]) == 0).any(axis=1).sum())


def _tested(tables: Tables) -> Figures:
    e3 = tables.task("E3")
    adjusted = tables["gt_spatial_de_outer_dermis"].set_index("gene")["adj_pval"].reindex(e3.X.index)
    table = evidence.tested_rows(e3.X, adjusted).loc["baseMean"]
    linear = evidence.scored_on(e3, "logreg", {"tested": e3.X.index[adjusted.notna()]})["auroc"]
    return {
        "e3_tested": table["tested"],
        "e3_limit": float(e3.X.loc[adjusted.notna(), "baseMean"].min()),
        "e3_mean_expression": table["auroc_all"],
        "e3_mean_expression_if_tested": table["auroc_if_tested"],
        "e3_logreg": linear["all", "logreg"],
        "e3_logreg_if_tested": linear["tested", "logreg"],
    }


def _listed(tables: Tables) -> Figures:
    i2 = tables.task("I2")
    kind = pathway_collections(tables["gt_conserved_pathways_i4_pbmc"]).reindex(i2.X.index)
    positive = i2.codes == 1
    possible = kind.isin(kind[positive].unique())
    boosted = evidence.scored_on(i2, "lightgbm", {"possible": i2.X.index[possible]})["auroc"]
    return {
        "i2_never": (~possible).sum(),
        "i2_collection": leaks.column_auroc(possible.astype(float).to_frame(), positive)[0],
        "i2_lightgbm": boosted["all", "lightgbm"],
        "i2_lightgbm_if_possible": boosted["possible", "lightgbm"],
    }


def pathway_collections(enriched: pd.DataFrame) -> pd.Series:
    """Return the MSigDB collection of each pathway (C2, C5, Hallmark), indexed by pathway."""
    return enriched.drop_duplicates("pathway").set_index("pathway")["info"].rename("collection")


def _tables(tables: Tables) -> Figures:
    skin = {name: tables[name] for name in ("gt_spatial_de_all_skin", "gt_spatial_de_vasculature")}
    equal = evidence.equal_columns(skin)
    signs = metabolite_signs(*(tables[name] for name in METABOLITE_TABLES)).set_index("contrast")["rank_correlation"]
    missing = leaks.missing_by_class(tables.task("C1"))
    across = leaks.labels_in_features({name: tables.task(name) for name in ("E1", "H1")})
    shared = leaks.shared_labels({name: tables.task(name) for name in ("E1", "E2", "E4")})
    both = shared.set_index(["one", "two"])["both"]
    sebum = genus_by_site(tables["microbiome_human_metaphlan"], tables["microbiome_metadata"], "Cutibacterium")
    return {
        "skin_rows": equal["rows"].max(),
        "skin_equal": equal["equal"].sum(),
        **{f"sign_{str(name).removeprefix('I4-').lower()}": value for name, value in signs.items()},
        **{f"c1_missing_{phase}": 100 * share for phase, share in missing.items()},
        "h1_from_skin": across.set_index(["features_of", "label_of"]).at[("E1", "H1"), "auroc"],
        "e1_in_e4": both[("E1", "E4")],
        "e2_in_e4": both[("E2", "E4")],
        **{f"cutibacterium_{site}": sebum[site.upper()] for site in ("tzo", "web")},
    }


def _crew(tables: Tables) -> Figures:
    linear = stability.without_one_group(run([tables.task("G1")], "logreg", n_jobs=1)).iloc[0]
    return {f"g1_logreg_{column}": linear[column] for column in ("chance", "mean", "lowest")}


METABOLITE_TABLES = ("metabolomics_de", "metabolomics_anppos_matrix_log10", "metabolomics_metadata")


def metabolite_signs(contrasts: pd.DataFrame, matrix: pd.DataFrame, metadata: pd.DataFrame) -> pd.DataFrame:
    """Compare the sign of each metabolite contrast with the samples (see :func:`evidence.contrast_signs`)."""
    timepoints = metadata.set_index("sample_id")["timepoint"]
    samples = matrix.set_index("metabolite_name")[list(timepoints.index.intersection(matrix.columns))]
    return evidence.contrast_signs(contrasts, samples, timepoints[samples.columns])


def genus_by_site(profile: pd.DataFrame, metadata: pd.DataFrame, genus: str) -> pd.Series:
    """Return a genus's mean share of the reads by body site, in percent, largest first.

    Parameters
    ----------
    profile : clade × samples, relative abundance in percent, as MetaPhlAn gives it
    metadata : sample_id, body_site
    genus : its name
    """
    row = profile.set_index("clade").filter(regex=rf"g__{genus}$", axis=0).select_dtypes("number").sum()
    site = metadata.set_index("sample_id")["body_site"].reindex(row.index)
    return row.groupby(site).mean().sort_values(ascending=False).rename(genus)


PARTS: tuple[Callable[[Tables], Figures], ...] = (
    _pairing, _folds_of_c2, _atoms_of_d1, _descriptions, _random_draws, _rows, _tested, _listed, _tables, _crew,
)  # fmt: skip


def compute(source: SourceLike = "auto") -> Figures:
    """Compute every figure.

    Raises
    ------
    UsageError
        If the tables are not the published ones.
    """
    where = resolve_source(source)
    if where.kind != "open":
        raise UsageError(f"the audit's figures are of real tables, these are {where.kind}; get them: somb data fetch")
    tables = Tables(where)
    return {key: float(np.round(value, 6)) for part in PARTS for key, value in part(tables).items()}


def store(source: SourceLike = "auto") -> Figures:
    """Compute every figure and keep them for the book."""
    made = compute(source)
    with replacing(STORED) as temporary:
        temporary.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return made


def stored() -> Figures:
    """Return the stored figures.

    Raises
    ------
    SombError
        If none are stored.
    """
    if not STORED.is_file():
        raise SombError(f"{STORED} is missing; make it with: somb audit figures --store")
    return json.loads(STORED.read_text(encoding="utf-8"))
