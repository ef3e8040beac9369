"""Runs: the same scores whatever the number of jobs, resumable, and honest about failures."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

import somb_utils as somb
from somb_utils.errors import SombError, UsageError
from somb_utils.runs.models import resolve_models
from somb_utils.runs.record import RESULT_COLUMNS

FAST = ["random", "majority", "logreg"]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "helpers"))


def sim(tasks, models, **options):  # type: ignore[no-untyped-def]
    return somb.run(tasks, models, source="simulated", **{"n_jobs": 1, **options})


def test_scores_are_identical_with_one_and_two_jobs() -> None:
    models = ["random", "majority", "logreg", "mlp", "xgboost", "lightgbm", "rf"]
    params = {"rf": {"n_estimators": 10}, "xgboost": {"n_estimators": 10}, "lightgbm": {"n_estimators": 10}}
    c2, b2 = (somb.load_task(task, source="simulated") for task in ("C2", "B2"))
    c2, b2 = replace(c2, folds=c2.folds[:5]), replace(b2, folds=b2.folds[:5])
    for plan in ((["A1", c2, "G1"], models, params), ([b2], ["random", "logreg"], None)):
        one, two = (sim(*plan[:2], model_params=plan[2], n_jobs=n) for n in (1, 2))
        pd.testing.assert_frame_equal(one.results, two.results, check_exact=True)
        pd.testing.assert_frame_equal(one.predictions, two.predictions, check_exact=True)


def test_a_rerun_fits_nothing_and_a_changed_model_only_itself(tmp_path: Path) -> None:
    counts: list[int] = []
    options = {"out": tmp_path, "on_start": lambda jobs, cost: counts.append(jobs)}
    first = sim("A1,C2", FAST, **options)
    again = sim("A1,C2", FAST, **options)
    sim("A1,C2", FAST, model_params={"logreg": {"C": 0.1}}, **options)
    assert counts == [27, 0, 9]
    pd.testing.assert_frame_equal(first.results, again.results)
    assert somb.load_run(tmp_path).results["model"].nunique() == 4


def test_a_damaged_job_file_is_done_again(tmp_path: Path) -> None:
    first = sim("A1", "logreg", out=tmp_path)
    for file in (tmp_path / "jobs").glob("*.npz"):
        file.write_bytes(file.read_bytes()[:40])
    pd.testing.assert_frame_equal(sim("A1", "logreg", out=tmp_path).results, first.results)


def test_failed_folds_are_recorded_and_left_out_of_the_mean() -> None:
    result = sim("C1", ["own_estimators:Raises", "majority"])
    table = result.summary().set_index("model")
    bad = table.loc["own_estimators:Raises"]
    assert 0 < bad["failed"] < 4 and bad["folds"] == 4 - bad["failed"]
    scored = result.results.query("model == 'own_estimators:Raises' and metric == 'macro_auroc' and status == 'ok'")
    assert bad["mean"] == pytest.approx(scored["value"].mean())
    assert result.failures()["reason"].unique().tolist() == ["RuntimeError: out of luck"]
    failed_folds = set(result.failures()["fold"])
    assert not failed_folds & set(result.predictions.query("model == 'own_estimators:Raises'")["fold"])
    assert table.loc["majority", "failed"] == 0


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("AlwaysNaN", "predict_proba returned NaN or infinite values"),
        ("WrongShape", r"predict returned shape \(75,\), expected \(76,\)"),
        ("UnknownClass", "predict returned the class 99"),
    ],
)
def test_bad_predictions_are_failures(model: str, reason: str) -> None:
    result = sim("C2", f"own_estimators:{model}")
    assert len(result.failures()) == 5 and result.failures()["reason"].str.contains(reason).all()
    assert result.summary().loc[0, ["failed", "folds"]].tolist() == [5, 0]
    assert np.isnan(result.summary().loc[0, "mean"])


def test_own_models_of_every_kind_run() -> None:
    models = {
        "object": LogisticRegression(C=0.5),
        "class": GaussianNB,
        "factory": "own_estimators:make",
        "margin": "own_estimators:margin",
    }
    result = sim(["A1", "C2", "B2"], models)
    assert result.failures().empty
    assert set(result.summary()["model"]) == set(models)
    margins = result.predictions.query("model == 'margin' and task == 'C2'")
    assert margins["y_score"].between(0, 1).all()
    assert ((margins["y_score"] >= 0.5) == (margins["y_pred"] == "changed")).all()


@pytest.mark.parametrize(
    ("models", "params", "message"),
    [
        ("svm", None, "unknown model 'svm'; the baselines are random, majority"),
        ("nowhere.at:all", None, "cannot import nowhere.at"),
        ("own_estimators:absent", None, "has no 'absent'"),
        ("own_estimators:NOT_A_MODEL", None, "neither an estimator nor a factory"),
        ("own_estimators:NeedsArgument", None, "cannot be made: TypeError"),
        ("logreg,logreg", None, "is duplicated"),
        ("", None, "no model named"),
        ("logreg", {"logreg": {"depth": 3}}, "model 'logreg' does not take these parameters: depth$"),
        ("logreg", {"rf": {"n_estimators": 3}}, "parameters for 'rf', which is not among"),
    ],
)
def test_bad_models_are_told_before_anything_runs(models: str, params: dict | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sim("A1", models, model_params=params)


def test_simulated_and_other_results_never_share_a_folder(tmp_path: Path) -> None:
    sim("A1", "majority", out=tmp_path)
    before = (tmp_path / "results.parquet").read_bytes()
    tables = {name: somb.load_table(name, "simulated") for name in somb.get_task("A1").tables}
    with pytest.raises(UsageError, match="holds results of simulated tables, this run uses custom ones"):
        somb.run("A1", "majority", source=tables, out=tmp_path, n_jobs=1)
    assert (tmp_path / "results.parquet").read_bytes() == before


def test_runs_into_one_folder_add_up(tmp_path: Path) -> None:
    sim("A1", "majority", out=tmp_path)
    assert set(sim("A2", "majority", out=tmp_path).results["task"]) == {"A2"}
    merged = somb.load_run(tmp_path)
    assert merged.results["task"].unique().tolist() == ["A1", "A2"]
    assert set(merged.summary()["task"]) == {"A1", "A2"}


def test_results_and_provenance_carry_the_contract(tmp_path: Path) -> None:
    result = sim("B2,C2,A1", ["logreg"], out=tmp_path)
    assert result.results.columns.tolist() == RESULT_COLUMNS
    stored = pd.read_parquet(tmp_path / "predictions")
    assert {"task", "model", "fold", "id", "y_true", "y_pred", "y_score", "label"} <= set(stored.columns)
    assert (
        stored[stored["task"] == "B2"]["label"].notna().all() and stored[stored["task"] == "C2"]["label"].isna().all()
    )
    made = json.loads((tmp_path / "provenance.json").read_text(encoding="utf-8"))
    assert made["source"] == "simulated" and {entry["seed"] for entry in made["models"]} == {42}
    assert made["tasks"]["A1/rigorous"]["tables"].keys() == {"clinical_cbc", "clinical_cmp"}
    assert {"numpy", "scikit-learn", "xgboost", "lightgbm", "python"} <= made["runs"][made["models"][0]["run"]][
        "versions"
    ].keys()
    assert (result.results["source"] == "simulated").all()


def test_an_undefined_metric_is_missing_and_counted() -> None:
    # The capsule was sampled at four of seven time points: elsewhere F3's AUROC has a single class.
    table = sim("F3", "majority").summary()
    assert table.loc[0, ["folds", "undefined", "failed"]].tolist() == [4, 3, 0]


def test_published_runs_no_boosting_on_b2() -> None:
    models = ["majority", "xgboost", "lightgbm"]
    options = {"model_params": {m: {"n_estimators": 2} for m in models[1:]}}
    assert set(sim("B2", models, protocol="published", **options).summary()["model"]) == {"majority"}
    names = {"majority", "xgboost(n_estimators=2)", "lightgbm(n_estimators=2)"}
    assert set(sim("B2", models, **options).summary()["model"]) == names


def test_a_task_named_without_its_tables_is_an_error_and_a_matched_one_is_left_out() -> None:
    tables = {name: somb.load_table(name, "simulated") for name in ("clinical_cbc", "clinical_cmp")}
    with pytest.raises(SombError, match=r"A2: clinical_cytokines_eve\.csv is not among"):
        somb.run("A1,A2", "majority", source=tables, n_jobs=1)
    result = somb.run("A*", "majority", source=tables, n_jobs=1)
    assert result.results["task"].unique().tolist() == ["A1"]


def test_the_random_baseline_follows_the_class_shares() -> None:
    (model,) = resolve_models("random")
    estimator = model.make(somb.get_task("C2"), fold=0)
    y = np.array([0] * 75 + [1] * 25)
    X = np.zeros((4000, 1))
    assert estimator.fit(X[:100], y).predict(X).mean() == pytest.approx(0.25, abs=0.03)
    assert estimator.predict_proba(X)[:, 1].mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_told_at_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SombError, match="cannot write"):
        sim("A1", "majority", out=tmp_path)


def test_a_file_in_the_way_of_the_folder_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("not a folder")
    with pytest.raises(SombError, match="cannot write"):
        sim("A1", "majority", out=tmp_path / "taken")
