"""What was sampled in a task: which rows are drawn as one, within which strata, and which labels may be exchanged.

====================  =======================================  ============  ===================================
task                  drawn                                    stratum       labels are exchanged
====================  =======================================  ============  ===================================
LOCO, one row a day   crew member with all days                none          between a crew member's days
LOCO, swabs           crew member with all swabs               none          between days, or within (body site)
LOTO                  time point with all samples              none          between a time point's samples
mission or tissue     it with all animals: a *new* one         none          between its animals
mission or tissue     animal, on *these* missions or tissues   it and label  between its animals
genes, metabolites    id, with one count in all folds          class         between ids tested together, or all
====================  =======================================  ============  ===================================

A crew member's score holds the luck of the days already; to draw days again within the drawn crew would count it
twice, and intervals would widen by up to half where crew are alike (Davison & Hinkley 1997, section 3.8).

Held-out missions and tissues have two intervals, since they have many animals each: one for new missions or tissues,
and one for new animals on these. An animal with two samples is drawn with both.

Repetitions of a feature task share test rows (any two of them a fifth), so they are never drawn
independently: that would make intervals a quarter too short.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, cast

import numpy as np
import pandas as pd

from somb_utils.errors import SombError, UsageError
from somb_utils.stats import kernels
from somb_utils.tasks.definitions import PROTOCOLS, Protocol, Task, get_task

OF_ANIMALS = ("lomo", "lotissue")  # whose groups hold enough animals for an interval of their own
METRICS = {
    "auroc": kernels.AUROC,
    "auprc": kernels.AUPRC,
    "macro_f1": kernels.MACRO_F1,
    "micro_f1": kernels.MICRO_F1,
    "macro_auroc": kernels.AUROC,  # of each class against the rest, each a fold of its own
    "micro_ap": kernels.AUPRC,  # of all pairs of a row and a label
}


def each_protocol(table: pd.DataFrame, predictions: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Yield the rows of a table of scores and the predictions of each protocol; both whole if they name one or none."""
    if "protocol" not in predictions or predictions["protocol"].nunique() < 2:
        yield table, predictions
        return
    for protocol, rows in table.groupby("protocol", sort=False):
        yield rows, predictions[predictions["protocol"] == protocol]


def protocol_of(predictions: pd.DataFrame) -> Protocol:
    """Return the protocol of predictions; that of those from elsewhere, which may not name it, is the default one."""
    first: Protocol = PROTOCOLS[0]
    return cast("Protocol", predictions["protocol"].iat[0]) if "protocol" in predictions and len(predictions) else first


@dataclass(frozen=True)
class Design:
    """The tested rows of a task, fold by fold, whatever was predicted for them.

    `ids` are the tested ids, `labels` their codes (n_ids,), or 0/1 of shape (n_ids, n_labels). `row` is the position
    in `ids` of each row, fold by fold; `folds` holds the first row of each fold, and the number of rows. A fold that
    was fitted with several seeds counts once for each; `group` numbers the folds of one label. `unit_of` is what was
    sampled as one with each id; units of a stratum are contiguous, and `strata` holds the first unit of each, and the
    number of units. `key` identifies each line of the predictions (seed, fold, id), and `order` sorts them.
    """

    task: Task
    ids: np.ndarray
    labels: np.ndarray
    row: np.ndarray
    folds: np.ndarray
    group: np.ndarray
    unit_of: np.ndarray
    strata: np.ndarray
    key: tuple[np.ndarray, ...]
    order: np.ndarray

    @property
    def metric(self) -> int:
        """The task's primary metric, as the compiled loops name it."""
        return METRICS[self.task.metrics.primary]

    @property
    def ranks(self) -> bool:
        """Whether the metric is of ranked scores."""
        return self.metric in (kernels.AUROC, kernels.AUPRC)

    @property
    def truth(self) -> np.ndarray:
        """Which classes or labels are true, 0/1: a row for each class, or for each id if multilabel."""
        return self.labels if self.labels.ndim == 2 else np.eye(len(self.task.classes), dtype=np.int64)

    @property
    def label_row(self) -> np.ndarray:
        """The row of `truth` of each id, shape (n_ids,): what a permutation exchanges."""
        return np.arange(len(self.labels)) if self.labels.ndim == 2 else self.labels

    @property
    def n_classes(self) -> int:
        """Over how many classes the metric averages."""
        return len(self.task.classes) if self.metric == kernels.MACRO_F1 else 1

    def fits(self, predictions: pd.DataFrame) -> bool:
        """Return whether these predictions are of the same ids in the same folds, with the same seeds and in order."""
        pairs = zip(self.key, _keys(predictions), strict=True)
        return len(predictions) == len(self.order) and all(np.array_equal(a, b) for a, b in pairs)


class Rows(NamedTuple):
    """What a metric needs of each row of a design: its id's position, and three numbers, shape (n_rows,) each.

    A ranking has its rows best score first; `a` is 1 for a positive, plus 2 where a step of its curve ends, `b` is 2
    where a tie ends, `c` is the class or label that it ranks. Macro F1 has the true and the predicted class; micro F1
    the hits, true and predicted labels. `folds` holds the first row of each fold that the metric is computed on (for
    macro AUROC, one for each class), and the number of rows; `group` says of which fold label each is.
    """

    row: np.ndarray
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    folds: np.ndarray
    group: np.ndarray


def design(predictions: pd.DataFrame, task: Task | str) -> Design:
    """Arrange the ids that one model's predictions of one task are of.

    Refuses metrics that cannot be resampled, predictions of several models, an id repeated in a fold or with two
    labels, and classes that the task does not have.
    """
    definition = get_task(task).under(protocol_of(predictions)) if isinstance(task, str) else task
    if definition.metrics.primary not in METRICS:
        raise UsageError(f"{definition.id}: no bootstrap for the metric {definition.metrics.primary}")
    if "model" in predictions and predictions["model"].nunique() > 1:
        raise UsageError(f"{definition.id}: predictions of {predictions['model'].nunique()} models; pass one model's")
    keys = _keys(predictions)
    by = (*keys, predictions["label"].to_numpy(dtype=str)) if definition.type == "multilabel" else keys
    order = np.lexsort(by[::-1])
    frame = predictions.iloc[order]
    if len(_starts(*(part[order] for part in by))) <= len(order):
        raise SombError(f"{definition.id}: an id is duplicated in a fold of these predictions")
    truth = _codes(frame, "y_true", definition)
    first = frame.iloc[:: len(frame) // len(truth)]
    ids, row = np.unique(first["id"].to_numpy(dtype=str), return_inverse=True)
    labels = np.zeros((len(ids), *truth.shape[1:]), dtype=np.int64)
    labels[row] = truth
    if not np.array_equal(labels[row], truth):
        raise SombError(f"{definition.id}: an id has one label in one fold and another in the next")
    seed, fold, _ = _keys(first)
    folds = _starts(seed, fold)
    group = pd.factorize(fold[folds[:-1]], sort=True)[0]
    of_id = np.zeros(len(ids), dtype=np.int64)
    of_id[row] = np.repeat(group, np.diff(folds))
    unit_of, strata = _units(definition, ids, labels, of_id)
    return Design(definition, ids, labels, row, folds, group, unit_of, strata, keys, order)


def _keys(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return seed, fold and id of each line; predictions from elsewhere may have no seed."""
    seed = predictions["seed"].to_numpy() if "seed" in predictions else np.zeros(len(predictions), dtype=int)
    return seed, predictions["fold"].to_numpy(dtype=str), predictions["id"].to_numpy(dtype=str)


def rows_of(plan: Design, predictions: pd.DataFrame) -> Rows:
    """Return what the metric needs of one model's predictions, whose ids and order are those of the design."""
    frame = predictions.iloc[plan.order]
    truth = plan.labels[plan.row]
    if plan.metric == kernels.MICRO_F1:
        called = _codes(frame, "y_pred", plan.task)
        counts = (truth & called).sum(axis=1), truth.sum(axis=1), called.sum(axis=1)
        return Rows(plan.row, *counts, plan.folds, plan.group)
    if plan.metric == kernels.MACRO_F1:
        called = _codes(frame, "y_pred", plan.task)
        return Rows(plan.row, truth, called, called, plan.folds, plan.group)
    cells = ranked(plan, frame)
    best_first = np.lexsort((-cells.score, cells.fold))
    positive, folds = cells.positive(plan)[best_first], cells.folds
    ties = np.r_[np.diff(cells.score[best_first]) != 0, True]
    ties[folds[1:] - 1] = True
    # Negatives alone share a step: where neither this tie nor the next holds a positive, none ends.
    tie = np.r_[0, np.cumsum(ties)[:-1]]
    holds = np.r_[np.bincount(tie, positive) > 0, True]
    steps = ties & (holds[tie] | holds[tie + 1])
    steps[folds[1:] - 1] = True
    a, b = positive + 2 * steps.astype(np.int64), 2 * ties.astype(np.int64)
    return Rows(cells.row[best_first], a, b, cells.label[best_first], folds, cells.group)


class Ranked(NamedTuple):
    """What a ranking metric ranks: id, fold, class or label, and score of each, and the folds as in :class:`Rows`."""

    row: np.ndarray
    fold: np.ndarray
    label: np.ndarray
    score: np.ndarray
    folds: np.ndarray
    group: np.ndarray

    def positive(self, plan: Design) -> np.ndarray:
        """Return 1 where the class or label is true."""
        return np.asarray(plan.truth[plan.label_row[self.row], self.label])


def ranked(plan: Design, frame: pd.DataFrame) -> Ranked:
    """Return what is ranked of predictions in the order of the design."""
    fold = np.repeat(np.arange(len(plan.folds) - 1), np.diff(plan.folds))
    n_labels = len(plan.task.classes)
    if plan.task.type == "binary":
        scores = frame["y_score"].to_numpy(dtype=float)
        return Ranked(plan.row, fold, np.ones(len(fold), dtype=np.int64), scores, plan.folds, plan.group)
    row, label = np.repeat(plan.row, n_labels), np.tile(np.arange(n_labels), len(fold))
    fold = np.repeat(fold, n_labels)
    if plan.task.type == "multilabel":
        scores = frame["y_score"].to_numpy(dtype=float)
        return Ranked(row, fold, label, scores, plan.folds * n_labels, plan.group)
    if "y_proba" not in frame or frame["y_proba"].isna().any():
        raise UsageError(f"{plan.task.id}: its metric needs class probabilities, which these predictions lack")
    folds = np.r_[0, np.cumsum(np.repeat(np.diff(plan.folds), n_labels))]
    scores = np.stack(frame["y_proba"].tolist())
    return Ranked(row, fold * n_labels + label, label, scores.ravel(), folds, np.repeat(plan.group, n_labels))


def _codes(frame: pd.DataFrame, column: str, task: Task) -> np.ndarray:
    """Return class codes, shape (n,), or 0/1 cells, shape (n, n_labels), of predictions sorted by fold, id, label."""
    if task.type != "multilabel":
        codes = pd.Index(task.classes).get_indexer(pd.Index(frame[column]))
        if codes.min() < 0:
            raise SombError(f"{task.id}: {column} holds a class that is none of {', '.join(task.classes)}")
        return codes.astype(np.int64)
    n_labels = len(task.classes)
    if (
        len(frame) % n_labels
        or (frame["label"].to_numpy(dtype=str).reshape(-1, n_labels) != sorted(task.classes)).any()
    ):
        raise SombError(f"{task.id}: an id lacks a label, or has one that is none of {', '.join(task.classes)}")
    return (frame[column].to_numpy() == "1").reshape(-1, n_labels).astype(np.int64)


def _starts(*keys: np.ndarray) -> np.ndarray:
    """Return where each set of equal keys starts, of sorted ones, and their number."""
    return np.flatnonzero(np.r_[True, np.any([key[1:] != key[:-1] for key in keys], axis=0), True])


def _units(task: Task, ids: np.ndarray, labels: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the units, by id, so that those of a stratum stand together; return where each stratum starts too.

    A stratum is a class, or a class of a group, shape (n_ids,), whose animals are drawn by themselves.
    """
    name = pd.factorize(np.array([task.features.sampling_unit(i) for i in ids]), sort=True)[0]
    label = labels if labels.ndim == 1 else np.asarray(labels.max(axis=1))
    stratum = constant_label(label + (group * len(task.classes) if task.split in OF_ANIMALS else 0), name)
    order = np.argsort(stratum, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[name], _starts(stratum[order])


def constant_label(labels: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return the label of each unit, shape (n_units,); -1 for all where some unit holds several."""
    first = np.zeros(unit.max() + 1, dtype=np.int64)
    first[unit] = labels
    return first if np.array_equal(first[unit], labels) else np.full(len(first), -1)


def signatures(plan: Design) -> np.ndarray:
    """Return for each id a number for the set of folds that test it, shape (n_ids,).

    In complete cross-validation each id is tested once a repetition, and all share one number.
    """
    if plan.task.split == "cv5x5":
        return np.zeros(len(plan.ids), dtype=np.int64)
    tested = np.zeros((len(plan.ids), len(plan.folds) - 1), dtype=bool)
    for f, (lo, hi) in enumerate(pairwise(plan.folds)):
        tested[plan.row[lo:hi], f] = True
    return np.unique(tested, axis=0, return_inverse=True)[1].ravel()


def contiguous(keys: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return positions sorted by the keys, and where each set of equal keys starts (and the total)."""
    order = np.lexsort(keys[::-1])
    return order, _starts(*(key[order] for key in keys))
