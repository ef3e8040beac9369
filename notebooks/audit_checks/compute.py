"""The figures that the audit's pages state, each computed from the real tables."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from audit_checks import evidence, leaks, measure, pairing
from somb_utils.audit import feature_census, repeated_rows, row_census, seeds
from somb_utils.audit.figures import STORED
from somb_utils.errors import UsageError
from somb_utils.paths import replacing
from somb_utils.reference.published import TOLERANCE, published_primary
from somb_utils.runs.runner import run, unavailable
from somb_utils.stats.permutation import ALPHA
from somb_utils.tables.sources import Source, SourceLike, resolve_source
from somb_utils.tasks.definitions import select_tasks
from somb_utils.tasks.task_data import TaskData, load_task

# What the published description of C1 says; the file itself does not come with the tables.
C1_DESCRIBED = {"pre_flight": 9, "post_flight": 4, "recovery": 8, "proteins": 2845}

Figures = dict[str, Any]


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


def _tasks(tables: Tables) -> Figures:
    tasks = select_tasks()
    missing = unavailable(tasks, tables.source)
    return {
        "tasks": len(tasks),
        "tasks_audited": len(tasks) - len(missing),
        "tolerance": TOLERANCE,
        "tier_alpha": ALPHA,
    }


def _pairing(tables: Tables) -> Figures:
    own = {task: pairing.pairing(*tables.both(task)).set_index("features")["own"] for task in ("F4", "F5", "G1")}
    f4 = tables.task("F4").task.features
    samples = tables[f4.table].columns.drop(f4.id)
    return {
        "f4_own": own["F4"]["all"],
        "f5_own": own["F5"]["all"],
        "f4_rows": len(tables.task("F4").X),
        "f4_columns": len(samples),
        "f4_unmatched": (~samples.isin(tables[f4.metadata]["sample_id"])).sum(),
        "g1_rows": len(tables.task("G1").X),
        **{f"g1_{block}_own": count for block, count in own["G1"].items()},
    }


def _folds_of_c2(tables: Tables) -> Figures:
    shares = pairing.fold_shares(*tables.both("C2"))
    ends = {f"c2_{p}_{end}": shares[p].agg(end) for p in ("published", "aligned") for end in ("min", "max")}
    return {**ends, "c2_all": 100 * float(tables.task("C2").codes.mean())}


def _atoms_of_d1(tables: Tables) -> Figures:
    surplus = pairing.surplus_atoms(*tables.both("D1"))
    network = pairing.by_column_order(*tables.both("D1"), "mlp").loc["mlp"]
    return {
        "d1_rows": len(surplus),
        "d1_miscounted": (surplus > 0).any(axis=1).sum(),
        **{f"d1_{str(element).lower()}": count for element, count in (surplus > 0).sum().items()},
        **{f"d1_mlp_{order}": score for order, score in network.items()},
    }


def _descriptions(tables: Tables) -> Figures:
    c1 = tables.task("C1")
    origin = evidence.fold_change_origin(
        tables["cross_mission_hemoglobin_de"].set_index("gene"),
        tables["cfrna_466drr"].set_index("gene"),
        evidence.GROUP_MEANS,
    )
    responsive = tables["cross_mission_gene_de"].merge(tables["cfrna_466drr"][["gene"]])
    return {
        **{f"c1_{phase}": count for phase, count in c1.y.value_counts().items()},
        "c1_proteins": c1.X.shape[1],
        **{f"c1_described_{what}": count for what, count in C1_DESCRIBED.items()},
        "i1_rows": len(tables.task("I1").X),
        "i1_genes": origin["genes"].min(),
        "i1_lowest": origin["correlation"].min(),
        "i1_highest": origin["correlation"].max(),
        "i3_responsive": len(responsive),
        "i3_responsive_positive": responsive["label"].sum(),
    }


def _random_draws(tables: Tables) -> Figures:
    draws = published_primary().query("model == 'random'").set_index("task")["mean"]
    chance = pairing.draws_for_chance({}, seeds.stored())["exact_chance"]
    return {
        "f3_draw": draws["F3"],
        "f3_chance": chance["F3"],
        "f3_credit": 100 * (chance["F3"] - draws["F3"]) / (1 - draws["F3"]),
        "a1_draw": draws["A1"],
        "a1_chance": tables.task("A1").chance,
    }


def _rows(tables: Tables) -> Figures:
    h1, f4 = tables.task("H1"), tables.task("F4")
    genes = tables["conserved_pbmc_to_skin"]["human_gene"]
    equal = repeated_rows(h1)
    forest = evidence.scored_on(h1, "rf", {"unrepeated": h1.X.index.difference(equal.index)})["auprc"]
    census = feature_census(f4)
    swabs = swabs_by_day(tables["microbiome_metadata"])
    return {
        "h1_rows": len(h1.X),
        "h1_genes": genes.nunique(),
        "h1_genes_repeated": (genes.value_counts() > 1).sum(),
        "h1_equal": len(equal),
        "h1_beside_twin": equal["tested_beside_twin"].sum(),
        "h1_rf": forest["all", "rf"],
        "h1_rf_without": forest["unrepeated", "rf"],
        "d1_equal": len(repeated_rows(tables.task("D1"))),
        "i1_equal": len(repeated_rows(tables.task("I1"))),
        "f4_empty": row_census(f4)["empty_rows"],
        "f4_constant": census["constant"],
        "f4_repeated": census["repeated"],
        "i2_constant": feature_census(tables.task("I2"))["constant"],
        "b2_folds": len(tables.task("B2").folds),
        "b2_folds_lacking": row_census(tables.task("B2"))["folds_lacking_class"],
        "f3_folds": len(swabs),
        "f3_folds_lacking": (swabs == 0).any(axis=1).sum(),
    }


def swabs_by_day(metadata: pd.DataFrame) -> pd.DataFrame:
    """Return how many human and environmental swabs were taken on each day."""
    return pd.crosstab(metadata["timepoint"], metadata["source"])[["human", "environmental"]]


def _tested(tables: Tables) -> Figures:
    e3, e4 = tables.task("E3"), tables.task("E4")
    adjusted = tables["gt_spatial_de_outer_dermis"].set_index("gene")["adj_pval"].reindex(e3.X.index)
    table = evidence.tested_rows(e3.X, adjusted).loc["baseMean"]
    linear = evidence.scored_on(e3, "logreg", {"tested": e3.X.index[adjusted.notna()]})
    everything, tested = linear.loc[("all", "logreg")], linear.loc[("tested", "logreg")]
    return {
        "e3_rows": len(e3.X),
        "e3_tested": int(table["tested"]),
        "e3_limit": float(e3.X.loc[adjusted.notna(), "baseMean"].min()),
        "e3_mean_expression": table["auroc_all"],
        "e3_mean_expression_if_tested": table["auroc_if_tested"],
        "e3_logreg": everything["auroc"],
        "e3_logreg_if_tested": tested["auroc"],
        "e3_logreg_auprc": everything["auprc"],
        "e3_logreg_auprc_if_tested": tested["auprc"],
        "e3_chance_auprc": everything["chance_auprc"],
        "e3_chance_auprc_if_tested": tested["chance_auprc"],
        "e4_tested": tables["gt_spatial_de_epidermis"].set_index("gene")["adj_pval"].reindex(e4.X.index).count(),
    }


def _listed(tables: Tables) -> Figures:
    i2 = tables.task("I2")
    collection = evidence.pathway_collections(tables["gt_conserved_pathways_i4_pbmc"]).reindex(i2.X.index)
    possible = evidence.could_be_positive(i2, collection)
    scores = evidence.scored_on(i2, ["lightgbm", "rf"], {"possible": i2.X.index[possible]})["auroc"]
    return {
        "i2_rows": len(i2.X),
        "i2_features": i2.X.shape[1],
        "i2_collections": collection.nunique(),
        "i2_possible_collections": collection[possible].nunique(),
        "i2_possible": possible.sum(),
        "i2_never": (~possible).sum(),
        "i2_collection": leaks.column_auroc(possible.astype(float).to_frame(), i2.codes == 1)[0],
        "i2_lightgbm": scores["all", "lightgbm"],
        "i2_lightgbm_if_possible": scores["possible", "lightgbm"],
        "i2_rf_if_possible": scores["possible", "rf"],
        "i2_lightgbm_stated": published_primary().set_index(["task", "model"]).at[("I2", "lightgbm"), "mean"],
    }


def _tables(tables: Tables) -> Figures:
    skin = {layer: tables[name] for layer, name in zip(evidence.LAYERS, evidence.SKIN_TABLES, strict=True)}
    equal = evidence.equal_columns({layer: skin[layer] for layer in ("all_skin", "vasculature")})
    alike = evidence.agreement(skin)
    whole = alike.loc["all_skin"].drop(["all_skin", "vasculature"])
    signs = evidence.metabolite_signs(*(tables[name] for name in evidence.METABOLITE_TABLES)).set_index("contrast")
    missing = leaks.missing_by_class(tables.task("C1"))
    across = leaks.labels_in_features({name: tables.task(name) for name in ("E1", "H1")})
    layers = {name: tables.task(name) for name in ("E1", "E2", "E4")}
    both = leaks.shared_labels(layers).set_index(["one", "two"])["both"]
    sebum = evidence.genus_by_site(tables["microbiome_human_metaphlan"], tables["microbiome_metadata"], "Cutibacterium")
    return {
        "skin_rows": equal["rows"].max(),
        "skin_equal": equal["equal"].sum(),
        "skin_lowest": whole.min(),
        "skin_highest": whole.max(),
        "skin_epidermis": alike.at["epidermis", "outer_epidermis"],
        **{f"sign_{name.removeprefix('I4-').lower()}": value for name, value in signs["rank_correlation"].items()},
        **{f"c1_missing_{phase}": 100 * share for phase, share in missing.items()},
        "h1_from_skin": across.set_index(["features_of", "label_of"]).at[("E1", "H1"), "auroc"],
        "e1_in_e4": both[("E1", "E4")],
        "e2_in_e4": both[("E2", "E4")],
        **{f"{name.lower()}_positive": int(data.codes.sum()) for name, data in layers.items()},
        "sites": len(sebum),
        **{f"cutibacterium_{site}": sebum[site.upper()] for site in ("tzo", "web")},
    }


def _crew(tables: Tables) -> Figures:
    linear = leaks.without_one_group(run([tables.task("G1")], "logreg", n_jobs=1)).iloc[0]
    return {f"g1_logreg_{column}": linear[column] for column in ("chance", "mean", "lowest")}


def _day(tables: Tables) -> Figures:
    table = measure.day_recognition([tables.task(name, "rigorous") for name in ("A1", "A2", "C1", "F5")])
    return {
        **{f"{str(task).lower()}_days": days for task, days in table["days"].items()},
        **{f"{str(task).lower()}_day_recognised": 100 * share for task, share in table["recognised"].items()},
    }


def _missing(tables: Tables) -> Figures:
    zeros, gaps = tables.task("C1"), tables.task("C1", "rigorous")
    share, correlation = measure.missingness(zeros.X, gaps.X)
    scores = measure.readings(zeros, gaps, "logreg")["logreg"].tolist()
    return {
        "c1_variance_missing": 100 * share,
        "c1_mask_correlation": correlation,
        **dict(zip(("c1_zeros", "c1_mask_alone", "c1_number_alone", "c1_gaps"), scores, strict=True)),
        "g1_gaps": measure.macro_f1(tables.task("G1", "rigorous"), "logreg")["logreg"],
    }


def _constants(tables: Tables) -> Figures:
    table = measure.constants([tables.task(name) for name in ("A1", "A2", "C1", "G1")])
    return {
        "b2_constant": measure.best_constant(tables.task("B2")),
        "lightgbm_least": table["min_child_samples"].max(),
        "lightgbm_most_training": table["most_training_rows"].max(),
        "lightgbm_constant": table["constant"].sum(),
    }


def _folds(tables: Tables) -> Figures:
    e1, i3 = (measure.never_tested(tables.task(name)) for name in ("E1", "I3"))
    boosted = measure.by_folds(tables.task("H1"), "lightgbm").loc[("H1", "lightgbm")]
    linear = {name: measure.by_folds(tables.task(name), "logreg").loc[(name, "logreg")] for name in ("E3", "E4")}
    return {
        "e1_never_tested": e1["positives_never_tested"],
        "i3_never_tested": i3["positives_never_tested"],
        "i3_positive": i3["positives"],
        "rows_never_tested": 100 * i3["never_tested"] / i3["rows"],
        "h1_lightgbm": boosted["first folds"],
        "h1_lightgbm_all_folds": boosted["all folds"],
        **{f"{name.lower()}_logreg_all_folds": scores["all folds"] for name, scores in linear.items()},
        "e4_logreg": linear["E4"]["first folds"],
    }


def _relatives(tables: Tables) -> Figures:
    scores = {
        f"{name.lower()}_rf_{''.join(folds.split()[:-1])}": score
        for name, groups in evidence.relatives(tables).items()
        for folds, score in measure.by_folds(tables.task(name), "rf", groups).iloc[0].items()
    }
    return {name: score for name, score in scores.items() if not name.endswith("first")}


def _scores(tables: Tables) -> Figures:
    e3 = measure.saturated(tables.task("E3"))
    ratios = measure.replicate_means([tables.task("E2"), tables.task("E4")])["ratio"]
    return {
        "e3_saturated": e3["rows"],
        "e3_auprc_by_decision": e3["auprc_by_decision_score"],
        **{f"{str(task).lower()}_replicates": ratio for task, ratio in ratios.items()},
    }


def _vasculature(tables: Tables) -> Figures:
    layers = {layer: tables[name] for layer, name in zip(evidence.LAYERS, evidence.SKIN_TABLES, strict=True)}
    table = evidence.conserved_skin(tables["gt_conserved_degs"], layers)
    return {
        "skin_va_genes": table.at["skin_VA", "genes"],
        "skin_va_equal": table.at["skin_VA", "equal"],
        "skin_real_correlation": table.at["skin", "correlation"],
    }


PARTS: tuple[Callable[[Tables], Figures], ...] = (
    _tasks, _pairing, _folds_of_c2, _atoms_of_d1, _descriptions, _random_draws, _rows, _tested, _listed, _tables, _crew,
    _day, _missing, _constants, _folds, _relatives, _scores, _vasculature,
)  # fmt: skip


def figures(source: SourceLike = "auto") -> dict[str, int | float]:
    """Compute every figure: counts as integers, all else rounded to six decimals."""
    where = resolve_source(source)
    if where.kind != "open":
        raise UsageError(f"the audit's figures are of real tables, these are {where.kind}; get them: somb data fetch")
    tables = Tables(where)
    return {name: _plain(value) for part in PARTS for name, value in part(tables).items()}


def _plain(value: Any) -> int | float:
    return int(value) if isinstance(value, int | np.integer) else round(float(value), 6)


def store(source: SourceLike = "auto") -> dict[str, int | float]:
    """Compute every figure and store them for the notebook and the book."""
    computed = figures(source)
    with replacing(STORED) as temporary:
        temporary.write_text(json.dumps(computed, indent=1) + "\n", encoding="utf-8")
    return computed
