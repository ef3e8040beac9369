"""``somb compare``: runs joined, tables printed, figures written; what does not compare is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import somb_utils as somb
from somb_utils.compare import against, gather
from somb_utils.errors import UsageError

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name, models in (("base", ["majority", "logreg", "rf"]), ("mine", ["rf", "lightgbm"])):
        somb.run(["A1", "C2", "H1"], models, source="simulated", out=folder / name, n_jobs=1)
    somb.run("A1", ["rf"], source="simulated", protocol="published", out=folder / "published", n_jobs=1)
    return folder


def test_prints_scores_differences_ranks_and_calibration(runs: Path, command: Command, tmp_path: Path) -> None:
    code, out, err = command("compare", runs / "base", runs / "mine", "--n-permutations", 99, "--out", tmp_path / "c")
    assert code == 0, err
    for said in ("base:rf", "mine:rf", "SIMULATED", "Friedman", "Brier", "below 0.125"):
        assert said in out
    made = {path.name for path in (tmp_path / "c").iterdir()}
    assert {"scores.csv", "differences.csv", "ranks.csv", "critical_difference.png", "calibration_C2.png"} <= made
    assert pd.read_csv(tmp_path / "c" / "scores.csv")["source"].eq("simulated").all()


def test_same_models_of_two_runs_differ_by_nothing(runs: Path, command: Command) -> None:
    code, out, _ = command(
        "compare", runs / "base", runs / "mine", "--models", "base:rf,mine:rf", "--against", "base:rf",
        "--format", "csv", "--tasks", "C2", "--n-permutations", 99,
    )  # fmt: skip
    assert code == 0 and "mine:rf,0.000,0.000,0.000,0.500" in out


def test_json_is_the_scores_alone(runs: Path, command: Command) -> None:
    code, out, _ = command("compare", runs / "base", "--format", "json", "--n-permutations", 99)
    rows = json.loads(out)
    assert code == 0 and len(rows) == 9 and {"low", "high", "chance", "p", "q", "tied"} <= set(rows[0])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["base", "published"], "runs of one protocol compare; these are of aligned, published"),
        (["base", "--tasks", "B1"], "no run holds the task B1; they hold A1, C2, H1"),
        (["base", "--models", "svm"], "no run holds the model svm"),
        (["base", "--against", "svm"], "no model was compared with svm"),
        (["base", "--models", "rf"], "a comparison needs two models"),
        (["nowhere"], "not a readable run folder"),
    ],
)
def test_what_does_not_compare_is_refused(runs: Path, command: Command, words: list[str], said: str) -> None:
    places = [str(runs / w) if w in ("base", "published", "nowhere") else w for w in words]
    code, _, err = command("compare", *places)
    assert code in (1, 2) and said in err


def test_runs_on_other_data_do_not_compare(runs: Path, tmp_path: Path) -> None:
    run = somb.load_run(runs / "mine")
    run.provenance["tasks"]["C2/aligned"]["data_sha256"] = "0" * 64
    from somb_utils.results import save

    (tmp_path / "other").mkdir()
    save(run, tmp_path / "other")
    with pytest.raises(UsageError, match="C2/aligned was run on other data"):
        gather([runs / "base", tmp_path / "other"])


def test_differences_turn_towards_the_reference() -> None:
    table = pd.DataFrame({
        "task": ["C2"], "metric": ["auroc"], "a": ["x"], "b": ["y"], "difference": [0.2], "low": [0.1], "high": [0.4],
        "wins": [0.9], "folds": [5], "test": ["Nadeau-Bengio"], "p": [0.1], "floor": [0.0],
    })  # fmt: skip
    turned = against(table, "x").iloc[0]
    assert (turned["model"], turned["difference"], turned["low"], turned["high"]) == ("y", -0.2, -0.4, -0.1)
    assert turned["wins"] == pytest.approx(0.1)
    assert against(table, "y").iloc[0]["difference"] == 0.2
