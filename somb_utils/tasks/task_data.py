"""One task, ready to fit: features, labels and folds on the same row identifiers, with their provenance."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.errors import SombError, UsageError
from somb_utils.metrics import chance
from somb_utils.tables.sources import Source, SourceLike, missing_tables, remedy_for, resolve_source
from somb_utils.tasks import features, splits
from somb_utils.tasks._problems import fold_problem, label_problem, row_problem, table_problem
from somb_utils.tasks.definitions import PROTOCOLS, Protocol, Task, get_task
from somb_utils.tasks.recipes import GROUPED, Features
from somb_utils.tasks.splits import Fold


@dataclass(frozen=True)
class TaskData:
    """Everything a model needs of one task.

    Parameters
    ----------
    task
        The definition.
    protocol
        ``rigorous``, ``aligned`` or ``published``.
    X
        Features, rows × features, float64, indexed by row identifier; missing cells are NaN.
    y
        Class names (Series) or 0/1 columns (DataFrame, multilabel), same index.
    groups
        Crew member, time point, mission or tissue of each row, same index; None for feature tasks.
    folds
        Row positions of train and test rows.
    annotations
        Facts that a metric needs beside the prediction, same index or empty.
    provenance
        Data source and table hashes.
    ablation
        Name of the feature subset, or None.
    days
        Day of sampling of each row, same index; None if the tables do not name it.
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
    days: pd.Series | None = None

    def __post_init__(self) -> None:
        annotations = self.annotations if len(self.annotations.columns) else None
        if problem := row_problem(self.X, self.y, self.groups, self.days, annotations):
            raise UsageError(f"{self.name}: {problem}")

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
        problem = table_problem(self.X) or label_problem(self.y, self.groups, self.task)
        if problem := problem or fold_problem(self.folds, len(self.X), self.groups):
            raise UsageError(f"{self.name}: {problem}")
        return self

    @property
    def name(self) -> str:
        """The task's id, with the name of the ablation if any (``B1_effect_only``)."""
        return f"{self.task.id}_{self.ablation}" if self.ablation else self.task.id

    @cached_property
    def codes(self) -> np.ndarray:
        """Labels as positions in ``task.classes``, shape (n_rows,); 0/1 of shape (n_rows, n_labels) if multilabel."""
        if isinstance(self.y, pd.DataFrame):
            return self.y.to_numpy(dtype=np.int64)
        return self.y.map(self.task.classes.index).to_numpy(dtype=np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of features, labels, groups, folds, annotations, classes and metrics, which scores depend on."""
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
        """The exact chance level on the primary metric, as a mean over the folds that define it; NaN if none does."""
        metric, n_classes = self.task.metrics.primary, len(self.task.classes)
        levels = np.array([chance(metric, self.codes[f.train], self.codes[f.test], n_classes) for f in self.folds])
        return float(np.nanmean(levels)) if not np.isnan(levels).all() else np.nan


def load_task(
    task: str | Task,
    protocol: Protocol = "rigorous",
    source: SourceLike = "auto",
    ablation: str | None = None,
) -> TaskData:
    """Load the tables of one task and build its features, labels and folds.

    Parameters
    ----------
    task
        Id such as ``"A1"``; or a task of your own: the path of its definition, or the definition itself, from
        :func:`somb_utils.read_task`. Its tables are published ones, CSV files of the folder `source`, or its frames.
    protocol
        ``"rigorous"`` is the protocol by which the project ranks; ``"published"`` reproduces the published scores, and
        ``"aligned"`` differs from it by joining tables by identifier alone. See the book's page on protocols.
        Of complete cross-validation, simulated tables get one repetition of five.
    source
        See :func:`somb_utils.tables.resolve_source`.
    ablation
        A feature subset that the task defines, e.g. ``"effect_only"`` of B1, or ``"reactome"`` of J1.

    Returns
    -------
    TaskData
        Features, labels, groups and folds.

    Raises
    ------
    UsageError
        If the task, protocol, source or ablation is unknown.
    SombError
        If a table is missing, changed, or does not fit the task; of your own task, the message lists every problem.

    Examples
    --------
    >>> data = load_task("A1", source="simulated")
    >>> data.X.shape, [fold.label for fold in data.folds]
    ((28, 39), ['C001', 'C002', 'C003', 'C004'])
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"unknown protocol '{protocol}'; it is one of {', '.join(PROTOCOLS)}")
    definition = (get_task(task) if isinstance(task, str) else task).under(protocol)
    where = resolve_source(source, definition.tables)
    if absent := missing_tables(definition.tables, where):
        raise SombError(missing_message(definition, absent, where))
    definition, built = features.build(definition, where.load, protocol)
    provenance = {
        "source": where.kind,
        "described": where.describe(),
        "tables": {name: where.fingerprint(name) for name in definition.tables},
    }
    return with_folds(definition, built, protocol, provenance, ablation)


def with_folds(
    task: Task, built: Features, protocol: Protocol, provenance: Mapping[str, Any], ablation: str | None = None
) -> TaskData:
    """Return features and labels with the folds of a task, checked."""
    return TaskData(
        task=task,
        protocol=protocol,
        X=built.X[task.ablation_columns(ablation, built.X.columns)] if ablation or task.columns else built.X,
        y=built.y,
        groups=built.groups,
        folds=tuple(_folds(task, built, 1 if provenance["source"] == "simulated" else splits.REPETITIONS)),
        annotations=built.annotations,
        provenance=provenance,
        ablation=ablation,
        days=built.days,
    ).check()


def missing_message(task: Task, absent: list[str], source: Source) -> str:
    """Say which tables of `task` are missing and how to get them."""
    files = ", ".join(f"{name}.csv" for name in absent)
    return f"{task.id}: {files} is not among the {source.describe()}; {remedy_for(absent, source)}"


def _folds(task: Task, built: Features, repetitions: int) -> list[Fold]:
    groups = None if built.groups is None else built.groups.to_numpy()
    if task.split in GROUPED:
        assert groups is not None
        return splits.leave_one_group_out(groups)
    assert built.stratify is not None
    if built.folds is not None:
        return _stated(task, built)
    relatives = groups if built.relatives is None else built.relatives.to_numpy()
    try:
        if task.split == "cv5x5":
            return splits.complete(built.stratify, relatives, repetitions)
        return splits.repeated_first_fold(built.stratify) if task.split == "skf5" else splits.shuffled(built.stratify)
    except ValueError as error:
        raise SombError(f"{task.id}: its {len(built.X)} rows cannot be split into stratified folds: {error}") from None


def _stated(task: Task, built: Features) -> list[Fold]:
    """Return a user's own folds; those that leave out groups test each row once, since groups are then drawn."""
    stated = built.folds
    assert stated is not None
    row = stated["id"].map({name: row for row, name in enumerate(built.X.index)})
    tested = stated.get("part", pd.Series("test", stated.index)) == "test"
    if task.leaves_groups_out and row[tested].duplicated().any():
        raise SombError(f"{task.id}: folds that leave out groups may test each row once; a row is tested in two")
    folds = []
    for label, rows in row.groupby(stated["fold"], sort=True):
        test = np.sort(rows[tested].to_numpy())
        train = rows[~tested].to_numpy() if "part" in stated else np.setdiff1d(np.arange(len(built.X)), test)
        folds.append(Fold(str(label), np.sort(train), test))
    return folds
