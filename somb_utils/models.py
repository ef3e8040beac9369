"""The seven baselines, and how any other scikit-learn estimator is named, made and checked."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from somb_utils.errors import UsageError
from somb_utils.tasks import Protocol, Task

SEED = 42
BASELINES = ("random", "majority", "logreg", "rf", "mlp", "xgboost", "lightgbm")


@dataclass(frozen=True)
class Model:
    """A named way to make a fresh estimator.

    Attributes
    ----------
    name : what results call it.
    target : baseline name, ``package.module:object``, or the estimator or factory itself.
    params : parameters set on every estimator made.
    """

    name: str
    target: Any
    params: Mapping[str, Any] = field(default_factory=dict)

    def make(self, task: Task, fold: int, seed: int = SEED) -> Any:
        """Return an unfitted estimator for one fold of `task`.

        Raises
        ------
        UsageError
            If the model cannot be imported, called or given its parameters.
        """
        if self.target in BASELINES:
            estimator = _baseline(self.target, task, fold, seed)
        else:
            estimator = _own(self.imported(), self.name)
        if task.type == "multilabel" and not _is_multilabel(estimator):
            estimator = _one_vs_rest(estimator, self.params, self.name)
        elif self.params:
            _set_params(estimator, self.params, self.name)
        return estimator

    def imported(self) -> Any:
        """Return the estimator or factory itself, also if `target` names it."""
        return _import(self.target) if isinstance(self.target, str) else self.target


def resolve_models(models: Any = None, params: Mapping[str, Mapping[str, Any]] | None = None) -> list[Model]:
    """Turn names, estimators or a mapping of them into models.

    Parameters
    ----------
    models : str, sequence, mapping or estimator, optional
        Baseline names, ``"package.module:object"``, estimators or factories; a mapping gives each its name.
        All seven baselines when omitted.
    params : mapping of model name to parameters, optional

    Raises
    ------
    UsageError
        If a name is unknown or stands twice, or `params` names a model that is not among `models`.
    """
    if models is None:
        models = BASELINES
    elif isinstance(models, str):
        models = [name.strip() for name in models.split(",") if name.strip()]
    elif isinstance(models, Model) or hasattr(models, "fit") or (callable(models) and not isinstance(models, Mapping)):
        models = [models]
    pairs = models.items() if isinstance(models, Mapping) else [(None, m) for m in models]
    params = params or {}
    resolved = [_resolve(name, target, params) for name, target in pairs]
    names = [model.name for model in resolved]
    if not names:
        raise UsageError(f"no model named; the baselines are {', '.join(BASELINES)}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UsageError(f"model '{twice}' stands twice; give each its own name with a mapping")
    stray = sorted(set(params) - set(names))
    if stray:
        raise UsageError(f"parameters for '{stray[0]}', which is not among the models {', '.join(names)}")
    return resolved


def _resolve(name: str | None, target: Any, params: Mapping[str, Mapping[str, Any]]) -> Model:
    if isinstance(target, Model):
        return target
    if isinstance(target, str):
        if ":" in target:
            _import(target)
        elif target not in BASELINES:
            raise UsageError(
                f"unknown model '{target}'; the baselines are {', '.join(BASELINES)}, "
                "your own is named as package.module:object"
            )
    own = target if isinstance(target, str) else getattr(target, "__name__", type(target).__name__)
    return Model(name or own, target, dict(params.get(name or own, {})))


def _import(target: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise UsageError(f"model '{target}': cannot import {module} ({error}); is it on PYTHONPATH?") from None
    except AttributeError:
        raise UsageError(f"model '{target}': module {module} has no '{attribute}'") from None


def _own(target: Any, name: str) -> Any:
    if isinstance(target, type) or not hasattr(target, "fit"):
        if not callable(target):
            raise UsageError(f"model '{name}' is {target!r}, neither an estimator nor a factory of one")
        estimator = target()
    else:
        estimator = clone(target)
    if not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
        raise UsageError(f"model '{name}' makes {type(estimator).__name__}, which lacks fit or predict")
    return estimator


def _set_params(estimator: Any, params: Mapping[str, Any], name: str) -> None:
    try:
        estimator.set_params(**params)
    except (ValueError, AttributeError) as error:
        raise UsageError(f"model '{name}' does not take these parameters: {error}") from None


def _is_multilabel(estimator: Any) -> bool:
    from sklearn.neural_network import MLPClassifier

    return isinstance(estimator, RandomBaseline | MajorityBaseline | MLPClassifier)


def _one_vs_rest(estimator: Any, params: Mapping[str, Any], name: str) -> Any:
    from sklearn.multiclass import OneVsRestClassifier

    if params:
        _set_params(estimator, params, name)
    return OneVsRestClassifier(estimator)


def _baseline(name: str, task: Task, fold: int, seed: int) -> Any:
    return _BASELINES[name](task, fold, seed)


def _logreg(task: Task, fold: int, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=1000, class_weight="balanced", random_state=seed)


def _rf(task: Task, fold: int, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=100, class_weight="balanced", random_state=seed, n_jobs=1)


def _mlp(task: Task, fold: int, seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    small = task.type == "multilabel"
    return MLPClassifier(
        hidden_layer_sizes=(128, 64) if small else (256, 128, 64),
        max_iter=300 if small else 500,
        early_stopping=True,
        validation_fraction=0.1 if small else 0.15,
        alpha=0.01,
        learning_rate_init=0.001,
        random_state=seed,
    )


def _xgboost(task: Task, fold: int, seed: int) -> Any:
    from xgboost import XGBClassifier

    metric = "mlogloss" if task.type == "multiclass" else "logloss"
    return XGBClassifier(n_estimators=100, max_depth=6, eval_metric=metric, random_state=seed, n_jobs=1, verbosity=0)


def _lightgbm(task: Task, fold: int, seed: int) -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=100, max_depth=6, num_leaves=31, random_state=seed, n_jobs=1, verbose=-1)


class RandomBaseline(ClassifierMixin, BaseEstimator):
    """Guess: labels drawn from the training shares of the classes, then uniform scores."""

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


_BASELINES: dict[str, Callable[[Task, int, int], Any]] = {
    "random": lambda task, fold, seed: RandomBaseline(seed + fold),
    "majority": lambda task, fold, seed: MajorityBaseline(),
    "logreg": _logreg,
    "rf": _rf,
    "mlp": _mlp,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
}


def supports(model: Model, task: Task, protocol: Protocol) -> bool:
    """Tell whether the published benchmark ran the model on the task; ``aligned`` runs all on all."""
    published_gap = task.type == "multilabel" and model.target in ("xgboost", "lightgbm")
    return not (protocol == "published" and published_gap)
