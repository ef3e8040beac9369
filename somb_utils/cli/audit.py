"""``somb audit``: look closely at tasks, seeds and the figures that the book's audit states."""

from typing import Annotated

import typer

from somb_utils.cli.runs import Data, Print
from somb_utils.cli.tasks import Format

app = typer.Typer(help="Look closely at tables, tasks and scores.", no_args_is_help=True)


@app.command()
def tasks(
    tasks: Annotated[str | None, typer.Option("--tasks", "-t", help="Ids or wildcards. All: omit.")] = None,
    protocol: Annotated[str, typer.Option(help="aligned or published.")] = "aligned",
    data: Data = "auto",
    format: Print = Format.table,
) -> None:
    """Count repeated and empty rows, and features that are constant, repeated or name the row, task by task.

    Example: `somb audit tasks --tasks "F*"`
    """
    import pandas as pd

    from somb_utils.audit.leaks import feature_census, row_census
    from somb_utils.cli.console import print_frame
    from somb_utils.runs.runner import load_tasks

    loaded = load_tasks(tasks, protocol, data)  # type: ignore[arg-type]
    rows = pd.DataFrame([{**row_census(task), **feature_census(task)} for task in loaded])
    print_frame(rows.round(3), format, title="What the rows and features show")


@app.command()
def seeds(
    tasks: Annotated[str, typer.Option("--tasks", "-t", help="Ids or wildcards.")],
    models: Annotated[str, typer.Option(help="Baselines, separated by commas.")] = "random,rf,mlp",
    number: Annotated[int, typer.Option("--seeds", help="How many seeds.")] = 20,
    protocol: Annotated[str, typer.Option(help="aligned or published.")] = "aligned",
    data: Data = "auto",
    store: Annotated[bool, typer.Option(help="Keep the scores under data/reference.")] = False,
    format: Print = Format.table,
) -> None:
    """Fit models once a seed and print how far their scores move.

    Example: `somb audit seeds --tasks A1,A2 --models rf,mlp --seeds 20`
    """
    from somb_utils.audit import stability
    from somb_utils.cli.console import print_frame
    from somb_utils.runs.runner import load_tasks

    loaded = load_tasks(tasks, protocol, data)  # type: ignore[arg-type]
    scores = stability.seed_scores(loaded, models, stability.seeds_from(42, number))
    if store:
        stability.store(scores, loaded)
    print_frame(stability.spread(scores).round(3), format, title=f"Primary score over {number} seeds")


@app.command()
def figures(
    data: Data = "auto",
    store: Annotated[bool, typer.Option(help="Keep them for the book, under data/reference.")] = False,
) -> None:
    """Compute every figure that the book's audit states, from the real tables.

    Example: `somb audit figures` (after `somb data fetch`)
    """
    from somb_utils.audit import figures as audit_figures

    made = audit_figures.store(data) if store else audit_figures.compute(data)
    for name, value in made.items():
        print(f"{name:<32}{value:>14.6g}")
