"""What the strong baselines do with a raw fold before they fit: columns, transforms, centring and inner folds."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.feature_selection import f_classif
from sklearn.impute import SimpleImputer
from sklearn.model_selection import BaseCrossValidator, StratifiedGroupKFold, StratifiedKFold

MIN_SEEN = 0.7  # columns that fewer of the training rows have are left out


class ObservedColumns(TransformerMixin, BaseEstimator):
    """Keep the columns observed in a `share` of the training rows; of more than `most`, those of the largest F."""

    def __init__(self, share: float = MIN_SEEN, most: int = 1000) -> None:
        self.share = share
        self.most = most

    def fit(self, X: Any, y: np.ndarray) -> "ObservedColumns":
        """Choose the columns by the training rows."""
        values = np.asarray(X, dtype=float)
        self.columns_ = np.flatnonzero(np.isfinite(values).mean(axis=0) >= self.share)
        if not self.columns_.size:
            raise ValueError(f"no column is observed in {self.share:.0%} of the training rows")
        if len(self.columns_) > self.most:
            with warnings.catch_warnings(), np.errstate(all="ignore"):  # constant columns have no F
                warnings.simplefilter("ignore")
                F, _ = f_classif(SimpleImputer().fit_transform(values[:, self.columns_]), y)
            ranked = np.argsort(-np.nan_to_num(F, nan=-1.0, posinf=np.inf), kind="stable")
            self.columns_ = np.sort(self.columns_[ranked[: self.most]])
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the chosen columns as an array."""
        return np.asarray(X, dtype=float)[:, self.columns_]


class CentredLogRatio(TransformerMixin, BaseEstimator):
    """Logarithms of shares, centred within each row, after a pseudocount for the zeros.

    It is the first percentile of the positive training values, which one outlying value does not move as it does the
    smallest.
    """

    def fit(self, X: Any, y: Any = None) -> "CentredLogRatio":
        """Choose the pseudocount."""
        values = self._shares(X)
        if not (values > 0).any():
            raise ValueError("a centred log-ratio needs at least one value above 0")
        self.pseudocount_ = np.quantile(values[values > 0], 0.01)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the log-ratios; missing values stay missing."""
        logs = np.log(self._shares(X) + self.pseudocount_)
        return logs - np.nanmean(logs, axis=1, keepdims=True)

    def _shares(self, X: Any) -> np.ndarray:
        values = np.asarray(X, dtype=float)
        if (values < 0).any():
            raise ValueError("a centred log-ratio is for shares or counts; these values are partly negative")
        return values


def signed_log1p(X: Any) -> np.ndarray:
    """Return log(1 + x) of values, with their sign."""
    values = np.asarray(X, dtype=float)
    return np.sign(values) * np.log1p(np.abs(values))


class CrewCentred(ClassifierMixin, BaseEstimator):
    """Centre the rows of each person before an estimator sees them.

    Training rows are centred by their group's mean, the rows to be predicted by their common mean: all of them must be
    of one person. That is transductive: a prediction depends on the other test rows, though not on their labels.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: np.ndarray, groups: Any = None) -> "CrewCentred":
        """Fit on rows centred by person."""
        if groups is None:
            raise ValueError("rows are centred by person, and this task has no persons")
        self.estimator_ = clone(self.estimator).fit(X - X.groupby(np.asarray(groups)).transform("mean"), y)
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the classes of one person's rows."""
        return self.estimator_.predict(X - X.mean())

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the class probabilities of one person's rows."""
        return self.estimator_.predict_proba(X - X.mean())


class InnerFolds(BaseCrossValidator):
    """Two or three stratified folds of the training rows, which leave whole groups out where there are groups.

    Three unless a class has two rows or there are two groups, so that each fold can have rows of every class.
    """

    __metadata_request__split = {"groups": True}  # noqa: RUF012  scikit-learn reads it from the class

    def split(self, X: Any, y: np.ndarray, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the positions of training and test rows."""
        splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
        return splitter(self.get_n_splits(X, y, groups)).split(X, y, groups)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        units = np.unique(y, return_counts=True)[1].min() if groups is None else len(np.unique(groups))
        return int(np.clip(units, 2, 3))
