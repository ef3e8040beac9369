"""Each example runs as its page says, on simulated tables."""

import runpy
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Command

import somb_utils as somb
from somb_utils.errors import SombError, UsageError
from somb_utils.predictions.evaluate import score, validate

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))


Python = Callable[..., str]


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Python:
    """Run a module as ``python -m`` does, but in this process; return its standard output."""

    def call(module: str, *words: object) -> str:
        monkeypatch.setattr(sys, "argv", [module, *map(str, words)])
        monkeypatch.delitem(sys.modules, module, raising=False)
        with pytest.raises(SystemExit) as stop:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        assert not stop.value.code
        return capsys.readouterr().out

    return call


@pytest.mark.parametrize("name", ["selected_logreg", "nearest_centroid"])
def test_an_estimator_runs_on_every_kind_of_task(name: str) -> None:
    result = somb.run("A1,B2,C2", f"examples.{name}:make", source="simulated", n_jobs=1)
    assert result.failures().empty and result.summary()["mean"].notna().all()


def test_the_command_line_runs_an_example_and_sets_its_parameters(command: Command, tmp_path: Path) -> None:
    words = ["run", "--data", "simulated", "--tasks", "A1", "--jobs", "1", "--format", "csv"]
    words += ["--models", "examples.selected_logreg:make"]
    words += ["--model-params", "select__percentile=50", "--out", str(tmp_path)]
    name = "examples.selected_logreg:make(select__percentile=50)"
    code, printed, _ = command(*words)
    assert code == 0 and f"{name},simulated,macro_auroc" in printed
    made = {entry["model"]: entry for entry in somb.load_run(tmp_path).provenance["models"]}[name]
    assert made["params"] == {"select__percentile": "50"}


def test_ratios_stand_beside_the_blood_panel_and_come_from_one_row_each() -> None:
    from examples.nearest_centroid import RATIOS, with_ratios

    data = somb.load_task("A1", source="simulated")
    wider = with_ratios(data)
    assert wider.X.columns.tolist() == [*data.X.columns, *RATIOS]
    expected = np.log(data.X["cbc_absolute_neutrophils"] / data.X["cbc_absolute_lymphocytes"])
    pd.testing.assert_series_equal(wider.X["neutrophils_to_lymphocytes"], expected, check_names=False)
    assert wider.fingerprint != data.fingerprint and "anion_gap" not in data.X
    with pytest.raises(UsageError, match="C2 has no feature"):
        with_ratios(somb.load_task("C2", source="simulated"))


def test_the_ratios_run_as_a_program(python: Python, tmp_path: Path) -> None:
    printed = python("examples.nearest_centroid", "--data", "simulated", "--out", tmp_path)
    assert "centroid_ratios" in printed
    assert somb.load_run(tmp_path).failures().empty


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    models = ["majority", "random", "logreg", "mlp"]
    somb.run("A1,B2,C2", models, model_params={"mlp": {"max_iter": 20}}, source="simulated", out=folder, n_jobs=1)
    return folder


def test_the_ensemble_writes_predictions_that_can_be_scored(python: Python, run: Path, tmp_path: Path) -> None:
    printed = python("examples.ensemble", run, tmp_path / "ensemble", "--data", "simulated")
    assert "logreg, mlp(max_iter=20) are combined" in printed
    submissions, notes = validate(tmp_path / "ensemble", source="simulated")
    assert list(submissions) == ["A1.parquet", "B2.parquet", "C2.parquet"] and not notes
    result = score(submissions)
    assert result.summary()["mean"].notna().all()
    stored = somb.load_run(run).predictions.query("task == 'C2' and model in ['logreg', 'mlp(max_iter=20)']")
    mean = stored.groupby(["fold", "id"])["y_score"].mean()
    ours = result.predictions.query("task == 'C2'").set_index(["fold", "id"])["y_score"]
    pd.testing.assert_series_equal(ours.sort_index(), mean.sort_index(), rtol=0, atol=1e-15)


def test_votes_are_counted_and_a_tie_goes_to_the_first_class(run: Path) -> None:
    from examples.ensemble import combine

    data = somb.load_task("A1", source="simulated")
    row = {"fold": "C001", "id": "a", "label": None, "y_score": np.nan, "y_proba": None}
    one, two, three = data.task.classes

    def voted(*classes: str) -> str:
        rows = [{**row, "model": f"m{i}", "y_pred": name} for i, name in enumerate(classes)]
        return combine(pd.DataFrame(rows), data)["y_pred"].item()

    assert voted(three, two, three) == three and voted(three, two) == two and voted(two, one, three) == one


def test_an_ensemble_with_a_gap_or_without_models_is_refused(run: Path, tmp_path: Path) -> None:
    from examples.ensemble import combine, main

    data = somb.load_task("A1", source="simulated")
    rows = somb.load_run(run).predictions.query("task == 'A1'").iloc[1:]
    with pytest.raises(SombError, match="A1: a model has no prediction for"):
        combine(rows, data)
    with pytest.raises(UsageError, match="has no rigorous predictions of svm"):
        main(run, tmp_path, models="svm,logreg", data="simulated")


@pytest.mark.parametrize("package", ["tabpfn", "tabicl", "catboost"])
def test_without_its_package_an_adapter_says_how_to_get_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"examples.{package}_model needs .*: pip install {package}"):
        somb.run("A1", f"examples.{package}_model:make", source="simulated", n_jobs=1)


@pytest.mark.skipif(find_spec("catboost") is None, reason="CatBoost is not installed")
def test_catboost_takes_the_raw_fold_and_the_seed() -> None:
    first, again, other = (
        somb.run("A1,C2", {"m": "examples.catboost_model:make"}, source="simulated", seed=seed, n_jobs=1)
        for seed in (7, 7, 8)
    )
    assert first.failures().empty and {entry["fold"] for entry in first.provenance["models"]} == {"raw"}
    pd.testing.assert_frame_equal(first.predictions, again.predictions)
    assert not first.predictions.equals(other.predictions)


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
def test_the_torch_net_runs_and_repeats_itself() -> None:
    model = "examples.torch_net:make"
    params = {model: {"epochs": 3, "hidden": 4}}
    first, second = (somb.run("A1,B2,C2", model, model_params=params, source="simulated", n_jobs=1) for _ in range(2))
    assert first.failures().empty
    pd.testing.assert_frame_equal(first.predictions, second.predictions)


def test_without_torch_the_net_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from examples import torch_net

    monkeypatch.setattr(torch_net, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs PyTorch, .*: pip install torch"):
        somb.run("A1", "examples.torch_net:make", source="simulated", n_jobs=1)
    with pytest.raises(UsageError, match="pip install torch"):
        torch_net.TorchNet().fit(np.zeros((4, 2)), np.array([0, 1, 0, 1]))
