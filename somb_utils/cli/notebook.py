"""``somb notebook``: run a notebook with parameters, or refresh the stored ones."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from somb_utils.cli.runs import Data, Jobs, Models, Params, Seed, parse_params
from somb_utils.errors import UsageError


def notebook(
    names: Annotated[list[str] | None, typer.Argument(help="A notebook's name, its first letter or its path.")] = None,
    tasks: Annotated[str | None, typer.Option("--tasks", "-t", help="Ids of the notebook's tasks. All: omit.")] = None,
    models: Models = None,
    model_params: Params = None,
    protocol: Annotated[str, typer.Option(help="aligned or published.")] = "aligned",
    data: Data = "auto",
    n_bootstrap: Annotated[int, typer.Option("--n-bootstrap", min=0, help="Replicates of each interval.")] = 1000,
    seed: Seed = 42,
    results: Annotated[Path | None, typer.Option(help="Run folder that keeps finished folds.")] = None,
    jobs: Jobs = 1,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Executed notebook [default: NAME.out.ipynb].")
    ] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Execute the stored ones on simulated tables.")] = False,
) -> None:
    """Run a notebook with your models and data, into a new file.

    Example: `somb notebook A --models logreg,sklearn.svm:SVC --model-params logreg.C=0.1 --out out.ipynb`
    """
    from somb_utils.notebook import files
    from somb_utils.runs.names import split_names

    if refresh:
        for path in files.refresh(names or ()):
            print(path)
        return
    if not names or len(names) > 1:
        raise UsageError("name one notebook, e.g. somb notebook A")
    sys.path.insert(0, str(Path.cwd()))  # where a user's own model lives
    given: dict[str, Any] = {
        "protocol": protocol,
        "source": data if not Path(data).expanduser().is_dir() else str(Path(data).expanduser().resolve()),
        "n_bootstrap": n_bootstrap,
        "seed": seed,
        "n_jobs": jobs,
        "out": str(results.resolve()) if results else None,
        "tasks": split_names(tasks) or None,
        "models": split_names(models) or None,
        "model_params": parse_params(model_params or [], models),
    }
    path = files.notebook_path(names[0])
    taken = files.own_parameters(path)
    usual = {"protocol": "aligned", "source": "auto", "n_bootstrap": 1000, "seed": 42, "n_jobs": 1}
    changed = {
        key: value
        for key, value in given.items()
        # The evaluation of language models takes none of these; only what was asked for is refused.
        if value not in (None, {}) and (key in taken or value != usual.get(key))
    }
    print(files.execute(names[0], changed, out or Path(f"{path.stem}.out.ipynb")))
