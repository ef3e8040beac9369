"""The protocol ``rigorous``: complete folds that keep relatives together, and gaps, logarithms and shares."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import somb_utils as somb
from somb_utils.runs.fit import prepare
from somb_utils.tasks import splits
from somb_utils.tasks.definitions import catalogue, get_task

FEATURE_TASKS = [task.id for task in catalogue().values() if task.under("rigorous").split == "cv5x5"]
Tables = dict[str, pd.DataFrame]


def tables_of(task_id: str) -> Tables:
    return {name: somb.load_table(name, "simulated").copy() for name in get_task(task_id).under("rigorous").tables}


@given(st.lists(st.integers(0, 2), min_size=15, max_size=80), st.integers(5, 12), st.booleans())
def test_complete_folds_are_stratified_and_test_every_row_once_in_each_repetition(
    labels: list[int], positives: int, several: bool
) -> None:
    y = np.array(labels + [3] * positives)
    y = np.where(np.bincount(y, minlength=4)[y] < 5, 3, y)
    folds = splits.complete(y, None, splits.REPETITIONS if several else 1)
    assert [fold.label for fold in folds] == [f"{r}.{k}" for r in range(5 if several else 1) for k in range(5)]
    for r in range(0, len(folds), 5):
        assert sorted(np.concatenate([fold.test for fold in folds[r : r + 5]])) == list(range(len(y)))
    for fold in folds:
        assert sorted([*fold.train, *fold.test]) == list(range(len(y)))
        assert (np.abs(np.bincount(y[fold.test], minlength=4) - np.bincount(y, minlength=4) / 5) < 1).all()
    if several:
        assert folds[0].test.tolist() != folds[5].test.tolist()


@settings(max_examples=settings.default.max_examples // 4)  # each makes 25 folds
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 4)), min_size=20, max_size=50))
def test_relatives_are_never_on_both_sides(families: list[tuple[bool, int]]) -> None:
    families = [*families, *[(True, 2)] * 5, *[(False, 2)] * 5]
    family = np.repeat(range(len(families)), [size for _, size in families])
    y = np.repeat([int(positive) for positive, _ in families], [size for _, size in families])
    for r, fold in enumerate(folds := splits.complete(y, family)):
        assert not set(family[fold.train]) & set(family[fold.test])
        if r % 5 == 0:
            assert sorted(np.concatenate([f.test for f in folds[r : r + 5]])) == list(range(len(y)))


def relatives_of(task_id: str, data: somb.TaskData, tables: Tables) -> pd.Series:
    if task_id == "H1":
        return data.X.index.to_series().str.partition("#")[0]
    if task_id == "I2":
        return data.X.index.to_series().str.partition("_")[0]
    recipe = get_task("D1").features
    formula = tables[recipe.table].set_index(recipe.id)[recipe.formula]
    return formula.fillna("").loc[data.X.index].where(lambda f: f != "", data.X.index.to_series())


@pytest.mark.parametrize("task_id", ["D1", "H1", "I2"])
def test_formulas_genes_and_families_stay_together(task_id: str) -> None:
    tables = tables_of(task_id)
    if task_id == "H1":  # simulated genes are unique: let every third gene have the name of the one before
        genes = tables["conserved_pbmc_to_skin"]["human_gene"]
        tables["conserved_pbmc_to_skin"]["human_gene"] = genes.where(
            genes.index % 3 > 0, genes.shift(fill_value="SYN0")
        )
    data = somb.load_task(task_id, source=tables)
    relatives = relatives_of(task_id, data, tables)
    assert relatives.duplicated().any()
    for fold in data.folds:
        assert not set(relatives.iloc[fold.train]) & set(relatives.iloc[fold.test])
    by_rows = somb.load_task(task_id, "aligned", tables)
    family = relatives_of(task_id, by_rows, tables)
    assert any(set(family.iloc[f.train]) & set(family.iloc[f.test]) for f in by_rows.folds)


@pytest.mark.parametrize("task_id", FEATURE_TASKS)
def test_simulated_tables_get_one_repetition_and_others_five(task_id: str) -> None:
    assert len(somb.load_task(task_id, source="simulated").folds) == 5
    if task_id in ("C2", "I2"):
        assert len(somb.load_task(task_id, source=tables_of(task_id)).folds) == 25


def test_ids_that_could_not_be_positive_are_left_out() -> None:
    tables = tables_of("E3")
    kept = somb.load_task("E3", source=tables)
    target = tables[get_task("E3").features.target].set_index("gene")
    assert target.loc[kept.X.index, "adj_pval"].notna().all()
    assert set(target.index[target["adj_pval"].notna()]) >= set(kept.X.index)
    every = somb.load_task("E3", "aligned", tables)
    assert len(kept.X) < len(every.X) and (kept.y == "changed").sum() == (every.y == "changed").sum()
    listed = tables_of("I2")["gt_conserved_pathways_i4_pbmc"]
    kept = somb.load_task("I2", source="simulated")
    assert set(kept.X.index) == set(listed.loc[listed["info"].isin(["C2", "Hallmark"]), "pathway"])
    assert (kept.y == "conserved").sum() == get_task("I2").class_counts["conserved"], "no positive is left out"


def test_features_seen_in_fewer_than_seventy_percent_of_the_training_rows_are_left_out() -> None:
    data = somb.load_task("C1", source="simulated")
    fold, X = data.folds[0], data.X.fillna(1.0)
    rows = len(fold.train)
    few, enough = int(np.ceil(0.3 * rows)) + 1, int(0.3 * rows)
    for column, gaps in ((0, few), (1, enough)):
        X.iloc[fold.train[:gaps], column] = np.nan
    X.iloc[fold.test, 2] = np.nan
    prepared = prepare(replace(data, X=X), 0)
    assert prepared.X_train.shape == (rows, X.shape[1] - 1), "gaps of the test rows do not count, and there is no PCA"
    seen = X.iloc[fold.train, 1]
    imputed = (seen.fillna(seen.mean()) - seen.mean()) / seen.fillna(seen.mean()).std(ddof=0)
    np.testing.assert_allclose(prepared.X_train[:, 0], imputed.fillna(0), atol=1e-12)
    np.testing.assert_allclose(prepared.X_test[:, 1], 0, atol=1e-12)
    aligned = prepare(replace(somb.load_task("C1", "aligned", "simulated"), X=X), 0)
    assert aligned.X_train.shape[1] <= rows, "components"


def test_gaps_stay_gaps_and_raw_intensities_become_logarithms() -> None:
    rigorous, aligned = (somb.load_task("G1", protocol, "simulated") for protocol in ("rigorous", "aligned"))
    before, after = aligned.X[rigorous.X.columns], rigorous.X
    metabolites = after.columns.str.startswith("metabolomics:")
    intensity = before.loc[:, metabolites]
    expected = np.log10(intensity.where(intensity > 0))
    np.testing.assert_allclose(after.loc[:, metabolites], expected)
    proteins = after.columns.str.startswith("proteomics:")
    gaps = after.loc[:, proteins].isna()
    assert gaps.any(axis=None) and (before.loc[:, proteins][gaps].fillna(0) == 0).all(axis=None)
    assert after.loc[:, proteins].fillna(0.0).equals(before.loc[:, proteins])
    clinical = after.columns.str.startswith("clinical:")
    assert after.loc[:, clinical].equals(before.loc[:, clinical])


@pytest.mark.parametrize("task_id", ["F1", "F3", "F4"])
def test_compositions_are_shares_and_a_sample_of_zeros_stays_so(task_id: str) -> None:
    rigorous, aligned = (somb.load_task(task_id, protocol, "simulated") for protocol in ("rigorous", "aligned"))
    counts = aligned.X.loc[rigorous.X.index, rigorous.X.columns]
    if task_id == "F3":  # shares of all taxa of a sample, of which the shared ones are features
        assert rigorous.X.sum(axis=1).between(0, 1 + 1e-9).all()
        ratio = rigorous.X.div(counts).where(counts > 0)
        assert (ratio.max(axis=1) / ratio.min(axis=1) - 1).abs().max() < 1e-9
    else:
        total = counts.sum(axis=1)
        np.testing.assert_allclose(rigorous.X.sum(axis=1), (total > 0).astype(float))
        np.testing.assert_allclose(rigorous.X, counts.div(total.where(total > 0, 1), axis=0))


def test_the_other_protocols_change_nothing_of_a_definition() -> None:
    for task in catalogue().values():
        assert task.under("aligned") is task and task.under("published") is task
        rigorous = task.under("rigorous")
        assert not rigorous.pca and rigorous.under("rigorous") == rigorous
        lead = {"multiclass": "macro_auroc", "multilabel": "micro_ap"}.get(task.type, task.metrics.primary)
        assert rigorous.metrics.primary == lead
        assert {task.metrics.primary, *task.metrics.secondary} <= {lead, *rigorous.metrics.secondary}
