"""Models that do harm or ask for something, each in its own way. Named in tests as ``own_trouble:NAME``."""

import os
import random
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from xgboost import XGBClassifier


def forest() -> RandomForestClassifier:
    """Make a forest that has no seed."""
    return RandomForestClassifier(3)


def kept() -> RandomForestClassifier:
    """Make a forest with a seed of its own."""
    return RandomForestClassifier(3, random_state=5)


def typo() -> XGBClassifier:
    """Make a model whose parameter is misspelt in the user's own code."""
    return XGBClassifier(n_estimator=2)


def neighbours(n_neighbors: int = 5) -> KNeighborsClassifier:
    """Make a model from an argument of the factory."""
    return KNeighborsClassifier(2 * n_neighbors)


SHARED = RandomForestClassifier(1, warm_start=True, random_state=np.random.RandomState(0))


def shared() -> RandomForestClassifier:
    """Return the same object each time."""
    return SHARED


def exits() -> None:
    """Leave instead of making a model."""
    sys.exit(0)


class Zeros(ClassifierMixin, BaseEstimator):
    """Predicts the first class."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Zeros":
        """Remember the shape of the labels."""
        self.shape_ = np.shape(y)[1:]
        self.n_classes_ = len(np.unique(y))
        return self

    def predict(self, X: np.ndarray) -> Any:
        """Return zeros."""
        return np.zeros((len(X), *self.shape_), dtype=int)

    def predict_proba(self, X: np.ndarray) -> Any:
        """Return the same for each class, and one half for each label."""
        return np.full((len(X), *(self.shape_ or (self.n_classes_,))), 0.5 if self.shape_ else 1 / self.n_classes_)


class Network(Zeros):
    """Takes a matrix of labels, and says so."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Network":
        """Refuse a single label."""
        if y.ndim == 1:
            raise ValueError("one label alone")
        return super().fit(X, y)


class Leaves(Zeros):
    """Raises what `kind` names."""

    def __init__(self, kind: str = "SystemExit") -> None:
        self.kind = kind

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Leaves":
        """Leave."""
        if self.kind == "UnprintableError":
            raise UnprintableError
        if self.kind == "recursion":
            return self.fit(X, y)
        raise getattr(__import__("builtins"), self.kind)("enough")


class UnprintableError(Exception):
    """Has no text."""

    def __str__(self) -> str:
        raise ValueError("no text")


class Returns(Zeros):
    """Returns its predictions as `kind` says."""

    def __init__(self, kind: str = "list") -> None:
        self.kind = kind

    def predict(self, X: np.ndarray) -> Any:
        """Return zeros in some other form."""
        zeros = super().predict(X)
        masked = np.ma.masked_array(zeros, mask=np.arange(len(zeros)) == 0)
        forms = {"list": zeros.tolist(), "series": pd.Series(zeros), "lazy": iter(zeros), "text": zeros.astype(str)}
        forms |= {"masked": masked, "complex": zeros + 0.5j, "half": zeros + 0.5}
        return forms[self.kind]


class SparseMatrix(Network):
    """Returns sparse matrices of labels."""

    def predict(self, X: np.ndarray) -> Any:
        """Return zeros, sparsely."""
        return csr_array(super().predict(X))


class Vandal(Zeros):
    """Changes all that it can reach: its rows and labels, the folder, and the state of the process."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Vandal":
        """Do harm."""
        super().fit(X, y)
        X[:], y[...] = 0, 1
        os.chdir("/")
        os.environ["VANDAL"] = "was here"
        np.random.seed(0)
        random.seed(0)
        np.seterr(all="raise")
        np.set_printoptions(precision=1)
        warnings.simplefilter("error")
        sklearn.set_config(enable_metadata_routing=True, transform_output="pandas")
        print("on standard output")
        sys.stdout = sys.stderr = None
        return self

    def predict(self, X: np.ndarray) -> Any:
        """Spoil the rows for the scores."""
        X[:] = np.nan
        return super().predict(X)

    def predict_proba(self, X: np.ndarray) -> Any:
        """Fail on spoilt rows."""
        return super().predict_proba(X) + 0 * X[:, :1]


class Draws(Zeros):
    """Scores are drawn from the global generators."""

    def predict_proba(self, X: np.ndarray) -> Any:
        """Draw."""
        scores = np.random.random((len(X), self.n_classes_)) + random.random()
        return scores / scores.sum(axis=1, keepdims=True)


class Grouped(Zeros):
    """Asks for the groups of its rows."""

    def fit(self, X: np.ndarray, y: np.ndarray, groups: Any = None) -> "Grouped":
        """Refuse rows without groups, or with fewer than three."""
        if groups is None or len(set(groups)) < 3 or len(groups) != len(X):
            raise ValueError(f"groups are {groups}")
        return super().fit(X, y)
