"""``somb book``: execute the notebooks on the data at hand and build the site."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from somb_utils.cli.runs import Data, Jobs
from somb_utils.errors import UsageError


def book(
    data: Data = "auto",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the site.")] = Path("_build/html"),
    jobs: Jobs = -1,
    n_bootstrap: Annotated[int, typer.Option("--n-bootstrap", min=0, help="Replicates of each interval.")] = 1000,
) -> None:
    """Execute all notebooks on the data at hand and build the book as a static site.

    Finished folds are kept, so that the same command only does what is new. Every page says which data it shows.

    Examples: `somb book`, `somb book --data ../open-data/processed`
    """
    from somb_utils import book as book_module

    if jobs == 0 or jobs < -1:
        raise UsageError(f"--jobs {jobs}: give a number of jobs, or -1 for one a core")
    started = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - started:4.0f} s] {line}", file=sys.stderr, flush=True)

    index = book_module.build(data, out, jobs=jobs, parameters={"n_bootstrap": n_bootstrap}, say=say)
    say(book_module.describe(index.parent))
    print(index)
