"""``somb llm predict``: a language model as predictor of a small task, in the form that ``somb evaluate`` scores."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from somb_utils.errors import SombError
from somb_utils.llm.console import (
    Connections,
    DryRun,
    MaxCost,
    Prices,
    Retries,
    Timeout,
    Wait,
    finish,
    need_extra,
    prices_in,
    show,
)

PREDICT_EXAMPLES = (
    "Examples: `somb llm predict --task A2 --model openai/gpt-4o --out gpt-4o/A2.csv --dry-run` · `somb llm predict "
    "-t J2 -m offline/demo --out demo/J2.csv`, then `somb evaluate demo --tasks J2`"
)


def predict(
    task: Annotated[str, typer.Option("--task", "-t", help="Id of a small task, such as A1, A2, C2, G1, J2 or J6.")],
    model: Annotated[str, typer.Option("--model", "-m", help="PROVIDER/MODEL.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File named after the task: A2.csv, .json or .parquet.")],
    protocol: Annotated[str, typer.Option(help="Of folds and features.")] = "rigorous",
    data: Annotated[str, typer.Option(help="Tables, as elsewhere.")] = "auto",
    log_dir: Annotated[Path, typer.Option(help="Where logs are written, and found again.")] = Path("logs/predict"),
    temperature: Annotated[float, typer.Option(help="Where a provider takes one.")] = 0.0,
    max_tokens: Annotated[int | None, typer.Option(help="Default: 4096, or 8192 if the model reasons.")] = None,
    dry_run: DryRun = False,
    max_cost: MaxCost = None,
    prices: Prices = None,
    max_connections: Connections = None,
    max_retries: Retries = 6,
    retry_wait: Wait = 3.0,
    timeout: Timeout = 600,
) -> None:
    """Let a model predict a small task's test rows from its training rows as text.

    One call per fold. The file is written when every fold has valid predictions; the same command asks for the others.
    Score it as any other: `somb evaluate FOLDER`.
    """
    need_extra()
    from somb_utils.llm.run import predict_runs as runs
    from somb_utils.llm.run.models import Settings
    from somb_utils.llm.run.predict import TOKENS, load_small
    from somb_utils.llm.run.providers import token_limit

    limit = max_tokens or token_limit(model, TOKENS)
    settings = Settings(temperature, limit, False, max_connections, max_retries, retry_wait, timeout)
    runs.form_of(out, task)
    known = prices_in(prices)
    loaded = load_small(task, protocol, data)  # type: ignore[arg-type]  # which checks the protocol
    print(f"data: {loaded.provenance['described']}", file=sys.stderr)
    if dry_run:
        show(runs.plan_predictions(model, loaded, log_dir, known, settings), f"{len(loaded.folds)} folds of {task}")
        return
    typer.echo(f"{len(loaded.folds)} folds of {task}", err=True)
    outcome, predictions = runs.run_predictions(model, loaded, log_dir, settings, max_cost, known)
    if outcome.done == len(loaded.folds):
        runs.write_predictions(predictions, loaded, out)
    try:
        finish(outcome, "folds", max_cost, f"somb evaluate {out.parent} --tasks {task}")
    except SombError as error:
        raise SombError(f"{error}\n{out} is written when every fold has predictions") from None
