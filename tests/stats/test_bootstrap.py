"""Bootstrap: each replicate against scikit-learn on the resampled rows, and draws that follow the design."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from designs import crew, ranking
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

import somb_utils as somb
from somb_utils import stats
from somb_utils.errors import SombError, UsageError
from somb_utils.stats import kernels
from somb_utils.stats.bootstrap import all_replicates, draw_units, replicates
from somb_utils.stats.design import Design, design, rows_of, signatures
from somb_utils.stats.permutation import _items, null_scores
from somb_utils.studies.experiments import FULL, Setting, draw_features, predictions_of, simulated
from somb_utils.tasks.definitions import Protocol, get_task

PHASES = ["post_flight", "pre_flight", "recovery"]
SPREAD_OF_FOUR = scipy_stats.t.ppf(0.975, 3) / scipy_stats.norm.ppf(0.975) * np.sqrt(4 / 3)


@given(st.data())
def test_rankings_equal_sklearn_on_the_repeated_rows_ties_included(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 40))
    y, counts = (np.array(data.draw(st.lists(st.integers(0, k), min_size=n, max_size=n))) for k in (1, 4))
    score = np.array(data.draw(st.lists(st.integers(0, 8), min_size=n, max_size=n))) / 8
    names = np.array(get_task("C2").classes, dtype=object)
    frame = pd.DataFrame({"fold": "0", "id": [f"G{i:02d}" for i in range(n)], "y_true": names[y], "y_score": score})
    row, *abc = rows_of(design(frame, "C2"), frame)[:4]
    tally, drawn = np.zeros((3, 1), dtype=np.int64), counts.astype(np.int32)
    auroc, auprc = (
        kernels.score_fold(m, drawn, row.astype(np.int32), *abc, 0, n, tally) for m in (kernels.AUROC, kernels.AUPRC)
    )
    truth, repeated = np.repeat(y, counts), np.repeat(score, counts)
    if truth.any() and not truth.all():
        assert auroc == pytest.approx(roc_auc_score(truth, repeated), abs=1e-12)
    else:
        assert np.isnan(auroc)
    if truth.any():
        assert auprc == pytest.approx(average_precision_score(truth, repeated), abs=1e-12)
    else:
        assert np.isnan(auprc)


@given(st.data())
def test_macro_f1_equals_sklearn_on_the_repeated_rows(data: st.DataObject) -> None:
    n, k = data.draw(st.integers(1, 30)), data.draw(st.integers(2, 5))
    true, called = (np.array(data.draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n))) for _ in range(2))
    counts = np.array(data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)))
    expected = f1_score(
        np.repeat(true, counts), np.repeat(called, counts), labels=range(k), average="macro", zero_division=0
    ) if counts.any() else 0.0  # fmt: skip
    rows, tally = np.arange(n, dtype=np.int32), np.zeros((3, k), dtype=np.int64)
    ours = kernels.score_fold(kernels.MACRO_F1, counts.astype(np.int32), rows, true, called, called, 0, n, tally)
    assert ours == pytest.approx(expected, abs=1e-12)


def test_micro_f1_equals_sklearn_on_the_repeated_rows() -> None:
    rng = np.random.default_rng(2)
    truth, called = rng.integers(0, 2, (2, 15, 3))
    counts = rng.integers(0, 4, 15).astype(np.int32)
    parts = [(truth & called).sum(axis=1), truth.sum(axis=1), called.sum(axis=1)]
    rows, tally = np.arange(15, dtype=np.int32), np.zeros((3, 1), dtype=np.int64)
    ours = kernels.score_fold(kernels.MICRO_F1, counts, rows, *parts, 0, 15, tally)
    theirs = f1_score(np.repeat(truth, counts, axis=0), np.repeat(called, counts, axis=0), average="micro")
    assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("protocol", ["rigorous", "aligned"])
@pytest.mark.parametrize("task", ["A1", "B2", "C2", "E1", "F3", "F4"])
def test_undisturbed_rows_give_the_runs_own_score(task: str, protocol: Protocol) -> None:
    """The design reads predictions as the run scored them: with every row once, the mean over folds comes out."""
    run = somb.run([task], ["logreg"], protocol=protocol, source="simulated", n_jobs=1)
    plan = design(run.predictions, task)
    row, a, b, c, bounds, _ = rows_of(plan, run.predictions)
    ones, tally = np.ones(len(plan.ids), np.int32), np.zeros((3, plan.n_classes), np.int64)
    folds = [
        kernels.score_fold(plan.metric, ones, row.astype(np.int32), a, b, c, lo, hi, tally)
        for lo, hi in pairwise(bounds)
    ]
    assert np.nanmean(folds) == pytest.approx(run.summary(0)["mean"].item(), abs=1e-12)


def test_units_and_strata_follow_the_design() -> None:
    run = somb.run(["B2", "C2", "F4", "F5"], ["majority"], protocol="aligned", source="simulated", n_jobs=1)
    by_task = {task: design(rows, str(task)) for task, rows in run.predictions.groupby("task")}
    assert len(by_task["C2"].strata) - 1 == 2 and len(by_task["C2"].ids) < 380, "each id once, however often tested"
    complete = somb.run(["C2"], ["majority"], source="simulated", n_jobs=1).predictions
    assert len(design(complete, "C2").ids) == 380, "complete cross-validation tests every row"
    assert len(by_task["B2"].strata) - 1 == 2, "genes with a label, and those without"
    for task in ("F4", "F5"):
        made = by_task[task]
        assert made.unit_of.max() == 27 and len(made.ids) == 275, "swabs of a day are one"


def test_each_draw_takes_as_many_units_of_a_stratum_as_there_are() -> None:
    for drawn in draw_units(np.array([0, 3, 7, 10]), 50, 5):
        counts = np.apply_along_axis(np.bincount, 1, drawn, minlength=10)
        assert all(
            (part.sum(axis=1) == n).all() for part, n in zip(np.split(counts, [3, 7], 1), (3, 4, 3), strict=True)
        )


def test_draws_are_uniform() -> None:
    total = sum(np.bincount(drawn.ravel(), minlength=7) for drawn in draw_units(np.array([0, 7]), 4000, 1))
    assert ((total - 4000) ** 2 / 4000).sum() < 22.5, "chi-squared of 6 degrees of freedom, 0.1 %"


def test_a_replicate_depends_on_seed_and_number_alone() -> None:
    strata = np.array([0, 300, 100_000])
    few, many = (np.concatenate(list(draw_units(strata, n, 3))) for n in (2, 7))
    assert len(list(draw_units(strata, 7, 3))) > 1, "drawn in several batches"
    np.testing.assert_array_equal(few, many[:2])
    assert not np.array_equal(many[0], many[1])


def test_time_points_without_a_score_are_not_drawn() -> None:
    run = somb.run(["F3"], ["logreg"], source="simulated", n_jobs=1)
    scored = run.results.query("metric == 'auroc'")["value"].dropna().to_numpy()
    assert len(scored) == 4, "the capsule was swabbed on four of seven days"
    draws = scored.mean() + (replicates(run.predictions, "F3", 2000) - scored.mean()) / SPREAD_OF_FOUR
    assert draws.min() >= scored.min() - 0.02 and draws.max() <= scored.max() + 0.02


def test_whole_crew_are_drawn_and_their_spread_is_that_of_students_t() -> None:
    """With one person always right and three always wrong, a replicate's score counts how often the first was drawn."""
    truth = [PHASES * 2] * 4
    wrong = ["pre_flight", "recovery", "post_flight"] * 2
    draws = replicates(crew(truth, [PHASES * 2, wrong, wrong, wrong]), "A1", 4000, 0)
    times = np.rint(4 * (0.25 + (draws - 0.25) / SPREAD_OF_FOUR)).astype(int)
    share = np.bincount(times, minlength=5) / 4000
    np.testing.assert_allclose(share, [0.316, 0.422, 0.211, 0.047, 0.004], atol=0.025)


def test_interval_of_crew_is_students_interval_of_their_scores() -> None:
    rng = np.random.default_rng(4)
    said = [[p if rng.random() < 0.6 else "recovery" for p in PHASES * 3] for _ in range(12)]
    rows = crew([PHASES * 3] * 12, said)
    scores = np.array([f1_score(PHASES * 3, s, average="macro") for s in said])
    student = scipy_stats.t.interval(0.95, 11, scores.mean(), scipy_stats.sem(scores))
    assert stats.bootstrap_interval(rows, "A1", 8000) == pytest.approx(student, abs=0.03)


def test_interval_of_a_score_stays_between_0_and_1() -> None:
    truth = [PHASES * 2] * 4
    wrong = ["pre_flight", "recovery", "post_flight"] * 2
    assert stats.bootstrap_interval(crew(truth, [PHASES * 2, wrong, wrong, wrong]), "A1", 200)[0] == 0.0


def test_an_id_has_one_count_in_all_repetitions() -> None:
    """Were repetitions drawn apart, their mean would vary less than the shared rows allow."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [300, 100])
    predictions = ranking(y, rng.normal(size=400) + y)
    sd = replicates(predictions, "C2", 2000).std()
    apart = np.mean([
        replicates(predictions[predictions["fold"] == f], "C2", 2000, int(f)).var() for f in "01234"
    ])  # fmt: skip
    assert sd / np.sqrt(apart / 5) == pytest.approx(np.sqrt(1 + 4 * 0.2), abs=0.25)


def test_models_meet_the_same_draws_and_seeds_repeat() -> None:
    run = somb.run(["C2"], {"a": "logreg", "b": "logreg", "c": "rf"}, source="simulated", n_jobs=1)
    draws = all_replicates(run.predictions, 100, 7)
    np.testing.assert_array_equal(draws["C2", "a"], draws["C2", "b"])
    alone = replicates(run.predictions[run.predictions["model"] == "c"], "C2", 100, 7)
    np.testing.assert_array_equal(draws["C2", "c"], alone)
    assert not np.array_equal(alone, replicates(run.predictions[run.predictions["model"] == "c"], "C2", 100, 8))


def test_order_of_lines_makes_no_difference() -> None:
    run = somb.run(["F3"], ["logreg"], source="simulated", n_jobs=1)
    shuffled = run.predictions.sample(frac=1, random_state=0)
    np.testing.assert_array_equal(replicates(run.predictions, "F3", 50), replicates(shuffled, "F3", 50))


def test_summary_holds_interval_and_best_set() -> None:
    few = {"rf": {"n_estimators": 5}}
    run = somb.run(["C2", "F4"], ["majority", "logreg", "rf"], model_params=few, source="simulated", n_jobs=1)
    table = run.summary(300).set_index(["task", "model"])
    assert table["low"].le(table["mean"]).all() and table["high"].ge(table["mean"]).all()
    assert not table.xs("majority", level="model")["best"].any()
    leading = table.drop(index="majority", level="model").groupby("task")["mean"].idxmax()
    assert table.loc[leading, "best"].all()
    without = run.summary(0)
    assert without["low"].isna().all() and not without["best"].any()


def test_failed_models_are_never_best() -> None:
    run = somb.run(["C2"], {"logreg": "logreg", "broken": "own_estimators:AlwaysNaN"}, source="simulated", n_jobs=1)
    table = run.summary(50).set_index("model")
    assert np.isnan(table.loc["broken", "low"]) and not table.loc["broken", "best"] and table.loc["logreg", "best"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: pd.concat([p, p.head(1)]), "duplicated in a fold"),
        (lambda p: p.assign(y_true=["orbit", *p["y_true"][1:]]), "none of"),
        (lambda p: pd.concat([p, p.assign(model="other")]), "predictions of 2 models"),
    ],
)
def test_bad_predictions_are_refused(change: Any, said: str) -> None:
    predictions = crew([PHASES] * 4, [PHASES] * 4)
    with pytest.raises((SombError, UsageError), match=said):
        stats.bootstrap_interval(change(predictions), "A1", 10)


def test_without_replicates_or_predictions_there_is_no_interval() -> None:
    predictions = crew([PHASES] * 4, [PHASES] * 4)
    assert np.isnan(stats.bootstrap_interval(predictions, "A1", 0)).all()
    assert np.isnan(stats.bootstrap_interval(predictions.head(0), "A1", 10)).all()


# Metrics of the protocol rigorous, each replicate against scikit-learn on the rows that it draws


def labelled(seed: int) -> pd.DataFrame:
    """Predictions of B2 on 60 genes in complete folds, several of them tied."""
    setting = Setting("B2", rows=60, signal="weak", folds="complete")
    rows, rng = simulated(setting), np.random.default_rng(seed)
    X = draw_features(setting, rows, rng)
    predictions = predictions_of(rows, X, setting.definition, FULL)
    return predictions.assign(y_score=rng.normal(size=len(predictions)).round(1))


def micro_ap(rows: pd.DataFrame, times: pd.Series) -> float:
    """Return the mean over folds of scikit-learn's micro average precision, each id so many times."""
    folds = []
    for _, fold in rows.groupby("fold"):
        repeated = fold.loc[fold.index.repeat(times[fold["id"]])]
        if (repeated["y_true"] == "1").any():
            folds.append(average_precision_score(repeated["y_true"] == "1", repeated["y_score"]))
    return float(np.mean(folds))


def test_replicates_of_micro_ap_equal_sklearn_on_the_drawn_rows() -> None:
    predictions = labelled(1)
    plan = design(predictions, "B2")
    ours = replicates(predictions, "B2", 3, 5)
    for score, drawn in zip(ours, np.concatenate(list(draw_units(plan.strata, 3, 5))), strict=True):
        times = pd.Series(np.bincount(drawn, minlength=60)[plan.unit_of], index=plan.ids)
        assert times.sum() == 60 and score == pytest.approx(micro_ap(predictions, times), abs=1e-12)


def exchanged(plan: Design, uniform: np.ndarray) -> pd.Series:
    """Return by id the label (of B2: the id whose labels it gets) after Fisher and Yates's shuffle of each set."""
    item_of, sets = _items(plan, signatures(plan))
    label = np.empty(sets[-1], dtype=int)
    label[item_of] = plan.label_row
    for lo, hi in pairwise(sets):
        for i in range(hi - 1, lo, -1):
            j = lo + int(uniform[i] * (i - lo + 1))
            label[[i, j]] = label[[j, i]]
    return pd.Series(label[item_of], index=plan.ids)


def spread(scores: list[float]) -> np.ndarray:
    return np.mean(scores) + np.sqrt(2) * (np.array(scores) - np.mean(scores))


def test_permuted_micro_ap_equals_sklearn_on_the_exchanged_labels() -> None:
    predictions = labelled(2)
    plan = design(predictions, "B2")
    scores = null_scores(plan, predictions, 3, 5)
    ones, expected = pd.Series(1, index=plan.ids), []
    assert scores[0] == pytest.approx(micro_ap(predictions, ones), abs=1e-12)
    label = predictions["label"].map(sorted(plan.task.classes).index)
    for uniform in np.random.default_rng(5).random((3, len(plan.ids))):
        source = exchanged(plan, uniform)
        assert sorted(source) == list(range(60)), "whole rows of labels are exchanged"
        y_true = plan.labels[source[predictions["id"]], label].astype(str)
        expected.append(micro_ap(predictions.assign(y_true=y_true), ones))
    np.testing.assert_allclose(scores[1:], spread(expected), atol=1e-12)


def macro_auroc(rows: pd.DataFrame, classes: tuple[str, ...]) -> float:
    proba = np.stack(rows["y_proba"].tolist())
    return float(roc_auc_score(rows["y_true"], proba, multi_class="ovr", labels=list(classes)))


def test_replicates_of_macro_auroc_equal_sklearn_on_the_drawn_crew() -> None:
    run = somb.run("A1", "logreg", source="simulated", n_jobs=1)
    classes = get_task("A1").classes
    of_crew = np.array([macro_auroc(rows, classes) for _, rows in run.predictions.groupby("fold")])
    means = of_crew[np.random.default_rng(3).integers(4, size=(200, 4))].mean(axis=1)
    expected = means.mean() + SPREAD_OF_FOUR * (means - means.mean())
    np.testing.assert_allclose(replicates(run.predictions, "A1", 200, 3), expected, atol=1e-12)


def test_permuted_macro_auroc_equals_sklearn_on_labels_exchanged_within_crew() -> None:
    run = somb.run("A1", "logreg", source="simulated", n_jobs=1)
    plan, classes = design(run.predictions, "A1"), get_task("A1").classes
    scores = null_scores(plan, run.predictions, 3, 7)
    rows, expected = run.predictions, []
    assert scores[0] == pytest.approx(rows.groupby("fold").apply(macro_auroc, classes).mean(), abs=1e-12)
    for uniform in np.random.default_rng(7).random((3, len(rows))):
        label = exchanged(plan, uniform)[rows["id"]].to_numpy()
        shuffled = rows.assign(y_true=np.array(classes)[label])
        counts = shuffled.groupby("fold")["y_true"].value_counts()
        assert counts.equals(rows.groupby("fold")["y_true"].value_counts()[counts.index]), "within crew"
        expected.append(shuffled.groupby("fold").apply(macro_auroc, classes).mean())
    np.testing.assert_allclose(scores[1:], spread(expected), atol=1e-12)


def test_macro_auroc_without_probabilities_is_refused() -> None:
    predictions = crew([PHASES] * 4, [PHASES] * 4).assign(protocol="rigorous")
    for lacking in (predictions, predictions.assign(y_proba=None)):
        with pytest.raises(UsageError, match="A1: its metric needs class probabilities"):
            stats.bootstrap_interval(lacking, "A1", 10)
