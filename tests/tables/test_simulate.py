"""Simulated tables: deterministic, of the real schema, invented throughout, consistent, and null at effect 0."""

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from full_size import FULL, full_table
from scipy import stats

from somb_utils.errors import UsageError
from somb_utils.tables.simulate import SIMULATED, simulate_table
from somb_utils.tables.sources import load_table

REAL = Path(os.environ.get("SOMB_OPEN_DATA") or Path(__file__).parents[3] / "shared" / "open-data") / "processed"
NOT_REAL = ("cfrna_3group_de_noleak", "microbiome_human_taxonomy_cpm")  # not among the open tables
ID_COLUMN = {"metabolomics_anppos_matrix": "metabolite_name"}
# Of 91 tables of mouse missions, a table of each kind; another test has the shapes of all.
MOUSE = ("mouse_thymus_MHU-2_hallmark", "mouse_skin_MHU-2_femoral_mitocarta", "mouse_gastrocnemius_RR-5_samples")
HUMAN = tuple(name for name in SIMULATED if not name.startswith("mouse_"))
LAYERS = ("all_skin", "outer_epidermis", "inner_epidermis", "outer_dermis", "epidermis")
SAMPLE_TABLES = (
    "clinical_cbc",
    "clinical_cmp",
    "clinical_cytokines_eve",
    "proteomics_plasma_matrix",
    "metabolomics_metadata",
    "microbiome_metadata",
)

needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"no open tables at {REAL} (set SOMB_OPEN_DATA)")


table = cache(full_table)


@cache
def smaller(name: str) -> pd.DataFrame:
    """Simulate a table with as many genes or taxa as by default."""
    return simulate_table(name)


@cache
def real(name: str) -> pd.DataFrame:
    return pd.read_csv(REAL / f"{name}.csv")


def csv_hash(frame: pd.DataFrame) -> str:
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()


def ids(name: str) -> set[str]:
    frame = table(name)
    return set(frame[ID_COLUMN.get(name, frame.columns[0])])


# Determinism


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("clinical_cbc", "522164c0f1873874dd490970b4cf1c3201643ff7bc3cb0581a63f20cead8b50c"),
        ("cross_mission_hemoglobin_de", "615807cac5a23f6a7cd29bf2ac2dced17dc61e53ab92919db8960af95c0291be"),
        ("microbiome_human_pathways_cpm", "b8ce3b84458ec839962144caba2534a244662aa6a729ae50819f404873c1826c"),
    ],
)
def test_bytes_are_these(name: str, digest: str) -> None:
    assert csv_hash(table(name)) == digest


@pytest.mark.parametrize("name", [*HUMAN, *MOUSE])
def test_same_seed_same_table_other_seed_another(name: str) -> None:
    once = simulate_table(name)
    pd.testing.assert_frame_equal(simulate_table(name), once, check_exact=True)
    if not name.endswith(("metadata", "samples")):
        assert not simulate_table(name, seed=7).equals(once)


def test_order_of_calls_does_not_matter() -> None:
    before = simulate_table("cfrna_466drr")
    simulate_table("cfrna_466drr", seed=1)
    simulate_table("cfrna_466drr", n_features=500)
    assert before.equals(simulate_table("cfrna_466drr"))


@pytest.mark.parametrize("name", ["clinical_cmp", "gt_spatial_de_epidermis", "metabolomics_anppos_matrix"])
def test_csv_round_trip(name: str, tmp_path: Path) -> None:
    table(name).to_csv(tmp_path / "t.csv", index=False)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "t.csv"), table(name), check_exact=True)


# The real schema

BY_CELL_TYPE = ("gt_conserved_pathways_i4_pbmc",)  # a row per pathway and cell type, as many as the pathway counts


@needs_real
@pytest.mark.parametrize("name", [n for n in HUMAN if n not in (*NOT_REAL, "microbiome_human_metaphlan")])
def test_schema_is_the_real_one(name: str) -> None:
    simulated, theirs = table(name), real(name)
    rows = table("cross_mission_pathway_features")["n_celltypes"].sum() if name in BY_CELL_TYPE else len(theirs)
    assert simulated.shape == (rows, theirs.shape[1])
    if name == "gt_cfrna_correlation":
        assert list(simulated.columns[1:]) == list(simulated["gene"])
        return
    head = 8 if name == "proteomics_plasma_matrix" else None
    assert list(simulated.columns[:head]) == list(theirs.columns[:head])
    if name != "microbiome_human_pathways_cpm":  # pandas reads its four empty samples as integers
        assert simulated.dtypes[:head].astype(str).to_dict() == theirs.dtypes[:head].astype(str).to_dict()
    here, there = simulated.isna().mean(), theirs.isna().mean()
    assert here.mean() == pytest.approx(there.mean(), abs=0.005)
    if head is None and not name.startswith("metabolomics_anppos"):
        np.testing.assert_allclose(here, there, atol=0.02)


@needs_real
@pytest.mark.parametrize("name", SAMPLE_TABLES)
def test_samples_are_the_real_ones(name: str) -> None:
    shared = [c for c in real(name).select_dtypes(exclude="float") if c in table(name) and "_" not in c[:5]]
    shared = [c for c in (*shared, "sample_id", "timepoint_days") if c != "mission"]
    pd.testing.assert_frame_equal(table(name)[shared], real(name)[shared])
    assert set(table(name)["mission"]) == {"SIM"}


def test_b1_has_its_29_columns() -> None:
    drr = [c for c in table("cfrna_466drr") if c not in ("anova_F", "anova_pval", "anova_fdr")]
    edges = [
        f"edge_{pair}_{kind}" for pair in ("pre_vs_flight", "pre_vs_post", "flight_vs_post") for kind in ("fc", "diff")
    ]
    assert list(table("cfrna_3group_de_noleak").columns) == [*drr, *edges]
    assert table("cfrna_3group_de_noleak").shape == (26_845, 30)


def test_human_taxonomy_is_as_described() -> None:
    human, capsule = table("microbiome_human_taxonomy_cpm"), table("microbiome_env_taxonomy_cpm")
    assert human.shape == (16_172, 8 + 275)
    assert len(set(human["taxid"]) & set(capsule["taxid"])) == 5_830
    both = human.merge(capsule, on="taxid")
    assert all((both[f"{r}_x"].fillna("") == both[f"{r}_y"].fillna("")).all() for r in capsule.columns[1:8])
    for frame in (human, capsule):
        values = frame.iloc[:, 8:].to_numpy()
        assert 0.90 < (values == 0).mean() < 0.95
        np.testing.assert_allclose(values.sum(axis=0), 1e6, rtol=1e-4)


# Class counts


@pytest.mark.parametrize("effect", [1.0, 0.0])
def test_positive_counts_are_the_real_ones(effect: float) -> None:
    def count(name: str, column: str) -> int:
        values = table(name, effect)[column]
        return int((values < 0.05).sum() if column in ("adj_pval", "anova_fdr") else values.sum())

    layers = [count(f"gt_spatial_de_{layer}", "adj_pval") for layer in LAYERS]
    assert layers == [220, 35, 11, 18, 40]
    assert count("conserved_pbmc_to_skin", "skin_de") == 32
    assert count("cross_mission_hemoglobin_de", "label") == 57
    assert count("cross_mission_pathway_features", "label") == 146
    assert count("cross_mission_gene_de", "label") == 814
    assert count("metabolomics_spaceflight_response", "is_spaceflight_de") == 91
    assert count("proteomics_plasma_de_clean", "adj_pval") == 57
    assert count("proteomics_evp_de_clean", "adj_pval") == 176
    assert count("cfrna_466drr", "anova_fdr") == 466
    contrasts = table("metabolomics_de", effect).groupby("contrast", sort=False)["adj_pval"]
    assert (contrasts.apply(lambda p: (p < 0.05).sum())).tolist() == [101, 0, 63, 3]


@needs_real
def test_label_counts_are_the_real_ones() -> None:
    here, there = (f("gt_cfrna_cluster_labels").set_index("gene") for f in (table, real))
    pd.testing.assert_series_equal(here.sum(), there.sum())
    assert (here.sum(axis=1) > 0).sum() == (there.sum(axis=1) > 0).sum() == 226


@pytest.mark.parametrize("seed", range(5))
def test_significance_is_exact_for_any_seed(seed: int) -> None:
    plasma, evp = (simulate_table(f"proteomics_{x}_de_clean", seed=seed) for x in ("plasma", "evp"))
    both = plasma.merge(evp, on="gene")
    assert (len(plasma), len(evp), len(both)) == (1686, 496, 380)
    assert (both["adj_pval_y"] < 0.05).sum() == 131
    assert (np.sign(both["logFC_x"]) == np.sign(both["logFC_y"])).mean() == pytest.approx(0.642, abs=5e-4)


# Invented identifiers


@needs_real
@pytest.mark.parametrize(
    "name", [n for n in HUMAN if n not in (*NOT_REAL, *SAMPLE_TABLES, "microbiome_human_metaphlan")]
)
def test_identifiers_are_invented(name: str) -> None:
    column = ID_COLUMN.get(name, table(name).columns[0])
    assert all(i.startswith("SYN") for i in ids(name))
    assert not ids(name) & set(real(name)[column].astype(str))


def test_mouse_tables_have_the_shapes_and_label_counts_of_the_real_ones(mouse_data: Path) -> None:
    for name in sorted(set(SIMULATED) - set(HUMAN)):
        theirs = load_table(name, mouse_data)
        if name.endswith("samples"):
            assert table(name)["label"].value_counts().to_dict() == theirs["label"].value_counts().to_dict(), name
            assert set(table(name)) <= set(theirs) | {"strain"}
        else:
            assert table(name).shape == theirs.shape, name
            assert not set(table(name).columns[1:]) & set(theirs.columns[1:])
        assert not set(table(name)["sample"]) & set(theirs["sample"])


def test_metaphlan_has_the_swabs_and_species_of_the_real_table(open_data: Path) -> None:
    name = "microbiome_human_metaphlan"
    here, theirs = table(name), load_table(name, open_data / "processed")
    assert set(here.columns) == set(theirs.columns)
    species = [frame["clade"].str.fullmatch(r".*\|s__[^|]*").sum() for frame in (here, theirs)]
    assert species == [953, 953] and not set(here["clade"][1:]) & set(theirs["clade"])
    unclassified = here.set_index("clade").loc["UNCLASSIFIED"]
    assert unclassified[unclassified == 100].index.tolist() == ["C002_FD3_NAP", "C002_R+82_ARM"]


def test_invented_columns_and_taxa() -> None:
    assert all(c.startswith("SYN") for c in table("proteomics_plasma_matrix").columns[8:])
    lineage = table("microbiome_human_taxonomy_cpm").iloc[:, :8].stack().dropna()
    assert lineage.str.startswith("SYN").all()


# One world


@pytest.mark.parametrize(("table", "both"), [(table, 391), (smaller, 98)], ids=["full", "smaller"])
def test_tables_agree_with_each_other(table: Callable[[str], pd.DataFrame], both: int) -> None:
    genes = table("cfrna_3group_de_noleak").set_index("gene")
    drr = table("cfrna_466drr").set_index("gene")
    shared = [c for c in drr if c in genes]
    pd.testing.assert_frame_equal(drr[shared], genes.loc[drr.index, shared])
    hemoglobin = table("cross_mission_hemoglobin_de").set_index("gene")
    assert list(hemoglobin.index) == list(genes.index)
    assert hemoglobin["fc_pre_vs_post"].equals(genes["edge_pre_vs_post_fc"].rename("fc_pre_vs_post"))
    for name in ("gt_cfrna_correlation", "gt_cfrna_cluster_labels"):
        assert list(table(name)["gene"]) == list(drr.index)
    twins = table("cross_mission_gene_de").set_index("gene")["label"]
    assert set(twins.index) <= set(genes.index)
    assert len(twins.index.intersection(drr.index)) == both
    assert twins.reindex(drr.index).dropna().eq(1).all()
    pathways, rows = table("cross_mission_pathway_features"), table("gt_conserved_pathways_i4_pbmc")
    assert list(rows["pathway"].value_counts(sort=False)) == list(pathways["n_celltypes"])
    assert (rows.groupby("pathway")["info"].nunique() == 1).all()
    conserved = pathways.loc[pathways["label"] == 1, "pathway"]
    assert set(rows.loc[rows["pathway"].isin(conserved), "info"]) == {"C2", "Hallmark"}
    assert 0 < (rows.loc[~rows["pathway"].isin(conserved), "info"] == "C2").mean() < 1


def test_omics_tables_share_samples_and_features() -> None:
    matrix = set(table("proteomics_plasma_matrix").columns)
    assert ids("proteomics_plasma_de_clean") <= matrix
    response, compounds = table("metabolomics_spaceflight_response"), table("metabolomics_anppos_matrix")
    both = response.merge(compounds, left_on="metabolite", right_on="metabolite_name")
    assert len(both) == 433
    assert both["Formula_x"].fillna("").equals(both["Formula_y"].fillna("").rename("Formula_x"))
    assert list(compounds.columns[11:]) == list(
        table("metabolomics_metadata").sort_values(["timepoint_days", "crew"])["sample_id"]
    )
    de = table("metabolomics_de")
    significant = set(de.loc[de["adj_pval"] < 0.05, "metabolite"])
    assert significant & ids("metabolomics_spaceflight_response") == set(
        response.loc[response["is_spaceflight_de"], "metabolite"]
    )
    keys = [
        set(zip(f["crew"], f["timepoint_days"], strict=True))
        for f in map(table, ("clinical_cbc", "proteomics_plasma_matrix", "metabolomics_metadata"))
    ]
    assert len(set.intersection(*keys)) == 21


def test_formulas_hold_the_odd_elements_and_add_up() -> None:
    response = table("metabolomics_spaceflight_response")
    formulas = response["Formula"].dropna()
    assert all(formulas.str.contains(element).any() for element in ("Cl", "Na", "Se"))
    assert formulas.str.fullmatch(r"([A-Z][a-z]?\d*)+").all()
    assert response.nunique()[["SuperPathway", "SubPathway"]].tolist() == [12, 57]


def test_microbiome_tables_match_the_metadata() -> None:
    meta = table("microbiome_metadata")
    human = sorted(meta.loc[meta["source"] == "human", "sample_id"])
    assert list(table("microbiome_human_taxonomy_cpm").columns[8:]) == human
    pathways = list(table("microbiome_human_pathways_cpm").columns[1:])
    assert pathways == sorted([*human, "C002_FD3_NAP", "C002_R+82_ARM"])
    capsule = table("microbiome_env_taxonomy_cpm").columns[8:]
    names = capsule.str.replace("I4_Capsule_", "capsule_").str.replace("_LM", "_L-")
    assert set(names) == set(meta.loc[meta["source"] == "environmental", "sample_id"])


def test_genes_stand_sorted() -> None:
    for name in ("cfrna_466drr", "gt_spatial_de_epidermis", "cross_mission_gene_de", "conserved_pbmc_to_skin"):
        assert table(name).iloc[:, 0].str.casefold().is_monotonic_increasing


# Effect, crew, features


def test_by_default_there_are_a_quarter_of_the_genes_and_a_twentieth_of_the_taxa() -> None:
    for name, size in FULL.items():
        share = 0.05 if name.startswith("microbiome") else 0.25
        here = {"microbiome_env_taxonomy_cpm": 343, "cfrna_466drr": 116}.get(name, share * size)
        assert len(smaller(name)) == pytest.approx(here, abs=1), name
    assert smaller("gt_cfrna_cluster_labels").sum(numeric_only=True).between(4, 18).all()
    positives = [smaller(f"cross_mission_{of}_de")["label"].sum() for of in ("gene", "hemoglobin")]
    assert positives == [204, 14]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cross_mission_gene_de", "label"),
        ("cross_mission_pathway_features", "label"),
        ("conserved_pbmc_to_skin", "skin_de"),
        ("cross_mission_hemoglobin_de", "label"),
    ],
)
def test_no_effect_no_signal_in_labels(name: str, label: str) -> None:
    null = table(name, 0.0)
    y = null[label] == 1
    features = [c for c in null.columns[1:] if c != label and null[c].nunique() > 1]
    p = [stats.mannwhitneyu(null.loc[y, c], null.loc[~y, c]).pvalue for c in features]
    assert min(p) > 0.01 / len(p)


def test_no_effect_no_signal_in_b1() -> None:
    null, drr = table("cfrna_3group_de_noleak", 0.0), set(table("cfrna_466drr", 0.0)["gene"])
    y = null["gene"].isin(drr)
    p = [stats.mannwhitneyu(null.loc[y, c], null.loc[~y, c]).pvalue for c in null.columns[1:]]
    assert min(p) > 0.01 / len(p)
    signal = table("cfrna_3group_de_noleak")
    y = signal["gene"].isin(set(table("cfrna_466drr")["gene"]))
    assert stats.mannwhitneyu(signal["anova_max_diff"].abs()[y], signal["anova_max_diff"].abs()[~y]).pvalue < 1e-9


def test_no_effect_no_signal_in_skin_layers() -> None:
    features = table("gt_spatial_de_all_skin", 0.0)
    for layer in LAYERS[1:]:
        y = table(f"gt_spatial_de_{layer}", 0.0)["adj_pval"] < 0.05
        for c in ("baseMean", "log2FoldChange", "lfcSE"):
            assert stats.mannwhitneyu(features.loc[y, c], features.loc[~y, c]).pvalue > 0.001


def _phase_p(name: str, effect: float) -> float:
    """Kolmogorov-Smirnov p-value of the features' F tests between phases, crew means removed."""
    frame = simulate_table(name, effect=effect, n_crew=24, n_features=200)
    values = frame.iloc[:, -200:].dropna(axis=1)
    centred = values - values.groupby(frame["crew"]).transform("mean")
    groups = [centred[frame["phase"] == phase] for phase in frame["phase"].unique()]
    return float(stats.kstest(stats.f_oneway(*groups).pvalue, "uniform").pvalue)


@pytest.mark.parametrize("name", ["clinical_cytokines_eve", "proteomics_plasma_matrix"])
def test_effect_scales_the_phases(name: str) -> None:
    assert _phase_p(name, 0.0) > 1e-3
    assert _phase_p(name, 1.0) < 1e-9


def test_no_effect_no_site_or_capsule() -> None:
    human = simulate_table("microbiome_human_taxonomy_cpm", effect=0, n_features=2000).set_index("taxid").iloc[:, 7:]
    capsule = simulate_table("microbiome_env_taxonomy_cpm", effect=0, n_features=2000).set_index("taxid").iloc[:, 7:]
    shared = human.index.intersection(capsule.index)
    for measure in ((lambda x: (x > 0).sum()), (lambda x: x.sum())):
        p = stats.mannwhitneyu(measure(human.loc[shared]), measure(capsule.loc[shared])).pvalue
        assert p > 0.001


@pytest.mark.parametrize("name", SAMPLE_TABLES)
@pytest.mark.parametrize("n_crew", [2, 9])
def test_n_crew(name: str, n_crew: int) -> None:
    crew = set(simulate_table(name, n_crew=n_crew)["crew"]) - {"capsule"}
    assert crew == {f"C{i + 1:03d}" for i in range(n_crew)}


def test_n_crew_in_sample_columns() -> None:
    assert simulate_table("metabolomics_anppos_matrix", n_crew=7).shape == (454, 11 + 42)
    assert simulate_table("microbiome_human_taxonomy_cpm", n_crew=6, n_features=300).shape == (300, 8 + 415)
    assert simulate_table("microbiome_human_pathways_cpm", n_crew=6).shape == (567, 1 + 417)


@pytest.mark.parametrize(("n", "phases"), [(3, (1, 1, 1)), (5, (2, 1, 2)), (7, (3, 1, 3)), (259, (111, 37, 111))])
def test_n_timepoints_keep_the_phases(n: int, phases: tuple[int, int, int]) -> None:
    frame = simulate_table("clinical_cbc", n_timepoints=n, n_crew=2)
    assert not frame["sample_id"].duplicated().any()
    assert not frame.duplicated(["crew", "timepoint_days"]).any()
    counts = frame.groupby("crew")["phase"].value_counts().unstack()
    assert (counts[["pre_flight", "post_flight", "recovery"]] == list(phases)).all(axis=None)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("clinical_cbc", (28, 7 + 50)),
        ("proteomics_plasma_matrix", (21, 8 + 50)),
        ("metabolomics_anppos_matrix", (50, 35)),
        ("metabolomics_spaceflight_response", (50, 8)),
        ("microbiome_human_taxonomy_cpm", (50, 283)),
        ("microbiome_human_pathways_cpm", (50, 278)),
        ("cfrna_3group_de_noleak", (50, 30)),
        ("gt_cfrna_correlation", (50, 51)),
        ("gt_cfrna_cluster_labels", (50, 17)),
        ("proteomics_plasma_de_clean", (50, 7)),
        ("gt_spatial_de_epidermis", (50, 7)),
        ("conserved_pbmc_to_skin", (50, 11)),
        ("cross_mission_hemoglobin_de", (50, 5)),
        ("cross_mission_pathway_features", (50, 10)),
        ("cross_mission_gene_de", (50, 11)),
    ],
)
def test_n_features(name: str, shape: tuple[int, int]) -> None:
    assert simulate_table(name, n_features=50).shape == shape


@pytest.mark.parametrize("n_features", [1, 2, 5])
@pytest.mark.parametrize("name", [*HUMAN, *MOUSE])
def test_tiny_tables_can_be_made(name: str, n_features: int) -> None:
    assert len(simulate_table(name, n_features=n_features))


@pytest.mark.parametrize("n_features", [50, 400])
def test_fewer_genes_leave_positives_for_five_folds(n_features: int) -> None:
    for layer in LAYERS:
        skin = simulate_table(f"gt_spatial_de_{layer}", n_features=n_features)
        assert (skin["adj_pval"] < 0.05).sum() >= 5
    for name in ("cross_mission_hemoglobin_de", "cross_mission_gene_de", "cross_mission_pathway_features"):
        assert simulate_table(name, n_features=n_features)["label"].sum() >= 5


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "clinical_cb"}, "clinical_cb.*available.*clinical_cbc"),
        ({"name": "clinical_cbc", "n_crew": 1}, "n_crew is 1"),
        ({"name": "clinical_cbc", "n_features": 0}, "n_features is 0"),
        ({"name": "clinical_cbc", "effect": -0.1}, "effect is -0.1"),
        ({"name": "clinical_cbc", "n_timepoints": 2}, "n_timepoints is 2"),
        ({"name": "clinical_cbc", "effect": float("nan")}, "effect is nan"),
    ],
)
def test_usage_errors_name_what_is_wrong(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        simulate_table(**arguments)
