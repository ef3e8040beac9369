"""data/tables.csv agrees with the published manifest, the real tables, the tasks and the bibliography."""

import csv
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from somb_utils.errors import UsageError
from somb_utils.tables.registry import HUMAN, registry, table_info
from somb_utils.tables.sources import load_table

BIBLIOGRAPHY = Path(__file__).parents[2] / "book" / "references.bib"
STUDIES = {"Inspiration4", "NASA Twins", "JAXA CFE", "GeneLab"}
MOUSE_STUDIES = {"MHU-1", "MHU-2", "OSD-397", *(f"RR-{n}" for n in (1, 3, 5, 6, 7, 8, 9))}


def present(folder: Path) -> list[str]:
    return [name for name, table in registry().items() if (folder / "processed" / table.file).is_file()]


def test_every_published_table_is_registered_with_its_hashes(published_files: Path) -> None:
    with (published_files / "MANIFEST.csv").open(newline="") as stream:
        published = {
            row["path"]: (row["bytes"], row["sha256"], row["git_blob_sha1"])
            for row in csv.DictReader(stream)
            if row["path"].startswith("data/processed/")
        }
    ours = {
        table.path: ("" if table.bytes is None else str(table.bytes), table.sha256, table.git_blob)
        for table in registry().values()
        if table.repository == HUMAN
    }
    assert len(ours) == 71
    assert ours == published


def test_every_mouse_table_is_registered_with_its_hashes(mouse_data: Path) -> None:
    with (mouse_data / "MANIFEST.csv").open(newline="") as stream:
        published = {row.pop("path"): row for row in csv.DictReader(stream)}
    tables = [table for table in registry().values() if table.repository != HUMAN]
    scores = {path for path in published if path.startswith("processed/pathway_scores/")}
    samples = {path for path in published if path.endswith("_test/test_meta.csv")}
    expression = {path for path in published if path.endswith("_deseq2_dge.csv")}
    assert {table.path for table in tables} == scores | samples | expression and len(tables) == 95
    for table in tables:
        ours = {"bytes": str(table.bytes), "sha256": table.sha256, "git_blob": table.git_blob}
        assert published[table.path] == ours, table.name
        assert load_table(table.name, mouse_data).shape == (table.rows, table.columns)


def test_human_names_are_the_stems_of_the_paths() -> None:
    human = [table for table in registry().values() if table.repository == HUMAN]
    assert all(Path(table.path).name == table.file for table in human)


def test_shapes_and_ids_are_those_of_the_real_tables(open_data: Path) -> None:
    names = present(open_data)
    assert len(names) == 66
    for name in names:
        table = registry()[name]
        frame = pd.read_csv(open_data / "processed" / table.file, dtype=str, keep_default_na=False)
        assert frame.shape == (table.rows, table.columns), name
        if table.id:
            assert not frame.duplicated(list(table.id)).any(), name
            assert (frame[list(table.id)] != "").all(axis=None), name


def test_rows_without_id_are_really_not_unique(published_files: Path) -> None:
    keys = {
        "conserved_pbmc_to_skin": ["human_gene"],
        "gt_conserved_degs": ["human_gene"],
        "gt_hemoglobin_globin_genes": ["gene"],
        "metabolomics_de": ["metabolite", "contrast"],
        "metabolomics_rppos_matrix": ["metabolite_name"],
        "metabolomics_rppos_matrix_log10": ["metabolite_name"],
    }
    without = {name for name in present(published_files) if not registry()[name].id}
    assert without == set(keys)
    for name, columns in keys.items():
        frame = pd.read_csv(published_files / "processed" / f"{name}.csv", dtype=str, keep_default_na=False)
        assert frame.duplicated(columns).any() or (frame[columns] == "").any(axis=None), name


def test_published_task_definitions_find_their_tables(published_files: Path) -> None:
    definitions = [json.loads(path.read_text()) for path in sorted((published_files / "tasks").glob("*.json"))]
    assert len(definitions) == 21
    for definition in definitions:
        for file in [*definition["data_files"], *definition.get("ground_truth_files", [])]:
            assert definition["task_id"] in registry()[Path(file).stem].tasks, (definition["task_id"], file)


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("B2", {"gt_cfrna_correlation", "gt_cfrna_cluster_labels"}),
        ("C2", {"proteomics_plasma_de_clean", "proteomics_evp_de_clean"}),
        ("E3", {"gt_spatial_de_all_skin", "gt_spatial_de_outer_dermis"}),
        ("F4", {"microbiome_human_pathways_cpm", "microbiome_metadata"}),
        ("F3", {"microbiome_human_taxonomy_cpm", "microbiome_env_taxonomy_cpm", "microbiome_metadata"}),
        (
            "G1",
            {
                "clinical_cbc",
                "clinical_cmp",
                "proteomics_plasma_matrix",
                "metabolomics_anppos_matrix",
                "metabolomics_metadata",
            },
        ),
    ],
)
def test_labels_and_metadata_belong_to_a_task_too(task: str, names: set[str]) -> None:
    assert {name for name, table in registry().items() if task in table.tasks} == names


def test_every_table_has_a_study_a_licence_and_a_paper() -> None:
    keys = set(re.findall(r"^@\w+\{([^,]+),", BIBLIOGRAPHY.read_text(), flags=re.MULTILINE))
    for table in registry().values():
        assert table.paper in keys, table.name
        mouse = table.repository != HUMAN
        assert set(table.study.split(";")) <= (MOUSE_STUDIES if mouse else STUDIES), table.name
        assert all(re.fullmatch(r"OSD-\d+", part) for part in table.accession.split(";") if part), table.name
        assert table.licence == ("CC BY 4.0" if mouse else "CC BY-NC 4.0"), table.name


def test_every_paper_has_a_doi() -> None:
    entries = BIBLIOGRAPHY.read_text().split("@article")[1:]
    without = [entry for entry in entries if not re.search(r"doi\s+= \{10\.\d{4,}/\S+\}", entry)]
    assert entries and all("Journal of Machine Learning Research" in e and "url " in e for e in without), (
        "it gives none"
    )


def test_an_unknown_table_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown table 'nonsense'"):
        table_info("nonsense")
