"""Prediction files with ids, Parquet or CSV: one row per seed, fold and tested id (and label), in any order."""

import csv
import zlib
from collections.abc import Sequence
from gzip import GzipFile
from io import BytesIO, StringIO
from itertools import chain, islice, product
from typing import Any

import numpy as np
import pyarrow as pa

from somb_utils._seeds import SEED
from somb_utils.errors import SombError
from somb_utils.predictions.parquet_form import read_bounded
from somb_utils.predictions.problems import (
    MAX_SEEDS,
    NOT_A_SEED,
    Cells,
    Others,
    Problems,
    check_folds,
    check_seeds,
    check_stated,
    clipped,
    is_blank,
    missing_probabilities,
    needs_probabilities,
    seed_of,
    show,
    tested_ids,
)
from somb_utils.tasks.splits import Fold
from somb_utils.tasks.task_data import TaskData

Columns = dict[str, list[Any]]
MAX_UNPACKED = 64 * 2**20
_COLUMNS = ("id", "fold", "label", "y_pred", "y_score", "y_true", "task", "protocol", "model", "seed")
PROBABILITIES = "y_proba"  # in a run's table: the probabilities of all classes, as a list


def parse_parquet(content: bytes, data: TaskData) -> Columns:
    """Return the columns of a Parquet file; equal texts are one object."""
    known = _known(data)
    table = read_bounded(content, known, lambda names: _chosen(names, data), _most_rows(data), MAX_UNPACKED)
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
    numbers = {"y_score", "seed", *class_columns(data)}
    return {name: [_number(v) if name in numbers else _text(v) for v in values] for name, values in by_name.items()}


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
    return MAX_SEEDS * sum(len(fold.test) for fold in data.folds) * n_labels


def class_columns(data: TaskData) -> list[str]:
    """Return the columns of the class probabilities of a multiclass task, ``p[<class>]``."""
    return [f"p[{name}]" for name in data.task.classes] if data.task.type == "multiclass" else []


def check_rows(columns: Columns, data: TaskData, others: Others, problems: Problems) -> dict[tuple[int, int], Cells]:
    """Return the values of each seed and fold in the order of its test rows; add what is wrong to `problems`."""
    check_stated({name: columns[name] for name in ("task", "protocol") if name in columns}, data, problems)
    if len({show(value) for value in columns.get("model", ())}) > 1:
        problems.add("has predictions of several models; keep those of one")
        return {}
    for name, kind in (("label", "multilabel"), (PROBABILITIES, "multiclass")):
        for row, value in enumerate(columns.get(name, ()) if data.task.type != kind else ()):
            if not is_blank(value):
                problems.add(f"has a {name}, but {data.task.id} is {data.task.type}", place=f"row {row}")
    ids_by_fold: dict[str, set[Any]] = {}
    for label, ident in zip(map(_fold_label, columns["fold"]), columns["id"], strict=True):
        ids_by_fold.setdefault(label, set()).add(ident)
    is_other = ids_by_fold != tested_ids(data)
    if is_other and (fitting := [other for other in others() if ids_by_fold == tested_ids(other)]):
        problems.add_other_protocol(fitting, data)
        return {}
    if data.task.type == "multiclass":
        columns = _with_class_scores(columns, data)
        if needs_probabilities(data) and "y_score" not in columns:
            problems.add(missing_probabilities(data, ", ".join(class_columns(data))))
    names = [name for name in ("y_pred", "y_score", "y_true") if name in columns]
    if data.task.type == "binary" and all(map(is_blank, columns.get("y_pred", ()))):
        names = [name for name in names if name != "y_pred"]
    cells = {}
    for seed, positions in _by_seed(columns, problems).items():
        rows = _by_id(columns, positions, data, problems)
        for number, fold in enumerate(data.folds):
            if fold.label in rows:
                cells[seed, number] = _cells(data, fold, rows[fold.label], columns, names)
    check_folds(cells, data, problems)
    return dict(sorted(cells.items()))


def _with_class_scores(columns: Columns, data: TaskData) -> Columns:
    """Return the columns with the class probabilities, from wherever they are, as lists in ``y_score``."""
    if not all(map(is_blank, columns.get("y_score", ()))):
        return columns
    kept = {name: values for name, values in columns.items() if name != "y_score"}
    by_class = [columns[name] for name in class_columns(data) if name in columns]
    if not all(map(is_blank, chain(*by_class))):
        return {**kept, "y_score": [list(row) for row in zip(*by_class, strict=True)]}
    if all(map(is_blank, columns.get(PROBABILITIES, ()))):
        return kept
    rows = [row.tolist() if isinstance(row, np.ndarray) else row for row in columns[PROBABILITIES]]
    return {**kept, "y_score": rows}


def _by_seed(columns: Columns, problems: Problems) -> dict[int, list[int]]:
    """Return the positions of each seed's rows."""
    stated = columns.get("seed") or [SEED] * len(columns["id"])
    seeds = [seed_of(value) for value in stated]
    for row, seed in enumerate(seeds):
        if seed is None:
            problems.add(f"seed is {show(stated[row])}, {NOT_A_SEED}", place=f"row {row}")
    rows: dict[int, list[int]] = {seed: [] for seed in check_seeds(seed for seed in seeds if seed is not None)}
    for row, seed in enumerate(seeds):
        if seed is not None:
            rows[seed].append(row)
    return rows


def _chosen(names: list[str], data: TaskData) -> list[str]:
    needed = ["id", "fold"]
    needed += ["y_pred"] if data.task.type != "binary" else []
    needed += ["label"] if data.task.type == "multilabel" else []
    needed += ["y_score"] if data.task.type != "multiclass" else []
    known, by_class = _known(data), class_columns(data)
    if any(name in by_class for name in names) or (needs_probabilities(data) and PROBABILITIES not in names):
        needed += by_class
    wrong = [f"column '{name}' is missing" for name in needed if name not in names]
    wrong += [f"column '{name}' is duplicated" for name in known if names.count(name) > 1]
    unknown = [name for name in names if name not in known and not name.startswith("__index_level_")]
    wrong += [f"unknown column {show(name)} (known: {', '.join(known)})" for name in unknown]
    if wrong:
        raise SombError("; ".join(wrong))
    return [name for name in names if name in known]


def _known(data: TaskData) -> tuple[str, ...]:
    return (*_COLUMNS, *class_columns(data), PROBABILITIES)


def _by_id(
    columns: Columns, positions: Sequence[int], data: TaskData, problems: Problems
) -> dict[str, dict[tuple[str, Any], int | None]]:
    """Return the row of each id and label (None unless multilabel) of the folds that are there; None where none is."""
    seed = f"seed {seed_of(columns['seed'][positions[0]])}: " if positions and "seed" in columns else ""
    multilabel = data.task.type == "multilabel"
    labels: list[Any] = list(data.task.classes) if multilabel else [None]
    ids = data.X.index.to_numpy(dtype=object)
    rows: dict[str, dict[tuple[str, Any], int | None]] = {
        fold.label: dict.fromkeys(product(ids[fold.test], labels)) for fold in data.folds
    }
    known = set(ids)
    for row in positions:
        value, ident = columns["fold"][row], columns["id"][row]
        label = columns["label"][row] if multilabel else None
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
    present = {fold: expected for fold, expected in rows.items() if any(row is not None for row in expected.values())}
    for fold, expected in present.items():
        for ident, label in (key for key, row in expected.items() if row is None):
            problems.add(f"{seed}no prediction", fold, f"id {ident!r}{f' (label {label!r})' if multilabel else ''}")
    return present


def _cells(data: TaskData, fold: Fold, rows: dict[Any, int | None], columns: Columns, names: Sequence[str]) -> Cells:
    present = [row for row in rows.values() if row is not None]
    values = {name: [columns[name][row] for row in present] for name in names}
    truth = data.codes[fold.test].ravel()[[row is not None for row in rows.values()]]
    return Cells(fold, values, truth, lambda i: f"row {present[i]} (id {show(columns['id'][present[i]])})")


def _fold_label(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
