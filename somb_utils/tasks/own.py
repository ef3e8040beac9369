"""A task of the user's own, from data frames."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from somb_utils.errors import UsageError
from somb_utils.tasks.definitions import Task, check_own_id
from somb_utils.tasks.features import finish
from somb_utils.tasks.recipes import GROUPED, Split, TaskType
from somb_utils.tasks.recipes._assembly import Part, assemble, class_names, counted, design_problems, listing
from somb_utils.tasks.task_data import TaskData, with_folds
from somb_utils.tasks.task_metrics import OWN, PRIMARY, Metrics

OwnSplit = Literal["loco", "lomo", "loto", "repeated"]


def task_from_frames(
    X: pd.DataFrame,
    y: pd.Series | pd.DataFrame | Sequence[Any] | np.ndarray,
    groups: pd.Series | Sequence[Any] | np.ndarray | None = None,
    split: OwnSplit | None = None,
    metric: str | None = None,
    name: str = "own",
) -> TaskData:
    """Make a task of your own data.

    Parameters
    ----------
    X
        Features, rows × features: numbers, NaN where missing. The index identifies the rows.
    y
        Class of each row, with the index of `X` in any order, or an array in the order of its rows. Of two classes, the
        last one, in sorted order or in that of a categorical, is the positive one. A DataFrame of 0 and 1 has one
        column for each of several labels at once.
    groups
        Person, mission, or other group of each row, given as `y` is.
    split
        ``"loco"`` leaves one person out in turn, ``"lomo"`` one mission, ``"loto"`` one time point or tissue: one group
        each, and the word is for the reader. ``"repeated"`` is five times five-fold cross-validation, in which the rows
        of a group stay together. When omitted, ``"loco"`` with `groups`, else ``"repeated"``.
    metric
        ``auroc`` or ``auprc`` (two classes), ``macro_auroc`` or ``macro_f1`` (more), ``micro_ap`` or ``micro_f1``
        (several labels); the first of each when omitted.
    name
        Id of the task in results: letters, digits, ``_`` and ``-``, and none of the benchmark's.

    Returns
    -------
    TaskData
        For :func:`somb_utils.run` and all that takes its results. They are marked as those of your own data, and are
        never listed on the leaderboard.

    Raises
    ------
    UsageError
        If the parts do not fit; the message lists every problem.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import somb_utils as somb
    >>> X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=["iron", "zinc", "copper"])
    >>> data = task_from_frames(X, ["ground", "flight"] * 15, groups=np.repeat(["S1", "S2", "S3", "S4", "S5"], 6))
    >>> data.task.classes, [fold.label for fold in data.folds]
    (('flight', 'ground'), ['S1', 'S2', 'S3', 'S4', 'S5'])
    >>> somb.run(data, "logreg").summary()["source"].item()
    'custom'
    """
    if not isinstance(X, pd.DataFrame):
        raise UsageError(f"X is a {type(X).__name__}; give a pandas DataFrame, whose columns name the features")
    chosen = _split(split, groups is not None)
    check_own_id(name, "name")
    problems: list[str] = []
    labels, grouping = _part(y, "y", X, problems), None if groups is None else _part(groups, "groups", X, problems)
    if labels is not None:
        features = assemble(Part(X, "X"), labels, grouping)
        problems += [*features.problems, *design_problems(features, chosen)]
    if problems or labels is None:
        raise UsageError(f"{name}: {listing(problems)}")
    classes = class_names(labels.values)
    several = isinstance(labels.values, pd.DataFrame)
    kind: TaskType = "multilabel" if several else "binary" if len(classes) == 2 else "multiclass"
    if metric is not None and metric not in PRIMARY[kind]:
        raise UsageError(f"metric '{metric}': a {kind} task has {' or '.join(PRIMARY[kind])}")
    leading, *others = OWN[kind]
    metrics = Metrics(primary=leading, secondary=tuple(others)).led_by((metric,) if metric else ())
    task = Task.model_validate({
        "id": name,
        "name": name,
        "type": kind,
        "features": {
            **{"recipe": "table", "table": name, "id": "id", "label": classes if several else "label"},
            "groups": None if groups is None else "groups",
        },
        "classes": classes,
        "split": chosen,
        "metrics": metrics,
    })  # fmt: skip
    task, features = finish(task, features, "rigorous")
    provenance = {"source": "custom", "described": "your own data frames", "tables": {}}
    return with_folds(task, features, "rigorous", provenance)


def _split(split: str | None, grouped: bool) -> Split:
    known: dict[str, Split] = {**{name: name for name in GROUPED}, "repeated": "cv5x5"}
    if split is None:
        return "loco" if grouped else "cv5x5"
    if split not in known:
        raise UsageError(f"split '{split}': it is one of {', '.join(known)}")
    if not grouped and split != "repeated":
        raise UsageError(f"split '{split}' leaves groups out: pass groups, the person or mission of each row")
    return known[split]


def _part(values: Any, name: str, X: pd.DataFrame, problems: list[str]) -> Part | None:
    """Return labels or groups by row; note it if they have no index and another length than the rows."""
    if isinstance(values, pd.Series):
        return Part(values, name)
    if isinstance(values, pd.DataFrame):
        if values.shape[1] == 1:
            return Part(values.iloc[:, 0], name)
        if name == "y":
            return Part(values.set_axis(values.columns.map(str), axis=1), name)
    if isinstance(values, str | pd.DataFrame) or not hasattr(values, "__len__"):
        raise UsageError(f"{name} is a {type(values).__name__}; give a Series or an array with one value per row")
    if len(values) != len(X):
        problems.append(f"{name} has {counted(len(values), 'value')} for the {counted(len(X), 'row')} of X")
        return None
    return Part(pd.Series(values, X.index, name=name), name)
