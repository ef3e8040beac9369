"""CatBoost on the raw fold, which splits on missing values as they are."""

from importlib import import_module
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

import somb_utils as somb


class CatBoost(ClassifierMixin, BaseEstimator):
    """CatBoost's classifier with scikit-learn's names, so that the run's seed reaches it; classes have equal weight."""

    takes_raw_fold = True

    def __init__(self, iterations: int = 300, depth: int = 4, random_state: int | None = None) -> None:
        self.iterations = iterations
        self.depth = depth
        self.random_state = random_state

    def fit(self, X: Any, y: np.ndarray) -> "CatBoost":
        self.classes_ = np.unique(y)
        settings = {"auto_class_weights": "Balanced", "thread_count": 1, "verbose": False, "allow_writing_files": False}
        boosting = _catboost().CatBoostClassifier(
            iterations=self.iterations, depth=self.depth, random_seed=self.random_state, **settings
        )
        self.boosting_ = boosting.fit(X, y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        return self.boosting_.predict_proba(X)

    def predict(self, X: Any) -> np.ndarray:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def make() -> CatBoost:
    """Return an unfitted classifier; without CatBoost, say so before any fold runs."""
    _catboost()
    return CatBoost()


def _catboost() -> Any:
    try:
        return import_module("catboost")
    except ImportError:
        raise somb.UsageError(
            "the example examples.catboost_model needs CatBoost, which the benchmark does not install; get it with: "
            "pip install catboost"
        ) from None
