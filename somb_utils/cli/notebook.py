"""``somb notebook``: run a notebook with parameters, or refresh the stored ones."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from somb_utils.cli.options import Bootstrap, Data, Jobs, Models, Params, Protocol, Seed, TaskNames, parse_params
from somb_utils.errors import UsageError


def notebook(
    names: Annotated[list[str] | None, typer.Argument(help="A notebook's name, its first letter or its path.")] = None,
    tasks: TaskNames = None,
    models: Models = None,
    model_params: Params = None,
    protocol: Protocol = "aligned",
    data: Data = "auto",
    n_bootstrap: Bootstrap = 1000,
    seed: Seed = 42,
    results: Annotated[Path | None, typer.Option(help="Run folder that keeps finished folds.")] = None,
    jobs: Jobs = 1,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A new file [default: NAME.out.ipynb].")] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Execute the stored ones on simulated tables.")] = False,
) -> None:
    """Run a notebook with your models and data, into a new file.

    Example: `somb notebook A --models logreg,sklearn.svm:SVC --model-params logreg.C=0.1 --out out.ipynb`
    """
    from somb_utils.notebook import files
    from somb_utils.notebook.parameters import Parameters

    if refresh:
        for path in files.refresh(names or ()):
            print(path)
        return
    if not names or len(names) > 1:
        raise UsageError("name one notebook, e.g. somb notebook A")
    sys.path.insert(0, str(Path.cwd()))  # where a user's own model is
    folder = Path(data).expanduser()
    parameters: dict[str, Any] = {
        "protocol": protocol,
        "source": str(folder.resolve()) if folder.is_dir() else data,
        "n_bootstrap": n_bootstrap,
        "seed": seed,
        "n_jobs": jobs,
        "out": str(results.resolve()) if results else None,
        "tasks": tasks or None,
        "models": models or None,
        "model_params": parse_params(model_params, models),
    }
    path = files.notebook_path(names[0])
    accepted = files.default_parameters(path)
    changed = {
        key: value
        for key, value in parameters.items()
        # The evaluation of language models takes none of these; only what was asked for is refused.
        if value not in (None, {}) and (key in accepted or value != Parameters.model_fields[key].default)
    }
    print(files.execute(names[0], changed, out or Path(f"{path.stem}.out.ipynb")))
