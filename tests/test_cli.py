"""The command line: one clear message and an exit code, never a traceback; output for people and for pipes."""

import json
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

Command = Callable[..., tuple[int, str, str]]

RUN = ("run", "--data", "simulated", "--jobs", 1)


def test_run_prints_scores_chance_and_the_simulated_mark(command: Command, tmp_path: Path) -> None:
    code, out, err = command(*RUN, "--tasks", "A1,C2", "--models", "majority,logreg")
    assert code == 0
    assert "SIMULATED" in out and "SIMULATED" in err and "chance" in out and "±" in out and "composite" in out
    folder = tmp_path / "results" / "simulated-aligned"
    assert {"results.parquet", "predictions.parquet", "provenance.json"} <= {f.name for f in folder.iterdir()}


def test_formats_can_be_read_back(command: Command) -> None:
    words = (*RUN, "--tasks", "A1", "--models", "majority", "--format")
    _, as_csv, _ = command(*words, "csv")
    _, as_json, _ = command(*words, "json")
    _, as_markdown, _ = command(*words, "markdown")
    mean = json.loads(as_json)[0]["mean"]
    assert pd.read_csv(StringIO(as_csv))["mean"].tolist() == [pytest.approx(mean)]
    assert as_markdown.startswith("| task | protocol |") and "| A1 | aligned |" in as_markdown


def test_model_params_reach_the_model(command: Command, tmp_path: Path) -> None:
    code, _, _ = command(*RUN, "-t", "A1", "--models", "logreg,own_estimators:make", "--model-params", "logreg.C=0.01")
    assert code == 0
    stored = json.loads((tmp_path / "results/simulated-aligned/provenance.json").read_text())
    params = {entry["model"]: entry["params"] for entry in stored["models"]}
    assert params["logreg(C=0.01)"] == {"C": "0.01"}
    assert params["own_estimators:make"] == {}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((*RUN, "--tasks", "Z1"), 2, "unknown task 'Z1'; the tasks are A1, A2"),
        ((*RUN, "--models", "svm"), 2, "unknown model 'svm'; the baselines are"),
        ((*RUN, "-t", "A1", "--models", "logreg", "--model-params", "C"), 2, "not of the form model.key=value"),
        ((*RUN, "-t", "A1", "--models", "logreg", "--model-params", "depth=1"), 2, "does not take these parameters"),
        ((*RUN, "-t", "A1", "--protocol", "mixed"), 2, "unknown protocol 'mixed'; it is one of aligned, published"),
        (("run", "--data", "nowhere"), 2, "neither simulated, open, auto nor a folder"),
        (("run", "--data", "simulated", "--jobs", 0), 2, "--jobs 0"),
        (("run", "--data", "open", "--tasks", "A1"), 1, "somb data fetch"),
        ((*RUN, "-t", "A1", "--models", "majority", "--out", "/dev/null/x"), 1, "cannot write"),
        ((*RUN, "-t", "C2", "--models", "own_estimators:AlwaysNaN"), 1, "returned NaN or infinite values"),
        ((*RUN, "-t", "C2", "--models", "own_estimators:WrongShape"), 1, "returned shape (75,), expected (76,)"),
        ((*RUN, "-t", "C1", "--models", "own_estimators:Raises"), 1, "RuntimeError: out of luck"),
        (("ablate", "A1"), 2, "A1 defines no ablation; B1 does"),
        (("tasks", "Z1"), 2, "unknown task 'Z1'"),
        (("data", "fetch", "--tasks", "Z1"), 2, "unknown task 'Z1'"),
        (("data", "verify", "--data", "simulated"), 1, "there is no file to verify"),
        (("data", "derive", "--data", "simulated"), 1, "only real tables can be derived"),
        (("reproduce", "--data", "simulated", "--tasks", "A1"), 1, "only real tables can reproduce"),
        (("run", "--colour"), 2, "No such option"),
    ],
)
def test_bad_requests_get_one_message_and_a_code(
    command: Command, words: tuple, code: int, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path / "cache")) if "open" in words else None
    found, _, err = command(*words)
    assert (found, message in err) == (code, True), err


def test_failures_leave_earlier_results_intact(command: Command, tmp_path: Path) -> None:
    command(*RUN, "-t", "C2", "--models", "majority")
    folder = tmp_path / "results" / "simulated-aligned"
    before = pd.read_parquet(folder / "results.parquet")
    assert command(*RUN, "-t", "C2", "--models", "own_estimators:AlwaysNaN")[0] == 1
    after = pd.read_parquet(folder / "results.parquet")
    pd.testing.assert_frame_equal(after[after["model"] == "majority"], before)


def test_a_tampered_table_stops_the_run_and_verify_names_it(command: Command, open_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    for name in ("clinical_cbc", "clinical_cmp"):
        shutil.copy(open_data / "processed" / f"{name}.csv", folder)
    assert command("data", "verify", "--data", folder)[0] == 0
    file = folder / "clinical_cmp.csv"
    file.write_bytes(file.read_bytes()[:-1])
    code, _, err = command("run", "--tasks", "A1", "--data", folder)
    assert code == 1 and "clinical_cmp.csv is truncated" in err and "somb data fetch" in err
    code, out, _ = command("data", "verify", "--data", folder)
    assert code == 1 and "clinical_cmp.csv is truncated" in out and "1 of 2 tables" in out


def test_missing_tables_are_named_and_the_rest_runs(command: Command, open_data: Path, tmp_path: Path) -> None:
    shutil.copy(open_data / "processed" / "clinical_cytokines_eve.csv", tmp_path)
    words = ("run", "--data", tmp_path, "--models", "majority", "--jobs", 1, "--format", "csv")
    code, out, err = command(*words, "--tasks", "A*")
    assert code == 0 and pd.read_csv(StringIO(out))["task"].tolist() == ["A2"]
    assert "left out: A1: clinical_cbc.csv, clinical_cmp.csv is not among" in err
    assert command(*words, "--tasks", "A1")[0] == 1


def test_the_catalogue_shows_every_task(command: Command) -> None:
    _, out, _ = command("tasks", "--format", "csv")
    assert len(pd.read_csv(StringIO(out))) == 21
    _, out, _ = command("tasks", "F3")
    assert "microbiome_env_taxonomy_cpm" in out and "calibration" in out


def test_the_ablation_runs_b1_three_times(command: Command) -> None:
    code, out, _ = command(
        "ablate", "b1", "--data", "simulated", "--models", "majority", "--jobs", 1, "--format", "csv"
    )
    assert code == 0 and pd.read_csv(StringIO(out))["task"].tolist() == ["B1", "B1_effect_only", "B1_no_effect"]


def test_doctor_names_data_and_remedy(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path))
    code, out, _ = command("doctor")
    assert code == 0 and "21 of 21 can run" in out and "somb data fetch" in out and "scikit-learn" in out


def test_status_and_simulate(command: Command, tmp_path: Path) -> None:
    _, out, _ = command("data", "status", "--tasks", "B1", "--data", "simulated")
    assert "2 of 2 tables are at hand" in out
    assert command("data", "simulate", tmp_path / "sim")[0] == 0
    assert (tmp_path / "sim" / "clinical_cbc.csv").read_text().startswith("sample_id,crew")


@pytest.mark.parametrize("name", ["run", "ablate", "reproduce", "tasks", "doctor", "data fetch", "data verify"])
def test_help_has_examples(command: Command, name: str) -> None:
    code, out, _ = command(*name.split(), "--help")
    assert code == 0 and "Example" in out
