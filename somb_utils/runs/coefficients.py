"""What a linear model uses, by the features' own names."""

import warnings

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from somb_utils.tasks.task_data import TaskData


def coefficients(data: TaskData, outputs: tuple[str, ...] | None = None) -> pd.DataFrame:
    """Fit a logistic regression on each fold's training rows and return its coefficients.

    Features are mean-imputed and standardised, so a coefficient is the change of the log odds for one standard
    deviation. Tasks that reduce features by PCA are fitted here on the features themselves, with a stronger
    penalty (C = 0.01): coefficients of components would name no feature. Coefficients of correlated features
    share their weight; that they agree between folds says that the model is steady, not that a feature is a cause.
    """
    targets = _targets(data, outputs)
    rows = []
    for fold in data.folds:
        X = SimpleImputer(keep_empty_features=True).fit_transform(data.X.to_numpy()[fold.train])
        X = StandardScaler().fit_transform(X)
        for output, truth in targets.items():
            y = truth[fold.train]
            if 0 < y.sum() < len(y):
                weights = _fit(X, y, 0.01 if data.task.pca else 1.0)
                columns = {"fold": fold.label, "output": output, "feature": data.X.columns, "coefficient": weights}
                rows.append(pd.DataFrame(columns))
    return pd.concat(rows, ignore_index=True)


def _fit(X: np.ndarray, y: np.ndarray, C: float) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Newton's method is far quicker where rows are many and columns few and alike.
        solver = "newton-cholesky" if X.shape[1] < 100 else "lbfgs"
        return LogisticRegression(C=C, max_iter=1000, class_weight="balanced", solver=solver).fit(X, y).coef_[0]


def _targets(data: TaskData, outputs: tuple[str, ...] | None) -> dict[str, np.ndarray]:
    names = data.task.classes
    if data.task.type == "binary":
        return {names[1]: data.codes}
    if data.task.type == "multilabel":
        frequent = data.codes.sum(axis=0).argsort(kind="stable")[::-1][:3]
        chosen = outputs or tuple(names[k] for k in frequent)
        return {name: data.codes[:, names.index(name)] for name in chosen}
    return {name: (data.codes == names.index(name)).astype(int) for name in outputs or names}
