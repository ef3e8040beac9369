"""Strong baselines beside the seven: short pipelines that take the raw fold and are tuned, if at all, inside it."""

from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from somb_utils.runs.baselines import Baseline
from somb_utils.runs.preparation import CentredLogRatio, CrewCentred, InnerFolds, ObservedColumns, signed_log1p
from somb_utils.tasks.definitions import Task


def _scaled(*steps: Any) -> Pipeline:
    """Prepend the preparation: columns seen in 70 % of the training rows, training means for gaps, unit variance."""
    return make_pipeline(ObservedColumns(), SimpleImputer(), StandardScaler(), *steps)


def _lda(task: Task, fold: int, seed: int) -> Any:
    """Linear discriminants with the covariance shrunk as Ledoit and Wolf do."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return _scaled(LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))


def _clr_lda(task: Task, fold: int, seed: int) -> Any:
    """Linear discriminants of centred log-ratios, for shares of a whole."""
    return make_pipeline(CentredLogRatio(), _lda(task, fold, seed))


def _crew_centred_lda(task: Task, fold: int, seed: int) -> Any:
    """Linear discriminants of each person's departures from their own mean; transductive."""
    return CrewCentred(_lda(task, fold, seed))


def _logregcv(task: Task, fold: int, seed: int) -> Any:
    """Logistic regression, its C chosen by inner folds that leave whole crew members out where there are any."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    scoring = "f1_macro" if task.type == "multiclass" else "average_precision"
    model = _scaled(LogisticRegression(class_weight="balanced", max_iter=1000))
    return GridSearchCV(model, {"logisticregression__C": np.logspace(-3, 0, 4)}, scoring=scoring, cv=InnerFolds())


def _extratrees(task: Task, fold: int, seed: int) -> Any:
    """Extremely randomised trees; one forest for all labels."""
    from sklearn.ensemble import ExtraTreesClassifier

    weight = None if task.type == "multilabel" else "balanced"
    return _scaled(
        ExtraTreesClassifier(n_estimators=300, min_samples_leaf=2, class_weight=weight, random_state=seed, n_jobs=1)
    )


def _histgb(task: Task, fold: int, seed: int) -> Any:
    """Histogram boosting, which splits on missing values as they are."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return make_pipeline(
        ObservedColumns(),
        HistGradientBoostingClassifier(
            max_depth=3, min_samples_leaf=5, early_stopping=False, class_weight="balanced", random_state=seed
        ),
    )


def _lightgbm_small(task: Task, fold: int, seed: int) -> Any:
    """LightGBM that can split a leaf of ten rows."""
    from lightgbm import LGBMClassifier

    return make_pipeline(
        ObservedColumns(), LGBMClassifier(min_child_samples=5, random_state=seed, n_jobs=1, verbose=-1)
    )


def _lightgbm_log(task: Task, fold: int, seed: int) -> Any:
    """Shallow, slowly learning LightGBM on logarithms."""
    from lightgbm import LGBMClassifier

    return make_pipeline(
        ObservedColumns(),
        FunctionTransformer(signed_log1p),
        LGBMClassifier(num_leaves=4, learning_rate=0.05, min_child_samples=5, random_state=seed, n_jobs=1, verbose=-1),
    )


def _has_shares(task: Task) -> bool:
    return task.modality == "microbiome"


def _leaves_people_out(task: Task) -> bool:
    return task.split == "loco"


STRONG: dict[str, Baseline] = {
    "lda": Baseline(_lda, 4.0, raw=True),
    "clr_lda": Baseline(_clr_lda, 4.0, raw=True, suits=_has_shares),
    "crew_centred_lda": Baseline(_crew_centred_lda, 4.0, raw=True, suits=_leaves_people_out),
    "logregcv": Baseline(_logregcv, 30.0, raw=True),
    "extratrees": Baseline(_extratrees, 20.0, raw=True, label_matrix=True, stochastic=True),
    "histgb": Baseline(_histgb, 8.0, raw=True),
    "lightgbm_small": Baseline(_lightgbm_small, 4.0, raw=True),
    "lightgbm_log": Baseline(_lightgbm_log, 3.0, raw=True),
}
