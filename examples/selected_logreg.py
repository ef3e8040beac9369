"""A scikit-learn pipeline: keep the features that differ most between classes, then a regularised regression.

Selection is a step of the pipeline, so each fold selects on its own training rows. Selecting once on all rows and
then cross-validating is the classic leak of small omics data (Ambroise & McLachlan 2002).
"""

from sklearn.feature_selection import SelectPercentile, VarianceThreshold, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline


def make() -> Pipeline:
    """Return an unfitted pipeline; set e.g. ``select__percentile`` or ``logreg__C`` with ``--model-params``."""
    return Pipeline(
        [
            ("varies", VarianceThreshold(1e-8)),
            ("select", SelectPercentile(f_classif, percentile=25)),
            ("logreg", LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)),
        ]
    )
