"""``somb export``: files that other services and tools read."""

from pathlib import Path
from typing import Annotated

import typer

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
