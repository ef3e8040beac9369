"""The record says of every group of rows how it was made, and a run folder holds one data source, whole or not."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import somb_utils as somb
from somb_utils.errors import SombError, UsageError
from somb_utils.runs import folder as run_folder
from somb_utils.tables.sources import SimulatedSource


def run(tasks: Any, models: Any, out: Path | None = None, **options: Any) -> Any:
    return somb.run(tasks, models, out=out, **{"source": "simulated", "n_jobs": 1, **options})


def told(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return {(entry["task"], entry["model"]): entry for entry in somb.load_run(folder).provenance["models"]}


def test_each_group_of_rows_keeps_its_default_parameters_seed_and_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("A1", {"mine": LogisticRegression(C=100)}, tmp_path, seed=1)
    run("A2", {"mine": LogisticRegression}, tmp_path, model_params={"mine": {"C": 0.5}})
    first, second = told(tmp_path)["A1", "mine"], told(tmp_path)["A2", "mine"]
    assert (first["seed"], second["seed"]) == (1, 42) and first["run"] != second["run"]
    assert "C=100" in first["target"] and second["params"] == {"C": "0.5"}
    runs = somb.load_run(tmp_path).provenance["runs"]
    assert set(runs) == {first["run"], second["run"]} and "NOTE" not in capsys.readouterr().err

    run("A2", {"mine": LogisticRegression}, tmp_path, seed=7)
    assert "mine on A2 replaces the results made with params {'C': '0.5'}, seed 42" in capsys.readouterr().err
    assert told(tmp_path)["A2", "mine"]["seed"] == 7 and told(tmp_path)["A1", "mine"] == first
    assert second["run"] not in somb.load_run(tmp_path).provenance["runs"]


def test_one_run_has_one_source_and_a_folder_too(tmp_path: Path) -> None:
    tables = {name: somb.load_table(name, "simulated") for name in somb.get_task("A2").tables}
    simulated, own = somb.load_task("A1", source="simulated"), somb.load_task("A2", source=tables)
    for pair in ([simulated, own], [own, simulated], [own, "A1"]):
        with pytest.raises(UsageError, match="one run has one data source"):
            run(pair, "majority")
    run(simulated, "majority", tmp_path)
    with pytest.raises(UsageError, match="holds results of simulated tables, this run uses custom ones"):
        run(own, "majority", tmp_path)
    with pytest.raises(UsageError, match=r"holds results of SIMULATED tables \(seed 42\).* this run uses .*seed 7"):
        run("A2", "majority", tmp_path, source=SimulatedSource(seed=7))


def test_rows_on_other_data_are_replaced_together_or_not_at_all(tmp_path: Path) -> None:
    tables = {name: somb.load_table(name, "simulated") for name in somb.get_task("A2").tables}
    changed = {name: table.assign(**{table.columns[-1]: 1.0}) for name, table in tables.items()}
    run("A2", "majority,random", tmp_path, source=tables)
    with pytest.raises(UsageError, match=r"holds A2 of random on other features, labels or folds"):
        run("A2", "majority", tmp_path, source=changed)
    run("A2", "majority,random", tmp_path, source=changed)
    with pytest.raises(UsageError, match="holds A2 of random on other features"):  # as if written meanwhile
        run_folder.save(run("A2", "majority", source=tables), tmp_path)
    assert {entry["run"] for entry in told(tmp_path).values()} == set(somb.load_run(tmp_path).provenance["runs"])


def test_both_protocols_in_one_folder_have_records_and_a_summary(tmp_path: Path) -> None:
    run("C2", "majority", tmp_path)
    run("C2", "majority", tmp_path, protocol="published")
    both = somb.load_run(tmp_path)
    assert sorted(entry["protocol"] for entry in both.provenance["models"]) == ["published", "rigorous"]
    assert sorted(both.summary(20)["protocol"]) == ["published", "rigorous"]


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "null", "{", "\ud800", '{"format": 3}', '{"format": 2}', "[" * 100_000, '{"source": "simulated"}'],
)
def test_damaged_provenance_is_told_as_that(content: str, tmp_path: Path) -> None:
    run("A1", "majority", tmp_path)
    (tmp_path / "provenance.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    for call in (lambda: somb.load_run(tmp_path), lambda: run("A1", "majority", tmp_path)):
        with pytest.raises(SombError, match=r"is not a readable run folder: .*Finished folds are kept in"):
            call()


@pytest.mark.parametrize("name", ["results.parquet", "predictions/*.parquet"])
def test_damaged_tables_are_told_as_that(name: str, tmp_path: Path) -> None:
    run("A1", "majority", tmp_path)
    (file,) = tmp_path.glob(name)
    content = file.read_bytes()
    for damaged in (b"", content[:100], content.replace(b"majority", b"minority")):
        file.write_bytes(damaged)
        for call in (lambda: somb.load_run(tmp_path).predictions, lambda: somb.load_run(tmp_path).summary(20)):
            with pytest.raises(SombError, match="is not a readable run folder"):
                call()
    file.unlink()
    with pytest.raises(SombError, match="is not a readable run folder"):
        run("A2", "majority", tmp_path)


def test_a_file_outside_the_folder_is_neither_read_nor_removed(tmp_path: Path) -> None:
    run("A1", "majority", tmp_path / "run")
    provenance = tmp_path / "run" / "provenance.json"
    name = next(name for name in json.loads(provenance.read_text())["files"] if name.startswith("predictions/"))
    (tmp_path / "mine").write_text("mine")
    provenance.write_text(provenance.read_text().replace(name, f"{name[:29]}/../../../mine"))
    with pytest.raises(SombError, match="which is no file of a run"):
        run("A1", "majority", tmp_path / "run")
    assert (tmp_path / "mine").read_text() == "mine"


def test_another_model_leaves_the_files_of_the_others_and_reads_none(tmp_path: Path) -> None:
    run("A1,A2", "majority,random", tmp_path)
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "predictions").iterdir()}
    first = somb.load_run(tmp_path).predictions
    run("A1", {"mine": LogisticRegression(C=100)}, tmp_path)
    after = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "predictions").iterdir()}
    assert before.items() < after.items() and len(after) == 3
    stored = somb.load_run(tmp_path)
    pd.testing.assert_frame_equal(stored.predictions.iloc[: len(first)], first)
    (mine,) = after.keys() - before.keys()
    for name in before:
        (tmp_path / "predictions" / name).write_bytes(b"")
    assert set(stored.of([("A1", "rigorous", "mine")]).predictions["model"]) == {"mine"}

    run("A1", {"mine": LogisticRegression(C=1)}, tmp_path)
    assert mine not in {file.name for file in (tmp_path / "predictions").iterdir()}


def test_a_run_that_was_loaded_reads_on_after_a_later_one_unless_that_replaced_it(tmp_path: Path) -> None:
    first = run("A1", {"mine": LogisticRegression(C=100)}, tmp_path)
    loaded, again, other = (somb.load_run(tmp_path) for _ in range(3))
    run("A2", {"mine": LogisticRegression(C=100)}, tmp_path)
    pd.testing.assert_frame_equal(loaded.predictions, first.predictions, check_exact=True)
    pd.testing.assert_frame_equal(again.summary(50), first.summary(50), check_exact=True)
    run("A1", {"mine": LogisticRegression(C=1)}, tmp_path)
    with pytest.raises(SombError, match="a later run has replaced mine on A1; load the folder again"):
        _ = other.predictions
    with pytest.raises(SombError, match="a later run has replaced mine on A1"):
        other.summary(50)


def test_a_rerun_with_nothing_new_leaves_the_folder_as_it_is(tmp_path: Path) -> None:
    first = run("A1,C2", "majority,random", tmp_path)
    table = first.summary(50)
    content = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    again = run("A1,C2", "majority,random", tmp_path)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == content
    in_memory = run("A1,C2", "majority,random")
    for result in (again, in_memory):
        pd.testing.assert_frame_equal(result.results, first.results, check_exact=True)
        pd.testing.assert_frame_equal(result.predictions, first.predictions, check_exact=True)
        pd.testing.assert_frame_equal(result.summary(50), table, check_exact=True)
        composite = result.composite(n_bootstrap=50)
        pd.testing.assert_frame_equal(composite, first.composite(n_bootstrap=50), check_exact=True)


def test_kept_bootstrap_scores_are_made_anew_for_other_predictions_or_settings(tmp_path: Path) -> None:
    settings = [(50, 1), (50, 2), (60, 1)]
    run("A1", {"mine": LogisticRegression(C=100)}, tmp_path)
    first = [somb.load_run(tmp_path).summary(*each)["low"].item() for each in settings]
    assert len(set(first)) == 3 and len(list((tmp_path / "draws").iterdir())) == 3
    assert [somb.load_run(tmp_path).summary(*each)["low"].item() for each in settings] == first
    for file in (tmp_path / "draws").iterdir():
        file.write_bytes(file.read_bytes()[:40])
    assert [somb.load_run(tmp_path).summary(*each)["low"].item() for each in settings] == first
    run("A1", {"mine": LogisticRegression(C=1e-6)}, tmp_path)
    assert not list((tmp_path / "draws").iterdir())
    alone = run("A1", {"mine": LogisticRegression(C=1e-6)}).summary(*settings[0])
    pd.testing.assert_frame_equal(somb.load_run(tmp_path).summary(*settings[0]), alone, check_exact=True)


def test_a_row_group_without_its_record_is_no_readable_run(tmp_path: Path) -> None:
    run("A1,A2", "majority", tmp_path)
    stored = json.loads((tmp_path / "provenance.json").read_text())
    for damaged in ({"models": stored["models"][:1]}, {"runs": {}}, {"tasks": {}}):
        (tmp_path / "provenance.json").write_text(json.dumps({**stored, **damaged}))
        with pytest.raises(SombError, match="is not a readable run folder"):
            somb.load_run(tmp_path)


@pytest.mark.parametrize("moved", range(2))
def test_a_save_that_is_interrupted_is_completed_or_has_changed_nothing(
    moved: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("A1", "majority", tmp_path)
    before = somb.load_run(tmp_path).results
    replace, left = Path.replace, [moved]

    def stops(source: Path, target: Path) -> Path:
        if source.parent.name == ".pending" and not source.name.endswith(".tmp"):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
        return replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stops)
        with pytest.raises(KeyboardInterrupt):
            run("A1", "random", tmp_path)
    stored = somb.load_run(tmp_path)
    assert stored.results["model"].unique().tolist() == ["majority", "random"]
    pd.testing.assert_frame_equal(stored.results.query("model == 'majority'").reset_index(drop=True), before)


def test_a_save_that_is_interrupted_before_all_is_written_has_changed_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("A1", "majority", tmp_path)
    before = somb.load_run(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(run_folder.json, "dumps", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run("A1", "random", tmp_path)
    after = somb.load_run(tmp_path)
    pd.testing.assert_frame_equal(after.results, before.results)
    assert after.provenance == before.provenance
    run("A1", "random", tmp_path)
    assert somb.load_run(tmp_path).results["model"].nunique() == 2


def one_table(folder: Path, dropped: tuple[str, ...] = ()) -> None:
    """Write predictions as earlier versions did: all in one table."""
    stored = json.loads((folder / "provenance.json").read_text())
    somb.load_run(folder).predictions.drop(columns=[*dropped]).to_parquet(folder / "predictions.parquet", index=False)
    shutil.rmtree(folder / "predictions")
    results = pd.read_parquet(folder / "results.parquet")
    results.drop(columns=[*{*dropped} & {*results}]).to_parquet(folder / "results.parquet", index=False)
    files = [folder / name for name in ("results.parquet", "predictions.parquet")]
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    (folder / "provenance.json").write_text(json.dumps({**stored, "files": hashes}))


def test_a_folder_with_one_table_of_predictions_reads_and_is_divided_by_the_next_run(tmp_path: Path) -> None:
    run("A1,A2", "majority,random", tmp_path)
    before = somb.load_run(tmp_path)
    predictions, summary = before.predictions, before.summary(20)
    one_table(tmp_path)
    stored = somb.load_run(tmp_path)
    pd.testing.assert_frame_equal(stored.predictions, predictions, check_exact=True)
    pd.testing.assert_frame_equal(stored.summary(20), summary, check_exact=True)
    assert set(stored.of([("A2", "rigorous", "random")]).predictions["model"]) == {"random"}
    run("A2", "random", tmp_path, seed=7)
    assert not (tmp_path / "predictions.parquet").exists()
    after = somb.load_run(tmp_path).predictions
    kept = (after["model"] == "majority") | (after["task"] == "A1")
    assert after[~kept]["seed"].unique().tolist() == [7] and len(after) == len(predictions)
    first = predictions[(predictions["model"] == "majority") | (predictions["task"] == "A1")]
    pd.testing.assert_frame_equal(after[kept].reset_index(drop=True), first.reset_index(drop=True), check_exact=True)


def test_a_folder_of_an_earlier_version_still_reads_and_takes_more(tmp_path: Path) -> None:
    run("A1,A2", "majority", tmp_path, seed=5)
    stored = json.loads((tmp_path / "provenance.json").read_text())
    (only,) = stored["runs"].values()
    models = {"majority": {"target": "majority", "params": {}, "seed": 5}}
    first = {key: stored[key] for key in ("source", "described", "tasks")} | only | {"models": models}
    one_table(tmp_path, ("seed", "y_proba"))
    (tmp_path / "provenance.json").write_text(json.dumps(first))
    assert told(tmp_path)["A2", "majority"]["seed"] == 5
    run("A1", "random", tmp_path)
    assert set(told(tmp_path)) == {("A1", "majority"), ("A2", "majority"), ("A1", "random")}
