"""Metrics equal scikit-learn's, treat ties by expectation, and chance levels are exact."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from somb_utils import metrics

CLASSES = ("a", "b", "c")
# Few distinct scores, so that ties are common.
SCORES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.75, 1.0])


@st.composite
def binary(draw: st.DrawFn, max_size: int = 150) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(1, max_size))
    return draw(arrays(int, n, elements=st.integers(0, 1))), draw(arrays(float, n, elements=SCORES))


@given(binary())
def test_binary_scores_equal_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    y, score = case
    scores = metrics.score_binary(y, score)
    assert scores["f1"] == sk.f1_score(y, score >= 0.5, zero_division=0)
    if 0 < y.sum() < len(y):
        assert scores["auroc"] == sk.roc_auc_score(y, score)
        assert scores["auprc"] == sk.average_precision_score(y, score)
    else:
        assert np.isnan(scores["auroc"])
        assert np.isnan(scores["auprc"]) == (y.sum() == 0)


@settings(max_examples=40, deadline=None)
@given(binary(), st.integers(1, 160))
def test_precision_and_ndcg_average_over_ties(case: tuple[np.ndarray, np.ndarray], k: int) -> None:
    y, score = case
    precision, ndcg = metrics.precision_at(y, score, k), metrics.ndcg_at(y, score, k)
    if len(y) < k:
        assert np.isnan(precision) and np.isnan(ndcg)
        return
    rng = np.random.default_rng(0)
    orders = [np.lexsort((rng.random(len(y)), -score)) for _ in range(300)]
    drawn = np.mean([y[order][:k].mean() for order in orders])
    assert precision == pytest.approx(drawn, abs=0.15)
    if len(np.unique(score)) == len(score):
        assert precision == pytest.approx(drawn, abs=1e-12)
    assert np.isnan(ndcg) if not y.any() or len(y) == 1 else ndcg == sk.ndcg_score(y[None], score[None], k=k)


@settings(max_examples=60)
@given(binary(max_size=6), st.integers(1, 7))
def test_precision_and_ndcg_are_exact_expectations_over_orders_of_ties(
    case: tuple[np.ndarray, np.ndarray], k: int
) -> None:
    y, score = case
    if k > len(y):
        assert np.isnan(metrics.precision_at(y, score, k)) and np.isnan(metrics.ndcg_at(y, score, k))
        return
    best_first = [order for order in permutations(range(len(y))) if (np.diff(score[list(order)]) <= 0).all()]
    hits = np.array([y[list(order)][:k] for order in best_first])
    assert metrics.precision_at(y, score, k) == pytest.approx(hits.mean(), abs=1e-12)
    if y.any() and len(y) > 1:
        discount = 1 / np.log2(np.arange(2, k + 2))
        expected = (hits @ discount).mean() / (np.sort(y)[::-1][:k] @ discount)
        assert metrics.ndcg_at(y, score, k) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_precision_at_k_is_the_exact_expectation(k: int) -> None:
    y, score = np.array([1, 0, 1, 0]), np.array([0.9, 0.5, 0.5, 0.5])
    expected = np.mean([y[[0, *(1 + np.array(p))]][:k].mean() for p in permutations(range(3))])
    assert metrics.precision_at(y, score, k) == pytest.approx(expected)


@given(st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=1, max_size=60))
def test_multiclass_scores_equal_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    y_true, y_pred = (np.array(side) for side in zip(*pairs, strict=True))
    scores = metrics.score_multiclass(y_true, y_pred, np.empty(0), CLASSES)
    assert not {"macro_auroc", "balanced_log_loss"} & set(scores), "without probabilities"
    options = {"labels": list(CLASSES), "zero_division": 0}
    assert scores["accuracy"] == sk.accuracy_score(y_true, y_pred)
    assert scores["macro_f1"] == pytest.approx(sk.f1_score(y_true, y_pred, average="macro", **options))
    assert scores["weighted_f1"] == sk.f1_score(y_true, y_pred, average="weighted", **options)
    counts = metrics.confusion(y_true, y_pred, CLASSES)
    assert counts.to_numpy().tolist() == sk.confusion_matrix(y_true, y_pred, labels=list(CLASSES)).tolist()
    assert [scores[f"f1[{c}]"] for c in CLASSES] == sk.f1_score(y_true, y_pred, average=None, **options).tolist()


@given(st.data(), st.integers(1, 40))
def test_multilabel_scores_equal_scikit_learn(data: st.DataObject, n: int) -> None:
    labels = ("x", "y", "z")
    y_true, y_pred = (data.draw(arrays(int, (n, 3), elements=st.integers(0, 1))) for _ in range(2))
    y_score = data.draw(arrays(float, (n, 3), elements=SCORES))
    scores = metrics.score_multilabel(y_true, y_pred, y_score, labels)
    for average in ("micro", "macro"):
        assert scores[f"{average}_f1"] == sk.f1_score(y_true, y_pred, average=average, zero_division=0)
    assert scores["hamming_loss"] == sk.hamming_loss(y_true, y_pred)
    defined = [j for j in range(3) if 0 < y_true[:, j].sum() < n]
    expected = [sk.roc_auc_score(y_true[:, j], y_score[:, j]) for j in defined]
    for j, label in enumerate(labels):
        if j in defined:
            assert scores[f"auroc[{label}]"] == sk.roc_auc_score(y_true[:, j], y_score[:, j])
        else:
            assert np.isnan(scores[f"auroc[{label}]"])
    assert scores["mean_auroc"] == pytest.approx(np.mean(expected)) if defined else np.isnan(scores["mean_auroc"])


@pytest.mark.parametrize("n_positive", [1, 2, 3, 5, 6])
def test_chance_auprc_is_the_mean_over_all_rankings(n_positive: int) -> None:
    y = np.array([1] * n_positive + [0] * (6 - n_positive))
    rankings = set(permutations(y))
    expected = np.mean([sk.average_precision_score(r, -np.arange(6.0)) for r in rankings])
    assert metrics.chance_auprc(6, n_positive) == pytest.approx(expected)


def test_chance_auprc_nears_the_prevalence_with_many_positives() -> None:
    assert metrics.chance_auprc(100_000, 20_000) == pytest.approx(0.2, abs=2e-4)
    assert metrics.chance_auprc(3736, 2) > 4 * 2 / 3736


def test_chance_macro_f1_is_the_mean_over_all_random_labels() -> None:
    y = np.array(["a", "a", "b", "c"])
    prior = {"a": 0.5, "b": 0.3, "c": 0.2}
    expected = sum(
        np.prod([prior[g] for g in guess])
        * sk.f1_score(y, np.array(guess), labels=list(CLASSES), average="macro", zero_division=0)
        for guess in product(CLASSES, repeat=4)
    )
    assert metrics.chance_macro_f1(y, prior, CLASSES) == pytest.approx(expected)


@settings(max_examples=20, deadline=None)
@given(arrays(int, (2, 2), elements=st.integers(0, 1)))
def test_chance_micro_f1_is_the_mean_over_all_random_labels(y: np.ndarray) -> None:
    prior = np.array([0.3, 0.6])
    expected = 0.0
    for cells in product([0, 1], repeat=4):
        guess = np.array(cells).reshape(2, 2)
        weight = np.prod(np.where(guess == 1, prior, 1 - prior))
        expected += weight * sk.f1_score(y, guess, average="micro", zero_division=0)
    assert metrics.chance_micro_f1(y, prior) == pytest.approx(expected)


@given(st.lists(st.sampled_from(CLASSES), min_size=1, max_size=40), st.integers(0, 2**32 - 1))
def test_probability_metrics_equal_scikit_learn_and_leave_absent_classes_out(truth: list[str], seed: int) -> None:
    y = np.array(truth)
    proba = np.random.default_rng(seed).dirichlet([1, 1, 1], len(y)).round(2)
    proba[:, 2] = 1 - proba[:, :2].sum(axis=1)
    scores = metrics.score_multiclass(y, y, proba, CLASSES)
    present = [k for k, name in enumerate(CLASSES) if name in truth]
    if len(present) > 1:
        of_class = [sk.roc_auc_score(y == CLASSES[k], proba[:, k]) for k in present]
        assert scores["macro_auroc"] == pytest.approx(np.mean(of_class), abs=1e-12)
        if len(present) == 3:
            ovr = sk.roc_auc_score(y, proba, multi_class="ovr", labels=list(CLASSES))
            assert scores["macro_auroc"] == pytest.approx(ovr, abs=1e-12)
    else:
        assert np.isnan(scores["macro_auroc"]), "a single class has no ranking"
    losses = -np.log(np.clip(proba, np.finfo(float).eps, 1))
    by_class = [losses[y == CLASSES[k], k].mean() for k in present]
    assert scores["balanced_log_loss"] == pytest.approx(np.mean(by_class), rel=1e-6)
    margins = metrics.score_multiclass(y, y, 2 * proba, CLASSES)
    assert "balanced_log_loss" not in margins, "scores that are no probabilities have no log loss"


def test_macro_auroc_and_balanced_log_loss_by_hand() -> None:
    y = np.array(["a", "a", "a", "b"])
    proba = np.array([[0.5, 0.5, 0.0], [0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.5, 0.5, 0.0]])
    scores = metrics.score_multiclass(y, y, proba, CLASSES)
    assert scores["macro_auroc"] == pytest.approx(((1.5 / 3) + (1.5 / 3)) / 2)
    a, b = -np.log([0.5, 0.9, 0.2]).mean(), -np.log(0.5)
    assert scores["balanced_log_loss"] == pytest.approx((a + b) / 2)
    assert metrics.chance("macro_auroc", np.array([0, 1]), np.array([0, 1]), 3) == 0.5
    assert np.isnan(metrics.chance("macro_auroc", np.array([0, 1]), np.array([1, 1]), 3))


@given(st.data(), st.integers(2, 30))
def test_micro_ap_equals_scikit_learn_and_its_chance_is_the_best_constant(data: st.DataObject, n: int) -> None:
    y = data.draw(arrays(int, (n, 3), elements=st.integers(0, 1)))
    score = data.draw(arrays(float, (n, 3), elements=SCORES))
    micro_ap = metrics.score_multilabel(y, y, score, ("x", "y", "z"))["micro_ap"]
    if not y.any():
        assert np.isnan(micro_ap) and np.isnan(metrics.chance("micro_ap", y, y, 3))
        return
    assert micro_ap == pytest.approx(sk.average_precision_score(y.ravel(), score.ravel()), abs=1e-12)
    chance = metrics.chance("micro_ap", y, y, 3)
    for ranks in permutations(range(3)) if len(set(y.sum(axis=0))) == 3 else ():  # equal shares are tied
        constant = sk.average_precision_score(y.ravel(), np.tile(ranks, n))
        assert constant <= chance + 1e-12, "no other order of the labels is a better constant"
    assert chance >= y.mean() - 1e-12, "nor is the same score for all"


def test_probabilities_in_single_precision_are_scored_without_a_warning():
    import warnings

    proba = np.random.default_rng(0).dirichlet(np.ones(3), 50).astype(np.float32).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = metrics.score_multiclass(
            np.array(list("abc") * 17)[:50], np.array(list("abc") * 17)[:50], proba, "abc"
        )
    assert np.isfinite(scores["balanced_log_loss"])
