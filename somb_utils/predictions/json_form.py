"""Prediction files in the published form: JSON, one entry per fold, values in the order of its test rows."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from somb_utils.errors import SombError
from somb_utils.predictions.problems import Cells, OtherProtocol, Problems, check_stated, clipped, show, tested_ids
from somb_utils.tasks.splits import Fold
from somb_utils.tasks.task_data import TaskData

_ENTRY_KEYS = {"split_idx", "rep", "y_pred", "y_score", "y_true"}
_OPTIONAL = {("y_pred", "binary"), ("y_score", "multiclass")}


def read_json(
    content: bytes, data: TaskData, other: OtherProtocol, problems: Problems, notes: list[str]
) -> list[Cells]:
    """Return the values of each fold of a file in the published form; add what is wrong to `problems`."""
    document = _parse_json(content)
    if not isinstance(document, dict) or not isinstance(document.get("predictions"), list):
        raise SombError('is not of the form {"predictions": [ … ]}')
    stated = {key: _unboxed(document[key]) for key in ("task", "task_id", "protocol") if key in document}
    tasks = [value for key, value in stated.items() if key != "protocol"]
    check_stated({"task": tasks, "protocol": [stated["protocol"]] if "protocol" in stated else []}, data, problems)
    if len(document["predictions"]) > 2 * len(data.folds):
        raise SombError(f"has {len(document['predictions']):,} entries; {data.task.id} has {len(data.folds)} folds")
    entries = _by_fold(document["predictions"], data, problems)
    values = {n: e.get("y_pred") or e.get("y_score") for n, e in entries.items()}
    lengths = {n: len(value) for n, value in values.items() if isinstance(value, list)}
    if lengths != _lengths(data) and lengths == _lengths(other()):
        problems.add_other_protocol(other().protocol, data)
        return []
    if "protocol" not in document and tested_ids(data) != tested_ids(other()):
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
        raise SombError(f"is not JSON: {clipped(str(error))}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    duplicated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if duplicated:
        raise ValueError(f"the key {show(duplicated[0])} is duplicated in one object")
    return dict(pairs)


def _unboxed(value: Any) -> Any:
    """Return the element of a list of one: R's jsonlite writes each single value as one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _by_fold(entries: list[Any], data: TaskData, problems: Problems) -> dict[int, dict[str, Any]]:
    entry_of: dict[int, dict[str, Any]] = {}
    for position, entry in enumerate(entries):
        place = f"entry {position}"
        if not isinstance(entry, dict):
            problems.add(f"is {show(entry)}, not an object", place=place)
            continue
        keys = [key for key in ("split_idx", "rep") if key in entry]
        if len(keys) != 1:
            problems.add(f"names its fold {len(keys)} times; it needs '{fold_key(data)}' once", place=place)
            continue
        number = _unboxed(entry[keys[0]])
        if isinstance(number, float) and number.is_integer():  # R writes whole numbers as doubles
            number = int(number)
        if type(number) is not int or not 0 <= number < len(data.folds):
            known = f"0 to {len(data.folds) - 1} ({', '.join(fold.label for fold in data.folds)})"
            problems.add(f"unknown fold {show(number)}; {data.task.id} has {known}", place=place)
        elif number in entry_of:
            problems.add("the fold is duplicated", data.folds[number].label, place)
        else:
            entry_of[number] = entry
            for key in sorted(set(entry) - _ENTRY_KEYS):
                problems.add(f"unknown key {show(key)}; an entry has {', '.join(sorted(_ENTRY_KEYS))}", place=place)
    for number, fold in enumerate(data.folds):
        if number not in entry_of:
            problems.add("the fold is missing", fold.label)
    return entry_of


def _json_cells(entry: dict[str, Any], data: TaskData, fold: Fold, problems: Problems) -> Cells:
    n, n_labels = len(fold.test), len(data.task.classes)
    values: dict[str, Sequence[Any]] = {}
    for name in ("y_pred", "y_score", "y_true"):
        column = entry.get(name)
        if n == 1 and isinstance(column, str | int | float):  # jsonlite may write a vector of one as its value
            column = [column]
        optional = (name, data.task.type) in _OPTIONAL or name == "y_true"
        if column is None or (optional and column == []):
            if not optional:
                problems.add(f"{name} is missing", fold.label)
        elif not isinstance(column, list):
            problems.add(f"{name} is {show(column)}, not a list", fold.label)
        elif len(column) != n:
            problems.add(f"{name} has {len(column)} values, the fold tests {n} rows", fold.label)
        elif data.task.type != "multilabel":
            values[name] = column
        else:
            wrong = [i for i, row in enumerate(column) if not isinstance(row, list) or len(row) != n_labels]
            for i in wrong:
                problems.add(f"{name} is not a row of {n_labels} values, one per label", fold.label, f"position {i}")
            if not wrong:
                values[name] = [value for row in column for value in row]

    def place(i: int) -> str:
        if data.task.type != "multilabel":
            return f"position {i}"
        return f"position {i // n_labels} ({data.task.classes[i % n_labels]})"

    return Cells(fold, values, data.codes[fold.test].ravel(), place)


def _lengths(data: TaskData) -> dict[int, int]:
    return {number: len(fold.test) for number, fold in enumerate(data.folds)}


def fold_key(data: TaskData) -> str:
    """Return the key that names an entry's fold."""
    return "rep" if data.groups is None else "split_idx"
