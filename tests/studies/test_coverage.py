"""Coverage of intervals: fitted models, fold rules, other intervals, the stored table and what pages say of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from scipy.stats import binomtest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from somb_utils.book import extension as pages
from somb_utils.studies import coverage, experiments
from somb_utils.studies.experiments import FULL, SIGNALS, Setting, draw_features, predictions_of, simulated
from somb_utils.tasks.definitions import get_task

STUDIES = 80 * (settings.default.max_examples // 100)  # ten times as many in the profile "nightly"
CREW = Setting("A1", groups=4, response_sd=1.0)
ROWS = Setting("C2", rows=450, positives=22)


@pytest.fixture(scope="module")
def stored() -> pd.DataFrame:
    return coverage.stored()


@pytest.mark.parametrize("task", sorted({setting.task for setting in coverage.plan()}))
def test_simulated_predictions_suit_their_task(task: str) -> None:
    setting = next(setting for setting in coverage.plan() if setting.task == task and setting.folds != "first")
    made = coverage.coverage_of(replace(setting, missions=3))
    assert made["metric"] == get_task(task).under("rigorous").metrics.primary
    assert 0 < made["truth"] < 1 and 0 < made["width"] <= 1


def test_each_fold_is_predicted_by_a_discriminant_analysis_of_its_training_rows() -> None:
    rows, task = simulated(CREW), get_task(CREW.task)
    X = draw_features(CREW, rows, np.random.default_rng(1))
    called = predictions_of(rows, X, task, FULL).set_index("fold")["y_pred"]
    classes = np.array(task.classes)
    for fold in rows.folds:
        lda = LinearDiscriminantAnalysis(priors=np.full(len(classes), 1 / len(classes)))
        lda.fit(X[fold.train], rows.labels[fold.train])
        assert list(called[fold.label]) == list(classes[lda.predict(X[fold.test])])


def test_without_covariances_a_row_goes_to_the_nearest_mean() -> None:
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1, 2], 20)
    X = rng.standard_normal((60, 4)) * [1, 5, 0.2, 1] + y[:, None]
    means = np.array([X[y == k].mean(axis=0) for k in range(3)])
    pooled = ((X - means[y]) ** 2).sum(axis=0) / 57
    distance = ((X[:, None] - means) ** 2 / pooled).sum(axis=2)
    values = experiments.discriminant(X, y, X, 3, diagonal=True)
    assert values.argmax(axis=1).tolist() == distance.argmin(axis=1).tolist()
    assert values[:, 1] - values[:, 0] == pytest.approx((distance[:, 0] - distance[:, 1]) / 2)


def test_complete_folds_test_every_row_once_in_each_repetition() -> None:
    first = simulated(replace(ROWS, folds="first")).tested
    every = simulated(replace(ROWS, folds="complete")).tested
    assert every["fold"].nunique() == 25 and len(every) == 5 * ROWS.rows
    repetition = every["fold"].str.partition(".")[0]
    assert every.groupby([repetition, "id"]).size().eq(1).all()
    assert list(first["id"]) == list(every.loc[every["fold"].str.endswith(".0"), "id"])


def test_signal_and_groups_are_of_the_size_asked_for() -> None:
    large = replace(CREW, groups=400, response_sd=0.0)
    X = draw_features(large, rows := simulated(large), np.random.default_rng(3))
    shift = np.array([X[rows.labels == k].mean(axis=0) for k in range(3)]) - rows.means
    assert np.linalg.norm(rows.means, axis=1) == pytest.approx(SIGNALS["strong"][0])
    assert np.abs(shift).max() < 0.2
    assert X[rows.labels == 0].var(axis=0).mean() == pytest.approx(1 + experiments.GROUP_SD**2, abs=0.15)


def test_intervals_of_known_replicates() -> None:
    draws = np.linspace(0, 1, 1001)
    ends = coverage.ends_of(draws, 0.5, factor=2.0)
    assert ends["interval"] == pytest.approx((0.025, 0.975))
    assert ends["percentile"] == pytest.approx((0.2625, 0.7375))
    assert ends["basic"] == pytest.approx((0.025, 0.975))
    assert ends["bias_corrected"] == pytest.approx((0.025, 0.975), abs=0.002)
    assert ends["normal"] == pytest.approx((0.5 - 1.96 * draws.std(), 0.5 + 1.96 * draws.std()), abs=1e-4)
    off = coverage.ends_of(draws, 0.4, factor=1.0)
    assert off["basic"] == pytest.approx((-0.175, 0.775)) and off["bias_corrected"][1] < 0.95


def test_settings_repeat_with_their_seed() -> None:
    small = replace(CREW, missions=4)
    assert coverage.coverage_of(small) == coverage.coverage_of(small)
    assert coverage.coverage_of(small) != coverage.coverage_of(replace(small, seed=7))


@pytest.mark.parametrize("setting", [CREW, replace(ROWS, folds="complete", signal="weak")], ids=["crew", "rows"])
def test_stored_coverage_is_reproduced(setting: Setting, stored: pd.DataFrame) -> None:
    keys = ["task", "groups", "rows", "positives", "signal", "response_sd", "folds"]
    known = stored.set_index(keys).loc[[tuple(getattr(setting, key) for key in keys)]].iloc[0]
    again = coverage.coverage_of(replace(setting, missions=STUDIES, seed=5))
    assert again["truth"] == pytest.approx(known["truth"], abs=0.05)
    assert binomtest(again["covered"], STUDIES, known["coverage"]).pvalue > 0.01
    assert again["width"] == pytest.approx(known["width"], rel=0.15)


@pytest.mark.parametrize(
    "setting",
    [Setting("A1", groups=16, signal="weak"), Setting("C2", rows=450, positives=135, signal="weak", folds="first")],
    ids=["crew", "rows"],
)
def test_models_that_are_not_fitted_anew_have_the_nominal_coverage(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, fit = {}, experiments.discriminant

    def fit_once(X: np.ndarray, y: np.ndarray, test: np.ndarray, k: int, diagonal: bool = False) -> np.ndarray:
        X, y = fitted.setdefault("rows", (X, y))
        return fit(X, y, test, k, diagonal)

    monkeypatch.setattr(experiments, "discriminant", fit_once)
    covered = coverage.coverage_of(replace(setting, missions=STUDIES))["covered"]
    assert binomtest(covered, STUDIES, 0.95).pvalue > 0.01


def test_stored_coverage_is_short_where_training_varies(stored: pd.DataFrame) -> None:
    four = stored.query("task == 'A1' and groups == 4")
    assert four["coverage"].between(0.8, 0.95).all() and four["high"].min() < 0.93
    assert stored["coverage"].mean() < 0.95


def test_stored_intervals_shrink_with_complete_cross_validation(stored: pd.DataFrame) -> None:
    keys = ["task", "rows", "positives", "signal"]
    table = stored[stored["groups"] == 0].set_index([*keys, "folds"])[["width", "paired_width"]].unstack()
    ratio = {
        column: (table[column, "complete"] / table[column, "first"]).mean() for column in ("width", "paired_width")
    }
    assert ratio["width"] == pytest.approx(0.72, abs=0.06) and ratio["paired_width"] == pytest.approx(0.6, abs=0.08)


def test_stored_percentiles_of_auprc_cover_best_though_replicates_are_high(stored: pd.DataFrame) -> None:
    few = stored.query("metric == 'auprc' and positives == 11")
    assert few[list(coverage.WAYS)].mean().idxmax() == "coverage"
    assert few["replicate_ratio"].between(1.1, 1.5).all()


@pytest.mark.parametrize(("groups", "size"), [(4, 4), (5, 4), (7, 8), (30, 16)])
def test_sentence_on_groups_is_of_the_nearest_simulated_size(groups: int, size: int, stored: pd.DataFrame) -> None:
    rows = 100 * stored.loc[stored["groups"] == size, "coverage"]
    sentence = coverage.of_groups(groups)
    assert f"of {size} crew" in sentence and f"{rows.min():.0f} to {rows.max():.0f} % of these 95 %" in sentence


def test_notes_of_the_page_hold_the_stored_figures(stored: pd.DataFrame) -> None:
    text = pages.fill("<!-- somb:coverage_notes -->")
    few = stored.query("positives == 11")["replicate_ratio"]
    assert f"{few.min():.1f} to {few.max():.1f} times the score" in text
    assert coverage.of_groups(4) in text and "Complete 5 × 5" in text


def test_generated_table_has_a_line_for_each_metric_and_design() -> None:
    text = pages.coverage_table()
    assert all(f"| {name} |" in text for name in ("macro AUROC", "AUROC", "AUPRC", "micro AP"))
    assert text.count("| 4 crew, swabs |") == 1
