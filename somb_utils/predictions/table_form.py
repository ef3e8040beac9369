"""Prediction files with ids, Parquet or CSV: one row per tested id (and label, if multilabel), in any order."""

import csv
import zlib
from collections.abc import Sequence
from gzip import GzipFile
from io import BytesIO, StringIO
from itertools import islice, product
from typing import Any

import pyarrow as pa

from somb_utils.errors import SombError
from somb_utils.predictions.parquet_form import read_bounded
from somb_utils.predictions.problems import (
    Cells,
    OtherProtocol,
    Problems,
    check_stated,
    clipped,
    is_blank,
    show,
    tested_ids,
)
from somb_utils.tasks.splits import Fold
from somb_utils.tasks.task_data import TaskData

Columns = dict[str, list[Any]]
MAX_UNPACKED = 64 * 2**20
_COLUMNS = ("id", "fold", "label", "y_pred", "y_score", "y_true", "task", "protocol", "model")


def parse_parquet(content: bytes, data: TaskData) -> Columns:
    """Return the columns of a Parquet file; equal texts are one object."""
    table = read_bounded(content, _COLUMNS, lambda names: _chosen(names, data), _most_rows(data), MAX_UNPACKED)
    columns: Columns = {name: [] for name in table.column_names}
    for name, values in columns.items():
        for chunk in table[name].chunks:
            if pa.types.is_dictionary(chunk.type):
                words = chunk.dictionary.to_pylist()
                values += [None if code is None else words[code] for code in chunk.indices.to_pylist()]
            else:
                values += chunk.to_pylist()
    return columns


def parse_csv(content: bytes, data: TaskData) -> Columns:
    """Return the columns of a CSV file, as pandas or R write it; it may be packed with gzip."""
    if content.startswith(b"\x1f\x8b"):
        content = _unpacked(content)
    try:
        reader = csv.reader(StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        kept = set(_chosen([name for name in header if name], data))  # R names the column of its row names ""
        rows = list(islice(reader, _most_rows(data) + 1))
    except UnicodeDecodeError as error:
        raise SombError(f"is not UTF-8 text: byte {error.start} is {content[error.start]:#04x}") from None
    except csv.Error as error:
        raise SombError(f"is not CSV: {clipped(str(error))}") from None
    if len(rows) > _most_rows(data):
        raise SombError(f"has more rows than the {_most_rows(data):,} that are read")
    uneven = next((i for i, row in enumerate(rows) if len(row) != len(header)), None)
    if uneven is not None:
        raise SombError(f"row {uneven} has {len(rows[uneven])} values, the header {len(header)}; separate by commas")
    by_name = {name: [row[i] for row in rows] for i, name in enumerate(header) if name in kept}
    return {name: [_number(v) if name == "y_score" else _text(v) for v in values] for name, values in by_name.items()}


def _unpacked(content: bytes) -> bytes:
    try:
        with GzipFile(fileobj=BytesIO(content)) as stream:
            text = stream.read(MAX_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise SombError(f"is not readable gzip: {clipped(str(error))}") from None
    if len(text) > MAX_UNPACKED:
        raise SombError(f"unpacks to more than {MAX_UNPACKED >> 20} MB")
    return text


def _text(value: str) -> str | None:
    return None if value in ("", "NA") else value


def _number(value: str) -> float | str | None:
    try:
        return value if "_" in value else float(value)
    except ValueError:
        return _text(value)


def _most_rows(data: TaskData) -> int:
    n_labels = len(data.task.classes) if data.task.type == "multilabel" else 1
    return 2 * sum(len(fold.test) for fold in data.folds) * n_labels


def check_rows(columns: Columns, data: TaskData, other: OtherProtocol, problems: Problems) -> list[Cells]:
    """Return the values of each fold in the order of its test rows; add what is wrong with the rows to `problems`."""
    check_stated({name: columns[name] for name in ("task", "protocol") if name in columns}, data, problems)
    if len({show(value) for value in columns.get("model", ())}) > 1:
        problems.add("has predictions of several models; keep those of one")
        return []
    if data.task.type != "multilabel":
        for row, label in enumerate(columns.get("label", ())):
            if not is_blank(label):
                problems.add(f"has a label, but {data.task.id} is {data.task.type}", place=f"row {row}")
    ids_by_fold: dict[str, set[Any]] = {}
    for fold, ident in zip(map(_fold_label, columns["fold"]), columns["id"], strict=True):
        ids_by_fold.setdefault(fold, set()).add(ident)
    if ids_by_fold != tested_ids(data) and ids_by_fold == tested_ids(other()):
        problems.add_other_protocol(other().protocol, data)
        return []
    rows = _by_id(columns, data, problems)
    names = [name for name in ("y_pred", "y_score", "y_true") if name in columns]
    optional = {"multiclass": "y_score", "binary": "y_pred"}.get(data.task.type, "")
    if all(map(is_blank, columns.get(optional, ()))):
        names = [name for name in names if name != optional]
    return [_cells(data, fold, rows[fold.label], columns, names) for fold in data.folds]


def _chosen(names: list[str], data: TaskData) -> list[str]:
    needed = ["id", "fold"]
    needed += ["y_pred"] if data.task.type != "binary" else []
    needed += ["label"] if data.task.type == "multilabel" else []
    needed += ["y_score"] if data.task.type != "multiclass" else []
    wrong = [f"column '{name}' is missing" for name in needed if name not in names]
    wrong += [f"column '{name}' is duplicated" for name in _COLUMNS if names.count(name) > 1]
    unknown = [name for name in names if name not in _COLUMNS and not name.startswith("__index_level_")]
    wrong += [f"unknown column {show(name)} (known: {', '.join(_COLUMNS)})" for name in unknown]
    if wrong:
        raise SombError("; ".join(wrong))
    return [name for name in names if name in _COLUMNS]


def _by_id(columns: Columns, data: TaskData, problems: Problems) -> dict[str, dict[tuple[str, Any], int | None]]:
    """Return the row of each expected id and label (None unless multilabel) by fold; None where there is none."""
    multilabel = data.task.type == "multilabel"
    labels: list[Any] = list(data.task.classes) if multilabel else [None]
    ids = data.X.index.to_numpy(dtype=object)
    rows: dict[str, dict[tuple[str, Any], int | None]] = {
        fold.label: dict.fromkeys(product(ids[fold.test], labels)) for fold in data.folds
    }
    known = set(ids)
    row_labels = columns["label"] if multilabel else [None] * len(columns["id"])
    for row, (value, ident, label) in enumerate(zip(columns["fold"], columns["id"], row_labels, strict=True)):
        fold, place = _fold_label(value), f"row {row} (id {show(ident)})"
        if fold not in rows:
            problems.add(f"unknown fold {show(value)}; {data.task.id} has {', '.join(rows)}", place=f"row {row}")
        elif not isinstance(ident, str):
            problems.add("the id is missing" if is_blank(ident) else "the id is not text", fold, place)
        elif label not in labels:
            problems.add(f"unknown label {show(label)}", fold, place)
        elif (ident, label) not in rows[fold]:
            problems.add(f"not tested in this fold{'' if ident in known else ', nor a row of the task'}", fold, place)
        elif rows[fold][ident, label] is not None:
            problems.add(f"is duplicated{f' (label {show(label)})' if multilabel else ''}", fold, place)
        else:
            rows[fold][ident, label] = row
    for fold, expected in rows.items():
        absent = [key for key, row in expected.items() if row is None]
        if len(absent) == len(expected):
            problems.add("the fold is missing", fold)
            continue
        for ident, label in absent:
            problems.add("no prediction", fold, f"id {ident!r}{f' (label {label!r})' if multilabel else ''}")
    return rows


def _cells(data: TaskData, fold: Fold, rows: dict[Any, int | None], columns: Columns, names: Sequence[str]) -> Cells:
    present = [row for row in rows.values() if row is not None]
    values = {name: [columns[name][row] for row in present] for name in names}
    truth = data.codes[fold.test].ravel()[[row is not None for row in rows.values()]]
    return Cells(fold, values, truth, lambda i: f"row {present[i]} (id {show(columns['id'][present[i]])})")


def _fold_label(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
