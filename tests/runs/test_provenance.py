"""The record says of every group of rows how it was made, and a run folder holds one data source, whole or not."""

import json
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
    assert sorted(entry["protocol"] for entry in both.provenance["models"]) == ["aligned", "published"]
    assert sorted(both.summary(20)["protocol"]) == ["aligned", "published"]


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


@pytest.mark.parametrize("name", ["results.parquet", "predictions.parquet"])
def test_damaged_tables_are_told_as_that(name: str, tmp_path: Path) -> None:
    run("A1", "majority", tmp_path)
    content = (tmp_path / name).read_bytes()
    for damaged in (b"", content[:100], content.replace(b"majority", b"minority")):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(SombError, match="is not a readable run folder"):
            somb.load_run(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(SombError, match="is not a readable run folder"):
        run("A2", "majority", tmp_path)


def test_a_row_group_without_its_record_is_no_readable_run(tmp_path: Path) -> None:
    run("A1,A2", "majority", tmp_path)
    stored = json.loads((tmp_path / "provenance.json").read_text())
    for damaged in ({"models": stored["models"][:1]}, {"runs": {}}, {"tasks": {}}):
        (tmp_path / "provenance.json").write_text(json.dumps({**stored, **damaged}))
        with pytest.raises(SombError, match="is not a readable run folder"):
            somb.load_run(tmp_path)


@pytest.mark.parametrize("moved", range(3))
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


def test_a_folder_of_an_earlier_version_still_reads_and_takes_more(tmp_path: Path) -> None:
    run("A1,A2", "majority", tmp_path, seed=5)
    stored = json.loads((tmp_path / "provenance.json").read_text())
    (only,) = stored["runs"].values()
    models = {"majority": {"target": "majority", "params": {}, "seed": 5}}
    first = {key: stored[key] for key in ("source", "described", "tasks")} | only | {"models": models}
    (tmp_path / "provenance.json").write_text(json.dumps(first))
    assert told(tmp_path)["A2", "majority"]["seed"] == 5
    run("A1", "random", tmp_path)
    assert set(told(tmp_path)) == {("A1", "majority"), ("A2", "majority"), ("A1", "random")}
