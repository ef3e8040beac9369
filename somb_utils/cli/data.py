"""``somb data``: get, check, simulate and rebuild tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from somb_utils.cli.console import print_frame
from somb_utils.cli.options import Data, Tasks
from somb_utils.errors import SombError, UsageError
from somb_utils.paths import replacing
from somb_utils.tables.registry import file_problem, open_folder, registry, table_info

if TYPE_CHECKING:
    from somb_utils.tables.sources import Source

app = typer.Typer(help="Get, check, simulate and rebuild the tables.", no_args_is_help=True)


@app.command()
def fetch(
    tasks: Tasks = None,
    predictions: Annotated[
        bool, typer.Option("--predictions", help="Fetch the canonical run's predictions, and no table.")
    ] = False,
    copy: Annotated[Path | None, typer.Option("--from", help="A copy of the file of predictions.")] = None,
) -> None:
    """Download the open tables into the user cache and verify each; resumes an interrupted download.

    Examples: `somb data fetch`, `somb data fetch --tasks A1,F*`, `somb data fetch --predictions`
    """
    if predictions:
        from somb_utils.predictions.released import fetch as fetch_predictions

        print(f"{fetch_predictions(copy)} is as stored (licence: CC BY-NC 4.0); `somb canonical DIR` scores it again")
        return
    if copy is not None:
        raise UsageError("--from names a copy of the file of predictions; add --predictions")
    from somb_utils.tables.fetch import fetch as fetch_tables

    names = _names(tasks)
    fetch_tables(names)
    print(f"{len(names)} tables are in {open_folder()}, each as published")


@app.command()
def status(tasks: Tasks = None, data: Data = "auto") -> None:
    """List the open tables with size, study and tasks, and which of them are available as published.

    Examples: `somb data status`, `somb data status --tasks G1 --data open`
    """
    import pandas as pd
    from rich.filesize import decimal

    names = _names(tasks)
    source = _source(data, names)
    problems = _problems(source, names)
    tables = [table_info(name) for name in names]
    columns = {
        "table": names,
        "size": [decimal(table.bytes) if table.bytes else "?" for table in tables],
        "rows": [str(table.rows or "?") for table in tables],
        "study": [table.study for table in tables],
        "tasks": [" ".join(table.tasks) for table in tables],
        "here": ["no" if name not in problems else "differs" if problems[name] else "yes" for name in names],
    }
    print_frame(pd.DataFrame(columns), "table", title=source.describe())
    lacking = [name for name in names if problems.get(name, "no file")]
    print(f"{len(names) - len(lacking)} of {len(names)} tables are available")
    if lacking:
        print(f"Of the others, {source.remedy(lacking)}")
    if any(problems.values()):
        print("How they differ: somb data verify")


@app.command()
def verify(tasks: Tasks = None, data: Data = "auto") -> None:
    """Check the hash of every available table against the registry.

    Examples: `somb data verify`, `somb data verify --tasks A1 --data open`
    """
    from somb_utils.tables.sources import FolderSource

    names = _names(tasks)
    source = _source(data, names)
    if not isinstance(source, FolderSource):
        raise SombError(f"there is no file to verify: {source.describe()}. Get them with: somb data fetch")
    problems = _problems(source, names)
    wrong = {name: problem for name, problem in problems.items() if problem}
    for name, problem in wrong.items():
        print(f"{source.path(name)} {problem}")
    folders = ", ".join(map(str, source.folders))
    print(f"{len(problems) - len(wrong)} of {len(problems)} tables in {folders} are as published")
    if wrong:
        raise SombError(f"of the tables named above, {source.remedy(wrong)}")


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder for the CSV files.")],
    seed: int = 42,
    crew: Annotated[int, typer.Option(help="Number of crew members.")] = 4,
    effect: Annotated[float, typer.Option(help="Size of the simulated effect; 0 for none.")] = 1.0,
    timepoints: Annotated[int, typer.Option(help="Time points per crew member in the clinical tables.")] = 7,
) -> None:
    """Write the simulated tables as CSV, to inspect them or to try other tools on them.

    Examples: `somb data simulate simulated/`, `somb data simulate null/ --effect 0`
    """
    from somb_utils.tables.simulate import SIMULATED, simulate_table

    for name in SIMULATED:
        table = simulate_table(name, seed=seed, n_crew=crew, effect=effect, n_timepoints=timepoints)
        with replacing(out / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    print(f"{len(SIMULATED)} SIMULATED tables are in {out}")


@app.command()
def derive(
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the rebuilt tables; none: compare.")] = None,
    data: Data = "auto",
) -> None:
    """Rebuild the derived task tables from their source tables, and compare each with the published one.

    Examples: `somb data derive`, `somb data derive --out rebuilt/`
    """
    from pandas.testing import assert_frame_equal

    from somb_utils.tables.derive import DERIVED, derive_all

    source = _source(data, [*DERIVED, *(name for rule in DERIVED.values() for name in rule.inputs)])
    if source.kind == "simulated":
        raise SombError("only real tables can be derived; get them with: somb data fetch, or name them with --data")
    different = []
    for name, table in derive_all(source.load).items():
        if out is not None:
            with replacing(out / f"{name}.csv") as temporary:
                table.to_csv(temporary, index=False)
        try:
            assert_frame_equal(table, source.load(name), check_dtype=False, rtol=1e-9, atol=1e-12)
        except AssertionError as error:
            different.append(name)
            print(f"{name}: {len(table)} rows, DIFFERS from the published table: {str(error).splitlines()[0]}")
        else:
            print(f"{name}: {len(table)} rows, equal to the published table")
    if different:
        raise SombError(f"{len(different)} rebuilt tables differ from the published ones")


def _problems(source: "Source", names: list[str]) -> dict[str, str | None]:
    """Return how the file of each available table differs from the published one; None if it does not."""
    from somb_utils.tables.sources import FolderSource

    path = source.path if isinstance(source, FolderSource) else None
    here = [name for name in names if source.has(name)]
    return {name: file_problem(path(name), table_info(name)) if path else None for name in here}


def _source(data: str, names: list[str]) -> "Source":
    """Return the source; ``auto`` is the cache if it has any of the tables, since these commands are about files."""
    from somb_utils.tables.sources import FolderSource, resolve_source

    cached = FolderSource(open_folder())
    return resolve_source(data, [name for name in names if cached.has(name)] or names)


def _names(tasks: str | None) -> list[str]:
    from somb_utils.tasks.definitions import select_tasks, task_tables

    return list(registry()) if tasks is None else task_tables(select_tasks(tasks))
