"""``somb export``: files that other services and tools read."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from somb_utils.cli.options import Data, Protocol, Tasks
from somb_utils.errors import UsageError
from somb_utils.paths import replacing

app = typer.Typer(help="Write files that other services and tools read.", no_args_is_help=True)


@app.command()
def predictions(
    runs: Annotated[list[Path], typer.Argument(help="The run folders of the stored canonical run.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file.")] = Path("canonical_predictions.parquet"),
    url: Annotated[str, typer.Option(help="Address at which the file will be released.")] = "",
) -> None:
    """Write the canonical run's predictions without labels, and store a small file of them and the hashes of both.

    Example: `somb export predictions results/open-rigorous results/open-aligned results/open-published`
    """
    from somb_utils.predictions.released import FILES, write

    for entry in write(runs, out, url).values():
        print(f"{entry.file}: {entry.bytes:,} bytes, {entry.rows:,} predictions of {', '.join(entry.tasks)}")
    print(f"their hashes are in {FILES}")


@app.command()
def croissant(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the JSON-LD files.")],
    tasks: Tasks = None,
    data: Data = "auto",
) -> None:
    """Describe every open table, and each task with its folds, as Croissant 1.1 (MLCommons).

    Columns and folds are listed where the published tables are available. No table is written.

    Examples: `somb export croissant croissant/`, `somb export croissant croissant/ --tasks A1,F*`
    """
    from somb_utils.export.croissant import write
    from somb_utils.tables.sources import resolve_source
    from somb_utils.tasks.definitions import select_tasks, task_tables

    selected = select_tasks(tasks)
    source = resolve_source(data, task_tables(selected))
    files = write(selected, source, out)
    print(f"{len(files)} files are in {out}: {', '.join(files)}")


@app.command()
def hf(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    tasks: Tasks = None,
    protocol: Protocol = "rigorous",
    data: Data = "auto",
) -> None:
    """Write tasks as a dataset of the Hugging Face Hub: features, labels and folds as Parquet, and the dataset's card.

    What it holds is under the licence of the tables (people: CC BY-NC 4.0; mice: CC BY 4.0), which the card states.

    Examples: `somb export hf dataset/ --tasks A1,C1`, then in Python `datasets.load_dataset("dataset", "A1")["rows"]`
    """
    from somb_utils.export.huggingface import write_dataset
    from somb_utils.runs.runner import load_tasks

    loaded = load_tasks(tasks, protocol, data)
    print(f"data: {loaded[0].provenance['described']}", file=sys.stderr)
    print(f"{out}: {', '.join(write_dataset(loaded, out))}")


@app.command()
def model_card(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    model: Annotated[str, typer.Option("--model", help="Which of its models.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file.")] = Path("README.md"),
) -> None:
    """Write the card of a run's model for the Hugging Face Hub, with its scores as evaluation results.

    Example: `somb export model-card results/open-rigorous --model rf --out rf/README.md`
    """
    from somb_utils.export.huggingface import model_card as card_of
    from somb_utils.runs.folder import load_run

    if out.exists():
        raise UsageError(f"{out} exists already; name another file with --out")
    text = card_of(load_run(run), model)
    with replacing(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(out)


@app.command()
def ro_crate(run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]) -> None:
    """Describe the files of a run folder as an RO-Crate, in `ro-crate-metadata.json` beside them.

    Example: `somb export ro-crate results/open-rigorous`
    """
    from somb_utils.export.rocrate import write

    print(write(run))
