"""Prediction files with ids: Parquet, one row a tested id (and label, if multilabel), in any order."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from somb_utils.cells import Cells, OtherProtocol, Problems, check_stated, is_blank, other_folds, show, tested_ids
from somb_utils.errors import SombError
from somb_utils.load import TaskData
from somb_utils.parquet import read_bounded
from somb_utils.splits import Fold

MAX_UNPACKED = 64 * 2**20
_COLUMNS = ("id", "fold", "label", "y_pred", "y_score", "y_true", "task", "protocol", "model")


def read_parquet(
    content: bytes, data: TaskData, other: OtherProtocol, problems: Problems, notes: list[str]
) -> list[Cells]:
    columns = _parse_parquet(content, data)
    check_stated({name: columns[name] for name in ("task", "protocol") if name in columns}, data, problems)
    if len({show(value) for value in columns.get("model", ())}) > 1:
        problems.add("holds predictions of several models; keep those of one")
        return []
    if data.task.type != "multilabel":
        for row, label in enumerate(columns.pop("label", ())):
            if not is_blank(label):
                problems.add(f"has a label, but {data.task.id} is {data.task.type}", place=f"row {row}")
    given: dict[str, list[str]] = {}
    for fold, ident in zip(map(_fold_label, columns["fold"]), columns["id"], strict=True):
        given.setdefault(fold, []).append(ident if isinstance(ident, str) else "")
    named = {fold: frozenset(ids) for fold, ids in given.items()}
    if named != tested_ids(data) and named == tested_ids(other()):
        problems.add(other_folds(data, other()))
        return []
    rows = _by_id(columns, data, problems)
    names = [name for name in ("y_pred", "y_score", "y_true") if name in columns]
    if data.task.type == "multiclass" and all(map(is_blank, columns.get("y_score", ()))):
        names = [name for name in names if name != "y_score"]
    return [_parquet_cells(data, fold, rows[fold.label], columns, names) for fold in data.folds]


def _parse_parquet(content: bytes, data: TaskData) -> dict[str, list[Any]]:
    n_labels = len(data.task.classes) if data.task.type == "multilabel" else 1
    n_due = sum(len(fold.test) for fold in data.folds) * n_labels
    table = read_bounded(content, lambda names: _chosen(names, data), 2 * n_due, MAX_UNPACKED)
    return {name: _values(table[name]) for name in table.column_names}


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column's values; texts that are equal are one object."""
    if not pa.types.is_dictionary(column.type):
        return column.to_pylist()
    values: list[Any] = []
    for chunk in column.chunks:
        words = chunk.dictionary.to_pylist()
        values += [None if place is None else words[place] for place in chunk.indices.to_pylist()]
    return values


def _chosen(names: list[str], data: TaskData) -> list[str]:
    needed = ["id", "fold", "y_pred"]
    needed += ["label"] if data.task.type == "multilabel" else []
    needed += ["y_score"] if data.task.type != "multiclass" else []
    wrong = [f"column '{name}' is missing" for name in needed if name not in names]
    wrong += [f"column '{name}' stands twice" for name in _COLUMNS if names.count(name) > 1]
    unknown = [name for name in names if name not in _COLUMNS and not name.startswith("__index_level_")]
    wrong += [f"unknown column {show(name)} (known: {', '.join(_COLUMNS)})" for name in unknown]
    if wrong:
        raise SombError("; ".join(wrong))
    return [name for name in names if name in _COLUMNS]


def _by_id(columns: dict[str, list[Any]], data: TaskData, problems: Problems) -> dict[str, dict[Any, int | None]]:
    """Return the row of each expected key (id, or id and label) by fold; None where there is none."""
    multilabel = data.task.type == "multilabel"
    ids = data.X.index.to_numpy(dtype=object)
    rows: dict[str, dict[Any, int | None]] = {
        fold.label: dict.fromkeys(
            [(i, label) for i in ids[fold.test] for label in data.task.classes] if multilabel else ids[fold.test]
        )
        for fold in data.folds
    }
    known = set(ids)
    for row, (value, ident) in enumerate(zip(columns["fold"], columns["id"], strict=True)):
        fold, place = _fold_label(value), f"row {row} (id {show(ident)})"
        label = columns["label"][row] if multilabel else None
        if fold not in rows:
            problems.add(f"unknown fold {show(value)}; {data.task.id} has {', '.join(rows)}", place=f"row {row}")
        elif not isinstance(ident, str):
            problems.add("the id is missing" if is_blank(ident) else "the id is not text", fold, place)
        elif multilabel and label not in data.task.classes:
            problems.add(f"unknown label {show(label)}", fold, place)
        else:
            key = (ident, label) if multilabel else ident
            if key not in rows[fold]:
                problems.add(
                    f"not tested in this fold{'' if ident in known else ', nor a row of the task'}", fold, place
                )
            elif rows[fold][key] is not None:
                problems.add(f"stands twice{f' (label {show(label)})' if multilabel else ''}", fold, place)
            else:
                rows[fold][key] = row
    for fold, expected in rows.items():
        absent = [key for key, row in expected.items() if row is None]
        if len(absent) == len(expected):
            problems.add("the fold is missing", fold)
        else:
            for key in absent:
                problems.add(
                    "no prediction", fold, f"id {key[0]!r} (label {key[1]!r})" if multilabel else f"id {key!r}"
                )
    return rows


def _parquet_cells(
    data: TaskData, fold: Fold, rows: dict[Any, int | None], columns: dict[str, list[Any]], names: Sequence[str]
) -> Cells:
    found = [row for row in rows.values() if row is not None]
    values = {name: [columns[name][row] for row in found] for name in names}
    truth = data.codes[fold.test].ravel()[[row is not None for row in rows.values()]]
    return Cells(fold, values, truth, lambda i: f"row {found[i]} (id {show(columns['id'][found[i]])})")


def _fold_label(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
