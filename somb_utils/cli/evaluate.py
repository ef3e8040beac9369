"""``somb evaluate``, ``somb validate`` and ``somb template``: predictions made elsewhere."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from somb_utils.cli.console import data_mark, fixed, print_frame
from somb_utils.cli.options import Data, Format, Print, Protocol, ProtocolName, Tasks
from somb_utils.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from somb_utils.predictions.evaluate import Submission

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Files A1.json, .parquet, .csv, .csv.gz; or a run folder.")]
Model = Annotated[str | None, typer.Option("--model", help="Model of a run folder.")]


def evaluate(
    folder: Folder,
    tasks: Tasks = None,
    protocol: Protocol = "rigorous",
    model: Model = None,
    data: Data = "auto",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for results and predictions.")] = None,
    format: Print = Format.table,
) -> None:
    """Check predictions, score them with every metric of their tasks, and compare them with the best baseline.

    Nothing is scored until every file is valid; the check reports every problem at once.

    Examples: `somb template mypredictions --tasks "A*"` writes files to fill, then
    `somb evaluate mypredictions --out results/mine`. `somb evaluate results/mine` scores a run's own predictions.
    """
    from somb_utils.metrics import confusion
    from somb_utils.predictions.evaluate import score, standing

    if out is not None and out.resolve() == folder.resolve():
        raise UsageError("--out must be another folder than that of the predictions")
    submissions = _validated(folder, tasks, protocol, data, model)
    result = score(submissions, out)
    table = standing(result)
    if format is not Format.table:
        print_frame(table, format)
        return
    title = f"Primary metric, {protocol} protocol, mean ± SD over folds ({data_mark(result)})"
    print_frame(_shown(table), format, title=title)
    folds = result.results.groupby(["task", "metric", "fold"], sort=False)["value"].mean()  # over seeds
    values = folds.groupby(["task", "metric"], sort=False)
    metrics = values.agg(mean="mean", sd=lambda scores: scores.std(ddof=0), folds="count").reset_index()
    print_frame(fixed(metrics, "mean", "sd"), format, title=f"All metrics, {protocol} protocol")
    for submission in submissions.values():
        task = submission.data.task
        if task.type == "multiclass":
            rows = result.predictions[result.predictions["task"] == task.id]
            counts = confusion(rows["y_true"].to_numpy(), rows["y_pred"].to_numpy(), task.classes)
            print_frame(counts.reset_index(names="true \\ predicted"), format, title=f"{task.id}: confusion matrix")


def validate(
    folder: Folder, tasks: Tasks = None, protocol: Protocol = "rigorous", model: Model = None, data: Data = "auto"
) -> None:
    """Check predictions without scoring them, and report every problem at once.

    Example: `somb template mypredictions`, then `somb validate mypredictions`
    """
    submissions = _validated(folder, tasks, protocol, data, model)
    print(f"{len(submissions)} files are valid under the protocol {protocol}: {', '.join(submissions)}")


def template(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    tasks: Tasks = None,
    protocol: Protocol = "rigorous",
    data: Data = "auto",
    form: Annotated[str, typer.Option(help="json; or, with ids of the rows, parquet, csv or csv.gz.")] = "json",
) -> None:
    """Write valid example predictions (the majority class everywhere) to replace with your own.

    Examples: `somb template mypredictions`, `somb template mypredictions --tasks A1 --form parquet`
    """
    from somb_utils.predictions.evaluate import template as write_template
    from somb_utils.tables.sources import resolve_source
    from somb_utils.tasks.definitions import PROTOCOLS, catalogue, select_tasks, task_tables

    selected = select_tasks(tasks)
    source = resolve_source(data, task_tables(selected))
    print(f"data: {source.describe()}", file=sys.stderr)
    files = write_template(folder, tasks, protocol, source, form)  # type: ignore[arg-type]  # which checks the form
    command = f"somb evaluate {folder}" + ("" if protocol == PROTOCOLS[0] else f" --protocol {protocol}")
    if any(task.id not in catalogue() for task in selected):
        command += f" --tasks {tasks} --data {data}"
    print(f"{len(files)} files are in {folder}, and README.md explains them; score them with: {command}")


def _validated(
    folder: Path, tasks: str | None, protocol: ProtocolName, data: str, model: str | None
) -> "dict[str, Submission]":
    from somb_utils.predictions.evaluate import validate as check

    submissions, notes = check(folder, tasks, protocol, data, model)
    print(f"data: {next(iter(submissions.values())).data.provenance['described']}", file=sys.stderr)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return submissions


def _shown(table: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    from somb_utils.labels import interval, intervals, plus_minus

    rows = []
    row: Any
    for row in table.itertuples():
        baseline = interval(row.baseline_low, row.baseline_high)
        rows.append(
            {
                "task": row.task,
                "metric": row.metric,
                "score": plus_minus(row.mean, row.sd) + (f" ({row.undefined} undefined)" if row.undefined else ""),
                "95 % interval": " ".join(intervals(row)),
                "chance": f"{row.chance:.3f}",
                "best baseline": baseline and f"{row.baseline_mean:.3f} {baseline} ({row.best_baseline})",
            }
        )
    return pd.DataFrame(rows)
