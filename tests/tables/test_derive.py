"""Each derived table is rebuilt equal to the published one."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from somb_utils.errors import SombError, UsageError
from somb_utils.tables.derive import DERIVED, derive, derive_all, membership
from somb_utils.tables.registry import registry


@pytest.fixture(scope="module")
def load(open_data: Path) -> Callable[[str], pd.DataFrame]:
    def read(name: str) -> pd.DataFrame:
        path = open_data / "processed" / registry()[name].file
        return pd.read_csv(path, keep_default_na=False, na_values=[""], low_memory=False)

    return read


@pytest.mark.parametrize("name", DERIVED)
def test_a_rebuilt_table_is_the_published_one(name: str, load: Callable[[str], pd.DataFrame]) -> None:
    pd.testing.assert_frame_equal(derive(name, load), load(name), rtol=0, atol=1e-9)


def test_all_are_rebuilt_from_tables_that_are_not_derived(load: Callable[[str], pd.DataFrame]) -> None:
    inputs = {name for derivation in DERIVED.values() for name in derivation.inputs}
    assert not inputs & set(DERIVED)
    assert list(derive_all(load)) == list(DERIVED)


@pytest.mark.parametrize(
    ("name", "column", "positives"),
    [
        ("metabolomics_spaceflight_response", "is_spaceflight_de", 91),
        ("cross_mission_hemoglobin_de", "label", 57),
        ("cross_mission_pathway_features", "label", 146),
        ("conserved_pbmc_to_skin", "skin_de", 32),
    ],
)
def test_positives_are_as_many_as_the_tasks_state(
    name: str, column: str, positives: int, load: Callable[[str], pd.DataFrame]
) -> None:
    assert derive(name, load)[column].sum() == positives


def test_b1_label_marks_the_466_genes(load: Callable[[str], pd.DataFrame]) -> None:
    genes = load("gt_hemoglobin_de")["gene"]
    labels = membership(genes, load("cfrna_466drr"))
    assert labels.value_counts().to_dict() == {0: 26_379, 1: 466}
    assert set(genes[labels == 1]) == set(load("cfrna_466drr")["gene"])


def test_sources_stay_as_they_were(load: Callable[[str], pd.DataFrame]) -> None:
    for derivation in DERIVED.values():
        tables = {name: load(name) for name in derivation.inputs}
        before = {name: table.copy() for name, table in tables.items()}
        derivation.function(tables)
        for name, table in tables.items():
            pd.testing.assert_frame_equal(table, before[name])


def test_rules_on_a_small_table() -> None:
    tables = {
        "metabolomics_de": pd.DataFrame({"metabolite": ["m1", "m2", "m1", "m2"], "adj_pval": [0.9, 0.05, 0.049, 0.9]}),
        "metabolomics_anppos_matrix": pd.DataFrame(
            {
                "metabolite_name": ["m2", "never tested", "m1"],
                "SuperPathway": "s",
                "SubPathway": None,
                "Formula": "CH4",
                "Mass": 16.0,
                "RT": 1.0,
                "annotation_confidence": 1,
            }
        ),
    }
    table = derive("metabolomics_spaceflight_response", tables.__getitem__)
    assert table["metabolite"].tolist() == ["m2", "m1"]
    assert table["is_spaceflight_de"].tolist() == [False, True]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(SombError, match=r"gt_conserved_degs has no column 'skin\.padj'"):
        derive("conserved_pbmc_to_skin", lambda name: pd.DataFrame({"human_gene": ["SYN00001"]}))


def test_an_underived_table_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no rule derives 'clinical_cbc'"):
        derive("clinical_cbc", lambda name: pd.DataFrame())
