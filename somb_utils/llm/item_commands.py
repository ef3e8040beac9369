"""``somb llm run --set``: put items that code marks to models."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from somb_utils.errors import UsageError
from somb_utils.llm.console import finish, show

if TYPE_CHECKING:
    from somb_utils.llm.run.analysis import Analysis, Limits
    from somb_utils.llm.run.items import Selection
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
    limits = _limits(limit, selection.condition)
    selection = analysis.bounded(selection, limits) if limits else selection
    said = f"{len(selection.asked)} items ({selection.condition})"
    if dry_run:
        plans = item_runs.plan_items(models, selection, repeats, log_dir, prices, settings)
        show(analysis.estimates(plans, limits, prices) if limits else plans, said)
        return
    make = _prepared(selection, sandbox, limits, models, prices) if limits else None
    typer.echo(f"{said} x {len(models)} models, {repeats} time(s)", err=True)
    outcome = item_runs.run_items(models, selection, log_dir, settings, max_cost, prices, repeats, make)
    finish(outcome, "answers", max_cost, f"somb llm report {log_dir}")


def _limits(stated: list[str] | None, condition: str) -> "Limits | None":
    """Return the limits of an analysis; None in the other conditions, which have none."""
    if condition == "analysis":
        from somb_utils.llm.run.analysis import Limits

        return Limits.of(stated or [])
    if stated:
        raise UsageError("--limit is of --condition analysis")
    return None


def _prepared(
    selection: "Selection", sandbox: str, limits: "Limits", models: list[str], prices: dict[str, Any]
) -> "Analysis":
    """Return items ready to be analysed, after the warning of a sandbox that is none."""
    from somb_utils.llm.run.analysis import prepare, price_models
    from somb_utils.llm.run.sandbox import WARNING

    if limits.dollars is not None:
        price_models(models, prices)
    if sandbox == "local":
        typer.echo(WARNING, err=True)
    return prepare(selection, sandbox, limits)
