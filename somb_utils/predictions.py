"""Prediction files, one a task: read and checked to the last value, and written.

The published form is JSON, ``{"predictions": [{"split_idx": 0, "y_pred": […], "y_score": […]}]}``: an entry a fold,
counted from 0 (``split_idx`` for LOCO and LOTO, ``rep`` for the others), values in the order of the fold's test rows.
The Parquet form has one row a tested id (and label, if multilabel) with the columns ``id, fold, y_pred, y_score``, so
that nothing can be misaligned. `y_pred` is a class name, 0 or 1 in binary tasks, 0/1 by label in multilabel ones;
`y_score`, within 0 and 1, is that of the positive class or of each label. No metric of a multiclass task takes scores:
they may be left out there, or hold one a class.

Both forms may carry ``task``, ``protocol`` and ``y_true``, which are then checked.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from somb_utils.errors import SombError, UsageError
from somb_utils.load import TaskData
from somb_utils.splits import Fold
from somb_utils.tasks import Protocol

Form = Literal["json", "parquet"]
FORMS: tuple[Form, ...] = ("json", "parquet")
# The largest task needs 1 MB; a parsed file takes up to thirty times its size in memory.
MAX_BYTES = 64 * 2**20
TOLERANCE = 1e-6
_SHOWN = 20

_ENTRY_KEYS = {"split_idx", "rep", "y_pred", "y_score", "y_true"}
_COLUMNS = ("id", "fold", "label", "y_pred", "y_score", "y_true", "task", "protocol", "model")


@dataclass
class Problems:
    """What is wrong with one file; alike problems of a fold stand in one line, with their places."""

    file: str
    _places: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._places)

    def add(self, message: str, fold: str = "", place: str = "") -> None:
        """Note one problem."""
        self._places.setdefault((fold, message), []).append(place)

    def lines(self) -> list[str]:
        """Return one line a problem: file, fold, places, what is wrong."""
        return [
            ", ".join(part for part in (self.file, fold and f"fold {fold}", _listed(places)) if part) + f": {message}"
            for (fold, message), places in self._places.items()
        ]


@dataclass(frozen=True)
class FoldPredictions:
    """Predictions of one fold in the order of its test rows, as :class:`somb_utils.fit.Outcome` holds them."""

    y_pred: np.ndarray
    y_score: np.ndarray


@dataclass
class _Cells:
    """The values of one fold as written, label by label within a row if multilabel.

    `truth` holds the task's own codes for them, `place` says where the i-th stands in the file.
    """

    fold: Fold
    values: Mapping[str, Sequence[Any]]
    truth: np.ndarray
    place: Callable[[int], str]


OtherProtocol = Callable[[], TaskData]


def read_file(path: Path) -> bytes:
    """Return the bytes of a prediction file.

    Raises
    ------
    SombError
        If it is no regular file, larger than `MAX_BYTES` (it is then not read), or unreadable.
    """
    try:
        if not path.is_file():
            raise SombError("is not a regular file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SombError(f"is {size / 2**20:,.0f} MB large; predictions of a task take at most {MAX_BYTES >> 20} MB")
        return path.read_bytes()
    except OSError as error:
        raise SombError(f"cannot be read: {error.strerror}") from None


def decode(
    content: bytes, form: Form, data: TaskData, other: OtherProtocol, problems: Problems, notes: list[str]
) -> list[FoldPredictions]:
    """Read the predictions of one task.

    Parameters
    ----------
    content : the file's bytes.
    form : ``"json"`` or ``"parquet"``.
    data : the task the predictions are for.
    other : returns the same task in the other protocol, to tell predictions made for its folds.
    problems, notes : receive all that is wrong, and what the user should know though it is not.

    Returns
    -------
    list of FoldPredictions
        One a fold, in the order of ``data.folds``; meaningless if there are problems.
    """
    parse = _from_json if form == "json" else _from_parquet
    try:
        cells = parse(content, data, other, problems, notes)
    except SombError as error:
        problems.add(str(error))
        return []
    read = [_fold_predictions(one, data, problems) for one in cells]
    return read if not problems else []


def encode(predictions: pd.DataFrame, data: TaskData, form: Form) -> bytes:
    """Return a prediction file's bytes.

    Parameters
    ----------
    predictions : one model's rows of :attr:`somb_utils.results.RunResult.predictions` for this task.
    data : the task.
    form : ``"json"`` or ``"parquet"``.

    Raises
    ------
    UsageError
        If the form is unknown.
    SombError
        If a tested row has no prediction.

    Examples
    --------
    >>> import somb_utils as somb
    >>> data = somb.load_task("A1", source="simulated")
    >>> run = somb.run([data], ["majority"], n_jobs=1)
    >>> encode(run.predictions, data, "json")[:39]
    b'{"task": "A1", "protocol": "aligned", "'
    """
    if form not in FORMS:
        raise UsageError(f"unknown form '{form}'; it is one of {', '.join(FORMS)}")
    parts = [_ordered(predictions, data, fold) for fold in data.folds]
    if form == "parquet":
        columns = ["protocol", "fold", "id", "y_pred", "y_score"]
        if data.task.type == "multilabel":
            columns.insert(3, "label")
        stream = BytesIO()
        table = pa.Table.from_pandas(pd.concat(parts)[columns], preserve_index=False)
        pq.write_table(table, stream, compression="zstd", write_page_checksum=True)
        return stream.getvalue()
    key = _fold_key(data)
    entries = [{key: number, **_json_values(rows, data)} for number, rows in enumerate(parts)]
    return json.dumps({"task": data.task.id, "protocol": data.protocol, "predictions": entries}).encode()


def _ordered(predictions: pd.DataFrame, data: TaskData, fold: Fold) -> pd.DataFrame:
    rows = predictions[predictions["fold"] == fold.label]
    ids = data.X.index[fold.test]
    keys: Any = ids
    names = ["id"]
    if data.task.type == "multilabel":
        keys = pd.MultiIndex.from_product([ids, data.task.classes])
        names = ["id", "label"]
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
    shape = (-1, len(classes))
    return {
        "y_pred": rows["y_pred"].astype(int).to_numpy().reshape(shape).tolist(),
        "y_score": rows["y_score"].to_numpy().reshape(shape).tolist(),
    }


def _fold_key(data: TaskData) -> str:
    return "rep" if data.groups is None else "split_idx"


def _from_json(
    content: bytes, data: TaskData, other: OtherProtocol, problems: Problems, notes: list[str]
) -> list[_Cells]:
    document = _parse_json(content)
    if not isinstance(document, dict) or not isinstance(document.get("predictions"), list):
        raise SombError('is not of the form {"predictions": [ … ]}')
    stated = {key: [document[key]] for key in ("task", "protocol") if key in document}
    if "task_id" in document:
        stated.setdefault("task", []).append(document["task_id"])
    _check_stated(stated, data, problems)
    entries = _by_fold(document["predictions"], data, problems)
    lengths = {n: len(e["y_pred"]) for n, e in entries.items() if isinstance(e.get("y_pred"), list)}
    if lengths != _lengths(data) and lengths == _lengths(other()):
        problems.add(_other_folds(data, other()))
        return []
    if "protocol" not in document and _tests(data) != _tests(other()):
        notes.append(
            f'{problems.file} does not say for which protocol\'s folds it was made ("protocol": "{data.protocol}"), '
            f"and those of {data.task.id} differ: read as {data.protocol}"
        )
    return [_json_cells(entry, data, data.folds[number], problems) for number, entry in sorted(entries.items())]


def _parse_json(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise SombError(f"is not UTF-8 text: byte {error.start} is {content[error.start]:#04x}") from None
    except RecursionError:
        raise SombError("is nested too deeply to be a prediction file") from None
    except ValueError as error:
        raise SombError(f"is not JSON: {_clipped(str(error))}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {_show(next(n for n in names if names.count(n) > 1))} stands twice in one object")
    return made


def _by_fold(entries: list[Any], data: TaskData, problems: Problems) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for position, entry in enumerate(entries):
        place = f"entry {position}"
        if not isinstance(entry, dict):
            problems.add(f"is {_show(entry)}, not an object", place=place)
            continue
        keys = [key for key in ("split_idx", "rep") if key in entry]
        if len(keys) != 1:
            problems.add(f"names its fold {len(keys)} times; it needs '{_fold_key(data)}' once", place=place)
            continue
        number = entry[keys[0]]
        if type(number) is not int or not 0 <= number < len(data.folds):
            known = f"0 to {len(data.folds) - 1} ({', '.join(fold.label for fold in data.folds)})"
            problems.add(f"unknown fold {_show(number)}; {data.task.id} has {known}", place=place)
        elif number in found:
            problems.add("the fold stands twice", data.folds[number].label, place)
        else:
            found[number] = entry
            for key in sorted(set(entry) - _ENTRY_KEYS):
                problems.add(f"unknown key {_show(key)}; an entry has {', '.join(sorted(_ENTRY_KEYS))}", place=place)
    for number, fold in enumerate(data.folds):
        if number not in found:
            problems.add("the fold is missing", fold.label)
    return found


def _json_cells(entry: dict[str, Any], data: TaskData, fold: Fold, problems: Problems) -> _Cells:
    n, n_labels = len(fold.test), len(data.task.classes)
    values: dict[str, Sequence[Any]] = {}
    for name in ("y_pred", "y_score", "y_true"):
        given = entry.get(name)
        optional = name == "y_true" or (name == "y_score" and data.task.type == "multiclass")
        if given is None or (optional and given == []):
            if not optional:
                problems.add(f"{name} is missing", fold.label)
        elif not isinstance(given, list):
            problems.add(f"{name} is {_show(given)}, not a list", fold.label)
        elif len(given) != n:
            problems.add(f"{name} has {len(given)} values, the fold tests {n} rows", fold.label)
        elif data.task.type != "multilabel":
            values[name] = given
        else:
            wrong = [i for i, row in enumerate(given) if not isinstance(row, list) or len(row) != n_labels]
            for i in wrong:
                problems.add(f"{name} is not a row of {n_labels} values, one a label", fold.label, f"position {i}")
            if not wrong:
                values[name] = [value for row in given for value in row]
    labels = data.task.classes if data.task.type == "multilabel" else ()

    def place(i: int) -> str:
        return f"position {i // n_labels} ({labels[i % n_labels]})" if labels else f"position {i}"

    return _Cells(fold, values, data.codes[fold.test].ravel(), place)


def _from_parquet(
    content: bytes, data: TaskData, other: OtherProtocol, problems: Problems, notes: list[str]
) -> list[_Cells]:
    columns = _parse_parquet(content, data)
    _check_stated({name: columns[name] for name in ("task", "protocol") if name in columns}, data, problems)
    if len({_show(value) for value in columns.get("model", ())}) > 1:
        problems.add("holds predictions of several models; keep those of one")
        return []
    if data.task.type != "multilabel":
        for row, label in enumerate(columns.pop("label", ())):
            if not _blank(label):
                problems.add(f"has a label, but {data.task.id} is {data.task.type}", place=f"row {row}")
    given: dict[str, list[str]] = {}
    for fold, ident in zip(map(_fold_label, columns["fold"]), columns["id"], strict=True):
        given.setdefault(fold, []).append(ident if isinstance(ident, str) else "")
    named = {fold: frozenset(ids) for fold, ids in given.items()}
    if named != _tests(data) and named == _tests(other()):
        problems.add(_other_folds(data, other()))
        return []
    rows = _by_id(columns, data, problems)
    names = [name for name in ("y_pred", "y_score", "y_true") if name in columns]
    if data.task.type == "multiclass" and all(map(_blank, columns.get("y_score", ()))):
        names = [name for name in names if name != "y_score"]
    return [_parquet_cells(data, fold, rows[fold.label], columns, names) for fold in data.folds]


def _parse_parquet(content: bytes, data: TaskData) -> dict[str, list[Any]]:
    try:
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            _check_columns(names, data)
            n_due = sum(len(fold.test) for fold in data.folds) * len(data.task.classes)
            if file.metadata.num_rows > 10 * n_due:
                raise SombError(f"has {file.metadata.num_rows:,} rows; {data.task.id} needs at most {n_due:,}")
            size = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
            if size > MAX_BYTES:
                raise SombError(f"unpacks to {size / 2**20:,.0f} MB; predictions take at most {MAX_BYTES >> 20} MB")
            table = file.read([name for name in names if name in _COLUMNS], use_threads=False)
            odd = next((f for f in table.schema if not _is_plain(f.type)), None)
            if odd:
                raise SombError(f"column '{odd.name}' is of type {odd.type}; write text or numbers")
            return {name: table[name].to_pylist() for name in table.column_names}
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise SombError(f"is not a readable Parquet file: {_clipped(str(error))}") from None


def _is_plain(type_: pa.DataType) -> bool:
    if pa.types.is_dictionary(type_) or pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return _is_plain(type_.value_type)
    text = pa.types.is_string(type_) or pa.types.is_large_string(type_)
    number = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_boolean(type_)
    return text or number or pa.types.is_null(type_)


def _check_columns(names: list[str], data: TaskData) -> None:
    needed = ["id", "fold", "y_pred"]
    needed += ["label"] if data.task.type == "multilabel" else []
    needed += ["y_score"] if data.task.type != "multiclass" else []
    wrong = [f"column '{name}' is missing" for name in needed if name not in names]
    wrong += [f"column '{name}' stands twice" for name in _COLUMNS if names.count(name) > 1]
    unknown = [name for name in names if name not in _COLUMNS and not name.startswith("__index_level_")]
    wrong += [f"unknown column {_show(name)} (known: {', '.join(_COLUMNS)})" for name in unknown]
    if wrong:
        raise SombError("; ".join(wrong))


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
        fold, place = _fold_label(value), f"row {row} (id {_show(ident)})"
        label = columns["label"][row] if multilabel else None
        if fold not in rows:
            problems.add(f"unknown fold {_show(value)}; {data.task.id} has {', '.join(rows)}", place=f"row {row}")
        elif not isinstance(ident, str):
            problems.add("the id is missing" if _blank(ident) else "the id is not text", fold, place)
        elif multilabel and label not in data.task.classes:
            problems.add(f"unknown label {_show(label)}", fold, place)
        else:
            key = (ident, label) if multilabel else ident
            if key not in rows[fold]:
                problems.add(
                    f"not tested in this fold{'' if ident in known else ', nor a row of the task'}", fold, place
                )
            elif rows[fold][key] is not None:
                problems.add(f"stands twice{f' (label {_show(label)})' if multilabel else ''}", fold, place)
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
) -> _Cells:
    found = [row for row in rows.values() if row is not None]
    values = {name: [columns[name][row] for row in found] for name in names}
    truth = data.codes[fold.test].ravel()[[row is not None for row in rows.values()]]
    return _Cells(fold, values, truth, lambda i: f"row {found[i]} (id {_show(columns['id'][found[i]])})")


def _check_stated(stated: Mapping[str, list[Any]], data: TaskData, problems: Problems) -> None:
    for value in {_show(v): v for v in stated.get("task", ())}.values():
        if value != data.task.id:
            problems.add(f"says it is for task {_show(value)}")
    for value in {_show(v): v for v in stated.get("protocol", ())}.values():
        if value != data.protocol:
            problems.add(f"was made in protocol {_show(value)}, this is {data.protocol}; see --protocol")


def _fold_predictions(cells: _Cells, data: TaskData, problems: Problems) -> FoldPredictions:
    task, fold = data.task, cells.fold
    codes: dict[Any, int] = {} if task.type == "multilabel" else {name: i for i, name in enumerate(task.classes)}
    if task.type != "multiclass":
        codes |= {0: 0, 1: 1, "0": 0, "1": 1}
    due = "0 or 1" if task.type == "multilabel" else f"one of {', '.join(task.classes)}"
    y_pred = [codes.get(v) if isinstance(v, str | int | float) else None for v in cells.values.get("y_pred", ())]
    for i, code in enumerate(y_pred):
        if code is None:
            shown = _show(cells.values["y_pred"][i])
            problems.add(f"y_pred is {shown}, not {due}", fold.label, cells.place(i))
    for i, score in enumerate(cells.values.get("y_score", ())):
        if not _is_score(score, task.type == "multiclass", len(task.classes)):
            due_score = f"{len(task.classes)} numbers" if task.type == "multiclass" else "a number"
            problems.add(f"y_score is {_show(score)}, not {due_score} within 0 and 1", fold.label, cells.place(i))
    for i, value in enumerate(cells.values.get("y_true", ())):
        if not isinstance(value, str | int | float) or codes.get(value) != cells.truth[i]:
            problems.add(f"y_true is {_show(value)}, which is not the task's label there", fold.label, cells.place(i))
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
    return isinstance(value, int | float) and not isinstance(value, bool) and -TOLERANCE <= value <= 1 + TOLERANCE


def _tests(data: TaskData) -> dict[str, frozenset[str]]:
    ids = data.X.index.to_numpy(dtype=object)
    return {fold.label: frozenset(ids[fold.test]) for fold in data.folds}


def _lengths(data: TaskData) -> dict[int, int]:
    return {number: len(fold.test) for number, fold in enumerate(data.folds)}


def _other_folds(data: TaskData, other: TaskData) -> str:
    return f"was made for the folds of protocol {other.protocol}, this is {data.protocol}; see --protocol"


def other_protocol(protocol: Protocol) -> Protocol:
    """Return the protocol that is not `protocol`."""
    return "published" if protocol == "aligned" else "aligned"


def _fold_label(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _listed(places: list[str]) -> str:
    shown = ", ".join(place for place in places[:_SHOWN] if place)
    return f"{shown} and {len(places) - _SHOWN:,} more" if len(places) > _SHOWN else shown


def _show(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str | int | float):
        return _clipped(repr(value))
    return f"of type {type(value).__name__}"


def _clipped(text: str) -> str:
    text = " ".join(text.encode("utf-8", "backslashreplace").decode().split())
    return text if len(text) <= 120 else f"{text[:117]}..."
