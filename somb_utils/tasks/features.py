"""From tables to features, labels and groups: a task's recipe, then the checks and the order common to all tasks."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from somb_utils.errors import SombError, printable
from somb_utils.paths import DATA
from somb_utils.tasks._problems import label_problem, row_problem, table_problem
from somb_utils.tasks.definitions import Task
from somb_utils.tasks.recipes import Features, Protocol, Reader
from somb_utils.tasks.recipes._assembly import class_names, design_problems, listing, quoted
from somb_utils.tasks.recipes.table import Table


def build(task: Task, load: Callable[[str], pd.DataFrame], protocol: Protocol) -> tuple[Task, Features]:
    """Return a task, completed by what its tables say, and its features.

    ``published`` pairs rows by position where the published numbers were computed so; the other protocols join every
    part by identifier, and so does ``published`` for an extension, which has no published number. SombError if a
    column is missing, or text is among numbers, a class unknown or an identifier repeated.
    """
    if protocol == "published" and task.extension:
        protocol = "aligned"
    return finish(task, task.features.build(Reader(task.id, task.tables, load), task.classes, protocol), protocol)


def finish(task: Task, features: Features, protocol: Protocol) -> tuple[Task, Features]:
    """Complete a task by its features, and check and order these."""
    if isinstance(task.features, Table):
        if problems := [*features.problems, *design_problems(features, task.split)]:
            raise SombError(f"{task.id}: {listing(problems)}")
        task = _completed(task, features)
    features = replace(features, X=features.X.astype(np.float64).set_axis(features.X.columns.astype(str), axis=1))
    X, y = features.X, features.y
    problem = row_problem(X, y, features.groups) or table_problem(X) or label_problem(y, features.groups, task)
    for prefix in task.pca:
        if not X.columns.str.startswith(prefix).any():
            problem = problem or f"no feature starts with '{prefix}', which its definition reduces by PCA"
    if problem:
        raise SombError(f"{task.id}: {problem}")
    if protocol != "published":
        features = _in_order(features, task)
    if features.stratify is None:
        y = features.y
        # Codes, not names: a shuffle split draws class by class, in sorted order.
        strata = y.sum(axis=1) > 0 if isinstance(y, pd.DataFrame) else y.map(task.classes.index)
        features = replace(features, stratify=strata.to_numpy())
    return task, features


def _completed(task: Task, features: Features) -> Task:
    """Return a user's task with its classes, counts and sampling units."""
    y, groups = features.y, features.groups
    classes = task.classes or class_names(y)
    if task.type == "binary" and len(classes) > 2:
        raise SombError(f"{task.id}: a binary task has two classes, not {quoted(classes)}; make its type multiclass")
    counts = y.sum() if isinstance(y, pd.DataFrame) else y.value_counts()
    facts: dict[str, Any] = {
        "classes": classes,
        "class_counts": {name: int(counts[name]) for name in classes},
        "n_rows": len(y),
        "n_features": features.X.shape[1],
    }
    if groups is not None and not task.leaves_groups_out:
        facts["features"] = task.features.model_copy(update={"unit_of": groups.to_dict()})
    return task.model_copy(update=facts)


@cache
def _stored_order() -> dict[str, Any]:
    return json.loads((DATA / "row_order.json").read_text(encoding="utf-8"))


def _in_order(features: Features, task: Task) -> Features:
    """Sort rows as in the published labels, and columns by name unless the definition orders them."""
    ids = features.X.index
    if task.order == "crew_site_day":
        order = sorted(ids, key=lambda sample: _crew_site_day(sample, task))
    elif task.order == "id_casefold":
        order = sorted(ids, key=lambda i: (i.casefold(), i))
    else:
        order = sorted(ids)
        stored = _stored_order().get(task.id) if task.order == "stored" else None
        if stored and hashlib.sha256("\n".join(order).encode()).hexdigest() == stored["ids_sha256"]:
            order = [order[rank] for rank in stored["ranks"]]
    columns = features.X.columns
    return replace(
        features,
        X=features.X.loc[order, columns if task.features.columns_ordered else sorted(columns)],
        y=features.y.loc[order],
        groups=None if features.groups is None else features.groups.loc[order],
        relatives=None if features.relatives is None else features.relatives.loc[order],
        days=None if features.days is None else features.days.loc[order],
        annotations=features.annotations.reindex(order) if len(features.annotations) else features.annotations,
    )


def _crew_site_day(sample: str, task: Task) -> tuple[bool, str, str, int]:
    """Return the sort key of a swab such as C001_R+1_ARM or capsule_L-92_6: people first, then crew, site and day."""
    parts = re.fullmatch(r"([^_]+)_(?:FD(\d+)|L(-\d+)|R\+(\d+))_([^_]+)", sample)
    if not parts:
        raise SombError(
            f"{task.id}: sample '{printable(sample)}' is not named <crew>_<day>_<site>, such as C001_R+1_ARM"
        )
    crew, *days, site = parts.groups()
    return crew == "capsule", crew, site, int(next(day for day in days if day))
