"""The baselines that learn nothing from the features."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from somb_utils._seeds import SEED


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
