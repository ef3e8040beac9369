"""``somb book``: execute the notebooks on the available data and build the site."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from somb_utils.cli.options import Bootstrap, Data, Jobs
from somb_utils.errors import UsageError


def book(
    data: Data = "auto",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the site.")] = Path("_build/html"),
    jobs: Jobs = -1,
    n_bootstrap: Bootstrap = 1000,
    logs: Annotated[list[Path] | None, typer.Option(help="Logs of a language-model evaluation; repeatable.")] = None,
) -> None:
    """Execute all notebooks on the available data and build the book as a static site.

    Finished folds are kept, so a rerun only does what is new. Every page says which data it shows.

    Examples: `somb book`, `somb book --data simulated`, `somb book --logs logs/llm`
    """
    from somb_utils.book import build as book_module
    from somb_utils.runs.workers import count

    count(jobs)
    started = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - started:4.0f} s] {line}", file=sys.stderr, flush=True)

    for path in logs or ():
        if not path.exists():
            raise UsageError(f"--logs {path} does not exist. `somb llm run` says where it writes its logs")
    parameters = {"n_bootstrap": n_bootstrap, "logs": [str(path.resolve()) for path in logs or ()]}
    index = book_module.build(data, out, jobs=jobs, parameters=parameters, say=say)
    say(book_module.describe(index.parent))
    print(index)
