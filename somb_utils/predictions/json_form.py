"""Prediction files in the published form: JSON, one entry per (seed and) fold, values in the order of its test rows."""

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from somb_utils._seeds import SEED
from somb_utils.errors import SombError
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
    missing_probabilities,
    needs_probabilities,
    seed_of,
    show,
    tested_ids,
)
from somb_utils.tasks.splits import Fold
from somb_utils.tasks.task_data import TaskData

_ENTRY_KEYS = {"split_idx", "rep", "seed", "y_pred", "y_score", "y_true"}
_OPTIONAL = {("y_pred", "binary"), ("y_score", "multiclass")}
Entries = dict[tuple[int, int], dict[str, Any]]  # by seed and number of the fold


def read_json(
    content: bytes, data: TaskData, others: Others, problems: Problems, notes: list[str]
) -> dict[tuple[int, int], Cells]:
    """Return the values of each seed and fold of a file in the published form; add what is wrong to `problems`."""
    document = _parse_json(content)
    if not isinstance(document, dict) or not isinstance(document.get("predictions"), list):
        raise SombError('is not of the form {"predictions": [ … ]}')
    stated = {key: _unboxed(document[key]) for key in ("task", "task_id", "protocol") if key in document}
    tasks = [value for key, value in stated.items() if key != "protocol"]
    check_stated({"task": tasks, "protocol": [stated["protocol"]] if "protocol" in stated else []}, data, problems)
    if len(document["predictions"]) > MAX_SEEDS * len(data.folds):
        raise SombError(f"has {len(document['predictions']):,} entries; {data.task.id} has {len(data.folds)} folds")
    lengths = _lengths(document["predictions"])
    fits = partial(_fits, lengths)
    if not fits(data) and (fitting := list(filter(fits, others()))):
        problems.add_other_protocol(fitting, data)
        return {}
    entries = _by_fold(document["predictions"], data, problems)
    if "protocol" not in document and any(tested_ids(data) != tested_ids(other) for other in others()):
        notes.append(
            f'{problems.file} does not say for which protocol\'s folds it was made ("protocol": "{data.protocol}"), '
            f"and those of {data.task.id} differ: read as {data.protocol}"
        )
    return {key: _json_cells(entry, data, data.folds[key[1]], problems) for key, entry in sorted(entries.items())}


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


def _fold_number(value: Any) -> Any:
    """Return the number of a fold, which R writes as a double."""
    value = _unboxed(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _by_fold(entries: list[Any], data: TaskData, problems: Problems) -> Entries:
    entry_of: Entries = {}
    for position, entry in enumerate(entries):
        place = f"entry {position}"
        if not isinstance(entry, dict):
            problems.add(f"is {show(entry)}, not an object", place=place)
            continue
        keys = [key for key in ("split_idx", "rep") if key in entry]
        if len(keys) != 1:
            problems.add(f"names its fold {len(keys)} times; it needs '{fold_key(data)}' once", place=place)
            continue
        number, seed = _fold_number(entry[keys[0]]), seed_of(_unboxed(entry.get("seed", SEED)))
        if type(number) is not int or not 0 <= number < len(data.folds):
            known = f"0 to {len(data.folds) - 1} ({', '.join(fold.label for fold in data.folds)})"
            problems.add(f"unknown fold {show(number)}; {data.task.id} has {known}", place=place)
        elif seed is None:
            problems.add(f"seed is {show(_unboxed(entry['seed']))}, {NOT_A_SEED}", place=place)
        elif (seed, number) in entry_of:
            problems.add("the fold is duplicated", data.folds[number].label, place)
        else:
            entry_of[seed, number] = entry
            for key in sorted(set(entry) - _ENTRY_KEYS):
                problems.add(f"unknown key {show(key)}; an entry has {', '.join(sorted(_ENTRY_KEYS))}", place=place)
    check_seeds(seed for seed, _ in entry_of)
    check_folds(entry_of, data, problems)
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
            if name == "y_score" and needs_probabilities(data):
                remedy = f"y_score, a list per row, one value for each of {', '.join(data.task.classes)}"
                problems.add(missing_probabilities(data, remedy), fold.label)
            elif not optional:
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
        seed = f"seed {show(_unboxed(entry['seed']))} " if "seed" in entry else ""
        if data.task.type != "multilabel":
            return f"{seed}position {i}"
        return f"{seed}position {i // n_labels} ({data.task.classes[i % n_labels]})"

    return Cells(fold, values, data.codes[fold.test].ravel(), place)


def _fits(lengths: dict[int, int], data: TaskData) -> bool:
    return lengths == {number: len(fold.test) for number, fold in enumerate(data.folds)}


def _lengths(entries: list[Any]) -> dict[int, int]:
    """Return the number of values of each fold, as far as entries have the expected form."""
    lengths = {}
    for entry in entries:
        if isinstance(entry, dict):
            number = _fold_number(entry.get("split_idx", entry.get("rep")))
            values = entry.get("y_pred") or entry.get("y_score")
            if type(number) is int and isinstance(values, list):
                lengths[number] = len(values)
    return lengths


def fold_key(data: TaskData) -> str:
    """Return the key that names an entry's fold."""
    return "rep" if data.groups is None else "split_idx"
