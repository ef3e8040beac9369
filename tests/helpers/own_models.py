"""A user's own model, as tests and the manual name it: ``own_models:make``."""

from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC


def make() -> Pipeline:
    """Return a linear support vector machine on scaled features."""
    return Pipeline([("scale", StandardScaler()), ("svc", LinearSVC(class_weight="balanced", random_state=0))])
