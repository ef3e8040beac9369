"""Two models and many: paired tests, exact floors, ranks, calibration, against the packages that have them."""

import itertools
import threading
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from designs import ranking
from scipy import stats as scipy_stats
from sklearn.calibration import calibration_curve
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import brier_score_loss, roc_auc_score

import somb_utils as somb
from somb_utils import stats
from somb_utils.errors import UsageError
from somb_utils.plots.compare import critical_difference
from somb_utils.stats import bootstrap, paired, permutation

matplotlib.use("Agg")


def test_nadeau_bengio_without_correction_is_the_paired_t_test() -> None:
    gaps = np.random.default_rng(0).normal(0.3, 1, 5)
    assert paired.nadeau_bengio(gaps, 0.0) == pytest.approx(scipy_stats.ttest_1samp(gaps, 0).pvalue)
    t = gaps.mean() / np.sqrt((1 / 5 + 0.25) * gaps.var(ddof=1))
    assert paired.nadeau_bengio(gaps) == pytest.approx(2 * scipy_stats.t.sf(abs(t), 4))
    assert paired.nadeau_bengio(np.zeros(5)) == 1.0 and np.isnan(paired.nadeau_bengio(np.ones(1)))


def test_repetitions_that_share_rows_raise_the_type_i_error_only_without_the_correction() -> None:
    """With two equally good models the ordinary t-test over repetitions rejects too often, the corrected one not."""
    rng, rejected = np.random.default_rng(5), []
    y = np.repeat([0, 1], [250, 130])
    for _ in range(400):
        scores = rng.normal(size=(2, 380)) + y
        tests = [np.r_[rng.permutation(250)[:50], 250 + rng.permutation(130)[:26]] for _ in range(5)]
        ranks = np.array([scipy_stats.rankdata(scores[:, test], axis=1)[:, y[test] == 1].sum(axis=1) for test in tests])
        gaps = (ranks[:, 0] - ranks[:, 1]) / (50 * 26)  # of AUROCs, which are rank sums of the positives
        rejected.append([scipy_stats.ttest_1samp(gaps, 0).pvalue <= 0.05, paired.nadeau_bengio(gaps) <= 0.05])
    plain, corrected = np.mean(rejected, axis=0)
    assert plain > 0.08 and corrected <= 0.075


def test_sign_flip_equals_scipy_and_has_a_floor() -> None:
    gaps = np.array([0.1, 0.3, -0.05, 0.2])
    theirs = scipy_stats.permutation_test(
        (gaps,), np.mean, permutation_type="samples", alternative="two-sided", n_resamples=np.inf
    )
    assert paired.sign_flip(gaps) == pytest.approx(theirs.pvalue)
    assert paired.sign_flip(np.array([0.9, 0.8, 0.7, 0.95])) == paired.sign_flip_floor(4) == 0.125
    assert paired.sign_flip(np.zeros(4)) == 1.0
    assert paired.sign_flip(np.ones(21)) == paired.sign_flip_floor(21) == 2e-5
    more = np.random.default_rng(0).normal(0.4, 1, 20)
    assert paired.sign_flip(np.r_[more, 0]) == pytest.approx(paired.sign_flip(more), abs=0.005), "drawn, not enumerated"


@pytest.fixture(scope="module")
def run() -> somb.RunResult:
    forest = RandomForestClassifier(n_estimators=5, random_state=0)
    models = {"random": "random", "majority": "majority", "logreg": "logreg", "forest": forest}
    return somb.run(["A1", "C2", "D1", "H1"], models, source="simulated", n_jobs=1)


def test_differences_pair_folds_and_draws(run: somb.RunResult) -> None:
    table = stats.differences(run.results, run.predictions, 500).set_index(["task", "a", "b"])
    assert len(table) == 4 * 6
    means = run.summary(0).set_index(["task", "model"])["mean"]
    row = table.loc[("D1", "logreg", "forest")]
    assert row["difference"] == pytest.approx(means["D1", "logreg"] - means["D1", "forest"])
    assert row["low"] <= row["difference"] <= row["high"] and row["test"] == "Nadeau-Bengio"
    assert table.xs("A1")["test"].eq("sign flip").all() and table.xs("A1")["floor"].eq(0.125).all()
    assert table.xs("A1")["p_new"].ge(0.125).all()
    assert table.loc[("A1", "majority", "logreg"), "wins"] < 0.05


def test_models_with_failed_folds_are_not_compared() -> None:
    made = somb.run(["C2"], {"a": "logreg", "b": "own_estimators:AlwaysNaN"}, source="simulated", n_jobs=1)
    assert stats.differences(made.results, made.predictions, 50).empty


def test_win_probability_counts_ties_half() -> None:
    assert paired.win_probability(np.array([1.0, 0.0, -1.0, np.nan])) == 0.5
    assert np.isnan(paired.win_probability(np.array([np.nan])))


def test_ranking_equals_scipy_and_scikit_posthocs(run: somb.RunResult) -> None:
    made = stats.ranking(run.summary(0))
    assert made.scores.shape == (4, 4)
    assert made.p == pytest.approx(scipy_stats.friedmanchisquare(*made.scores.to_numpy().T).pvalue)
    assert made.ranks.sum() == pytest.approx(10)
    pd.testing.assert_frame_equal(made.pairs, scikit_posthocs.posthoc_nemenyi_friedman(made.scores))
    with pytest.raises(UsageError, match="three models"):
        stats.ranking(run.summary(0).query("model in ['logreg', 'forest']"))


def test_critical_difference_is_drawn(run: somb.RunResult) -> None:
    fig = critical_difference(stats.ranking(run.summary(0)))
    said = " ".join(text.get_text() for text in fig.axes[0].texts)
    assert "logreg" in said and "majority" in said


def test_bootstrap_interval_of_one_fold_equals_scipys() -> None:
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1], [120, 80])
    fold = ranking(y, rng.normal(size=200) + y, folds=1)
    truth, score = (fold["y_true"] == "changed").to_numpy(), fold["y_score"].to_numpy()
    theirs = scipy_stats.bootstrap(
        (truth, score), roc_auc_score, n_resamples=1000, paired=True, vectorized=False, method="percentile", rng=rng
    ).confidence_interval
    assert stats.bootstrap_interval(fold, "C2", 4000) == pytest.approx(tuple(theirs), abs=0.03)


def test_calibration_equals_sklearn(run: somb.RunResult) -> None:
    rows = run.predictions.query("task == 'D1' and model == 'logreg'")
    made = stats.calibration(rows, "D1", 5)
    positive = somb.load_task("D1", source="simulated").task.classes[1]
    truth = (rows["y_true"] == positive).to_numpy()
    observed, predicted = calibration_curve(truth, rows["y_score"], n_bins=5, strategy="quantile")
    np.testing.assert_allclose(made.curve["observed"], observed, atol=1e-12)
    np.testing.assert_allclose(made.curve["predicted"], predicted, atol=1e-12)
    assert made.brier == pytest.approx(brier_score_loss(truth, rows["y_score"]))
    assert made.skill == pytest.approx(1 - made.brier / (truth.mean() * (1 - truth.mean())))
    assert made.curve["low"].le(made.curve["observed"]).all() and made.curve["n"].sum() == len(rows)


def test_calibration_refuses_what_has_none(run: somb.RunResult) -> None:
    rows = run.predictions.query("model == 'logreg'")
    with pytest.raises(UsageError, match="only binary"):
        stats.calibration(rows[rows["task"] == "A1"], "A1")
    with pytest.raises(UsageError, match="no probabilities"):
        stats.calibration(rows[rows["task"] == "C2"].assign(y_score=3.0), "C2")


def test_comparison_draws_and_tests_in_as_many_threads_as_asked(
    run: somb.RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first two calls meet, which they cannot in one thread."""
    for module, name in (bootstrap, "_draw"), (permutation, "null_scores"):
        meeting, made, calls = threading.Barrier(2), getattr(module, name), itertools.count()

        def call(*args: Any, meeting: Any = meeting, made: Any = made, calls: Any = calls) -> Any:
            if next(calls) < 2:
                meeting.wait(60)
            return made(*args)

        monkeypatch.setattr(module, name, call)
    somb.compare(run, n_bootstrap=20, n_permutations=19, n_jobs=2)
