"""One task, ready to fit: features, labels and folds on the same row identifiers, with their provenance."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.errors import SombError, UsageError, printable
from somb_utils.metrics import chance_auprc, chance_macro_f1, chance_micro_f1
from somb_utils.tables.sources import Source, SourceLike, missing_tables, remedy_for, resolve_source
from somb_utils.tasks import features, splits
from somb_utils.tasks.definitions import PROTOCOLS, Protocol, Task, get_task
from somb_utils.tasks.splits import Fold


@dataclass(frozen=True)
class TaskData:
    """Everything a model needs of one task.

    Parameters
    ----------
    task
        The definition.
    protocol
        ``aligned`` or ``published``.
    X
        Features, rows × features, float64, indexed by row identifier; missing cells are NaN.
    y
        Class names (Series) or 0/1 columns (DataFrame, multilabel), same index.
    groups
        Crew member or time point of each row, same index; None for feature tasks.
    folds
        Row positions of train and test rows.
    annotations
        Facts on a row that a metric needs, same index or empty.
    provenance
        Data source and table hashes.
    ablation
        Name of the feature subset, or None.
    """

    task: Task
    protocol: Protocol
    X: pd.DataFrame
    y: pd.Series | pd.DataFrame
    groups: pd.Series | None
    folds: tuple[Fold, ...]
    annotations: pd.DataFrame
    provenance: Mapping[str, Any]
    ablation: str | None = None

    def __post_init__(self) -> None:
        if self.X.index.has_duplicates:
            repeated = printable(repr(self.X.index[self.X.index.duplicated()][0]))
            raise UsageError(f"{self.name}: row identifiers must be unique, but {repeated} is duplicated")
        annotations = self.annotations if len(self.annotations.columns) else None
        for part in (self.y, self.groups, annotations):
            if part is not None and not part.index.equals(self.X.index):
                raise UsageError(f"{self.name}: features, labels, groups and annotations stand on different rows")

    def check(self) -> "TaskData":
        """Return the task if models can be fitted and scored on it.

        Returns
        -------
        TaskData
            Itself.

        Raises
        ------
        UsageError
            If names are not unique text, values are infinite, or labels, groups or folds do not fit.
        """
        for problem in (_table_problem(self), _label_problem(self), _fold_problem(self)):
            if problem:
                raise UsageError(f"{self.name}: {problem}")
        return self

    @property
    def name(self) -> str:
        """The task's id, with the ablation's name where there is one (``B1_effect_only``)."""
        return f"{self.task.id}_{self.ablation}" if self.ablation else self.task.id

    @cached_property
    def codes(self) -> np.ndarray:
        """Labels as positions in ``task.classes``, shape (n_rows,); 0/1 of shape (n_rows, n_labels) if multilabel."""
        if isinstance(self.y, pd.DataFrame):
            return self.y.to_numpy(dtype=np.int64)
        return self.y.map(self.task.classes.index).to_numpy(dtype=np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what scores depend on: features, labels, groups, folds, annotations, classes and metrics."""
        groups = None if self.groups is None else self.groups.tolist()
        folds = [(fold.label, fold.train.tolist(), fold.test.tolist()) for fold in self.folds]
        names = [self.X.columns.tolist(), self.X.index.tolist(), self.annotations.columns.tolist()]
        task = self.task.model_dump(include={"id", "type", "classes", "pca", "metrics"})
        text = json.dumps([task, self.protocol, self.ablation, names, groups, folds])
        digest = hashlib.sha256(text.encode())
        for values in (self.X.to_numpy(), self.codes, self.annotations.to_numpy(dtype=float)):
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()

    @cached_property
    def chance(self) -> float:
        """What guessing scores on the primary metric, exactly: the mean over folds where it is defined, NaN if none."""
        levels = np.array([self._chance(fold) for fold in self.folds])
        return float(np.nanmean(levels)) if not np.isnan(levels).all() else np.nan

    def _chance(self, fold: Fold) -> float:
        train, test = self.codes[fold.train], self.codes[fold.test]
        metric = self.task.metrics.primary
        if metric == "micro_f1":
            return chance_micro_f1(test, train.mean(axis=0))
        if metric == "macro_f1":
            prior = {str(k): float((train == k).mean()) for k in range(len(self.task.classes))}
            return chance_macro_f1(test.astype(str), prior, list(prior))
        if metric == "auprc":
            return chance_auprc(len(test), int(test.sum())) if test.any() else np.nan
        return 0.5 if 0 < test.sum() < len(test) else np.nan


def _table_problem(data: TaskData) -> str | None:
    """Say what is wrong with the features, or return None."""
    X = data.X
    for axis, names in (("row identifiers (X.index)", X.index), ("feature names (X.columns)", X.columns)):
        if not all(isinstance(name, str) for name in names):
            return f"the {axis} must be text; .astype(str) makes them so"
        if names.has_duplicates:
            return f"the {axis} must be unique, but '{printable(names[names.duplicated()][0])}' is duplicated"
    if not X.size:
        return f"X has {len(X)} rows and {X.shape[1]} features"
    if not (X.dtypes == np.float64).all():
        return "the features must be numbers; X.astype(float) makes them so"
    if np.isinf(X.to_numpy()).any():
        row, column = np.argwhere(np.isinf(X.to_numpy()))[0]
        return f"feature '{printable(X.columns[column])}' of row '{printable(X.index[row])}' is infinite"
    return None


def _label_problem(data: TaskData) -> str | None:
    """Say what is wrong with the labels, groups or annotations, or return None."""
    if isinstance(data.y, pd.DataFrame) != (data.task.type == "multilabel"):
        return f"y of a {data.task.type} task is a {type(data.y).__name__}"
    if isinstance(data.y, pd.DataFrame):
        if tuple(data.y.columns) != data.task.classes or not data.y.isin([0, 1]).all(axis=None):
            return "y must hold 0 and 1, with one column for each of the task's classes, in their order"
    elif not data.y.isin(data.task.classes).all():
        other = data.y[~data.y.isin(data.task.classes)].iloc[0]
        return f"label {printable(repr(other))} is not one of {', '.join(data.task.classes)}"
    if data.groups is not None and not all(isinstance(group, str) for group in data.groups):
        return "the groups must be text; groups.astype(str) makes them so"
    return None


def _fold_problem(data: TaskData) -> str | None:
    """Say what is wrong with the folds, or return None."""
    labels = [fold.label for fold in data.folds]
    if not labels:
        return "there is no fold"
    if not all(isinstance(label, str) and label for label in labels):
        return "the folds' labels must be text, such as Fold('0', train, test)"
    if len(set(labels)) < len(labels):
        repeated = next(label for label in labels if labels.count(label) > 1)
        return f"fold labels must be unique, but '{printable(repeated)}' is duplicated"
    for fold in data.folds:
        label, rows = printable(fold.label), [np.asarray(fold.train), np.asarray(fold.test)]
        if not all(part.ndim == 1 and part.size and part.dtype.kind in "iu" for part in rows):
            return f"the train and test rows of fold {label} must be non-empty arrays of row positions"
        both = np.concatenate(rows)
        if both.min() < 0 or both.max() >= len(data.X):
            return f"fold {label} names a row that is not among the {len(data.X)}"
        if len(np.unique(both)) < len(both):
            return f"fold {label} names a row more than once, or tests on a training row"
        if data.groups is not None and set(data.groups.iloc[rows[0]]) & set(data.groups.iloc[rows[1]]):
            return f"fold {label} trains and tests on rows of one group ({data.groups.name})"
    return None


def load_task(
    task: str | Task,
    protocol: Protocol = "aligned",
    source: SourceLike = "auto",
    ablation: str | None = None,
) -> TaskData:
    """Load the tables of one task and make its features, labels and folds.

    Parameters
    ----------
    task
        Id such as ``"A1"``, or a definition of your own (:func:`somb_utils.read_task`); its tables are published ones,
        or your own where `source` is a mapping of their names to frames.
    protocol
        ``"aligned"`` joins by identifier; ``"published"`` reproduces the published pairing.
    source
        See :func:`somb_utils.tables.resolve_source`.
    ablation
        A feature subset that the task defines, e.g. ``"effect_only"`` of B1.

    Returns
    -------
    TaskData
        Features, labels, groups and folds.

    Raises
    ------
    UsageError
        If the task, protocol, source or ablation is unknown.
    SombError
        If a table is missing, changed, or does not fit the task.

    Examples
    --------
    >>> data = load_task("A1", source="simulated")
    >>> data.X.shape, [fold.label for fold in data.folds]
    ((28, 39), ['C001', 'C002', 'C003', 'C004'])
    """
    definition = get_task(task) if isinstance(task, str) else task
    if protocol not in PROTOCOLS:
        raise UsageError(f"unknown protocol '{protocol}'; it is one of {', '.join(PROTOCOLS)}")
    where = resolve_source(source, definition.tables)
    absent = missing_tables(definition.tables, where)
    if absent:
        raise SombError(missing_message(definition, absent, where))
    made = features.build(definition, where.load, protocol)
    X = made.X[definition.ablation_columns(ablation, made.X.columns)] if ablation else made.X
    return TaskData(
        task=definition,
        protocol=protocol,
        X=X,
        y=made.y,
        groups=made.groups,
        folds=tuple(_folds(definition, made)),
        annotations=made.annotations,
        provenance={
            "source": where.kind,
            "described": where.describe(),
            "tables": {name: where.fingerprint(name) for name in definition.tables},
        },
        ablation=ablation,
    ).check()


def missing_message(task: Task, absent: list[str], source: Source) -> str:
    """Say which tables of `task` are missing and how to get them."""
    files = ", ".join(f"{name}.csv" for name in absent)
    return f"{task.id}: {files} is not among the {source.describe()}; {remedy_for(absent, source)}"


def _folds(task: Task, made: features.Features) -> list[Fold]:
    if made.groups is not None:
        return splits.leave_one_group_out(made.groups.to_numpy())
    assert made.stratify is not None
    split = splits.repeated_first_fold if task.split == "skf5" else splits.shuffled
    try:
        return split(made.stratify)
    except ValueError as error:
        raise SombError(f"{task.id}: its {len(made.X)} rows cannot be split into stratified folds: {error}") from None
