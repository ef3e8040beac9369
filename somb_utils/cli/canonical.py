"""``somb canonical``: the run folder of the canonical run, from its predictions alone."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from somb_utils.cli.options import Data, Protocol, Tasks
from somb_utils.paths import need_empty


def canonical(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new run folder.")],
    tasks: Tasks = None,
    protocol: Protocol = "rigorous",
    data: Data = "auto",
    copy: Annotated[
        Path | None,
        typer.Option("--from", help="The file of predictions [default: the fetched one, else a small one]."),
    ] = None,
) -> None:
    """Score the baselines of the canonical run again, from their stored predictions, and write their run folder.

    Nothing is fitted; labels are joined from the published tables. `somb compare` then pairs your models with them.

    Examples: `somb data fetch --predictions`, `somb canonical results/canonical`, then

    `somb compare results/mine results/canonical`
    """
    from somb_utils.predictions.canonical import canonical_run
    from somb_utils.reference.canonical import canonical_scores
    from somb_utils.runs.folder import save

    need_empty(folder)
    run = canonical_run(tasks, protocol, data, copy, lambda line: print(line, file=sys.stderr))
    print(f"data: {run.provenance['described']}", file=sys.stderr)
    save(run, folder)
    key = ["task", "protocol", "model", "metric"]
    both = run.summary(n_bootstrap=0).merge(canonical_scores(), on=key, suffixes=("", "_stored"))
    equal = (both["mean"] - both["mean_stored"]).abs() <= 1e-6
    print(
        f"{folder}: {both['model'].nunique()} baselines on {', '.join(both['task'].unique())} under {protocol}; "
        f"{equal.sum()} of {len(both)} scores are the stored ones to 6 decimals"
    )
