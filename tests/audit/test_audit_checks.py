"""The audit notebook's checks find what is planted and nothing else."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from audit_checks import evidence, leaks, measure
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

import somb_utils as somb
from somb_utils.errors import SombError, UsageError
from somb_utils.runs.results import RunResult
from somb_utils.tasks import splits
from somb_utils.tasks.task_data import TaskData, load_task


@pytest.fixture(scope="module")
def clean() -> TaskData:
    return load_task("H1", source="simulated")


def with_features(data: TaskData, **columns: object) -> TaskData:
    return replace(data, X=data.X.assign(**columns))


def test_missing_values_by_class() -> None:
    data = load_task("A1", source="simulated")
    X = data.X.copy() + 1.0
    X = X.fillna(1.0)
    X.loc[data.y == "recovery", X.columns[:13]] = np.nan
    X.loc[data.y == "post_flight", X.columns[13:26]] = 0.0
    shares = leaks.missing_by_class(replace(data, X=X))
    assert shares.to_dict() == pytest.approx({"post_flight": 1 / 3, "pre_flight": 0, "recovery": 1 / 3})
    with pytest.raises(UsageError, match="multilabel"):
        leaks.missing_by_class(load_task("B2", source="simulated"))


def test_auroc_of_columns_is_that_of_scikit_learn(clean: TaskData) -> None:
    X = clean.X.copy()
    X.iloc[::7, 0] = np.nan
    X.iloc[:, 1] = X.iloc[:, 1].round(1)
    expected = [roc_auc_score(clean.codes, X[c].fillna(X[c].mean())) for c in X]
    assert leaks.column_auroc(X, clean.codes == 1) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(leaks.column_auroc(X, np.zeros(len(X), dtype=bool))).all()


def test_a_feature_that_is_the_label_is_found(clean: TaskData) -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, len(clean.X))
    leaky = with_features(clean, leak=-clean.codes + noise)
    first = leaks.every_feature(leaky).iloc[0]
    assert (first["feature"], first["auroc"], first["positive_end"]) == ("leak", 1.0, "low")
    scores = leaks.one_feature_scores({"clean": clean}, 50, 42), leaks.one_feature_scores({"leaky": leaky}, 50, 42)
    assert scores[1].loc["H1", "one_feature"] == pytest.approx(1.0)
    assert scores[0].loc["H1", "one_feature"] < 0.6
    assert leaks.every_feature(clean)["auroc"].max() < 0.95
    with pytest.raises(UsageError, match="needs a binary task"):
        leaks.every_feature(load_task("A1", source="simulated"))


def test_a_class_in_the_middle_of_a_single_feature_is_found() -> None:
    data = load_task("A1", source="simulated")
    rng = np.random.default_rng(1)
    day = data.y.map({"pre_flight": -1.0, "post_flight": 0.0, "recovery": 1.0}) + rng.normal(0, 0.1, len(data.y))
    planted = replace(data, X=pd.DataFrame({"day": day, "noise": rng.normal(size=len(day))}))
    assert leaks.one_feature_scores({"A1": planted}, 20, 42).loc["A1", "one_feature"] > 0.9


def test_a_feature_that_is_another_tasks_label_is_found(clean: TaskData) -> None:
    other = load_task("I3", source="simulated")
    shared = other.X.index.intersection(clean.X.index)
    positive = np.random.default_rng(2).random(len(shared)) < 0.3
    y = clean.y.copy()
    y[shared] = np.where(positive, *clean.task.classes[::-1])
    one = replace(clean, y=y)
    assert leaks.labels_in_features({"H1": one, "I3": other})["auroc"].max() < 0.75
    told = pd.Series(0.0, other.X.index)
    told[shared] = positive.astype(float)
    table = leaks.labels_in_features({"H1": one, "I3": with_features(other, told=told)})
    assert table.iloc[0][["features_of", "label_of", "feature", "auroc"]].tolist() == ["I3", "H1", "told", 1.0]
    assert table.iloc[0]["shared"] == len(shared)


def test_labels_that_two_tasks_share_come_first() -> None:
    tasks = {name: load_task(name, source="simulated") for name in ("E1", "E2", "A1")}
    label = tasks["E1"].y.map(dict(zip(tasks["E1"].task.classes, tasks["E2"].task.classes, strict=True)))
    same = {**tasks, "E2": replace(tasks["E2"], y=label)}
    row = leaks.shared_labels(same).iloc[0]
    assert (row["both"], row["positives_one"]) == (35, 35)
    assert leaks.shared_labels(tasks).iloc[0]["both"] < 10


def crew_result(*values: float) -> RunResult:
    rows = [
        {"task": "A1", "protocol": "aligned", "source": "open", "model": "m", "metric": "macro_f1", "status": "ok"}
        | {"seed": 42, "fold": f"C00{i + 1}", "value": value}
        for i, value in enumerate(values)
    ]
    tasks = {"A1/aligned": {"metric": "macro_f1", "chance": 0.3}}
    return RunResult(pd.DataFrame(rows), pd.DataFrame(), {"source": "open", "tasks": tasks})


def test_a_score_that_one_crew_member_carries_is_told() -> None:
    carried = leaks.without_one_group(crew_result(0.2, 0.3, 0.9, 0.2)).iloc[0]
    assert (carried["without"], carried["carried"]) == ("C003", True)
    assert carried["lowest"] == pytest.approx(0.7 / 3)
    assert not leaks.without_one_group(crew_result(0.6, 0.5, 0.6, 0.7)).iloc[0]["carried"]
    assert not leaks.without_one_group(crew_result(0.2, 0.1, 0.3, 0.1)).iloc[0]["carried"]


def test_tasks_without_groups_have_no_crew_to_leave_out(clean: TaskData) -> None:
    assert leaks.without_one_group(somb.run([clean], "majority", n_jobs=1)).empty


def test_equal_columns_are_found_whatever_the_order_of_rows() -> None:
    rng = np.random.default_rng(0)
    one = pd.DataFrame({"gene": [f"g{i}" for i in range(50)], "a": rng.normal(size=50), "b": rng.normal(size=50)})
    two = one.sample(frac=1, random_state=0).assign(a=lambda t: t["a"] + 1e-9, b=lambda t: t["b"] + 0.01)
    assert evidence.equal_columns({"one": one, "two": two})[
        ["rows", "columns", "equal", "names"]
    ].to_numpy().tolist() == [[50, 2, 1, "a"]]
    assert evidence.equal_columns({"one": one, "two": two.assign(a=two["b"])}).empty


def test_origin_of_fold_changes_is_told_from_another() -> None:
    rng = np.random.default_rng(0)
    means = pd.DataFrame(rng.uniform(1, 100, (300, 3)), [f"g{i}" for i in range(300)], ["pre", "flight", "other"])
    ratio = means["flight"] / means["pre"]
    changes = pd.DataFrame({"fc": ratio.where(ratio >= 1, -1 / ratio)}).iloc[::-1]
    own = evidence.fold_change_origin(changes, means, {"fc": ("pre", "flight")})
    shuffled = means.assign(flight=means["other"].to_numpy())
    other = evidence.fold_change_origin(changes, shuffled, {"fc": ("pre", "other")})
    assert own.loc["fc"].tolist() == [300, pytest.approx(1.0)]
    assert abs(other.loc["fc", "correlation"]) < 0.8


def test_a_contrast_with_the_opposite_sign_is_told() -> None:
    rng = np.random.default_rng(0)
    days = pd.Series({"s1": "L-3", "s2": "L-3", "s3": "R+1", "s4": "R+1"})
    matrix = pd.DataFrame(rng.normal(size=(40, 4)), [f"m{i}" for i in range(40)], days.index)
    change = matrix[["s3", "s4"]].mean(axis=1) - matrix[["s1", "s2"]].mean(axis=1)
    right, wrong = (
        pd.DataFrame({"metabolite": change.index, "logFC": sign * change.to_numpy(), "contrast": name}).assign(
            comparison="(R+1) vs (L-3)"
        )
        for name, sign in (("right", 1), ("wrong", -1))
    )
    table = evidence.contrast_signs(pd.concat([right, wrong]), matrix, days).set_index("contrast")["rank_correlation"]
    assert table.to_dict() == pytest.approx({"right": 1.0, "wrong": -1.0})
    with pytest.raises(SombError, match="does not name time points"):
        evidence.contrast_signs(right.assign(comparison="after vs before"), matrix, days)


def test_features_that_tell_what_was_tested_are_told() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"mean": np.arange(1000.0), "change": rng.normal(size=1000)})
    adjusted = pd.Series(rng.random(1000)).where(X["mean"] >= 900)
    adjusted[rng.choice(np.arange(900, 1000), 20, replace=False)] = 0.01
    table = evidence.tested_rows(X, adjusted)
    assert table.loc["mean", ["rows", "tested"]].tolist() == [1000, 100]
    assert table.loc["mean", "auroc_tested"] == 1.0
    assert table.loc["mean", "auroc_all"] > 0.9 > 0.7 > table.loc["mean", "auroc_if_tested"]
    assert table["auroc_if_tested"].to_list() == pytest.approx(
        [roc_auc_score(adjusted[900:] < 0.05, X.loc[900:, c]) for c in X]
    )


def test_scoring_again_on_all_rows_gives_the_score(clean: TaskData) -> None:
    result = somb.run([clean], ["logreg"], n_jobs=1)
    again = evidence.rescored(result.predictions, clean.task.classes[1], clean.X.index).loc["logreg"]
    assert again["auprc"] == pytest.approx(result.summary()["mean"].iloc[0], abs=1e-12)
    assert again["chance_auprc"] == pytest.approx(clean.chance, abs=1e-12)
    half = evidence.rescored(result.predictions, clean.task.classes[1], clean.X.index[::2])
    assert half.loc["logreg", "rows"] < again["rows"]


def test_a_day_that_all_crew_share_is_recognised() -> None:
    data = load_task("A1", source="simulated")
    codes = pd.get_dummies(data.days, dtype=float)
    table = measure.day_recognition([data, replace(data, X=codes, ablation="told")])
    assert table.loc["A1_told", ["days", "recognised"]].tolist() == [7, 1.0]
    assert table.loc["A1", "recognised"] < 1.0


def test_missing_values_as_zero_are_the_variance() -> None:
    rng = np.random.default_rng(0)
    gaps = pd.DataFrame(rng.normal(5, 0.1, (40, 30)))
    gaps[rng.uniform(size=gaps.shape) < 0.3] = np.nan
    gaps.iloc[:20, :15] = np.nan
    share, correlation = measure.missingness(gaps.fillna(0.0), gaps)
    assert share > 0.99 and correlation > 0.99
    share, correlation = measure.missingness(gaps.fillna(5.0), gaps)
    assert share < 0.2 and correlation < 0.9


def test_readings_of_the_mask_alone_tell_a_phase_that_it_gives_away() -> None:
    zeros = load_task("C1", "aligned", "simulated")
    gaps = load_task("C1", source="simulated")
    X = gaps.X.copy()
    X.loc[gaps.y == "pre_flight", X.columns[:900]] = np.nan
    X.loc[gaps.y == "recovery", X.columns[900:1500]] = np.nan
    table = measure.readings(replace(zeros, X=X.fillna(0.0)), replace(gaps, X=X), "logreg")
    assert table.loc["mask of missing values alone", "logreg"] > 0.9
    assert len(table) == 4 and table.notna().all(axis=None)


def test_best_constant_is_the_commonest_label_of_training_rows() -> None:
    data = load_task("B2", "aligned", "simulated")
    one = np.zeros_like(data.codes)
    one[:, 0] = 1
    assert measure.best_constant(replace(data, y=pd.DataFrame(one, data.y.index, data.y.columns))) == 1.0
    assert 0 < measure.best_constant(data) < 0.5


def test_lightgbm_is_a_constant_on_few_rows_and_not_on_many() -> None:
    tasks = [load_task(name, "aligned", "simulated") for name in ("A1", "D1")]
    assert measure.constants(tasks)["constant"].to_dict() == {"A1": True, "D1": False}


def test_rows_of_no_fold_are_counted(clean: TaskData) -> None:
    first = replace(clean, folds=clean.folds[:1])
    counts = measure.never_tested(first)
    assert counts["never_tested"] == len(clean.X) - len(clean.folds[0].test)
    assert counts["positives"] - counts["positives_never_tested"] == clean.codes[clean.folds[0].test].sum()


def test_relatives_together_take_away_what_a_twin_gives() -> None:
    data = load_task("H1", "aligned", "simulated")
    half = len(data.X) // 2
    X, y = pd.concat([data.X[:half]] * 2), pd.concat([data.y[:half]] * 2)
    index = pd.Index([f"{row}#{k}" for k in range(2) for row in data.X.index[:half]])
    noise = np.random.default_rng(0).normal(size=X.shape)[:half]
    twins = replace(data, X=X.set_axis(index) * 0 + np.vstack([noise, noise]), y=y.set_axis(index))
    twins = replace(twins, folds=tuple(splits.complete(twins.codes, None)), annotations=pd.DataFrame(index=index))
    genes = pd.Series(index.str.partition("#").get_level_values(0), index)
    forest = {"rf": RandomForestClassifier(10, random_state=0)}
    table = measure.by_folds(twins, forest, {"genes together": genes})
    assert table.loc[("H1", "rf"), "all folds"] > 0.8 > 0.4 > table.loc[("H1", "rf"), "genes together"]


def test_probabilities_that_round_to_one_are_counted() -> None:
    data = load_task("H1", "aligned", "simulated")
    assert measure.saturated(data)["rows"] == 0
    steep = replace(data, X=data.X.assign(told=np.where(data.codes == 1, 1e3, 0.0) + np.arange(len(data.X)) % 7))
    scores = measure.saturated(steep)
    assert scores["auprc_by_decision_score"] >= scores["auprc_by_probability"] > 0.9


def test_replicates_of_few_positives_are_too_high() -> None:
    tasks = [load_task(name, "aligned", "simulated") for name in ("E2", "D1")]
    ratio = measure.replicate_means(tasks)["ratio"]
    assert ratio["E2"] > 1.1 and ratio["D1"] == pytest.approx(1, abs=0.05)


def test_empty_rows_are_named() -> None:
    data = load_task("F4", "aligned", "simulated")
    X = data.X.copy()
    X.iloc[[3, 8]] = 0.0
    table = measure.empty_rows(replace(data, X=X))
    assert list(table.index) == [X.index[3], X.index[8]]
    assert table["label"].tolist() == data.y.iloc[[3, 8]].tolist()


def test_stored_day_tests_are_shown_by_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [
        "task",
        "protocol",
        "model",
        "metric",
        "observed",
        "null_mean",
        "null_sd",
        "relabellings",
        "p_day",
        "floor",
    ]
    row = dict.fromkeys([*columns, "p_within_person"], 0.5) | {"task": "A1", "protocol": "aligned", "model": "logreg"}
    monkeypatch.setattr(measure, "stored_day_tests", lambda: pd.DataFrame([row]))
    assert measure.day_tests("aligned").loc[("A1", "logreg"), "p_day"] == 0.5
    assert "no day test under rigorous is stored yet" in measure.day_tests("rigorous")


def test_conserved_columns_are_compared_with_their_tables() -> None:
    rng = np.random.default_rng(0)
    genes = [f"g{i}" for i in range(50)]
    layers = {
        name: pd.DataFrame({"gene": genes, "log2FoldChange": rng.normal(size=50), "adj_pval": rng.uniform(size=50)})
        for name in evidence.LAYERS
    }
    columns = {}
    for column, name in evidence.CONSERVED_SKIN[1:]:
        columns |= {column: layers[name]["log2FoldChange"], f"{column}.padj": layers[name]["adj_pval"]}
    conserved = pd.DataFrame({"human_gene": genes, "skin": rng.normal(size=50), "skin.padj": 0.5, **columns})
    table = evidence.conserved_skin(conserved, layers)
    assert table["equal"].to_dict() == {"skin": 0, "skin_VA": 50, "skin_IE": 50, "skin_OE": 50, "skin_OD": 50}
    assert table.loc["skin", "correlation"] < 0.5 < table.loc["skin_VA", "correlation"]
