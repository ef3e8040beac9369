"""Permutation p-values: uniform without signal, as powerful as theory says with it, exchanging what may be."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from designs import crew, ranking
from hypothesis import settings
from scipy import stats as scipy_stats

import somb_utils as somb
from somb_utils import stats
from somb_utils.errors import UsageError
from somb_utils.runs.baselines import TRIVIAL
from somb_utils.stats.design import design
from somb_utils.stats.permutation import adjusted, null_scores, p_value
from somb_utils.studies.experiments import FULL, Setting, discriminant, draw_features, predictions_of, simulated
from somb_utils.tasks.definitions import get_task
from somb_utils.tasks.splits import complete

NIGHTLY = settings.default.max_examples == 1000

PHASES = ["pre_flight"] * 3 + ["post_flight"] + ["recovery"] * 3


def without_signal(task: str, rng: np.random.Generator) -> pd.DataFrame:
    """Predictions of one fold, whose test rows train no other model."""
    if task == "A1":
        return crew([PHASES * 4], [list(rng.choice(PHASES, 28))])
    n, positives = (380, 129) if task == "C2" else (600, 60)
    y = (np.arange(n) < positives).astype(int)
    return ranking(y, rng.normal(size=n), task, folds=1, seed=int(rng.integers(1000)))


@pytest.mark.parametrize("task", ["A1", "C2", "E1"])
def test_without_signal_p_values_of_one_fold_are_uniform(task: str) -> None:
    rng, n = np.random.default_rng(11), 250 if NIGHTLY else 120
    jitter = rng.random(n)
    scores = []
    for _ in range(n):
        predictions = without_signal(task, rng)
        scores.append(null_scores(design(predictions, task), predictions, 199, int(rng.integers(2**31))))
    p = np.array([p_value(s) for s in scores])
    errors = (p <= 0.05).sum()
    assert scipy_stats.binomtest(int(errors), n, 0.05, alternative="greater").pvalue > 0.01
    # Scores of few rows tie; a share of the ties drawn at random makes the p-value continuous.
    ties = np.array([(np.abs(s[1:] - s[0]) < 1e-12).sum() for s in scores])
    uniform = p - jitter * (ties + 1) / 200
    assert scipy_stats.kstest(uniform, "uniform").pvalue > 0.01


NULLS = {
    "complete": Setting("C2", rows=150, positives=50, signal="none", folds="complete"),
    "few positives": Setting("E1", rows=450, positives=22, signal="none", folds="complete"),
    "first": Setting("C2", rows=150, positives=50, signal="none", folds="first"),
    "macro AUROC": Setting("A1", groups=4, signal="none"),
    "time points": Setting("F3", groups=4, signal="none"),
    "labels": Setting("B2", rows=120, signal="none", folds="complete"),
}


def type_i_errors(draw: Callable[[np.random.Generator], pd.DataFrame]) -> tuple[int, int]:
    """Return how many of how many experiments without signal have a p-value of 0.05 at most."""
    n = 1000 if NIGHTLY else 40
    rngs = [np.random.default_rng([8, r]) for r in range(n)]
    return sum(stats.permutation_p((rows := draw(rng)), rows["task"].iloc[0], 99) <= 0.05 for rng in rngs), n


@pytest.mark.parametrize("name", NULLS)
def test_models_fitted_to_noise_are_above_chance_in_at_most_five_percent(name: str) -> None:
    """Rows that one fold tests train the models of the others, which predictions taken as fixed would hide."""
    setting = NULLS[name]
    rows = simulated(setting)
    errors, n = type_i_errors(
        lambda rng: predictions_of(rows, draw_features(setting, rows, rng), setting.definition, FULL)
    )
    assert scipy_stats.binomtest(errors, n, 0.06, alternative="greater").pvalue > 0.01, f"{errors} of {n}"


def genes_of_cell_types(rng: np.random.Generator) -> pd.DataFrame:
    """Return predictions of noise on H1: three rows of each gene, which share its label and half of their variance."""
    gene = np.repeat(np.arange(60), 3)
    y = (gene < 18).astype(int)
    X = rng.normal(size=(60, 5))[gene] + rng.normal(size=(180, 5))
    ids = np.array([f"G{g:02d}" + f"#{k + 1}" * (k > 0) for g in range(60) for k in range(3)])
    names, parts = np.array(get_task("H1").classes, dtype=object), []
    for fold in complete(y, gene, 1):
        values = discriminant(X[fold.train], y[fold.train], X[fold.test], 2)
        parts.append(
            pd.DataFrame({"fold": fold.label, "id": ids[fold.test], "y_true": names[y[fold.test]],
                          "y_score": values[:, 1] - values[:, 0]})
        )  # fmt: skip
    return pd.concat(parts).assign(task="H1", protocol="rigorous", model="m")


def test_relatives_do_not_make_a_signal() -> None:
    errors, n = type_i_errors(genes_of_cell_types)
    assert scipy_stats.binomtest(errors, n, 0.06, alternative="greater").pvalue > 0.01, f"{errors} of {n}"


def test_shuffled_scores_spread_as_those_of_models_fitted_to_shuffled_labels() -> None:
    setting = NULLS["complete"]
    rows, rng = simulated(setting), np.random.default_rng(5)
    X = draw_features(setting, rows, rng)
    predictions = predictions_of(rows, X, setting.definition, FULL)
    fixed = null_scores(design(predictions, "C2"), predictions, 999)[1:]
    refitted = []
    for _ in range(1000 if NIGHTLY else 120):
        shuffled = predictions_of(rows, X[rng.permutation(len(X))], setting.definition, FULL)
        refitted.append(null_scores(design(shuffled, "C2"), shuffled, 1)[0])
    assert fixed.std() / np.std(refitted) == pytest.approx(1, abs=0.2), "0.72 without the factor"


def test_planted_signal_is_found_with_the_power_that_theory_gives() -> None:
    """One fold of Gaussian scores: Noether's (1987) power of the Wilcoxon-Mann-Whitney test, which the AUROC is."""
    rng, positives, negatives, shift = np.random.default_rng(3), 40, 60, 0.5
    n = 400 if NIGHTLY else 200
    y = np.repeat([1, 0], [positives, negatives])
    found = []
    for _ in range(n):
        predictions = pd.DataFrame({
            "task": "C2", "model": "m", "fold": "0", "id": [f"G{i}" for i in range(100)], "y_pred": "unchanged",
            "y_true": np.where(y == 1, "changed", "unchanged"), "y_score": rng.normal(size=100) + shift * y,
        })  # fmt: skip
        found.append(stats.permutation_p(predictions, "C2", 199, int(rng.integers(2**31))) <= 0.05)
    auroc = scipy_stats.norm.cdf(shift / np.sqrt(2))
    share = positives / 100
    noncentrality = np.sqrt(12 * 100 * share * (1 - share)) * (auroc - 0.5)
    power = scipy_stats.norm.sf(scipy_stats.norm.ppf(0.95) - noncentrality)
    assert np.mean(found) == pytest.approx(power, abs=3 * np.sqrt(power * (1 - power) / n) + 0.02)


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
        {"task": "F5", "protocol": "aligned", "model": "m", "fold": "C001", "id": f"C001_D{d}_S{s}", "y_true": phase,
         "y_pred": phase}
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
    by_day = {("A1", "rigorous", "logreg"): 0.03, ("A1", "aligned", "logreg"): 0.9, ("A1", "rigorous", "random"): 0.1}
    table = stats.with_p_values(run.summary(0), run.predictions, 199, untested=TRIVIAL, p_day=by_day)
    table = table.set_index(["model", "task"])
    assert table.loc[list(TRIVIAL), ["p", "q", "shuffled"]].isna().all(axis=None)
    assert table.loc["logreg"][["p", "shuffled"]].to_dict("index") == {
        "A1": {"p": 0.03, "shuffled": "days"}, "F4": {"p": 0.005, "shuffled": "labels"}
    }  # fmt: skip
    assert (table["q"].dropna() > table["p"].dropna()).all()
    without = stats.with_p_values(run.summary(0), run.predictions, 199, untested=TRIVIAL).set_index(["model", "task"])
    assert np.isnan(without.loc[("logreg", "A1"), "p"]), "a phase task has no p-value but that of the day test"


def test_bad_counts_are_refused() -> None:
    with pytest.raises(UsageError, match="give 1 or more"):
        stats.permutation_p(crew([PHASES], [PHASES]), "A1", 0)
    assert np.isnan(stats.permutation_p(pd.DataFrame(), "A1"))
