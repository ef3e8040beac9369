"""The file of a user's own task: a first version from a table, and every fault of it and its tables."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from somb_utils.errors import UsageError
from somb_utils.paths import DATA, replacing
from somb_utils.tables.checks import numbers
from somb_utils.tables.own import OwnFolders
from somb_utils.tables.sources import SourceLike
from somb_utils.tasks._files import is_file
from somb_utils.tasks.day import is_phase_task
from somb_utils.tasks.definitions import Task, check_own_id, get_task
from somb_utils.tasks.recipes import TaskType
from somb_utils.tasks.recipes._assembly import class_names, quoted
from somb_utils.tasks.task_data import TaskData, load_task
from somb_utils.tasks.task_metrics import OWN

_EXAMPLE = {"table": "blood", "id": "sample", "label": "condition", "groups": "person", "classes": ["ground", "flight"]}


def new_task(
    file: Path, table: Path | None = None, label: str | None = None, groups: str | None = None, id: str | None = None
) -> None:
    """Write an annotated definition: an example, or that of a CSV file whose columns are named.

    The identifier is in the first column unless `id` names it; other columns of text are left out.
    """
    if file.exists():
        raise UsageError(f"{file} exists already; name another file")
    if file.suffix != ".json":
        raise UsageError(f"'{file}': the file of a task ends in .json")
    name = re.sub(r"[^A-Za-z0-9_-]", "_", re.sub(r"^[^A-Za-z]+", "", file.stem))[:64] or "own"
    check_own_id(name, str(file))
    if table is None and (label, groups, id) != (None, None, None):
        raise UsageError("--label, --groups and --id name columns of a table; name the table with --table")
    facts = dict(_EXAMPLE) if table is None else _facts(table, label, groups, id)
    kind: TaskType = "binary" if len(facts["classes"]) == 2 else "multiclass"
    primary, *secondary = OWN[kind]
    values = {
        **{name: facts.get(name) for name in ("table", "label", "groups", "leave_out", "classes")},
        **{"id": name, "column": facts["id"], "type": kind, "primary": primary, "secondary": secondary},
        "split": "loco" if facts["groups"] else "cv5x5",
    }
    text = (DATA / "own_task.json").read_text(encoding="utf-8")
    filled = {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
    with replacing(file) as temporary:
        temporary.write_text(Template(text).substitute(filled, file=file.name), encoding="utf-8")


def _facts(file: Path, label: str | None, groups: str | None, id: str | None) -> dict[str, Any]:
    """Return what the columns of a CSV file say."""
    if file.suffix != ".csv" or not file.is_file():
        raise UsageError(f"'{file}' is not a CSV file (.csv)")
    frame = OwnFolders((file.parent,)).load(file.stem)
    columns = list(frame.columns)
    named = [name for name in (label, groups, id) if name is not None]
    if label is None or (unknown := [name for name in named if name not in columns]):
        problem = (
            "name the column of the label with --label" if label is None else f"{file} has no column {quoted(unknown)}"
        )
        raise UsageError(f"{problem}; its columns are {', '.join(columns[:20])}" + " and others" * (len(columns) > 20))
    text = np.any(numbers(frame)[1], axis=0)
    used = {label, groups, id or columns[0]}
    others = [name for name, wrong in zip(columns, text, strict=True) if wrong and name not in used]
    return {
        **{"table": file.stem, "id": id or columns[0], "label": label, "groups": groups, "leave_out": others or None},
        "classes": list(class_names(frame[label])),
    }


def check_task(file: str, source: SourceLike) -> tuple[TaskData, list[str]]:
    """Load a task from its file, which raises every fault of the tables, and return it with remarks."""
    if not is_file(file):
        raise UsageError(f"'{file}': name the file of a task, which ends in .json")
    stated = get_task(file)
    data = load_task(stated, source=source)
    return data, list(_remarks(stated, data))


def _remarks(stated: Task, data: TaskData) -> Iterator[str]:
    found = data.task
    for field in ("n_rows", "n_features", "class_counts"):
        said = getattr(stated, field)
        if said and said != getattr(found, field):
            yield f"{field} is {said} in the file, and {getattr(found, field)} in the tables"
    if is_phase_task(data) and not stated.label_by_day:
        yield "the label is a function of the day, the same for all groups: set label_by_day to true (see `somb day`)"
    if stated.label_by_day and not is_phase_task(data):
        yield "label_by_day is true, and the label is no function of a day that the groups share"
