"""Bootstrap intervals against a loop that draws rows and calls scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from somb_utils.runner import run
from somb_utils.stats import bootstrap_interval, draw_weights, replicates, weighted_metric
from somb_utils.tasks import get_task


def _binary(n, rng, ties):
    score = rng.integers(0, 5, n) / 4 if ties else rng.random(n)
    return pd.DataFrame({"y_true": np.where(rng.random(n) < 0.3, "changed", "unchanged"), "y_score": score})


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("task", "loop"), [("C2", roc_auc_score), ("E1", average_precision_score)])
def test_weighted_ranking_metric_equals_sklearn_on_the_drawn_rows(task, loop, ties):
    rng = np.random.default_rng(0)
    definition = get_task(task)
    rows = _binary(60, rng, ties)
    rows["y_true"] = rows["y_true"].map({"unchanged": definition.classes[0], "changed": definition.classes[1]})
    truth, score = (rows["y_true"] == definition.classes[1]).to_numpy(), rows["y_score"].to_numpy()
    weights = draw_weights(60, 20, rng)
    expected = [loop(np.repeat(truth, w), np.repeat(score, w)) for w in weights]
    np.testing.assert_allclose(weighted_metric(definition)(rows, weights), expected)


def test_weighted_macro_f1_equals_sklearn_on_the_drawn_rows():
    rng = np.random.default_rng(1)
    classes = get_task("A1").classes
    rows = pd.DataFrame({name: rng.choice(np.array(classes, dtype=object), 12) for name in ("y_true", "y_pred")})
    weights = draw_weights(12, 30, rng)
    expected = [
        f1_score(
            np.repeat(rows["y_true"], w), np.repeat(rows["y_pred"], w), labels=classes, average="macro", zero_division=0
        )
        for w in weights
    ]
    np.testing.assert_allclose(weighted_metric(get_task("A1"))(rows, weights), expected)


def test_weighted_micro_f1_equals_sklearn_on_the_drawn_rows():
    rng = np.random.default_rng(2)
    truth, predicted = rng.integers(0, 2, (2, 15, 3))
    rows = pd.DataFrame(
        {
            "label": np.tile(list("abc"), 15),
            "y_true": truth.ravel().astype(str),
            "y_pred": predicted.ravel().astype(str),
        }
    )
    weights = draw_weights(15, 20, rng)
    expected = [
        f1_score(np.repeat(truth, w, axis=0), np.repeat(predicted, w, axis=0), average="micro") for w in weights
    ]
    np.testing.assert_allclose(weighted_metric(get_task("B2"))(rows, weights), expected)


def test_each_draw_takes_as_many_rows_as_there_are():
    weights = draw_weights(7, 50, np.random.default_rng(0))
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()


def test_loco_draws_people_then_their_rows():
    """With one person always right and three always wrong, a replicate's score counts how often the first was drawn."""
    crew = np.repeat(["C001", "C002", "C003", "C004"], 6)
    truth = np.tile(["post_flight", "pre_flight", "recovery"], 8)
    wrong = np.tile(["pre_flight", "recovery", "post_flight"], 8)
    rows = pd.DataFrame({"fold": crew, "id": [str(i) for i in range(24)], "y_true": truth})
    rows["y_pred"] = np.where(crew == "C001", truth, wrong)
    draws = replicates(rows, "A1", 4000, 0)
    assert (draws == 0).mean() == pytest.approx(0.75**4, abs=0.03)
    straightforward = _loop(rows, 4000, np.random.default_rng(5))
    assert np.mean(draws) == pytest.approx(np.mean(straightforward), abs=0.04)
    assert np.std(draws) == pytest.approx(np.std(straightforward), abs=0.03)


def _loop(rows, n, rng):
    folds = [part for _, part in rows.groupby("fold")]
    classes, scores = get_task("A1").classes, []
    for _ in range(n // 20):
        parts = [folds[k].iloc[rng.integers(6, size=6)] for k in rng.integers(4, size=4)]
        scores.append(
            np.mean(
                [f1_score(p["y_true"], p["y_pred"], labels=classes, average="macro", zero_division=0) for p in parts]
            )
        )
    return scores


def test_interval_is_repeatable_and_holds_the_mean():
    result = run("C2", ["logreg"], source="simulated", n_jobs=1)
    low, high = bootstrap_interval(result.predictions, "C2", 200, 42)
    assert (low, high) == bootstrap_interval(result.predictions, "C2", 200, 42)
    assert low < result.summary()["mean"].item() < high


def test_without_replicates_there_is_no_interval():
    result = run("C2", ["majority"], source="simulated", n_jobs=1)
    assert np.isnan(bootstrap_interval(result.predictions, "C2", 0, 42)).all()
