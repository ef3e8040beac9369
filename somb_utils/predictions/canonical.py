"""The canonical run from its predictions alone: labels joined from the tables, every fold scored again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from somb_utils.errors import SombError, UsageError
from somb_utils.predictions import released
from somb_utils.predictions.codec import ordered
from somb_utils.reference.canonical import canonical_provenance
from somb_utils.runs.cache import Job, ModelVersion
from somb_utils.runs.fit import Outcome, score_fold
from somb_utils.runs.folder import joined_provenance
from somb_utils.runs.models import Model
from somb_utils.runs.record import outcome_rows, prediction_rows
from somb_utils.runs.results import RunResult
from somb_utils.tables.sources import SourceLike, resolve_source
from somb_utils.tasks.definitions import Protocol, select_tasks, task_tables
from somb_utils.tasks.task_data import TaskData, load_task


def canonical_run(
    tasks: str | None = None,
    protocol: Protocol = "rigorous",
    source: SourceLike = "auto",
    file: str | Path | None = None,
    echo: Callable[[str], None] | None = None,
) -> RunResult:
    """Return the canonical run of the baselines, scored again from their stored predictions; nothing is fitted.

    Parameters
    ----------
    tasks
        Ids or wildcards; every task that the file has when omitted.
    protocol
        See :func:`somb_utils.load_task`.
    source
        The published tables, from which the labels are joined; see :func:`somb_utils.load_task`.
    file
        The file of all predictions. When omitted, that which ``somb data fetch --predictions`` put into the user cache;
        without one, the small file of the package, which has the tasks with the fewest rows under ``rigorous``.
    echo
        Takes a line before each task.

    Returns
    -------
    RunResult
        As the canonical run had it, the models in its order.

    Raises
    ------
    UsageError
        If a task is unknown, or not in the file.
    SombError
        If the tables are not the published ones, or `file` is not the stored one.
    """
    path, inside = _verified(file)
    wanted = select_tasks(tasks or inside)
    where = resolve_source(source, task_tables(wanted))
    if where.kind != "open":
        raise SombError(
            "the labels are those of the published tables, which are not available; get them with: somb data fetch, or "
            "name their folder with --data"
        )
    stored = canonical_provenance()
    entries = [entry for entry in stored["models"] if entry["protocol"] == protocol]
    chosen = [task.id for task in wanted]
    frame = pq.read_table(path, filters=[("protocol", "=", protocol), ("task", "in", chosen)]).to_pandas()
    present = list(frame["task"].unique())
    if not present or (tasks and set(chosen) - set(present)):
        raise UsageError(_lacking(path, sorted(set(chosen) - set(present)), protocol))
    scored, described = [], ""
    for name, rows in frame.groupby("task", sort=False):
        if echo is not None:
            echo(f"scoring {name}, {len(rows):,} predictions")
        data = load_task(str(name), protocol, where)
        key = f"{name}/{protocol}"
        if data.fingerprint != stored["tasks"][key]["data_sha256"]:
            raise SombError(
                f"{key}: features, labels or folds are not those of the canonical run; another version of this package "
                "made it"
            )
        described = data.provenance["described"]
        of_model = dict(iter(rows.groupby("model", sort=False)))
        for entry in entries:
            if entry["task"] == name:
                scored += _scored(of_model[entry["model"]], data, entry)
    parts = {
        **stored,
        "described": described,
        "models": [entry for entry in entries if entry["task"] in present],
        "tasks": {f"{name}/{protocol}": stored["tasks"][f"{name}/{protocol}"] for name in present},
    }
    return RunResult(outcome_rows(scored), prediction_rows(scored), joined_provenance([parts]))


def _verified(file: str | Path | None) -> tuple[Path, tuple[str, ...]]:
    """Return the path of a file of canonical predictions whose content is the stored one, and its tasks."""
    path, entry = Path(file) if file is not None else released.fetched(), released.listed()["all"]
    if file is None and not path.is_file():
        path, entry = released.SMALL, released.listed()["small"]
    if problem := entry.problem(path):
        raise SombError(f"{path} {problem}; get it with: somb data fetch --predictions")
    return path, entry.tasks


def _scored(rows: pd.DataFrame, data: TaskData, entry: dict[str, Any]) -> list[tuple[Job, Outcome]]:
    """Score every seed and fold of one model, in the order of a run."""
    model = Model(entry["model"], entry["target"])
    parts = dict(iter(rows.groupby(["seed", "fold"], sort=False)))
    facts = {str(name): column.to_numpy() for name, column in data.annotations.items()}
    scored = []
    for seed in rows["seed"].unique().tolist():
        version = ModelVersion(model, seed, {}, None, False, None)
        for number, fold in enumerate(data.folds):
            if (seed, fold.label) in parts:  # a fold may have fewer seeds than another
                y_pred, y_score = _values(ordered(parts[seed, fold.label], data, fold), data)
                test = {name: values[fold.test] for name, values in facts.items()}
                scores = score_fold(data.task, data.codes[fold.test], y_pred, y_score, test)
                scored.append((Job(data, model, number, version), Outcome(y_pred, y_score, scores, 0.0)))
    return scored


def _values(rows: pd.DataFrame, data: TaskData) -> tuple[np.ndarray, np.ndarray]:
    """Return answers and scores as :class:`somb_utils.runs.fit.Outcome` has them."""
    classes = data.task.classes
    if data.task.type == "multilabel":
        shape = (-1, len(classes))
        return rows["y_pred"].to_numpy(np.int64).reshape(shape), rows["y_score"].to_numpy(float).reshape(shape)
    y_pred = rows["y_pred"].map(classes.index).to_numpy(np.int64)
    if data.task.type == "binary":
        return y_pred, rows["y_score"].to_numpy(float)
    return y_pred, np.empty(0) if rows["y_proba"].isna().any() else np.stack(rows["y_proba"].tolist())


def _lacking(path: Path, tasks: list[str], protocol: Protocol) -> str:
    if path == released.SMALL:
        inside = ", ".join(released.listed()["small"].tasks)
        return (
            f"the predictions that come with the package are of {inside} under the default protocol; get all with: "
            "somb data fetch --predictions"
        )
    return f"the canonical run has no {', '.join(tasks)} under {protocol}"
