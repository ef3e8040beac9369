"""``somb llm run --set``: put items that code marks to models."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from somb_utils.llm.console import finish, limits_in, prepared, show

if TYPE_CHECKING:
    from somb_utils.llm.run.models import Settings


def run_set(
    models: list[str],
    selected: tuple[Any, ...],
    repeats: int,
    log_dir: Path,
    settings: "Settings",
    prices: dict[str, Any],
    dry_run: bool,
    max_cost: float | None,
    sandbox: str,
    limit: list[str] | None,
) -> None:
    """Put the items selected (arguments of `select`) to models, or estimate what that would cost."""
    from somb_utils.llm.run import analysis, item_runs
    from somb_utils.llm.run.items import select

    selection = select(*selected)
    for line in selection.remarks:
        typer.echo(line, err=True)
    limits = limits_in(limit, selection.condition)
    selection = analysis.bounded(selection, limits) if limits else selection
    said = f"{len(selection.asked)} items ({selection.condition})"
    if dry_run:
        plans = item_runs.plan_items(models, selection, repeats, log_dir, prices, settings)
        show(analysis.estimates(plans, limits, prices) if limits else plans, said)
        return
    make = prepared(selection, sandbox, limits, models, prices) if limits else None
    typer.echo(f"{said} x {len(models)} models, {repeats} time(s)", err=True)
    outcome = item_runs.run_items(models, selection, log_dir, settings, max_cost, prices, repeats, make)
    finish(outcome, "answers", max_cost, f"somb llm report {log_dir}")
