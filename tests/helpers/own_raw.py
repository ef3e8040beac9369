"""Models that take the raw fold, marked in each possible way. Named in tests as ``own_raw:NAME``."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin

import somb_utils as somb


class Sees(ClassifierMixin, BaseEstimator):
    """Fails with what it was fitted on if that is not a raw fold; scores are the values of one column."""

    def __init__(self, column: str = "", missing: int = 0) -> None:
        self.column = column
        self.missing = missing

    def fit(self, X: pd.DataFrame, y: np.ndarray, groups: Any = None) -> "Sees":
        """Check names, identifiers, gaps and groups."""
        if not isinstance(X, pd.DataFrame):
            raise TypeError(f"arrays of {type(X).__name__}")
        if self.column not in X or X.isna().to_numpy().sum() < self.missing:
            raise ValueError(f"columns {list(X)[:3]}, {X.isna().to_numpy().sum()} gaps")
        if groups is not None and not all(i.startswith(group) for i, group in zip(X.index, groups, strict=True)):
            raise ValueError(f"groups {groups} of {list(X.index)}")
        self.classes_ = np.unique(y)
        X.iloc[:, :] = -1.0  # the next model must not see it
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Predict the first class where the column is above its median."""
        return (X[self.column] <= X[self.column].median()).to_numpy().astype(int) * (len(self.classes_) > 1)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Score by the ranks of the column, and spoil the rows."""
        score = X[self.column].rank(pct=True).fillna(0.5).to_numpy()
        X.iloc[:, :] = np.nan
        return np.column_stack([1 - score, score, *np.zeros((max(len(self.classes_) - 2, 0), len(score)))])


class SeesRaw(Sees):
    """Says so by its attribute."""

    takes_raw_fold = True


def sees(column: str = "") -> Sees:
    """Make an estimator that is not marked."""
    return Sees(column)


def sees_raw(column: str = "") -> Any:
    """Make an estimator that is marked."""
    return somb.raw(Sees(column))


marked_class = somb.raw(Sees)
marked_factory = somb.raw(sees)
marked_estimator = somb.raw(Sees("cbc_hematocrit"))
