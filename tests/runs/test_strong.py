"""The strong baselines: what they do with a raw fold, which tasks they are for, and that they are strong."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import somb_utils as somb
from somb_utils.errors import UsageError
from somb_utils.reference.canonical import canonical_scores
from somb_utils.runs.baselines import BASELINES
from somb_utils.runs.constant import constant_models
from somb_utils.runs.models import NAMED, resolve_models
from somb_utils.runs.preparation import CentredLogRatio, CrewCentred, InnerFolds, ObservedColumns, signed_log1p
from somb_utils.runs.strong import STRONG

Command = Callable[..., tuple[int, str, str]]


def sim(tasks, models, **options):  # type: ignore[no-untyped-def]
    return somb.run(tasks, models, source="simulated", **{"n_jobs": 1, **options})


def two_folds(task: str) -> somb.TaskData:
    data = somb.load_task(task, source="simulated")
    return replace(data, folds=data.folds[:2])


def with_gaps(task: str) -> somb.TaskData:
    data = two_folds(task)
    return replace(data, X=data.X.mask(np.random.default_rng(0).random(data.X.shape) < 0.1))


# Which ones there are


def test_words_stand_for_the_strong_ones_and_for_all() -> None:
    def names(models: object) -> list[str]:
        return [model.name for model in resolve_models(models)]

    assert names("strong") == list(STRONG) and names(["strong"]) == list(STRONG)
    assert names("all") == list(NAMED) == [*BASELINES, *STRONG] and names(None) == list(BASELINES)
    assert names("logreg,strong") == ["logreg", *STRONG]
    with pytest.raises(UsageError, match="'logreg' is duplicated"):
        names("logreg,all")
    with pytest.raises(UsageError, match="the strong ones lda, clr_lda"):
        names("svm")


@pytest.mark.parametrize("task", ["A1", "C2"])
def test_the_strong_ones_fit_raw_folds_with_gaps(task: str) -> None:
    result = somb.run(with_gaps(task), "strong", n_jobs=1)
    assert result.failures().empty and result.summary(0)["mean"].notna().all()
    left_out = {"clr_lda"} if task == "A1" else {"clr_lda", "crew_centred_lda"}
    assert [entry["model"] for entry in result.provenance["models"]] == [m for m in STRONG if m not in left_out]
    assert {entry["fold"] for entry in result.provenance["models"]} == {"raw"}
    assert not constant_models(result.predictions)


def test_those_that_are_cheap_fit_a_label_matrix() -> None:
    params = {"extratrees": {"extratreesclassifier__n_estimators": 2}}
    params["lightgbm_log"] = {"lgbmclassifier__n_estimators": 2}
    result = somb.run(two_folds("B2"), list(params), model_params=params, n_jobs=1)
    assert result.failures().empty and result.predictions["y_score"].between(0, 1).all()


def test_a_baseline_is_run_where_it_is_meant_to_be() -> None:
    assert set(sim("A1,C2", "crew_centred_lda").results["task"]) == {"A1"}
    with pytest.raises(UsageError, match="crew_centred_lda cannot be run on C2"):
        sim("C2", "crew_centred_lda")
    with pytest.raises(UsageError, match="clr_lda cannot be run on A1"):
        sim("A1", "clr_lda")
    assert somb.run(two_folds("F4"), "clr_lda", n_jobs=1).failures().empty


@pytest.mark.parametrize("name", list(NAMED))
def test_the_seed_changes_those_that_are_stochastic_and_no_others(name: str) -> None:
    smaller = {"rf": {"n_estimators": 10}, "extratrees": {"extratreesclassifier__n_estimators": 10}}
    params = {name: smaller[name]} if name in smaller else None
    tasks = [task for task in ("A1", "C2", "F4") if NAMED[name].suits(somb.get_task(task))]
    for task in tasks[:2]:
        data = two_folds(task)
        runs = [somb.run(data, name, model_params=params, seed=seed, n_jobs=1).predictions for seed in (7, 8)]
        first, other = (run[["y_pred", "y_score", "y_proba"]].map(str) for run in runs)
        assert first.equals(other) != NAMED[name].stochastic


# How they prepare a fold


def test_columns_are_chosen_by_the_training_rows() -> None:
    train = pd.DataFrame({"seen": [1.0, 2, 3, 4], "half": [1, np.nan, np.nan, 4], "third": [1, 2, 3, np.nan]})
    test = pd.DataFrame({"seen": [9.0], "half": [8], "third": [np.nan]})
    columns = ObservedColumns().fit(train, np.array([0, 0, 1, 1]))
    np.testing.assert_array_equal(columns.transform(test), [[9, np.nan]])
    with pytest.raises(ValueError, match="no column is observed in 70% of the training rows"):
        ObservedColumns().fit(train[["half"]], None)


def test_of_many_columns_those_that_differ_between_classes_are_kept() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 30)
    X = rng.normal(size=(60, 40)) * np.logspace(0, 3, 40)  # an F does not depend on the unit
    X[:, [4, 30]] += np.outer(y, X[:, [4, 30]].std(axis=0)) * 3
    X[::7, 4], X[:, 39] = np.nan, 1.0
    assert ObservedColumns(most=2).fit(X, y).columns_.tolist() == [4, 30]


def test_log_ratios_do_not_depend_on_the_total_and_refuse_negative_values() -> None:
    shares = np.random.default_rng(0).dirichlet(np.ones(5), 20)
    ratios = CentredLogRatio().fit(shares)
    np.testing.assert_allclose(ratios.transform(shares).sum(axis=1), 0, atol=1e-12)
    scaled = CentredLogRatio().fit(1e6 * shares)
    np.testing.assert_allclose(scaled.transform(1e6 * shares), ratios.transform(shares))
    assert np.isfinite(ratios.transform(np.zeros((1, 5)))).all()  # two swabs are empty
    for values, message in ((shares - 0.5, "partly negative"), (0 * shares, "at least one value above 0")):
        with pytest.raises(ValueError, match=message):
            CentredLogRatio().fit(values)
    with pytest.raises(ValueError, match="partly negative"):
        ratios.transform(-shares)


def test_log1p_keeps_signs() -> None:
    np.testing.assert_allclose(signed_log1p([[0.0, np.e - 1, 1 - np.e]]), [[0, 1, -1]])


def test_people_s_levels_do_not_matter_once_rows_are_centred() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    X, y, people = pd.DataFrame(rng.normal(size=(30, 2))), np.tile([0, 1, 1], 10), np.repeat(["a", "b", "c"], 10)
    shift = pd.DataFrame({"a": [5.0, 0], "b": [-9, 2], "c": [0, 7]}).T.loc[people].set_axis(X.index)
    test = pd.DataFrame(rng.normal(size=(6, 2)))
    plain, shifted = (CrewCentred(LogisticRegression()).fit(rows, y, people) for rows in (X, X + shift))
    np.testing.assert_allclose(plain.predict_proba(test), shifted.predict_proba(test + 100))
    np.testing.assert_array_equal(plain.predict(test), shifted.predict(test + 100))
    with pytest.raises(ValueError, match="this task has no persons"):
        CrewCentred(LogisticRegression()).fit(X, y)


def test_inner_folds_leave_people_out_and_spread_a_rare_class() -> None:
    X, y, people = np.zeros((30, 1)), np.tile([0, 1, 1], 10), np.repeat(["a", "b", "c"], 10)
    held_out = [set(people[test]) for _, test in InnerFolds().split(X, y, people)]
    assert sorted(map(sorted, held_out)) == [["a"], ["b"], ["c"]]
    rare = np.array([1] * 2 + [0] * 28)
    assert [rare[test].sum() for _, test in InnerFolds().split(X, rare)] == [1, 1]
    assert InnerFolds().get_n_splits(X, y) == 3


def test_c_is_chosen_with_the_crew_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    split = InnerFolds.split

    def recorded(self: InnerFolds, X: object, y: np.ndarray, groups: object = None) -> object:
        seen.append(groups)
        return split(self, X, y, groups)

    monkeypatch.setattr(InnerFolds, "split", recorded)
    assert somb.run(two_folds("A1"), "logregcv", n_jobs=1).failures().empty
    assert len(seen) == 2 and all(len(set(groups)) == 3 for groups in seen)  # type: ignore[call-overload]
    seen.clear()
    assert somb.run(two_folds("C2"), "logregcv", n_jobs=1).failures().empty
    assert seen == [None] * 2


# Models that learn nothing


def test_a_model_that_predicts_one_thing_is_named_and_scores_stay(command: Command) -> None:
    tasks = [somb.load_task("A1", source="simulated"), two_folds("C2")]
    result = somb.run(tasks, "majority,logreg,lightgbm,lightgbm_small", n_jobs=1)
    assert constant_models(result.predictions) == {"A1": ["lightgbm"]}
    code, out, err = command(
        "run", "--data", "simulated", "--tasks", "A1", "--models", "lightgbm,logreg", "--jobs", 1, "--format", "csv"
    )
    assert code == 0 and "constant: lightgbm on A1: one prediction for all rows of a fold" in err
    assert "constant" not in out and "logreg" not in err.replace("lightgbm,logreg", "")


def test_scores_that_differ_are_not_constant_though_classes_are() -> None:
    row = {"task": "C2", "protocol": "aligned", "label": None, "y_true": "a", "y_pred": "a", "id": "i"}
    rows = [
        {**row, "model": model, "fold": fold, "y_score": score}
        for model, scores in {"same": (0.1, 0.1, 0.3, 0.3), "varies": (0.1, 0.1, 0.3, 0.4)}.items()
        for fold, score in zip("0011", scores, strict=True)
    ]
    rows += [{**row, "model": "one_row", "fold": "0", "y_score": 0.5}]
    assert constant_models(pd.DataFrame(rows)) == {"C2": ["same"]}
    probabilities = pd.DataFrame(rows).assign(p_a=np.arange(9.0))
    assert constant_models(probabilities) == {}


# Facts on the real tables


@pytest.mark.parametrize(
    ("task", "model", "metric", "score"),
    [
        ("F4", "clr_lda", "macro_f1", 0.508),
        ("F4", "clr_lda", "macro_auroc", 0.847),
        ("I3", "lightgbm_log", "auprc", 0.1005),
    ],
)
def test_a_strong_baseline_exceeds_the_seven(task: str, model: str, metric: str, score: float, open_data: Path) -> None:
    results = somb.run(task, model, source=open_data / "processed", n_jobs=1).results
    assert results.loc[results["metric"] == metric, "value"].mean() == pytest.approx(score, rel=0.01)
    seven = canonical_scores().query("task == @task and protocol == 'rigorous' and metric == @metric")["mean"]
    assert not (seven >= score).any()
