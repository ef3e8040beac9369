"""Scores of one fold, and the exact chance level of each metric.

Binary metrics take labels 0/1 and the score of the positive class, shape (n,); multiclass ones the true and predicted
class names, shape (n,); multilabel ones 0/1 matrices and a score matrix, shape (n, n_labels). A metric that the fold
leaves undefined (a single class, fewer rows than k) is NaN.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import binom
from sklearn.metrics import average_precision_score, confusion_matrix, f1_score, hamming_loss, ndcg_score

Scores = dict[str, float]


def score_multiclass(y_true: np.ndarray, y_pred: np.ndarray, y_proba: np.ndarray, classes: Sequence[str]) -> Scores:
    """Return accuracy, macro and weighted F1, F1 by class, and, of class probabilities (n, n_classes), what they give.

    A class that is absent from the fold counts as 0 in macro F1, and is left out of macro AUROC, the mean of each class
    against the rest. In the balanced log loss each class present has the same weight. There is no AUROC if `y_proba` is
    empty, and no log loss if its rows do not add up to 1.
    """
    true, called = (names[:, None] == np.array(list(classes)) for names in (y_true, y_pred))
    by_class = 2 * (true & called).sum(axis=0) / np.maximum(true.sum(axis=0) + called.sum(axis=0), 1)
    scores = {
        "accuracy": float(np.mean(y_true == y_pred)),
        "macro_f1": float(np.mean(by_class)),
        "weighted_f1": float(np.average(by_class, weights=true.sum(axis=0))),
        **{f"f1[{name}]": float(value) for name, value in zip(classes, by_class, strict=True)},
    }
    if y_proba.size:
        scores["macro_auroc"] = _mean_auroc(true, y_proba)[0]
        if np.allclose(y_proba.sum(axis=1), 1, atol=1e-6):
            scores["balanced_log_loss"] = _balanced_log_loss(true, y_proba)
    return scores


def _mean_auroc(y_true: np.ndarray, y_score: np.ndarray) -> tuple[float, list[float]]:
    """Return the mean of the columns' AUROC over those with both classes, and each, NaN without."""
    aurocs = [_auroc(true, score) for true, score in zip(y_true.T, y_score.T, strict=True)]
    return float(np.nanmean(aurocs)) if not np.isnan(aurocs).all() else np.nan, aurocs


def _auroc(y_true: np.ndarray, y_score: np.ndarray) -> float:
    """Return the area under the ROC curve, that of scikit-learn to the last bit and faster; NaN with a single class."""
    if not 0 < y_true.sum() < len(y_true):
        return np.nan
    order = np.argsort(-y_score)
    last = np.append(np.flatnonzero(np.diff(y_score[order])), len(order) - 1)  # where each distinct score ends
    positives = np.cumsum(y_true[order])[last]
    negatives = 1 + last - positives
    corner = np.ones(len(positives), dtype=bool)
    corner[1:-1] = (np.diff(negatives, 2) != 0) | (np.diff(positives, 2) != 0)
    return float(np.trapezoid(*(np.append(0, counts[corner]) / counts[-1] for counts in (positives, negatives))))


def _balanced_log_loss(true: np.ndarray, y_proba: np.ndarray) -> float:
    """Return the log loss of probabilities in which each class present weighs the same, from 0/1 rows by class."""
    if y_proba.min() < 0 or y_proba.max() > 1:
        raise ValueError(f"probabilities are between {y_proba.min()} and {y_proba.max()}, and not within 0 to 1")
    weights = len(true) / (true.any(axis=0).sum() * true.sum(axis=0)[true.argmax(axis=1)])
    eps = np.finfo(float).eps
    return float(np.average(-np.log(np.clip(y_proba[true], eps, 1 - eps)), weights=weights))


def confusion(y_true: np.ndarray, y_pred: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Return how often each class (row) was predicted as each class (column)."""
    counts = confusion_matrix(y_true, y_pred, labels=list(classes))
    return pd.DataFrame(counts, index=pd.Index(classes, name="true"), columns=pd.Index(classes, name="predicted"))


def score_binary(y_true: np.ndarray, y_score: np.ndarray) -> Scores:
    """Return AUROC, AUPRC (average precision), F1 at score 0.5, and precision and NDCG at 50 and 100."""
    return {
        "auroc": _auroc(y_true, y_score),
        "auprc": average_precision_score(y_true, y_score) if y_true.any() else np.nan,
        "f1": float(2 * y_true[y_score >= 0.5].sum() / max(y_true.sum() + (y_score >= 0.5).sum(), 1)),
        **{f"precision_at_{k}": precision_at(y_true, y_score, k) for k in (50, 100)},
        **{f"ndcg_at_{k}": ndcg_at(y_true, y_score, k) for k in (50, 100)},
    }


def precision_at(y_true: np.ndarray, y_score: np.ndarray, k: int) -> float:
    """Return the expected share of positives among the k best scores, ties broken at random; NaN with fewer rows."""
    if len(y_true) < k:
        return np.nan
    threshold = np.sort(y_score)[-k]
    above, tied = y_score > threshold, y_score == threshold
    return float((y_true[above].sum() + (k - above.sum()) * y_true[tied].mean()) / k)


def ndcg_at(y_true: np.ndarray, y_score: np.ndarray, k: int) -> float:
    """Return NDCG at k, averaged over ties (Järvelin & Kekäläinen 2002); NaN for 1 row, under k rows or no positive."""
    if len(y_true) < max(k, 2) or not y_true.any():
        return np.nan
    return float(ndcg_score(y_true[None], y_score[None], k=k))


def score_multilabel(y_true: np.ndarray, y_pred: np.ndarray, y_score: np.ndarray, labels: Sequence[str]) -> Scores:
    """Return micro and macro F1, Hamming loss, micro AP (over all cells), AUROC by label and its mean.

    The mean is over labels with both classes.
    """
    mean_auroc, aurocs = _mean_auroc(y_true, y_score)
    return {
        "micro_f1": f1_score(y_true, y_pred, average="micro", zero_division=0),
        "macro_f1": f1_score(y_true, y_pred, average="macro", zero_division=0),
        "hamming_loss": hamming_loss(y_true, y_pred),
        "mean_auroc": mean_auroc,
        "micro_ap": average_precision_score(y_true, y_score, average="micro") if y_true.any() else np.nan,
        **{f"auroc[{label}]": float(value) for label, value in zip(labels, aurocs, strict=True)},
    }


def chance(metric: str, train: np.ndarray, test: np.ndarray, n_classes: int) -> float:
    """Return the exact chance level of a primary metric on one fold, from class codes or 0/1 rows; NaN if undefined.

    Labels are drawn from the class shares of the training rows, or scores at random. That of micro AP is what the best
    constant reaches: each label's share of the training rows as its score in every row.
    """
    if metric == "micro_ap":
        constant = np.tile(train.mean(axis=0), (len(test), 1))
        return float(average_precision_score(test, constant, average="micro")) if test.any() else np.nan
    if metric == "macro_auroc":
        return 0.5 if len(np.unique(test)) > 1 else np.nan
    if metric == "micro_f1":
        return chance_micro_f1(test, train.mean(axis=0))
    if metric == "macro_f1":
        prior = {str(k): float((train == k).mean()) for k in range(n_classes)}
        return chance_macro_f1(test.astype(str), prior, list(prior))
    if metric == "auprc":
        return chance_auprc(len(test), int(test.sum())) if test.any() else np.nan
    return 0.5 if 0 < test.sum() < len(test) else np.nan


def chance_auprc(n: int, n_positive: int) -> float:
    """Return the expected average precision of a random ranking without ties (Bestgen 2015, eq. 5).

    With few positives it lies well above the prevalence: 2 in 3,736 rows give 0.0026 where the prevalence is 0.0005.
    """
    if n == 1:
        return float(n_positive)
    harmonic = float(np.sum(1 / np.arange(1, n + 1)))
    return ((n_positive - 1) / (n - 1) * (n - harmonic) + harmonic) / n


def chance_macro_f1(y_true: np.ndarray, prior: dict[str, float], classes: Sequence[str]) -> float:
    """Return the exact expected macro-F1 of labels drawn independently from `prior`."""
    n = len(y_true)
    return float(np.mean([_expected_f1([int((y_true == c).sum())], n, [prior.get(c, 0.0)]) for c in classes]))


def chance_micro_f1(y_true: np.ndarray, prior: np.ndarray) -> float:
    """Return the exact expected micro-F1 of label matrices drawn independently from `prior`."""
    return _expected_f1(y_true.sum(axis=0).tolist(), len(y_true), prior.tolist())


def _expected_f1(positives: list[int], n: int, priors: list[float]) -> float:
    """E[2 TP / (positives + predicted)] where each entry is predicted positive with its label's prior."""
    hits, false_positives = np.ones(1), np.ones(1)
    for count, prior in zip(positives, priors, strict=True):
        hits = np.convolve(hits, binom.pmf(np.arange(count + 1), count, prior))
        false_positives = np.convolve(false_positives, binom.pmf(np.arange(n - count + 1), n - count, prior))
    tp = np.arange(len(hits))[:, None]
    size = sum(positives) + tp + np.arange(len(false_positives))
    f1 = np.divide(2.0 * tp, size, out=np.zeros(size.shape), where=size > 0)
    return float(hits @ f1 @ false_positives)
