"""Exports are what the tools that they are for can read."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

import somb_utils as somb
from somb_utils.runs.folder import save
from somb_utils.tables.registry import registry

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "simulated"
    save(somb.run("A1,D1", ["majority", "logreg"], source="simulated", n_jobs=1), folder)
    return folder


def front_matter(text: str) -> dict:  # type: ignore[type-arg]
    return yaml.safe_load(text.split("---\n")[1])


def test_citation_and_zenodo_agree_with_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {key: citation[key] for key in ("title", "version", "license", "keywords")} == {
        key: zenodo[key] for key in ("title", "version", "license", "keywords")
    }
    assert [author["name"] for author in citation["authors"]] == [creator["name"] for creator in zenodo["creators"]]
    for reference, text in zip(citation["references"], zenodo["references"], strict=True):
        assert reference["title"] in text and text.endswith(f"https://doi.org/{reference['doi']}")
    assert citation["title"] == project["description"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


def test_croissant_describes_every_table_and_the_named_tasks(command, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    mlc = pytest.importorskip("mlcroissant")
    code, _, _ = command("export", "croissant", "described", "--tasks", "A1,B1", "--data", "simulated")
    assert code == 0
    documents = {}
    for file in (tmp_path / "described").iterdir():
        if file.stem != "tables":  # the largest; each was validated before it was written
            mlc.Dataset(file)  # which refuses a file that is not valid
        documents[file.stem] = json.loads(file.read_text(encoding="utf-8"))
        assert documents[file.stem]["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert set(documents) == {"tables", "A1", "B1"}
    hashed = {info.file: info for info in registry().values() if info.sha256}
    files = {entry["name"]: entry for entry in documents["tables"]["distribution"]}
    assert set(files) == set(hashed)
    assert all((e["sha256"], e["contentUrl"]) == (hashed[n].sha256, hashed[n].url) for n, e in files.items())
    assert "10.1038/s41586-024-07639-y" in documents["A1"]["citeAs"]
    assert documents["A1"]["license"] == "https://creativecommons.org/licenses/by-nc/4.0/"
    assert "cfrna_3group_de_noleak" in documents["B1"]["description"]  # of which no SHA-256 is known


def test_croissant_lists_columns_and_folds_of_real_tables(command, open_data: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    mlc = pytest.importorskip("mlcroissant")
    code, _, _ = command("export", "croissant", "described", "--tasks", "A1", "--data", open_data / "processed")
    assert code == 0
    described = mlc.Dataset(tmp_path / "described" / "A1.json")
    folds = list(described.records("folds_rigorous"))
    assert [fold["folds_rigorous/fold"] for fold in folds] == ["C001", "C002", "C003", "C004"]
    assert {(fold["folds_rigorous/train_rows"], fold["folds_rigorous/test_rows"]) for fold in folds} == {(21, 7)}
    sets = {entry["name"]: entry for entry in json.loads((tmp_path / "described" / "A1.json").read_text())["recordSet"]}
    columns = {field["name"] for field in sets["clinical_cbc"]["field"]}
    assert {"sample_id", "crew", "timepoint"} < columns


def test_a_dataset_holds_rows_labels_and_folds_and_is_marked_simulated(command, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("huggingface_hub")
    code, out, err = command("export", "hf", "dataset", "--tasks", "A1,B2", "--data", "simulated")
    assert code == 0 and "A1_SIMULATED, B2_SIMULATED" in out and "SIMULATED" in err
    text = (tmp_path / "dataset" / "README.md").read_text(encoding="utf-8")
    head = front_matter(text)
    assert "SIMULATED" in head["pretty_name"] and head["license"] == "mit" and "simulated" in head["tags"]
    files = {entry["config_name"]: entry["data_files"][0]["path"] for entry in head["configs"]}
    for name, file in files.items():
        data = somb.load_task(name.removesuffix("_SIMULATED"), source="simulated")
        table = pq.read_table(tmp_path / "dataset" / file)
        assert b"SIMULATED" in table.schema.metadata[b"source"]
        frame = table.to_pandas().set_index("id")
        features = frame.filter(like="feature:").rename(columns=lambda column: column.removeprefix("feature:"))
        np.testing.assert_array_equal(features[data.X.columns].loc[data.X.index], data.X)
        for fold in data.folds:
            tests = frame["test_folds"].map(lambda labels, fold=fold: fold.label in labels).to_numpy()
            trains = frame["train_folds"].map(lambda labels, fold=fold: fold.label in labels).to_numpy()
            assert np.flatnonzero(tests).tolist() == sorted(fold.test)
            assert np.flatnonzero(trains).tolist() == sorted(fold.train)
        labels = frame["label"]
        if data.task.type == "multilabel":
            assert [sorted(row) for row in labels] == [sorted(data.y.columns[row == 1]) for row in data.y.to_numpy()]
        else:
            assert labels.tolist() == data.y.tolist()
    assert command("export", "hf", "dataset", "--tasks", "A1", "--data", "simulated")[0] == 2  # it is not empty


def test_a_model_card_has_the_scores_of_the_run(command, run: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    hub = pytest.importorskip("huggingface_hub")
    assert command("export", "model-card", run, "--model", "logreg", "--out", "card.md")[0] == 0
    card = hub.ModelCard.load(tmp_path / "card.md")
    summary = somb.load_run(run).summary(0).query("model == 'logreg'")
    assert [result.metric_value for result in card.data.eval_results] == pytest.approx(
        summary["mean"].tolist(), abs=1e-6
    )
    assert all("SIMULATED" in result.dataset_name for result in card.data.eval_results) and "SIMULATED" in card.text
    code, _, err = command("export", "model-card", run, "--model", "rf", "--out", "other.md")
    assert code == 2 and "majority, logreg" in err
    assert command("export", "model-card", run, "--model", "logreg", "--out", "card.md")[0] == 2  # it exists


def test_a_run_folder_becomes_a_crate_that_its_library_reads(command, run: Path) -> None:  # type: ignore[no-untyped-def]
    rocrate = pytest.importorskip("rocrate.rocrate")
    assert command("export", "ro-crate", run)[0] == 0
    crate = rocrate.ROCrate(run)
    assert "SIMULATED" in crate.name
    assert {entity.id for entity in crate.data_entities} == {
        "results.parquet",
        "predictions.parquet",
        "provenance.json",
    }
