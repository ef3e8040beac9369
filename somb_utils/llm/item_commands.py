"""What the commands of ``somb llm`` do with items that code marks: ask them, and generate private ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from somb_utils.llm.console import finish, need_extra, show

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
) -> None:
    """Put the items selected (arguments of `select`) to models, or estimate what that would cost."""
    from somb_utils.llm.run.item_runs import plan_items, run_items
    from somb_utils.llm.run.items import select

    selection = select(*selected)
    for line in selection.remarks:
        typer.echo(line, err=True)
    said = f"{len(selection.asked)} items ({selection.condition})"
    if dry_run:
        show(plan_items(models, selection, repeats, log_dir, prices, settings), said)
        return
    typer.echo(f"{said} x {len(models)} models, {repeats} time(s)", err=True)
    outcome = run_items(models, selection, log_dir, settings, max_cost, prices, repeats)
    finish(outcome, "answers", max_cost, f"somb llm report {log_dir}")


def generate_items(
    seed: Annotated[int, typer.Option(min=0, help="Whoever knows it can make the same items: keep it.")],
    out: Annotated[Path, typer.Option(help="A new YAML file.")],
    count: Annotated[int, typer.Option(min=1, max=200, help="Number of items.")] = 35,
    data: Annotated[str, typer.Option(help="Tables, as elsewhere.")] = "auto",
) -> None:
    """Generate private items from the tables: no model can have seen them, and the same seed gives the same.

    They show whether a model does worse on items that were never published. The file holds no keys.
    """
    need_extra()
    from somb_utils.llm.core.private import generate, write

    write(generate(seed, data, count), out)
    typer.echo(f"{count} items in {out}. Next: somb llm run -m PROVIDER/MODEL --set {out} --condition recall --full")
