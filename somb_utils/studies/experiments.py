"""Simulated experiments: rows of known labels whose features are drawn anew, and models fitted to their folds.

Labels stay as they are, as in a study. Features come from a normal population whose classes differ by the signal.
Crew members (or time points) differ in level and in how they respond, and days of a crew member differ where several
swabs share one.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import softmax

from somb_utils.tasks.definitions import Protocol, Task, get_task
from somb_utils.tasks.splits import Fold, complete, leave_one_group_out, repeated_first_fold

N_FEATURES = 10
# The length of a class's mean, in standard deviations of a row, by signal: of grouped tasks, of tasks of rows.
SIGNALS = {"none": (0.0, 0.0), "weak": (1.0, 0.5), "strong": (3.0, 1.5)}
# How test rows are chosen: all of a group; a fifth, five times; every row once in each of five repetitions.
FOLDS = {"group": "one per group", "first": "first of five", "complete": "complete 5 × 5"}
GROUP_SD = 1.0
DAY_SD = 0.7
DAYS = ("pre_flight", "pre_flight", "pre_flight", "post_flight", "recovery", "recovery", "recovery")
SWABBED = ("pre_flight", "pre_flight", "in_flight", "in_flight", "post_flight", "recovery", "recovery")
MODELS = FULL, DIAGONAL = ("full covariance", "diagonal covariance")


@dataclass(frozen=True)
class Setting:
    """A design and a population, of which experiments are simulated.

    A grouped task has `groups` (crew members or time points), a task of genes or metabolites `rows` and `positives`.
    `signal` and `folds` are keys of SIGNALS and FOLDS; the metric is that of the protocol whose folds these are.
    `response_sd` is the standard deviation, between groups, of a
    class's mean, in standard deviations of a row: 0 where groups respond alike.
    """

    task: str
    groups: int = 0
    rows: int = 0
    positives: int = 0
    signal: str = "strong"
    response_sd: float = 0.0
    folds: str = "group"
    missions: int = 500
    seed: int = 42

    @property
    def definition(self) -> Task:
        """The task under the protocol with such folds."""
        return get_task(self.task).under(self.protocol)

    @property
    def protocol(self) -> Protocol:
        """The protocol with such folds."""
        return "aligned" if self.folds == "first" else "rigorous"

    @property
    def cost(self) -> float:
        """Expected time, in arbitrary units."""
        tests = self.groups or (25 if self.folds == "complete" else 5)
        return self.missions * (10 + tests + 0.002 * self.rows * tests)


@dataclass(frozen=True)
class Rows:
    """What all experiments of a setting share.

    `labels` are class codes (n_rows,), or 0/1 of shape (n_rows, n_labels). `group` and `day` are codes (n_rows,), and
    `day` is -1 where days add nothing. `means` has shape (n_classes, n_features). `tested` are the predictions to
    fill in, fold by fold: one line per test row, and label if there are several.
    """

    labels: np.ndarray
    group: np.ndarray
    day: np.ndarray
    means: np.ndarray
    folds: list[Fold]
    tested: pd.DataFrame


def simulated(setting: Setting) -> Rows:
    """Return the labels, groups and folds of a setting."""
    task, rng = setting.definition, np.random.default_rng(setting.seed)
    grouped = task.leaves_groups_out
    day = group = np.full(setting.rows, -1)
    if task.split == "loto":
        labels, group = np.tile(np.repeat([0, 1], [10, 39]), setting.groups), np.repeat(range(setting.groups), 49)
        ids, day = [f"R{i:05d}" for i in range(len(labels))], np.full(len(labels), -1)
    elif grouped:
        labels, group, day, ids = _crew(task, setting.groups)
    else:
        ids = [f"R{i:05d}" for i in range(setting.rows)]
        if task.type == "multilabel":
            share = np.array([task.class_counts[name] for name in task.classes]) / task.n_rows
            labels = (rng.random((setting.rows, len(share))) < share).astype(int)
        else:
            labels = (np.arange(setting.rows) < setting.positives).astype(int)
    means = rng.standard_normal((len(task.classes), N_FEATURES))
    means *= SIGNALS[setting.signal][not grouped] / np.linalg.norm(means, axis=1, keepdims=True)
    stratify = np.asarray(labels.any(axis=1)) if labels.ndim > 1 else labels
    folds = {
        "group": lambda: leave_one_group_out(np.array([f"G{code:03d}" for code in group])),
        "first": lambda: repeated_first_fold(stratify),
        "complete": lambda: complete(stratify, None),
    }[setting.folds]()
    return Rows(labels, group, day, means, folds, _tested(setting, labels, np.array(ids), folds))


def has_swabs(task: Task) -> bool:
    """Return whether rows of a day, which end in `_S` and a number here, are sampled as one."""
    return task.features.sampling_unit("C000_D0_S0") != "C000_D0_S0"


def _crew(task: Task, crew: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Return label, crew member, day (-1 without swabs) and id of each row."""
    swabs = has_swabs(task)
    days = SWABBED if swabs else DAYS
    by_site = not set(days) <= set(task.classes)
    of_day = [list(task.classes) if by_site else [phase] * (10 if swabs else 1) for phase in days]
    rows = [
        (task.classes.index(label), c, c * len(days) + d if swabs else -1, f"C{c:03d}_D{d}" + f"_S{s}" * swabs)
        for c in range(crew)
        for d, labels in enumerate(of_day)
        for s, label in enumerate(labels)
    ]
    label, member, day, ids = zip(*rows, strict=True)
    return np.array(label), np.array(member), np.array(day), list(ids)


def _tested(setting: Setting, labels: np.ndarray, ids: np.ndarray, folds: list[Fold]) -> pd.DataFrame:
    row = np.concatenate([fold.test for fold in folds])
    frame = pd.DataFrame({"fold": np.repeat([fold.label for fold in folds], [len(f.test) for f in folds])})
    frame = frame.assign(task=setting.task, protocol=setting.protocol, id=ids[row])
    names = np.array(setting.definition.classes, dtype=object)
    if labels.ndim == 1:
        return frame.assign(y_true=names[labels[row]])
    frame = frame.loc[frame.index.repeat(len(names))]
    return frame.assign(label=np.tile(names, len(row)), y_true=labels[row].ravel().astype(str))


def draw_features(setting: Setting, rows: Rows, rng: np.random.Generator) -> np.ndarray:
    """Return the features of one experiment, shape (n_rows, n_features)."""
    X = rng.standard_normal((len(rows.labels), N_FEATURES))
    if not setting.groups:
        return X + (rows.labels @ rows.means if rows.labels.ndim > 1 else rows.means[rows.labels])
    response = rows.means + setting.response_sd * rng.standard_normal((setting.groups, *rows.means.shape))
    X += response[rows.group, rows.labels] + GROUP_SD * rng.standard_normal((setting.groups, N_FEATURES))[rows.group]
    if rows.day.min() >= 0:
        X += DAY_SD * rng.standard_normal((rows.day.max() + 1, N_FEATURES))[rows.day]
    return X


def discriminant(X: np.ndarray, y: np.ndarray, test: np.ndarray, n_classes: int, diagonal: bool = False) -> np.ndarray:
    """Return the discriminants of the test rows, shape (n_test, n_classes), by linear discriminant analysis.

    Priors are equal; `diagonal` sets the covariances of different features to 0. The formula stands here since the
    checks of a library's estimator take longer than a fit of this size, of which the study makes millions.
    """
    counts = np.bincount(y, minlength=n_classes)
    means = np.eye(n_classes)[y].T @ X / counts[:, None]
    residual = X - means[y]
    covariance = residual.T @ residual / (len(X) - n_classes)
    weights = np.linalg.solve(np.diag(np.diag(covariance)) if diagonal else covariance, means.T)
    return test @ weights - 0.5 * (means * weights.T).sum(axis=1)


def predictions_of(rows: Rows, X: np.ndarray, task: Task, model: str) -> pd.DataFrame:
    """Fit a model to each fold and return its predictions, in the shape that a run stores them."""
    diagonal, names, parts = model == DIAGONAL, np.array(task.classes, dtype=object), []
    for fold in rows.folds:
        train, test, y = X[fold.train], X[fold.test], rows.labels[fold.train]
        if y.ndim == 1:
            parts.append(discriminant(train, y, test, len(names), diagonal))
        else:
            parts.append(np.column_stack([_margin(discriminant(train, of, test, 2, diagonal)) for of in y.T]))
    values = np.concatenate(parts)
    frame = rows.tested.assign(model=model, y_proba=None)
    if rows.labels.ndim > 1:
        return frame.assign(y_pred=(values > 0).ravel().astype(int).astype(str), y_score=values.ravel())
    frame["y_pred"] = names[values.argmax(axis=1)]
    if task.type == "binary":
        return frame.assign(y_score=_margin(values))
    return frame.assign(y_score=np.nan, y_proba=list(softmax(values, axis=1)))


def _margin(values: np.ndarray) -> np.ndarray:
    return values[:, 1] - values[:, 0]
