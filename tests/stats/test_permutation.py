"""Permutation p-values: uniform without signal, as powerful as theory says with it, exchanging what may be."""

import numpy as np
import pandas as pd
import pytest
from designs import crew, ranking
from scipy import stats as scipy_stats

import somb_utils as somb
from somb_utils import stats
from somb_utils.errors import UsageError
from somb_utils.runs.baselines import TRIVIAL
from somb_utils.stats.design import design
from somb_utils.stats.permutation import adjusted, null_scores, p_value

PHASES = ["pre_flight"] * 3 + ["post_flight"] + ["recovery"] * 3


def without_signal(task: str, rng: np.random.Generator) -> pd.DataFrame:
    if task == "A1":
        truth = [PHASES] * 4
        return crew(truth, [list(rng.choice(PHASES, 7)) for _ in truth])
    n, positives = (380, 129) if task == "C2" else (600, 12)
    return ranking((np.arange(n) < positives).astype(int), rng.normal(size=n), task, seed=int(rng.integers(1000)))


@pytest.mark.parametrize("task", ["A1", "C2", "E1"])
def test_without_signal_p_values_are_uniform_and_the_type_i_error_is_five_percent(task: str) -> None:
    rng = np.random.default_rng(11)
    jitter = rng.random(250)
    scores = []
    for _ in range(250):
        predictions = without_signal(task, rng)
        scores.append(null_scores(design(predictions, task), predictions, 199, int(rng.integers(2**31))))
    p = np.array([p_value(s) for s in scores])
    errors = (p <= 0.05).sum()
    assert scipy_stats.binomtest(int(errors), 250, 0.05, alternative="greater").pvalue > 0.01
    # Scores of few rows tie; a share of the ties drawn at random makes the p-value continuous.
    ties = np.array([(np.abs(s[1:] - s[0]) < 1e-12).sum() for s in scores])
    uniform = p - jitter * (ties + 1) / 200
    assert scipy_stats.kstest(uniform, "uniform").pvalue > 0.01


def test_planted_signal_is_found_with_the_power_that_theory_gives() -> None:
    """One fold of Gaussian scores: Noether's (1987) power of the Wilcoxon-Mann-Whitney test, which the AUROC is."""
    rng, positives, negatives, shift = np.random.default_rng(3), 40, 60, 0.5
    y = np.repeat([1, 0], [positives, negatives])
    found = []
    for _ in range(400):
        predictions = pd.DataFrame({
            "task": "C2", "model": "m", "fold": "0", "id": [f"G{i}" for i in range(100)], "y_pred": "unchanged",
            "y_true": np.where(y == 1, "changed", "unchanged"), "y_score": rng.normal(size=100) + shift * y,
        })  # fmt: skip
        found.append(stats.permutation_p(predictions, "C2", 199, int(rng.integers(2**31))) <= 0.05)
    auroc = scipy_stats.norm.cdf(shift / np.sqrt(2))
    share = positives / 100
    noncentrality = np.sqrt(12 * 100 * share * (1 - share)) * (auroc - 0.5)
    power = scipy_stats.norm.sf(scipy_stats.norm.ppf(0.95) - noncentrality)
    assert np.mean(found) == pytest.approx(power, abs=3 * np.sqrt(power * (1 - power) / 400) + 0.02)


def test_agrees_with_scipy_on_one_fold() -> None:
    rng = np.random.default_rng(0)
    y, score = np.repeat([1, 0], [8, 12]), rng.normal(size=20)
    predictions = pd.DataFrame({
        "task": "C2", "model": "m", "fold": "0", "id": [f"G{i:02d}" for i in range(20)], "y_pred": "unchanged",
        "y_true": np.where(y == 1, "changed", "unchanged"), "y_score": score,
    })  # fmt: skip
    ours = stats.permutation_p(predictions, "C2", 20_000)
    exact = scipy_stats.mannwhitneyu(score[y == 1], score[y == 0], alternative="greater", method="exact").pvalue
    assert ours == pytest.approx(exact, abs=0.012)


@pytest.mark.parametrize("task", ["A1", "B2", "C2", "F3", "F4", "F5"])
def test_first_score_is_the_runs_own_and_shuffled_ones_average_chance(task: str) -> None:
    run = somb.run([task], ["logreg"], source="simulated", n_jobs=1)
    scores = null_scores(design(run.predictions, task), run.predictions, 199)
    row = run.summary(0).iloc[0]
    assert scores[0] == pytest.approx(row["mean"], abs=1e-12)
    if task != "B2":  # its predictions name more labels than chance would
        assert scores[1:].mean() == pytest.approx(row["chance"], abs=0.04)


def test_crew_that_differ_do_not_make_a_signal() -> None:
    """Predictions that know whose sample it is, but not when it was taken, stay at chance."""
    truth = [["recovery"] * 6 + ["pre_flight"], ["pre_flight"] * 6 + ["recovery"]] * 2
    called = [["recovery"] * 7, ["pre_flight"] * 7] * 2
    assert stats.permutation_p(crew(truth, called), "A1", 199) == 1.0


def test_swabs_of_a_day_keep_one_phase() -> None:
    """Ten swabs a day that agree are one vote: seven days cannot give the p-value that seventy votes would."""
    days = ["pre_flight", "pre_flight", "in_flight", "in_flight", "post_flight", "recovery", "recovery"]
    rows = [
        {"task": "F5", "model": "m", "fold": "C001", "id": f"C001_D{d}_S{s}", "y_true": phase, "y_pred": phase,
         "y_score": np.nan}
        for d, phase in enumerate(days) for s in range(10)
    ]  # fmt: skip
    p = stats.permutation_p(pd.DataFrame(rows), "F5", 9999)
    assert p == pytest.approx(8 / 5040, rel=0.6), "2! 2! 2! orders of 7! keep all days right"


def test_q_values_hold_back_and_skip_what_was_not_tested() -> None:
    p = np.array([0.001, np.nan, 0.02, 0.5])
    q = adjusted(p)
    np.testing.assert_allclose(q[[0, 2, 3]], scipy_stats.false_discovery_control(p[[0, 2, 3]], method="by"))
    assert np.isnan(q[1])
    assert np.isnan(adjusted(np.array([np.nan]))).all()


def test_table_tests_every_model_that_learns() -> None:
    run = somb.run(["A1", "F4"], ["random", "majority", "logreg"], source="simulated", n_jobs=1)
    table = stats.with_p_values(run.summary(0), run.predictions, 199, untested=TRIVIAL).set_index("model")
    assert table.loc[list(TRIVIAL), ["p", "q"]].isna().all(axis=None)
    assert (table.loc["logreg", "p"] == 0.005).all() and (table["q"].dropna() > 0.005).all()


def test_bad_counts_are_refused() -> None:
    with pytest.raises(UsageError, match="give 1 or more"):
        stats.permutation_p(crew([PHASES], [PHASES]), "A1", 0)
    assert np.isnan(stats.permutation_p(pd.DataFrame(), "A1"))
