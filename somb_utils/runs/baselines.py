"""The seven baselines: how each makes a fresh estimator for one fold, and what else a run must know of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from somb_utils.tasks.definitions import Task


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


def _random(task: Task, fold: int, seed: int) -> Any:
    from somb_utils.runs.trivial import RandomBaseline

    return RandomBaseline(seed + fold)


def _majority(task: Task, fold: int, seed: int) -> Any:
    from somb_utils.runs.trivial import MajorityBaseline

    return MajorityBaseline()


@dataclass(frozen=True)
class Baseline:
    """A model that every run begins with."""

    make: Callable[[Task, int, int], Any]  # returns a fresh estimator for a task, the number of a fold and a seed
    cost: float = 1.0  # rough fit time, in units of a logistic regression's
    trivial: bool = False  # whether it learns nothing from the features
    stochastic: bool = False  # whether its fit depends on the seed
    # whether it takes a matrix of labels; the others are fitted once per label, as published
    label_matrix: bool = False
    published_multilabel: bool = True  # whether the published benchmark ran it on multilabel tasks
    raw: bool = False  # whether it takes the raw fold, and prepares it itself
    suits: Callable[[Task], bool] = lambda task: True  # whether it is meant for a task


BASELINES: dict[str, Baseline] = {
    "random": Baseline(_random, 0.01, trivial=True, label_matrix=True, stochastic=True),
    "majority": Baseline(_majority, 0.01, trivial=True, label_matrix=True),
    "logreg": Baseline(_logreg),
    "rf": Baseline(_rf, 8.0, stochastic=True),
    "mlp": Baseline(_mlp, 6.0, label_matrix=True, stochastic=True),
    "xgboost": Baseline(_xgboost, 8.0, published_multilabel=False),
    "lightgbm": Baseline(_lightgbm, 4.0, published_multilabel=False),
}
TRIVIAL = tuple(name for name, baseline in BASELINES.items() if baseline.trivial)
RANDOM, MAJORITY = TRIVIAL  # the published composite counts the random one's score as chance
