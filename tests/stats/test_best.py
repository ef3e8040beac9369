"""The set of best models: under equality it loses one in at most 5 % of experiments, and a better model is found."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from designs import crew, ranking
from hypothesis import settings
from scipy import stats as scipy_stats
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from somb_utils.stats import above_chance
from somb_utils.stats.best import best_set, marked
from somb_utils.stats.bootstrap import all_replicates
from somb_utils.stats.design import design
from somb_utils.stats.exchange import auroc_gains, exchange_p, exchangeable, fold_ranks
from somb_utils.stats.permutation import null_scores
from somb_utils.tasks.definitions import get_task

NIGHTLY = settings.default.max_examples == 1000
MODELS = [f"m{i}" for i in range(5)]
PHASES = ["pre_flight"] * 3 + ["post_flight"] + ["recovery"] * 3
WRONG = {p: [q for q in dict.fromkeys(PHASES) if q != p] for p in PHASES}


def of_genes(rng: np.random.Generator, advantage: float) -> pd.DataFrame:
    """Predictions of C2, whose models share half of their errors' variance; the first is better by `advantage`."""
    y = (np.arange(250) < 90).astype(int)
    shared, seed = rng.normal(size=250), int(rng.integers(1000))
    gain = [advantage, 0, 0, 0, 0]
    scores = [shared + rng.normal(size=250) + (1 + extra) * y for extra in gain]
    return pd.concat([ranking(y, s, model=m, seed=seed) for m, s in zip(MODELS, scores, strict=True)])


def of_crew(rng: np.random.Generator, advantage: float) -> pd.DataFrame:
    """Predictions of A1 for four crew, right in half of the days; the first model in more by `advantage`."""
    parts = []
    for model, share in zip(MODELS, [0.5 + advantage, 0.5, 0.5, 0.5, 0.5], strict=True):
        called = [[p if rng.random() < share else str(rng.choice(WRONG[p])) for p in PHASES] for _ in range(4)]
        parts.append(crew([PHASES] * 4, called, model=model))
    return pd.concat(parts)


def best_of(predictions: pd.DataFrame, seed: int) -> np.ndarray:
    draws = np.stack(list(all_replicates(predictions, 300, seed).values()))
    task = predictions["task"].iloc[0]
    parts = [rows for _, rows in predictions.groupby("model")]
    scores = np.array([null_scores(design(rows, task), rows, 1)[0] for rows in parts])
    return best_set(scores, draws, 4 if task == "A1" else 0, seed)


@pytest.mark.parametrize("simulate", [of_genes, of_crew])
def test_equal_models_are_excluded_in_at_most_five_percent(simulate: Callable[..., pd.DataFrame]) -> None:
    n = 400 if NIGHTLY else 40
    rngs = [np.random.default_rng([3, r]) for r in range(n)]
    excluded = sum(not best_of(simulate(rng, 0.0), 100 + r).all() for r, rng in enumerate(rngs))
    assert scipy_stats.binomtest(excluded, n, 0.05, alternative="greater").pvalue > 0.01, f"{excluded} of {n}"


@pytest.mark.parametrize(("simulate", "advantage"), [(of_genes, 2.0), (of_crew, 0.5)])
def test_a_better_model_is_found(simulate: Callable[..., pd.DataFrame], advantage: float) -> None:
    sets = np.array([best_of(simulate(np.random.default_rng([4, r]), advantage), r) for r in range(10)])
    assert sets[:, 0].all(), "the best model is in the set"
    assert sets[:, 1:].mean() < 0.5, "most of the others are not"


def test_models_that_never_differ_stay_together() -> None:
    draws = np.random.default_rng(0).normal(size=(1, 200)).repeat(3, axis=0)
    assert best_set(np.full(3, 0.5), draws).all() and best_set(np.full(3, 0.5), draws, 4).all()
    assert not best_set(np.full(3, 0.5), np.full((3, 200), np.nan)).any(), "nothing is known without replicates"


def test_step_down_excludes_no_fewer_models_than_one_step() -> None:
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(4, 2000)) * 0.1
    scores = np.array([0.9, 0.9 - 0.345, 0.2, 0.2])
    assert best_set(scores[:2], draws[:2]).tolist() == [True, False]
    assert best_set(scores, draws).tolist() == [True, False, False, False], "after the two worst, the second goes too"


def test_trivial_and_failed_models_are_no_candidates() -> None:
    predictions = of_genes(np.random.default_rng(2), 0.0)
    table = pd.DataFrame({"model": MODELS, "mean": 0.7, "failed": [0, 0, 0, 0, 1], "folds": 5})
    table = table.assign(task="C2", protocol="aligned")
    table = marked(table, all_replicates(predictions, 50), trivial=["m0"])
    assert table["best"].tolist() == [False, True, True, True, False] and table["low"].notna().all()


def test_above_chance_is_one_rule() -> None:
    table = pd.DataFrame({"q": [0.049, 0.05, np.nan], "low": [0.0, 0.9, 0.9]})
    assert above_chance(table).tolist() == [True, False, pd.NA]
    assert above_chance(table.drop(columns="q")).isna().all(), "without a test there is no verdict"


@pytest.mark.parametrize("task", ["A1", "F3"])
def test_exchanged_predictions_of_equal_models_give_uniform_p_values(task: str) -> None:
    rng, p, n = np.random.default_rng(5), [], 200 if NIGHTLY else 100
    for r in range(n):
        if task == "A1":
            a, b = (rows for _, rows in of_crew(rng, 0.0).query("model in ['m0', 'm1']").groupby("model"))
        else:
            a, b = time_points(rng), time_points(rng).assign(y_score=lambda frame: 100 * frame["y_score"])
        p.append(p_of_exchange(a, b, task, 99, r))
    assert scipy_stats.binomtest(int(np.sum(np.array(p) <= 0.05)), n, 0.05).pvalue > 0.01
    assert 0.4 < np.mean(p) < 0.65, "ties of few rows push p-values up a little"


def time_points(rng: np.random.Generator) -> pd.DataFrame:
    """Predictions of F3 for four time points, positives one standard deviation higher."""
    truth, names = np.tile(np.repeat([0, 1], 5), 4), np.array(get_task("F3").classes)
    return pd.DataFrame({
        "task": "F3", "model": "m", "fold": [f"T{i // 10}" for i in range(40)], "id": [f"S{i:02d}" for i in range(40)],
        "y_true": names[truth], "y_pred": names[truth], "y_score": rng.normal(size=40) + truth,
    })  # fmt: skip


def test_exchange_finds_models_that_differ_on_these_crew() -> None:
    right = crew([PHASES] * 4, [PHASES] * 4)
    wrong = crew([PHASES] * 4, [[WRONG[p][0] for p in PHASES]] * 4)
    assert p_of_exchange(right, wrong, "A1", 999, 1) == 0.001
    assert p_of_exchange(right, right, "A1", 999, 1) == 1.0


def p_of_exchange(a: pd.DataFrame, b: pd.DataFrame, task: str, n: int, seed: int) -> float:
    plan = design(a, task)
    return exchange_p(plan, exchangeable(plan, a), exchangeable(plan, b), n, seed)


def test_gap_is_the_difference_of_aurocs_of_the_exchanged_ranks() -> None:
    rng = np.random.default_rng(6)
    positive, scores = np.tile([True, False, False], 8), rng.integers(0, 6, (2, 24)).astype(float)
    folds = np.array([0, 12, 24])
    swap = np.concatenate([[np.zeros(24, bool), np.ones(24, bool)], rng.random((20, 24)) < 0.5])
    expected = []
    for exchanged in swap:
        gaps = []
        for fold in (slice(0, 12), slice(12, 24)):
            ranks = rankdata(scores[:, fold], axis=1)
            ranks = np.where(exchanged[fold], ranks[::-1], ranks)
            gaps.append(roc_auc_score(positive[fold], ranks[0]) - roc_auc_score(positive[fold], ranks[1]))
        expected.append(np.mean(gaps))
    first, second = (fold_ranks(of_model, positive, np.arange(24), folds) for of_model in scores)
    np.testing.assert_allclose((0.5 - swap) @ auroc_gains(first, second), expected, atol=1e-12)
