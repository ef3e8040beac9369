"""``somb run --dry-run``: everything is checked, nothing is fitted or written, every problem is reported at once."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import somb_utils as somb
from somb_utils.runs.plan import plan

Command = Callable[..., tuple[int, str, str]]

WORDS = ("run", "--data", "simulated", "--tasks", "A1,C2", "--models", "majority,logreg", "--out", "out")


def test_a_dry_run_counts_fits_and_fits_and_writes_nothing(command: Command, tmp_path: Path) -> None:
    code, out, err = command(*WORDS, "--dry-run", "--format", "json")
    rows = {row["task"]: row for row in json.loads(out)}
    assert code == 0 and list(rows) == ["A1", "C2"] and not (tmp_path / "out").exists()
    a1 = {"protocol": "rigorous", "source": "simulated", "rows": 28, "features": 39, "classes": 3, "folds": 4}
    assert {**rows["A1"], **a1, "gaps": "2.7%", "fits": 8, "finished": 0} == rows["A1"] and rows["C2"]["fits"] == 10
    assert (
        "18 fits to do, 0 finished; about 0:00:0" in err and "a rough estimate" in err and "nothing was fitted" in err
    )


def test_extensions_run_only_if_they_are_named() -> None:
    """The same 21 tasks are run and planned when none is named."""
    published = [task.id for task in somb.select_tasks()]
    run = somb.run(models="majority", source="simulated", n_jobs=1)
    assert len(published) == 21 and sorted(run.results["task"].unique()) == published
    assert plan(None, "majority", source="simulated").tasks["task"].tolist() == published
    extension = next(task.id for task in somb.select_tasks("*") if task.id not in published)
    assert extension in plan(f"{extension[0]}*", "majority", source="simulated").tasks["task"].tolist()


def test_finished_folds_are_counted_and_give_the_rate(command: Command, tmp_path: Path) -> None:
    assert command(*WORDS, "--tasks", "C2", "--jobs", "1")[0] == 0
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    code, _, err = command(*WORDS, "--dry-run")
    assert code == 0 and "8 fits to do, 10 finished" in err and "from the models' finished folds" in err
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before
    other_seed = plan("C2", "majority,logreg", source="simulated", seed=1, out=tmp_path / "out")
    assert other_seed.finished == 0 and not other_seed.problems


def test_folds_fitted_while_tables_were_simulated_are_found_again(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMB_CACHE", str(tmp_path / "cache"))
    assert command(*WORDS)[0] == 0 and "somb_utils.tables.simulate" in sys.modules
    # Another process finds the tables in the cache, and does not import the simulator.
    again = subprocess.run(
        [sys.executable, "-m", "somb_utils.cli", *WORDS, "--dry-run"], check=True, capture_output=True, text=True
    )
    assert "0 fits to do, 18 finished" in again.stderr


def test_all_problems_are_told_at_once(command: Command, open_data: Path, tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    for name in ("clinical_cytokines_eve", "clinical_cbc", "clinical_cmp"):
        shutil.copy(open_data / "processed" / f"{name}.csv", tables)
    (tables / "clinical_cbc.csv").write_text("sample_id\n1\n")
    models = ("--models", "logreg,svm,rf,nowhere:model", "--model-params", "logreg.depth=3", "--model-params", "rf.x=1")
    code, out, err = command("run", "--dry-run", "--data", tables, "--tasks", "A1,A2,C2,Z9,H*", *models)
    assert code == 1 and "A2" in out and not (tmp_path / "results").exists()
    told = err.partition("problems:\n")[2].splitlines()
    expected = (
        "'svm'",
        "cannot import nowhere",
        "'Z9'",
        "C2: ",
        "clinical_cbc",
        "'logreg' does not take",
        "'rf' does not",
    )
    assert len(told) == len(expected) and all(any(part in line for line in told) for part in expected), err
    assert "left out: H1: " in err


def test_a_folder_of_other_tables_is_a_problem(tmp_path: Path) -> None:
    somb.run("A1", "majority", source="simulated", n_jobs=1, out=tmp_path)
    tables = {name: somb.load_table(name, "simulated") for name in somb.get_task("A1").tables}
    (problem,) = plan("A1", "majority", source=tables, out=tmp_path).problems
    assert "holds results of simulated tables, this run uses custom ones" in problem
    (problem,) = plan("A1", "majority", source="simulated", out=tmp_path / "provenance.json" / "below").problems
    assert "cannot be written; name another folder" in problem


@pytest.mark.parametrize(
    ("tasks", "models", "message"), [("", None, "unknown task"), ("A1", "", "no model"), ("A1", "rf,rf", "'rf'")]
)
def test_an_empty_or_repeated_choice_is_a_problem(tasks: str, models: str | None, message: str) -> None:
    told = plan(tasks, models, source="simulated")
    assert len(told.problems) == 1 and message in told.problems[0]
