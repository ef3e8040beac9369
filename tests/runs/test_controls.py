"""Controls: found and at chance where they must be, and a warning where a model cannot learn or a fold leaks."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

import somb_utils as somb
from somb_utils.errors import SombError, UsageError
from somb_utils.runs import runner
from somb_utils.tasks import controls as make
from somb_utils.tasks.task_data import TaskData

Command = Callable[..., tuple[int, str, str]]


def simulated(task: str) -> TaskData:
    return somb.load_task(task, source="simulated")


def verdicts(table: pd.DataFrame) -> dict[str, list[str]]:
    return table.groupby("task")["verdict"].agg(list).to_dict()


def test_each_kind_of_task_has_its_controls() -> None:
    table = somb.controls("A1,B2,D1,F3", source="simulated", n_permutations=3, n_jobs=1)
    assert table["control"].tolist() == ["positive", "negative", "nuisance"] * 4
    alone = ["found", "at chance", "no groups"]
    assert verdicts(table) == {"A1": [*alone[:2], ""], "B2": alone, "D1": alone, "F3": [*alone[:2], ""]}
    assert set(table["model"]) == {"logreg"}  # the cheapest of the seven that learns
    crew, timepoint = (
        table[(table["task"] == task) & (table["control"] == "nuisance")].iloc[0] for task in ("A1", "F3")
    )
    assert (crew["group"], crew["chance"]) == ("crew member", 0.25) and crew["score"] > 0.9
    assert np.isnan(table.loc[table["verdict"] == "no groups", ["score", "chance"]]).all(axis=None)
    assert timepoint["group"] == "time point" and timepoint["chance"] == 1 / simulated("F3").groups.nunique()


def test_real_tasks_have_sound_controls(open_data: Path) -> None:
    table = somb.controls("A2,I2", source=open_data / "processed", n_jobs=1)
    assert set(table.loc[table["control"] == "positive", "verdict"]) == {"found"}
    assert set(table.loc[table["control"] == "negative", "verdict"]) == {"at chance"}
    assert table.loc[table["control"] == "nuisance", "score"].dropna().tolist() == pytest.approx([0.5], abs=0.01)


@pytest.mark.parametrize("task", ["A1", "C1", "B2", "E3", "F4"])
def test_the_planted_effect_is_in_every_feature_and_leaves_gaps(task: str) -> None:
    data = simulated(task)
    planted = make.positive(data)
    assert planted.X.isna().equals(data.X.isna()) and planted.y is data.y and planted.groups is data.groups
    shift = (planted.X - data.X) / data.X.std(ddof=0).replace(0.0, 1.0)
    by_label = shift.mul(1 / make.STEP).round(6).drop_duplicates()
    assert len(by_label.dropna()) <= len(data.y.drop_duplicates())
    assert (
        shift.notna().any().equals(data.X.notna().any())
        and (shift.max() - shift.min() > 0).sum() > 0.9 * shift.shape[1]
    )


@pytest.mark.parametrize("task", ["A1", "D1", "F4", "B2"])
def test_permuted_labels_stay_within_their_fold_and_group(task: str) -> None:
    data = simulated(task)
    first, second = make.negatives(data, 2, seed=1)
    assert not first.y.equals(data.y) and not first.y.equals(second.y) and first.X is data.X
    assert make.negatives(data, 1, seed=1)[0].y.equals(first.y)
    tested = np.concatenate([fold.test for fold in first.folds])
    assert len(tested) == len(set(tested)) == len(data.X)
    for fold in first.folds:
        counts = [part.y.iloc[fold.test].value_counts().sort_index() for part in (first, data)]
        assert counts[0].equals(counts[1])
        assert data.groups is None or data.groups.iloc[fold.test].nunique() == 1


def test_overlapping_published_folds_are_used_once() -> None:
    data = somb.load_task("D1", protocol="published", source="simulated")
    (control,) = make.negatives(data, 1, seed=1)
    assert len(control.folds) < len(data.folds) == 5
    tested = np.concatenate([fold.test for fold in control.folds])
    assert len(tested) == len(set(tested))


def test_groups_are_recognised_on_other_days_where_days_are_known() -> None:
    data = simulated("A1")
    control = make.nuisance(data)
    assert control is not None and control.y.equals(data.groups) and data.days is not None
    for fold in control.folds:
        assert set(data.days.iloc[fold.test]).isdisjoint(data.days.iloc[fold.train])
    without = make.nuisance(replace(data, days=None))
    assert without is not None and len(without.folds) == 5 and without.groups is None
    alone = data.groups.mask(data.groups.index == data.groups.index[0], "C999")  # type: ignore[union-attr]
    assert make.nuisance(replace(data, groups=alone)) is None


def test_what_a_task_does_not_have_is_said() -> None:
    data = simulated("A1")
    assert data.groups is not None
    label_of = dict(zip(sorted(set(data.groups)), [*data.task.classes, data.task.classes[0]], strict=True))
    table = somb.controls(replace(data, y=data.groups.map(label_of)), "logreg", n_permutations=2, n_jobs=1)
    assert table["verdict"].iloc[1] == "no label varies within a crew member" and np.isnan(table["score"].iloc[1])


def leaking(data: TaskData, number: int, raw: bool = False) -> Any:
    """Prepare a fold and give the labels away, of training and of test rows."""
    fold = prepared(data, number, raw)
    return replace(
        fold,
        X_train=np.column_stack([fold.X_train, 50.0 * fold.y_train]),
        X_test=np.column_stack([fold.X_test, 50.0 * fold.y_test]),
    )


prepared = runner.prepare


def test_a_leak_and_a_model_that_cannot_learn_are_warned_of(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("run", "--tasks", "A1", "--data", "simulated", "--jobs", 1, "--controls")
    code, out, err = command(*words, "--models", "majority,logreg", "--out", "sound")
    assert code == 0 and "WARNING" not in err and "controls: sound/controls.json" in err
    assert "1.000 (found)" in out and "(at chance)" in out and "crew member recognised 1.000 (chance 0.250)" in out
    code, _, err = command(*words, "--models", "lightgbm", "--out", "too few rows for a leaf of LightGBM")
    assert code == 0 and "WARNING: positive control of A1 with lightgbm: 0.500 (not found)" in err
    monkeypatch.setattr(runner, "prepare", leaking)
    code, _, err = command(*words, "--models", "logreg", "--out", "leak")
    assert code == 0 and "WARNING: negative control of A1 with logreg: 1.000 [1.000, 1.000] (not at chance)" in err


def test_controls_are_stored_apart_and_resumed(tmp_path: Path, command: Command) -> None:
    somb.run("A1", ["majority", "logreg"], source="simulated", n_jobs=1, out=tmp_path)
    before = {
        file: (tmp_path / file).read_bytes()
        for file in ("results.parquet", *(tmp_path / "predictions").iterdir(), "provenance.json")
    }
    started: list[int] = []

    def controls(model: str, **settings: Any) -> pd.DataFrame:
        return somb.controls(
            "A1", model, source="simulated", n_permutations=2, n_jobs=1, out=tmp_path,
            on_start=lambda jobs, cost: started.append(jobs), **settings,
        )  # fmt: skip

    first = controls("logreg")
    again = controls("logreg")
    pd.testing.assert_frame_equal(first, again)
    assert started == [4 * 3 + 7, 0]  # folds of crew for one effect and two permutations, folds of days
    controls("rf", model_params={"rf": {"n_estimators": 5}})
    stored = json.loads((tmp_path / "controls.json").read_text())
    assert [row["model"] for row in stored["controls"]] == ["logreg"] * 3 + ["rf(n_estimators=5)"] * 3
    assert stored["what"] == "controls, which are not scores" and stored["source"] == "simulated"
    assert [entry["model"] for entry in stored["models"]] == ["logreg", "rf(n_estimators=5)"]
    assert stored["controls"][0]["data_sha256"] == stored["tasks"]["A1/rigorous"]["data_sha256"]
    assert {file: (tmp_path / file).read_bytes() for file in before} == before
    assert set(somb.load_run(tmp_path).summary(0)["task"]) == {"A1"}
    (tmp_path / "controls.json").write_text("{")
    with pytest.raises(SombError, match=r"controls\.json is not readable; move it away"):
        controls("logreg")


def test_a_csv_is_the_summary_alone(command: Command) -> None:
    code, out, err = command(
        *("run", "--tasks", "D1", "--models", "logreg", "--data", "simulated", "--controls", "--format", "csv", "-j", 1)
    )
    assert code == 0 and len(out.splitlines()) == 2 and out.startswith("task,") and "controls.json" in err


def test_bad_requests_are_refused_before_the_work(command: Command, tmp_path: Path) -> None:
    words = ("run", "--tasks", "A1", "--models", "majority,random", "--data", "simulated", "--controls")
    code, _, err = command(*words)
    assert code == 2 and "need a model that learns from features, unlike majority, random" in err
    assert not (tmp_path / "results").exists()
    code, _, err = command("run", "--tasks", "A1", "--data", "simulated", "--controls", "--dry-run")
    assert code == 0 and "the fits of --controls are not counted" in err
    with pytest.raises(UsageError, match="needs 2 or more"):
        somb.controls("A1", "logreg", source="simulated", n_permutations=1)


def test_a_model_that_fails_is_told() -> None:
    broken = {"broken": DummyClassifier(strategy="constant", constant=99)}
    table = somb.controls("A1", broken, source="simulated", n_permutations=2, n_jobs=1)
    assert table["verdict"].str.startswith("failed: ValueError").all() and table["score"].isna().all()
