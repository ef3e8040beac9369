"""Prediction files, one per task: read and checked to the last value, and written.

The published form is JSON, ``{"predictions": [{"split_idx": 0, "y_pred": […], "y_score": […]}]}``: one entry per fold,
counted from 0 (``split_idx`` for LOCO and LOTO, ``rep`` for the others), values in the order of the fold's test rows.
The Parquet and CSV forms have one row per tested id (and label, if multilabel) with the columns ``id, fold, y_pred,
y_score``, so that nothing can be misaligned. `y_pred` is a class name, 0 or 1 in binary tasks, 0/1 by label in
multilabel ones; `y_score`, any finite number, is that of the positive class or of each label. A binary task may leave
out `y_pred`: its F1 is that of `y_score` at 0.5 if all scores lie within 0 and 1, else that of `y_pred`, and is left
out without it.

A multiclass task needs class probabilities under the protocol ``rigorous``, and may have them under the others: one
column ``p[<class>]`` per class, or a list per row as `y_score` in JSON, in the order of the classes. Scores that do not
add up to 1 rank the rows, and have no log loss.

A fold may be predicted with several seeds of one model: in a column ``seed``, or, in JSON, with one entry per seed and
fold. Every fold needs at least one, with all of its rows.

All forms may carry ``task``, ``protocol`` and ``y_true``, which are then checked.
"""

import gzip
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from somb_utils._seeds import SEED
from somb_utils.errors import SombError, UsageError
from somb_utils.predictions.json_form import fold_key, read_json
from somb_utils.predictions.problems import Cells, Others, Problems, needs_probabilities, show
from somb_utils.predictions.table_form import Columns, check_rows, class_columns, parse_csv, parse_parquet
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

    `y_pred` of a binary task is empty if the file lacks it and the scores, not being within 0 and 1, do not imply it;
    `y_score` of a multiclass task is empty if the file lacks it.
    """

    y_pred: np.ndarray
    y_score: np.ndarray


Predictions = dict[tuple[int, int], FoldPredictions]  # of one task, by seed and number of the fold


def decode(
    content: bytes, form: Form, data: TaskData, others: Others, problems: Problems, notes: list[str]
) -> Predictions:
    """Return the predictions of one task, by seed and number of the fold; empty if there are problems.

    `others` returns the same task under the other protocols, to recognise predictions made for their folds. Errors go
    to `problems`, and what the user should know though it is not wrong to `notes`.
    """
    try:
        if form == "json":
            cells = read_json(content, data, others, problems, notes)
        else:
            parse = parse_parquet if form == "parquet" else parse_csv
            cells = check_rows(parse(content, data), data, others, problems)
    except SombError as error:
        problems.add(str(error))
        return {}
    predictions = _predictions(cells, data, problems)
    folds = predictions.values()
    if data.task.type == "binary" and folds and not are_probabilities(folds):
        f1 = "F1 is that of y_pred" if all(len(fold.y_pred) for fold in folds) else "without y_pred, F1 is left out"
        notes.append(f"{problems.file}: y_score is not within 0 and 1: it ranks the rows and is no probability; {f1}")
    by_class = [fold.y_score for fold in folds if data.task.type == "multiclass" and fold.y_score.size]
    if not all(np.allclose(scores.sum(axis=1), 1, atol=TOLERANCE) for scores in by_class):
        notes.append(f"{problems.file}: class scores do not add up to 1 in every row: they rank, without log loss")
    return predictions


def check(columns: Columns, data: TaskData, others: Others, problems: Problems) -> Predictions:
    """Return the predictions of each seed and fold from columns in memory, as :func:`decode` does from bytes."""
    try:
        return _predictions(check_rows(columns, data, others, problems), data, problems)
    except SombError as error:
        problems.add(str(error))
        return {}


def are_probabilities(folds: Iterable[FoldPredictions]) -> bool:
    """Return whether all scores lie within 0 and 1."""
    return all(((fold.y_score >= -TOLERANCE) & (fold.y_score <= 1 + TOLERANCE)).all() for fold in folds)


def _predictions(cells: Mapping[tuple[int, int], Cells], data: TaskData, problems: Problems) -> Predictions:
    folds = {key: _fold_predictions(one, data, problems) for key, one in cells.items()}
    if problems or data.task.type == "multilabel":
        return {} if problems else folds
    if data.task.type == "multiclass":
        if all(fold.y_score.size and fold.y_score.min() >= 0 for fold in folds.values()):
            return folds
        return {key: replace(fold, y_score=np.empty(0)) for key, fold in folds.items()}
    if are_probabilities(folds.values()):
        return {key: _answered(fold) for key, fold in folds.items()}
    absent = [cells[key].fold.label for key, fold in folds.items() if not len(fold.y_pred)]
    if 0 < len(absent) < len(folds):
        problems.add("y_pred is missing; give it in every fold, or in none", absent[0])
        return {}
    return folds


def _answered(fold: FoldPredictions) -> FoldPredictions:
    return fold if len(fold.y_pred) else replace(fold, y_pred=(fold.y_score >= 0.5).astype(np.int64))


def encode(predictions: pd.DataFrame, data: TaskData, form: Form) -> bytes:
    """Return a prediction file's bytes.

    >>> import somb_utils as somb
    >>> data = somb.load_task("A1", source="simulated")
    >>> run = somb.run([data], ["majority"], n_jobs=1)
    >>> encode(run.predictions, data, "json")[:39]
    b'{"task": "A1", "protocol": "rigorous", '
    """
    if form not in FORMS:
        raise UsageError(f"unknown form '{form}'; it is one of {', '.join(FORMS)}")
    predictions = predictions if "seed" in predictions else predictions.assign(seed=SEED)
    parts = {}
    for number, fold in enumerate(data.folds):
        rows = predictions[predictions["fold"] == fold.label]
        for seed in rows["seed"].unique().tolist() or [SEED]:
            parts[seed, number] = ordered(rows[rows["seed"] == seed], data, fold)
    several = {seed for seed, _ in parts} != {SEED}
    if form == "json":
        entries = [
            {fold_key(data): number, **({"seed": seed} if several else {}), **_json_values(rows, data)}
            for (seed, number), rows in parts.items()
        ]
        return json.dumps({"task": data.task.id, "protocol": data.protocol, "predictions": entries}).encode()
    table = pd.concat(parts.values())
    columns = ["protocol", *(["seed"] if several else []), "fold", "id", "y_pred"]
    if data.task.type == "multilabel":
        columns.insert(-1, "label")
    if data.task.type != "multiclass":
        columns.append("y_score")
    elif table["y_proba"].notna().all():
        table[class_columns(data)] = np.stack(table["y_proba"].tolist())
        columns += class_columns(data)
    if form != "parquet":
        text = table[columns].to_csv(index=False, lineterminator="\n").encode()
        return gzip.compress(text, mtime=0) if form == "csv.gz" else text
    stream = BytesIO()
    arrow = pa.Table.from_pandas(table[columns], preserve_index=False)
    pq.write_table(arrow, stream, compression="zstd", write_page_checksum=True)
    return stream.getvalue()


def explained(loaded: Sequence[TaskData], form: Form) -> str:
    """Return what a folder of prediction files says of them, as Markdown."""
    protocol, is_json = loaded[0].protocol, form == "json"
    several = "one entry per seed and fold, with the key `seed`" if is_json else "a column `seed`"
    lines = [
        f"# Predictions under the protocol {protocol}\n",
        "Each file has the most common training answer in every row. Replace the values, then run `somb evaluate` on "
        f"this folder with `--protocol {protocol}`.\n",
        "One entry per fold, counted from 0 as `split_idx` or `rep`, values in the order of the fold's test rows."
        if is_json
        else "One row per fold and tested id (and label, in multilabel tasks), in any order.",
        f"Several seeds of one model: {several}. Every fold needs one seed at least.\n",
    ]
    for data in loaded:
        lines.append(f"- {data.task.id} ({data.task.metrics.primary}): {_values(data, is_json)}")
    return "\n".join(lines) + "\n"


def _values(data: TaskData, is_json: bool) -> str:
    """Return the meaning of a task's `y_pred` and `y_score`."""
    classes = ", ".join(data.task.classes)
    if data.task.type == "binary":
        return (
            f"`y_score` of the class {data.task.classes[1]}; `y_pred` may be left out where scores are probabilities."
        )
    if data.task.type == "multilabel":
        return f"`y_pred` (0 or 1) and `y_score` of each label: {classes}."
    need = "needed" if needs_probabilities(data) else "optional"
    where = f"`y_score`, a list per row in the order {classes}" if is_json else ", ".join(class_columns(data))
    return f"`y_pred` is one of {classes}; class probabilities ({need}) are {where}."


def ordered(rows: pd.DataFrame, data: TaskData, fold: Fold) -> pd.DataFrame:
    """Return the prediction rows of one model, seed and fold in the order of the fold's test rows (and labels)."""
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
        answers = {"y_pred": rows["y_pred"].tolist()}
        if data.protocol == "published" or rows["y_proba"].isna().any():
            return answers
        return {**answers, "y_score": [list(row) for row in rows["y_proba"]]}
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
        for problem in _class_problems(score, data) if task.type == "multiclass" else _score_problems(score):
            problems.add(problem, fold.label, cells.place(i))
    for i, value in enumerate(cells.values.get("y_true", ())):
        if not isinstance(value, str | int | float) or codes.get(value) != cells.truth[i]:
            problems.add(f"y_true is {show(value)}, which is not the task's label there", fold.label, cells.place(i))
    if problems:
        return FoldPredictions(np.empty(0), np.empty(0))
    shape = (-1, len(task.classes)) if task.type == "multilabel" else (-1,)
    scores = np.array(cells.values.get("y_score", ()), dtype=float)
    return FoldPredictions(
        np.array(y_pred, dtype=np.int64).reshape(shape), scores if task.type == "multiclass" else scores.reshape(shape)
    )


def _class_problems(scores: Any, data: TaskData) -> Iterator[str]:
    """Say what is wrong with one row's scores of the classes; they may be negative where they are not used."""
    classes = data.task.classes
    if not isinstance(scores, list) or len(scores) != len(classes):
        yield f"y_score is {show(scores)}, not {len(classes)} finite numbers, one for each of {', '.join(classes)}"
        return
    for name, value in zip(classes, scores, strict=True):
        if not _is_finite(value):
            yield f"the probability of {name} is {show(value)}, not a finite number"
        elif value < 0 and needs_probabilities(data):
            yield f"the probability of {name} is {show(value)}; give 0 or more"


def _score_problems(score: Any) -> Iterator[str]:
    if not _is_finite(score):
        yield f"y_score is {show(score)}, not a finite number"


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond the range of a float
        return False
