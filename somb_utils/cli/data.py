"""``somb data``: get, check, simulate and rebuild tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from somb_utils.cli.options import Data, Tasks
from somb_utils.errors import SombError

if TYPE_CHECKING:
    from somb_utils.tables.sources import Source

app = typer.Typer(help="Get, check, simulate and rebuild the tables.", no_args_is_help=True)


@app.command()
def fetch(tasks: Tasks = None) -> None:
    """Download the open tables into the user cache and verify each; resumes an interrupted download.

    Examples: `somb data fetch`, `somb data fetch --tasks A1,F*`
    """
    from somb_utils.tables.fetch import fetch as fetch_tables
    from somb_utils.tables.registry import open_folder

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

    from somb_utils.cli.console import print_frame
    from somb_utils.tables.registry import file_problem, table_info
    from somb_utils.tables.sources import FolderSource

    names = _names(tasks)
    source = _source(data, names)
    rows = []
    for info in map(table_info, names):
        here = "yes" if source.has(info.name) else "no"
        if here == "yes" and isinstance(source, FolderSource) and file_problem(source.folder / info.file, info):
            here = "differs"
        rows.append(
            {
                "table": info.name,
                "size": decimal(info.bytes) if info.bytes else "?",
                "rows": str(info.rows or "?"),
                "study": info.study,
                "tasks": " ".join(info.tasks),
                "here": here,
            }
        )
    print_frame(pd.DataFrame(rows), "table", title=source.describe())
    lacking = [row["table"] for row in rows if row["here"] != "yes"]
    print(f"{len(names) - len(lacking)} of {len(names)} tables are available")
    if lacking:
        print(f"Of the others, {source.remedy(lacking)}")
    if any(row["here"] == "differs" for row in rows):
        print("How they differ: somb data verify")


@app.command()
def verify(tasks: Tasks = None, data: Data = "auto") -> None:
    """Check the hash of every available table against the registry.

    Examples: `somb data verify`, `somb data verify --tasks A1 --data open`
    """
    from somb_utils.tables.registry import file_problem, table_info
    from somb_utils.tables.sources import FolderSource

    names = _names(tasks)
    source = _source(data, names)
    if not isinstance(source, FolderSource):
        raise SombError(f"there is no file to verify: {source.describe()}. Get them with: somb data fetch")
    present = [table_info(name) for name in names if source.has(name)]
    problems = {info.file: file_problem(source.folder / info.file, info) for info in present}
    wrong = {file: problem for file, problem in problems.items() if problem}
    for file, problem in wrong.items():
        print(f"{source.folder / file} {problem}")
    print(f"{len(present) - len(wrong)} of {len(present)} tables in {source.folder} are as published")
    if wrong:
        raise SombError(f"of the tables named above, {source.remedy(Path(file).stem for file in wrong)}")


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
    from somb_utils.paths import replacing
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

    from somb_utils.paths import replacing
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


def _source(data: str, names: list[str]) -> "Source":
    """Return the source; ``auto`` is the cache if it holds any of the tables, since files are asked for here."""
    from somb_utils.tables.registry import open_folder
    from somb_utils.tables.sources import FolderSource, resolve_source

    kept = FolderSource(open_folder())
    return resolve_source(data, [name for name in names if kept.has(name)] or names)


def _names(tasks: str | None) -> list[str]:
    from somb_utils.tables.registry import registry
    from somb_utils.tasks.definitions import select_tasks

    if tasks is None:
        return list(registry())
    return list(dict.fromkeys(name for task in select_tasks(tasks) for name in task.tables))
