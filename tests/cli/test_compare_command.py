"""``somb compare``: runs joined, tables printed, figures written; what does not compare is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import joblib
import pandas as pd
import pytest
from joblib._parallel_backends import ThreadingBackend
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import somb_utils as somb
from somb_utils import stats
from somb_utils.errors import UsageError
from somb_utils.runs.baselines import TRIVIAL
from somb_utils.runs.compare import against, compare, gather

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    forest, tree = RandomForestClassifier(10, random_state=0), DecisionTreeClassifier(max_depth=2, random_state=0)
    base = {"majority": "majority", "logreg": "logreg", "forest": forest}
    for name, models in (("base", base), ("mine", {"forest": forest, "tree": tree})):
        somb.run(["A1", "C2", "H1"], models, source="simulated", out=folder / name, n_jobs=1)
    somb.run("A1", {"forest": forest}, source="simulated", protocol="published", out=folder / "published", n_jobs=1)
    for month, penalty in (("jan", 0.01), ("feb", 10.0)):
        models = {"logreg": "logreg", "net": LogisticRegression(C=penalty, max_iter=1000)}
        somb.run("A1", models, source="simulated", out=folder / month / "mine", n_jobs=1)
    for protocol in ("aligned", "published"):
        somb.run("A1", ["logreg", "majority"], source="simulated", protocol=protocol, out=folder / "both", n_jobs=1)
    return folder


def test_prints_scores_differences_ranks_and_calibration(runs: Path, command: Command, tmp_path: Path) -> None:
    code, out, err = command("compare", runs / "base", runs / "mine", "--n-permutations", 99, "--out", tmp_path / "c")
    assert code == 0, err
    assert "base:" not in out and "mine:" not in out
    for said in ("forest", "tree", "SIMULATED", "Friedman", "Brier", "below 0.125"):
        assert said in out
    made = {path.name for path in (tmp_path / "c").iterdir()}
    assert {"scores.csv", "differences.csv", "ranks.csv", "critical_difference.png", "calibration_C2.png"} <= made
    assert pd.read_csv(tmp_path / "c" / "scores.csv")["source"].eq("simulated").all()


def test_written_tables_hold_no_formula(command: Command, tmp_path: Path) -> None:
    somb.run("A1", {"=1+1": "majority", "b": "logreg"}, source="simulated", out=tmp_path / "run", n_jobs=1)
    options = ("--n-permutations", 99, "--out", tmp_path / "c")
    code, _, err = command("compare", tmp_path / "run", *options)
    assert code == 0, err
    assert set(pd.read_csv(tmp_path / "c" / "scores.csv")["model"]) == {"'=1+1", "b"}


def test_a_model_that_two_runs_made_alike_counts_once(runs: Path) -> None:
    joined = gather([runs / "base", runs / "mine", runs / "jan" / "mine"])
    assert list(joined.results["model"].unique()) == ["majority", "logreg", "forest", "tree", "net"]
    counts = joined.results.groupby(["task", "model", "fold", "metric"]).size()
    assert counts.eq(1).all() and set(joined.results.query("model == 'forest'")["task"]) == {"A1", "C2", "H1"}
    assert len(joined.predictions.query("model == 'forest'")) == len(somb.load_run(runs / "base").predictions) / 3


def test_models_that_differ_get_as_much_of_the_folder_as_tells_them_apart(runs: Path, command: Command) -> None:
    places = [runs / "jan" / "mine", runs / "feb" / "mine"]
    joined = gather(places)
    assert list(joined.results["model"].unique()) == ["logreg", "jan/mine:net", "feb/mine:net"]
    means = joined.summary(0).set_index("model")["mean"]
    for place, name in zip(places, ["jan/mine:net", "feb/mine:net"], strict=True):
        assert means[name] == somb.load_run(place).summary(0).set_index("model").loc["net", "mean"]
    words = ("--against", "net", "--models", "net,logreg", "--format", "csv", "--n-permutations", 9)
    code, out, err = command("compare", *places, *words)
    assert code == 0, err
    assert "feb/mine:net," in out and "A1,macro_f1,jan/mine:net" not in out  # the first folder's is the reference


def test_names_are_unique_whatever_models_are_called(runs: Path, tmp_path: Path) -> None:
    models = {"jan/mine:net": "majority", "net": "majority"}
    somb.run("A1", models, source="simulated", out=tmp_path / "other", n_jobs=1)
    joined = gather([runs / "jan" / "mine", tmp_path / "other"])
    assert joined.results["model"].nunique() == 4
    assert joined.summary(0)["folds"].eq(4).all()


def test_a_folder_of_both_protocols_has_a_summary_and_tests_for_each(runs: Path, command: Command) -> None:
    both = somb.load_run(runs / "both")
    summary, gaps = both.summary(50), stats.differences(both.results, both.predictions, 50)
    tested = stats.with_p_values(summary, both.predictions, 19, untested=TRIVIAL)
    for protocol in ("aligned", "published"):
        alone = somb.run("A1", ["logreg", "majority"], source="simulated", protocol=protocol, n_jobs=1)
        expected = alone.summary(50)
        part = summary[summary["protocol"] == protocol].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, expected)
        again = stats.with_p_values(expected, alone.predictions, 19, untested=TRIVIAL)
        pd.testing.assert_frame_equal(tested[tested["protocol"] == protocol].reset_index(drop=True), again)
        own = stats.differences(alone.results, alone.predictions, 50)
        pd.testing.assert_frame_equal(gaps[gaps["protocol"] == protocol].reset_index(drop=True), own)
    code, _, err = command("compare", runs / "both")
    assert code == 2 and "aligned, published. Choose one with --protocol" in err
    code, _, err = command("compare", runs / "both", "--protocol", "published", "--n-permutations", 9)
    assert code == 0, err
    with pytest.raises(UsageError, match="runs of one protocol"):
        compare(both)


class _Counting(ThreadingBackend):
    """Threads that note how many were asked for."""

    asked: ClassVar[list[int]] = []

    def effective_n_jobs(self, n_jobs: int) -> int:
        self.asked.append(n_jobs)
        return super().effective_n_jobs(n_jobs)


def test_intervals_and_tests_use_as_many_jobs_as_the_user_says(runs: Path) -> None:
    joblib.register_parallel_backend("counting", _Counting)
    run = somb.load_run(runs / "base")
    with joblib.parallel_config(backend="counting", n_jobs=2):
        _Counting.asked.clear()
        compare(run, 20, 9)
        assert set(_Counting.asked) == {2}
        _Counting.asked.clear()
        compare(run, 20, 9, n_jobs=1)
        assert 2 not in _Counting.asked


def test_damaged_run_folders_are_named(runs: Path, command: Command, tmp_path: Path) -> None:
    for name in ("provenance.json", "results.parquet", "predictions/*"):
        folder = tmp_path / name.strip("/*")
        shutil.copytree(runs / "base", folder)
        next(folder.glob(name)).write_bytes(b"")
        code, _, err = command("compare", folder)
        assert code == 1 and f"{folder} is not a readable run folder" in err


def test_json_is_the_scores_alone(runs: Path, command: Command) -> None:
    code, out, _ = command("compare", runs / "base", "--format", "json", "--n-permutations", 99)
    rows = json.loads(out)
    assert code == 0 and len(rows) == 9 and {"low", "high", "chance", "p", "q", "best"} <= set(rows[0])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["base", "published"], "runs of one protocol compare; these are of published, rigorous"),
        (["base", "--tasks", "B1"], "no run holds the task B1; they hold A1, C2, H1"),
        (["base", "--models", "svm"], "no run holds the model svm"),
        (["base", "--against", "svm"], "no model was compared with svm"),
        (["base", "--models", "forest"], "a comparison needs at least two models"),
        (["nowhere"], "not a readable run folder"),
    ],
)
def test_what_does_not_compare_is_refused(runs: Path, command: Command, words: list[str], said: str) -> None:
    places = [str(runs / w) if w in ("base", "published", "nowhere") else w for w in words]
    code, _, err = command("compare", *places)
    assert code in (1, 2) and said in err


def test_runs_on_other_data_do_not_compare(runs: Path, tmp_path: Path) -> None:
    run = somb.load_run(runs / "mine")
    run.provenance["tasks"]["C2/rigorous"]["data_sha256"] = "0" * 64
    from somb_utils.runs.folder import save

    (tmp_path / "other").mkdir()
    save(run, tmp_path / "other")
    with pytest.raises(UsageError, match="C2/rigorous was run on other data"):
        gather([runs / "base", tmp_path / "other"])


def test_differences_turn_towards_the_reference() -> None:
    table = pd.DataFrame({
        "task": ["C2"], "metric": ["auroc"], "a": ["x"], "b": ["y"], "difference": [0.2], "low": [0.1], "high": [0.4],
        "wins": [0.9], "folds": [5], "test": ["Nadeau-Bengio"], "p_new": [0.1], "floor": [0.0],
    })  # fmt: skip
    turned = against(table, "x").iloc[0]
    assert (turned["model"], turned["difference"], turned["low"], turned["high"]) == ("y", -0.2, -0.4, -0.1)
    assert turned["wins"] == pytest.approx(0.1)
    assert against(table, "y").iloc[0]["difference"] == 0.2
