"""Models that take the raw fold: what they see, how they say so, and what is recorded of it."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

import somb_utils as somb
from somb_utils.runs.models import resolve_models
from somb_utils.runs.raw import unwrapped

COLUMN = "cbc_hematocrit"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "helpers"))


def with_gaps(task: str = "A1") -> somb.TaskData:
    data = somb.load_task(task, source="simulated")
    X = data.X.copy()
    X.iloc[::3, 1] = np.nan
    return replace(data, X=X)


@pytest.mark.parametrize("timeout", [None, math.inf])  # in this process, and in a worker
def test_each_way_to_say_so_gives_names_identifiers_gaps_and_groups(timeout: float | None) -> None:
    ways = ["SeesRaw", "sees_raw", "marked_class", "marked_factory", "marked_estimator"]
    models = [f"own_raw:{name}" for name in ways]
    params = {model: {"column": COLUMN, "missing": 6} for model in models}
    result = somb.run(with_gaps(), models, model_params=params, n_jobs=1, timeout=timeout)
    assert result.failures().empty
    assert [entry["fold"] for entry in result.provenance["models"]] == ["raw"] * len(ways)


def test_without_the_mark_a_model_gets_the_prepared_arrays() -> None:
    result = somb.run(with_gaps(), {"m": "own_raw:Sees"}, n_jobs=1)
    assert result.failures()["reason"].unique().tolist() == ["TypeError: arrays of ndarray"]
    assert [entry["fold"] for entry in result.provenance["models"]] == ["prepared"]


def test_a_mark_changes_nothing_that_it_marks_and_survives_cloning() -> None:
    from own_raw import Sees, SeesRaw

    grid = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]})
    marked = somb.raw(grid)
    assert unwrapped(marked) == unwrapped(somb.raw(marked)) == (grid, True)
    inner, takes_raw = unwrapped(clone(marked))
    assert takes_raw and inner is not grid and inner.param_grid == grid.param_grid
    assert [unwrapped(item)[1] for item in (grid, Sees, clone(SeesRaw()), clone(somb.raw(Sees)))] == [0, 0, 1, 1]
    names = [model.name for model in resolve_models([marked, somb.raw(Sees), "logreg"])]
    assert names == ["GridSearchCV", "Sees", "logreg"]
    assert resolve_models(marked)[0].plain_name == "GridSearchCV"


def test_a_model_that_changes_its_frame_does_not_change_the_next_one_s() -> None:
    data = with_gaps()
    boosting = {"boosting": somb.raw(HistGradientBoostingClassifier(min_samples_leaf=3))}
    vandal = {"vandal": "own_raw:SeesRaw"}
    alone = somb.run(data, boosting, n_jobs=1).results
    result = somb.run(data, {**vandal, **boosting}, model_params={"vandal": {"column": COLUMN}}, n_jobs=1)
    assert result.failures().empty
    after = result.results.query("model == 'boosting'").reset_index(drop=True)
    pd.testing.assert_frame_equal(after, alone, check_exact=True)


def test_a_label_matrix_goes_with_the_raw_fold() -> None:
    data = somb.load_task("B2", source="simulated")
    model = {"m": "own_raw:SeesRaw"}
    result = somb.run(data, model, model_params={"m": {"column": str(data.X.columns[0])}}, n_jobs=1)
    assert result.failures().empty
    assert len(result.predictions) == sum(len(fold.test) for fold in data.folds) * len(data.task.classes)


def test_a_search_by_crew_takes_the_raw_fold_and_its_groups() -> None:
    search = GridSearchCV(HistGradientBoostingClassifier(), {"min_samples_leaf": [2, 4]}, cv=GroupKFold(3))
    assert somb.run(with_gaps(), {"search": somb.raw(make_pipeline(search))}, n_jobs=1).failures().empty


def test_raw_and_prepared_folds_never_share_a_finished_one(tmp_path: Path) -> None:
    fits: list[int] = []
    for model in (LogisticRegression(), somb.raw(LogisticRegression()), LogisticRegression()):
        somb.run(
            somb.load_task("A1", source="simulated"),
            {"m": model},
            n_jobs=1,
            out=tmp_path,
            on_start=lambda jobs, cost: fits.append(jobs),
        )
    assert fits == [4, 4, 0]
