"""The seven baselines: how each makes a fresh estimator for one fold, and what else a run must know of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from somb_utils._seeds import SEED
from somb_utils.tasks.definitions import Task


def _logreg(task: Task, fold: int, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=1000, class_weight="balanced", random_state=seed)


def _rf(task: Task, fold: int, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=100, class_weight="balanced", random_state=seed, n_jobs=1)


def _mlp(task: Task, fold: int, seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    small = task.type == "multilabel"
    return MLPClassifier(
        hidden_layer_sizes=(128, 64) if small else (256, 128, 64),
        max_iter=300 if small else 500,
        early_stopping=True,
        validation_fraction=0.1 if small else 0.15,
        alpha=0.01,
        learning_rate_init=0.001,
        random_state=seed,
    )


def _xgboost(task: Task, fold: int, seed: int) -> Any:
    from xgboost import XGBClassifier

    metric = "mlogloss" if task.type == "multiclass" else "logloss"
    return XGBClassifier(n_estimators=100, max_depth=6, eval_metric=metric, random_state=seed, n_jobs=1, verbosity=0)


def _lightgbm(task: Task, fold: int, seed: int) -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=100, max_depth=6, num_leaves=31, random_state=seed, n_jobs=1, verbose=-1)


class RandomBaseline(ClassifierMixin, BaseEstimator):
    """Labels drawn from the training shares of the classes, and uniform scores."""

    def __init__(self, seed: int = SEED) -> None:
        self.seed = seed

    def fit(self, X: np.ndarray, y: np.ndarray) -> "RandomBaseline":
        """Learn the class shares."""
        if y.ndim == 2:
            self.prior_ = y.mean(axis=0)
        else:
            self.classes_, counts = np.unique(y, return_counts=True)
            self.prior_ = counts / counts.sum()
        return self

    def _draw(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.RandomState(self.seed)
        if not hasattr(self, "classes_"):
            return (rng.random((n, len(self.prior_))) < self.prior_).astype(int), rng.random((n, len(self.prior_)))
        labels = rng.choice(self.classes_, size=n, p=self.prior_)
        score = rng.random(n)
        if len(self.classes_) == 2:
            return labels, np.column_stack([1 - score, score])
        return labels, np.tile(self.prior_, (n, 1))

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return drawn labels, or a drawn 0/1 matrix."""
        return self._draw(len(X))[0]

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return uniform scores."""
        return self._draw(len(X))[1]


class MajorityBaseline(ClassifierMixin, BaseEstimator):
    """Predict the most common training class with score 0, or the labels held by over half of the rows."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "MajorityBaseline":
        """Learn the class shares."""
        self.prior_ = y.mean(axis=0) if y.ndim == 2 else np.bincount(y) / len(y)
        self.multilabel_ = y.ndim == 2
        self.classes_ = np.arange(len(self.prior_))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the same answer for every row."""
        if self.multilabel_:
            return np.tile((self.prior_ > 0.5).astype(int), (len(X), 1))
        return np.full(len(X), self.prior_.argmax())

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the label shares (multilabel), or 0 for the positive class."""
        if self.multilabel_:
            return np.tile(self.prior_, (len(X), 1))
        certain = np.zeros((len(X), len(self.prior_)))
        certain[:, 0 if len(self.prior_) == 2 else self.prior_.argmax()] = 1.0
        return certain


@dataclass(frozen=True)
class Baseline:
    """A model that every run begins with."""

    make: Callable[[Task, int, int], Any]  # returns a fresh estimator for a task, the number of a fold and a seed
    cost: float = 1.0  # rough fit time, in units of a logistic regression's
    trivial: bool = False  # whether it learns nothing from the features
    # whether it takes a matrix of labels; the others are fitted once per label, as published
    label_matrix: bool = False
    published_multilabel: bool = True  # whether the published benchmark ran it on multilabel tasks


BASELINES: dict[str, Baseline] = {
    "random": Baseline(lambda task, fold, seed: RandomBaseline(seed + fold), 0.01, trivial=True, label_matrix=True),
    "majority": Baseline(lambda task, fold, seed: MajorityBaseline(), 0.01, trivial=True, label_matrix=True),
    "logreg": Baseline(_logreg),
    "rf": Baseline(_rf, 8.0),
    "mlp": Baseline(_mlp, 6.0, label_matrix=True),
    "xgboost": Baseline(_xgboost, 8.0, published_multilabel=False),
    "lightgbm": Baseline(_lightgbm, 4.0, published_multilabel=False),
}
TRIVIAL = tuple(name for name, baseline in BASELINES.items() if baseline.trivial)
RANDOM, MAJORITY = TRIVIAL  # the published composite counts the random one's score as chance
