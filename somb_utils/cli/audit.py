"""``somb audit``: look closely at tasks, seeds and the figures that the book's audit states."""

import sys
from importlib import import_module
from typing import Annotated

import typer

from somb_utils.cli.console import print_frame
from somb_utils.cli.options import Data, Format, Models, Print, Protocol, Tasks
from somb_utils.errors import UsageError
from somb_utils.paths import CHECKOUT

app = typer.Typer(help="Look closely at tables, tasks and scores.", no_args_is_help=True)


@app.command()
def tasks(
    tasks: Tasks = None, protocol: Protocol = "rigorous", data: Data = "auto", format: Print = Format.table
) -> None:
    """Count repeated and empty rows, and features that are constant, repeated or name the row, task by task.

    Example: `somb audit tasks --tasks "F*"`
    """
    import pandas as pd

    from somb_utils.audit import feature_census, row_census
    from somb_utils.runs.runner import load_tasks

    loaded = load_tasks(tasks, protocol, data)
    rows = pd.DataFrame([{**row_census(task), **feature_census(task)} for task in loaded])
    print_frame(rows.round(3), format, title="What the rows and features show")


@app.command()
def seeds(
    tasks: Annotated[str, typer.Option("--tasks", "-t", help="Ids or wildcards.")],
    models: Models = None,
    number: Annotated[int, typer.Option("--seeds", help="How many seeds.")] = 20,
    protocol: Protocol = "rigorous",
    data: Data = "auto",
    store: Annotated[bool, typer.Option(help="Store the scores under data/reference.")] = False,
    format: Print = Format.table,
) -> None:
    """Fit models once per seed and print how far their scores move.

    Example: `somb audit seeds --tasks A1,A2 --models rf,mlp --seeds 20`
    """
    from somb_utils._seeds import SEED, seeds_from
    from somb_utils.audit import seeds
    from somb_utils.runs.runner import load_tasks

    loaded = load_tasks(tasks, protocol, data)
    scores = seeds.seed_scores(loaded, models, seeds_from(SEED, number))
    if store:
        seeds.store(scores, loaded)
    print_frame(seeds.spread(scores).round(3), format, title=f"Primary score over {number} seeds")


@app.command()
def figures(
    data: Data = "auto",
    store: Annotated[bool, typer.Option(help="Store them for the book, under data/reference.")] = False,
) -> None:
    """Compute every figure that the book's audit states, from the real tables.

    Example: `somb audit figures` (after `somb data fetch`)
    """
    folder = CHECKOUT / "notebooks"
    if not (folder / "audit_checks").is_dir():
        raise UsageError("the audit's figures are computed in a checkout of the repository, not by the package")
    sys.path.insert(0, str(folder))
    checks = import_module("audit_checks.compute")
    for name, value in (checks.store if store else checks.figures)(data).items():
        print(f"{name:<32}{value:>14.6g}")
