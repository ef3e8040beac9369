"""``somb task``: begin and check the definition of a task of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from somb_utils.cli.console import print_frame
from somb_utils.cli.options import Data, Format, Print

app = typer.Typer(help="Begin and check a task of your own.", no_args_is_help=True)


@app.command()
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, e.g. mine.json.")],
    table: Annotated[Path | None, typer.Option(help="CSV file to begin from [default: an example to edit].")] = None,
    label: Annotated[str | None, typer.Option(help="Its column of class names.")] = None,
    groups: Annotated[str | None, typer.Option(help="Its column of persons, missions or other groups.")] = None,
    id: Annotated[str | None, typer.Option(help="Its column of sample identifiers [default: the first].")] = None,
) -> None:
    """Write the definition of a task, with comments that explain each field.

    Examples: `somb task new mine.json --table tables/blood.csv --label condition --groups person`, `somb task new
    mine.json`
    """
    from somb_utils.tasks.own_file import new_task

    new_task(file, table, label, groups, id)
    folder = table.parent if table else "FOLDER"
    print(f"read {file} and change what is not so; then: somb task check {file} --data {folder}")


@app.command()
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Definition of a task, e.g. mine.json.")],
    data: Data = "auto",
    format: Print = Format.table,
) -> None:
    """Check a definition and its tables, and report every problem at once.

    Example: `somb task check mine.json --data tables`
    """
    import pandas as pd

    from somb_utils.tasks.own_file import check_task

    loaded, remarks = check_task(file, data)
    task = loaded.task
    facts = {
        "rows × features": f"{task.n_rows:,} × {task.n_features:,}",
        "missing values": f"{loaded.X.isna().to_numpy().mean():.1%}",
        "classes": ", ".join(f"{name} {count:,}" for name, count in task.class_counts.items()),
        "folds": f"{len(loaded.folds)} ({task.split}): {', '.join(fold.label for fold in loaded.folds[:8])}"
        + " and others" * (len(loaded.folds) > 8),
        "metric": f"{task.metrics.primary} (chance {loaded.chance:.3f})",
        **{f"note {n}": remark for n, remark in enumerate(remarks, 1)},
    }
    frame = pd.DataFrame({"": list(facts), task.id: list(facts.values())})
    print_frame(frame, format, title=f"{file}: valid")
    if format is Format.table:
        print(f"run it with: somb run --tasks {file} --data {data}")
