"""Prediction files, one per task: read and checked to the last value, and written.

The published form is JSON, ``{"predictions": [{"split_idx": 0, "y_pred": […], "y_score": […]}]}``: one entry per fold,
counted from 0 (``split_idx`` for LOCO and LOTO, ``rep`` for the others), values in the order of the fold's test rows.
The Parquet and CSV forms have one row per tested id (and label, if multilabel) with the columns ``id, fold, y_pred,
y_score``, so that nothing can be misaligned. `y_pred` is a class name, 0 or 1 in binary tasks, 0/1 by label in
multilabel ones; `y_score`, any finite number, is that of the positive class or of each label. No metric of a multiclass
task takes scores: they may be left out, or be one per class in JSON. A binary task may leave out `y_pred`.
Its F1 is that of `y_score` at 0.5 if all scores lie within 0 and 1, else that of `y_pred`, and is left out without it.

All forms may carry ``task``, ``protocol`` and ``y_true``, which are then checked.
"""

import gzip
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from somb_utils.errors import SombError, UsageError
from somb_utils.predictions.json_form import fold_key, read_json
from somb_utils.predictions.problems import Cells, OtherProtocol, Problems, show
from somb_utils.predictions.table_form import Columns, check_rows, parse_csv, parse_parquet
from somb_utils.tasks.definitions import Protocol
from somb_utils.tasks.splits import Fold
from somb_utils.tasks.task_data import TaskData

Form = Literal["json", "parquet", "csv", "csv.gz"]
FORMS: tuple[Form, ...] = ("json", "parquet", "csv", "csv.gz")
# The largest task needs 1 MB; a parsed JSON file takes up to thirty times its size in memory.
MAX_BYTES = 16 * 2**20
TOLERANCE = 1e-6


@dataclass(frozen=True)
class FoldPredictions:
    """Predictions of one fold in the order of its test rows, as in :class:`somb_utils.runs.fit.Outcome`.

    `y_pred` of a binary task is empty if the file lacks it and the scores, not being within 0 and 1, do not imply it.
    """

    y_pred: np.ndarray
    y_score: np.ndarray


def decode(
    content: bytes, form: Form, data: TaskData, other: OtherProtocol, problems: Problems, notes: list[str]
) -> list[FoldPredictions]:
    """Return the predictions of one task, one entry for each of ``data.folds``; meaningless if there are problems.

    `other` returns the same task in the other protocol, to recognise predictions made for its folds. Errors go to
    `problems`, and what the user should know though it is not wrong to `notes`.
    """
    try:
        if form == "json":
            cells = read_json(content, data, other, problems, notes)
        else:
            parse = parse_parquet if form == "parquet" else parse_csv
            cells = check_rows(parse(content, data), data, other, problems)
    except SombError as error:
        problems.add(str(error))
        return []
    folds = _folds(cells, data, problems)
    if data.task.type == "binary" and folds and not are_probabilities(folds):
        f1 = "F1 is that of y_pred" if all(len(fold.y_pred) for fold in folds) else "without y_pred, F1 is left out"
        notes.append(f"{problems.file}: y_score is not within 0 and 1: it ranks the rows and is no probability; {f1}")
    return folds


def check(columns: Columns, data: TaskData, other: OtherProtocol, problems: Problems) -> list[FoldPredictions]:
    """Return the predictions of each fold from columns in memory, as :func:`decode` does from a file's bytes."""
    return _folds(check_rows(columns, data, other, problems), data, problems)


def are_probabilities(folds: Sequence[FoldPredictions]) -> bool:
    """Return whether all scores lie within 0 and 1."""
    return all(((fold.y_score >= -TOLERANCE) & (fold.y_score <= 1 + TOLERANCE)).all() for fold in folds)


def _folds(cells: list[Cells], data: TaskData, problems: Problems) -> list[FoldPredictions]:
    folds = [_fold_predictions(one, data, problems) for one in cells]
    if problems or data.task.type != "binary":
        return [] if problems else folds
    if are_probabilities(folds):
        return [f if len(f.y_pred) else replace(f, y_pred=(f.y_score >= 0.5).astype(np.int64)) for f in folds]
    absent = [one.fold.label for one, fold in zip(cells, folds, strict=True) if not len(fold.y_pred)]
    if 0 < len(absent) < len(folds):
        problems.add("y_pred is missing; give it in every fold, or in none", absent[0])
        return []
    return folds


def encode(predictions: pd.DataFrame, data: TaskData, form: Form) -> bytes:
    """Return a prediction file's bytes.

    >>> import somb_utils as somb
    >>> data = somb.load_task("A1", source="simulated")
    >>> run = somb.run([data], ["majority"], n_jobs=1)
    >>> encode(run.predictions, data, "json")[:39]
    b'{"task": "A1", "protocol": "aligned", "'
    """
    if form not in FORMS:
        raise UsageError(f"unknown form '{form}'; it is one of {', '.join(FORMS)}")
    parts = [_ordered(predictions, data, fold) for fold in data.folds]
    if form != "json":
        columns = ["protocol", "fold", "id", "y_pred", "y_score"]
        if data.task.type == "multilabel":
            columns.insert(3, "label")
        if form != "parquet":
            text = pd.concat(parts)[columns].to_csv(index=False, lineterminator="\n").encode()
            return gzip.compress(text, mtime=0) if form == "csv.gz" else text
        stream = BytesIO()
        table = pa.Table.from_pandas(pd.concat(parts)[columns], preserve_index=False)
        pq.write_table(table, stream, compression="zstd", write_page_checksum=True)
        return stream.getvalue()
    entries = [{fold_key(data): number, **_json_values(rows, data)} for number, rows in enumerate(parts)]
    return json.dumps({"task": data.task.id, "protocol": data.protocol, "predictions": entries}).encode()


def _ordered(predictions: pd.DataFrame, data: TaskData, fold: Fold) -> pd.DataFrame:
    rows = predictions[predictions["fold"] == fold.label]
    names, keys = ["id"], data.X.index[fold.test]
    if data.task.type == "multilabel":
        names, keys = ["id", "label"], pd.MultiIndex.from_product([keys, data.task.classes])
    try:
        return rows.set_index(names).loc[keys].rename_axis(names).reset_index()
    except KeyError:
        raise SombError(f"{data.name}, fold {fold.label}: not every tested row has a prediction") from None


def _json_values(rows: pd.DataFrame, data: TaskData) -> dict[str, Any]:
    classes = data.task.classes
    if data.task.type == "multiclass":
        return {"y_pred": rows["y_pred"].tolist()}
    if data.task.type == "binary":
        return {"y_pred": [classes.index(name) for name in rows["y_pred"]], "y_score": rows["y_score"].tolist()}
    values = {"y_pred": rows["y_pred"].astype(int), "y_score": rows["y_score"]}
    return {name: column.to_numpy().reshape(-1, len(classes)).tolist() for name, column in values.items()}


def _fold_predictions(cells: Cells, data: TaskData, problems: Problems) -> FoldPredictions:
    task, fold = data.task, cells.fold
    codes: dict[Any, int] = {} if task.type == "multilabel" else {name: i for i, name in enumerate(task.classes)}
    if task.type != "multiclass":
        codes |= {0: 0, 1: 1, "0": 0, "1": 1}
    answers = "0 or 1" if task.type == "multilabel" else f"one of {', '.join(task.classes)}"
    y_pred = [codes.get(v) if isinstance(v, str | int | float) else None for v in cells.values.get("y_pred", ())]
    for i, code in enumerate(y_pred):
        if code is None:
            problems.add(f"y_pred is {show(cells.values['y_pred'][i])}, not {answers}", fold.label, cells.place(i))
    for i, score in enumerate(cells.values.get("y_score", ())):
        if not _is_score(score, task.type == "multiclass", len(task.classes)):
            numbers = f"{len(task.classes)} finite numbers" if task.type == "multiclass" else "a finite number"
            problems.add(f"y_score is {show(score)}, not {numbers}", fold.label, cells.place(i))
    for i, value in enumerate(cells.values.get("y_true", ())):
        if not isinstance(value, str | int | float) or codes.get(value) != cells.truth[i]:
            problems.add(f"y_true is {show(value)}, which is not the task's label there", fold.label, cells.place(i))
    if problems:
        return FoldPredictions(np.empty(0), np.empty(0))
    shape = (-1, len(task.classes)) if task.type == "multilabel" else (-1,)
    scores = cells.values["y_score"] if task.type != "multiclass" else []
    return FoldPredictions(
        np.array(y_pred, dtype=np.int64).reshape(shape), np.array(scores, dtype=float).reshape(shape if scores else -1)
    )


def _is_score(value: Any, by_class: bool, n_classes: int) -> bool:
    if by_class:
        return isinstance(value, list) and len(value) == n_classes and all(_is_score(v, False, 0) for v in value)
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond the range of a float
        return False


def other_protocol(protocol: Protocol) -> Protocol:
    """Return the protocol that is not `protocol`."""
    return "published" if protocol == "aligned" else "aligned"
