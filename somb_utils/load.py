"""One task, ready to fit: features, labels and folds on the same row identifiers, with their provenance."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from somb_utils import features, splits
from somb_utils.errors import SombError, UsageError
from somb_utils.metrics import chance_auprc, chance_macro_f1, chance_micro_f1
from somb_utils.splits import Fold
from somb_utils.tables import Source, SourceLike, missing_tables, resolve_source
from somb_utils.tasks import PROTOCOLS, Protocol, Task, get_task


@dataclass(frozen=True)
class TaskData:
    """Everything a model needs of one task.

    Attributes
    ----------
    task : the definition.
    protocol : ``aligned`` or ``published``.
    X : rows × features, float64, indexed by row identifier; missing cells are NaN.
    y : class names (Series) or 0/1 columns (DataFrame, multilabel), same index.
    groups : crew or time point a row, same index; None for feature tasks.
    folds : train and test row positions.
    annotations : facts a row that a metric needs, same index or empty.
    provenance : data source and table hashes.
    ablation : name of the feature subset, or None.
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
            raise SombError(f"{self.name}: row identifiers are not unique")
        for part in (self.y, self.groups):
            if part is not None and not part.index.equals(self.X.index):
                raise SombError(f"{self.name}: features, labels and groups stand on different rows")
        for fold in self.folds:
            if np.intersect1d(fold.train, fold.test).size or not fold.train.size or not fold.test.size:
                raise SombError(f"{self.name}: fold {fold.label} is empty or tests on its training rows")

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
        """SHA-256 of all that a fit depends on: features, labels, folds, annotations and the task's recipe."""
        digest = hashlib.sha256(f"{self.task.model_dump_json()} {self.protocol} {self.ablation}".encode())
        digest.update("\n".join([*self.X.columns, *self.X.index]).encode())
        digest.update(np.ascontiguousarray(self.X.to_numpy()).data)
        digest.update(np.ascontiguousarray(self.codes).data)
        digest.update(np.ascontiguousarray(self.annotations.to_numpy(dtype=float)).data)
        for fold in self.folds:
            digest.update(fold.train.tobytes() + fold.test.tobytes())
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


def load_task(
    task: str | Task,
    protocol: Protocol = "aligned",
    source: SourceLike = "auto",
    ablation: str | None = None,
) -> TaskData:
    """Load the tables of one task and make its features, labels and folds.

    Parameters
    ----------
    task : id such as ``"A1"``, or a definition of your own.
    protocol : ``"aligned"`` joins by identifier; ``"published"`` reproduces the published pairing.
    source : see :func:`somb_utils.tables.resolve_source`.
    ablation : a feature subset that the task defines, e.g. ``"effect_only"`` of B1.

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
    where = resolve_source(source)
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
    )


def missing_message(task: Task, absent: list[str], source: Source) -> str:
    """Say which tables of `task` are missing and how to get them."""
    files = ", ".join(f"{name}.csv" for name in absent)
    return f"{task.id}: {files} is not among the {source.describe()}; get it with: somb data fetch --tasks {task.id}"


def _folds(task: Task, made: features.Features) -> list[Fold]:
    if made.groups is not None:
        return splits.leave_one_group_out(made.groups.to_numpy())
    assert made.stratify is not None
    split = splits.repeated_first_fold if task.split == "skf5" else splits.shuffled
    try:
        return split(made.stratify)
    except ValueError as error:
        raise SombError(f"{task.id}: its {len(made.X)} rows cannot be split into stratified folds: {error}") from None
