"""One fold job: prepare the training and test rows, fit a model, predict, score. A pure function of its inputs."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit
from scipy.stats import rankdata
from sklearn import config_context
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import ThreadpoolController

from somb_utils.errors import reason
from somb_utils.metrics import Scores, score_binary, score_multiclass, score_multilabel
from somb_utils.runs.boosting import check_devices
from somb_utils.runs.isolation import isolated
from somb_utils.runs.models import SEED, Model
from somb_utils.runs.preparation import MIN_SEEN
from somb_utils.tasks.definitions import Task
from somb_utils.tasks.splits import Fold
from somb_utils.tasks.task_data import TaskData

_thread_pools = lru_cache(maxsize=1)(lambda n_modules: ThreadpoolController())  # a search takes as long as a fit


@dataclass(frozen=True)
class PreparedFold:
    """Arrays of one fold after imputation, PCA and scaling, each fitted on the training rows alone; or the raw fold.

    `X_train` and `X_test` of a raw fold are data frames with names, identifiers and missing values.
    `groups_train` holds the crew member or time point of each training row; None for feature tasks.
    """

    task: Task
    number: int
    X_train: Any
    X_test: Any
    y_train: np.ndarray
    y_test: np.ndarray
    annotations: dict[str, np.ndarray]
    groups_train: np.ndarray | None = None
    saturated: bool = False  # whether decision scores order probabilities that round to 1


@dataclass(frozen=True)
class Outcome:
    """The outcome of one fold job."""

    y_pred: np.ndarray  # class positions (n_test,), or 0/1 (n_test, n_labels) if multilabel
    # score of the positive class (n_test,), or of each label or class (n_test, n_labels); empty if a model has none
    y_score: np.ndarray
    scores: Scores  # metric values; NaN where undefined
    seconds: float  # wall time of fit and predict
    error: str = ""  # why the job failed; empty if it did not


def prepare(data: TaskData, number: int, raw: bool = False) -> PreparedFold:
    """Impute by training means, reduce blocks by PCA where the task says so, scale to unit variance, unless `raw`.

    Under the protocol ``rigorous``, features seen in under 70 % of the training rows are left out first.
    """
    fold = data.folds[number]
    train, test = (data.X.iloc[fold.train], data.X.iloc[fold.test]) if raw else _prepared(data, fold)
    return PreparedFold(
        task=data.task,
        number=number,
        X_train=train,
        X_test=test,
        y_train=data.codes[fold.train],
        y_test=data.codes[fold.test],
        annotations={str(c): data.annotations[c].to_numpy()[fold.test] for c in data.annotations},
        groups_train=None if data.groups is None else data.groups.to_numpy()[fold.train],
        saturated=data.protocol == "rigorous",
    )


def _prepared(data: TaskData, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    X = data.X.to_numpy()
    if data.protocol == "rigorous":
        seen = np.mean(~np.isnan(X[fold.train]), axis=0)
        X = X[:, seen >= min(MIN_SEEN, seen.max())]
    imputer = SimpleImputer(keep_empty_features=True).fit(X[fold.train])
    train, test = imputer.transform(X[fold.train]), imputer.transform(X[fold.test])
    if data.task.pca:
        train, test = _reduce(train, test, list(data.X.columns), data.task.pca)
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


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

    Any failure of the model (it raises, exits, or returns NaN, the wrong shape or an unknown class) is an outcome
    with `error` set and no scores; it is never replaced by a default. The state of the process is restored.
    """
    started = time.perf_counter()
    try:
        with isolated(seed), _thread_pools(len(sys.modules)).limit(limits=1):
            y_pred, y_score = _predict(fold, model, seed)
        scores = score_fold(fold.task, fold.y_test, y_pred, y_score, fold.annotations)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a model may call sys.exit
        return Outcome(np.empty(0), np.empty(0), {}, time.perf_counter() - started, reason(error))
    return Outcome(y_pred, y_score, scores, time.perf_counter() - started)


def _predict(fold: PreparedFold, model: Model, seed: int) -> tuple[np.ndarray, np.ndarray]:
    estimator = model.make(fold.task, fold.number, seed)
    check_devices(estimator)
    n = len(fold.X_test)
    if fold.task.type == "multilabel":
        _fit(estimator, fold, fold.y_train.copy())
        shape = (n, len(fold.task.classes))
        y_pred = _checked(estimator.predict(fold.X_test.copy()), shape, "predict")
        _refuse_unknown(y_pred, 2)
        scores = _multilabel_scores(estimator, fold.X_test.copy())
        return y_pred.astype(np.int64), _checked(scores, shape, "predict_proba")
    # Estimators see consecutive codes, since a training fold may lack a class.
    present, codes = np.unique(fold.y_train, return_inverse=True)
    _fit(estimator, fold, codes)
    predicted = _checked(estimator.predict(fold.X_test.copy()), (n,), "predict")
    _refuse_unknown(predicted, len(present))
    y_pred = present[predicted.astype(np.int64)]
    if fold.task.type == "multiclass":
        return y_pred, _class_scores(estimator, fold, present)
    if len(present) < 2:
        return y_pred, np.full(n, float(present[0]))
    score = _checked(_positive_score(estimator, fold.X_test.copy()), (n,), "predict_proba")
    if fold.saturated and hasattr(estimator, "decision_function"):
        score = _unsaturated(score, np.asarray(estimator.decision_function(fold.X_test.copy()), dtype=float))
    return y_pred, score


def _class_scores(estimator: Any, fold: PreparedFold, present: np.ndarray) -> np.ndarray:
    """Return the score of each class, 0 for one that the training rows lack; empty if the model gives none."""
    n = len(fold.X_test)
    if hasattr(estimator, "predict_proba"):
        values = _checked(estimator.predict_proba(fold.X_test.copy()), (n, len(present)), "predict_proba")
    elif hasattr(estimator, "decision_function"):
        values = _from_decision(estimator, fold.X_test.copy())
        values = np.column_stack([1 - values, values]) if values.ndim == 1 else values
        values = _checked(values, (n, len(present)), "decision_function")
    elif fold.task.metrics.primary == "macro_auroc":
        raise ValueError(
            "the estimator has neither predict_proba nor decision_function, of which macro AUROC is computed"
        )
    else:
        return np.empty(0)
    scores = np.zeros((n, len(fold.task.classes)))
    scores[:, present] = values
    return scores


def _unsaturated(probability: np.ndarray, decision: np.ndarray) -> np.ndarray:
    """Order the probabilities that all but round to 1 by their decision scores, in their last digits."""
    top = np.flatnonzero(probability > 1 - 1e-9)
    probability[top] = 1 - rankdata(-decision[top]) * np.finfo(float).epsneg
    return probability


def _fit(estimator: Any, fold: PreparedFold, y: np.ndarray) -> None:
    """Fit on copies, so that no model can change another's rows, with the groups if the estimator asks for them."""
    # Fresh arrays too: how one that came over a network lies in memory can change a last digit of a dot product.
    X = fold.X_train.copy()
    if fold.groups_train is None:
        estimator.fit(X, y)
    elif has_fit_parameter(estimator, "groups"):
        estimator.fit(X, y, groups=fold.groups_train.copy())
    elif _routes_groups(estimator):
        with config_context(enable_metadata_routing=True):
            estimator.fit(X, y, groups=fold.groups_train.copy())
    else:
        estimator.fit(X, y)


def _routes_groups(estimator: Any) -> bool:
    try:
        return "groups" in get_routing_for_object(estimator).consumes("fit", {"groups"})
    except NotImplementedError:  # a meta-estimator without metadata routing
        return False


def _refuse_unknown(predicted: np.ndarray, n_classes: int) -> None:
    unknown = np.setdiff1d(predicted, np.arange(n_classes))
    if unknown.size:
        raise ValueError(f"predict returned the class {unknown[0]}, which is not one it was fitted on")


def _positive_score(estimator: Any, X: np.ndarray) -> np.ndarray:
    if hasattr(estimator, "predict_proba"):
        return _checked(estimator.predict_proba(X), (len(X), 2), "predict_proba")[:, 1]
    return _from_decision(estimator, X)


def _multilabel_scores(estimator: Any, X: np.ndarray) -> np.ndarray:
    if not hasattr(estimator, "predict_proba"):
        return _from_decision(estimator, X)
    scores = estimator.predict_proba(X)
    if isinstance(scores, list) and np.ndim(scores[0]) == 2:  # one array per label, as from forests
        parts = [np.asarray(part) for part in scores]
        # One column where the label had one value in training.
        return np.column_stack(
            [p[:, 1] if p.shape[1] == 2 else np.full(len(X), estimator.classes_[k][0]) for k, p in enumerate(parts)]
        )
    return scores


def _from_decision(estimator: Any, X: np.ndarray) -> np.ndarray:
    """Map decision values to (0, 1): the logistic curve keeps their order and puts the boundary at 0.5."""
    if not hasattr(estimator, "decision_function"):
        raise ValueError("the estimator has neither predict_proba nor decision_function")
    return expit(np.asarray(estimator.decision_function(X), dtype=float))


def _checked(values: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    array = np.array(values.toarray() if issparse(values) else values)
    if array.shape != shape:
        raise ValueError(f"{what} returned shape {array.shape}, expected {shape}")
    if np.ma.is_masked(values):
        raise ValueError(f"{what} returned masked values")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{what} returned {array.dtype}, expected numbers")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} returned NaN or infinite values")
    return array


def score_fold(
    task: Task, y_true: np.ndarray, y_pred: np.ndarray, y_score: np.ndarray, annotations: Mapping[str, np.ndarray]
) -> Scores:
    """Return all metrics of one fold, from class positions (n,), or 0/1 (n, n_labels) if multilabel; see `Outcome`."""
    if task.type == "multilabel":
        return score_multilabel(y_true, y_pred, y_score, task.classes)
    if task.type == "multiclass":
        names = np.array(task.classes)
        return score_multiclass(names[y_true], names[y_pred], y_score, task.classes)
    scores = score_binary(y_true, y_score)
    if "concordant" in annotations:
        scores["direction_concordance"] = float(annotations["concordant"].mean())
    return scores
