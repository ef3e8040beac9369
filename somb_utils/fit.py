"""One fold job: prepare the training and test rows, fit a model, predict, score. A pure function of its inputs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from somb_utils.errors import SombError
from somb_utils.load import TaskData
from somb_utils.metrics import Scores, score_binary, score_multiclass, score_multilabel
from somb_utils.models import SEED, Model
from somb_utils.tasks import Task


@dataclass(frozen=True)
class PreparedFold:
    """Arrays of one fold after imputation, PCA and scaling, each fitted on the training rows alone."""

    task: Task
    number: int
    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray
    annotations: dict[str, np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """What one fold job gave.

    Attributes
    ----------
    y_pred : class positions (n_test,), or 0/1 (n_test, n_labels) if multilabel.
    y_score : score of the positive class (n_test,), of each label (n_test, n_labels), empty if multiclass.
    scores : metric values; NaN where undefined.
    seconds : wall time of fit and predict.
    error : why the job failed; empty if it did not.
    """

    y_pred: np.ndarray
    y_score: np.ndarray
    scores: Scores
    seconds: float
    error: str = ""


def prepare(data: TaskData, number: int) -> PreparedFold:
    """Impute by training means, reduce blocks by PCA where the task says so, scale to unit variance."""
    X, fold = data.X.to_numpy(), data.folds[number]
    imputer = SimpleImputer(keep_empty_features=True).fit(X[fold.train])
    train, test = imputer.transform(X[fold.train]), imputer.transform(X[fold.test])
    if data.task.pca:
        train, test = _reduce(train, test, list(data.X.columns), data.task.pca)
    scaler = StandardScaler().fit(train)
    return PreparedFold(
        task=data.task,
        number=number,
        X_train=scaler.transform(train),
        X_test=scaler.transform(test),
        y_train=data.codes[fold.train],
        y_test=data.codes[fold.test],
        annotations={str(c): data.annotations[c].to_numpy()[fold.test] for c in data.annotations},
    )


def _reduce(
    train: np.ndarray, test: np.ndarray, columns: list[str], components: dict[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    kept = np.array([not any(c.startswith(prefix) for prefix in components) for c in columns])
    blocks = [(train[:, kept], test[:, kept])]
    for prefix, k in components.items():
        block = np.array([c.startswith(prefix) for c in columns])
        pca = PCA(min(k, len(train) - 1, int(block.sum())), random_state=SEED).fit(train[:, block])
        blocks.append((pca.transform(train[:, block]), pca.transform(test[:, block])))
    return np.hstack([b[0] for b in blocks]), np.hstack([b[1] for b in blocks])


def fit_fold(fold: PreparedFold, model: Model, seed: int = SEED) -> Outcome:
    """Fit `model` on one fold and score its predictions.

    Any failure of the model (it raises, or returns NaN, the wrong shape or an unknown class) is an outcome with
    `error` set and no scores; it is never replaced by a default.
    """
    started = time.perf_counter()
    try:
        with threadpool_limits(1):
            y_pred, y_score = _predict(fold, model, seed)
        scores = score_fold(fold.task, fold.y_test, y_pred, y_score, fold.annotations)
    except SombError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return Outcome(np.empty(0), np.empty(0), {}, time.perf_counter() - started, reason)
    return Outcome(y_pred, y_score, scores, time.perf_counter() - started)


def _predict(fold: PreparedFold, model: Model, seed: int) -> tuple[np.ndarray, np.ndarray]:
    # Fresh arrays: how one that came over a network lies in memory can change a last digit of a dot product.
    X_train, X_test = fold.X_train.copy(), fold.X_test.copy()
    estimator = model.make(fold.task, fold.number, seed)
    n = len(X_test)
    if fold.task.type == "multilabel":
        estimator.fit(X_train, fold.y_train)
        shape = (n, len(fold.task.classes))
        y_pred = _checked(estimator.predict(X_test), shape, "predict")
        return y_pred.astype(np.int64), _checked(_multilabel_scores(estimator, X_test), shape, "predict_proba")
    # Estimators see consecutive codes, since a training fold may lack a class.
    present, codes = np.unique(fold.y_train, return_inverse=True)
    estimator.fit(X_train, codes)
    predicted = _checked(estimator.predict(X_test), (n,), "predict")
    unknown = np.setdiff1d(predicted, np.arange(len(present)))
    if unknown.size:
        raise ValueError(f"predict returned the class {unknown[0]}, which is not one it was fitted on")
    y_pred = present[predicted.astype(np.int64)]
    if fold.task.type == "multiclass":
        return y_pred, np.empty(0)
    if len(present) < 2:
        return y_pred, np.full(n, float(present[0]))
    return y_pred, _checked(_positive_score(estimator, X_test), (n,), "predict_proba")


def _positive_score(estimator: Any, X: np.ndarray) -> np.ndarray:
    if hasattr(estimator, "predict_proba"):
        return _checked(estimator.predict_proba(X), (len(X), 2), "predict_proba")[:, 1]
    return _from_decision(estimator, X)


def _multilabel_scores(estimator: Any, X: np.ndarray) -> np.ndarray:
    if not hasattr(estimator, "predict_proba"):
        return _from_decision(estimator, X)
    scores = estimator.predict_proba(X)
    if isinstance(scores, list):  # one two-column array a label, as forests give
        return np.column_stack([s[:, 1] if s.shape[1] == 2 else np.zeros(len(X)) for s in scores])
    return scores


def _from_decision(estimator: Any, X: np.ndarray) -> np.ndarray:
    """Map decision values to (0, 1): the logistic curve keeps their order and puts the boundary at 0.5."""
    if not hasattr(estimator, "decision_function"):
        raise ValueError("the estimator has neither predict_proba nor decision_function")
    return expit(np.asarray(estimator.decision_function(X), dtype=float))


def _checked(values: object, shape: tuple[int, ...], what: str) -> np.ndarray:
    array = np.asarray(values)
    if array.shape != shape:
        raise ValueError(f"{what} returned shape {array.shape}, expected {shape}")
    if not np.issubdtype(array.dtype, np.number) and array.dtype != bool:
        raise ValueError(f"{what} returned {array.dtype}, expected numbers")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} returned NaN or infinite values")
    return array


def score_fold(
    task: Task, y_true: np.ndarray, y_pred: np.ndarray, y_score: np.ndarray, annotations: Mapping[str, np.ndarray]
) -> Scores:
    """Return all metrics of one fold.

    Parameters
    ----------
    task : the definition.
    y_true : class positions (n,), or 0/1 (n, n_labels) if multilabel.
    y_pred, y_score : see :class:`Outcome`.
    annotations : facts on the tested rows that a metric needs, each (n,).
    """
    if task.type == "multilabel":
        return score_multilabel(y_true, y_pred, y_score, task.classes)
    if task.type == "multiclass":
        names = np.array(task.classes)
        return score_multiclass(names[y_true], names[y_pred], task.classes)
    scores = score_binary(y_true, y_score)
    if "concordant" in annotations:
        scores["direction_concordance"] = float(annotations["concordant"].mean())
    return scores
