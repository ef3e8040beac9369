"""Models that a user might bring, good and bad. Named in tests as ``own_estimators:NAME``."""

import os
import signal
import time
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC


def make() -> LogisticRegression:
    """Make a plain estimator."""
    return LogisticRegression(max_iter=300)


def margin() -> LinearSVC:
    """Make an estimator that gives a decision value and no probability."""
    return LinearSVC(C=0.001)


class _Bad(ClassifierMixin, BaseEstimator):
    def fit(self, X: np.ndarray, y: np.ndarray) -> "_Bad":
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.zeros(len(X), dtype=int)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


class Raises(_Bad):
    """Fails on folds that have more than 16 training rows, and fits the others."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "_Bad":
        """Fail or fit."""
        if len(X) > 16 or len(X) == 15:
            raise RuntimeError("out of luck")
        return super().fit(X, y)


class AlwaysNaN(_Bad):
    """Scores NaN."""

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return NaN."""
        return np.full((len(X), 2), np.nan)


class WrongShape(_Bad):
    """Predicts a row too few."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return too little."""
        return np.zeros(len(X) - 1, dtype=int)


class UnknownClass(_Bad):
    """Predicts a class it never saw."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return class 99."""
        return np.full(len(X), 99)


NOT_A_MODEL = 3


class NeedsArgument:
    """Cannot be made without an argument."""

    def __init__(self, needed: int) -> None:
        self.needed = needed

    def fit(self) -> None:
        """Do nothing."""


class Dies(_Bad):
    """Kills its process, and fits only folds that have 16 training rows."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "_Bad":
        """Die or fit."""
        if len(X) != 16:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y)


class Hangs(_Bad):
    """Never ends on folds that have 21 training rows, and fits the others."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "_Bad":
        """Hang or fit."""
        while len(X) == 21:
            pass
        return super().fit(X, y)


class Hungry(_Bad):
    """Asks for 8 GiB."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "_Bad":
        """Ask."""
        np.ones(2**30)
        return super().fit(X, y)


class Gated(RandomForestClassifier):
    """A small forest that fits once it has taken a file from the folder GATE, or finds one named ``open`` there."""

    def __init__(self, random_state: int | None = None) -> None:
        super().__init__(n_estimators=5, random_state=random_state)

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Gated":
        """Wait and fit."""
        gate = Path(os.environ["GATE"])
        while not (gate / "open").exists() and not any(_taken(file) for file in gate.iterdir()):
            time.sleep(0.01)
        return super().fit(X, y)


def _taken(file: Path) -> bool:
    try:
        file.unlink()
    except FileNotFoundError:  # another process was quicker
        return False
    return True
